"""Fig. 4 from stored results: errors under multipath, as a picture and as tables.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D. Matplotlib is imported when a figure is drawn.
"""

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.summary import summarize
from engine.sweep import TextTable, scenario_from

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUANTITIES = {"range": ("squared_error_range_m2", "m²"), "angle": ("squared_error_angle_rad2", "rad²")}
_COLOURS = ("#d1495b", "#2e6f9e", "#1b7f5c", "#8a6db1", "#c78a2c")
_MARKERS = ("o", "s", "D", "^", "v")
_INK, _FAINT = "#2b2b2b", "#8c8c8c"
_MISMATCHED = "_free_space"


class Row(NamedTuple):
    """One estimator at one point: mean of its squared errors over users and sets, 95 % interval, and median."""

    n_sensors: int
    n_snapshots: int
    noise_dbm: float
    estimator: str
    quantity: str
    unit: str
    mean: float
    mean_low: float
    mean_high: float
    median: float


def summary(results: "xarray.Dataset") -> list[Row]:
    """Every estimator at every point. Sets of sensors share their users: a user's mean over the sets is one sample."""
    rows = []
    for quantity, (name, unit) in _QUANTITIES.items():
        dims = ("n_sensors", "n_snapshots", "noise_dbm", "estimator")
        users = results[name].mean("sensor_set", skipna=False, keep_attrs=True)
        found = summarize(users, quantiles=()).transpose(*dims, ...)
        medians = results[name].median(("realization", "sensor_set")).transpose(*dims).values
        for where in np.ndindex(found["mean"].shape):
            rows.append(
                Row(
                    int(found.n_sensors[where[0]]),
                    int(found.n_snapshots[where[1]]),
                    float(found.noise_dbm[where[2]]),
                    str(found.estimator.values[where[3]]),
                    quantity,
                    unit,
                    float(found["mean"].values[where]),
                    float(found["mean_low"].values[where]),
                    float(found["mean_high"].values[where]),
                    float(medians[where]),
                )
            )
    return rows


def report(results: "xarray.Dataset") -> list[TextTable]:
    """What to print of a run: every point's errors, and how many users were excluded."""
    headings = ("K", "L", "σ² (dBm)", "estimator", "mean ×÷", "median")
    rows = summary(results)
    tables = [
        TextTable(
            f"Squared error of the {quantity} ({unit}) under multipath; mean with the factor of its 95 % interval",
            headings,
            [
                (
                    f"{row.n_sensors}", f"{row.n_snapshots}", f"{row.noise_dbm:g}", _label(row.estimator),
                    f"{row.mean:.2g} ×÷ {row.mean_high / row.mean if row.mean else 1.0:.2f}", f"{row.median:.2g}",
                )
                for row in rows if row.quantity == quantity
            ],
        )
        for quantity, (_, unit) in _QUANTITIES.items()
    ]  # fmt: skip
    users = results.excluded.isel(n_sensors=0).values
    users = users[np.isfinite(users)].astype(int)
    counts = [str(int(np.count_nonzero(users == kind))) for kind in range(3)]
    return [*tables, TextTable("Users", ("included", "in a building", "reached by no path"), [tuple(counts)])]


def errors_against_noise(results: "xarray.Dataset") -> "Figure":
    """Mean squared error against noise power: range above, angle below, a column for each K and L.

    Solid: estimators that assume the ray-traced expected power; open and dashed: free space. Bars: 95 % intervals.
    """
    from matplotlib.figure import Figure

    rows = summary(results)
    columns = sorted({(row.n_sensors, row.n_snapshots) for row in rows})
    scene = scenario_from(results.attrs["scenario_class"], json.loads(results.attrs["scenario"]))
    blind = dict(zip(_QUANTITIES, scene.variance_of_draws(), strict=True))  # type: ignore[attr-defined]
    figure = Figure(figsize=(2.2 + 2.75 * len(columns), 7.4), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False, sharex=True, sharey="row")
    for line, (quantity, (_, unit)) in enumerate(_QUANTITIES.items()):
        for column, (n_sensors, n_snapshots) in enumerate(columns):
            panel = axes[line, column]
            panel.axhline(blind[quantity], color=_FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="blind guess")
            _panel(panel, [r for r in rows if (r.quantity, r.n_sensors, r.n_snapshots)
                           == (quantity, n_sensors, n_snapshots)])  # fmt: skip
            if line:
                panel.set_xlabel("noise power σ² (dBm)")
            else:
                panel.set_title(f"K = {n_sensors}, L = {n_snapshots}", fontsize=11, color=_INK)
        axes[line, 0].set_ylabel(f"mean squared error of the {quantity} ({unit})")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
    figure.suptitle(
        f"Locating a near-field user from far-field powers under multipath      {scene.surroundings.name},"  # type: ignore[attr-defined]
        f" {results.sizes['sensor_set']} sets of sensors, {results.sizes['realization']} users",
        fontsize=11.5, color=_INK,
    )  # fmt: skip
    return figure


def _panel(axes: "Axes", rows: list[Row]) -> None:
    names = list(dict.fromkeys(row.estimator for row in rows))
    kinds = list(dict.fromkeys(name.removesuffix(_MISMATCHED) for name in names))
    noises = sorted({row.noise_dbm for row in rows})
    step = min(np.diff(noises)) if len(noises) > 1 else 5.0
    for name in names:
        kind = kinds.index(name.removesuffix(_MISMATCHED))
        matched = not name.endswith(_MISMATCHED)
        mine = sorted((row for row in rows if row.estimator == name), key=lambda row: row.noise_dbm)
        x = np.array([row.noise_dbm for row in mine]) + step * 0.07 * (kind - (len(kinds) - 1) / 2)
        mean = np.array([row.mean for row in mine])
        reach = np.array([[row.mean - row.mean_low, row.mean_high - row.mean] for row in mine]).T
        colour = _COLOURS[kind % len(_COLOURS)]
        axes.errorbar(
            x, mean, yerr=reach, color=colour, marker=_MARKERS[kind % len(_MARKERS)], markersize=4.5, elinewidth=1.0,
            linewidth=1.5 if matched else 1.1, linestyle="-" if matched else (0, (4, 2)), capsize=2.0,
            markerfacecolor=colour if matched else "white", label=_label(name),
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xticks(noises)
    axes.grid(True, which="major", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9)


def _label(name: str) -> str:
    kind = name.removesuffix(_MISMATCHED).replace("_", " ")
    return f"{kind}, free space assumed" if name.endswith(_MISMATCHED) else kind
