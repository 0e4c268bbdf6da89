"""The grid search's passes on a CPU: one over (slabs of candidates × realizations × sensors). Imports numba.

A slab of the pattern table stays in the second-level cache while every realization of the block passes over it; four
sensors are interpolated at a time into a tile that stays in the first level, and every observation of the realization
(noise power × snapshots) uses that tile. Single precision throughout: what is close to the best is listed and scored
again in double precision by the caller. No threads: a worker owns one core.
"""

import numpy as np

from engine.numerics.pattern import PatternTable, subset
from engine.numerics.search import (
    MANY_MAXIMA,
    MAXIMA,
    Found,
    LikelihoodInputs,
    Marginal,
    Maxima,
    Sensors,
    SquaresInputs,
)
from engine.numerics.search_likelihood_cpu import likelihood
from engine.numerics.search_ridges_cpu import ridges
from engine.numerics.search_squares_cpu import least_squares

_SCOUT_RANGES, _SCOUT_ANGLES = 8, 2
"""Every how many candidates the likelihood is looked at beforehand, for a level that the best one surely reaches."""

_ROUNDING = np.float32(1e-5)
"""Of sums in single precision: what a candidate reached once it reaches again, less that. Where every candidate fits
badly, by 1e9 and more, that is beyond what counts as negligible, and the pass held nothing."""


class CpuPasses:
    """Passes over one table whose candidates are `shape` = (angles, ranges)."""

    def __init__(self, table: PatternTable, shape: tuple[int, int]) -> None:
        self.table, self.shape = table, shape
        n_angles, n_ranges = shape
        every, step = min(_SCOUT_ANGLES, n_angles), min(_SCOUT_RANGES, n_ranges)
        angles, ranges = np.arange(0, n_angles, every), np.arange(step // 2, n_ranges, step)
        self.scout_shape = len(angles), len(ranges)
        self.scouts = self._at(angles, ranges)

    def _at(self, angles: np.ndarray, ranges: np.ndarray) -> PatternTable:
        return subset(self.table, (angles[:, None] * self.shape[1] + ranges).reshape(-1), len(ranges))

    def least_squares(self, sensors: Sensors, inputs: SquaresInputs) -> Found:
        """See `SquaresInputs`; the lowest score is the best."""
        found = Found(inputs.energy.shape, np.inf)
        for table, shape in ((self.scouts, self.scout_shape), (self.table, self.shape)):
            found.count[:] = 0
            least_squares(table.slabs, _in_slabs(table, shape), sensors, inputs, _lists(found))
        return found

    def likelihood(self, sensors: Sensors, inputs: LikelihoodInputs) -> tuple[Found, Marginal, Maxima]:
        """See `LikelihoodInputs`; the highest score is the best."""
        found = Found(inputs.slack.shape, -np.inf)
        flat = np.zeros(self.scout_shape[1], np.float32)
        even = inputs._replace(weight=np.ones(self.scout_shape, np.float32), range_m=flat)
        self._likelihood(self.scouts, self.scout_shape, sensors, even, found, Maxima.none(*inputs.slack.shape, 1))
        found.count[:] = 0
        found.best -= _ROUNDING * np.abs(found.best)
        highest = Maxima.none(*inputs.slack.shape, MAXIMA)
        marginal = self._likelihood(self.table, self.shape, sensors, inputs, found, highest)
        found.value *= -1
        return found, marginal, highest

    def ridges(self, sensors: Sensors, inputs: LikelihoodInputs, needed: np.ndarray) -> tuple[Maxima, np.ndarray]:
        """The highest candidates on ridges of the likelihood above scores `needed` (B, M), single precision, and where
        there are more of them than are listed, (B, M)."""
        found, full = Maxima.none(*needed.shape, MANY_MAXIMA), np.zeros(needed.shape, dtype=bool)
        ridges(self.table.slabs, _in_slabs(self.table, self.shape), sensors, inputs, needed, found, full)
        return found, full

    @staticmethod
    def _likelihood(
        table: PatternTable,
        shape: tuple[int, int],
        sensors: Sensors,
        inputs: LikelihoodInputs,
        found: Found,
        highest: Maxima,
    ) -> Marginal:
        sums = np.zeros((*inputs.slack.shape, shape[0], 3))
        level = np.full((*inputs.slack.shape, table.slabs.shape[0]), -np.inf)
        likelihood(table.slabs, _in_slabs(table, shape), sensors, inputs, _lists(found), level, sums, highest)
        of_angle = np.arange(shape[0]) // _in_slabs(table, shape)[2]
        return Marginal(level[..., of_angle], sums[..., 0], sums[..., 1], sums[..., 2])


def _in_slabs(table: PatternTable, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Angles, ranges, and how many angles a slab holds."""
    return *shape, table.per_slab // shape[1]


def _lists(found: Found) -> tuple[np.ndarray, ...]:
    return found.best, found.count, found.index, found.value
