"""The recommended answer: where the user is, how surely, and whether the model that says so holds."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_models.two_sided import TWO_SIDED
from scenarios.leakage.answer.fit import DRAWS, Fit, fit, log_likelihood_of_none
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import KNOWN, LOG_PER_DB, InDecibels, Prior
from scenarios.leakage.answer.quadrature import quadrature
from scenarios.leakage.answer.region import Summary, summary
from scenarios.leakage.answer.screening import are_few, louder_than_free_space, too_quiet
from scenarios.leakage.answer.slips import explained
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import Measured, require_well_formed

_LEVEL = 0.95
_AT_THE_END, _SHARE_AT_THE_END = 0.01, 0.1
"""Of the area's width, and of the posterior there: uniform over the area it would be a tenth of that."""
_SURELY_BELOW = 1e-4
_PLACES, _MOSTLY = 200, 0.5
"""Drawn from a posterior, and what share of them another's region should hold to be the same."""


@dataclass(frozen=True)
class Unknown:
    """What is not known of the measurements: gain of all sent powers, and σ² over the one that is given, in dB;
    whether σ² was taken off the powers."""

    gain: InDecibels = KNOWN
    noise: InDecibels = KNOWN
    noise_subtracted: bool = False


NOTHING_UNKNOWN = Unknown()


class Likeliest(NamedTuple):
    """Of maximum likelihood."""

    range_m: float
    angle_rad: float
    gain_db: float
    noise_db: float
    log_likelihood: float


class UnderModel(NamedTuple):
    """What powers say if leakage is as a model says."""

    leakage: str
    posterior: Summary
    likeliest: Likeliest
    fit: Fit
    finished: bool
    """else the posterior's cells were too many"""


class Remark(NamedTuple):
    """Something that the user must know; `code` names its kind."""

    code: str
    text: str


class Answer(NamedTuple):
    """recommended: of the model that was asked for, or of the other one, where that alone fits; other: the same data if
    waves toward the sensors are plane, or are not. left_out: sensors whose powers are impossible."""

    recommended: UnderModel
    other: UnderModel
    left_out: tuple[str, ...]
    remarks: tuple[Remark, ...]
    unknown: Unknown
    measured: Measured
    """without those left out, σ² in the powers"""

    @property
    def holds(self) -> bool:
        """Whether deviations and region may be believed: the model fits, and the sums ended."""
        return self.recommended.fit.holds and self.recommended.finished


def answer(
    measured: Measured,
    scene: LeakageEstimation,
    unknown: Unknown = NOTHING_UNKNOWN,
    *,
    draws: int = DRAWS,
    explain: bool = True,
) -> Answer:
    """scene: array, transmit power, leakage, the user's area and prior; its sensors and noise are not looked at.

    draws: for the fit; explain: whether slips are looked for that would explain powers that do not fit, which takes a
    few times as long. Raises InputError for powers that cannot be.
    """
    require_well_formed(measured)
    if unknown.noise_subtracted:
        measured = measured._replace(power_w=np.asarray(measured.power_w) + measured.noise_w)
    prior = Prior.of(scene, unknown.gain, unknown.noise)
    powers = Powers.of(measured, scene, scene.leakage)
    louder = louder_than_free_space(powers, prior, measured, scene)
    quiet = too_quiet(powers, prior)
    remarks = [Remark("louder_than_free_space", louder)] if louder else []
    remarks += _quiet_sensors(measured, quiet)
    left_out: tuple[str, ...] = ()
    if are_few(quiet):
        left_out = tuple(name for name, one in zip(measured.labels, quiet, strict=True) if one)
        measured = measured.without(quiet)
    recommended = under(measured, scene, scene.leakage, prior, draws)
    other = under(measured, scene, SPHERICAL if scene.leakage.two_sided else TWO_SIDED, prior, draws)
    if other.fit.holds and not recommended.fit.holds:
        remarks.append(_other_fits(recommended, other))
        recommended, other = other, recommended
    elif recommended.fit.holds and _differ(recommended, other):
        remarks.append(_depends(recommended, other))
    remarks += _doubts(measured, scene, prior, recommended)
    fits = recommended.fit
    if explain and not fits.holds and not fits.no_user and (slip := explained(measured, scene, scene.leakage, prior)):
        remarks.append(Remark("slip", f"the powers would fit if {slip}"))
    return Answer(recommended, other, left_out, tuple(remarks), unknown, measured)


def under(measured: Measured, scene: LeakageEstimation, model: LeakageModel, prior: Prior, draws: int) -> UnderModel:
    """Under one model of the leakage."""
    powers = Powers.of(measured, scene, model)
    found = quadrature(powers, prior)
    curvature, cosine, gain, noise = found.peak.at[0]
    height = float(found.peak.height[0]) + powers.log_constant
    likeliest = Likeliest(
        float(1 / curvature), math.acos(cosine), float(gain / LOG_PER_DB), float(noise / LOG_PER_DB), height
    )
    posterior = summary(found.cells, _LEVEL)
    of_none = log_likelihood_of_none(powers, prior) - posterior.log_evidence
    posterior = posterior._replace(log_evidence=posterior.log_evidence + powers.log_constant)
    fits = fit(powers, prior, found.peak, measured.labels, draws)._replace(log_odds_of_none=of_none)
    return UnderModel(model.name, posterior, likeliest, fits, found.finished)


def _quiet_sensors(measured: Measured, quiet: np.ndarray) -> list[Remark]:
    if not quiet.any():
        return []
    names = [name for name, one in zip(measured.labels, quiet, strict=True) if one]
    some = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    what = f"sensor{'s' if len(names) > 1 else ''} {some}"
    if are_few(quiet):
        return [Remark("dead", f"{what}: less power than noise of {measured.noise_dbm:g} dBm leaves, left out")]
    return [
        Remark(
            "below_noise",
            f"{what}: less power than noise of {measured.noise_dbm:g} dBm leaves: check --noise-dbm, or say "
            f"--noise-subtracted where σ² was taken off",
        )
    ]


def _differ(one: UnderModel, other: UnderModel) -> bool:
    """Whether most of the other's posterior lies outside the region."""
    plane = other.posterior.plane
    rows = np.random.Generator(np.random.Philox(1)).choice(len(plane.mass), _PLACES, p=plane.mass / plane.mass.sum())
    range_m = (plane.range_low_m[rows] + plane.range_high_m[rows]) / 2
    angle_rad = (plane.angle_low_rad[rows] + plane.angle_high_rad[rows]) / 2
    inside = [one.posterior.plane.covers(*place) for place in zip(range_m, angle_rad, strict=True)]
    return float(np.mean(inside)) < _MOSTLY


def waves(leakage: str) -> str:
    """What a model takes waves toward the sensors for."""
    return "spherical" if leakage.startswith("two_sided") else "plane"


def _other_fits(asked: UnderModel, other: UnderModel) -> Remark:
    return Remark(
        "other_model_fits",
        f"{asked.leakage} does not fit ({asked.fit.p_text}), {other.leakage} does "
        f"({other.fit.p_text}): waves toward the sensors seem {waves(other.leakage)}, and the answer takes "
        f"them so",
    )


def _depends(one: UnderModel, other: UnderModel) -> Remark:
    favour = one.posterior.log_evidence - other.posterior.log_evidence
    if abs(favour) < math.log(10) and other.fit.holds:
        told = "the powers do not tell which"
    else:
        told = f"the powers speak for {waves(one.leakage if favour > 0 else other.leakage)} ones"
    return Remark(
        "depends_on_model",
        f"waves toward the sensors are taken as {waves(one.leakage)}, the user then at {one.posterior.range_m:.2f} m; "
        f"were they {waves(other.leakage)}, as with --leakage {other.leakage}, it would be at "
        f"{other.posterior.range_m:.2f} m: {told}",
    )


def _doubts(measured: Measured, scene: LeakageEstimation, prior: Prior, found: UnderModel) -> list[Remark]:
    remarks = []
    if found.fit.no_user:
        remarks.append(Remark("no_user", "the powers are those of noise alone: no user is heard"))
    elif not found.fit.holds:
        worst = "; ".join(f"{one.sensor} by {one.excess_db:+.1f} dB" for one in found.fit.worst)
        remarks.append(
            Remark(
                "does_not_fit",
                f"no user in the area explains these powers ({found.fit.p_text}), so no deviations are given; "
                f"farthest off: {worst}",
            )
        )
    if not found.finished:
        remarks.append(Remark("unfinished", "the posterior was not resolved, too many cells: deviations may be wrong"))
    if ends := _ends(found, prior):
        remarks.append(Remark("end_of_area", f"at the end of the area: {ends}; the user may be outside"))
    if (mean_db := _mean_below_noise(measured, prior)) is not None:
        remarks.append(
            Remark(
                "mean_below_noise", f"mean power is {mean_db:.2f} dB below σ²: check --noise-dbm, --noise-subtracted"
            )
        )
    far_m = scene.array().rayleigh_range_m
    near = int(np.count_nonzero(measured.range_m < far_m))
    if near and waves(found.leakage) == "plane":
        remarks.append(
            Remark(
                "near_sensors",
                f"{near} sensors are nearer than {far_m:.0f} m, where the array's far field begins; waves toward them "
                f"are taken as plane",
            )
        )
    return remarks


def _ends(found: UnderModel, prior: Prior) -> str:
    """Ends of the area at which the user may be."""
    plane = found.posterior.plane
    at_m, at_deg = found.likeliest.range_m, math.degrees(found.likeliest.angle_rad)
    sides = (
        (prior.range_min_m, prior.range_max_m, plane.range_low_m, plane.range_high_m, at_m, "m", 1.0),
        (
            prior.angle_min_rad, prior.angle_max_rad, plane.angle_low_rad, plane.angle_high_rad,
            math.radians(at_deg), "°", 180 / math.pi,
        ),
    )  # fmt: skip
    said = []
    for low, high, starts, ends, at, unit, scale in sides:
        margin = _AT_THE_END * (high - low)
        for end, share in (
            (low, np.clip((low + margin - starts) / (ends - starts), 0, 1)),
            (high, np.clip((ends - high + margin) / (ends - starts), 0, 1)),
        ):
            if abs(at - end) < 1e-6 * (high - low) or float(plane.mass @ share) > _SHARE_AT_THE_END:
                said.append(f"{end * scale:.4g} {unit}")
    return ", ".join(said)


def _mean_below_noise(measured: Measured, prior: Prior) -> float | None:
    """By how many dB the mean power is below σ², where noise alone would not be."""
    from scipy.special import gammainc

    counts = measured.counts
    lowest_w = measured.noise_w * math.exp(prior.low[3])
    mean_w = float(counts @ np.asarray(measured.power_w) / counts.sum())
    if gammainc(counts.sum(), counts.sum() * mean_w / lowest_w) > _SURELY_BELOW:
        return None
    return -10 * math.log10(max(mean_w, 1e-300) / measured.noise_w)
