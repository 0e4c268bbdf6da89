"""Array responses: the extra path of each element in the near field, and its phase.

Symbols: d range (m), φ angle from the array's axis (rad), x_n element coordinate (m), δ_n = d_n − d (m).
A path difference is formed in double precision before it is multiplied by k: kd itself is ~10⁴ rad.
"""

from typing import Any

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformLinearArray

Array = Any


def spherical_path_difference(range_m: Array, angle_rad: Array, positions_m: Array) -> tuple[Array, Array, Array]:
    """δ_n of the exact spherical wave, and ∂δ_n/∂d, ∂δ_n/∂φ (Mashhadi et al., Eq. 1 and 3, first line).

    range_m, angle_rad: (...); positions_m: (N,). Returns three arrays (..., N), in m, 1, m/rad.
    """
    xp = array_namespace(range_m, angle_rad, positions_m)
    d, phi, x = range_m[..., None], angle_rad[..., None], positions_m
    cosine = xp.cos(phi)
    distance = xp.sqrt(d * d + x * x - 2 * d * x * cosine)  # Eq. (1)
    delta = (x * x - 2 * d * x * cosine) / (distance + d)  # d_n − d without cancellation
    by_range = -(delta + x * cosine) / distance  # (d − x cos φ)/d_n − 1
    by_angle = d * x * xp.sin(phi) / distance
    return delta, by_range, by_angle


def fresnel_path_difference(range_m: Array, angle_rad: Array, positions_m: Array) -> tuple[Array, Array, Array]:
    """δ_n to second order in x_n/d, and its derivatives (Mashhadi et al., Eq. 3, second line).

    Shapes as `spherical_path_difference`. Valid for x_n³/d² small against the wavelength.
    """
    xp = array_namespace(range_m, angle_rad, positions_m)
    d, phi, x = range_m[..., None], angle_rad[..., None], positions_m
    sine, cosine = xp.sin(phi), xp.cos(phi)
    curvature = x * x * (sine * sine) / (2 * d)
    delta = curvature - x * cosine
    by_range = -curvature / d
    by_angle = x * x * (sine * cosine) / d + x * sine
    return delta, by_range, by_angle


def phasor(path_difference_m: Array, array: UniformLinearArray) -> Array:
    """exp(−jkδ), complex, of the same shape: the response b_n of Eq. (3)."""
    xp = array_namespace(path_difference_m)
    phase = path_difference_m * array.wavenumber_rad_per_m
    return xp.cos(phase) - 1j * xp.sin(phase)


def plane_response(angle_rad: Array, array: UniformLinearArray) -> Array:
    """a_n(θ) = exp(+jk x_n cos θ), Eq. (5): the response toward the far field.

    angle_rad: (...). Returns complex (..., N). Valid beyond the Rayleigh range.
    """
    xp = array_namespace(angle_rad)
    return plane_response_toward(xp.cos(angle_rad), array)


def plane_response_toward(cosine: Array, array: UniformLinearArray) -> Array:
    """As `plane_response`, by u = cos θ (...), which may lie beyond ±1."""
    xp = array_namespace(cosine)
    return phasor(-cosine[..., None] * array.positions_m(xp), array)
