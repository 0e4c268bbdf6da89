"""Where the user is, from powers that were measured: every estimator that applies, with deviations that it states."""

import math
from collections.abc import Sequence
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
from engine.estimators.deepsets.setting import surroundings_of
from scenarios.leakage.estimation import LeakageEstimation


class Measured(NamedTuple):
    """What K sensors received under noise of known power."""

    range_m: np.ndarray
    """(K,)"""
    angle_rad: np.ndarray
    """from the array's axis, (K,)"""
    power_w: np.ndarray
    """mean over the snapshots, (K,)"""
    n_snapshots: int
    """of each sensor"""
    noise_dbm: float
    """σ² at a sensor"""


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
    """Sensors nearer than where the array's far field begins, of which estimates assume that there are none."""

    n_sensors: int
    far_field_m: float


class TakenForTrained(NamedTuple):
    """A learned estimator takes the measurements for some of the place that it was trained in."""

    estimator: str


Remark = NearSensors | TakenForTrained


class Located(NamedTuple):
    """What estimators say, which of them do not apply, and what makes the estimates doubtful."""

    estimates: tuple[Estimate, ...]
    refused: tuple[Refused, ...]
    remarks: tuple[Remark, ...]


class _Posed(NamedTuple):
    """An estimator, and what it is asked."""

    estimator: Estimator
    batch: Batch
    is_learned: bool


def locate(measured: Measured, scene: LeakageEstimation, checkpoints: Sequence[Checkpoint] = ()) -> Located:
    """Ask the model-based estimators, and the networks of each checkpoint.

    scene: array, transmit power and the user's area; estimators assume its leakage. Its sensors, noise power, snapshot
    count and estimators are not looked at: those are the measurements'. Raises InputError for powers that cannot be.
    """
    _require_possible(measured, scene.transmit_dbm)
    scene = scene.replace(
        noise_dbm=(measured.noise_dbm,), n_snapshots=(measured.n_snapshots,), n_sensors=len(measured.power_w)
    )
    batch = Workbench(scene.problem(), np).batch(_observed(measured))
    posed = [_Posed(one, batch, False) for one in _model_based(scene)]
    posed += [_posed_where_trained(one, batch) for one in checkpoints]
    answers = [_answer(one) for one in posed]
    taken = [TakenForTrained(one.estimator.name) for one in posed if one.batch is not batch]
    return Located(
        tuple(one for one in answers if isinstance(one, Estimate)),
        tuple(one for one in answers if isinstance(one, Refused)),
        (*_near_sensors(measured, scene), *taken),
    )


def _require_possible(measured: Measured, transmit_dbm: float) -> None:
    if not math.isfinite(measured.noise_dbm):
        raise InputError(f"noise_dbm: given {measured.noise_dbm:g}, needed a finite power")
    shapes = [np.shape(part) for part in measured[:3]]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise InputError(f"measured ranges, angles and powers have shapes {shapes}, needed one of each for each sensor")
    strongest_w = np.max(measured.power_w)
    if strongest_w > 1e-3 * 10 ** (transmit_dbm / 10):
        raise InputError(
            f"a sensor received {10 * np.log10(strongest_w * 1e3):.1f} dBm, more than the {transmit_dbm:g} dBm that "
            f"are sent: check the powers' unit, or set transmit_dbm"
        )
    if not strongest_w > 0:
        raise InputError("every power is zero: check the powers' unit")


def _near_sensors(measured: Measured, scene: LeakageEstimation) -> list[NearSensors]:
    far_m = scene.array().rayleigh_range_m
    count = int(np.count_nonzero(measured.range_m < far_m))
    return [NearSensors(count, far_m)] if count else []


def _observed(measured: Measured) -> Observations:
    """One realization, noise power and snapshot count."""
    noise_w = 1e-3 * 10 ** (measured.noise_dbm / 10)
    statistic = 2 * measured.n_snapshots * measured.power_w / noise_w
    return Observations(statistic[None, None, None, :], measured.range_m[None], measured.angle_rad[None])


def _model_based(scene: LeakageEstimation) -> list[Estimator]:
    return [kind(leakage=scene.leakage) for kind in (LeastSquares, MaximumLikelihood, PosteriorMean)]


def _posed_where_trained(checkpoint: Checkpoint, batch: Batch) -> _Posed:
    """Networks of a place with surroundings, of which measurements say nothing, are asked as if these were there."""
    there = surroundings_of(checkpoint.card(), batch.workbench.problem)
    if there.setting:
        batch = Workbench(there, np).batch(batch.observations)
    return _Posed(_learned(checkpoint), batch, True)


def _learned(checkpoint: Checkpoint) -> Estimator:
    kind, stem = checkpoint.card().kind, Path(checkpoint.path).stem
    if kind == "amortised":
        return AmortisedDeepSets(checkpoint=checkpoint, leakage="fresnel_closed", name=f"AmortisedDeepSets, {stem}")
    if kind == "conditioned":
        return ConditionedDeepSets(checkpoints=(checkpoint,), name=f"ConditionedDeepSets, {stem}")
    return DeepSets(checkpoints=(checkpoint,), name=f"DeepSets, {stem}")


def _answer(posed: _Posed) -> Estimate | Refused:
    estimator, batch, is_learned = posed
    try:
        place = estimator.prepare(batch.workbench)(batch)
        deviations = estimator.deviations(batch, place)
        check = int(estimator.self_check(batch, place)[0, 0, 0])
    except InputError as error:
        return Refused(estimator.name, str(error))
    range_m, angle_rad, by_m, by_rad = (float(part[0, 0, 0]) for part in (*place, *deviations))
    return Estimate(estimator.name, range_m, angle_rad, by_m, by_rad, is_learned, check)
