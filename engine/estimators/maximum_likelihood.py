"""Maximum likelihood: the best candidate of the grid, then off it."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, model_validator

from engine.estimators.estimator import Estimator, model_of, require_a_model
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.definite import diagonal, inverse
from engine.numerics.leakage import LeakageModel

Array = Any

STEPS = 8
_FIRST_DAMPING = 1e-3
_WORTHWHILE = 1e-7  # of log-likelihood, expected of a step
_LONGEST_STEP = 0.1  # of the grid's rectangle: a ridge along the range is many cells long


class MaximumLikelihood(Estimator):
    """argmax of the noncentral χ² log-likelihood: the grid's best candidate, refined by damped Fisher scoring.

    At most `steps` rounds of ψ ← ψ + (J + δ diag J)⁻¹ ∇l, J the expected information, Eq. (23), and δ lowered after
    each step that raises the likelihood and raised after one that does not, which is taken back (Levenberg, Quart.
    Appl. Math. 2, 1944). A step never leaves the grid's rectangle, nor is it longer than a tenth of that. 0 steps: on
    the grid.
    """

    steps: int = Field(STEPS, ge=0, le=100, description="rounds of off-grid refinement")

    @model_validator(mode="after")
    def _on_a_known_grid(self) -> Self:
        if self.steps:
            require_a_model(self.leakage, instead="steps=0")
        return self

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        workbench.search(self.leakage)
        xp = workbench.xp

        def estimate(batch: Batch) -> Estimates:
            if not self.steps:
                return batch.at(batch.likelihood(self.leakage).best)
            peak = batch.once(climb, self.leakage, self.steps)
            shape = batch.observations.statistic.shape[:3]
            return Estimates(xp.reshape(peak.range_m, shape), xp.reshape(peak.angle_rad, shape))

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Of small errors: the inverse of the expected information at the estimate, Eq. (23)."""
        xp, shape = batch.workbench.xp, estimates.range_m.shape
        range_m, angle_rad = (xp.reshape(part, (shape[0], -1, 1)) for part in estimates)
        at = Likelihood.of(xp, batch.workbench.problem, model_of(self.leakage), batch.observations).at(
            xp, range_m, angle_rad
        )
        rows = ((at.range_range, at.range_angle), (at.range_angle, at.angle_angle))
        information = xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)
        variance = diagonal(inverse(information, diagonal(information)))
        return Estimates(*(xp.reshape(xp.sqrt(variance[..., i]), shape) for i in (0, 1)))


def climb(batch: Batch, model: LeakageModel, steps: int) -> Local:
    """Uphill from the grid's best candidate, (B, M, 1): never less likely, never outside the grid's rectangle."""
    xp, problem = batch.workbench.xp, batch.workbench.problem
    grid = problem.grid
    most_m = _LONGEST_STEP * (grid.range_max_m - grid.range_min_m)
    most_rad = _LONGEST_STEP * (grid.angle_max_rad - grid.angle_min_rad)
    likelihood = Likelihood.of(xp, problem, model, batch.observations)
    range_m, angle_rad = problem.places(xp, batch.likelihood(model).best[..., None])
    at = likelihood.at(xp, range_m, angle_rad)
    damping = xp.full(at.value.shape, _FIRST_DAMPING)
    for _ in range(steps):
        step_m, step_rad = _damped_step(xp, at, damping)
        gain = xp.abs(step_m * at.by_range) + xp.abs(step_rad * at.by_angle)
        (rows,) = xp.nonzero(xp.max(gain, axis=(1, 2)) > _WORTHWHILE)
        if not rows.shape[0]:
            break
        here = Local(*(part[rows] for part in at))
        tried = likelihood.of_rows(rows).at(
            xp,
            xp.clip(here.range_m + xp.clip(step_m[rows], -most_m, most_m), grid.range_min_m, grid.range_max_m),
            xp.clip(
                here.angle_rad + xp.clip(step_rad[rows], -most_rad, most_rad), grid.angle_min_rad, grid.angle_max_rad
            ),
        )
        better = tried.value > here.value
        for whole, new, old in zip(at, tried, here, strict=True):
            whole[rows] = xp.where(better, new, old)
        damping[rows] = xp.where(better, damping[rows] / 10, damping[rows] * 10)
    return at


def _damped_step(xp: Any, at: Local, damping: Array) -> tuple[Array, Array]:
    """(J + δ diag J)⁻¹ ∇l of 2 × 2 systems; no step where J is singular."""
    a, c = at.range_range * (1 + damping), at.angle_angle * (1 + damping)
    b = at.range_angle
    determinant = a * c - b * b
    regular = determinant > 0
    inverse = xp.where(regular, 1 / xp.where(regular, determinant, xp.ones_like(a)), xp.zeros_like(a))
    return (c * at.by_range - b * at.by_angle) * inverse, (a * at.by_angle - b * at.by_range) * inverse
