"""Family A's errors against the noise power: a row of panels for range and one for angle, a column for each K and L."""

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.figures.rows import SQUARED_ERRORS, Row
from scenarios.figures.style import INK, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels_against_noise(
    rows: Sequence[Row], fill: Callable[["Axes", list[Row]], None], *, height: float, ylabel: str
) -> tuple["Figure", Any]:
    """The figure and its axes, (2, columns), each of which `fill` draws into from its rows."""
    from matplotlib.figure import Figure

    columns = sorted({_column(row) for row in rows})
    figure = Figure(figsize=(max(7.5, 2.2 + 2.75 * len(columns)), height), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False, sharex=True, sharey="row")
    for line, quantity in zip(axes, SQUARED_ERRORS, strict=True):
        here = [row for row in rows if row.quantity == quantity]
        for panel, column in zip(line, columns, strict=True):
            mine = [row for row in here if _column(row) == column]
            fill(panel, mine)
            panel.set_yscale("log")
            panel.set_xticks(sorted({row.point["noise_dbm"] for row in mine}))
            quiet(panel)
        line[0].set_ylabel(f"{ylabel}\nof the {quantity} ({here[0].unit}²)")
    for (n_sensors, n_snapshots), first, last in zip(columns, *axes, strict=True):
        first.set_title(f"K = {n_sensors}, L = {n_snapshots}", fontsize=11, color=INK)
        last.set_xlabel("noise power σ² (dBm)")
    return figure, axes


def _column(row: Row) -> tuple[int, int]:
    return row.point["n_sensors"], row.point["n_snapshots"]


def shift_dbm(rows: Sequence[Row], number: int, of: int) -> float:
    """How far curve `number` of `of` is drawn aside, so that intervals do not hide each other."""
    noises = sorted({row.point["noise_dbm"] for row in rows})
    step = min(np.diff(noises)) if len(noises) > 1 else 5.0
    return float(step * 0.07 * (number - (of - 1) / 2))


def draw_errors(axes: "Axes", rows: Sequence[Row], shift: float, **style: Any) -> np.ndarray:
    """One estimator's mean squared errors with their intervals, `shift` dB aside; the abscissae that it drew at."""
    x = np.array([row.point["noise_dbm"] for row in rows]) + shift
    mean = np.array([row.mse.value for row in rows])
    reach = np.array([[row.mse.value - row.mse.low, row.mse.high - row.mse.value] for row in rows]).T
    axes.errorbar(x, mean, yerr=reach, markersize=4.5, elinewidth=1.0, capsize=2.0, **style)
    return x


def of_estimator(rows: Sequence[Row], name: str) -> list[Row]:
    """One estimator's rows, in the order of the noise power."""
    return sorted((row for row in rows if row.estimator == name), key=lambda row: row.point["noise_dbm"])


_LETTER, _MARK, _SIZE = 0.0077, 0.62, 9.5
"""Inches that a letter takes, a point of its size; a mark in a legend with the gap beside it; points of a legend."""


def legend_below(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], *, at_most: int = 9) -> None:
    """A legend below the panels of a figure, or of a part of one, in as many columns as it is wide enough for."""
    columns = legend_columns(labels, figure.bbox.width / figure.dpi, at_most=at_most)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=_SIZE)


def legend_columns(labels: Sequence[str], width: float, *, at_most: int = 9) -> int:
    """In how many columns a legend of these labels fits a width in inches."""
    widths = [_MARK + _LETTER * _SIZE * len(label) for label in labels]
    fit = len(labels) if sum(widths) < width else int(width / max(widths))
    return max(1, min(at_most, len(labels), fit))


_TITLE = 11.5


def titled(figure: "Figure", title: str, facts: Sequence[str]) -> None:
    """A title, and below it what is to be known of the figure, in as many lines as its width asks for."""
    figure.suptitle("\n".join([title, *_lines(figure, facts, _TITLE)]), fontsize=_TITLE, color=INK)


def further_titled(figure: "Figure", facts: Sequence[str]) -> None:
    """More that is to be known, below whatever title a figure has."""
    there = [text for text in figure.texts if text.get_text() and text.get_text() == figure.get_suptitle()]
    lines = _lines(figure, facts, float(there[0].get_fontsize()) if there else _TITLE)
    if there:
        there[0].set_text("\n".join([there[0].get_text(), *lines]))
    else:
        figure.suptitle("\n".join(lines), fontsize=_TITLE, color=INK)


def _lines(figure: "Figure", facts: Sequence[str], size: float) -> list[str]:
    """Facts side by side where they fit; a long one is broken between words."""
    lines = [""]
    letters = int(figure.get_figwidth() / (_LETTER * size))
    for fact in facts:
        longer = f"{lines[-1]}   ·   {fact}" if lines[-1] else fact
        lines = [*lines[:-1], longer] if len(longer) <= letters else [*lines, *textwrap.wrap(fact, letters)]
    return [line for line in lines if line]
