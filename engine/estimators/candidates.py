"""What the candidates of a grid leak to the sensors: by a model of the leakage, or from a table of expected powers."""

from typing import NamedTuple, Protocol

import numpy as np

from engine.errors import InputError
from engine.estimators.problem import Problem
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.pattern import TAPS, PatternTable, error_bound, stacked, tabulate

_IMPOSSIBLE = 1e6  # leakage of a candidate where nobody can be, over the largest there is: it fits no observation


class Seen(NamedTuple):
    """`Observations` on the host, a realization's sensors in an order of its own."""

    statistic: np.ndarray
    sensor_range_m: np.ndarray
    sensor_angle_rad: np.ndarray
    order: np.ndarray
    """which of the sensors stands here, (B, K)"""


class Candidates(Protocol):
    """Expected power of candidate i at sensor k over P_t: gain_k g_k(i), g from a table for the passes over the grid.

    error: of a g in the passes.
    """

    table: PatternTable
    error: float

    def gain(self, seen: Seen) -> np.ndarray:
        """(B, K)."""

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """As `PatternTable.taps`, of each sensor: first row (B, K), weights (B, K, TAPS)."""

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """g of candidates (n,) at the sensors of realizations b (n,), ascending, in double precision: (n, K)."""


class ModelledCandidates:
    """Candidates under a model of the leakage, in free space: any sensor in the far field."""

    def __init__(self, problem: Problem, model: LeakageModel) -> None:
        self._problem, self._model = problem, model
        self._ranges_m, self._angles_rad = problem.grid.candidates()
        self.table = tabulate(model, problem.array, problem.grid)
        self.error = error_bound(problem.array.n_elements)

    def gain(self, seen: Seen) -> np.ndarray:
        return path_gain(seen.sensor_range_m, self._problem.array.wavelength_m)

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        return self.table.taps(seen.sensor_angle_rad)

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        rows, first, counts = np.unique(b, return_index=True, return_counts=True)
        column = np.arange(len(b)) - np.repeat(first, counts)
        row = np.repeat(np.arange(len(rows)), counts)
        padded = np.full((len(rows), int(counts.max())), candidate[0])
        padded[row, column] = candidate
        table = leakage(
            self._model,
            self._problem.array,
            range_m=self._ranges_m[padded],
            angle_rad=self._angles_rad[padded],
            sensor_angle_rad=seen.sensor_angle_rad[rows],
        )
        return table.value[row, column]


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

    def gain(self, seen: Seen) -> np.ndarray:
        return self._gain[seen.order]

    def taps(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        weights = np.zeros((*seen.order.shape, TAPS), dtype=np.float32)
        weights[..., 0] = 1.0
        return seen.order.astype(np.int32), weights

    def exact(self, seen: Seen, b: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        return self._g[candidate[:, None], seen.order[b]]
