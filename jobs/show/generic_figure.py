"""A figure of any store: a statistic of each variable, with its interval, bounds and blind guess."""

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray

from engine import InputError
from jobs.show.curves import Pen, draw_beside, draw_distribution, draw_measured, entries
from jobs.show.metrics import Curve, Metric, beside, in_common, measured, metric, usual_metrics
from jobs.show.placement import Asked, Placement, place
from jobs.show.tables import left_out
from jobs.show.words import axis_title, is_text, number, said, tame
from scenarios.figures.panels import legend_below, legend_columns, titled
from scenarios.figures.style import quiet
from scenarios.figures.tails import MOST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_METRICS = 4
"""of those that nobody asked for"""
_MOST_COLUMNS = 5
_FEW_TICKS, _ROOM_OF_A_TICK = 8, 0.1
"""values that are all ticks, if neighbours are so far apart, as a share of the axis"""
_LONGEST_TITLE, _LETTERS_AN_INCH, _LETTERS_OF_A_PANEL = 160, 11, 32


class Line(NamedTuple):
    """A line of panels: one metric, where its dimensions go, and what stands beside it."""

    metric: Metric
    values: xarray.Dataset
    placement: Placement
    beside: list[Curve]

    def at(self, panel: tuple[int, ...]) -> dict[str, int]:
        """Where a panel lies along the dimensions that are neither on x nor told apart by colour."""
        single = [str(dim) for dim, size in self.values.sizes.items() if size == 1]
        return dict.fromkeys((*single, *self.placement.fixed), 0) | dict(zip(self.placement.panels, panel, strict=True))

    def panels(self) -> list[tuple[int, ...]]:
        return list(np.ndindex(*(self.values.sizes[dim] for dim in self.placement.panels)))


def figure_of(
    results: xarray.Dataset,
    *,
    asked: Asked = Asked(),  # noqa: B008  it is frozen
    metrics: Sequence[str] = (),
    log_y: bool | None = None,
) -> "Figure":
    """One line of panels for each metric; those of the sweep's highlights, at most four, if none is named.

    Bars are 95 % intervals; a hollow mark has none, for want of realizations. log_y: decided by the values if None.
    Raises InputError for a metric or dimension that there is not.
    """
    from matplotlib.figure import Figure

    named = [metric(text, results) for text in metrics]
    shown = named or usual_metrics(results)[:_MOST_METRICS]
    if not shown:
        raise InputError("these results have no variable with a number for each realization: there is nothing to draw")
    curves = in_common([beside(results, one) for one in shown])
    lines = [_line(results, one, asked, those) for one, those in zip(shown, curves, strict=True)]
    shapes = [_shape(len(line.panels())) for line in lines]
    width = max(7.5, 2.2 + 2.9 * max(columns for _, columns in shapes))
    legends = _shared(
        [entries(Pen.of(results, line.placement.hue) if line.placement.x else [], line.beside) for line in lines]
    )
    heights = [3.1 * rows + _legend_height(mine, width) for (rows, _), mine in zip(shapes, legends, strict=True)]
    figure = Figure(figsize=(width, 1.2 + sum(heights)), layout="constrained")
    parts = np.atleast_1d(np.asarray(figure.subfigures(len(lines), 1, height_ratios=heights), dtype=object))
    for part, line, shape, mine in zip(parts, lines, shapes, legends, strict=True):
        _draw(part, results, line, shape, log_y)
        if mine:
            legend_below(part, mine, [entry.get_label() for entry in mine])
    untold = [] if named else [one.variable for one in usual_metrics(results)[_MOST_METRICS:]]
    about = tame(str(results.attrs["about"] or results.attrs["name"]), _LONGEST_TITLE)
    titled(figure, textwrap.fill(about, int(_LETTERS_AN_INCH * width)), _facts(results, lines, untold))
    return figure


def _line(results: xarray.Dataset, one: Metric, asked: Asked, beside: list[Curve]) -> Line:
    values = measured(results, one)
    return Line(one, values, place(values["value"].rename(one.variable), results, asked), beside)


def _shape(panels: int) -> tuple[int, int]:
    """Rows and columns of so many panels."""
    rows = -(-panels // _MOST_COLUMNS)
    return rows, -(-panels // rows)


def _draw(part: Any, results: xarray.Dataset, line: Line, shape: tuple[int, int], log_y: bool | None) -> None:
    """One metric's panels."""
    axes = part.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    panels, x = line.panels(), line.placement.x
    for panel, at in zip(axes.flat, panels, strict=False):
        here = line.at(at)
        if x:
            pens = Pen.of(results, line.placement.hue)
            draw_beside(panel, results, line.beside, here, x, pens)
            draw_measured(panel, results, line.values.isel(here), x, pens)
        else:
            draw_distribution(panel, _stored(results, line, here), line.values.isel(here))
        quiet(panel)
        title = ", ".join(said(results, dim, here[dim]) for dim in line.placement.panels)
        panel.set_title(textwrap.fill(title, _LETTERS_OF_A_PANEL), fontsize=10)
    for panel in axes.flat[len(panels) :]:
        panel.set_visible(False)
    if not x:
        _name_distributions(axes, line, bool(log_y))
        return
    _scale_y(axes[0, 0], line, log_y)
    _scale_x(axes[0, 0], results, x)
    for column in axes.T:  # names below the last panel that there is
        last = [panel for panel in column if panel.get_visible()][-1]
        last.set_xlabel("" if is_text(results, x) else textwrap.fill(axis_title(results, x), 30))
        last.xaxis.set_tick_params(labelbottom=True)
    for row in axes:
        row[0].set_ylabel(_wrapped(line.values.attrs["text"]), fontsize=9.5)


def _wrapped(text: str) -> str:
    return textwrap.fill(tame(text, 100), 32)


def _stored(results: xarray.Dataset, line: Line, here: dict[str, int]) -> np.ndarray:
    """A variable's values at one point, which is all that there is, or all of a panel."""
    values = results[line.metric.variable]
    values = values.where(results.complete) if "complete" in results else values
    return np.ravel(values.isel({dim: i for dim, i in here.items() if dim in values.dims}).values).astype(float)


def _name_distributions(axes: Any, line: Line, log_y: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    for panel in axes[-1]:
        panel.set_xlabel(_wrapped(line.values.attrs["text"]))
    for panel in axes[:, 0]:
        panel.set_ylabel("realizations")
    if log_y:
        axes[0, 0].set_yscale("log")
    else:
        axes[0, 0].yaxis.set_major_locator(MaxNLocator(integer=True))


def _scale_y(panel: "Axes", line: Line, log_y: bool | None) -> None:
    """Logarithmic where all is positive and spans a factor of five, or as asked for; around what is drawn."""
    curves = [curve.values.values for curve in line.beside]
    parts = [np.ravel(part) for part in (*(line.values[name].values for name in ("value", "low", "high")), *curves)]
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    values = np.concatenate([np.ravel(line.values["value"].values), *map(np.ravel, curves)])
    values = values[np.isfinite(values)]
    positive = len(values) > 0 and values.min() > 0
    if log_y and not positive:
        raise InputError(f"--logy: {line.metric.variable} has values of 0 or less, or none: leave it out")
    if log_y or (log_y is None and positive and values.max() > 5 * values.min()):
        drawn = drawn[drawn > 0]
        panel.set_yscale("log")
        panel.set_ylim(drawn.min() / 1.5, drawn.max() * 1.5)
    elif len(drawn) and drawn.min() < drawn.max():
        room = 0.06 * (drawn.max() - drawn.min())
        panel.set_ylim(drawn.min() - room, drawn.max() + room)


def _scale_x(panel: "Axes", results: xarray.Dataset, x: str) -> None:
    """A few values are the ticks; what grows by a factor from one to the next is on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    if is_text(results, x):
        names = [said(results, x, i) for i in range(results.sizes[x])]
        panel.set_xticks(range(len(names)), [textwrap.fill(name, 14) for name in names], rotation=0)
        panel.set_xlim(-0.6, len(names) - 0.4)
        return
    values = results[x].values.astype(float) if x in results.coords else np.arange(results.sizes[x], dtype=float)
    if _grows_by_factors(values):
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_minor_formatter(NullFormatter())
    if panel.get_xscale() == "log" or _have_room(values):
        panel.xaxis.set_major_locator(FixedLocator(values.tolist()))
        panel.set_xticks(values, [number(value) for value in values.tolist()])


def _have_room(values: np.ndarray) -> bool:
    steps = np.diff(np.sort(values))
    return len(values) <= _FEW_TICKS and bool((steps > _ROOM_OF_A_TICK * steps.sum()).all())


def _grows_by_factors(values: np.ndarray) -> bool:
    values = np.sort(values)
    if len(values) < 3 or values[0] <= 0 or values[-1] < 8 * values[0]:
        return False
    factors, steps = values[1:] / values[:-1], np.diff(values)
    return bool(factors.max() / factors.min() < 0.5 * steps.max() / steps.min())


def _shared(legends: list[list[Any]]) -> list[list[Any]]:
    """The entries below each metric: of those that say the same, below the last alone."""
    texts = [[entry.get_label() for entry in entries] for entries in legends]
    followed = [later == text for text, later in itertools.pairwise(texts)]
    return [[] if again else mine for mine, again in zip(legends, [*followed, False], strict=True)]


def _legend_height(entries: list[Any], width: float) -> float:
    """In inches."""
    labels = [entry.get_label() for entry in entries]
    return 0.21 * -(-len(labels) // legend_columns(labels, width)) if labels else 0.0


def _facts(results: xarray.Dataset, lines: list[Line], untold: list[str]) -> list[str]:
    """What is to be known of the figure: realizations, intervals, what is shown at one value alone or not at all."""
    counts = np.concatenate([np.ravel(line.values["count"].values) for line in lines])
    least, most = int(counts.min()), int(counts.max())
    one_point = not any(line.placement.x for line in lines)
    bars = "shaded: 95 % intervals" if one_point else "bars: 95 % intervals"
    facts = [f"{least if least == most else f'{least} to {most}'} realizations a point", bars]
    if any(np.isnan(_reach(line.values)).any() for line in lines):
        facts.append("hollow: no interval, too few realizations")
    if any(line.placement.x and line.values["carried"].any() for line in lines):
        facts.append(f"hollow: one realization in a hundred makes over {100 * MOST:.0f} % of the mean")
    if missing := max(line.values.attrs["missing"] for line in lines):
        facts.append(left_out(missing))
    single = [str(dim) for dim in results.dims if dim != "realization" and results.sizes[dim] == 1]
    used = {str(dim) for line in lines for dim in line.values["value"].dims}
    facts += [said(results, dim, 0) for dim in single if dim in used]
    fixed = dict.fromkeys(dim for line in lines for dim in line.placement.fixed)
    facts += [f"{said(results, dim, 0)} alone, of {results.sizes[dim]} (--point)" for dim in fixed]
    return facts + ([f"not drawn: {', '.join(untold)} (--metric)"] if untold else [])


def _reach(values: xarray.Dataset) -> np.ndarray:
    """How far an interval reaches, NaN where there is a value and no interval; 0 where there is no value."""
    reach = (values["high"] - values["low"]).values
    reach = np.where(np.isfinite(reach), reach, np.nan)
    return np.where(np.isfinite(values["value"].values), reach, 0.0)
