"""Fig. 3 as tables: every point's errors, then the paper's claims beside ours."""

from typing import TYPE_CHECKING

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.claims import claims_table
from scenarios.figures.rows import Row
from scenarios.figures.style import label
from scenarios.leakage.claims import claims
from scenarios.leakage.rows import OUTLIER_SHARE

if TYPE_CHECKING:
    import xarray

_HEADINGS = ("K", "L", "σ² (dBm)", "estimator", "mean ×÷", "median", "outliers", "limit", "bound", "prior", "excluded")
_TRAIN = "nearfield train leakage:amortised --set n_elements=… trains one; AmortisedDeepSets(checkpoint=…) uses it"


def report(results: "xarray.Dataset", summary: list[Row]) -> list[TextTable]:
    """What to print of a run."""
    tables = [
        TextTable(
            f"Squared error of the {quantity} ({unit}²); mean with the factor of its 95 % interval; outliers beyond "
            f"{_outlier(summary, quantity):.2g} {unit}",
            _HEADINGS,
            [_line(row) for row in summary if row.quantity == quantity],
        )
        for quantity, unit in (("range", "m"), ("angle", "rad"))
    ]
    asked = {row.estimator for row in summary}
    absent: list[tuple[str, ...]] = [
        (label(name), _TRAIN) for name in map(str, results.estimator.values) if name not in asked
    ]
    if absent:
        tables.append(TextTable("Not trained for this array and users' area", ("estimator", ""), absent))
    return [claims_table(claims(results)), *tables]


def _outlier(summary: list[Row], quantity: str) -> float:
    """The error above which a user is lost."""
    return next((np.sqrt(OUTLIER_SHARE * row.blind) for row in summary if row.quantity == quantity), np.nan)


def _line(row: Row) -> tuple[str, ...]:
    factor = row.mse.high / row.mse.value if row.mse.value else np.inf
    return (
        f"{row.point['n_sensors']}",
        f"{row.point['n_snapshots']}",
        f"{row.point['noise_dbm']:g}",
        label(row.estimator),
        f"{row.mse.value:.2g} ×÷ {factor:.2f}",
        f"{row.median:.2g}",
        f"{100 * row.lost.value:.1f} % ({100 * row.lost.low:.1f}–{100 * row.lost.high:.1f})",
        f"{row.limit:.2g}" if np.isfinite(row.limit) else "",
        f"{row.bound:.2g}",
        f"{row.blind:.2g}",
        f"{row.excluded}",
    )
