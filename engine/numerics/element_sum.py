"""Leakage as a sum over the elements, by the path difference that a model gives each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageTable
from engine.numerics.responses import phasor, plane_response_toward

Array = Any


@dataclass(frozen=True)
class ElementSum:
    """Eq. (9) of Mashhadi et al., b_n = exp(−jkδ_n): the `table` of a model whose path differences δ_n are these.

    path_difference: range_m, angle_rad (...) and positions_m (N,) to δ_n, ∂δ_n/∂d, ∂δ_n/∂φ, (..., N) each, in m, 1,
    m/rad, as `engine.numerics.responses` has them.
    """

    path_difference: Callable[[Array, Array, Array], tuple[Array, Array, Array]]

    def __call__(self, array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
        """∂(aᴴb) = aᴴ(−jk ∂δ ∘ b)."""
        xp = array_namespace(range_m, angle_rad, cosine)
        delta, by_range, by_angle = self.path_difference(range_m, angle_rad, array.positions_m(xp))
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


def element_bandwidth_rad(array: UniformLinearArray) -> float:
    """k(N−1)Δ: |aᴴb|² holds the distances between elements, up to the aperture, whatever b is."""
    return (array.n_elements - 1) * (array.wavenumber_rad_per_m * array.spacing_m)
