"""Power of the direct path with all phases of the surface zero, by which the paper defines its signal-to-noise ratio.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI: "P_r is the received signal power of the direct path when the
phase shifts of all the RIS elements are 0". Where the surface happens to send it then depends on the user's place, by
tens of dB. σ² is one for all users, Eq. (1): here the mean over a realization's users counts.
"""

import functools
import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.channels.ris_cascade import RisCascade
from engine.numerics.candidates import FieldOfView
from engine.numerics.path_information import Paths
from engine.numerics.wavefront import near_field_range_m, wave
from scenarios.ris.placing import directions

Array = Any

_TYPICAL = 512


def zero_phases_power(cascade: RisCascade, paths: Paths) -> Array:
    """|α_l h_RBᵀ a(p_l)|²/N of every user, (B, L): over the mean at random phases."""
    xp = array_namespace(*paths)
    waves = wave(cascade.surface, paths.inverse_range_per_m, paths.polar_rad, paths.azimuth_rad)
    received = paths.gain * xp.sum(waves * cascade.to_base_station(xp), axis=-1)
    return xp.real(received * xp.conj(received)) / cascade.surface.n_elements


def ranges_between(
    cascade: RisCascade, view: FieldOfView, fields: tuple[str, ...], near_max_m: float, polar: Array, azimuth: Array
) -> tuple[Array, Array]:
    """Shortest and longest range of places in these directions, (B, L) each: by the field that each is in."""
    ends = near_field_range_m(cascade.surface, polar, azimuth) if fields else polar
    near = np.array([field == "near" for field in fields], dtype=bool)
    return np.where(near, view.range_min_m, ends), np.where(near, np.minimum(ends, near_max_m), view.range_max_m)


@functools.lru_cache(maxsize=64)
def median_zero_phases_db(
    cascade: RisCascade, view: FieldOfView, fields: tuple[str, ...], near_max_m: float, plane: bool
) -> float:
    """Of realizations, the median of the mean of `zero_phases_power` over the users, in dB.

    fields: of the users, near or far. plane: whether far users' waves are plane. Kept, as each scene asks it of itself.
    """
    shares = np.random.default_rng(0).random((3, _TYPICAL, len(fields)))
    polar, azimuth = directions(view, shares[0], shares[1])
    low, high = ranges_between(cascade, view, fields, near_max_m, polar, azimuth)
    kappa = 1 / (low + (high - low) * shares[2])
    if plane:
        kappa = kappa * np.array([float(field == "near") for field in fields])
    none = np.zeros((_TYPICAL, 0))
    paths = Paths(kappa, polar, azimuth, np.ones_like(kappa) + 0j, none, none, none, none[:, None, :] + 0j)
    return 10 * math.log10(float(np.median(zero_phases_power(cascade, paths).mean(axis=-1))))
