"""The picture of an answer: the posterior near the user, and the array, the user and the sensors from afar."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.leakage.answer.answer import Answer, waves
from scenarios.leakage.answer.region import Plane
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import w_to_dbm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _REGION, _ARRAY = "#1b1f2a", "#d1495b", "#2e4057"
_PIXELS = 420
_MARGIN = 0.6
_SMALLEST = 0.02
"""of the area's width: no closer view"""


def picture(found: Answer, scene: LeakageEstimation) -> "Figure":
    """Left: density of the posterior over the plane, region and mean. Right: all sensors by their powers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.2), layout="constrained")
    near, far = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    _posterior(figure, near, found, scene)
    _sensors(figure, far, found, scene)
    posterior, fit = found.recommended.posterior, found.recommended.fit
    at = posterior if found.holds else found.recommended.likeliest
    where = f"{at.range_m:.2f} m, {math.degrees(at.angle_rad):.2f}°"
    if found.holds:
        by = f"± {posterior.deviation_range_m:.2g} m, ± {math.degrees(posterior.deviation_angle_rad):.2g}°"
        title = f"The user is at {where}  ({by}); fit {fit.p_text}"
    else:
        title = f"The model does not fit ({fit.p_text}): {where} is no measurement"
    figure.suptitle(title, color=_INK if found.holds else _REGION, fontsize=12, fontweight="bold")
    return figure


def _view(found: Answer, scene: LeakageEstimation) -> tuple[float, float, float, float]:
    """Ends along the array and ahead of it: all that holds mass, with a margin, in a square."""
    extent = found.recommended.posterior.extent
    other = found.other.posterior
    across, ahead = list(extent.y_m), list(extent.x_m)
    if "depends_on_model" in {remark.code for remark in found.remarks}:
        across, ahead = [*across, other.y_m], [*ahead, other.x_m]
    width = scene.user_range_max_m - scene.user_range_min_m
    half = max(max(across) - min(across), max(ahead) - min(ahead), _SMALLEST * width) * (0.5 + _MARGIN / 2)
    middle = (min(across) + max(across)) / 2, (min(ahead) + max(ahead)) / 2
    return middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half


def _posterior(figure: "Figure", axes: Any, found: Answer, scene: LeakageEstimation) -> None:
    left, right, low, high = _view(found, scene)
    along = np.linspace(left, right, _PIXELS)
    ahead = np.linspace(low, high, _PIXELS)
    y, x = np.meshgrid(along, ahead)
    plane = found.recommended.posterior.plane
    density, inside = _on_pixels(plane, np.hypot(x, y), np.arccos(y / np.maximum(np.hypot(x, y), 1e-12)))
    top = float(plane.density.max())
    shown = axes.imshow(
        np.ma.masked_less(density / top, 1e-4),
        origin="lower", extent=(left, right, low, high), cmap="YlGnBu", vmin=0, vmax=1, interpolation="bilinear",
    )  # fmt: skip
    _area(axes, scene)
    posterior = found.recommended.posterior
    if found.holds:
        if inside.any() and not inside.all():
            axes.contour(along, ahead, inside.astype(float), levels=[0.5], colors=_REGION, linewidths=1.6)
        axes.plot([], [], color=_REGION, label=f"{posterior.level:.0%} region".replace("%", " %"))
    axes.plot(posterior.y_m, posterior.x_m, "+", color=_REGION, ms=13, mew=2, label="posterior mean")
    if "depends_on_model" in {remark.code for remark in found.remarks}:
        other = found.other.posterior
        axes.plot(
            other.y_m, other.x_m, "x", color=_INK, ms=9, mew=1.6, label=f"were waves {waves(found.other.leakage)}"
        )
    axes.set(
        xlim=(left, right), ylim=(low, high), xlabel="along the array, y (m)", ylabel="ahead of the array, x (m)",
        title="Where the user is", aspect="equal",
    )  # fmt: skip
    axes.legend(loc="best", framealpha=0.9, fontsize=9)
    bar = figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("posterior density over its highest")


def _on_pixels(plane: Plane, range_m: np.ndarray, angle_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Density and region on pixels: each cell is painted, the coarse ones first."""
    density, inside = np.zeros(range_m.shape), np.zeros(range_m.shape, dtype=bool)
    flat_m, flat_rad = range_m.ravel(), angle_rad.ravel()
    order = np.argsort(flat_m)
    ascending = flat_m[order]
    for i in np.argsort(-(plane.range_high_m - plane.range_low_m)):
        first, last = np.searchsorted(ascending, (plane.range_low_m[i], plane.range_high_m[i]))
        rows = order[first:last]
        rows = rows[(flat_rad[rows] >= plane.angle_low_rad[i]) & (flat_rad[rows] <= plane.angle_high_rad[i])]
        density.ravel()[rows], inside.ravel()[rows] = plane.density[i], plane.inside[i]
    return density, inside


def _area(axes: Any, scene: LeakageEstimation) -> None:
    """The user's area, and the array at the origin."""
    angles = np.linspace(scene.user_angle_min_rad, scene.user_angle_max_rad, 181)
    near, far = scene.user_range_min_m, scene.user_range_max_m
    along = np.concatenate([far * np.cos(angles), near * np.cos(angles[::-1]), far * np.cos(angles[:1])])
    ahead = np.concatenate([far * np.sin(angles), near * np.sin(angles[::-1]), far * np.sin(angles[:1])])
    axes.plot(along, ahead, color="#8d99ae", lw=1.0, ls="--", label="the user's area")
    half = scene.array().aperture_m / 2
    axes.plot([-half, half], [0, 0], color=_ARRAY, lw=4, solid_capstyle="butt")


def _sensors(figure: "Figure", axes: Any, found: Answer, scene: LeakageEstimation) -> None:
    measured, posterior = found.measured, found.recommended.posterior
    y, x = measured.range_m * np.cos(measured.angle_rad), measured.range_m * np.sin(measured.angle_rad)
    power_dbm = np.array([w_to_dbm(float(power)) for power in measured.power_w])
    power_dbm = np.where(np.isfinite(power_dbm), power_dbm, np.nan)
    _area(axes, scene)
    dots = axes.scatter(y, x, c=power_dbm, cmap="plasma", s=42, edgecolor=_INK, linewidth=0.5, zorder=3)
    farthest = float(np.max(measured.range_m)) * 1.04
    axes.plot(
        [0, farthest * math.cos(posterior.angle_rad)], [0, farthest * math.sin(posterior.angle_rad)],
        color=_REGION, lw=1.0, zorder=1,
    )  # fmt: skip
    axes.plot(posterior.y_m, posterior.x_m, "+", color=_REGION, ms=10, mew=2, zorder=4)
    if not found.recommended.fit.holds:
        names = list(measured.labels)
        for one in found.recommended.fit.worst:
            k = names.index(one.sensor)
            axes.annotate(
                one.sensor, (y[k], x[k]), xytext=(6, 5), textcoords="offset points", fontsize=9, color=_REGION
            )
    axes.set(
        xlabel="along the array, y (m)", ylabel="ahead of the array, x (m)", title="What the sensors received",
        aspect="equal", ylim=(min(-3.0, -0.03 * farthest), None),
    )  # fmt: skip
    axes.annotate("array", (0, 0), xytext=(7, -1), textcoords="offset points", fontsize=9, color=_ARRAY)
    bar = figure.colorbar(dots, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("mean power (dBm)")
