"""Geometry of the arrays."""

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


@dataclass(frozen=True)
class UniformPlanarArray:
    """n_y × n_z elements in the y-z plane, centred on the origin, `spacing_m` apart, at one wavelength.

    Element n = i_y n_z + i_z lies at (0, y, z). A direction is given by the polar angle θ from the z axis and the
    azimuth φ from the x axis: u = (sin θ cos φ, sin θ sin φ, cos θ), x > 0 in front of the surface.

    >>> surface = UniformPlanarArray(n_y=25, n_z=25, spacing_m=0.005, wavelength_m=SPEED_OF_LIGHT_M_PER_S / 28e9)
    >>> round(surface.rayleigh_range_m, 3)
    5.38
    """

    n_y: int
    n_z: int
    spacing_m: float
    wavelength_m: float

    @property
    def n_elements(self) -> int:
        return self.n_y * self.n_z

    @property
    def aperture_m(self) -> float:
        """Diagonal D, between the outermost elements."""
        return self.spacing_m * ((self.n_y - 1) ** 2 + (self.n_z - 1) ** 2) ** 0.5

    @property
    def rayleigh_range_m(self) -> float:
        """2D²/λ, where the far field begins straight ahead."""
        return 2 * self.aperture_m**2 / self.wavelength_m

    @property
    def fresnel_range_m(self) -> float:
        """0.62 √(D³/λ), where the reactive near field ends."""
        return 0.62 * (self.aperture_m**3 / self.wavelength_m) ** 0.5

    @property
    def wavenumber_rad_per_m(self) -> float:
        """k = 2π/λ."""
        return 6.283185307179586 / self.wavelength_m

    def positions_m(self, xp: Any) -> tuple[Array, Array]:
        """y and z of the elements, (N,) each."""
        y = (xp.arange(self.n_y, dtype=xp.float64) - (self.n_y - 1) / 2) * self.spacing_m
        z = (xp.arange(self.n_z, dtype=xp.float64) - (self.n_z - 1) / 2) * self.spacing_m
        shape = (self.n_y, self.n_z)
        flat = (self.n_elements,)
        return (
            xp.reshape(xp.broadcast_to(y[:, None], shape), flat),
            xp.reshape(xp.broadcast_to(z[None, :], shape), flat),
        )


def path_gain(range_m: Array, wavelength_m: float) -> Array:
    """Free-space power gain β = (λ/4πd)², Mashhadi et al., below Eq. (4)."""
    amplitude = wavelength_m / (4 * 3.141592653589793) / range_m
    return amplitude * amplitude
