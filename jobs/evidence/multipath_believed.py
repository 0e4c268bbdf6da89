"""Under multipath: errors of searches whose table is traced in a place that differs in one thing from the true one."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.multipath.known import believed
from scenarios.multipath.rows import errors_over_sets

_SEARCHES = ("posterior_mean", "maximum_likelihood", "least_squares", "least_squares_free_space")
_QUANTITIES = {"range": "squared_error_range_m2", "angle": "squared_error_angle_rad2"}
_NOISES = (-65.0, -75.0, -85.0)
_SAID = ("moved 1 cm", "moved 10 cm", "nearest missing", "all concrete", "all metal")
_MEANS, _RATIOS = "means (m², rad²)", "over the true place's"


def _measured(store: str) -> dict[str, Any]:
    """Means with 95 % intervals, and ratios of the same users' to those in the true place, each for itself."""
    from engine import compare, open_results, summarize

    results = errors_over_sets(open_results(store).load())
    found: dict[str, Any] = {_MEANS: [], _RATIOS: []}
    for quantity, variable in _QUANTITIES.items():
        errors = results[variable].isel(n_snapshots=0)
        means, pairs = summarize(errors, quantiles=()), compare(errors, "believed")
        for belief in results.believed.values.tolist():
            for name in _SEARCHES:
                for noise in _NOISES:
                    at = {"estimator": name, "noise_dbm": noise, "believed": belief}
                    one, pair = means.sel(at), pairs.sel(at).sel(other="true")
                    ends = {"low": float(one.mean_low), "high": float(one.mean_high), "users": int(one["count"])}
                    found[_MEANS].append({"quantity": quantity, **at, "mean": float(one["mean"]), **ends})
                    if belief != "true":
                        ends = {"low": float(pair.ratio_low), "high": float(pair.ratio_high)}
                        found[_RATIOS].append({"quantity": quantity, **at, "ratio": float(pair.ratio), **ends})
    return found


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """A line of the table for each belief, and how many times as large it makes the posterior mean's error."""
    for belief in dict.fromkeys(one["believed"] for one in numbers[_MEANS]):
        cells = [_cell(numbers, belief, name, noise) for name in ("posterior_mean", "least_squares")
                 for noise in (-65.0, -85.0)]  # fmt: skip
        yield f"| {belief} | {' | '.join(cells)} |"
    for one in numbers[_RATIOS]:
        at = one["quantity"], one["estimator"], one["noise_dbm"]
        if at == ("range", "posterior_mean", -85.0) and one["believed"] in _SAID:
            yield f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f}) times"


def _cell(numbers: dict[str, Any], belief: str, name: str, noise: float) -> str:
    at = {"quantity": "range", "believed": belief, "estimator": name, "noise_dbm": noise}
    (one,) = (row for row in numbers[_MEANS] if at.items() <= row.items())
    return f"{one['mean']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


EVIDENCE = Evidence(
    "squared errors of searches that believe the place to be otherwise, K = 40, L = 50",
    believed.replace(realizations=300, seed=20261129),
    _measured,
    {"docs/multipath.md": words},
)
