"""Errors of every estimator at the points of Fig. 3, and the amortised network's over the others', user by user."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.ratios import means, ratios
from jobs.evidence.record import Evidence
from scenarios.leakage import fig3
from scenarios.leakage.claims import samples_in

NETWORK, POSTERIOR, SQUARES = "amortised_deep_sets", "posterior_mean", "least_squares"
_MEANS, _RATIOS = "means", "network over others"


def _measured(store: str) -> dict[str, Any]:
    """Means with 95 % intervals, and ratios with the intervals by which claims are judged, each alone."""
    from engine import open_results

    samples = samples_in(open_results(store).load())
    return {_MEANS: list(means(samples)), _RATIOS: list(ratios(samples, NETWORK, (POSTERIOR, SQUARES)))}


def _ratios(numbers: dict[str, Any], quantity: str, over: str) -> tuple[float, float]:
    ratios = [one["ratio"] for one in numbers[_RATIOS] if (one["quantity"], one["over"]) == (quantity, over)]
    return min(ratios), max(ratios)


def _of_the_network(numbers: dict[str, Any]) -> Iterator[str]:
    for quantity in ("range", "angle"):
        posterior, squares = (_ratios(numbers, quantity, over) for over in (POSTERIOR, SQUARES))
        yield (
            f"**{quantity.capitalize()}:** {posterior[0]:.2f} to {posterior[1]:.2f} times the posterior mean's squared "
            f"error, {squares[0]:.2f} to {squares[1]:.2f} times least squares'"
        )


def _table(numbers: dict[str, Any]) -> Iterator[str]:
    """Rows of the table of means at K = 40."""
    for count, noise in ((1, -65.0), (1, -85.0), (50, -65.0), (50, -75.0), (50, -85.0)):
        cells = [_cell(numbers, count, noise, name) for name in (SQUARES, "maximum_likelihood", POSTERIOR, NETWORK)]
        yield f"| {count}, −{-noise:.0f} dBm | {' | '.join(cells)} |"


def _cell(numbers: dict[str, Any], count: int, noise: float, name: str) -> str:
    at = {"quantity": "range", "n_sensors": 40, "n_snapshots": count, "noise_dbm": noise, "estimator": name}
    (one,) = (one for one in numbers[_MEANS] if at.items() <= one.items())
    return f"{one['mean']:.2g}"


def words(numbers: dict[str, Any]) -> Iterator[str]:
    yield from _table(numbers)
    yield from _of_the_network(numbers)


EVIDENCE = Evidence(
    "squared errors (m², rad²) of estimators at the points of leakage:fig3",
    fig3.replace(realizations=1000, seed=20261129),
    _measured,
    {"docs/numbers.md": words},
)
