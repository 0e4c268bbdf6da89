"""Leakage as a sum over the elements, with the distance of each from the user and from the sensor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageTable
from engine.numerics.responses import phasor
from engine.numerics.wavefront import path_difference

Array = Any


@dataclass(frozen=True)
class TwoSidedSum:
    """g = |Σ_n exp(+jk(r_kn − R_k)) b_n|²/N, b_n = exp(−jkδ_n): the `table` of a two-sided model.

    path_difference: δ_n of the user and its derivatives, as `ElementSum` takes it.
    """

    path_difference: Callable[[Array, Array, Array], tuple[Array, Array, Array]]

    def __call__(
        self,
        array: UniformLinearArray,
        *,
        range_m: Array,
        angle_rad: Array,
        cosine: Array,
        inverse_range_per_m: Array,
    ) -> LeakageTable:
        """Far away r_kn − R_k becomes −x_n cos θ, and the sum aᴴb of Mashhadi et al., Eq. (9)."""
        xp = array_namespace(range_m, angle_rad, cosine)
        x = array.positions_m(xp)
        delta, by_range, by_angle = self.path_difference(range_m, angle_rad, x)
        b = phasor(delta, array)
        away = xp.conj(phasor(sensor_path_difference(inverse_range_per_m, cosine, x), array))
        steering = xp.matrix_transpose(away)  # (..., N, K)
        field = b @ steering
        scale = 2.0 * array.wavenumber_rad_per_m / array.n_elements
        conjugate = xp.conj(field)  # as in `ElementSum`: ∂|F|² = 2k Im(F* Σ ∂δ_n …)
        return LeakageTable(
            xp.real(field * conjugate) / array.n_elements,
            scale * xp.imag(conjugate * ((by_range * b) @ steering)),
            scale * xp.imag(conjugate * ((by_angle * b) @ steering)),
        )

    def value(
        self,
        array: UniformLinearArray,
        *,
        range_m: Array,
        angle_rad: Array,
        cosine: Array,
        inverse_range_per_m: Array,
    ) -> Array:
        """g alone, summed in single precision: an error of at most some 1e-7 N, for tables that are no better."""
        xp = array_namespace(range_m, angle_rad, cosine)
        x = array.positions_m(xp)
        b = xp.astype(phasor(self.path_difference(range_m, angle_rad, x)[0], array), xp.complex64)
        away = phasor(sensor_path_difference(inverse_range_per_m, cosine, x), array)
        field = b @ xp.matrix_transpose(xp.conj(xp.astype(away, xp.complex64)))
        return xp.real(field * xp.conj(field)) / array.n_elements


def sensor_path_difference(inverse_range_per_m: Array, cosine: Array, positions_m: Array) -> Array:
    """r_kn − R_k of sensors at 1/R_k, cos θ_k (..., K): (..., K, N), in m; −x cos θ for 1/R = 0."""
    x = positions_m
    return path_difference(inverse_range_per_m[..., None], x * cosine[..., None], x * x)
