"""Continuous estimates of all paths, begun anew from the grid at each estimate."""

from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from engine.errors import InputError
from engine.estimators.paths.alternatives import between_explanations
from engine.estimators.paths.confidence import lost_probability
from engine.estimators.paths.estimator import Localizer, Observer, PathEstimator
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.estimators.paths.spread import spread
from engine.estimators.paths.trials import Paths, Rows, Trials, joined, trials_of
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
    range_loss: float = Field(
        0.05, gt=0, lt=0.5, description="power that a wave between two levels of 1/range may lose"
    )
    on_problem_grid: bool = Field(False, description="start on the problem's own dictionary instead")
    enough: float | None = Field(
        3.0, description="misfit below which no further scatterer is looked for; null: as many as the problem tells"
    )
    most_scatterers: int | None = Field(
        None, ge=0, le=16, description="most scatterers K_max, their number not told; the problem's number if null"
    )
    false_alarm: float = Field(0.01, gt=0, lt=0.5, description="rate at which a scatterer is found where there is none")
    noise: Literal["told", "estimated"] = Field("told", description="the noise's variance")
    scattered: Literal["any", "estimated", "told"] = Field(
        "any", description="power of scattered paths: any, all are fitted; else those not found are noise"
    )

    @model_validator(mode="after")
    def _one_criterion(self) -> Self:
        if self.scattered == "told" and self.noise == "estimated":
            raise ValueError(
                "scattered = 'told' with noise = 'estimated': needed scattered = 'estimated', or the noise told"
            )
        return self

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(self.pursuit(problem, xp))

    def pursuit(self, problem: PathProblem, xp: Any) -> JointPursuit:
        if self.scattered == "told" and problem.scattered_power is None:
            raise InputError("scattered = 'told', and nobody tells their power: needed 'estimated' or 'any'")
        known, scattered = self.noise == "told", None if self.scattered == "any" else self.scattered
        if self.most_scatterers is None:
            enough = -np.inf if self.enough is None or not known else self.enough
            return JointPursuit(problem, self.grid(problem), xp, enough=enough, noise_known=known, scattered=scattered)
        problem, rate = replace(problem, n_scatterers=self.most_scatterers), self.false_alarm
        return JointPursuit(problem, self.grid(problem), xp, order=rate, noise_known=known, scattered=scattered)

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


def acquired(pursuit: JointPursuit, trials: Trials, rows: Rows) -> tuple[Trials, Paths]:
    """The pursuit's paths, and trials with the noise's variance as the estimator has it.

    Estimated from what as many paths leave as there may be: until then it is unknown which of them count.
    """
    if pursuit.scattered is not None:
        trials = pursuit.with_powers(trials, rows)
        users = pursuit.alone(trials, rows)
        everything = pursuit.extended(trials, rows, users, everything=True)
        if not pursuit.noise_known:  # in units of which costs are told
            trials = pursuit.with_noise_left(trials, everything)
        # One at a time, and all and then without those that bring nothing: of several, one alone may bring nothing.
        paths = pursuit.extended(trials, rows, users)
        others = pursuit.pruned(trials, everything)
        (index,) = pursuit.xp.nonzero(others.evidence > paths.evidence)
        return trials, paths.replaced(index, others.take(index))
    if pursuit.noise_known:
        return trials, pursuit.acquired(trials, rows)
    paths = pursuit.acquired(trials, rows, everything=True)
    trials = pursuit.with_noise_left(trials, paths)
    if pursuit.order is None:
        return trials, paths
    paths, anew = pursuit.pruned(trials, paths), pursuit.acquired(trials, rows)
    (index,) = pursuit.xp.nonzero(pursuit.cost(trials, anew) < pursuit.cost(trials, paths))
    paths = paths.replaced(index, anew.take(index))
    return pursuit.with_noise_left(trials, paths), paths


def stated_of(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> tuple[Any, ...]:
    """What `PathEstimates` ends with, of each user: probability that it is lost, (T, L), and where not its covariance,
    (T, L, 3, 3), and mean and quantiles of κ, (T, L) and (T, L, Q)."""
    here = spread(pursuit, trials, paths)
    covariance = here.covariance + between_explanations(pursuit, trials, rows, paths)
    return lost_probability(pursuit, trials, rows, paths), covariance, here.mean_per_m, here.quantiles_per_m


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
        self.rows = self.pursuit.more_rows(self.rows, cycles.beams)
        self.cycles = joined(self.cycles, cycles, self.pursuit.xp)

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        if self.cycles is None or self.rows is None:
            raise ValueError("no cycles: observe some before the first estimate")
        trials, paths = acquired(self.pursuit, trials_of(self.cycles, self.pursuit.xp), self.rows)
        paths = self.pursuit.polished(trials, self.pursuit.pruned(trials, paths))
        stated = stated_of(self.pursuit, trials, self.rows, paths) if stating else None
        return self.pursuit.estimates(trials, paths, self.cycles.noise_variance.shape, stated)
