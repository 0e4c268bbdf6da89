"""Under multipath: the campus networks' errors over those of the searches with ray-traced powers, user by user."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.ratios import ratios
from jobs.evidence.record import Evidence
from scenarios.multipath import fig4
from scenarios.multipath.claims import samples_in

NETWORK, SQUARES, POSTERIOR = "conditioned_deep_sets", "least_squares", "posterior_mean"
_RATIOS = "network over others"


def _measured(store: str) -> dict[str, Any]:
    """Ratios of mean squared errors with the intervals by which claims are judged, each alone."""
    from engine import open_results

    return {_RATIOS: list(ratios(samples_in(open_results(store).load()), NETWORK, (SQUARES, POSTERIOR)))}


def _span(numbers: dict[str, Any], **at: Any) -> str:
    ratios = [one["ratio"] for one in numbers[_RATIOS] if at.items() <= one.items()]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for k, count in ((20, 1), (20, 50), (40, 1), (40, 50)):
        cells = [
            _span(numbers, quantity=quantity, n_sensors=k, n_snapshots=count, over=over)
            for quantity in ("range", "angle")
            for over in (SQUARES, POSTERIOR)
        ]
        yield f"| {k}, {count} | {' | '.join(cells)} |"
    for quantity in ("range", "angle"):
        here = [one for one in numbers[_RATIOS] if (one["quantity"], one["over"]) == (quantity, SQUARES)]
        yield f"of the {quantity} it is lower at {sum(one['ratio'] < 1 for one in here)} of {len(here)} points"


EVIDENCE = Evidence(
    "mean squared errors of the campus networks over the searches', at the points of multipath:fig4",
    fig4.replace(realizations=300, seed=20261129),
    _measured,
    {"docs/multipath.md": words},
)
