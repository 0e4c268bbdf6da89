"""A place as a plan: buildings by their heights, the array, the users' area and the frame. Matplotlib when drawn."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.channels.surroundings import Surroundings, polygon, require_shapely
from scenarios.multipath.outlines import outline
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _GROUND, _WALL = "#26323a", "#7d8b93", "#f4f2ec", "#4a4a48"
_ARRAY, _USERS = "#c8402b", "#2f7fb5"
_MOST_LABELS = 45
_SMALLEST_LABELLED_M2 = 60.0
_ARROW_M = 14.0
_CORNER = (0.975, 1.055)
_SHADES = (0.08, 0.78)
_LABEL_RAD = np.radians(np.linspace(-10, 10, 9))


def plan(
    scene: MultipathScene, north: tuple[float, float] = (0.0, 1.0), assumed: frozenset[int] = frozenset()
) -> "Figure":
    """The place of a scene, seen from above.

    north: where it points, in x and y. assumed: numbers of the buildings whose height nobody knows.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    place = scene.surroundings
    figure = Figure(figsize=(11.0, 7.6), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(_GROUND)
    bounds = _steps(max((building.height_m for building in place.buildings), default=1.0))
    shades = colormaps["YlOrBr"](np.linspace(*_SHADES, len(bounds) - 1))
    _draw_buildings(axes, scene, assumed, lambda height_m: shades[np.searchsorted(bounds[1:-1], height_m)])
    _draw_users(axes, scene)
    _draw_array(axes, scene)
    _draw_north(axes, north)
    axes.set(
        xlabel="before the array (m)", ylabel="along the array (m)", aspect="equal",
        xlim=(place.west_m, place.east_m), ylim=(place.south_m, place.north_m),
    )  # fmt: skip
    axes.tick_params(colors=_INK)
    for spine in axes.spines.values():
        spine.set(color=_INK, linewidth=1.4)
    _draw_scale(figure, axes, bounds, shades)
    account = place.account
    axes.set_title(_title(scene), fontsize=12.5, color=_INK, loc="left", pad=22 if account.array else 8)
    if account.array:
        axes.text(
            0, 1.012, f"array at {account.array}", transform=axes.transAxes, fontsize=9.5, color=_FAINT, va="bottom"
        )
    return figure


def _title(scene: MultipathScene) -> str:
    account, place = scene.surroundings.account, scene.surroundings
    if not account.array:
        return f"{place.name}: {len(place.buildings)} buildings"
    return (
        f"{place.name}: {account.in_frame} of {account.found} buildings;  heights: {account.tagged} tagged, "
        f"{account.from_levels} from levels, {account.assumed} assumed (hatched)"
    )


def _steps(highest_m: float) -> np.ndarray:
    """Bounds of the colours: round numbers, five or so of them."""
    step = next(step for step in (2, 3, 5, 10, 20, 50, 100, 200) if highest_m / step <= 6)
    return np.arange(0, step * math.ceil(highest_m / step) + step, step, dtype=float)


def _draw_buildings(axes: "Axes", scene: MultipathScene, assumed: frozenset[int], colour: Any) -> None:
    """The lowest first, so that what is seen from above is on top."""
    from matplotlib.patches import PathPatch

    for number, building in sorted(enumerate(scene.surroundings.buildings), key=lambda pair: pair[1].height_m):
        axes.add_patch(PathPatch(
            outline(building), facecolor=colour(building.height_m), edgecolor=_WALL, linewidth=0.9, zorder=2,
            linestyle=(0, (3, 2)) if building.base_m else "-", hatch="////" if number in assumed else None,
            hatch_linewidth=0.25,
        ))  # fmt: skip
    _label_heights(axes, scene)


def _label_heights(axes: "Axes", scene: MultipathScene) -> None:
    """On the largest buildings, where their middle is in the frame."""
    place = scene.surroundings
    shapes = sorted(((polygon(one), one) for one in place.buildings), key=lambda pair: -pair[0].area)
    taken: list[tuple[float, float]] = []
    for shape, building in shapes[:_MOST_LABELS]:
        at = shape.representative_point()
        inside = place.west_m + 5 < at.x < place.east_m - 5 and place.south_m + 4 < at.y < place.north_m - 4
        if shape.area < _SMALLEST_LABELLED_M2 or not inside:
            continue
        if any(abs(at.x - x) < 14 and abs(at.y - y) < 6 for x, y in taken):
            continue
        taken.append((at.x, at.y))
        text = f"{building.base_m:.3g}–{building.height_m:.3g}" if building.base_m else f"{building.height_m:.3g}"
        axes.text(
            at.x, at.y, text, ha="center", va="center", fontsize=7.5, color=_INK, zorder=4,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "edgecolor": "none"},
        )  # fmt: skip


def _draw_users(axes: "Axes", scene: MultipathScene) -> None:
    """Where users are drawn, and sensors."""
    from matplotlib.patches import Wedge

    for who, alpha in (("user", 0.35), ("sensor", 0.10)):
        far, near, low, high = (
            getattr(scene, f"{who}_{what}") for what in ("range_max_m", "range_min_m", "angle_min_rad", "angle_max_rad")
        )
        ends = 90 - math.degrees(high), 90 - math.degrees(low)
        axes.add_patch(Wedge((0, 0), far, *ends, width=far - near, color=_USERS, alpha=alpha, linewidth=0, zorder=1.5))
        if who == "user":
            axes.annotate("users", (far * 0.5, far * 0.75), (22, 24), fontsize=9, color=_USERS, zorder=5,
                          arrowprops={"arrowstyle": "-", "color": _USERS, "linewidth": 0.8})  # fmt: skip
        else:
            at_rad = _clearest(scene.surroundings, (far + near) / 2)
            at = (far + near) / 2 * np.array([math.cos(at_rad), math.sin(at_rad)])
            axes.text(at[0], at[1], "sensors, where in sight", fontsize=9, color=_USERS, ha="center", va="center",
                      zorder=5, rotation=math.degrees(at_rad) - 90, clip_on=True)  # fmt: skip


def _clearest(place: Surroundings, radius_m: float) -> float:
    """The angle at which a label on this circle is farthest from every building."""
    shapely = require_shapely()
    shapes = shapely.union_all([polygon(building) for building in place.buildings])
    angles = np.radians(np.arange(-36, 37, 3))
    arcs = [
        shapely.linestrings(radius_m * np.stack([np.cos(a + _LABEL_RAD), np.sin(a + _LABEL_RAD)], axis=-1))
        for a in angles
    ]
    return float(angles[int(np.argmax(shapely.distance(arcs, shapes)))]) if place.buildings else 0.0


def _draw_array(axes: "Axes", scene: MultipathScene) -> None:
    half_m = max(scene.array().aperture_m / 2, 2.5)  # as long as one can see
    axes.plot([0, 0], [-half_m, half_m], color=_ARRAY, linewidth=4.5, solid_capstyle="butt", zorder=6)
    axes.annotate(
        "", (_ARROW_M, 0), (0, 0), zorder=6, arrowprops={"arrowstyle": "-|>", "color": _ARRAY, "linewidth": 1.6}
    )
    axes.text(-3, 0, "array", ha="right", va="center", fontsize=9.5, color=_ARRAY, zorder=6, fontweight="bold")


def _draw_north(axes: "Axes", north: tuple[float, float]) -> None:
    """Above the frame's upper right corner."""
    along = np.array(north)
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    arrow = {"arrowstyle": "-|>", "color": _INK, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", _CORNER, tuple(-20 * along), arrowprops=arrow, **where)
    axes.annotate("N", _CORNER, tuple(8 * along), ha="center", va="center", fontsize=10, color=_INK, **where)


def _draw_scale(figure: "Figure", axes: "Axes", bounds: np.ndarray, shades: np.ndarray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    scale = ScalarMappable(BoundaryNorm(bounds, len(shades)), ListedColormap(shades))
    bar = figure.colorbar(scale, ax=axes, fraction=0.03, pad=0.015, ticks=bounds)
    bar.set_label("height (m)", color=_INK)
    bar.outline.set_visible(False)
