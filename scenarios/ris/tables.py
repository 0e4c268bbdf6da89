"""Family B's errors as tables: one for each panel of a figure."""

from collections.abc import Iterable

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.rows import Interval, Row, number_text, share_text
from scenarios.figures.tails import explained, mark
from scenarios.ris.rows import QUANTITIES

FIELD_NAMES = {"near": "near-field users", "far": "far-field users"}


def error_tables(rows: list[Row], x: str, panels: Iterable[tuple[str, str]], lost: str) -> list[TextTable]:
    """A table for each panel (field, quantity), a column for each axis that varies and x; lost: what counts as it."""
    varied = [name for name in (rows[0].point if rows else ()) if len({row.point[name] for row in rows}) > 1]
    axes = varied if x in varied else [*varied, x]
    mismatched = any(np.isfinite(row.floor) for row in rows)
    tables = [
        TextTable(
            f"{quantity.capitalize()} of {FIELD_NAMES[field]} ({QUANTITIES[quantity].unit}), factors of 95 % "
            f"intervals; lost: {lost}",
            (
                *axes,
                "method",
                "RMSE of users found",
                "RMSE of all",
                "median",
                "lost",
                "lost, as stated",
                "joint CRB",
                *(("plane-wave CRB",) if mismatched else ()),
                "excluded",
            ),
            [_line(row, axes, mismatched) for row in rows if (row.group, row.quantity) == (field, quantity)],
        )
        for field, quantity in panels
    ]
    return explained(tables)


def _line(row: Row, axes: list[str], mismatched: bool) -> tuple[str, ...]:
    return (
        *(_value(row.point[name]) for name in axes),
        row.estimator,
        _with_factor(row.found),
        f"{_with_factor(row.rmse)}{mark(row.carried)}",
        number_text(row.root_median),
        share_text(row.lost),
        f"{100 * row.lost_stated:.1f} %" if np.isfinite(row.lost_stated) else "–",
        f"{row.root_bound:.2g}" if np.isfinite(row.root_bound) else "none",
        *((f"{row.floor**0.5:.2g}" if np.isfinite(row.floor) else "–",) if mismatched else ()),
        f"{row.excluded}",
    )


def _value(value: int | float | str) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _with_factor(error: Interval) -> str:
    if not np.isfinite(error.value):
        return "–"
    factor = error.high / error.value if error.value else np.inf
    return f"{error.value:.2g} ×÷ {factor:.2f}" if factor < 100 else f"{error.value:.2g}"
