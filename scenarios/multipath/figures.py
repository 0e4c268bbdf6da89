"""Fig. 4 of arXiv 2605.21815, drawn from stored results. Matplotlib is imported when a figure is drawn."""

from typing import TYPE_CHECKING

from engine.sweep import scenario_of
from scenarios.figures.doubts import absent_words, doubt_words, doubts_of, excluded_words
from scenarios.figures.panels import (
    draw_errors,
    legend_below,
    of_estimator,
    panels_against_noise,
    shift_dbm,
    titled,
)
from scenarios.figures.rows import Row
from scenarios.figures.style import COLOURS, FAINT, MARKERS, label
from scenarios.multipath.rows import ORDER, SETS
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MISMATCHED = "_free_space"


def errors_against_noise(results: "xarray.Dataset", summary: list[Row]) -> "Figure":
    """Fig. 4: mean squared error against noise power.

    Solid: estimators that assume the ray-traced expected power; open and dashed: free space. Bars: 95 % intervals.
    """
    figure, axes = panels_against_noise(summary, _panel, height=7.4, ylabel="mean squared error")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels(), at_most=4)
    indoors = _left_out(results)
    rows = [row for row in summary if row.quantity == "range"]
    facts = (
        scenario_of(results, MultipathScene).surroundings.name,
        f"{results.sizes['sensor_set']} sets of sensors",
        f"{results.sizes['realization']} users, {indoors} excluded: in a building or reached by no path",
        excluded_words((row.estimator, max(0, row.excluded - indoors)) for row in rows if row.samples),
        *absent_words(results, rows),
        *doubt_words(doubts_of(results, ORDER, SETS)),
    )
    titled(figure, "Locating a near-field user from far-field powers under multipath", facts)
    return figure


def _left_out(results: "xarray.Dataset") -> int:
    """Users that count nowhere, as nobody can be there, or not be heard."""
    out = results.excluded > 0
    return int(out.any([dim for dim in out.dims if dim != "realization"]).sum())


def _panel(axes: "Axes", rows: list[Row]) -> None:
    names = list(dict.fromkeys(row.estimator for row in rows))
    kinds = list(dict.fromkeys(name.removesuffix(_MISMATCHED) for name in names))
    axes.axhline(rows[0].blind, color=FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="blind guess")
    for name in names:
        kind = kinds.index(name.removesuffix(_MISMATCHED))
        matched = not name.endswith(_MISMATCHED)
        colour = COLOURS[kind % len(COLOURS)]
        draw_errors(
            axes, of_estimator(rows, name), shift_dbm(rows, kind, len(kinds)),
            color=colour, marker=MARKERS[kind % len(MARKERS)], linewidth=1.5 if matched else 1.1,
            linestyle="-" if matched else (0, (4, 2)), markerfacecolor=colour if matched else "white",
            label=legend(name),
        )  # fmt: skip


def legend(name: str) -> str:
    """An estimator's name, and whether it assumes another channel than the one that is."""
    kind = label(name.removesuffix(_MISMATCHED))
    return f"{kind}, free space assumed" if name.endswith(_MISMATCHED) else kind
