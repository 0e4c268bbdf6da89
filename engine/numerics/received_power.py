"""Power that a user receives by way of the surface, and the data rate that it carries.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section V-B3. Equation numbers are that paper's.
"""

import math
from typing import Any, Literal

from array_api_compat import array_namespace

Array = Any


def mean_received_power(
    n_elements: int,
    phases: Literal["fixed", "aligned"],
    *,
    transmit_power: float = 1.0,
    power_to_base: float = 1.0,
    power_to_user: float = 1.0,
) -> float:
    """E|g^T s|² P for independent Rayleigh fading at every element, Eq. (56).

    power_to_base, power_to_user: ρ_g², ρ_h², the mean power gains of an element. `fixed`, also random: N P ρ_h² ρ_g²,
    Eq. (57). `aligned` to the channel: N² P π² ρ_h² ρ_g²/16, Eq. (58), the leading term; exactly it is
    N P ρ_h² ρ_g² (1 + (N − 1) π²/16). With unit-modulus channels, as in Eqs. (3) to (9), aligned phases bring N².

    >>> mean_received_power(100, "fixed"), round(mean_received_power(100, "aligned"), 1)
    (100.0, 6168.5)
    """
    gain = transmit_power * power_to_base * power_to_user
    return gain * (n_elements if phases == "fixed" else (n_elements * math.pi / 4) ** 2)


def focusing_share(wave_at_user: Array, wave_at_estimate: Array) -> Array:
    """Share of the largest power, 0 to 1, that reaches a user when the surface focuses on an estimate of its place.

    Waves at the surface from both places, complex (..., N), of unit modulus. Returns (...).
    """
    xp = array_namespace(wave_at_user, wave_at_estimate)
    overlap = xp.mean(wave_at_user * xp.conj(wave_at_estimate), axis=-1)
    return xp.real(overlap * xp.conj(overlap))


def spectral_efficiency(snr: Array, *, data_share: float = 1.0) -> Array:
    """Bits per second and hertz, log₂(1 + SNR), in the share of the time that localization leaves for data."""
    xp = array_namespace(snr)
    return data_share * xp.log2(1 + snr)
