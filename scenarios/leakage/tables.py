"""Fig. 3 as tables: claims beside what was found, then every point's errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.claims import claims_table
from scenarios.figures.doubts import doubt_tables, doubts_of
from scenarios.figures.rows import Row, mean_text, number_text, share_text
from scenarios.figures.style import label
from scenarios.figures.tails import explained
from scenarios.leakage.assumed import assumptions
from scenarios.leakage.claims import claims
from scenarios.leakage.rows import ORDER, OUTLIER_SHARE, SETS

if TYPE_CHECKING:
    import xarray

_POINT = ("K", "L", "σ² (dBm)")
_MEANS = {"limit": "limit", "floor": "W-W", "bound": "bound", "blind": "prior"}
"""Numbers of a row beside its errors; those that no row knows have no column."""
_TRAIN = "nearfield train leakage:amortised --set n_elements=… trains one; AmortisedDeepSets(checkpoint=…) uses it"


def report(results: "xarray.Dataset", summary: list[Row]) -> list[TextTable]:
    """What to print of a run."""
    return [claims_table(claims(results)), *tables(results, summary)]


def tables(results: "xarray.Dataset", summary: list[Row]) -> list[TextTable]:
    """The errors, what estimators say against their own estimates, what they assume, and who was not asked."""
    means = [name for name in _MEANS if any(np.isfinite(getattr(row, name)) for row in summary)]
    columns = ("estimator", "mean ×÷", "median", "outliers", *(_MEANS[name] for name in means), "excluded")
    found = [
        TextTable(
            f"Squared error of the {quantity} ({unit}²); mean with the factor of its 95 % interval; outliers beyond "
            f"{_outlier(summary, quantity):.2g} {unit}",
            (*_POINT, *columns),
            [_line(row, means) for row in summary if row.quantity == quantity],
        )
        for quantity, unit in (("range", "m"), ("angle", "rad"))
    ]
    found += doubt_tables(doubts_of(results, ORDER, (SETS,)), _POINT)
    found += assumptions(results)
    asked = {row.estimator for row in summary}
    absent: list[tuple[str, ...]] = [
        (label(name), _TRAIN) for name in map(str, results.estimator.values) if name not in asked
    ]
    if absent:
        found.append(TextTable("Not trained for this array and users' area", ("estimator", ""), absent))
    return explained(found)


def _outlier(summary: list[Row], quantity: str) -> float:
    """The error above which a user is lost."""
    return next((np.sqrt(OUTLIER_SHARE * row.blind) for row in summary if row.quantity == quantity), np.nan)


def _line(row: Row, means: Sequence[str]) -> tuple[str, ...]:
    return (
        f"{row.point['n_sensors']}",
        f"{row.point['n_snapshots']}",
        f"{row.point['noise_dbm']:g}",
        label(row.estimator),
        mean_text(row),
        number_text(row.median),
        share_text(row.lost),
        *(f"{getattr(row, name):.2g}" if np.isfinite(getattr(row, name)) else "" for name in means),
        f"{row.excluded}",
    )
