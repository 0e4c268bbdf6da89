"""Waves at a planar array from any range: one form in the inverse range κ = 1/r, plane waves included as κ = 0.

Symbols: u direction, p_n element n, t_n = u·p_n, δ_n = ‖r u − p_n‖ − r. A wave's phase is referenced to the array's
centre, and its amplitude is one at every element (Cao et al., "Hybrid Near-field and Far-field Localization with
Holographic MIMO", arXiv 2501.17868, Eqs. 4 and 8).
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformPlanarArray

Array = Any

PHASE_THRESHOLD_RAD = 0.39269908169872414
"""π/8: a wave whose phase departs more from a plane wave's somewhere on the array is in the near field, Eq. (5)."""


class Lag(NamedTuple):
    """kδ, by which a wave lags at each element, and its derivatives, (..., N) each."""

    value_rad: Array
    by_inverse_range_m: Array
    by_polar: Array
    by_azimuth: Array


class Wavefront(NamedTuple):
    """A wave at each element and its derivatives, complex (..., N) each."""

    value: Array
    by_inverse_range_m: Array
    by_polar: Array
    by_azimuth: Array


def path_difference(inverse_range_per_m: Array, t: Array, squared: Array) -> Array:
    """δ_n = (κ|p|² − 2t)/(1 + R), R = √(1 − 2κt + κ²|p|²), in m, of κ, t = u·p and |p|² that broadcast."""
    xp = array_namespace(inverse_range_per_m, t, squared)
    kappa = inverse_range_per_m
    return (kappa * squared - 2 * t) / (1 + xp.sqrt(1 - 2 * kappa * t + kappa * kappa * squared))


def _path_difference(
    array: UniformPlanarArray, inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array
) -> tuple[Any, ...]:
    """δ_n = (κ|p|² − 2t)/(1 + R), R = √(1 − 2κt + κ²|p|²): no cancellation at any range; and what it is made of."""
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    y, z = array.positions_m(xp)
    kappa = inverse_range_per_m[..., None]
    sine, cosine = xp.sin(polar_rad)[..., None], xp.cos(polar_rad)[..., None]
    t = y * (sine * xp.sin(azimuth_rad)[..., None]) + z * cosine
    squared = y * y + z * z
    ratio = xp.sqrt(1 - 2 * kappa * t + kappa * kappa * squared)
    return (kappa * squared - 2 * t) / (1 + ratio), kappa, t, squared, ratio


def wave(array: UniformPlanarArray, inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array) -> Array:
    """e^{−jkδ_n}: spherical for κ > 0, Eq. (4), plane for κ = 0, Eq. (8).

    Arguments: κ (1/m), θ and φ (rad), of one shape (...). Returns complex (..., N).
    """
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    phase = _path_difference(array, inverse_range_per_m, polar_rad, azimuth_rad)[0] * array.wavenumber_rad_per_m
    return xp.cos(phase) - 1j * xp.sin(phase)


def lag(array: UniformPlanarArray, inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array) -> Lag:
    """The wave's phase, negated, and its derivatives by κ, θ, φ (Eqs. 59 to 64 in κ; ∂/∂r = −κ² ∂/∂κ)."""
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    delta, kappa, t, squared, ratio = _path_difference(array, inverse_range_per_m, polar_rad, azimuth_rad)
    y, z = array.positions_m(xp)
    k = array.wavenumber_rad_per_m
    by_kappa = squared / (1 + ratio) - (kappa * squared - 2 * t) * (kappa * squared - t) / ((1 + ratio) ** 2 * ratio)
    sine, cosine = xp.sin(polar_rad)[..., None], xp.cos(polar_rad)[..., None]
    sine_azimuth, cosine_azimuth = xp.sin(azimuth_rad)[..., None], xp.cos(azimuth_rad)[..., None]
    t_by_polar = y * (cosine * sine_azimuth) - z * sine
    t_by_azimuth = y * (sine * cosine_azimuth)
    by_t = -k / ratio
    return Lag(k * delta, k * by_kappa, by_t * t_by_polar, by_t * t_by_azimuth)


def wavefront(array: UniformPlanarArray, inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array) -> Wavefront:
    """As `wave`, with its derivatives by κ, θ, φ."""
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    phase, *slopes = lag(array, inverse_range_per_m, polar_rad, azimuth_rad)
    value = xp.cos(phase) - 1j * xp.sin(phase)
    turned = -1j * value
    return Wavefront(value, *(turned * slope for slope in slopes))


def departure_from_plane_rad(
    array: UniformPlanarArray, inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array
) -> Array:
    """Δ = max_n k|d_n − (r − u·p_n)|, Eq. (5): the largest phase error of a plane wave, (...)."""
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    _, kappa, t, squared, ratio = _path_difference(array, inverse_range_per_m, polar_rad, azimuth_rad)
    departure = kappa * (squared - t * (2 * t - kappa * squared) / (1 + ratio)) / (1 + ratio)
    return array.wavenumber_rad_per_m * xp.max(xp.abs(departure), axis=-1)


def near_field_range_m(array: UniformPlanarArray, polar_rad: Array, azimuth_rad: Array) -> Array:
    """The range at which Δ = π/8 in a direction, where the near field ends, (...) in m."""
    xp = array_namespace(polar_rad, azimuth_rad)
    kappa = xp.full_like(polar_rad, 1 / array.rayleigh_range_m)
    for _ in range(60):  # Δ is almost proportional to κ: each step gains a factor of about 30
        ratio = departure_from_plane_rad(array, kappa, polar_rad, azimuth_rad) / PHASE_THRESHOLD_RAD
        kappa = kappa / ratio
        if bool(xp.all(xp.abs(ratio - 1) < 1e-14)):
            break
    return 1 / kappa
