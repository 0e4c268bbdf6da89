"""The grid search: inputs in single precision for one pass over the grid, near ties settled in double precision.

Inputs are prepared on the host and near ties are settled there; the pass, which is all the work, runs on the CPU
(`engine.numerics.search_cpu`) or, where the namespace is CuPy, on the GPU (`engine.numerics.search_gpu`).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from array_api_compat import is_cupy_namespace, is_numpy_namespace

from engine.errors import InputError
from engine.estimators.candidates import Candidates, Seen
from engine.estimators.problem import PEAKS, Observations, Problem, Surface
from engine.numerics.likelihood_fit import highest_contribution, likelihood_fit, log_reference
from engine.numerics.noncentral_chi2 import log_constant, log_likelihood
from engine.numerics.pattern import PatternTable
from engine.numerics.search import GROUP, LISTED, Found, LikelihoodInputs, Sensors, SquaresInputs

Array = Any

_UNIT = 2.0**-24
_TYPICAL_ERROR = 0.1
"""Of `error_bound`: the bound is reached in the beam alone, elsewhere errors are far smaller (2 % in the mean)."""


def _passes(xp: Any, table: PatternTable, shape: tuple[int, int]) -> Any:
    """The passes over a table on the device of the namespace; numba and CuPy are imported only where they are used."""
    if is_numpy_namespace(xp):
        return _cpu_passes(table, shape)
    if is_cupy_namespace(xp):
        from engine.numerics.search_gpu import GpuPasses

        return GpuPasses(xp, table, shape)
    raise InputError(f"the grid search runs on NumPy or CuPy, given the namespace {xp.__name__}")


@functools.lru_cache(maxsize=4)
def _cpu_passes(table: PatternTable, shape: tuple[int, int]) -> Any:
    """Kept, as `tabulate` keeps its tables: parts of a table are copied for a pass."""
    from engine.numerics.search_cpu import CpuPasses

    return CpuPasses(table, shape)


class GridSearch:
    """Both passes over the grid, under one model of what its candidates leak."""

    def __init__(self, problem: Problem, candidates: Candidates, xp: Any) -> None:
        self.problem, self.candidates, self.xp = problem, candidates, xp
        grid = problem.grid
        shape = (grid.n_angles, grid.n_ranges)
        self.passes: Any = None if candidates.table is None else _passes(xp, candidates.table, shape)
        self.origin_m = float(grid.ranges_m().mean())
        self.weight, self.range_m = _single(problem.cell_weights()), _single(grid.ranges_m() - self.origin_m)
        self.fits = [likelihood_fit(n) for _, n in problem.observations()]
        self.error = candidates.error

    def nearest(self, observations: Observations) -> Array:
        """Index of the candidate that minimises ‖z − g‖², Eq. (28): (B, M)."""
        seen = self._loudest_first(self._on_host(observations))
        if not self.candidates.serves(seen):
            return self.xp.concatenate([search.nearest(one) for search, one in self._one_by_one(observations)])
        gain, target = self._scaled(seen)
        energy = np.sum(target * target, axis=-1)
        # Of two candidates: rounding grows as √K units of the energy; an error δ_k of the leakage moves each score by
        # 2 Σ (ẑ_k − β_k g_k) β_k δ_k, about 2 √cost β δ as the δ_k differ from sensor to sensor.
        rounding = 8 * np.sqrt(gain.shape[1]) * _UNIT * energy
        slope = np.broadcast_to(4 * np.max(gain, axis=-1)[:, None] * _TYPICAL_ERROR * self.error, energy.shape)
        inputs = SquaresInputs(
            _padded(gain),
            _padded(-2.0 * target * gain[:, None, :]),
            _after_each_group(-(np.maximum(target, 0) ** 2)),  # (ẑ − βg)² − ẑ² is least at g = ẑ/β, or at 0
            *map(_single, (energy, rounding, slope)),
        )
        found = self.passes.least_squares(self._sensors(seen), inputs)
        slack = rounding + slope * np.sqrt(np.maximum(found.best + energy, 0))
        return self.xp.asarray(self._settled(found, slack, seen, _Squares(gain, target)))

    def likelihood(self, observations: Observations) -> tuple[Surface, Callable[[], Array], "Ridges"]:
        """The posterior over the angle, what settles which candidate is the most likely, (B, M): one pass for both; and
        a look at candidates far below the highest.

        Settling costs where many candidates nearly tie, as where there is much noise, and not everybody needs it.
        """
        seen = self._loudest_first(self._on_host(observations))
        if not self.candidates.serves(seen):
            surfaces, settled, looks = zip(
                *(s.likelihood(one) for s, one in self._one_by_one(observations)), strict=True
            )
            whole = Surface(*(self.xp.concatenate(parts) for parts in zip(*surfaces, strict=True)))

            def ridges_of_each(rows: np.ndarray, m: int, needed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                parts = [looks[row](np.array([0]), m, needed[i : i + 1]) for i, row in enumerate(rows)]
                many, full = (np.concatenate(part) for part in zip(*parts, strict=True))
                return many, full

            return whole, lambda: self.xp.concatenate([one() for one in settled]), ridges_of_each
        inputs = self._likelihood_inputs(seen)
        found, marginal, maxima = self.passes.likelihood(self._sensors(seen), inputs)
        statistic = _flat(seen)
        constants = self._constants(statistic)
        highest = np.max(marginal.level, axis=-1)
        heights = np.exp(marginal.level - highest[..., None])
        mass = marginal.mass * heights
        found.best, found.value = -found.best, -found.value
        surface = Surface(
            found.lowest(),
            mass,
            mass * self.origin_m + marginal.by_range * heights,
            marginal.by_square * heights,
            _peaks(mass),
            maxima.at,
            maxima.score + constants[..., None],
            highest + constants,
        )

        def likeliest() -> Array:
            score = _Likelihood(self._per_leakage(seen), statistic, self.problem)
            return self.xp.asarray(self._settled(found, inputs.slack.astype(float), seen, score))

        def ridges(rows: np.ndarray, m: int, needed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            passes = _cpu_passes(self.candidates.table, (self.problem.grid.n_angles, self.problem.grid.n_ranges))
            score = _single(needed - constants[rows, m])[:, None]
            found, full = passes.ridges(self._sensors(_of_rows(seen, rows)), _of_one(inputs, rows, m), score)
            return found.at[:, 0], full[:, 0]

        return Surface(*(self.xp.asarray(part) for part in surface)), likeliest, ridges

    def _constants(self, statistic: np.ndarray) -> np.ndarray:
        """What the passes leave out of a log-likelihood; S (B, M, K) → (B, M)."""
        terms = [
            np.sum(log_reference(n, np.sqrt(statistic[:, m])) + log_constant(statistic[:, m], n), axis=-1)
            for m, (_, n) in enumerate(self.problem.observations())
        ]
        return np.stack(terms, axis=1)

    def _one_by_one(self, observations: Observations) -> Iterator[tuple["GridSearch", Observations]]:
        """A search of its own for every realization, whose candidates are computed for its sensors."""
        for b in range(observations.statistic.shape[0]):
            one = Observations(*(part[b : b + 1] for part in observations))
            candidates = self.candidates.of_realization(self._loudest_first(self._on_host(one)))
            yield GridSearch(self.problem, candidates, self.xp), one

    def _per_leakage(self, seen: Seen) -> np.ndarray:
        """∂(Lρ)/∂g, (B, M, K)."""
        snr, counts = _per_observation(self.problem)
        gain: np.ndarray = self.candidates.gain(seen)
        return 2 * (counts * snr)[:, None] * gain[:, None, :]

    def _likelihood_inputs(self, seen: Seen) -> LikelihoodInputs:
        statistic, per_leakage, counts = _flat(seen), self._per_leakage(seen), _per_observation(self.problem)[1]
        root = np.sqrt(statistic)
        offset = np.array([fit.offset for fit in self.fits])
        reference = (statistic + np.hypot(offset[:, None], statistic)) / offset[:, None]  # 1/v̂
        slack = 1e-3 + 2 * _TYPICAL_ERROR * self.error * np.sqrt(np.sum(per_leakage * per_leakage, axis=-1) / counts)
        return LikelihoodInputs(
            _padded(np.sqrt(per_leakage)),
            _padded(root),
            _padded(reference, 1.0),
            self._remaining(root),
            _single(offset),
            _single([fit.slope for fit in self.fits]),
            _single([fit.coefficients for fit in self.fits]),
            _single(slack),
            self.weight,
            self.range_m,
        )

    def _on_host(self, observations: Observations) -> Observations:
        if is_numpy_namespace(self.xp):
            return observations
        return Observations(*(self.xp.asnumpy(part) for part in observations))

    def _loudest_first(self, seen: Observations) -> Seen:
        """Sensors in the order of what they say at the least noise, so that most candidates drop out early."""
        loudness = seen.statistic[:, int(np.argmax(self.problem.snr)), int(np.argmax(self.problem.n_snapshots)), :]
        order = np.argsort(-loudness, axis=-1, kind="stable")
        return Seen(
            np.take_along_axis(seen.statistic, order[:, None, None, :], axis=-1),
            np.take_along_axis(seen.sensor_range_m, order, axis=-1),
            np.take_along_axis(seen.sensor_angle_rad, order, axis=-1),
            order,
        )

    def _scaled(self, observations: Seen) -> tuple[np.ndarray, np.ndarray]:
        """β_k over its mean (B, K), and z_k in that unit, ẑ = z σ²/(P_t mean β): (B, M, K); ‖ẑ − βg‖² is Eq. (28)."""
        size, _, _, n_sensors = observations.statistic.shape
        snr, counts = _per_observation(self.problem)
        gain = self.candidates.gain(observations)
        mean = gain.mean(axis=-1)
        z = observations.statistic.reshape(size, -1, n_sensors) / (2 * counts[:, None]) - 1  # Eq. (8)
        return gain / mean[:, None], z / (snr * mean[:, None])[..., None]

    def _sensors(self, seen: Seen) -> Sensors:
        first, weights = self.candidates.taps(seen)
        return Sensors(_padded(first, 0, np.int32, axis=1), _padded(weights, axis=1))

    def _remaining(self, root: np.ndarray) -> np.ndarray:
        """The most that the sensors after each group can still add: (B, M, groups)."""
        most = np.stack(
            [highest_contribution(n, root[:, m]) for m, (_, n) in enumerate(self.problem.observations())], axis=1
        )
        return _after_each_group(most)

    def _settled(self, found: Found, slack: np.ndarray, seen: Seen, criterion: "_Squares | _Likelihood") -> np.ndarray:
        """The best of the listed candidates by a double-precision score: (B, M)."""
        near = found.value <= (found.best + slack)[..., None]
        near &= np.arange(LISTED) < found.count[..., None]
        chosen = np.take_along_axis(found.index, np.argmax(near, axis=-1)[..., None], axis=-1)[..., 0]
        close = np.count_nonzero(near, axis=-1) > 1
        if close.any():
            b, m, i = np.nonzero(near & close[..., None])
            candidate = found.index[b, m, i]
            score = criterion(b, m, self.candidates.exact(seen, b, candidate))
            order = np.lexsort((candidate, score, m, b))
            b, m, candidate = b[order], m[order], candidate[order]
            leads = np.ones(len(b), dtype=bool)
            leads[1:] = (b[1:] != b[:-1]) | (m[1:] != m[:-1])
            chosen[b[leads], m[leads]] = candidate[leads]
        for b, m in np.argwhere(found.count < 0):  # more near ties than can be listed: look at every candidate
            rows = np.full(self.problem.grid.size, b)
            everything = np.arange(self.problem.grid.size)
            score = criterion(rows, np.full_like(rows, m), self.candidates.exact(seen, rows, everything))
            chosen[b, m] = np.argmin(score)
        return chosen


class Ridges(Protocol):
    """Candidates of observation m of realizations `rows` (n,) that exceed their neighbours in range or in angle, and
    whose log-likelihood, but for single precision, is above `needed` (n,): (n, MANY_MAXIMA), −1 for none; and for whom
    there are more than that, the lower ones of which are left out, (n,). On the host.
    """

    def __call__(self, rows: np.ndarray, m: int, needed: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


def _of_rows(seen: Seen, rows: np.ndarray) -> Seen:
    return Seen(*(part[rows] for part in seen))


def _of_one(inputs: LikelihoodInputs, rows: np.ndarray, m: int) -> LikelihoodInputs:
    """Of observation m of realizations `rows`."""
    here = slice(m, m + 1)
    per_row = {name: getattr(inputs, name)[rows, here] for name in ("scale", "root", "reference", "remaining", "slack")}
    per_one = {name: getattr(inputs, name)[here] for name in ("offset", "slope", "coefficients")}
    return inputs._replace(**{name: np.ascontiguousarray(part) for name, part in (per_row | per_one).items()})


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


def _peaks(mass: np.ndarray) -> np.ndarray:
    """Angles that have more mass (B, M, angles) than both neighbours, the most first: (B, M, PEAKS), −1 where fewer."""
    from engine.numerics.angle_peaks_cpu import most

    found = np.empty((int(np.prod(mass.shape[:-1])), PEAKS), dtype=np.int64)
    most(np.ascontiguousarray(mass).reshape(len(found), -1), found)
    return found.reshape(*mass.shape[:-1], PEAKS)


def _flat(seen: Seen) -> np.ndarray:
    """S (B, M, K)."""
    return seen.statistic.reshape(seen.statistic.shape[0], -1, seen.statistic.shape[-1])


def _per_observation(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    snr, counts = zip(*problem.observations(), strict=True)
    return np.array(snr), np.array(counts)


def _padded(values: np.ndarray, fill: float = 0.0, dtype: Any = np.float32, axis: int = -1) -> np.ndarray:
    """A copy with as many sensors as a multiple of the loops' group, the new ones saying nothing."""
    more = -values.shape[axis] % GROUP
    if not more:
        return np.array(values, dtype=dtype, order="C")
    width = [(0, 0)] * values.ndim
    width[axis] = (0, more)
    return np.ascontiguousarray(np.pad(values, width, constant_values=fill), dtype=dtype)


def _after_each_group(terms: np.ndarray) -> np.ndarray:
    """Sum of the terms (B, M, K) of all sensors after each group: (B, M, groups)."""
    groups = _padded(terms, dtype=np.float64).reshape(*terms.shape[:2], -1, GROUP).sum(axis=-1)
    return _single(np.cumsum(groups[..., ::-1], axis=-1)[..., ::-1] - groups)


def _single(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)
