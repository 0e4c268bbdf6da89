"""Sensors and powers that no user in the area can explain, wherever it is."""

import numpy as np

from engine import InputError
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior
from scenarios.leakage.measured import Measured, w_to_dbm
from scenarios.leakage.scene import LeakageScene

_IMPOSSIBLE = 1e-6
"""Probability, shared by the sensors."""
_MOST_DEAD = 0.1
"""Of the sensors: where more are too quiet, it is not they that are wrong."""
_NO_GAIN_DB = 12.0
"""Louder than allowed by less is a misfit, as of a gain; by more, a unit."""


def too_quiet(powers: Powers, prior: Prior) -> np.ndarray:
    """Sensors that read less than noise alone allows, (K,)."""
    from scipy.special import gammainc

    statistic = powers.statistic * np.exp(-prior.low[3])
    probability = gammainc(powers.n_snapshots, statistic / 2)  # that χ² with 2L degrees of freedom is as small
    return np.asarray(probability < _IMPOSSIBLE / len(statistic))


def are_few(sensors: np.ndarray) -> bool:
    """Whether so few sensors, a mask (K,), may be left out as dead."""
    count = int(np.count_nonzero(sensors))
    return 0 < count <= max(1.0, _MOST_DEAD * len(sensors)) and len(sensors) - count >= 3


def louder_than_free_space(powers: Powers, prior: Prior, measured: Measured, scene: LeakageScene) -> str:
    """What sensor is louder than a whole beam that is turned to it, in free space, and by how much; "" if none is.

    Raises InputError where that is by so much that no gain explains it, with the slip that would.
    """
    if not np.max(measured.power_w) > 0:
        raise InputError("every power is zero: check the powers' unit")
    if not _louder(powers, prior).any():
        return ""
    allowed_w = _most(powers, prior) / (2 * powers.n_snapshots) * measured.noise_w
    k = int(np.argmax(np.asarray(measured.power_w) / allowed_w))
    excess_db = w_to_dbm(float(np.asarray(measured.power_w)[k])) - w_to_dbm(float(allowed_w[k]))
    what = (
        f"sensor {measured.labels[k]} received {w_to_dbm(float(measured.power_w[k])):.1f} dBm, {excess_db:.1f} dB more "
        f"than the {w_to_dbm(float(allowed_w[k])):.1f} dBm that free space allows at {measured.range_m[k]:.0f} m of "
        f"{scene.transmit_dbm:g} dBm and {scene.n_elements} elements"
    )
    if excess_db > _NO_GAIN_DB:
        raise InputError(f"{what}: {_likely_slip(powers, prior)}")
    return what


def _most(powers: Powers, prior: Prior) -> np.ndarray:
    """Mean of S of the whole array's beam at the highest gain and noise, (K,)."""
    beam = powers.n_snapshots * powers.unit * powers.array.n_elements * np.exp(prior.high[2])
    return np.asarray(beam + 2 * powers.n_snapshots * np.exp(prior.high[3]))


def _louder(powers: Powers, prior: Prior, factor: float = 1.0) -> np.ndarray:
    """Beyond six deviations."""
    most = _most(powers, prior)
    deviation = np.sqrt(4 * (most - powers.n_snapshots * np.exp(prior.high[3])))
    return np.asarray(powers.statistic * factor > most + 6 * deviation)


def _likely_slip(powers: Powers, prior: Prior) -> str:
    if _louder(powers, prior, 1e-3).any():
        return "check the powers' unit and the sensors' distances, or set transmit_dbm"
    return (
        "30 dB less would be possible, as where mW are taken for W, or dBm for dBW: check the powers' unit, or set "
        "transmit_dbm"
    )
