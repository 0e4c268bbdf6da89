"""The quadratic phase, integrated over the aperture: Fresnel integrals."""

from typing import Any

from array_api_compat import array_namespace

from engine.numerics.aperture_integral import ApertureIntegral, Closed, Edges, aperture_bandwidth_rad
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel

Array = Any


def edges(array: UniformLinearArray, range_m: Array, angle_rad: Array) -> Edges:
    """T = (NΔ/2) s √(2/(λd)), τ = (u/s) √(2d/λ), u = cos θ − cos φ, s = |sin φ|."""
    xp = array_namespace(range_m, angle_rad)
    sin_phi, cos_phi = xp.sin(angle_rad), xp.cos(angle_rad)
    s, twice = xp.abs(sin_phi), 2 * range_m
    stretch = xp.sqrt(twice / array.wavelength_m)
    half_width = array.n_elements * array.spacing_m / array.wavelength_m * s / stretch
    cotangent = cos_phi / sin_phi
    return Edges(
        half_width,
        stretch / s,
        cos_phi,
        -half_width / twice,
        1 / twice,
        half_width * cotangent,
        stretch * (sin_phi / s),
        -cotangent,
    )


FRESNEL_CLOSED = LeakageModel(
    "fresnel_closed", ApertureIntegral(edges, Closed(factor=1.0, foreshortened=True)), aperture_bandwidth_rad
)
