"""Figs. 4, 5, 6, 8 and 10 of arXiv 2501.17868: errors. Matplotlib is imported when a figure is drawn."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.claims import Claim, claims_table
from scenarios.figures.rows import Interval, Row
from scenarios.figures.style import COLOURS, INK, MARKERS, quiet
from scenarios.ris.axes import AXES, LOGARITHMIC, ORDINAL, logarithmic, ordinal, places, text_of
from scenarios.ris.lost import lost_text
from scenarios.ris.paper import experiment_table
from scenarios.ris.rows import QUANTITIES, summary
from scenarios.ris.tables import FIELD_NAMES, error_tables
from scenarios.ris.told_apart import told_apart_table

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ErrorFigure:
    """One of the paper's figures of errors: what is on its horizontal axis, and whose errors it shows.

    title: {field} stands for what the run has, {surface} for the numbers of elements along its sides. x: a dimension or
    an axis of the results. claims: the paper's, judged from the results. panels: (field, quantity) of
    each column.
    """

    title: str
    x: str
    claims: Callable[["xarray.Dataset"], list[Claim]]
    panels: tuple[tuple[str, str], ...]

    def summary(self, results: "xarray.Dataset") -> list[Row]:
        return summary(results)

    def report(self, results: "xarray.Dataset", rows: list[Row]) -> list[TextTable]:
        """What to print of a run: the paper's claims beside ours, then a table for each panel."""
        tables = error_tables(rows, self.x, self.panels, lost_text(results))
        beside = told_apart_table(results, self.x), experiment_table(results)
        return [claims_table(self.claims(results)), *tables, *beside]

    def draw(self, results: "xarray.Dataset", rows: list[Row]) -> "Figure":
        """Above: RMSE of the users found, with the bound; then RMSE of all; below, the share of users lost."""
        from matplotlib.figure import Figure

        shown = [row for row in rows if (row.group, row.quantity) in self.panels]
        curves, at = _curves(shown, self.x), places(self.x, (row.point[self.x] for row in shown))
        figure = Figure(figsize=(1.2 + 3.9 * len(self.panels), 9.0), layout="constrained")
        axes = figure.subplots(3, len(self.panels), squeeze=False, sharex=True, height_ratios=(1.35, 1.0, 0.75))
        for column, (field, quantity) in enumerate(self.panels):
            here = [row for row in shown if (row.group, row.quantity) == (field, quantity)]
            for number, key in enumerate(curves):
                mine = sorted((row for row in here if _key(row, self.x) == key), key=lambda row: at[row.point[self.x]])
                _draw(axes[:, column], mine, self.x, at, number, len(curves), curves[key])
            axes[0, column].set_title(f"{quantity}, {FIELD_NAMES[field]}", fontsize=11, color=INK)
            _dress(axes[:, column], self.x, at, here, QUANTITIES[quantity].unit, _label(results, self.x))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if labels:
            ncols = min(len(labels), 4)
            figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize=9.5)
        facts = (
            f"{titled_by(self.title, results)}, {results.sizes['realization']} realizations a point",
            f"lost: {lost_text(results)}",
        )
        letters = int(12.5 * figure.get_figwidth())
        lines = [line for fact in (*facts, "dotted: joint CRB") for line in textwrap.wrap(fact, letters)]
        figure.suptitle("\n".join(lines), fontsize=10.5, color=INK)
        return figure


def titled_by(title: str, results: "xarray.Dataset") -> str:
    """A title with the settings of the run that these results are of."""
    fields = json.loads(results.attrs["scenario"])
    sides = fields["elements_per_side"], fields.get("elements_upwards") or fields["elements_per_side"]
    values = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    words = {name: ", ".join(_number(one) for one in several) for name, several in values.items()}
    return title.format_map(words | {"surface": " × ".join(map(str, sides))})


def _number(value: Any) -> str:
    return f"{value:g}".replace("-", "−") if isinstance(value, int | float) else str(value)


def _label(results: "xarray.Dataset", x: str) -> str:
    """Of the horizontal axis: a signal-to-noise ratio as the run defines it."""
    attributes = results[x].attrs if x == "snr_db" and x in results else {}
    return f"{attributes['long_name']} (dB)" if "long_name" in attributes else AXES[x]


def _key(row: Row, x: str) -> tuple[Any, ...]:
    """What tells one curve from another, beside its place along x."""
    return row.estimator, *(value for name, value in row.point.items() if name != x)


def _curves(rows: list[Row], x: str) -> dict[tuple[Any, ...], str]:
    """Every curve's label: the method, and what differs among them beside it."""
    if not rows:
        return {}
    keys = list(dict.fromkeys(_key(row, x) for row in rows))
    names = ["method", *(name for name in rows[0].point if name != x)]
    varied = [i for i in range(len(names)) if len({key[i] for key in keys}) > 1] or [0]
    return {key: ", ".join(text_of(names[i], key[i]) for i in varied) for key in keys}


def _draw(panels: Any, rows: list[Row], x: str, at: dict[Any, float], number: int, of: int, label: str) -> None:
    """One curve in each panel, the bound in the first; where most users are lost, the few found say nothing."""
    colour = COLOURS[number % len(COLOURS)]
    style = {
        "color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 4.5, "linewidth": 1.4,
        "elinewidth": 0.9, "capsize": 2.0, "label": label,
    }  # fmt: skip
    middles = np.array([at[row.point[x]] for row in rows])
    beside = _aside(middles, x, number - (of - 1) / 2)
    nothing = Interval(np.nan, np.nan, np.nan)
    found = [nothing if row.lost.value > 0.5 else row.found for row in rows]
    lost = [Interval(*(100 * end for end in row.lost)) for row in rows]
    for panel, shown in zip(panels, (found, [row.rmse for row in rows], lost), strict=True):
        middle, low, high = np.array(shown).reshape(-1, 3).T
        reach = np.maximum([middle - low, high - middle], 0)
        panel.errorbar(beside, middle, yerr=np.where(np.isfinite(reach), reach, 0), **style)
    panels[0].plot(middles, [row.root_bound for row in rows], color=colour, linewidth=1.2, linestyle=(0, (1, 1.5)))
    mismatched = np.sqrt([row.floor for row in rows])
    if np.isfinite(mismatched).any():
        panels[0].plot(middles, mismatched, color=colour, linewidth=1.2, linestyle=(0, (5, 1.5, 1, 1.5)))


def _aside(middles: np.ndarray, x: str, steps: float) -> np.ndarray:
    """Places shifted a little so that intervals do not hide each other."""
    if x == LOGARITHMIC:
        return middles * (1 + 0.008 * steps)
    width = middles[-1] - middles[0] if len(middles) > 1 else 1.0
    return middles + 0.004 * steps * width


def _dress(panels: Any, x: str, at: dict[Any, float], rows: list[Row], unit: str, label: str) -> None:
    """Labels, scales and ticks of a column of panels."""
    found, whole, lost = panels
    found.set_ylabel(f"RMSE of users found ({unit})")
    whole.set_ylabel(f"RMSE of all ({unit})")
    lost.set(ylabel="users lost (%)", xlabel=label)
    for panel in (found, whole):
        panel.set_yscale("log" if rows else "linear")
    lost.set_ylim(bottom=-1)
    ticks = sorted({at[row.point[x]] for row in rows})
    lost.set_xticks(ticks if len(ticks) <= 8 else ticks[1::2])
    if x == LOGARITHMIC and ticks:
        logarithmic(lost, ticks)
    if x in ORDINAL:
        ordinal(lost, x, at)
    for panel in panels:
        quiet(panel)
        if not any(row.samples for row in rows):
            panel.set_yticks([])
            panel.text(0.5, 0.5, "no such users", transform=panel.transAxes, ha="center", color=INK, fontsize=9.5)
