"""Continuous estimates of all paths, begun anew from the grid at each estimate."""

from typing import Any

from pydantic import Field

from engine.estimators.paths.confidence import lost_probability
from engine.estimators.paths.estimator import Localizer, Observer, PathEstimator
from engine.estimators.paths.joint_pursuit import JointPursuit, Rows, joined, trials_of
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.numerics.candidates import CandidateGrid, field_grid, resolving_grid


class NewtonisedPursuit(PathEstimator):
    """NOMP: users and scatterers from a coarse grid, fitted jointly; see `engine.estimators.paths.joint_pursuit`.

    The fit leaves the grid, which need only be fine enough to start on the right peak.
    """

    inverse_range_per_m: tuple[float, ...] | None = Field(
        None, min_length=1, description="levels of 1/range on the grid; from aperture, wavelength and view if null"
    )
    angle_step_rad: float | None = Field(
        None, gt=0, le=0.5, description="cells of both angles; from aperture, wavelength and view if null"
    )
    beam_share: float = Field(0.4, gt=0, le=0.6, description="cells of both angles over the beam's width λ/(n d)")
    range_loss: float = Field(0.05, gt=0, lt=0.5, description="power that a wave between two levels of 1/range may lose")
    on_problem_grid: bool = Field(False, description="start on the problem's own dictionary instead")
    enough: float = Field(3.0, description="misfit below which no further scatterer is looked for")

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(self.pursuit(problem, xp))

    def pursuit(self, problem: PathProblem, xp: Any) -> JointPursuit:
        return JointPursuit(problem, self.grid(problem), xp, enough=self.enough)

    def grid(self, problem: PathProblem) -> CandidateGrid:
        """Where the search starts."""
        if self.on_problem_grid:
            return field_grid(
                problem.surface,
                problem.view,
                problem.model,
                angle_step_rad=problem.angle_step_rad,
                range_step_m=problem.range_step_m,
            )
        return resolving_grid(
            problem.surface,
            problem.view,
            beam_share=self.beam_share,
            range_loss=self.range_loss,
            angle_step_rad=self.angle_step_rad,
            inverse_range_per_m=self.inverse_range_per_m,
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

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        if self.cycles is None or self.rows is None:
            raise ValueError("no cycles: observe some before the first estimate")
        trials = trials_of(self.cycles, self.pursuit.xp)
        paths = self.pursuit.acquired(trials, self.rows)
        lost = lost_probability(self.pursuit, trials, self.rows, paths) if stating else None
        return self.pursuit.estimates(trials, paths, self.cycles.noise_variance.shape, lost)
