"""Under multipath: the posterior mean's error of the range with coarser and finer grids of angles."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.multipath import MultipathEstimation, fig4
from scenarios.multipath.rows import errors_over_sets

_ANGLES = (180, 360, 720)
_NAME = "posterior_mean"
_NOISES = (-75.0, -85.0)
_MEANS, _RATIOS = "means (m²)", "over the next finer grid"


def _measured(store: str) -> dict[str, Any]:
    """Means with 95 % intervals, and ratios of the same users' with paired ones, each for itself."""
    from engine import compare, open_results, summarize

    errors = errors_over_sets(open_results(store).load()).squared_error_range_m2.sel(estimator=_NAME)
    found: dict[str, Any] = {_MEANS: [], _RATIOS: []}
    for noise in _NOISES:
        here = errors.sel(noise_dbm=noise, n_snapshots=50, n_sensors=40)
        means, pairs = summarize(here, quantiles=()), compare(here, "grid_angles")
        for angles, finer in zip(_ANGLES, (*_ANGLES[1:], None), strict=True):
            one, at = means.sel(grid_angles=angles), {"noise_dbm": noise, "grid_angles": angles}
            ends = {"low": float(one.mean_low), "high": float(one.mean_high), "users": int(one["count"])}
            found[_MEANS].append({**at, "mean": float(one["mean"]), **ends})
            if finer is not None:
                pair = pairs.sel(grid_angles=angles, other=finer)
                ends = {"low": float(pair.ratio_low), "high": float(pair.ratio_high), "users": int(pair["count"])}
                found[_RATIOS].append({**at, "over": finer, "ratio": float(pair.ratio), **ends})
    return found


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for noise in _NOISES:
        cells = [f"{one['mean']:.2f} ({one['low']:.2f} to {one['high']:.2f})"
                 for one in numbers[_MEANS] if one["noise_dbm"] == noise]  # fmt: skip
        yield f"| −{-noise:.0f} dBm | {' | '.join(cells)} |"


_scene = fig4.scenario
assert isinstance(_scene, MultipathEstimation)
EVIDENCE = Evidence(
    "the posterior mean's squared error of the range, K = 40, L = 50, for grids of 100 ranges",
    fig4.replace(
        scenario=_scene.replace(
            noise_dbm=_NOISES,
            n_snapshots=(50,),
            sensor_sets=2,
            estimators=tuple(one for one in _scene.estimators if one.name == _NAME),
            checkpoints=(),
        ),
        axes={"n_sensors": (40,), "grid_angles": _ANGLES},
        realizations=120,
        seed=20261129,
    ),
    _measured,
    {"docs/multipath.md": words},
)
