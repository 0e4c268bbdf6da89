"""The quadratic phases of both sides, integrated over the aperture: Fresnel integrals of their difference.

The phase at x is kx²(sin²φ/d − sin²θ/R)/2 − kx(cos φ − cos θ): that of `fresnel_closed` with κ = sin²φ/d − sin²θ/R in
place of sin²φ/d. At 100 to 150 m it is within 5 to 7 % (relative L2) of exact distances, as `fresnel_closed` is of
exact distances to the user alone: what it leaves out are higher orders of the user's side.
"""

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics.aperture_integral import aperture_bandwidth_rad, two_edges
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel, LeakageTable

Array = Any

_BENT = 0.4
"""rad at the aperture's edge: what bends less is integrated by Gauss-Legendre quadrature, as Fresnel integrals of what
bends by nothing are differences of equal numbers."""


def table(
    array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array, inverse_range_per_m: Array
) -> LeakageTable:
    """g = N/4 |∫ exp(j(ay² − by)) dy|², y from −1 to 1, a = k(NΔ/2)²κ/2, b = k(NΔ/2)(cos θ − cos φ)."""
    xp = array_namespace(range_m, angle_rad, cosine)
    d, phi = (part[..., None] for part in xp.broadcast_arrays(range_m, angle_rad))
    u, inverse = cosine[..., None, :], inverse_range_per_m[..., None, :]
    half_m = array.n_elements * array.spacing_m / 2
    k, sine = array.wavenumber_rad_per_m, xp.sin(phi)
    unit = k * half_m**2 / 2
    bend, tilt = xp.broadcast_arrays(unit * (sine * sine / d - (1 - u * u) * inverse), k * half_m * (u - xp.cos(phi)))
    value, by_bend, by_tilt = _chirp(array.n_elements, bend, tilt)
    return LeakageTable(
        value,
        by_bend * (-unit * sine * sine / d**2),
        by_bend * (2 * unit * sine * xp.cos(phi) / d) + by_tilt * (k * half_m * sine),
    )


def _chirp(n_elements: int, bend: Array, tilt: Array) -> tuple[Array, Array, Array]:
    """g, ∂g/∂a, ∂g/∂b. g is even in a and in b."""
    xp = array_namespace(bend, tilt)
    bent = xp.abs(bend) >= _BENT
    sign = xp.where(bend < 0, -xp.ones_like(bend), xp.ones_like(bend))
    a = xp.where(bent, xp.abs(bend), xp.ones_like(bend))
    half_width = xp.sqrt(2 * a / math.pi)
    centre = tilt / (math.pi * half_width)
    value, by_half_width, by_centre = two_edges(n_elements, half_width, centre)
    by_bend = sign * (by_half_width * half_width - by_centre * centre) / (2 * a)
    parts = value, by_bend, by_centre / (math.pi * half_width)
    if bool(xp.all(bent)):
        return parts
    nearly = _nearly_straight(n_elements, xp.where(bent, xp.zeros_like(bend), bend), tilt)
    found = [xp.where(bent, one, other) for one, other in zip(parts, nearly, strict=True)]
    return found[0], found[1], found[2]


def _nearly_straight(n_elements: int, bend: Array, tilt: Array) -> tuple[Array, Array, Array]:
    """As `_chirp`, of little bend: I = 2∫₀¹ exp(jay²) cos by dy node by node, and its derivatives."""
    xp = array_namespace(bend, tilt)
    nodes, weights = np.polynomial.legendre.leggauss(math.ceil(float(xp.max(xp.abs(tilt))) / 2) + 20)
    re, im, re_a, im_a, re_b, im_b = (xp.zeros_like(bend) for _ in range(6))
    for y, w in zip(((nodes + 1) / 2).tolist(), weights.tolist(), strict=True):
        cosine, sine, even, odd = xp.cos(bend * y**2), xp.sin(bend * y**2), xp.cos(tilt * y), xp.sin(tilt * y)
        re, im = re + w * cosine * even, im + w * sine * even
        re_a, im_a = re_a - w * y**2 * sine * even, im_a + w * y**2 * cosine * even
        re_b, im_b = re_b - w * y * cosine * odd, im_b - w * y * sine * odd
    scale = n_elements / 4
    return scale * (re * re + im * im), 2 * scale * (re * re_a + im * im_a), 2 * scale * (re * re_b + im * im_b)


TWO_SIDED_CLOSED = LeakageModel("two_sided_closed", table, aperture_bandwidth_rad, two_sided=True)
