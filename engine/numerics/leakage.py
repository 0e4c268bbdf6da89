"""The power that a beam focused on (d, φ) leaks toward a far-field direction θ, and its gradient.

g = |aᴴ(θ) b(d, φ)|²/N (Mashhadi, Hoang, Vahid, arXiv 2605.21815, Eq. 9) under four models of b:

- `spherical`: the exact spherical wave.
- `fresnel_sum`: the quadratic phase, summed over the elements.
- `fresnel_closed`: the quadratic phase, integrated over the aperture: Fresnel integrals.
- `as_printed`: Eq. (10) as the paper prints it. Against Eq. (9) its arguments are doubled and sin φ is
  missing: its relative L2 error is 0.85 and its mean a quarter. Kept because the paper's figures
  come from it.

Every model maps points × sensors to a table: range_m, angle_rad (..., P) and sensor_angle_rad (..., K), whose
leading axes broadcast, give (..., P, K).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.fresnel import fresnel
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.responses import (
    fresnel_path_difference,
    phasor,
    plane_response_toward,
    spherical_path_difference,
)

Array = Any
LeakageModel = Literal["spherical", "fresnel_sum", "fresnel_closed", "as_printed"]


class LeakageTable(NamedTuple):
    """g and its derivatives, each (..., P, K); g has no unit."""

    value: Array
    by_range_per_m: Array
    by_angle_per_rad: Array


def leakage(
    model: LeakageModel,
    array: UniformLinearArray,
    *,
    range_m: Array,
    angle_rad: Array,
    sensor_angle_rad: Array,
) -> LeakageTable:
    """Leakage g_k and its gradient with respect to the focal point, for every point and sensor.

    range_m, angle_rad: (..., P), broadcast against each other; sensor_angle_rad: (..., K).
    The closed forms need 0 < φ < π: the quadratic phase has no range along the array's axis.
    """
    xp = array_namespace(range_m, angle_rad, sensor_angle_rad)
    return leakage_toward(model, array, range_m=range_m, angle_rad=angle_rad, cosine=xp.cos(sensor_angle_rad))


def leakage_toward(
    model: LeakageModel, array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array
) -> LeakageTable:
    """As `leakage`, by u = cos θ (..., K). Every model is an entire function of u: |u| > 1 continues the pattern."""
    return _MODELS[model](array, range_m, angle_rad, cosine)


def pattern_bandwidth_rad(model: LeakageModel, array: UniformLinearArray) -> float:
    """Largest angular frequency of g as a function of u = cos θ: radians per unit of u.

    |aᴴb|² holds element distances up to the aperture, hence k(N−1)Δ for a sum over elements, kNΔ for an integral over
    the aperture; Eq. (10) as printed has arguments twice as large in a product of two, hence 4kNΔ.
    """
    per_element = array.wavenumber_rad_per_m * array.spacing_m
    n = array.n_elements
    elements = {"spherical": n - 1, "fresnel_sum": n - 1, "fresnel_closed": n, "as_printed": 4 * n}
    return elements[model] * per_element


def _summed(path_difference: Callable[..., tuple[Array, Array, Array]]) -> Callable[..., LeakageTable]:
    """Eq. (9) as a sum over the elements: ∂(aᴴb) = aᴴ(−jk ∂δ ∘ b)."""

    def model(array: UniformLinearArray, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
        xp = array_namespace(range_m, angle_rad, cosine)
        delta, by_range, by_angle = path_difference(range_m, angle_rad, array.positions_m(xp))
        b = phasor(delta, array)
        steering = xp.conj(xp.matrix_transpose(plane_response_toward(cosine, array)))  # (..., N, K)
        field = b @ steering
        scale = 2.0 * array.wavenumber_rad_per_m / array.n_elements
        # ∂|F|² = 2 Re(F* ∂F) and ∂F = −jk Σ a*_n ∂δ_n b_n, so ∂|F|² = 2k Im(F* Σ a*_n ∂δ_n b_n).
        conjugate = xp.conj(field)
        return LeakageTable(
            xp.real(field * conjugate) / array.n_elements,
            scale * xp.imag(conjugate * ((by_range * b) @ steering)),
            scale * xp.imag(conjugate * ((by_angle * b) @ steering)),
        )

    return model


class Edges(NamedTuple):
    """What the closed forms take from a focal point: g is a function of T and τ = (cos θ − cos φ) · stretch.

    half_width: T; t_by_range, t_by_angle: ∂T/∂d (1/m) and ∂T/∂φ; ∂τ/∂d = relative · τ (1/m); ∂τ/∂φ = shift + turn · τ.
    All of one shape (..., P).
    """

    half_width: Array
    stretch: Array
    cos_phi: Array
    t_by_range: Array
    relative: Array
    t_by_angle: Array
    shift: Array
    turn: Array


def _fresnel_closed(array: UniformLinearArray, range_m: Array, angle_rad: Array) -> Edges:
    """T = (NΔ/2) s √(2/(λd)), τ = (u/s) √(2d/λ), u = cos θ − cos φ, s = |sin φ|."""
    xp = array_namespace(range_m, angle_rad)
    d, phi = xp.broadcast_arrays(range_m, angle_rad)
    sin_phi, cos_phi = xp.sin(phi), xp.cos(phi)
    stretch = xp.sqrt(2 * d / array.wavelength_m)
    half_width = array.n_elements * array.spacing_m / array.wavelength_m * xp.abs(sin_phi) / stretch
    cotangent = cos_phi / sin_phi
    return Edges(
        half_width,
        stretch / xp.abs(sin_phi),
        cos_phi,
        -half_width / (2 * d),
        1 / (2 * d),
        half_width * cotangent,
        stretch * xp.sign(sin_phi),
        -cotangent,
    )


def _as_printed(array: UniformLinearArray, range_m: Array, angle_rad: Array) -> Edges:
    """Eq. (10): β₁ = (N/2) √(8/(dλ)) Δ and β₂ = (cos θ − cos φ) √(8d/λ)."""
    xp = array_namespace(range_m, angle_rad)
    d, phi = xp.broadcast_arrays(range_m, angle_rad)
    stretch = xp.sqrt(8 * d / array.wavelength_m)
    beta_1 = 4 * array.n_elements / 2 * array.spacing_m / array.wavelength_m * 2 / stretch
    none = xp.zeros_like(d)
    return Edges(beta_1, stretch, xp.cos(phi), -beta_1 / (2 * d), 1 / (2 * d), none, stretch * xp.sin(phi), none)


EDGES: dict[str, Callable[[UniformLinearArray, Array, Array], Edges]] = {
    "fresnel_closed": _fresnel_closed,
    "as_printed": _as_printed,
}
"""The models in closed form: array, range_m and angle_rad (..., P) to their `Edges`."""


def _closed(edges_of: Callable[[UniformLinearArray, Array, Array], Edges]) -> Callable[..., LeakageTable]:
    def model(array: UniformLinearArray, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
        edges = Edges(*(part[..., None] for part in edges_of(array, range_m, angle_rad)))
        tau = (cosine[..., None, :] - edges.cos_phi) * edges.stretch
        value, by_half_width, by_tau = _two_edges(array.n_elements, edges.half_width, tau)
        return LeakageTable(
            value,
            by_half_width * edges.t_by_range + by_tau * (tau * edges.relative),
            by_half_width * edges.t_by_angle + by_tau * (edges.shift + edges.turn * tau),
        )

    return model


def _two_edges(n_elements: int, half_width: Array, centre: Array) -> tuple[Array, Array, Array]:
    """g = N/(4T²) |F(T−τ) + F(T+τ)|² with F = C + jS, and ∂g/∂T, ∂g/∂τ."""
    c_low, s_low, dc_low, ds_low = fresnel(half_width - centre)
    c_high, s_high, dc_high, ds_high = fresnel(half_width + centre)
    c_low += c_high
    s_low += s_high
    scale = n_elements / (4 * half_width * half_width)
    value = (c_low * c_low + s_low * s_low) * scale
    c_low *= 2 * scale
    s_low *= 2 * scale
    high = c_low * dc_high + s_low * ds_high
    low = c_low * dc_low + s_low * ds_low
    return value, high + low - value * (2 / half_width), high - low


PATH_DIFFERENCES: dict[str, Callable[..., tuple[Array, Array, Array]]] = {
    "spherical": spherical_path_difference,
    "fresnel_sum": fresnel_path_difference,
}
"""The models that are sums over the elements: their `engine.numerics.responses`."""

_MODELS: dict[str, Callable[..., LeakageTable]] = {
    **{name: _summed(path_difference) for name, path_difference in PATH_DIFFERENCES.items()},
    **{name: _closed(edges_of) for name, edges_of in EDGES.items()},
}
