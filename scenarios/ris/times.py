"""Figs. 7, 9 and 11 of arXiv 2501.17868: seconds of a realization, beside the operations of the algorithm as printed.

Matplotlib is imported when a figure is drawn.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.sweep import TextTable, scenario_of
from scenarios.figures.claims import Claim, claims_table, verdict
from scenarios.figures.style import COLOURS, INK, MARKERS, quiet
from scenarios.ris.axes import AXES, LOGARITHMIC, logarithmic, text_of
from scenarios.ris.localization import RisLocalization

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALLEST_IS_HARDEST = {"angle_step_rad"}


class Times(NamedTuple):
    """What a realization costs, along the sweep's axes."""

    seconds: "xarray.DataArray"
    """of one core, measured here"""
    operations: "xarray.DataArray"
    """complex multiplications, of the algorithm as printed"""


@dataclass(frozen=True)
class TimeFigure:
    """One of the paper's figures of time. x: the axis that is its horizontal one."""

    title: str
    x: str

    def summary(self, results: "xarray.Dataset") -> Times:
        scene = scenario_of(results, RisLocalization)
        seconds = results.seconds_per_realization
        axes = {str(dim): seconds[dim].values.tolist() for dim in seconds.dims}
        counts = np.empty(seconds.shape)
        for where in np.ndindex(*seconds.shape):
            point = {name: values[i] for (name, values), i in zip(axes.items(), where, strict=True)}
            counts[where] = scene.replace(**point).printed_operations()
        return Times(seconds, seconds.copy(data=counts))

    def report(self, results: "xarray.Dataset", times: Times) -> list[TextTable]:
        """What to print of a run: every point, then the paper's claims beside ours."""
        return [_table(times), claims_table(claims(times))]

    def draw(self, results: "xarray.Dataset", times: Times) -> "Figure":
        """Measured seconds of a realization, and the multiplications of the algorithm as printed."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.4, 4.4), layout="constrained")
        panels = figure.subplots(1, 2)
        _draw(panels[0], times.seconds, self.x)
        panels[0].set_ylabel("seconds of one core, a realization")
        panels[0].set_title("measured here", fontsize=11, color=INK)
        _draw(panels[1], times.operations, self.x)
        panels[1].set_ylabel("complex multiplications, a realization")
        panels[1].set_title("the algorithm as printed", fontsize=11, color=INK)
        panels[0].legend(frameon=False, fontsize=9.5)
        figure.suptitle(self.title, fontsize=11.5, color=INK)
        return figure


def _draw(panel: "Axes", values: "xarray.DataArray", x: str) -> None:
    lines = values.transpose(..., x)
    others = [dim for dim in lines.dims if dim != x]
    for number, where in enumerate(np.ndindex(*(lines.sizes[dim] for dim in others))):
        at = dict(zip(others, where, strict=True))
        panel.plot(
            lines[x],
            lines.isel(at),
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            linewidth=1.4,
            label=", ".join(text_of(str(dim), lines[dim].values.tolist()[i]) for dim, i in at.items()),
        )
    panel.set_yscale("log" if np.isfinite(values).any() else "linear")
    panel.set_xlabel(AXES[x])
    quiet(panel)
    if x == LOGARITHMIC:
        logarithmic(panel, lines[x].values.tolist())
    else:
        panel.set_xticks(lines[x].values)


def _table(times: Times) -> TextTable:
    seconds, names = times.seconds, [str(dim) for dim in times.seconds.dims]
    lines = [
        (
            *(str(seconds[dim].values[i]) for dim, i in zip(names, where, strict=True)),
            f"{seconds.values[where]:.3g}",
            f"{times.operations.values[where]:.2g}",
        )
        for where in np.ndindex(*seconds.shape)
    ]
    return TextTable(
        "Time of a realization on one core, and complex multiplications of the algorithm as printed",
        (*names, "seconds", "multiplications"),
        lines,
    )


def claims(times: Times) -> list[Claim]:
    """What the paper says of time: the models' order, and how it grows along each axis."""
    seconds = times.seconds
    others = [str(dim) for dim in seconds.dims if dim != "model"]
    hardest = seconds.isel(
        {dim: int((np.argmin if dim in _SMALLEST_IS_HARDEST else np.argmax)(seconds[dim].values)) for dim in others}
    )
    cost = {str(model): float(hardest.sel(model=model)) for model in seconds.model.values}
    found = []
    if {"ff", "hybrid", "nf"} <= set(cost):
        in_order = sorted(cost.items(), key=lambda item: item[1])
        ours = " < ".join(f"{model} {value:.2g} s" for model, value in in_order)
        agrees = cost["ff"] < cost["hybrid"] < cost["nf"]
        found.append(Claim("time: far-field model < hybrid < near-field model", "yes", ours, verdict(agrees)))
    if "n_cycles" in others and "hybrid" in cost and max(seconds.n_cycles.values) / 2 in seconds.n_cycles.values:
        found.append(_order_in_cycles(times))
    varied = [dim for dim in others if seconds.sizes[dim] > 1]
    return [*found, *(_growth(seconds, model, dim) for dim in varied for model in cost)]


def _growth(seconds: "xarray.DataArray", model: str, dim: str) -> Claim:
    """Which way a model's time goes along an axis, at the last value of every other."""
    curve = seconds.sel(model=model)
    curve = curve.isel({other: -1 for other in curve.dims if other != dim})
    (low, first), (high, last) = sorted((float(curve[dim][i]), float(curve[i])) for i in (0, -1))
    paper = "falls" if dim in _SMALLEST_IS_HARDEST else "rises"
    found = "rises" if last > first else "falls" if last < first else "unknown"
    ours = f"{first:.2g} s at {low:g}, {last:.2g} s at {high:g}"
    return Claim(f"time of the {model} model with {dim}", paper, ours, verdict(found == paper))


def _order_in_cycles(times: Times) -> Claim:
    """The exponent of growth from half of the most cycles to all of them."""

    def order(values: "xarray.DataArray") -> float:
        last = float(values.n_cycles.max())
        ends = values.sel(model="hybrid", n_cycles=[last / 2, last]).values
        return float(np.log2(ends[1] / ends[0]))

    printed, here = order(times.operations), order(times.seconds)
    ours = f"counted as printed C^{printed:.1f}; time here C^{here:.1f}, as new cycles cost their own rows only"
    agrees = abs(printed - 2) < 0.5 and bool(np.isfinite(here))
    return Claim("complexity order in the number of cycles C", "C²", ours, verdict(agrees))
