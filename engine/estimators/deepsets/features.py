"""What a network is told about each sensor, and how its outputs become a place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from engine.estimators.problem import Problem
from engine.estimators.workbench import Batch
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_cpu import compiled_leakage

_RANGES, _OFFSETS_RAD = 12, (-0.016, -0.006, 0.0, 0.006, 0.016)
TEMPLATES = _RANGES * len(_OFFSETS_RAD)
FEATURES = TEMPLATES + _RANGES + 10
"""Columns of an amortised network's elements; the first `TEMPLATES` of them are summed, the others encoded."""
RESIDUAL_RAD = 0.15
"""Unit of an amortised network's angle, which counts from the frame's."""
MIDDLE_RAD = np.pi / 2
"""Where nothing is known about the angle."""
OUTPUTS = 5
"""Of an amortised network: range, angle, the logarithms of their variances, and how far to draw back to the middle."""
_SURE, _NEAR = 4.0, 0.2
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
    """Sets as an amortised network sees them, each around its own least-squares place."""

    x: np.ndarray
    """(B, M, K, FEATURES), single precision"""
    angle_rad: np.ndarray
    """the frames' origins, (B, M)"""


def frames(batch: Batch, model: LeakageModel) -> Frames:
    """Elements that look alike wherever the user and the sensors are.

    Positions count from the least-squares angle φ̂ in u = cos θ, as the quadratic-phase leakage depends on u_k − cos φ
    and sin²φ/d alone. Powers come as residuals from templates: places at twelve ranges and five angles around φ̂,
    r = (√S − √E[S])/deviation, close to N(0, 1) at the true place whatever σ² and L. Summed over the set, −r²/2 is a
    template's log-likelihood but for a constant. Runs on the host.
    """
    problem, seen = batch.workbench.problem, batch.observations
    nearest_m, nearest_rad = problem.places(np, batch.nearest(model))
    size, n_observations = nearest_m.shape
    snr, count = (np.array(part, dtype=float)[:, None] for part in zip(*problem.observations(), strict=True))
    statistic = seen.statistic.reshape(size, n_observations, -1)
    power = snr * path_gain(seen.sensor_range_m, problem.array.wavelength_m)[:, None, :]

    grid = problem.grid
    ranges = np.geomspace(grid.range_min_m, grid.range_max_m, _RANGES)
    angles = np.clip(nearest_rad[..., None] + np.array(_OFFSETS_RAD), grid.angle_min_rad, grid.angle_max_rad)
    shape = (size, n_observations, len(_OFFSETS_RAD), _RANGES)
    g = compiled_leakage(
        model,
        problem.array,
        range_m=np.broadcast_to(ranges, shape).reshape(size, -1),
        angle_rad=np.broadcast_to(angles[..., None], shape).reshape(size, -1),
        sensor_angle_rad=seen.sensor_angle_rad,
    ).value.reshape(size, n_observations, TEMPLATES, -1)
    mu = power[:, :, None, :] * g
    deviation = np.sqrt((0.5 + mu) / (1 + mu))
    expected = np.sqrt(2 * count[..., None] * (1 + mu))
    residual = np.moveaxis((np.sqrt(statistic)[:, :, None, :] - expected) / deviation, 2, 3)

    u, origin = np.cos(seen.sensor_angle_rad)[:, None, :], np.cos(nearest_rad)[..., None]
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
        (nearest_rad[..., None] - MIDDLE_RAD) / RESIDUAL_RAD / 3,
        (nearest_m[..., None] - _range_unit(problem)[0]) / 3,
    )
    middle = residual[..., TEMPLATES // 2 - _RANGES // 2 :][..., :_RANGES]
    x = np.concatenate([-0.5 * residual**2, np.arcsinh(middle) / 2, np.stack(told, axis=-1)], axis=-1)
    return Frames(x.astype(np.float32), nearest_rad)


def gated(exp: Callable[[Any], Any], outputs: Any, middle: Any) -> Any:
    """The angle that outputs (…, 5) say, in the frame's unit: near its origin, or drawn back to the `middle` by the
    last output. Without the gate, shifts of a radian where the frame is lost cost the accuracy where it is not."""
    return _NEAR * outputs[..., 1] + middle / (1 + exp(_SURE - outputs[..., 4]))


def standardised(problem: Problem, place: np.ndarray, frame_rad: np.ndarray) -> np.ndarray:
    """Places (…, 2) as an amortised network says them, in a frame at angles (…)."""
    middle_m, unit_m = _range_unit(problem)
    return np.stack([(place[..., 0] - middle_m) / unit_m, (place[..., 1] - frame_rad) / RESIDUAL_RAD], axis=-1)


def placed(outputs: np.ndarray, frame_rad: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Places and deviations (…, 2) from an amortised network's outputs (…, 5), inside the candidates' rectangle."""
    grid = problem.grid
    middle_m, unit_m = _range_unit(problem)
    units = np.array([unit_m, RESIDUAL_RAD])
    said = np.stack([outputs[..., 0], gated(np.exp, outputs, (MIDDLE_RAD - frame_rad) / RESIDUAL_RAD)], axis=-1)
    place = said * units + np.stack([np.full_like(frame_rad, middle_m), frame_rad], axis=-1)
    low, high = [grid.range_min_m, grid.angle_min_rad], [grid.range_max_m, grid.angle_max_rad]
    return np.clip(place, low, high), np.exp(0.5 * np.clip(outputs[..., 2:4], *LOG_VARIANCE)) * units


def _range_unit(problem: Problem) -> tuple[float, float]:
    """Mean and deviation of ranges uniform over the candidates."""
    low, high = problem.grid.range_min_m, problem.grid.range_max_m
    return (low + high) / 2, (high - low) / np.sqrt(12)
