"""The papers' figures, drawn from stored results. Matplotlib is imported when a figure is drawn."""

from typing import Any

import xarray

from engine.summary import summarize
from engine.sweep import scenario_of
from scenarios.leakage.scene import LeakageScene


def bound_against_sensors(results: xarray.Dataset) -> Any:
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
    styles = dict(zip(results.n_snapshots.values, ("-", "--", ":", "-."), strict=False))
    labels = (
        ("bcrlb_range_m2", "BCRLB of the range (m²)"),
        ("bcrlb_angle_rad2", "BCRLB of the angle (rad²)"),
    )
    for panel, (name, label), variance in zip(panels, labels, variances, strict=True):
        summary = summarize(results[name])
        for power in powers:
            for count in results.n_snapshots.values:
                line = summary.sel(noise_dbm=power, n_snapshots=count)
                style = styles.get(count, "-")
                panel.plot(line.n_sensors, line["mean"], style, color=colours[power], lw=1.5, marker="o", ms=3)
                panel.fill_between(
                    line.n_sensors, line["mean_low"], line["mean_high"], color=colours[power], alpha=0.2, lw=0
                )
        panel.axhline(variance, color="0.45", lw=1)
        panel.set(yscale="log", xlabel="number of sensors K", ylabel=label)
        panel.grid(which="major", alpha=0.3)
        panel.margins(x=0.02)
    entries = [Line2D([], [], color=colours[power], label=f"σ² = {power:g} dBm".replace("-", "−")) for power in powers]
    entries += [Line2D([], [], color="0.2", ls=style, label=f"L = {count}") for count, style in styles.items()]
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
    figure.suptitle(
        f"Mean of {realizations_a_point(results)} realizations, 95 % intervals shaded; leakage {truth}\n"
        f"Prior information {scenario.prior_information}; above the prior variance the “bound” is none",
        fontsize=10,
    )
    return figure


def realizations_a_point(results: xarray.Dataset) -> str:
    """How many are stored of each point: a number, or the range where points stopped at different ones."""
    counts = results.complete.sum("realization").values
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
