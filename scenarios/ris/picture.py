"""A picture of one trial of family B: the scene from above with its estimates, and the beams cycle by cycle.

Matplotlib is imported when a figure is drawn.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from engine import InputError, Streams
from engine.numerics.wavefront import near_field_range_m, wave
from scenarios.ris.localization import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.sweeps import CLOSED_LOOP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _GRID = "#2b2b2b", "#8c8c8c", "#e6e6e6"
_USERS = ("#d1495b", "#2e6f9e", "#1b7f5c", "#8a6db1", "#c78a2c", "#5fb3b3")
_DEEPEST_DB = -25.0


def draw_trial(scene: RisLocalization | None = None, *, method: Method = CLOSED_LOOP, seed: int = 0) -> "Figure":
    """One trial of `method` at the scene's first signal-to-noise ratio, after its last cycle.

    scene: the default one at 10 dB if None. Returns a matplotlib figure: left the plan, from above, with the end of the
    near field at the surface's height; right the power that each of four cycles' beams collects from every direction,
    at the range of the first user above, from the far field below.
    """
    scene = scene or RisLocalization(snr_db=10.0)
    if seed < 0:
        raise InputError(f"seed: given {seed}, needed an integer ≥ 0")
    scene = scene.replace(methods=(method,), snr_db=scene.snr_db[0], recorded_cycles=())
    variables = scene.prepare(np)(scene.draw(Streams(seed, 0), 1), intermediates=True)
    trial = {name: np.asarray(values)[0] for name, (_, values, _) in variables.items()}

    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 6.6), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.0, 1.75))
    _plan(parts[0].subplots(), scene, trial)
    _beams(parts[1], scene, trial)
    error = np.sqrt(trial["squared_error_angle_rad2"][0, 0, 0])
    figure.suptitle(
        f"{method.name}, {scene.n_cycles} cycles at {scene.snr_db[0]:g} dB      "
        f"angle errors {', '.join(f'{1e3 * value:.2g}' for value in error)} mrad",
        fontsize=12, color=_INK,
    )  # fmt: skip
    return figure


def _from_above(range_m: Any, polar_rad: Any, azimuth_rad: Any) -> tuple[Any, Any]:
    """y and x of places: what is to the left of the surface is drawn to the left."""
    across = range_m * np.sin(polar_rad)
    return across * np.sin(azimuth_rad), across * np.cos(azimuth_rad)


def _plan(axes: "Axes", scene: RisLocalization, trial: dict[str, np.ndarray]) -> None:
    view = scene.view()
    azimuth = np.linspace(view.azimuth_min_rad, view.azimuth_max_rad, 200)
    level = np.full_like(azimuth, np.pi / 2)
    end_m = near_field_range_m(scene.surface(), level, azimuth)
    axes.fill(*_closed(_from_above(end_m, level, azimuth)), color="#f6e7d8", zorder=0, label="near field")
    edge = _from_above(np.full_like(azimuth, view.range_max_m), level, azimuth)
    axes.plot(*_closed(edge), color=_FAINT, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1, label="field of view")
    for user in range(scene.n_users):
        colour = _USERS[user % len(_USERS)]
        true = _from_above(*(trial[f"user_{part}"][user] for part in ("range_m", "polar_rad", "azimuth_rad")))
        found = _from_above(
            *(trial[f"estimate_{part}"][0, 0, 0, user] for part in ("range_m", "polar_rad", "azimuth_rad"))
        )
        marker = "o" if scene.user_fields()[user] == "near" else "s"
        axes.plot(*zip(true, found, strict=True), color=colour, linewidth=0.8, zorder=2)
        axes.plot(*true, marker, color=colour, markersize=9, markerfacecolor="none", markeredgewidth=1.6, zorder=3)
        axes.plot(*found, "x", color=colour, markersize=7, markeredgewidth=1.6, zorder=4)
        axes.annotate(f"user {user + 1}", true, (9, 4), textcoords="offset points", fontsize=9, color=colour)
    for k in range(scene.n_scatterers):
        place = _from_above(*(trial[f"scatterer_{part}"][k] for part in ("range_m", "polar_rad", "azimuth_rad")))
        axes.plot(
            *place, "^", color=_INK, markersize=8, markerfacecolor="none", zorder=3, label="_" if k else "scatterer"
        )
    kappa = trial["estimate_scatterer_inverse_range_per_m"][0, 0, 0]
    for k in np.flatnonzero(np.isfinite(kappa)).tolist():
        angles = (trial[f"estimate_scatterer_{part}"][0, 0, 0, k] for part in ("polar_rad", "azimuth_rad"))
        place = _from_above(min(1 / max(kappa[k], 1e-9), scene.range_max_m), *angles)
        axes.plot(*place, "+", color=_INK, markersize=9, markeredgewidth=1.3, zorder=4)
    half_m = (scene.elements_per_side - 1) * scene.spacing_m / 2
    axes.plot([-half_m, half_m], [0, 0], color="#3fa7d6", linewidth=6, solid_capstyle="butt", label="surface", zorder=5)
    axes.plot(
        scene.base_station_y_m,
        scene.base_station_x_m,
        "*",
        color="#c78a2c",
        markersize=13,
        label="base station",
        zorder=5,
    )
    axes.plot([], [], "o", color=_FAINT, markerfacecolor="none", markeredgewidth=1.6, label="near user")
    axes.plot([], [], "s", color=_FAINT, markerfacecolor="none", markeredgewidth=1.6, label="far user")
    axes.plot([], [], "x", color=_FAINT, markeredgewidth=1.6, label="estimate")
    axes.set(xlabel="along the surface, y (m)", ylabel="in front of the surface, x (m)", aspect="equal")
    axes.set_title("the scene from above", fontsize=11, color=_INK)
    axes.grid(True, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=4, frameon=False, fontsize=8.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _closed(edge: tuple[Any, Any]) -> tuple[Any, Any]:
    """An arc with its two straight sides to the origin."""
    return np.concatenate([[0], edge[0], [0]]), np.concatenate([[0], edge[1], [0]])


def _beams(part: Any, scene: RisLocalization, trial: dict[str, np.ndarray]) -> None:
    surface, view = scene.surface(), scene.view()
    beams = trial["beam"][0, 0]
    method = scene.methods[0]
    n_random = len(beams) if method.phases == "random" else scene.random_cycles(method)[0]
    first = min(n_random, len(beams) - 1)
    cycles = sorted({0, first, (first + len(beams)) // 2, len(beams) - 1})
    polar = np.linspace(view.polar_min_rad, view.polar_max_rad, 121)
    azimuth = np.linspace(view.azimuth_min_rad, view.azimuth_max_rad, 121)
    directions = [np.ascontiguousarray(grid) for grid in np.meshgrid(polar, azimuth, indexing="ij")]
    ranges = (float(trial["user_range_m"][0]), np.inf)
    panels = part.subplots(2, len(cycles), sharex=True, sharey=True, squeeze=False)
    for row, range_m in zip(panels, ranges, strict=True):
        collected = wave(surface, np.full_like(directions[0], 1 / range_m), *directions) @ beams[cycles].T
        level = 10 * np.log10(np.abs(collected) ** 2 / surface.n_elements)
        top = float(level.max())
        for i, (axes, cycle) in enumerate(zip(row, cycles, strict=True)):
            image = axes.pcolormesh(
                np.degrees(azimuth), np.degrees(polar), level[..., i], cmap="magma", vmin=top + _DEEPEST_DB, vmax=top,
                shading="auto", rasterized=True,
            )  # fmt: skip
            for user in range(scene.n_users):
                near = scene.user_fields()[user] == "near"
                if near != np.isfinite(range_m):
                    continue
                place = [np.degrees(trial[f"user_{angle}_rad"][user]) for angle in ("azimuth", "polar")]
                marker = "o" if near else "s"
                axes.plot(*place, marker, color="white", markersize=8, markerfacecolor="none", markeredgewidth=1.8)
                axes.plot(*place, marker, color=_USERS[user % len(_USERS)], markersize=8, markerfacecolor="none")
            if np.isfinite(range_m):
                kind = "random" if cycle < n_random else "optimised"
                axes.set_title(f"cycle {cycle + 1}, {kind}", fontsize=10.5, color=_INK)
        row[0].set_ylabel(
            f"at {range_m:.2g} m: polar angle (°)" if np.isfinite(range_m) else "from far away: polar angle (°)"
        )
        bar = part.colorbar(image, ax=list(row), fraction=0.02, pad=0.01)
        bar.set_label("dB above random phases", fontsize=9)
        bar.outline.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("azimuth (°)")
    panels[0][0].invert_yaxis()
