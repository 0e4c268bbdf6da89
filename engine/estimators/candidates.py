"""What the candidates of a grid leak to the sensors: by a model of the leakage, or from a table of expected powers."""

from typing import NamedTuple, Protocol

import numpy as np

from engine.errors import InputError
from engine.estimators.problem import Problem
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel
from engine.numerics.pattern import TAPS, PatternTable, error_bound, ranged_error_bound, stacked, tabulate
from engine.numerics.pattern_ranges import sensor_ranges

_IMPOSSIBLE = 1e6  # leakage of a candidate where nobody can be, over the largest there is: it fits no observation
_UNNOTICED = 0.05
_RARELY = 0.3
"""What is left out above the slope is found in the beam alone: errors have a root mean square of 1.3 % of their bound,
where others have up to 5 %, from which searches derive how many near ties they settle."""


class Seen(NamedTuple):
    """`Observations` on the host, a realization's sensors in an order of its own."""

    statistic: np.ndarray
    sensor_range_m: np.ndarray
    sensor_angle_rad: np.ndarray
    order: np.ndarray
    """which of the sensors stands here, (B, K)"""


class Candidates(Protocol):
    """Expected power of candidate i at sensor k over P_t: gain_k g_k(i), g from a table for the passes over the grid.

    error: of a g in the passes. table: None where there is none that serves all sensors.
    """

    @property
    def table(self) -> PatternTable | None:
        """See above."""

    @property
    def error(self) -> float:
        """See above."""

    def serves(self, seen: Seen) -> bool:
        """Whether the table holds what these sensors receive; else `of_realization` has one that does."""

    def of_realization(self, seen: Seen) -> "Candidates":
        """For the one realization that was seen."""

    def gain(self, seen: Seen) -> np.ndarray:
        """(B, K)."""

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """As `PatternTable.taps`, of each sensor: first rows (B, K, J), weights (B, K, taps)."""

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """g of candidates (n,) at the sensors of realizations b (n,), ascending, in double precision: (n, K)."""


class ModelledCandidates:
    """Candidates under a model of the leakage, in free space: any sensor."""

    def __init__(self, problem: Problem, model: LeakageModel) -> None:
        self._problem, self._model = problem, model
        self._ranges_m, self._angles_rad = problem.grid.candidates()
        self.error = error_bound(problem.array.n_elements)
        self.table = tabulate(model, problem.array, problem.grid) if not model.two_sided else self._ranged()

    def _ranged(self) -> PatternTable | None:
        """A table that resolves the sensors' ranges; none where they are unknown, or too near for one."""
        problem = self._problem
        if problem.sensor_range_m is None:
            return None
        nearest_m, farthest_m = problem.sensor_range_m
        tolerance = max(self.error, _unnoticed(problem, nearest_m))
        ranges = sensor_ranges(problem.array, 1 / farthest_m, 1 / nearest_m, tolerance)
        if ranges is None:
            return None
        bound = ranged_error_bound(problem.array.n_elements, ranges)
        self.error = bound * _RARELY if ranges.orders == 2 else bound
        return tabulate(self._model, problem.array, problem.grid, ranges)

    def serves(self, seen: Seen) -> bool:
        if self.table is None:
            return False
        return self.table.ranges is None or self.table.ranges.holds(1 / seen.sensor_range_m)

    def of_realization(self, seen: Seen) -> "ComputedCandidates":
        return ComputedCandidates(self._problem, self._model, seen)

    def gain(self, seen: Seen) -> np.ndarray:
        return path_gain(seen.sensor_range_m, self._problem.array.wavelength_m)

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        assert self.table is not None
        return self.table.taps(seen.sensor_angle_rad, 1 / seen.sensor_range_m)

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """By compiled loops, one candidate after the other: by arrays, of which each realization's had the length of
        the longest, they took a quarter of least squares with sensors at their ranges (L = 1)."""
        from engine.numerics.leakage_cpu import compiled_leakage, waves_to

        rows, row = np.unique(b, return_inverse=True)
        array, inverse_range_per_m = self._problem.array, 1 / seen.sensor_range_m
        waves = waves_to(self._model, array, seen.sensor_angle_rad[rows], inverse_range_per_m[rows])
        table = compiled_leakage(
            self._model,
            array,
            range_m=self._ranges_m[candidate][:, None],
            angle_rad=self._angles_rad[candidate][:, None],
            sensor_angle_rad=seen.sensor_angle_rad[b],
            sensor_inverse_range_per_m=inverse_range_per_m[b],
            waves=waves and waves._replace(rows=row),
        )
        return table.value[:, 0]


def _unnoticed(problem: Problem, sensor_range_m: float) -> float:
    """An error of the largest leakage, N, that moves the nearest sensor's √S by `_UNNOTICED` of its deviation, which
    is 1, at the least noise and the most snapshots."""
    most = max(2 * snr * n for snr, n in problem.observations())
    per_leakage = most * path_gain(sensor_range_m, problem.array.wavelength_m)
    return float(2 * _UNNOTICED * np.sqrt(problem.array.n_elements / per_leakage))


class ComputedCandidates:
    """Candidates at the sensors of one realization, computed for them alone: wherever they stand."""

    def __init__(self, problem: Problem, model: LeakageModel, seen: Seen) -> None:
        from engine.numerics.leakage_cpu import compiled_leakage

        ranges_m, angles_rad = problem.grid.candidates()
        self._wavelength_m = problem.array.wavelength_m
        self._g = compiled_leakage(
            model,
            problem.array,
            range_m=ranges_m[None],
            angle_rad=angles_rad[None],
            sensor_angle_rad=seen.sensor_angle_rad,
            sensor_inverse_range_per_m=1 / seen.sensor_range_m,
        ).value[0]
        self.table = stacked(self._g, problem.grid)
        self.error = problem.array.n_elements * 2.0**-24

    def serves(self, seen: Seen) -> bool:
        return True

    def of_realization(self, seen: Seen) -> "ComputedCandidates":
        return self

    def gain(self, seen: Seen) -> np.ndarray:
        return path_gain(seen.sensor_range_m, self._wavelength_m)

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        return _own_rows(np.arange(self._g.shape[1])[None])

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        return self._g[candidate]


def _own_rows(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Taps of a `stacked` table: sensors (B, K) that find their leakages in these rows."""
    weights = np.zeros((*row.shape, TAPS), dtype=np.float32)
    weights[..., 0] = 1.0
    return row[..., None].astype(np.int32), weights


class TabulatedCandidates:
    """Candidates with a known expected power at each of some fixed sensors, however it came about.

    expected: over P_t, (candidates, K); NaN in a row: nobody can be there.
    """

    def __init__(self, problem: Problem, expected: np.ndarray) -> None:
        if len(expected) != problem.grid.size:
            raise InputError(f"expected powers: given of {len(expected)} candidates, needed {problem.grid.size}")
        possible = np.all(np.isfinite(expected), axis=-1)
        if not possible.any():
            raise InputError("expected powers: no candidate of the grid can be a user's place")
        n = problem.array.n_elements
        self._gain = np.max(expected[possible], axis=0) / n  # so that g is at most N, as a leakage
        self._g = np.where(possible[:, None], expected / self._gain, n * _IMPOSSIBLE)
        self.table = stacked(self._g, problem.grid)
        self.error = n * 2.0**-24

    def serves(self, seen: Seen) -> bool:
        return True

    def of_realization(self, seen: Seen) -> "TabulatedCandidates":
        return self

    def gain(self, seen: Seen) -> np.ndarray:
        return self._gain[seen.order]

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        return _own_rows(seen.order)

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        return self._g[candidate[:, None], seen.order[b]]
