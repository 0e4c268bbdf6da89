"""The leakage of one focal point as a picture: over angle in the far field, and over the plane.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Eq. (9); spherical waves everywhere. Matplotlib is imported when it is drawn.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import leakage
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.responses import phasor, spherical_path_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _FOCUS = "#2b2b2b", "#ffffff"
_DEEPEST_DB = -45.0


def default_array(n_elements: int = 100, carrier_hz: float = 15e9) -> UniformLinearArray:
    """The paper's array: half a wavelength apart."""
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / carrier_hz
    return UniformLinearArray(n_elements, wavelength_m / 2, wavelength_m)


def gain_over_plane(
    array: UniformLinearArray, *, range_m: float, angle_rad: float, across_m: np.ndarray, along_m: np.ndarray
) -> np.ndarray:
    """|b(place)ᴴ b(focus)|²/N at places `across_m` (X,) in front of the array and `along_m` (Y,) along it: (Y, X).

    N at the focus; what a beam would give without the spreading of a wave, so that its shape shows at every distance.
    """
    focus = phasor(spherical_path_difference(np.array(range_m), np.array(angle_rad), array.positions_m(np))[0], array)
    gain = np.empty((len(along_m), len(across_m)))
    for row, y in enumerate(along_m):
        place_m = np.hypot(across_m, y)
        delta, _, _ = spherical_path_difference(place_m, np.arccos(y / place_m), array.positions_m(np))
        gain[row] = np.abs(np.conj(phasor(delta, array)) @ focus) ** 2 / array.n_elements
    return gain


def leakage_map(
    *, range_m: float, angle_rad: float, array: UniformLinearArray | None = None, plane_m: float | None = None
) -> "Figure":
    """What a beam focused on (range, angle) sends elsewhere: a map of the plane, and the far field over the angle.

    range_m: of the focus, beyond the array's own length; angle_rad: from the array's axis, between 0 and π. plane_m:
    how far the map reaches, 2.2 times the range if None. Returns a matplotlib figure. Raises InputError.
    """
    from matplotlib.figure import Figure

    array = array or default_array()
    if not array.aperture_m < range_m < 1e6:
        raise InputError(f"range_m: given {range_m:g}, needed more than the array's own {array.aperture_m:.3g} m")
    if not 0 < angle_rad < math.pi:
        raise InputError(f"angle_rad: given {angle_rad:g}, needed an angle between 0 and π")
    reach_m = plane_m or max(2.2 * range_m, 6.0)
    across_m, along_m = np.linspace(0.02, reach_m, 480), np.linspace(-reach_m, reach_m, 720)
    gain = gain_over_plane(array, range_m=range_m, angle_rad=angle_rad, across_m=across_m, along_m=along_m)

    figure = Figure(figsize=(12.0, 5.6), layout="constrained")
    plane, far = figure.subplots(1, 2, width_ratios=(1.0, 1.45))
    level = 10 * np.log10(np.maximum(gain / array.n_elements, 1e-9))
    image = plane.pcolormesh(
        across_m, along_m, level, cmap="magma", vmin=_DEEPEST_DB, vmax=0, shading="auto", rasterized=True
    )
    half_m = array.aperture_m / 2
    plane.plot([0, 0], [-half_m, half_m], color="#3fa7d6", linewidth=5, solid_capstyle="butt", clip_on=False)
    plane.plot(
        range_m * math.sin(angle_rad), range_m * math.cos(angle_rad), marker="o", markersize=11, fillstyle="none",
        color=_FOCUS, markeredgewidth=1.4,
    )  # fmt: skip
    plane.set(xlabel="in front of the array (m)", ylabel="along the array (m)", aspect="equal")
    plane.set_title("beam gain over the plane", fontsize=11, color=_INK)
    bar = figure.colorbar(image, ax=plane, fraction=0.05, pad=0.02)
    bar.set_label("dB below the focus")
    bar.outline.set_visible(False)

    angles = np.linspace(0.0, math.pi, 3000)
    styles = [(range_m, "#d1495b", 1.8), (range_m * 2, "#2e6f9e", 1.2), (1e5, "#8c8c8c", 1.0)]
    for focus_m, colour, width in styles:
        pattern = leakage(
            SPHERICAL, array, range_m=np.array([focus_m]), angle_rad=np.array([angle_rad]), sensor_angle_rad=angles
        ).value[0]
        label = f"focus at {focus_m:g} m" if focus_m < 1e5 else "no focus: a plane wave"
        far.plot(
            np.degrees(angles), 10 * np.log10(np.maximum(pattern, 1e-9)), color=colour, linewidth=width, label=label
        )
    far.axvline(math.degrees(angle_rad), color=_INK, linewidth=0.7, linestyle=(0, (1, 2)))
    far.set(xlim=(0, 180), ylim=(-30, 10 * math.log10(array.n_elements) + 2))
    far.set_xticks(range(0, 181, 30))
    far.set(xlabel="direction from the array's axis (degrees)", ylabel="leakage g (dB)")
    far.set_title("leakage into the far field: its width tells the range, its place the angle", fontsize=11, color=_INK)
    far.grid(True, color="#e6e6e6", linewidth=0.7)
    far.legend(frameon=False, fontsize=9.5, loc="upper right")
    for side in ("top", "right"):
        far.spines[side].set_visible(False)
    figure.suptitle(
        f"A beam focused at {range_m:g} m, {math.degrees(angle_rad):.4g}°      "
        f"{array.n_elements} elements, λ = {array.wavelength_m * 1e3:.3g} mm, "
        f"far field beyond {array.rayleigh_range_m:.3g} m",
        fontsize=11.5, color=_INK,
    )  # fmt: skip
    return figure
