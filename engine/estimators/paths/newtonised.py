"""Continuous estimates of all paths, from all cycles so far, begun anew from the grid at each estimate."""

from typing import Any

from pydantic import Field

from engine.estimators.paths.estimator import Localizer, Observer, PathEstimator
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.estimators.paths.pursuit import Pursuit, trials_of
from engine.numerics.candidates import CandidateGrid, field_grid, level_grid

Array = Any

COARSE_LEVELS_PER_M = (0.0, 0.2, 0.5, 1.0, 1.8)


class NewtonisedPursuit(PathEstimator):
    """NOMP: users and scatterers from a coarse grid, fitted jointly; see `engine.estimators.paths.pursuit`.

    The fit leaves the grid, so it need only be fine enough to start on the right peak.
    """

    inverse_range_per_m: tuple[float, ...] | None = Field(
        COARSE_LEVELS_PER_M, min_length=1, description="levels of 1/range of the grid; none: the problem's dictionary"
    )
    angle_step_rad: float = Field(0.035, gt=0, le=0.5, description="spacing of the levels' directions")

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(Pursuit(problem, self.grid(problem), xp))

    def grid(self, problem: PathProblem) -> CandidateGrid:
        """Where the search starts."""
        if self.inverse_range_per_m is not None:
            return level_grid(problem.view, self.inverse_range_per_m, angle_step_rad=self.angle_step_rad)
        return field_grid(
            problem.surface,
            problem.view,
            problem.model,
            angle_step_rad=problem.angle_step_rad,
            range_step_m=problem.range_step_m,
        )


class _Prepared:
    def __init__(self, pursuit: Pursuit) -> None:
        self.pursuit = pursuit

    def begin(self) -> Observer:
        return _Observer(self.pursuit)


class _Observer:
    def __init__(self, pursuit: Pursuit) -> None:
        self.pursuit = pursuit
        self.cycles: Cycles | None = None
        self.rows: Array = None

    def observe(self, cycles: Cycles) -> None:
        rows = self.pursuit.dictionary.rows(cycles.beams)
        if self.cycles is not None:
            rows = self.pursuit.xp.concat([self.rows, rows], axis=1)
            cycles = joined(self.cycles, cycles, self.pursuit.xp)
        self.cycles, self.rows = cycles, rows

    def estimate(self) -> PathEstimates:
        assert self.cycles is not None, "observe comes first"
        trials = trials_of(self.cycles, self.pursuit.xp)
        paths = self.pursuit.acquired(trials, self.rows)
        return self.pursuit.estimates(trials, paths, self.cycles.noise_variance.shape)


def joined(first: Cycles, further: Cycles, xp: Any) -> Cycles:
    """Cycles of the same trials, one after the other."""
    beams = xp.concat([first.beams, further.beams], axis=1)
    return Cycles(beams, xp.concat([first.samples, further.samples], axis=2), first.noise_variance)
