"""Leakage as an integral of a quadratic phase over the aperture: two Fresnel integrals, one at either edge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.numerics.fresnel import fresnel
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageTable

Array = Any


class Edges(NamedTuple):
    """What the closed forms take from a focal point: g is a function of T and τ = (cos θ − cos φ) · stretch.

    half_width: T; t_by_range, t_by_angle: ∂T/∂d (1/m) and ∂T/∂φ; ∂τ/∂d = relative · τ (1/m); ∂τ/∂φ = shift + turn · τ.
    Shapes broadcast to (..., P).
    """

    half_width: Array
    stretch: Array
    cos_phi: Array
    t_by_range: Array
    relative: Array
    t_by_angle: Array
    shift: Array
    turn: Array


class Closed(NamedTuple):
    """The closed forms that compiled loops know by numbers: T = f (NΔ/λ) s/√(2d/λ), τ = f (u/s) √(2d/λ).

    factor: f, 1 for the quadratic phase; foreshortened: whether s is |sin φ|, which else is 1.
    """

    factor: float
    foreshortened: bool


@dataclass(frozen=True)
class ApertureIntegral:
    """g = N/(4T²) |F(T−τ) + F(T+τ)|² with F = C + jS: the `table` of a model that says T and τ.

    edges: array, range_m and angle_rad (..., P) to `Edges`. closed: the same by numbers, where they say it: searches
    from place to place then are compiled loops of their own (`place_cpu`); without it they are right, and slower.
    """

    edges: Callable[[UniformLinearArray, Array, Array], Edges]
    closed: Closed | None = None

    def __call__(self, array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
        edges = Edges(*(part[..., None] for part in self.edges(array, range_m, angle_rad)))
        tau = (cosine[..., None, :] - edges.cos_phi) * edges.stretch
        value, by_half_width, by_tau = two_edges(array.n_elements, edges.half_width, tau)
        return LeakageTable(
            value,
            by_half_width * edges.t_by_range + by_tau * (tau * edges.relative),
            by_half_width * edges.t_by_angle + by_tau * (edges.shift + edges.turn * tau),
        )


def two_edges(n_elements: int, half_width: Array, centre: Array) -> tuple[Array, Array, Array]:
    """g, ∂g/∂T, ∂g/∂τ."""
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


def aperture_bandwidth_rad(array: UniformLinearArray) -> float:
    """kNΔ: |∫|² holds the distances between points of the aperture."""
    return array.n_elements * (array.wavenumber_rad_per_m * array.spacing_m)
