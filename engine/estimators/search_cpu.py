"""The grid search on a CPU: prepares single-precision inputs for numba's loops, settles near ties in double."""

from typing import Any, NamedTuple

import numpy as np

from engine.estimators.problem import Observations, Problem, Surface
from engine.numerics import search_cpu as loops
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.likelihood_fit import highest_contribution, likelihood_fit, log_reference
from engine.numerics.noncentral_chi2 import log_constant, log_likelihood
from engine.numerics.pattern import PatternTable, error_bound, subset, tabulate

_SCOUT_RANGES, _SCOUT_ANGLES = 8, 2
"""Every how many candidates the likelihood is looked at beforehand, for a level that the best one surely reaches."""
_UNIT = 2.0**-24
_TYPICAL_ERROR = 0.1
"""Of `error_bound`: the bound is reached in the beam alone, elsewhere errors are far smaller (2 % in the mean)."""


class CpuSearch:
    """Both passes over the grid, under one leakage model."""

    def __init__(self, problem: Problem, model: LeakageModel) -> None:
        self.problem, self.model = problem, model
        self.table = tabulate(model, problem.array, problem.grid)
        self.ranges_m, self.angles_rad = problem.grid.candidates()
        grid = problem.grid
        angle, range_ = np.divmod(np.arange(grid.size), grid.n_ranges)
        step, every = min(_SCOUT_RANGES, grid.n_ranges), min(_SCOUT_ANGLES, grid.n_angles)
        scouts = np.flatnonzero((angle % every == 0) & (range_ % step == step // 2))
        scout_angles = -(-grid.n_angles // every)
        self.scouts = subset(self.table, scouts, len(scouts) // scout_angles)
        self.origin_m = float(self.ranges_m.mean())
        self.places = _Places(problem.cell_weights(), grid.ranges_m() - self.origin_m)
        self.scout_places = _Places(np.ones((scout_angles, len(scouts) // scout_angles)))
        self.fits = [likelihood_fit(n) for _, n in problem.observations()]
        self.error = error_bound(problem.array.n_elements)

    def nearest(self, observations: Observations) -> np.ndarray:
        """See `Search.nearest`."""
        gain, target = self._scaled(observations)
        first, weights = self._rows(observations.sensor_angle_rad)
        linear = _padded(-2.0 * target * gain[:, None, :])
        energy = np.sum(target * target, axis=-1)
        # Of two candidates: rounding grows as √K units of the energy; an error δ_k of the leakage moves each score by
        # 2 Σ (ẑ_k − β_k g_k) β_k δ_k, about 2 √cost β δ as the δ_k differ from sensor to sensor.
        rounding = 8 * np.sqrt(gain.shape[1]) * _UNIT * energy
        slope = np.broadcast_to(4 * np.max(gain, axis=-1)[:, None] * _TYPICAL_ERROR * self.error, energy.shape)
        found = _Found(energy.shape, np.inf)
        loops.least_squares(
            self.table.slabs, (self.problem.grid.n_angles, self.problem.grid.n_ranges), first, weights, _padded(gain), linear,
            energy.astype(np.float32), rounding.astype(np.float32), slope.astype(np.float32),
            found.best, found.count, found.index, found.value,
        )  # fmt: skip
        slack = rounding + slope * np.sqrt(np.maximum(found.best + energy, 0))
        return self._settled(found, slack, observations, _Squares(gain, target))

    def likelihood(self, observations: Observations) -> Surface:
        """See `Search.likelihood`."""
        size, _, _, n_sensors = observations.statistic.shape
        order = np.argsort(-observations.statistic[:, int(np.argmax(self.problem.snr)), -1, :], axis=-1, kind="stable")
        statistic = np.take_along_axis(
            observations.statistic.reshape(size, -1, n_sensors), order[:, None, :], axis=-1
        )
        angle = np.take_along_axis(observations.sensor_angle_rad, order, axis=-1)
        range_m = np.take_along_axis(observations.sensor_range_m, order, axis=-1)
        snr, counts = _per_observation(self.problem)
        per_leakage = 2 * (counts * snr)[:, None] * path_gain(range_m, self.problem.array.wavelength_m)[:, None, :]
        root = np.sqrt(statistic)
        offset = np.array([fit.offset for fit in self.fits])
        reference = (statistic + np.hypot(offset[:, None], statistic)) / offset[:, None]
        first, weights = self._rows(angle)
        inputs = (_padded(np.sqrt(per_leakage)), _padded(root), _padded(reference, 1.0))
        fits = (
            offset.astype(np.float32),
            np.array([fit.slope for fit in self.fits], dtype=np.float32),
            np.array([fit.coefficients for fit in self.fits], dtype=np.float32),
        )
        remaining = self._remaining(root)
        slack = 1e-3 + 2 * _TYPICAL_ERROR * self.error * np.sqrt(
            np.sum(per_leakage * per_leakage, axis=-1) / counts
        )
        found = _Found(slack.shape, -np.inf)

        marginal = np.zeros((*slack.shape, self.problem.grid.n_angles, 2))
        level = np.empty((*slack.shape, self.table.slabs.shape[0]))
        for table, places in ((self.scouts, self.scout_places), (self.table, self.places)):
            found.count[:] = 0
            level[:] = -np.inf
            loops.likelihood(
                table.slabs, places.weight.shape[0], first, weights, *inputs, remaining, *fits, places.weight,
                places.range_m, slack.astype(np.float32), found.best, level, marginal, found.count, found.index,
                found.value,
            )  # fmt: skip
        constants = [
            np.sum(log_reference(n, root[:, m]) + log_constant(statistic[:, m], n), axis=-1)
            for m, (_, n) in enumerate(self.problem.observations())
        ]
        per_slab = self.table.per_slab // self.problem.grid.n_ranges
        heights = np.exp(level - found.best[..., None])[..., np.arange(self.problem.grid.n_angles) // per_slab]
        log_scale = found.best + np.stack(constants, axis=1)
        found.best *= -1
        criterion = _Likelihood(per_leakage, statistic, self.problem)
        best = self._settled(found, slack, observations._replace(sensor_angle_rad=angle), criterion)
        mass = marginal[..., 0] * heights
        return Surface(best, mass, mass * self.origin_m + marginal[..., 1] * heights, log_scale)

    def _scaled(self, observations: Observations) -> tuple[np.ndarray, np.ndarray]:
        """β_k over its mean (B, K), and z_k in that unit, ẑ = z σ²/(P_t mean β): (B, M, K); ‖ẑ − βg‖² is Eq. (28)."""
        size, _, _, n_sensors = observations.statistic.shape
        snr, counts = _per_observation(self.problem)
        gain = path_gain(observations.sensor_range_m, self.problem.array.wavelength_m)
        mean = gain.mean(axis=-1)
        z = observations.statistic.reshape(size, -1, n_sensors) / (2 * counts[:, None]) - 1  # Eq. (8)
        return gain / mean[:, None], z / (snr * mean[:, None])[..., None]

    def _rows(self, sensor_angle_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, weights = self.table.taps(sensor_angle_rad)
        return _padded(first, 0, np.int32), _padded(weights, axis=1)

    def _remaining(self, root: np.ndarray) -> np.ndarray:
        """The most that the sensors after each group can still add: (B, M, groups)."""
        most = np.stack(
            [highest_contribution(n, root[:, m]) for m, (_, n) in enumerate(self.problem.observations())], axis=1
        )
        groups = _padded(most).reshape(*most.shape[:2], -1, loops.GROUP).sum(axis=-1, dtype=np.float64)
        after = np.cumsum(groups[..., ::-1], axis=-1)[..., ::-1] - groups
        return after.astype(np.float32)

    def _settled(
        self, found: "_Found", slack: np.ndarray, observations: Observations, criterion: "_Squares | _Likelihood"
    ) -> np.ndarray:
        """The best of the listed candidates by a double-precision score: (B, M)."""
        near = found.value <= (found.best + slack)[..., None]
        near &= np.arange(loops.LISTED) < found.count[..., None]
        chosen = np.take_along_axis(found.index, np.argmax(near, axis=-1)[..., None], axis=-1)[..., 0]
        close = np.count_nonzero(near, axis=-1) > 1
        if close.any():
            b, m, i = np.nonzero(near & close[..., None])
            candidate = found.index[b, m, i]
            score = criterion(b, m, self._exact(observations.sensor_angle_rad, b, candidate))
            order = np.lexsort((candidate, score, m, b))
            b, m, candidate = b[order], m[order], candidate[order]
            leads = np.ones(len(b), dtype=bool)
            leads[1:] = (b[1:] != b[:-1]) | (m[1:] != m[:-1])
            chosen[b[leads], m[leads]] = candidate[leads]
        for b, m in np.argwhere(found.count < 0):  # more near ties than can be listed: look at every candidate
            rows = np.full(self.problem.grid.size, b)
            everything = np.arange(self.problem.grid.size)
            score = criterion(rows, np.full_like(rows, m), self._exact(observations.sensor_angle_rad, rows, everything))
            chosen[b, m] = np.argmin(score)
        return chosen

    def _exact(self, sensor_angle_rad: np.ndarray, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """g of candidates (n,) at the sensors of realizations b (n,), ascending: (n, K), by the model itself."""
        rows, first, counts = np.unique(b, return_index=True, return_counts=True)
        column = np.arange(len(b)) - np.repeat(first, counts)
        row = np.repeat(np.arange(len(rows)), counts)
        padded = np.full((len(rows), int(counts.max())), candidate[0])
        padded[row, column] = candidate
        table = leakage(
            self.model,
            self.problem.array,
            range_m=self.ranges_m[padded],
            angle_rad=self.angles_rad[padded],
            sensor_angle_rad=sensor_angle_rad[rows],
        )
        return table.value[row, column]


class _Places:
    """A table's candidates: prior weight (angles, ranges), range from the grid's middle (ranges,)."""

    def __init__(self, weight: np.ndarray, range_m: np.ndarray | None = None) -> None:
        self.weight = weight.astype(np.float32)
        self.range_m = np.zeros(weight.shape[1], np.float32) if range_m is None else range_m.astype(np.float32)


class _Found:
    """What the loops fill: see `engine.numerics.search_cpu.least_squares`."""

    def __init__(self, shape: tuple[int, ...], worst: float) -> None:
        self.best = np.full(shape, worst, dtype=np.float32)
        self.count = np.zeros(shape, dtype=np.int32)
        self.index = np.zeros((*shape, loops.LISTED), dtype=np.int32)
        self.value = np.zeros((*shape, loops.LISTED), dtype=np.float32)


class _Squares(NamedTuple):
    """‖ẑ − βg‖² of realizations b, observations m (n,) at leakages g (n, K)."""

    gain: np.ndarray
    target: np.ndarray

    def __call__(self, b: np.ndarray, m: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.sum((self.target[b, m] - self.gain[b] * g) ** 2, axis=-1)


class _Likelihood(NamedTuple):
    """−log p(S|g), arguments as `_Squares`."""

    per_leakage: np.ndarray
    statistic: np.ndarray
    problem: Problem

    def __call__(self, b: np.ndarray, m: np.ndarray, g: np.ndarray) -> np.ndarray:
        score = np.empty(len(b))
        counts = _per_observation(self.problem)[1][m]
        noncentrality = self.per_leakage[b, m] * g
        for n in self.problem.n_snapshots:
            here = counts == n
            terms = log_likelihood(self.statistic[b[here], m[here]], noncentrality[here], n)
            score[here] = -np.sum(terms, axis=-1)
        return score


def _per_observation(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    snr, counts = zip(*problem.observations(), strict=True)
    return np.array(snr), np.array(counts)


def _padded(values: np.ndarray, fill: float = 0.0, dtype: Any = np.float32, axis: int = -1) -> np.ndarray:
    """A copy with as many sensors as a multiple of the loops' group, the new ones saying nothing."""
    more = -values.shape[axis] % loops.GROUP
    width = [(0, 0)] * values.ndim
    width[axis] = (0, more)
    return np.ascontiguousarray(np.pad(values, width, constant_values=fill), dtype=dtype)
