"""Continuous estimates of all paths, begun anew from the grid at each estimate."""

from typing import Any

from pydantic import Field

from engine.estimators.paths.estimator import Localizer, Observer, PathEstimator
from engine.estimators.paths.joint_pursuit import JointPursuit, Rows, joined, trials_of
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.numerics.candidates import CandidateGrid, field_grid, level_grid


class NewtonisedPursuit(PathEstimator):
    """NOMP: users and scatterers from a coarse grid, fitted jointly; see `engine.estimators.paths.joint_pursuit`.

    The fit leaves the grid, which need only be fine enough to start on the right peak.
    """

    inverse_range_per_m: tuple[float, ...] | None = Field(
        (0.0, 0.2, 0.5, 1.0, 1.8), min_length=1, description="levels of 1/range on the grid; null: the problem's grid"
    )
    angle_step_rad: float = Field(0.035, gt=0, le=0.5, description="cells of both angles, with the levels")
    enough: float = Field(3.0, description="misfit below which no further scatterer is looked for")

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(self.pursuit(problem, xp))

    def pursuit(self, problem: PathProblem, xp: Any) -> JointPursuit:
        return JointPursuit(problem, self.grid(problem), xp, enough=self.enough)

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
    def __init__(self, pursuit: JointPursuit) -> None:
        self.pursuit = pursuit

    def begin(self) -> Observer:
        return _Observer(self.pursuit)


class _Observer:
    def __init__(self, pursuit: JointPursuit) -> None:
        self.pursuit = pursuit
        self.cycles: Cycles | None = None
        self.rows: Rows | None = None

    def observe(self, cycles: Cycles) -> None:
        xp, rows = self.pursuit.xp, self.pursuit.rows(cycles.beams)
        if self.rows is not None:
            rows = Rows(xp.concat([self.rows.value, rows.value], axis=1), self.rows.energy + rows.energy)
        self.cycles, self.rows = joined(self.cycles, cycles, xp), rows

    def estimate(self) -> PathEstimates:
        if self.cycles is None or self.rows is None:
            raise ValueError("no cycles: observe some before the first estimate")
        trials = trials_of(self.cycles, self.pursuit.xp)
        paths = self.pursuit.acquired(trials, self.rows)
        return self.pursuit.estimates(trials, paths, self.cycles.noise_variance.shape)
