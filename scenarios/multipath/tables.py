"""Fig. 4 as tables: every point's errors, networks beside baselines, the paper's claims, and who was excluded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import engine
from engine.sweep import TextTable
from scenarios.figures.claims import claims_table
from scenarios.figures.comparisons import verdict
from scenarios.figures.doubts import doubt_tables, doubts_of
from scenarios.figures.rows import SQUARED_ERRORS, Row, mean_text, number_text
from scenarios.figures.style import LEARNED, label
from scenarios.figures.tails import explained
from scenarios.multipath.claims import claims
from scenarios.multipath.figures import legend
from scenarios.multipath.rows import ORDER, SETS, errors_over_sets

if TYPE_CHECKING:
    import xarray

_HEADINGS = ("K", "L", "σ² (dBm)", "estimator", "mean ×÷", "median", "excluded")
_TRAIN = "nearfield train multipath:conditioned trains some; --set checkpoints=DIR uses them (docs/multipath.md)"
_BASELINES = ("least_squares", "posterior_mean")


def report(results: "xarray.Dataset", summary: list[Row]) -> list[TextTable]:
    """What to print of a run."""
    tables = [
        TextTable(
            f"Squared error of the {quantity} ({unit}²) under multipath; mean with the factor of its 95 % interval",
            _HEADINGS,
            [_line(row) for row in summary if row.quantity == quantity],
        )
        for quantity, unit in (("range", "m"), ("angle", "rad"))
    ]
    learned = [name for name in dict.fromkeys(row.estimator for row in summary) if name in LEARNED]
    beside = _beside(errors_over_sets(results), learned) or [
        TextTable("Learned estimators", ("none was trained for this place and these points",), [(_TRAIN,)])
    ]
    doubts = doubt_tables(doubts_of(results, ORDER, SETS), ("K", "L", "σ² (dBm)"))
    return [claims_table(claims(results, learned)), *explained(tables), *doubts, *beside, _users(results)]


def _line(row: Row) -> tuple[str, ...]:
    return (
        f"{row.point['n_sensors']}",
        f"{row.point['n_snapshots']}",
        f"{row.point['noise_dbm']:g}",
        legend(row.estimator),
        mean_text(row),
        number_text(row.median),
        f"{row.excluded}",
    )


def _beside(errors: "xarray.Dataset", learned: Sequence[str]) -> list[TextTable]:
    """Each network beside the grid search and the posterior mean, where the results have them, point by point."""
    others = [name for name in _BASELINES if name in errors.estimator.values]
    pairs = {
        quantity: engine.compare(errors[variable]).transpose(..., *ORDER)
        for quantity, variable in SQUARED_ERRORS.items()
        if learned
    }
    tables = []
    for name in learned:
        columns = [
            pairs[quantity].sel(estimator=name, other=other, drop=True)
            for quantity in SQUARED_ERRORS
            for other in others
        ]
        lines, without = [], 0
        for where in np.ndindex(*(errors.sizes[axis] for axis in ORDER)):
            here = [column.isel(dict(zip(ORDER, where, strict=True))) for column in columns]
            if not any(int(one["count"]) for one in here):
                without += 1
            else:
                k, n, s = (errors[axis].values[i] for axis, i in zip(ORDER, where, strict=True))
                users = "/".join(dict.fromkeys(f"{int(one['count'])}" for one in here))
                lines.append((f"{k}", f"{n}", f"{s:g}", users, *map(_ratio, here)))
        headings = (f"{quantity} over {label(other)}'s" for quantity in SQUARED_ERRORS for other in others)
        tables.append(
            TextTable(
                f"{label(name)}: ratios of mean squared errors of the same users; lower or higher where the paired "
                f"95 % interval says so{f'; none at {without} of {without + len(lines)} points' if without else ''}",
                ("K", "L", "σ² (dBm)", "users", *headings),
                lines,
            )
        )
    return tables


def _ratio(pair: "xarray.Dataset") -> str:
    if not int(pair["count"]):
        return "none"
    return f"{float(pair.ratio):.2f} {verdict(float(pair.ratio_low), float(pair.ratio_high))}"


def _users(results: "xarray.Dataset") -> TextTable:
    users = results.excluded.isel(n_sensors=0).values
    users = users[np.isfinite(users)].astype(int)
    counts = [str(int(np.count_nonzero(users == kind))) for kind in range(3)]
    return TextTable("Users", ("included", "in a building", "reached by no path"), [tuple(counts)])
