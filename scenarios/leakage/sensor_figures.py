"""The error of the range against the range, with sensors at their distances: figure and table of `leakage:sensors`."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.sweep import TextTable, scenario_of
from scenarios.figures.doubts import doubt_tables, doubt_words, doubts_of, excluded_words
from scenarios.figures.rows import Interval
from scenarios.figures.style import COLOURS, FAINT, INK, MARKERS, label, quiet
from scenarios.leakage.plane_sensors import apparent_range_m
from scenarios.leakage.rows import realizations_a_point
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ORDER = ("user_at_m", "n_snapshots", "noise_dbm")
_HALF = 0.6745
"""Half of normal errors are smaller than so many deviations."""


class Point(NamedTuple):
    """One estimator's errors of the range (m) at one place of the sweep."""

    estimator: str
    user_m: float
    noise_dbm: float
    n_snapshots: int
    samples: int
    excluded: int
    """estimates that are not finite: in none of the numbers"""
    bias: Interval
    rmse: Interval
    median: float
    """of the errors"""
    half: Interval
    """half of the errors are smaller than this, whatever a few lost users do"""
    bound: float
    """what that would be for errors as small as the Cramér-Rao bounds"""
    expected: float
    """bias of plane waves, by 1/(1/d − 1/R)"""


def summary(results: "xarray.Dataset") -> list[Point]:
    """Every estimator at every point; estimates that are not finite are left out, and `samples` counts the others."""
    from engine.summary import summarize

    error = results.estimate_range_m - results.user_at_m
    stored = results.complete if "complete" in results else error * 0 + 1
    missing = ((stored == 1) & ~np.isfinite(error)).sum("realization")
    errors, squares = summarize(error, quantiles=()), summarize(results.squared_error_range_m2, quantiles=())
    bound = summarize(results.crb_range_m2, quantiles=())["median"]
    inverse = _mean_inverse_range(scenario_of(results, LeakageScene))
    points = []
    for where in np.ndindex(errors["mean"].shape):
        at = {dim: results[dim].values.tolist()[i] for dim, i in zip(errors["mean"].dims, where, strict=True)}
        one, square = errors.sel(at), squares.sel(at)
        points.append(
            Point(
                str(at["estimator"]),
                at["user_at_m"],
                at["noise_dbm"],
                at["n_snapshots"],
                int(one["count"]),
                int(missing.sel(at)),
                _interval(one, "mean"),
                _interval(square, "mean").root(),
                float(one["median"]),
                _interval(square, "median").root(),
                float(_HALF * np.sqrt(bound.sel({dim: value for dim, value in at.items() if dim in bound.dims}))),
                float(apparent_range_m(at["user_at_m"], inverse) - at["user_at_m"]),
            )
        )
    return points


def _interval(statistics: "xarray.Dataset", name: str) -> Interval:
    return Interval(*(float(statistics[f"{name}{end}"]) for end in ("", "_low", "_high")))


def _mean_inverse_range(scene: LeakageScene) -> float:
    """E[1/R], 1/m, of sensors whose ranges are uniform."""
    low, high = scene.sensor_range_min_m, scene.sensor_range_max_m
    return float(np.log(high / low) / (high - low))


def errors_against_range(results: "xarray.Dataset", summary: list[Point]) -> "Figure":
    """Bias and typical error of the range against the range: for the least noise and the most snapshots."""
    from matplotlib.figure import Figure

    least, most = min(point.noise_dbm for point in summary), max(point.n_snapshots for point in summary)
    shown = [point for point in summary if (point.noise_dbm, point.n_snapshots) == (least, most)]
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    bias, error = figure.subplots(1, 2)
    names = list(dict.fromkeys(point.estimator for point in shown))
    mine = sorted((point for point in shown if point.estimator == names[0]), key=lambda point: point.user_m)
    bias.axhline(0, color=FAINT, linewidth=0.9)
    bias.plot(
        *_curve([point.user_m for point in mine], results), color=INK, linewidth=1.3, linestyle="--",
        label="1/(1/d − 1/R) − d",
    )  # fmt: skip
    error.plot(
        [point.user_m for point in mine], [point.bound for point in mine], color=INK, linewidth=1.3, linestyle=":",
        label="Cramér-Rao bound",
    )  # fmt: skip
    for i, name in enumerate(names):
        here = sorted((point for point in shown if point.estimator == name), key=lambda point: point.user_m)
        _draw(bias, here, [point.bias for point in here], i)
        _draw(error, here, [point.half for point in here], i)
        bias.plot(
            [point.user_m for point in here], [point.median for point in here], linestyle="none", marker=MARKERS[i],
            markersize=3.4, markerfacecolor="white", markeredgecolor=COLOURS[i], zorder=3,
            label="medians" if i + 1 == len(names) else "_",
        )  # fmt: skip
    bias.set(xlabel="range of the user d (m)", ylabel="mean error of the range (m)")
    error.set(xlabel="range of the user d (m)", ylabel="half of the errors of the range are below (m)", yscale="log")
    for panel in (bias, error):
        quiet(panel)
    entries = dict(zip(*reversed(bias.get_legend_handles_labels()), strict=True))
    entries |= dict(zip(*reversed(error.get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    scene = scenario_of(results, LeakageScene)
    words = [excluded_words((one.estimator, one.excluded) for one in summary)]
    words += doubt_words(doubts_of(results, _ORDER))
    figure.suptitle(
        f"Sensors at {scene.sensor_range_min_m:g} to {scene.sensor_range_max_m:g} m, "
        f"taken as infinitely far away and as they stand\n"
        f"K = {scene.n_sensors}, L = {most}, σ² = {least:g} dBm, maximum likelihood, "
        f"{realizations_a_point(results)} realizations a point\n{'; '.join(words)}".replace("= -", "= −"),
        fontsize=11, color=INK,
    )  # fmt: skip
    return figure


def _curve(users_m: list[float], results: "xarray.Dataset") -> tuple[np.ndarray, np.ndarray]:
    range_m = np.linspace(min(users_m), max(users_m), 100)
    return range_m, apparent_range_m(range_m, _mean_inverse_range(scenario_of(results, LeakageScene))) - range_m


def _draw(axes: "Axes", points: list[Point], values: list[Interval], number: int) -> None:
    mean = np.array([value.value for value in values])
    reach = np.abs(np.array([[value.value - value.low, value.high - value.value] for value in values]).T)
    style: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 5}
    name = label(points[0].estimator)
    axes.errorbar(
        [point.user_m for point in points], mean, yerr=reach, linewidth=1.4, elinewidth=1.0, capsize=2.0,
        label=name, **style,
    )  # fmt: skip


def report(results: "xarray.Dataset", summary: list[Point]) -> list[TextTable]:
    """The errors of every estimator at every point."""
    headings = (
        "d (m)", "L", "σ² (dBm)", "estimator", "bias (m)", "median (m)", "plane (m)", "RMSE (m)", "half (m)",
        "bound (m)", "n", "excluded",
    )  # fmt: skip
    lines: list[tuple[str, ...]] = [
        (
            f"{one.user_m:g}",
            f"{one.n_snapshots}",
            f"{one.noise_dbm:g}",
            label(one.estimator),
            f"{one.bias.value:+.3f} ± {(one.bias.high - one.bias.low) / 2:.3f}",
            f"{one.median:+.3f}",
            f"{one.expected:+.3f}",
            f"{one.rmse.value:.3f}",
            f"{one.half.value:.3f}",
            f"{one.bound:.3f}",
            f"{one.samples}",
            f"{one.excluded}",
        )
        for one in summary
    ]
    title = (
        "Error of the range; plane: 1/(1/d − 1/R) − d; half: of the errors are below; bound: would be, at Cramér-Rao"
    )
    return [TextTable(title, headings, lines), *doubt_tables(doubts_of(results, _ORDER), ("d (m)", "L", "σ² (dBm)"))]
