"""What a network is told about each sensor, and how its outputs become a place."""

from typing import Any, NamedTuple

import numpy as np

from engine.estimators.deepsets.network import NUMPY, TEMPERATURES, Operations
from engine.estimators.likelihood import Local
from engine.estimators.peaks import STEPS, climbed
from engine.estimators.problem import PEAKS as SURFACE_PEAKS
from engine.estimators.problem import Problem
from engine.estimators.workbench import Batch
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel

_RANGES, _OFFSETS_RAD = 12, (-0.016, -0.006, 0.0, 0.006, 0.016)
TEMPLATES = _RANGES * len(_OFFSETS_RAD)
FEATURES = TEMPLATES + _RANGES + 10
"""Columns of an amortised network's elements; the first `TEMPLATES` of them are summed, the others encoded."""
PEAKS, ANGLES = 1 + SURFACE_PEAKS, 6
TOLD = PEAKS + ANGLES + 1
"""Places that an amortised network weighs: peaks of the likelihood, angles of most mass, and the middle."""
KNOWN = 3 * TOLD + 2 * PEAKS + 1 + 2 * len(TEMPERATURES)
"""What an amortised network is told of a set as a whole."""
RESIDUAL_RAD = 0.15
"""Unit of an amortised network's angle, which counts from the frame's."""
MIDDLE_RAD = np.pi / 2
"""Where nothing is known about the angle."""
OUTPUTS = 5 + TOLD
"""Of an amortised network: shifts of range and angle, the logarithms of their variances, how far to trust heights, and
what to add to the height of each place."""
_APART_RAD, _UNIT, _AWAY = 0.1, 5.0, 5.0
_LEAST = -40.0
"""Logarithmic height of what holds nothing."""
_FLOOR = 0.03, 0.003
"""Least unit of the shifts of range and angle, in `_range_unit` and `RESIDUAL_RAD`; else the first peak's width."""
_TRUST, _CHANGE = 0.7, 3.0
"""What a network may do with heights: t in e^±0.7, δ in ±3. Without bounds it overruled, once in a thousand sets, a
likelihood that left no doubt; one user lost by a radian is the squared error of all others."""
LOG_VARIANCE = (-14.0, 5.0)
"""Where an amortised network's logarithms of variances are clipped."""


def compressed(z: np.ndarray) -> np.ndarray:
    """sign(z) ln(1 + |z|): normalised powers span six decades."""
    return np.sign(z) * np.log1p(np.abs(z))


def elements(statistic: np.ndarray, n_snapshots: np.ndarray, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """x_k = [z_k, d_k, θ_k] of Section IV with z compressed: (…, K, 3). Arguments broadcast to (…, K)."""
    z = statistic / (2 * n_snapshots) - 1  # Eq. (8)
    return np.stack(np.broadcast_arrays(compressed(z), range_m, angle_rad), axis=-1)


class Frames(NamedTuple):
    """Sets as an amortised network sees them, each around the highest peak of its own likelihood."""

    x: np.ndarray
    """(B, M, K, FEATURES), single precision"""
    known: np.ndarray
    """(B, M, KNOWN), single precision: height, angle and range of each place; the peaks' widths; how much mass there is
    beside the highest peak; the templates' vertices"""
    angle_rad: np.ndarray
    """the frames' origins, (B, M)"""


def frames(batch: Batch, model: LeakageModel) -> Frames:
    """Elements that look alike wherever the user and the sensors are.

    Positions count from the angle φ̂ of the likelihood's highest peak in u = cos θ, as the quadratic-phase leakage
    depends on u_k − cos φ and sin²φ/d alone. Powers come as residuals from templates: places at twelve ranges
    and five angles around φ̂, r = (√S − √E[S])/deviation, close to N(0, 1) at the true place whatever σ² and L. Summed
    over the set, −r²/2 − log deviation is nearly a template's log-likelihood. Runs on the host.
    """
    from engine.numerics.leakage_cpu import compiled_leakage

    problem, seen = batch.workbench.problem, batch.observations
    origin_rad, range_m, places = _places(batch, model)
    size, n_observations = origin_rad.shape
    snr, count = (np.array(part, dtype=float)[:, None] for part in zip(*problem.observations(), strict=True))
    statistic = seen.statistic.reshape(size, n_observations, -1)
    power = snr * path_gain(seen.sensor_range_m, problem.array.wavelength_m)[:, None, :]

    grid = problem.grid
    ranges = np.geomspace(grid.range_min_m, grid.range_max_m, _RANGES)
    angles = np.clip(origin_rad[..., None] + np.array(_OFFSETS_RAD), grid.angle_min_rad, grid.angle_max_rad)
    shape = (size, n_observations, len(_OFFSETS_RAD), _RANGES)
    g = compiled_leakage(
        model,
        problem.array,
        range_m=np.broadcast_to(ranges, shape).reshape(size, -1),
        angle_rad=np.broadcast_to(angles[..., None], shape).reshape(size, -1),
        sensor_angle_rad=seen.sensor_angle_rad,
        sensor_inverse_range_per_m=1 / seen.sensor_range_m,
    ).value.reshape(size, n_observations, TEMPLATES, -1)
    mu = power[:, :, None, :] * g
    variance = (0.5 + mu) / (1 + mu)
    expected = np.sqrt(2 * count[..., None] * (1 + mu))
    away = np.sqrt(statistic)[:, :, None, :] - expected
    fit = -0.5 * (away * away / variance + np.log(variance))
    middle = slice(TEMPLATES // 2 - _RANGES // 2, TEMPLATES // 2 + _RANGES // 2)
    residual = away[:, :, middle] / np.sqrt(variance[:, :, middle])

    u, origin = np.cos(seen.sensor_angle_rad)[:, None, :], np.cos(origin_rad)[..., None]
    offset = u - origin
    told = np.broadcast_arrays(
        np.arcsinh(np.sqrt(statistic) - np.sqrt(2 * count)) / 2,
        np.log10(power * np.sqrt(count)),
        offset,
        np.arcsinh(offset / 0.03) / 3,
        np.arcsinh(offset / (1 - origin**2) / 0.03) / 3,
        np.log10(count) - 0.8,
        np.log10(u.shape[-1]) - 1.4,
        np.log10(snr) - 10,
        (origin_rad[..., None] - MIDDLE_RAD) / RESIDUAL_RAD / 3,
        (range_m[..., None] - _range_unit(problem)[0]) / 3,
    )
    x = np.concatenate(
        [np.moveaxis(fit, 2, 3), np.arcsinh(np.moveaxis(residual, 2, 3)) / 2, np.stack(told, axis=-1)], axis=-1
    )
    known = np.concatenate([places, _vertices(fit.sum(axis=-1))], axis=-1)
    return Frames(x.astype(np.float32), known.astype(np.float32), origin_rad)


def _places(batch: Batch, model: LeakageModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle (rad) and range (m) of the highest peak, (B, M), and what is told of all places, (B, M, numbers).

    An angle is one that has more mass than all others farther than a tenth of a radian from the angles before it.
    """
    problem, resolved = batch.workbench.problem, batch.resolving()
    middle_m, unit_m = _range_unit(problem)
    angles, surface = resolved.workbench.problem.grid.angles_rad(), resolved.likelihood(model)
    peaks = resolved.once(climbed, model, STEPS)
    top = peaks.value[..., :1]
    some = surface.angle_mass > 0
    left = np.where(some, np.log(np.where(some, surface.angle_mass, 1.0)), -np.inf)
    least, total = left.max(axis=-1, keepdims=True) + _LEAST, np.sum(surface.angle_mass, axis=-1)
    heights, places_m, places_rad = [np.maximum(peaks.value - top, _LEAST)], [peaks.range_m], [peaks.angle_rad]
    for _ in range(ANGLES):
        at = left.argmax(axis=-1)[..., None]
        heights.append(np.maximum(np.take_along_axis(left, at, axis=-1), least) - least + _LEAST)
        mass, by_range = (np.take_along_axis(part, at, axis=-1) for part in (surface.angle_mass, surface.angle_range_m))
        places_m.append(by_range / np.where(mass > 0, mass, 1.0) + np.where(mass > 0, 0.0, middle_m))
        places_rad.append(angles[at])
        left = np.where(np.abs(angles - angles[at]) <= _APART_RAD, -np.inf, left)
    heights.append(np.maximum(left.max(axis=-1, keepdims=True), least) - least + _LEAST)
    places_m.append(np.full_like(top, middle_m))
    places_rad.append(np.full_like(top, MIDDLE_RAD))
    height, range_m, angle_rad = (np.concatenate(parts, axis=-1) for parts in (heights, places_m, places_rad))
    away = (angle_rad - angle_rad[..., :1]) / RESIDUAL_RAD / _AWAY
    known = [height / _UNIT, away, (range_m - middle_m) / unit_m, *_widths(peaks, unit_m)]
    beside = np.log(np.maximum(total, 1e-300)) - (top[..., 0] - surface.log_scale)
    return angle_rad[..., 0], range_m[..., 0], np.concatenate([*known, beside[..., None] / _UNIT], axis=-1)


def _widths(peaks: Local, unit_m: float) -> list[np.ndarray]:
    """Logarithms of the deviations of range and angle that the information at each peak leaves, one unit at most."""
    determinant = peaks.range_range * peaks.angle_angle - peaks.range_angle**2
    regular = determinant > 0
    logs = []
    for information, unit, floor in zip(
        (peaks.angle_angle, peaks.range_range), (unit_m, RESIDUAL_RAD), _FLOOR, strict=True
    ):
        variance = np.where(regular, information / np.where(regular, determinant, 1.0), np.inf)
        logs.append(np.log10(np.minimum(np.sqrt(variance) / unit, 1.0) + floor) / 2 + 1)
    return logs


def _vertices(log_likelihood: np.ndarray) -> np.ndarray:
    """Where parabolas through three angles have their vertices, weighted over the ranges, and those ranges.

    log_likelihood: of the templates, (B, M, TEMPLATES); the answer (B, M, 2 temperatures).
    """
    low, top, high = (log_likelihood.reshape(*log_likelihood.shape[:2], -1, _RANGES)[:, :, i] for i in (1, 2, 3))
    slope, bend = (high - low) / 2, np.minimum(high + low - 2 * top, -1e-3)
    vertex = np.clip(-slope / bend, -3, 3)
    height = top + slope * vertex + 0.5 * bend * vertex**2
    ladder = np.linspace(-1.7, 1.7, _RANGES)
    found = []
    for temperature in TEMPERATURES:
        weight = np.exp((height - height.max(axis=-1, keepdims=True)) / temperature)
        weight /= weight.sum(axis=-1, keepdims=True)
        found += [(weight * vertex).sum(axis=-1), (weight * ladder).sum(axis=-1)]
    return np.stack(found, axis=-1)


def chosen(to: Operations, outputs: Any, known: Any) -> Any:
    """Range and angle that outputs (…, OUTPUTS) say, in the frame's units, (…, 2): a mean over the places it is told.

    Weights are softmax(t h + δ) of the heights h; t and δ are learned, within bounds, and a shift in units of the first
    peak's width.
    """
    trust = to.exp(_TRUST * to.tanh(outputs[..., 4:5]))
    change = _CHANGE * to.tanh(outputs[..., 5:] / _CHANGE)
    height, angle, range_ = (known[..., i * TOLD : (i + 1) * TOLD] for i in range(3))
    weight = to.exp(to.log_softmax(trust * _UNIT * height + change))
    width_m, width_rad = (10 ** (2 * known[..., 3 * TOLD + i * PEAKS] - 2) for i in (0, 1))
    said = (
        (weight * range_).sum(-1) + width_m * outputs[..., 0],
        (weight * angle).sum(-1) * _AWAY + width_rad * outputs[..., 1],
    )
    return to.joined([part[..., None] for part in said])


def standardised(problem: Problem, place: np.ndarray, frame_rad: np.ndarray) -> np.ndarray:
    """Places (…, 2) as an amortised network says them, in a frame at angles (…)."""
    middle_m, unit_m = _range_unit(problem)
    return np.stack([(place[..., 0] - middle_m) / unit_m, (place[..., 1] - frame_rad) / RESIDUAL_RAD], axis=-1)


def placed(
    outputs: np.ndarray, known: np.ndarray, frame_rad: np.ndarray, problem: Problem
) -> tuple[np.ndarray, np.ndarray]:
    """Places and deviations (…, 2) from an amortised network's outputs (…, OUTPUTS), within the grid's bounds."""
    grid = problem.grid
    middle_m, unit_m = _range_unit(problem)
    units = np.array([unit_m, RESIDUAL_RAD])
    place = chosen(NUMPY, outputs, known) * units + np.stack([np.full_like(frame_rad, middle_m), frame_rad], axis=-1)
    low, high = [grid.range_min_m, grid.angle_min_rad], [grid.range_max_m, grid.angle_max_rad]
    return np.clip(place, low, high), np.exp(0.5 * np.clip(outputs[..., 2:4], *LOG_VARIANCE)) * units


def _range_unit(problem: Problem) -> tuple[float, float]:
    """Mean and deviation of ranges uniform over the candidates."""
    low, high = problem.grid.range_min_m, problem.grid.range_max_m
    return (low + high) / 2, (high - low) / np.sqrt(12)
