"""Places as they are seen from another frame: a surface that is not where, or not turned as, one believes.

Symbols: κ = 1/r, u direction, δ where the other frame's origin is, R its axes, as columns.
"""

from typing import Any

from array_api_compat import array_namespace

Array = Any


def seen_from(
    inverse_range_per_m: Array, polar_rad: Array, azimuth_rad: Array, *, offset_m: Array, axes: Array
) -> tuple[Array, Array, Array]:
    """κ, θ, φ in a frame with its origin at `offset_m` (..., 3) and `axes` R (..., 3, 3), of places (..., L).

    With q = u − κ δ, which is the direction alone where κ = 0: u' = Rᵀ q/|q| and κ' = κ/|q|. A place in front of the
    frame, where u'_x > 0, has its azimuth within ±π/2.
    """
    xp = array_namespace(inverse_range_per_m, polar_rad, azimuth_rad)
    sine = xp.sin(polar_rad)
    u = xp.stack([sine * xp.cos(azimuth_rad), sine * xp.sin(azimuth_rad), xp.cos(polar_rad)], axis=-1)
    q = u - inverse_range_per_m[..., None] * offset_m[..., None, :]
    length = xp.sqrt(xp.sum(q * q, axis=-1))
    turned = (q / length[..., None]) @ axes
    upwards = xp.clip(turned[..., 2], -1.0, 1.0)
    return inverse_range_per_m / length, xp.acos(upwards), xp.atan2(turned[..., 1], turned[..., 0])


def turned_about(axis: Array, angle_rad: float) -> Array:
    """R (..., 3, 3) that turns by an angle about unit vectors (..., 3), by Rodrigues' formula."""
    xp = array_namespace(axis)
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    none = xp.zeros_like(x)
    rows = [xp.stack(row, axis=-1) for row in ((none, -z, y), (z, none, -x), (-y, x, none))]
    across = xp.stack(rows, axis=-2)
    angle = xp.asarray(angle_rad, dtype=axis.dtype)
    return xp.eye(3, dtype=axis.dtype) + xp.sin(angle) * across + (1 - xp.cos(angle)) * (across @ across)
