"""Under multipath: errors of estimators that leave the table's grid, by the grid that they begin with."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jobs.evidence.record import Evidence
from scenarios.multipath import MultipathEstimation
from scenarios.multipath.off_grid import off_grid
from scenarios.multipath.rows import errors_over_sets

_ANGLES = (180, 360, 720)
_MEAN, _GRID = "refined_posterior_mean", "posterior_mean"
_NAMES = {_GRID: "posterior mean, on the grid", _MEAN: "posterior mean, off it",
          "refined_maximum_likelihood": "maximum likelihood, off it"}  # fmt: skip
_QUANTITIES = {"range": "squared_error_range_m2", "angle": "squared_error_angle_rad2"}
_MEANS, _RATIOS, _MOVED = "means (m², rad²)", "over the finest grid's", "moved between grids (m)"
_FAR_M = 0.1


def _measured(store: str) -> dict[str, Any]:
    """Means with 95 % intervals; ratios of the same users' to those of the finest grid, with paired ones, each for
    itself; and how far estimates of one observation lie apart when the search begins with different grids."""
    from engine import compare, open_results, summarize

    results = open_results(store).load().isel(noise_dbm=0, n_snapshots=0)
    errors = errors_over_sets(results)
    found: dict[str, Any] = {_MEANS: [], _RATIOS: [], _MOVED: []}
    for quantity, variable in _QUANTITIES.items():
        means, pairs = summarize(errors[variable], quantiles=()), compare(errors[variable], "grid_angles")
        for name in _NAMES:
            for angles in _ANGLES:
                at = {"estimator": name, "grid_angles": angles}
                one, pair = means.sel(at), pairs.sel(at).sel(other=_ANGLES[-1])
                ends = {"low": float(one.mean_low), "high": float(one.mean_high), "users": int(one["count"])}
                found[_MEANS].append({"quantity": quantity, **at, "mean": float(one["mean"]), **ends})
                if angles != _ANGLES[-1]:
                    ends = {"low": float(pair.ratio_low), "high": float(pair.ratio_high)}
                    found[_RATIOS].append({"quantity": quantity, **at, "ratio": float(pair.ratio), **ends})
    for name in _NAMES:
        apart = results.estimate_range_m.sel(estimator=name)
        apart = (apart.max("grid_angles") - apart.min("grid_angles")).values.ravel()
        apart = apart[np.isfinite(apart)]
        found[_MOVED].append(
            {
                "estimator": name,
                "observations": len(apart),
                "median": float(np.median(apart)),
                "far": int(np.count_nonzero(apart > _FAR_M)),
                "largest": float(np.max(apart)),
            }
        )
    return found


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """A line of the table for each estimator; what between grids moves."""
    for name, called in _NAMES.items():
        cells = [f"{one['mean']:.3f} ({one['low']:.3f} to {one['high']:.3f})" for one in numbers[_MEANS]
                 if (one["quantity"], one["estimator"]) == ("range", name)]  # fmt: skip
        yield f"| {called} | {' | '.join(cells)} |"
    for name in (_GRID, _MEAN):
        (one,) = (one for one in numbers[_MOVED] if one["estimator"] == name)
        yield (
            f"{1000 * one['median']:.2g} mm in the median, and by more than {100 * _FAR_M:.0f} cm for {one['far']} of "
            f"{one['observations']} observations"
        )
    for one in numbers[_RATIOS]:
        if (one["quantity"], one["estimator"]) == ("range", _MEAN):
            yield f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f}) times with {one['grid_angles']} angles"


_scene = off_grid.scenario
assert isinstance(_scene, MultipathEstimation)
EVIDENCE = Evidence(
    "squared errors on a table's grid and off it, by the angles of the grid, −85 dBm, K = 40, L = 50",
    off_grid.replace(scenario=_scene.replace(sensor_sets=2), realizations=120, seed=20261129),
    _measured,
    {"docs/multipath.md": words},
)
