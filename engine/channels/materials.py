"""What walls and ground are made of: Recommendation ITU-R P.2040, Table 3."""

from typing import Literal, get_args

from engine.errors import InputError

Material = Literal["concrete", "brick", "glass", "wood", "metal", "asphalt"]
MATERIALS: tuple[str, ...] = get_args(Material)

_VACUUM_PERMITTIVITY_F_PER_M = 8.8541878128e-12

# ε' = a f^b, σ = c f^d S/m with f in GHz, and the frequencies for which it holds. The table's kinds of ground stop at
# 10 GHz: at the papers' 15 GHz a ground is one of these.
_TABLE: dict[str, tuple[float, float, float, float, float, float]] = {
    "concrete": (5.24, 0.0, 0.0462, 0.7822, 1, 100),
    "brick": (3.91, 0.0, 0.0238, 0.16, 1, 40),
    "glass": (6.31, 0.0, 0.0036, 1.3394, 0.1, 100),
    "wood": (1.99, 0.0, 0.0047, 1.0718, 0.001, 100),
    "metal": (1.0, 0.0, 1e7, 0.0, 1, 100),
    "asphalt": (4.83, 0.0, 0.0108, 1.3969, 1, 40),
}


def relative_permittivity(material: Material, carrier_hz: float) -> complex:
    """η = ε' − jσ/(ωε₀) of a material; InputError at a frequency for which the table says nothing.

    >>> print(f"{relative_permittivity('concrete', 15e9):.3f}")
    5.240-0.460j
    """
    permittivity, conductivity = permittivity_and_conductivity(material, carrier_hz)
    return complex(permittivity, -conductivity / (2 * 3.141592653589793 * carrier_hz * _VACUUM_PERMITTIVITY_F_PER_M))


def permittivity_and_conductivity(material: Material, carrier_hz: float) -> tuple[float, float]:
    """ε' and σ (S/m), ITU-R P.2040, Eq. (28) and (29)."""
    a, b, c, d, lowest, highest = _TABLE[material]
    f = carrier_hz / 1e9
    if not lowest <= f <= highest:
        raise InputError(
            f"carrier_hz: given {carrier_hz:g}, needed {lowest:g} to {highest:g} GHz, for which {material} is known"
        )
    return a * f**b, c * f**d
