"""The array's geometry."""

from dataclasses import dataclass
from typing import Any

Array = Any

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0


@dataclass(frozen=True)
class UniformLinearArray:
    """`n_elements` elements on the y axis, centred on the origin, `spacing_m` apart, at one wavelength.

    >>> array = UniformLinearArray(n_elements=100, spacing_m=0.01, wavelength_m=0.02)
    >>> round(array.rayleigh_range_m, 2)
    98.01
    """

    n_elements: int
    spacing_m: float
    wavelength_m: float

    @property
    def aperture_m(self) -> float:
        """D = (N − 1)Δ."""
        return (self.n_elements - 1) * self.spacing_m

    @property
    def rayleigh_range_m(self) -> float:
        """d_F = 2D²/λ, where the far field begins."""
        return 2 * self.aperture_m**2 / self.wavelength_m

    @property
    def wavenumber_rad_per_m(self) -> float:
        """k = 2π/λ."""
        return 6.283185307179586 / self.wavelength_m

    def positions_m(self, xp: Any) -> Array:
        """Element coordinates x_n = (n − (N+1)/2)Δ, shape (n_elements,)."""
        return (xp.arange(self.n_elements, dtype=xp.float64) - (self.n_elements - 1) / 2) * self.spacing_m


def path_gain(range_m: Array, wavelength_m: float) -> Array:
    """Free-space power gain β = (λ/4πd)², Mashhadi et al., below Eq. (4)."""
    amplitude = wavelength_m / (4 * 3.141592653589793) / range_m
    return amplitude * amplitude
