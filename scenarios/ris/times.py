"""Figs. 7, 9 and 11 of arXiv 2501.17868: seconds of a realization, beside the operations of the algorithm as printed.

Matplotlib is imported when a figure is drawn.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.sweep import TextTable, scenario_of
from scenarios.figures.claims import Claim, claims_table
from scenarios.figures.comparisons import BELOW, Finding, Region, Slope, TimeRatio
from scenarios.figures.style import COLOURS, INK, MARKERS, quiet
from scenarios.ris.axes import AXES, LOGARITHMIC, logarithmic, text_of
from scenarios.ris.localization import RisLocalization
from scenarios.ris.paper import beside_paper, differs_from_paper, experiment_table

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALLEST_IS_HARDEST = {"angle_step_rad"}
_MODELS = ("ff", "hybrid", "nf")
"""from the cheapest, as the paper has it"""


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
        """What to print of a run: the paper's claims beside ours, then every point."""
        judged = beside_paper(results, claims(results, times))
        return [claims_table(judged), _table(times), experiment_table(results)]

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


def claims(results: "xarray.Dataset", times: Times) -> list[Claim]:
    """What the paper says of time: the models' order, and how it grows along each axis. Judged by measured seconds."""
    differs = differs_from_paper(results)
    samples = results.seconds_of_tasks
    axes = [str(dim) for dim in samples.dims if dim not in ("model", "task")]
    by_model = {str(model): samples.sel(model=model) for model in samples.model.values}
    found = []
    if set(_MODELS) <= set(by_model):
        hardest = {dim: _ends(samples, dim)[1] for dim in axes}
        found.append(_models_in_order({model: part.sel(hardest).values for model, part in by_model.items()}, differs))
    if "n_cycles" in axes and "hybrid" in by_model:
        last = {dim: -1 for dim in axes if dim != "n_cycles"}
        operations = times.operations.sel(model="hybrid").isel(last)
        found.append(_order_in_cycles(by_model["hybrid"].isel(last), operations, differs))
    found += [_growth(part, model, dim, differs) for dim in axes for model, part in by_model.items()]
    a_task = math.ceil(results.sizes.get("realization", 1) / max(samples.sizes["task"], 1))
    return [replace(one, a_sample=a_task) for one in found]


def _models_in_order(seconds: dict[str, np.ndarray], differs: tuple[str, ...]) -> Claim:
    """far-field < hybrid < near-field, where the axes make it hardest."""
    comparisons = tuple(
        TimeRatio(f"{less} over {more}", seconds[less], seconds[more], Region(high=1.0))
        for less, more in itertools.pairwise(_MODELS)
    )

    def say(findings: Sequence[Finding]) -> str:
        return "time of " + ", ".join(f"{one.where} {_with_ends(one)}" for one in findings)

    return Claim("time: far-field model < hybrid < near-field model", "yes", comparisons, say, differs=differs)


def _growth(seconds: "xarray.DataArray", model: str, dim: str, differs: tuple[str, ...]) -> Claim:
    """Which way a model's time goes from the easiest value along an axis to the hardest, at the last of every other."""
    curve = seconds.isel({other: -1 for other in seconds.dims if other not in (dim, "task")})
    easy, hard = _ends(seconds, dim)
    over, under = (curve.sel({dim: end}).values for end in (hard, easy))
    ratio = TimeRatio(f"{hard:g} over {easy:g}", over, under, Region(low=1.0))

    def say(findings: Sequence[Finding]) -> str:
        return f"time at {hard:g} over that at {easy:g}: {_with_ends(findings[0])}"

    paper = "falls" if dim in _SMALLEST_IS_HARDEST else "rises"
    return Claim(f"time of the {model} model with {dim}", paper, (ratio,) if easy != hard else (), say, differs=differs)


def _order_in_cycles(seconds: "xarray.DataArray", operations: "xarray.DataArray", differs: tuple[str, ...]) -> Claim:
    """The exponent of growth with the number of cycles, as measured; beside it that of the algorithm as printed.

    seconds: (n_cycles, task) in any order. operations: (n_cycles,).
    """
    cycles, samples = np.meshgrid(seconds.n_cycles.values, seconds.task.values, indexing="ij")
    slope = Slope("C", cycles.ravel(), seconds.transpose("n_cycles", "task").values.ravel(), Region(1.75, 2.25))
    counted = Slope("C", operations.n_cycles.values, operations.values, Region()).judged(0.025)

    def say(findings: Sequence[Finding]) -> str:
        return f"time here as C^{_with_ends(findings[0])}"

    return Claim(
        "complexity order in the number of cycles C", "C²", (slope,) if samples.size else (), say,
        f"operations of the algorithm as printed C^{counted.value:.1f}; here new cycles cost their own rows only",
        better=BELOW, differs=differs,
    )  # fmt: skip


def _ends(values: "xarray.DataArray", dim: str) -> tuple[float, float]:
    """The easiest and the hardest value along an axis."""
    low, high = float(values[dim].min()), float(values[dim].max())
    return (high, low) if dim in _SMALLEST_IS_HARDEST else (low, high)


def _with_ends(one: Finding) -> str:
    if not math.isfinite(one.high):
        return f"{one.value:.2f} (no interval: {one.samples} task a point, needed 2 or more)"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
