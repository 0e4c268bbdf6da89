"""How one panel of a figure of any store is drawn: means with their intervals, bounds, a blind guess."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray

from jobs.show.metrics import Curve
from jobs.show.words import is_index, is_text, said, tame
from scenarios.figures.style import COLOURS, FAINT, INK, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES: tuple[Any, ...] = ("--", "-.", (0, (10, 3)), (0, (5, 1, 1, 1, 1, 1)))
_LONGEST = 64
"""letters of a bound's description in a legend"""
_DOTS: Any = (0, (1, 2))
_ASIDE, _ASIDE_AT_MOST = 0.045, 0.018
"""Shares of the least step along x, and of all of it, by which curves are apart, so that no interval hides another."""


class Pen(NamedTuple):
    """How one value of the dimension that colours tell apart is drawn."""

    at: dict[str, int]
    colour: Any
    marker: str
    text: str

    @classmethod
    def of(cls, results: xarray.Dataset, hue: str) -> "list[Pen]":
        """One for each value; names in colours that are far apart, numbers along a scale. No two are the same."""
        if not hue:
            return [cls({}, COLOURS[1], MARKERS[0], "")]
        count = results.sizes[hue]
        return [
            cls({hue: i}, colour, MARKERS[(i + i // len(COLOURS)) % len(MARKERS)], said(results, hue, i))
            for i, colour in enumerate(_colours(count, is_text(results, hue) or is_index(results, hue)))
        ]


def _colours(count: int, named: bool) -> list[Any]:
    from matplotlib import colormaps

    if named:
        return [COLOURS[i % len(COLOURS)] for i in range(count)]
    return [colormaps["plasma"](0.85 * i / max(1, count - 1)) for i in range(count)]


def draw_measured(panel: "Axes", results: xarray.Dataset, values: xarray.Dataset, x: str, pens: Sequence[Pen]) -> None:
    """Marks with intervals, joined along numbers; a mark without one, or that few realizations carry, is hollow."""
    joined = bool(x) and not is_text(results, x) and not is_index(results, x)
    for number, pen in enumerate(pens):
        one = values.isel(pen.at)
        value, low, high = (np.atleast_1d(one[name].values).astype(float) for name in ("value", "low", "high"))
        at = _positions(results, x, len(value), number - (len(pens) - 1) / 2, len(pens))
        known = np.isfinite(low) & np.isfinite(high)
        reach = np.where(known, [value - low, high - value], np.nan).clip(min=0)
        sure = known & ~np.atleast_1d(one["carried"].values)
        panel.errorbar(
            at, value, yerr=reach, color=pen.colour, linewidth=1.4, linestyle="-" if joined else "none",
            elinewidth=1.0, capsize=2.0,
        )  # fmt: skip
        style: dict[str, Any] = {"linestyle": "none", "marker": pen.marker, "markersize": 4.5, "zorder": 3}
        panel.plot(at[sure], value[sure], color=pen.colour, **style)
        hollow = style | {"markerfacecolor": "white", "markeredgecolor": pen.colour}
        panel.plot(at[~sure], value[~sure], **hollow)


def draw_beside(
    panel: "Axes", results: xarray.Dataset, curves: Sequence[Curve], at: Mapping[str, int], x: str, pens: Sequence[Pen]
) -> None:
    """Bounds and blind guess, once where they are the same for all that colours tell apart, else in their colours."""
    for curve, style in zip(curves, styles(curves), strict=True):
        here = curve.values.isel({dim: i for dim, i in at.items() if dim in curve.values.dims})
        coloured = [pen for pen in pens if pen.at.keys() & set(here.dims)]
        for pen in coloured:
            _draw_curve(panel, results, here.isel(pen.at), x, style | {"color": pen.colour})
        if not coloured:
            _draw_curve(panel, results, here, x, style)


def _draw_curve(
    panel: "Axes", results: xarray.Dataset, values: xarray.DataArray, x: str, style: dict[str, Any]
) -> None:
    if x not in values.dims:
        panel.axhline(float(values), zorder=1, **style)
    elif is_text(results, x):
        for i, value in enumerate(values.values.tolist()):
            panel.plot([i - 0.4, i + 0.4], [value, value], zorder=1, **style)
    else:
        panel.plot(_positions(results, x, values.sizes[x], 0, 1), values.values, zorder=1, **style)


def styles(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Bounds are dashed, each in its way, a blind guess is dotted."""
    made, bounds = [], 0
    for curve in curves:
        dashes = _DASHES[bounds % len(_DASHES)] if curve.is_bound else _DOTS
        bounds += curve.is_bound
        made.append({"color": INK if curve.is_bound else FAINT, "linewidth": 1.2, "linestyle": dashes})
    return made


def entries(pens: Sequence[Pen], curves: Sequence[Curve]) -> list[Any]:
    """What a legend says: each colour with its marker, where there are several, then what stands beside."""
    from matplotlib.lines import Line2D

    found = [
        Line2D([], [], color=pen.colour, marker=pen.marker, markersize=4.5, linewidth=1.4, label=pen.text)
        for pen in pens
        if pen.text
    ]
    drawn = zip(curves, styles(curves), strict=True)
    return found + [Line2D([], [], label=tame(curve.text, _LONGEST), **style) for curve, style in drawn]


def draw_distribution(panel: "Axes", values: np.ndarray, measured: xarray.Dataset) -> None:
    """Of one number at one point: how its realizations are spread, and the statistic with its interval, shaded."""
    values = values[np.isfinite(values)]
    colour = COLOURS[1]
    if len(values):
        low, high = values.min(), values.max()
        bins = max(8, min(40, round(len(values) ** 0.5)))
        edges: Any = np.geomspace(low, high, bins + 1) if low > 0 and high > 100 * low else bins
        panel.set_xscale("log" if low > 0 and high > 100 * low else "linear")
        panel.hist(values, edges, color=colour, alpha=0.45)
    value, ends = float(measured["value"]), [float(measured[name]) for name in ("low", "high")]
    panel.axvline(value, color=INK, linewidth=1.4)
    if np.isfinite(ends).all():
        panel.axvspan(*ends, color=INK, alpha=0.15, linewidth=0)


def _positions(results: xarray.Dataset, x: str, count: int, aside: float, of: int) -> np.ndarray:
    """Where marks stand along x, those of one curve a little aside of the others'."""
    if not x or is_text(results, x) or x not in results.coords:
        return np.arange(count) + aside * min(0.12, 0.7 / of)
    values = results[x].values.astype(float)
    steps = np.diff(np.sort(values))
    apart = min(_ASIDE * steps.min(), _ASIDE_AT_MOST * steps.sum()) if len(steps) else 0.0
    return values + aside * apart
