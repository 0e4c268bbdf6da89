"""How much of Fig. 4 rests on the place being known: estimators that believe it to be otherwise.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D, takes the expected power of every candidate as known from ray
tracing. Here the table is traced in a place that differs in one thing, and the sensors' powers in the true one.
"""

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from engine import Sweep
from engine.estimators import LeastSquares, MaximumLikelihood, PosteriorMean
from engine.sweep import TextTable, scenario_of
from scenarios.figures.rows import Row, mean_text
from scenarios.figures.style import COLOURS, FAINT, INK, label, quiet
from scenarios.multipath.beliefs import Belief
from scenarios.multipath.estimation import MultipathEstimation
from scenarios.multipath.rows import summary as in_order
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ORDER = ("n_snapshots", "estimator", "noise_dbm", "believed")
_APART = 0.16
_ELSEWHERE = "_free_space"  # what such a table is made in is no place, whatever is believed


def summary(results: "xarray.Dataset") -> list[Row]:
    """Every estimator under every belief."""
    return in_order(results, _ORDER)


def report(results: "xarray.Dataset", rows: list[Row]) -> list[TextTable]:
    """A table for each quantity: a line for each belief, a column for each noise power."""
    return [_table(quantity, [row for row in rows if row.quantity == quantity]) for quantity in ("range", "angle")]


def _table(quantity: str, rows: list[Row]) -> TextTable:
    noises = sorted({row.point["noise_dbm"] for row in rows}, reverse=True)
    cells: dict[tuple[Any, ...], dict[float, str]] = {}
    for row in rows:
        believed = "whatever" if row.estimator.endswith(_ELSEWHERE) else row.point["believed"]
        key = row.estimator, row.point["n_snapshots"], believed
        cells.setdefault(key, {})[row.point["noise_dbm"]] = mean_text(row)
    lines = [
        (_named(name), f"{n}", belief, *(found.get(noise, "") for noise in noises))
        for (name, n, belief), found in cells.items()
    ]
    unit = rows[0].unit if rows else ""
    title = f"Mean squared error of the {quantity} ({unit}²) and the factor of its 95 % interval, by the place believed"
    return TextTable(title, ("estimator", "L", "believed", *(f"{noise:g} dBm" for noise in noises)), lines)


def _named(name: str) -> str:
    return label(name.removesuffix(_ELSEWHERE)) + (", free space assumed" if name.endswith(_ELSEWHERE) else "")


def errors_by_belief(results: "xarray.Dataset", rows: list[Row]) -> "Figure":
    """The range's root mean squared error under each belief: a panel an estimator, a colour a noise power."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.quantity == "range" and not row.estimator.endswith(_ELSEWHERE)]
    kinds = list(dict.fromkeys((row.estimator, row.point["n_snapshots"]) for row in rows))
    beliefs = list(dict.fromkeys(row.point["believed"] for row in rows))
    figure = Figure(figsize=(1.6 + 3.3 * len(kinds), 1.6 + 0.42 * len(beliefs)), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False, sharex=True, sharey=True)[0]
    for panel, (estimator, n) in zip(axes, kinds, strict=True):
        here = [row for row in rows if row.estimator == estimator and row.point["n_snapshots"] == n]
        _panel(panel, here, beliefs)
        panel.set_title(f"{_named(estimator)}, L = {n}", fontsize=11, color=INK)
        panel.set_xlabel("root mean squared error of the range (m)")
    axes[0].set_yticks(range(len(beliefs)), [_with_minus(belief) for belief in beliefs])
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False, fontsize=9.5
    )
    place = scenario_of(results, MultipathScene).surroundings.name
    figure.suptitle(
        f"What a table of expected powers is worth where the place is not as believed: {place}", fontsize=11.5
    )
    return figure


def _with_minus(text: str) -> str:
    return text.replace("-", "−")


def _panel(axes: "Axes", rows: list[Row], beliefs: list[str]) -> None:
    noises = sorted({row.point["noise_dbm"] for row in rows}, reverse=True)
    blind = float(np.sqrt(rows[0].blind))
    axes.axvline(blind, color=FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="blind guess")
    for number, noise in enumerate(noises):
        here = [row for row in rows if row.point["noise_dbm"] == noise]
        y = [beliefs.index(row.point["believed"]) + _APART * (number - (len(noises) - 1) / 2) for row in here]
        x = np.array([row.rmse.value for row in here])
        reach = np.array([[row.rmse.value - row.rmse.low, row.rmse.high - row.rmse.value] for row in here]).T
        axes.errorbar(x, y, xerr=np.maximum(reach, 0), fmt="o", markersize=4.5, elinewidth=1.0, capsize=2.0,
                      color=COLOURS[number % len(COLOURS)], label=_with_minus(f"{noise:g} dBm"))  # fmt: skip
    axes.set_xscale("log")
    for axis_part in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis_part(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "1235" else "")
    quiet(axes)
    axes.tick_params(which="minor", labelsize=9)


believed = Sweep(
    MultipathEstimation(
        n_sensors=40,
        sensor_sets=2,
        noise_dbm=(-65.0, -75.0, -85.0),
        n_snapshots=(50,),
        estimators=(
            LeastSquares(leakage="ray_traced"),
            MaximumLikelihood(leakage="ray_traced", steps=0),
            PosteriorMean(leakage="ray_traced", off_grid=False),
            LeastSquares(leakage="free_space", name="least_squares_free_space"),
        ),
    ),
    {"believed": get_args(Belief)},
    realizations=100,
    full=1000,
    block=50,
    chunk=50,
    name="multipath:believed",
    about="errors where the table's place is believed to be otherwise: heights, a building, materials, K = 40, L = 50",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
    summary=summary,
    figure=errors_by_belief,
    report=report,
)
