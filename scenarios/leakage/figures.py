"""Figs. 1 and 3 of arXiv 2605.21815, drawn from stored results. Matplotlib is imported when a figure is drawn."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

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
from scenarios.figures.rows import SQUARED_ERRORS, Row
from scenarios.figures.style import COLOURS, FAINT, INK, MARKERS, label
from scenarios.figures.tails import MOST, rests_on_few
from scenarios.leakage.rows import ORDER, SETS, realizations_a_point
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bound_against_sensors(results: "xarray.Dataset") -> "Figure":
    """Fig. 1 of arXiv 2605.21815: mean Bayesian bound on range and angle against the number of sensors.

    results: `bcrlb_range_m2` and `bcrlb_angle_rad2` over (n_sensors, realization, noise_dbm, n_snapshots). Shaded:
    95 % intervals of the means. Returns a matplotlib figure.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    scenario = scenario_of(results, LeakageScene)
    variances = scenario.prior_variance()
    figure = Figure(figsize=(10.5, 4.9), layout="constrained")
    panels = figure.subplots(1, 2)
    powers = results.noise_dbm.values
    colours = {power: colormaps["plasma"](0.85 * i / max(1, len(powers) - 1)) for i, power in enumerate(powers)}
    styles = dict(zip(results.n_snapshots.values, zip(("-", "--", ":", "-."), MARKERS, strict=False), strict=False))
    labels = (
        ("bcrlb_range_m2", "BCRLB of the range (m²)"),
        ("bcrlb_angle_rad2", "BCRLB of the angle (rad²)"),
    )
    carried = 0
    for panel, (name, ylabel), variance in zip(panels, labels, variances, strict=True):
        carried += _draw_bounds(panel, results[name], colours, styles)
        panel.axhline(variance, color="0.45", lw=1)
        panel.set(yscale="log", xlabel="number of sensors K", ylabel=ylabel)
        panel.grid(which="major", alpha=0.3)
        panel.margins(x=0.02)
        if results.sizes["n_sensors"] < 6:
            panel.set_xticks(results.n_sensors.values)
    entries = [Line2D([], [], color=colours[power], label=f"σ² = {power:g} dBm".replace("-", "−")) for power in powers]
    entries += [
        Line2D([], [], color="0.2", ls=style, marker=marker, ms=4, label=f"L = {count}")
        for count, (style, marker) in styles.items()
    ]
    entries += [Line2D([], [], color="0.45", lw=1, label="prior variance")]
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=len(entries),
        frameon=False,
        fontsize=8,
        columnspacing=1.4,
        handlelength=1.8,
    )
    truth = scenario.leakage.name
    few = f"\nHollow: near-singular sets of sensors, one draw in a hundred, make over {100 * MOST:.0f} % of the mean"
    figure.suptitle(
        f"Mean of {realizations_a_point(results)} realizations, 95 % intervals shaded; leakage {truth}\n"
        f"Prior information {scenario.prior_information}; above the prior variance the “bound” is none"
        + (few if carried else ""),
        fontsize=10,
    )
    return figure


def _draw_bounds(
    panel: "Axes", values: "xarray.DataArray", colours: dict[float, Any], styles: dict[int, tuple[str, str]]
) -> int:
    """A line for each noise power and number of snapshots, its interval shaded; how many means few draws carry."""
    from engine.summary import summarize

    bounds, few = summarize(values, quantiles=()), rests_on_few(values, unseen=False)
    for power, colour in colours.items():
        for count in bounds.n_snapshots.values:
            style, marker = styles.get(count, ("-", "o"))
            line = bounds.sel(noise_dbm=power, n_snapshots=count)
            panel.plot(line.n_sensors, line["mean"], style, color=colour, lw=1.5, marker=marker, ms=3)
            panel.fill_between(line.n_sensors, line["mean_low"], line["mean_high"], color=colour, alpha=0.2, lw=0)
            if line.sizes["n_sensors"] == 1:  # an area without width
                panel.vlines(line.n_sensors, line["mean_low"], line["mean_high"], color=colour, lw=1.0)
            hollow = line.isel(n_sensors=np.flatnonzero(few.sel(noise_dbm=power, n_snapshots=count).values))
            panel.plot(hollow.n_sensors, hollow["mean"], marker, ms=4, color=colour, markerfacecolor="white", zorder=3)
    return int(few.sum())


def errors_against_noise(results: "xarray.Dataset", summary: list[Row]) -> "Figure":
    """Fig. 3: mean squared error against noise power.

    Bars are 95 % intervals of the mean; small marks are medians, far below it where rare large errors make the mean.
    """
    names = list(dict.fromkeys(row.estimator for row in summary))
    figure, axes = panels_against_noise(
        summary, lambda panel, rows: _panel(panel, rows, names), height=7.2, ylabel="squared error"
    )
    for line, quantity in zip(axes, SQUARED_ERRORS, strict=True):
        _frame(line[0], [row for row in summary if row.quantity == quantity])
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    scenario = json.loads(results.attrs["scenario"])
    truth = scenario["leakage"].replace("_", " ")
    assumed = ", ".join(dict.fromkeys(e["leakage"].replace("_", " ") for e in scenario["estimators"]))
    on_grid = [e for e in scenario["estimators"] if e["class"].endswith(":LeastSquares")]
    grid = f"least squares on {scenario['grid_ranges']} × {scenario['grid_angles']} candidates"
    facts = (
        f"data: {truth}",
        f"estimators assume: {assumed}",
        *([grid] if on_grid else []),
        f"{realizations_a_point(results)} realizations a point",
        *words_on_estimates(results, summary),
    )
    titled(figure, "Locating a near-field user from far-field powers", facts)
    return figure


def words_on_estimates(results: "xarray.Dataset", summary: list[Row]) -> list[str]:
    """How many estimates are in none of the means, who has none, and how many may be wrong by their own check."""
    rows = [row for row in summary if row.quantity == "range"]
    excluded = excluded_words((row.estimator, row.excluded) for row in rows if row.samples)
    return [excluded, *absent_words(results, rows), *doubt_words(doubts_of(results, ORDER, (SETS,)))]


def _panel(axes: "Axes", rows: list[Row], names: list[str]) -> None:
    first = {row.point["noise_dbm"]: row.bound for row in rows}
    noises = sorted(first)
    axes.axhline(rows[0].blind, color=FAINT, linewidth=1.2, linestyle=(0, (1, 2)), label="prior variance")
    axes.plot(noises, [first[x] for x in noises], color=INK, linewidth=1.4, linestyle="--", label="bound (BCRLB)")
    for name, style, text in (("limit", "-", "exact limit"), ("floor", "-.", "bound (Weiss-Weinstein)")):
        means = {row.point["noise_dbm"]: getattr(row, name) for row in rows}
        if np.isfinite(list(means.values())).any():
            axes.plot(noises, [means[x] for x in noises], color=INK, linewidth=1.4, linestyle=style, label=text)
    for i, name in enumerate(names):
        mine = of_estimator(rows, name)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        shift = shift_dbm(rows, i, len(names))
        x = draw_errors(axes, mine, shift, color=colour, marker=marker, linewidth=1.4, label=label(name))
        axes.plot(
            x, [row.median for row in mine], linestyle="none", marker=marker, markersize=3.2,
            markerfacecolor="white", markeredgecolor=colour, markeredgewidth=0.8, zorder=1.5,
            label="medians" if i == len(names) - 1 else "_",
        )  # fmt: skip


def _frame(axes: "Axes", rows: list[Row]) -> None:
    """One scale for a row of panels: what is positive, with some air."""
    values = np.array(
        [value for row in rows for value in (row.mse.low, row.mse.high, row.median, row.bound, row.limit, row.floor)]
    )
    values = values[(values > 0) & np.isfinite(values)]  # of errors that were all zero, the interval has no end
    if len(values):
        axes.set_ylim(values.min() / 2, max(values.max(), rows[0].blind) * 2)
