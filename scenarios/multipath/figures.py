"""Fig. 4 from stored results: errors under multipath, as a picture and as tables.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D. Matplotlib is imported when a figure is drawn.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.summary import summarize
from engine.sweep import TextTable, scenario_of
from scenarios.figures.errors import (
    CLAIM_HEADINGS,
    COLOURS,
    FAINT,
    INK,
    LEARNED,
    MARKERS,
    SQUARED_ERRORS,
    Claim,
    compared,
    consistently,
    draw_errors,
    dress,
    label,
    orders,
    with_estimates,
)
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUANTITIES = {"range": ("squared_error_range_m2", "m²"), "angle": ("squared_error_angle_rad2", "rad²")}
_TRAIN = "nearfield train multipath:conditioned trains some; --set checkpoints=DIR uses them (docs/multipath.md)"
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
    """Every estimator at every point where it has estimates.

    Sets of sensors share their users: a user's mean over the sets is one sample.
    """
    rows = []
    for quantity, (name, unit) in _QUANTITIES.items():
        dims = ("n_sensors", "n_snapshots", "noise_dbm", "estimator")
        users = results[name].mean("sensor_set", skipna=False, keep_attrs=True)
        found = summarize(users, quantiles=()).transpose(*dims, ...)
        medians = results[name].median(("realization", "sensor_set")).transpose(*dims).values
        for where in zip(*np.nonzero(np.isfinite(found["mean"].values)), strict=True):
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
                    f"{row.n_sensors}", f"{row.n_snapshots}", f"{row.noise_dbm:g}", _legend(row.estimator),
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
    excluded = TextTable("Users", ("included", "in a building", "reached by no path"), [tuple(counts)])
    stated = TextTable("The paper's claims", CLAIM_HEADINGS, [claim.line() for claim in claims(results)])
    learned = [_compared(results, name) for name in _learned(results)] or [
        TextTable("Learned estimators", ("none was trained for this place and these points",), [(_TRAIN,)])
    ]
    return [*tables, *learned, stated, excluded]


def _learned(results: "xarray.Dataset") -> list[str]:
    """Estimators that are networks and have estimates."""
    return [name for name in with_estimates(results) if name in LEARNED]


def _over_sets(results: "xarray.Dataset") -> "xarray.Dataset":
    """A user's means over the sensor sets, which share their users."""
    return results[list(SQUARED_ERRORS.values())].mean("sensor_set", skipna=False)


def _compared(results: "xarray.Dataset", name: str) -> TextTable:
    """A learned estimator beside the grid search and the posterior mean, point by point."""
    others = [other for other in ("least_squares", "posterior_mean") if other in results.estimator.values]
    against = {other: compared(_over_sets(results), name, other) for other in others}
    points = dict.fromkeys(at[1:] for comparisons in against.values() for at in comparisons)
    mark = {-1: "lower", 0: "–", 1: "higher"}
    lines = []
    for k, n, s in points:
        here = [against[other][quantity, k, n, s] for quantity in _QUANTITIES for other in others]
        lines.append((f"{k}", f"{n}", f"{s:g}", *(f"{one.ratio:.2f} {mark[one.sign]}" for one in here)))
    headings = (f"{quantity} over {label(other)}'s" for quantity in _QUANTITIES for other in others)
    return TextTable(
        f"{label(name)}: ratios of mean squared errors; lower or higher where the paired 95 % interval says so",
        ("K", "L", "σ² (dBm)", *headings),
        lines,
    )


def claims(results: "xarray.Dataset") -> list[Claim]:
    """What the paper says of its estimators under multipath: the grid search with ray-traced powers, and networks."""
    rows = {(r.quantity, r.n_sensors, r.n_snapshots, r.noise_dbm, r.estimator): r for r in summary(results)}
    names = [name for name in ("least_squares", *_learned(results)) if name in results.estimator.values]
    table = orders(rows, results, names)
    if "least_squares" in names:
        table += [consistently(_over_sets(results), name) for name in names[1:]]
    return table


def errors_against_noise(results: "xarray.Dataset") -> "Figure":
    """Mean squared error against noise power: range above, angle below, a column for each K and L.

    Solid: estimators that assume the ray-traced expected power; open and dashed: free space. Bars: 95 % intervals.
    """
    from matplotlib.figure import Figure

    rows = summary(results)
    columns = sorted({(row.n_sensors, row.n_snapshots) for row in rows})
    scene = scenario_of(results, MultipathScene)
    blind = dict(zip(_QUANTITIES, scene.variance_of_draws(), strict=True))
    figure = Figure(figsize=(2.2 + 2.75 * len(columns), 7.4), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False, sharex=True, sharey="row")
    for line, (quantity, (_, unit)) in enumerate(_QUANTITIES.items()):
        for column, (n_sensors, n_snapshots) in enumerate(columns):
            panel = axes[line, column]
            panel.axhline(blind[quantity], color=FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="blind guess")
            _panel(panel, [r for r in rows if (r.quantity, r.n_sensors, r.n_snapshots)
                           == (quantity, n_sensors, n_snapshots)])  # fmt: skip
            if line:
                panel.set_xlabel("noise power σ² (dBm)")
            else:
                panel.set_title(f"K = {n_sensors}, L = {n_snapshots}", fontsize=11, color=INK)
        axes[line, 0].set_ylabel(f"mean squared error of the {quantity} ({unit})")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
    figure.suptitle(
        f"Locating a near-field user from far-field powers under multipath      {scene.surroundings.name},"
        f" {results.sizes['sensor_set']} sets of sensors, {results.sizes['realization']} users",
        fontsize=11.5, color=INK,
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
        colour = COLOURS[kind % len(COLOURS)]
        draw_errors(
            axes, mine, step * 0.07 * (kind - (len(kinds) - 1) / 2),
            color=colour, marker=MARKERS[kind % len(MARKERS)], linewidth=1.5 if matched else 1.1,
            linestyle="-" if matched else (0, (4, 2)), markerfacecolor=colour if matched else "white",
            label=_legend(name),
        )  # fmt: skip
    dress(axes, noises)


def _legend(name: str) -> str:
    kind = label(name.removesuffix(_MISMATCHED))
    return f"{kind}, free space assumed" if name.endswith(_MISMATCHED) else kind
