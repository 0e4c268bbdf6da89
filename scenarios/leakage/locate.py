"""Where the user is, from powers that were measured: every estimator that applies, with deviations that it states."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine import InputError
from engine.estimators import (
    Batch,
    Estimator,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Workbench,
)
from engine.estimators.deepsets import AmortisedDeepSets, Checkpoint, ConditionedDeepSets, DeepSets
from engine.estimators.deepsets.setting import SPHERICAL_SENSORS, surroundings_of
from scenarios.leakage.answer import UnderModel
from scenarios.leakage.answer.answer import under
from scenarios.leakage.answer.prior import Prior
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import Measured, require_well_formed
from scenarios.leakage.plane_sensors import apparent_range_m, true_range_m


class Estimate(NamedTuple):
    """A place, and standard deviations that the estimator expects of its errors; NaN where it cannot say."""

    estimator: str
    range_m: float
    angle_rad: float
    deviation_range_m: float
    deviation_angle_rad: float
    is_learned: bool
    self_check: int = 0
    """`engine.estimators.doubt.Doubt`: what speaks against the estimate"""

    @property
    def ahead_m(self) -> float:
        """Distance from the array's axis."""
        return self.range_m * math.sin(self.angle_rad)

    @property
    def along_m(self) -> float:
        """Distance along the array's axis from its centre."""
        return self.range_m * math.cos(self.angle_rad)


class Refused(NamedTuple):
    """An estimator that does not apply, and why."""

    estimator: str
    reason: str


class NearSensors(NamedTuple):
    """Sensors nearer than where the array's far field begins, which estimates take for ones far beyond it."""

    n_sensors: int
    far_field_m: float


class PlaneSensors(NamedTuple):
    """An estimator takes waves toward the sensors as plane, and hence the user for farther than it is."""

    estimator: str
    excess_m: float
    """by how much its estimate is too far, by 1/(1/d − 1/R)"""


class ExactSensors(NamedTuple):
    """Waves toward the sensors are taken as spherical; powers of a model in which they are plane, as the paper's, are
    those of a user farther away, by more than the estimates' deviations."""

    farther_m: float
    """by 1/(1/d − 1/R)"""


class MeanSnapshots(NamedTuple):
    """A learned estimator is told one snapshot count, the sensors' mean."""

    estimator: str
    n_snapshots: int


class TakenForTrained(NamedTuple):
    """A learned estimator takes the measurements for some of the place that it was trained in."""

    estimator: str


Remark = NearSensors | PlaneSensors | ExactSensors | TakenForTrained | MeanSnapshots


class Located(NamedTuple):
    """What estimators say, which of them do not apply, and what makes the estimates doubtful."""

    estimates: tuple[Estimate, ...]
    refused: tuple[Refused, ...]
    remarks: tuple[Remark, ...]


class _Posed(NamedTuple):
    """An estimator, what it is asked, and whether that is true but for surroundings, and waves toward the sensors."""

    estimator: Estimator
    batch: Batch
    is_learned: bool
    takes_for_trained: bool
    takes_for_plane: bool


def locate(
    measured: Measured,
    scene: LeakageEstimation,
    checkpoints: Sequence[Checkpoint] = (),
    *,
    exact: UnderModel | None = None,
) -> Located:
    """Ask the model-based estimators, and the networks of each checkpoint.

    scene: array, transmit power and the user's area; estimators assume its leakage. Its sensors, noise power, snapshot
    count and estimators are not looked at: those are the measurements'. exact: the answer under that leakage to these
    powers, gain and noise known, where a caller has it already. Raises InputError for powers that cannot be.

    Deviations of model-based estimates are those of that answer's posterior about them: one posterior, one width. Where
    sensors have different snapshot counts, the likelihood's estimates are the answer's too, which takes each as it is;
    least squares asks for none; networks are told the mean.
    """
    require_well_formed(measured)
    _require_possible(measured, scene.transmit_dbm)
    count, equal = round(float(measured.counts.mean())), bool(np.ptp(measured.counts) == 0)
    scene = scene.replace(noise_dbm=(measured.noise_dbm,), n_snapshots=(count,), n_sensors=len(measured.power_w))
    problem = replace(scene.problem(), sensor_range_m=None)  # one realization: quicker without a table
    batch = Workbench(problem, np).batch(_observed(measured, count))
    posed = [_Posed(one, batch, False, False, not scene.leakage.two_sided) for one in _model_based(scene)]
    posed += [_posed_where_trained(one, batch) for one in checkpoints]
    answers = [_answer(one) for one in posed]
    exact = exact or under(measured, scene, scene.leakage, Prior.of(scene), draws=1)
    answers = [_by_posterior(one, exact, equal) if isinstance(one, Estimate) else one for one in answers]
    taken = [TakenForTrained(one.estimator.name) for one in posed if one.takes_for_trained]
    return Located(
        tuple(one for one in answers if isinstance(one, Estimate)),
        tuple(one for one in answers if isinstance(one, Refused)),
        (
            *_near_sensors(measured, scene),
            *_plane_sensors(measured, posed, answers),
            *_exact_sensors(measured, posed, answers),
            *taken,
            *([] if equal else [MeanSnapshots(one.estimator.name, count) for one in posed if one.is_learned]),
        ),
    )


def _by_posterior(one: Estimate, exact: UnderModel, equal: bool) -> Estimate:
    """A model-based estimate, where counts differ the posterior's own, with the posterior's deviations about it."""
    if one.is_learned:
        return one
    if one.estimator == "maximum_likelihood" and not equal:
        one = one._replace(range_m=exact.likeliest.range_m, angle_rad=exact.likeliest.angle_rad)
    if one.estimator == "posterior_mean" and not equal:
        one = one._replace(range_m=exact.posterior.range_m, angle_rad=exact.posterior.angle_rad)
    by_m, by_rad = exact.posterior.deviations_from(one.range_m, one.angle_rad)
    return one._replace(deviation_range_m=by_m, deviation_angle_rad=by_rad)


def _require_possible(measured: Measured, transmit_dbm: float) -> None:
    strongest_w = np.max(measured.power_w)
    if strongest_w > 1e-3 * 10 ** (transmit_dbm / 10):
        raise InputError(
            f"a sensor received {10 * np.log10(strongest_w * 1e3):.1f} dBm, more than the {transmit_dbm:g} dBm that "
            f"are sent: check the powers' unit, or set transmit_dbm"
        )
    if not strongest_w > 0:
        raise InputError("every power is zero: check the powers' unit")


def _plane_sensors(
    measured: Measured, posed: Sequence[_Posed], answers: Sequence[Estimate | Refused]
) -> list[PlaneSensors]:
    inverse = float(np.mean(1 / measured.range_m))
    return [
        PlaneSensors(one.estimator, one.range_m - true_range_m(one.range_m, inverse))
        for asked, one in zip(posed, answers, strict=True)
        if asked.takes_for_plane and isinstance(one, Estimate)
    ]


def _exact_sensors(
    measured: Measured, posed: Sequence[_Posed], answers: Sequence[Estimate | Refused]
) -> list[ExactSensors]:
    """Of the estimator that comes last among those that know of no network."""
    inverse = float(np.mean(1 / measured.range_m))
    known = [
        one
        for asked, one in zip(posed, answers, strict=True)
        if isinstance(one, Estimate) and not asked.takes_for_plane and not asked.is_learned
    ]
    known = [one for one in known if one.range_m * inverse < 1]
    if not known:
        return []
    farther_m = float(apparent_range_m(known[-1].range_m, inverse)) - known[-1].range_m
    return [ExactSensors(farther_m)] if farther_m > known[-1].deviation_range_m else []


def _near_sensors(measured: Measured, scene: LeakageEstimation) -> list[NearSensors]:
    if scene.leakage.two_sided:
        return []
    far_m = scene.array().rayleigh_range_m
    count = int(np.count_nonzero(measured.range_m < far_m))
    return [NearSensors(count, far_m)] if count else []


def _observed(measured: Measured, count: int) -> Observations:
    """One realization, noise power and snapshot count."""
    statistic = 2 * count * np.maximum(measured.power_w, 0.0) / measured.noise_w
    return Observations(statistic[None, None, None, :], measured.range_m[None], measured.angle_rad[None])


def _model_based(scene: LeakageEstimation) -> list[Estimator]:
    return [kind(leakage=scene.leakage) for kind in (LeastSquares, MaximumLikelihood, PosteriorMean)]


def _posed_where_trained(checkpoint: Checkpoint, batch: Batch) -> _Posed:
    """Networks of a place with surroundings, of which measurements say nothing, are asked as if these were there; and
    those of plane waves toward the sensors as if waves were plane."""
    card, problem = checkpoint.card(), batch.workbench.problem
    there = surroundings_of(card, problem)
    if there.setting != problem.setting:
        batch = Workbench(there, np).batch(batch.observations)
    surroundings = bool(set(there.setting) - set(SPHERICAL_SENSORS))
    plane = not surroundings and there.setting != SPHERICAL_SENSORS
    return _Posed(_learned(checkpoint), batch, True, surroundings, plane)


def _learned(checkpoint: Checkpoint) -> Estimator:
    kind, stem = checkpoint.card().kind, Path(checkpoint.path).stem
    if kind == "amortised":
        return AmortisedDeepSets(checkpoint=checkpoint, leakage="fresnel_closed", name=f"AmortisedDeepSets, {stem}")
    if kind == "conditioned":
        return ConditionedDeepSets(checkpoints=(checkpoint,), name=f"ConditionedDeepSets, {stem}")
    return DeepSets(checkpoints=(checkpoint,), name=f"DeepSets, {stem}")


def _answer(posed: _Posed) -> Estimate | Refused:
    estimator, batch, is_learned = posed[:3]
    try:
        place = estimator.prepare(batch.workbench)(batch)
        by = estimator.deviations(batch, place) if is_learned else (math.nan, math.nan)
        check = int(estimator.self_check(batch, place)[0, 0, 0])
    except InputError as error:
        return Refused(estimator.name, str(error))
    range_m, angle_rad, by_m, by_rad = (float(np.ravel(part)[0]) for part in (*place, *by))
    return Estimate(estimator.name, range_m, angle_rad, by_m, by_rad, is_learned, check)
