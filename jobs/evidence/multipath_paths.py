"""Under multipath: errors with the three paths of Table III over those with twenty, of the same users."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.figures.rows import SQUARED_ERRORS
from scenarios.multipath import MultipathEstimation, fig4
from scenarios.multipath.rows import errors_over_sets

_SEARCHES = ("least_squares", "maximum_likelihood", "posterior_mean")
_FEW, _MANY = 3, 20
_RATIOS = "three paths over twenty"


def _measured(store: str) -> dict[str, Any]:
    """Ratios of means of the same users with paired 95 % intervals, each for itself."""
    from engine import compare, open_results

    results = open_results(store).load()
    errors = errors_over_sets(results).sel(estimator=list(_SEARCHES))
    found = []
    for quantity, variable in SQUARED_ERRORS.items():
        pairs = compare(errors[variable], "max_paths").sel(max_paths=_FEW, other=_MANY)
        for row in pairs[["ratio", "ratio_low", "ratio_high", "count"]].to_dataframe().reset_index().to_dict("records"):
            at = {"n_sensors": int(row["n_sensors"]), "n_snapshots": int(row["n_snapshots"]),
                  "noise_dbm": float(row["noise_dbm"]), "estimator": str(row["estimator"])}  # fmt: skip
            ends = {"low": row["ratio_low"], "high": row["ratio_high"], "users": int(row["count"])}
            found.append({"quantity": quantity, **at, "ratio": row["ratio"], **ends})
    return {_RATIOS: found}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for quantity in SQUARED_ERRORS:
        here = [one for one in numbers[_RATIOS] if one["quantity"] == quantity]
        larger, sure = sum(one["ratio"] > 1 for one in here), sum(one["low"] > 1 for one in here)
        lower = sum(one["high"] is not None and one["high"] < 1 for one in here)
        yield (
            f"of the {quantity} larger in {larger} of {len(here)} cases, in {sure} beyond the paired 95 % interval, "
            f"and in {lower} smaller beyond it"
        )
    at = {"quantity": "range", "n_sensors": 40, "n_snapshots": 50, "noise_dbm": -85.0}
    for name in _SEARCHES[1:]:
        (one,) = (one for one in numbers[_RATIOS] if {**at, "estimator": name}.items() <= one.items())
        yield f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


_scene = fig4.scenario
assert isinstance(_scene, MultipathEstimation)
EVIDENCE = Evidence(
    "mean squared errors with three paths, as Table III has them, over those with twenty",
    fig4.replace(
        scenario=_scene.replace(
            noise_dbm=(-65.0, -75.0, -85.0),
            estimators=tuple(one for one in _scene.estimators if one.name in _SEARCHES),
            checkpoints=(),
        ),
        axes={**fig4.axes, "max_paths": (_FEW, _MANY)},
        realizations=200,
        seed=20261129,
    ),
    _measured,
    {"docs/multipath.md": words},
)
