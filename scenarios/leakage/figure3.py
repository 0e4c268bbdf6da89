"""Fig. 3 from stored results: the picture, the summary, and the paper's claims beside our numbers.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V. Matplotlib is imported when a figure is drawn.
"""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

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
    Claim,
    consistently,
    draw_errors,
    dress,
    label,
    ordered,
    orders,
    with_estimates,
)
from scenarios.leakage.figures import realizations_a_point
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OUTLIER_SHARE = 0.1
_TRAIN = "nearfield train leakage:amortised --set n_elements=… trains one; AmortisedDeepSets(checkpoint=…) uses it"

_QUANTITIES = {
    "range": ("squared_error_range_m2", "bcrlb_range_m2", "m²"),
    "angle": ("squared_error_angle_rad2", "bcrlb_angle_rad2", "rad²"),
}
_SUMMARIES = (
    "mean", "mean_low", "mean_high", "median", "outlier_rate", "outlier_rate_low", "outlier_rate_high",
)  # fmt: skip


class Row(NamedTuple):
    """One estimator at one point. Errors in m² or rad²; intervals at 95 %."""

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
    outlier_rate: float
    outlier_rate_low: float
    outlier_rate_high: float
    bound: float
    prior_variance: float


def summary(results: "xarray.Dataset") -> list[Row]:
    """Mean with interval, median and outlier rate of every estimator that has estimates, at every point.

    An error is an outlier, the user lost, when its square exceeds a tenth of the variance of a blind guess: by default
    errors beyond 0.91 m and 0.19 rad.
    """
    variances = dict(zip(_QUANTITIES, scenario_of(results, LeakageScene).variance_of_draws(), strict=True))
    results = _pooled(results)
    asked = with_estimates(results)
    rows = []
    for quantity, (error_name, bound_name, unit) in _QUANTITIES.items():
        dims = ("n_sensors", "n_snapshots", "noise_dbm", "estimator")
        errors = summarize(results[error_name], above=_OUTLIER_SHARE * variances[quantity]).transpose(*dims, ...)
        bounds = summarize(results[bound_name])["mean"].transpose(*dims[:3]).values
        columns = {name: errors[name].values for name in _SUMMARIES}
        for where in np.ndindex(errors["mean"].shape):
            if str(errors.estimator.values[where[3]]) not in asked:
                continue
            rows.append(
                Row(
                    int(errors.n_sensors[where[0]]),
                    int(errors.n_snapshots[where[1]]),
                    float(errors.noise_dbm[where[2]]),
                    str(errors.estimator.values[where[3]]),
                    quantity,
                    unit,
                    **{name: float(values[where]) for name, values in columns.items()},
                    bound=float(bounds[where[:3]]),
                    prior_variance=variances[quantity],
                )
            )
    return rows


def _pooled(results: "xarray.Dataset") -> "xarray.Dataset":
    """Sensor sets as further realizations, as the paper averages over them."""
    if "sensor_set" not in results.dims:
        return results
    varying = results[[name for name in results.data_vars if "realization" in results[name].dims]]
    pooled = varying.drop_vars("realization", errors="ignore").stack(
        pooled=("sensor_set", "realization"), create_index=False
    )
    return pooled.drop_vars("sensor_set", errors="ignore").rename(pooled="realization")


def claims(results: "xarray.Dataset") -> list[Claim]:
    """The paper's statements about its Fig. 3, each with our number and interval beside it."""
    rows = {
        (row.quantity, row.n_sensors, row.n_snapshots, row.noise_dbm, row.estimator): row for row in summary(results)
    }
    names = with_estimates(results)
    sensors, counts = (sorted(int(value) for value in results[axis].values) for axis in ("n_sensors", "n_snapshots"))
    noises = sorted(float(value) for value in results.noise_dbm.values)
    best = (sensors[-1], counts[-1], noises[0])
    table = []
    for quantity, paper in (("range", 0.7), ("angle", 1e-4)):
        lowest = min((rows[(quantity, *best, name)] for name in names), key=lambda row: row.mean)
        # Printed with one digit; a third either way also covers what another draw of heavy tails would give.
        agrees = lowest.mean_low <= paper * 4 / 3 and lowest.mean_high >= paper * 2 / 3
        where = f"σ² = {best[2]:g} dBm, K = {best[0]}, L = {best[1]}"
        squares = rows.get((quantity, *best, "least_squares"), lowest)
        beside = f"; least squares {squares.mean:.2g}" if squares is not lowest else ""
        table.append(
            Claim(
                f"lowest {quantity} error, {where}",
                f"{paper:g} {lowest.unit}",
                f"{lowest.mean:.2g} {lowest.unit} [{lowest.mean_low:.2g}, {lowest.mean_high:.2g}], "
                f"{label(lowest.estimator)}{beside}",
                agrees,
            )
        )
    table += orders(rows, results, names)
    if "least_squares" in names:
        table += [consistently(_pooled(results), name) for name in names if name in LEARNED]
    if {"posterior_mean", "least_squares"} <= set(names):
        table.append(
            ordered(rows, "a learned or optimal estimator is below least squares everywhere", [
                ((q, k, n, s, "least_squares"), (q, k, n, s, "posterior_mean"))
                for q in _QUANTITIES for k in sensors for n in counts for s in noises])
        )  # fmt: skip
    table.append(_bound_holds(rows))
    return table


def report(results: "xarray.Dataset") -> list[TextTable]:
    """What to print of a run: every point's errors, then the paper's claims beside ours."""
    headings = ("K", "L", "σ² (dBm)", "estimator", "mean ×÷", "median", "outliers", "bound", "prior")
    rows = summary(results)
    tables = [
        TextTable(
            f"Squared error of the {quantity} ({unit}); mean with the factor of its 95 % interval",
            headings,
            [_line(row) for row in rows if row.quantity == quantity],
        )
        for quantity, (_, _, unit) in _QUANTITIES.items()
    ]
    absent: list[tuple[str, ...]] = [
        (label(name), _TRAIN) for name in map(str, results.estimator.values) if name not in with_estimates(results)
    ]
    if absent:
        tables.append(TextTable("Not trained for this array and users' area", ("estimator", ""), absent))
    return [*tables, TextTable("The paper's claims", CLAIM_HEADINGS, [claim.line() for claim in claims(results)])]


def _line(row: Row) -> tuple[str, ...]:
    factor = row.mean_high / row.mean if row.mean else np.inf
    return (
        f"{row.n_sensors}",
        f"{row.n_snapshots}",
        f"{row.noise_dbm:g}",
        label(row.estimator),
        f"{row.mean:.2g} ×÷ {factor:.2f}",
        f"{row.median:.2g}",
        f"{100 * row.outlier_rate:.1f} % ({100 * row.outlier_rate_low:.1f}–{100 * row.outlier_rate_high:.1f})",
        f"{row.bound:.2g}",
        f"{row.prior_variance:.2g}",
    )


def _bound_holds(rows: dict[Any, Row]) -> Claim:
    """The paper's bound is one only where no estimator's error lies below it by more than Monte Carlo error."""
    known = [row for row in rows.values() if np.isfinite(row.mean)]
    below = [row for row in known if row.mean_high < row.bound]
    ours = f"errors lie below it at {len(below)} of {len(known)} points" if below or not known else "at every point"
    if below:
        row = min(below, key=lambda row: row.mean / row.bound)
        ours += (
            f", most at σ² = {row.noise_dbm:g} dBm, K = {row.n_sensors}, L = {row.n_snapshots}: {row.quantity} "
            f"{row.mean:.2g} {row.unit} against {row.bound:.2g}"
        )
    return Claim("the bound bounds every estimator", "yes", ours, bool(known) and not below)


def errors_against_noise(results: "xarray.Dataset") -> "Figure":
    """Mean squared error against noise power: a row for range and one for angle, a column for each K and L.

    Bars are 95 % intervals of the mean; small marks are medians, far below it where rare large errors make the mean.
    """
    from matplotlib.figure import Figure

    rows = summary(results)
    columns = sorted({(row.n_sensors, row.n_snapshots) for row in rows})
    names = list(dict.fromkeys(row.estimator for row in rows))
    figure = Figure(figsize=(2.2 + 2.75 * len(columns), 7.2), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False, sharex=True, sharey="row")
    for line, quantity in enumerate(_QUANTITIES):
        for column, (n_sensors, n_snapshots) in enumerate(columns):
            here = [
                row for row in rows
                if (row.quantity, row.n_sensors, row.n_snapshots) == (quantity, n_sensors, n_snapshots)
            ]  # fmt: skip
            _panel(axes[line, column], here, names)
            if not line:
                axes[line, column].set_title(f"K = {n_sensors}, L = {n_snapshots}", fontsize=11, color=INK)
            else:
                axes[line, column].set_xlabel("noise power σ² (dBm)")
        axes[line, 0].set_ylabel(f"squared error of the {quantity} ({_QUANTITIES[quantity][2]})")
        _frame(axes[line], [row for row in rows if row.quantity == quantity])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    scenario = json.loads(results.attrs["scenario"])
    truth = scenario["leakage"].replace("_", " ")
    assumed = ", ".join(dict.fromkeys(e["leakage"].replace("_", " ") for e in scenario["estimators"]))
    figure.suptitle(
        f"Locating a near-field user from far-field powers\ndata: {truth}   ·   estimators assume: {assumed}"
        f"   ·   least squares on {scenario['grid_ranges']} × {scenario['grid_angles']} candidates"
        f"   ·   {realizations_a_point(_pooled(results))} realizations a point",
        fontsize=11.5, color=INK,
    )  # fmt: skip
    return figure


def _panel(axes: "Axes", rows: list[Row], names: list[str]) -> None:
    noises = sorted({row.noise_dbm for row in rows})
    step = min(np.diff(noises)) if len(noises) > 1 else 5.0
    first = {row.noise_dbm: row for row in rows}
    axes.axhline(rows[0].prior_variance, color=FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="prior variance")
    axes.plot(noises, [first[x].bound for x in noises], color=INK, linewidth=1.4, linestyle="--", label="bound (BCRLB)")
    for i, name in enumerate(names):
        mine = sorted((row for row in rows if row.estimator == name), key=lambda row: row.noise_dbm)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        shift = step * 0.07 * (i - (len(names) - 1) / 2)
        x = draw_errors(axes, mine, shift, color=colour, marker=marker, linewidth=1.4, label=label(name))
        axes.plot(
            x, [row.median for row in mine], linestyle="none", marker=marker, markersize=3.2,
            markerfacecolor="white", markeredgecolor=colour, markeredgewidth=0.8, zorder=1.5,
            label="medians" if i == len(names) - 1 else "_",
        )  # fmt: skip
    dress(axes, noises)


def _frame(axes: Any, rows: list[Row]) -> None:
    """One scale for a row of panels: what is positive, with some air."""
    values = np.array([v for row in rows for v in (row.mean_low, row.mean_high, row.median, row.bound)])
    values = values[(values > 0) & np.isfinite(values)]  # of errors that were all zero, the interval has no end
    if len(values):
        axes[0].set_ylim(values.min() / 2, max(values.max(), rows[0].prior_variance) * 2)
