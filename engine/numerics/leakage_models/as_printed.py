"""Eq. (10) of Mashhadi, Hoang, Vahid (arXiv 2605.21815) as the paper prints it.

Against Eq. (9) its arguments are doubled and sin φ is missing: its relative L2 error is 0.85 and its mean a quarter.
Kept because the paper's figures come from it.
"""

from typing import Any

from array_api_compat import array_namespace

from engine.numerics.aperture_integral import ApertureIntegral, Closed, Edges, aperture_bandwidth_rad
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel

Array = Any


def edges(array: UniformLinearArray, range_m: Array, angle_rad: Array) -> Edges:
    """β₁ = (N/2) √(8/(dλ)) Δ and β₂ = (cos θ − cos φ) √(8d/λ)."""
    xp = array_namespace(range_m, angle_rad)
    d, phi = xp.broadcast_arrays(range_m, angle_rad)
    stretch = xp.sqrt(8 * d / array.wavelength_m)
    beta_1 = 4 * array.n_elements / 2 * array.spacing_m / array.wavelength_m * 2 / stretch
    none = xp.zeros_like(d)
    return Edges(beta_1, stretch, xp.cos(phi), -beta_1 / (2 * d), 1 / (2 * d), none, stretch * xp.sin(phi), none)


def bandwidth_rad(array: UniformLinearArray) -> float:
    """4kNΔ: arguments twice as large, in a product of two."""
    return 4 * aperture_bandwidth_rad(array)


AS_PRINTED = LeakageModel(
    "as_printed", ApertureIntegral(edges, Closed(factor=2.0, foreshortened=False)), bandwidth_rad, aperture_phase=4.0
)
