"""Slips that would explain powers which do not fit: each is undone, and said where that fits."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from engine import InputError
from engine.numerics.leakage import LeakageModel
from scenarios.leakage.answer.fit import Fit, fit
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import InDecibels, Prior
from scenarios.leakage.answer.quadrature import quadrature
from scenarios.leakage.answer.region import Summary, summary
from scenarios.leakage.answer.screening import louder_than_free_space, too_quiet
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import Measured

_DRAWS = 199
_MOST_CELLS = 100_000
"""What takes more is no place that fits."""
_GAIN = InDecibels(-20.0, 20.0)
_NOISE = InDecibels(-10.0, 10.0)
_FITS_WELL = 0.02


class Slip(NamedTuple):
    """Something that may have gone wrong, and what was measured if it did."""

    text: Callable[[Summary], str]
    measured: Measured
    gain: InDecibels | None = None
    noise: InDecibels | None = None


def explained(measured: Measured, scene: LeakageEstimation, model: LeakageModel, prior: Prior) -> str | None:
    """What the likeliest of the slips that fit is, in words; None if none fits."""
    found = []
    for slip in _slips(measured, prior):
        undone = _undone(slip, scene, model, prior)
        if undone is not None and undone[1].holds and undone[1].p_value > _FITS_WELL:
            found.append((undone[0].log_evidence, slip.text(undone[0])))
    return max(found)[1] if found else None


def _undone(slip: Slip, scene: LeakageEstimation, model: LeakageModel, prior: Prior) -> tuple[Summary, Fit] | None:
    """Posterior and fit without the slip; None where its powers cannot be."""
    prior = Prior.of(scene, slip.gain or prior.gain, slip.noise or prior.noise)
    powers = Powers.of(slip.measured, scene, model)
    try:
        louder = louder_than_free_space(powers, prior, slip.measured, scene)
    except InputError:
        return None
    if louder or too_quiet(powers, prior).any():
        return None
    held = quadrature(powers, prior, most_cells=_MOST_CELLS)
    if not held.finished:
        return None
    posterior = summary(held.cells)
    return (
        posterior._replace(log_evidence=posterior.log_evidence + powers.log_constant),
        fit(powers, prior, held.peak, slip.measured.labels, _DRAWS),
    )


def _slips(measured: Measured, prior: Prior) -> Iterator[Slip]:
    parts = measured.power_w, measured.range_m, measured.angle_rad
    power_w, range_m, angle_rad = (np.asarray(part, dtype=float) for part in parts)
    yield _fixed("powers are 30 dB lower, as where mW were taken for W", measured._replace(power_w=power_w / 1e3))
    yield _fixed("powers are 30 dB higher, as where W were taken for mW", measured._replace(power_w=power_w * 1e3))
    yield _fixed(
        "σ² was taken off the powers: --noise-subtracted", measured._replace(power_w=power_w + measured.noise_w)
    )
    yield _fixed("distances are kilometres taken for metres", measured._replace(range_m=range_m * 1e3))
    yield _fixed("distances are feet taken for metres", measured._replace(range_m=range_m * 0.3048))
    in_degrees = np.degrees(angle_rad)
    if np.all((in_degrees > 0) & (in_degrees < math.pi)):
        yield _fixed("angles are radians taken for degrees", measured._replace(angle_rad=in_degrees))
    if np.all(angle_rad < math.pi / 2):
        yield _fixed("angles count from straight ahead", measured._replace(angle_rad=math.pi / 2 - angle_rad))
    if prior.gain.known:
        yield Slip(
            lambda held: f"the gain is {held.gain_db[0]:+.1f} ± {held.gain_db[1]:.1f} dB: --gain-db -20:20",
            measured, gain=_GAIN,
        )  # fmt: skip
    if prior.noise.known:
        yield Slip(
            lambda held: f"σ² is {held.noise_db[0]:+.1f} ± {held.noise_db[1]:.1f} dB of what is said: --noise-db-sd 5",
            measured, noise=_NOISE,
        )  # fmt: skip
    yield from _scaled(measured)


def _fixed(text: str, measured: Measured) -> Slip:
    return Slip(lambda _: text, measured)


def _scaled(measured: Measured) -> Iterator[Slip]:
    """All powers by one factor, noise and all, as of a receiver's gain: the quietest sensors tell it."""
    over = np.sort(np.asarray(measured.power_w, dtype=float) / measured.noise_w)
    factor = float(np.mean(over[: max(1, len(over) // 5)]))
    factor_db = 10 * math.log10(max(factor, 1e-30))
    if abs(factor_db) > 1.0 and factor > 1e-9:
        yield Slip(
            lambda held: (
                f"all powers, noise included, are {factor_db + held.noise_db[0]:+.1f} dB off, as by a receiver's gain"
            ),
            measured._replace(power_w=np.asarray(measured.power_w) / factor),
            noise=InDecibels.normal(0.0, 0.5),
        )  # fmt: skip
