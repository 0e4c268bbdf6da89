"""Maximum likelihood."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, model_validator

from engine.estimators.assumed_leakage import model_of, require_a_model
from engine.estimators.doubt import unchecked
from engine.estimators.estimator import FINENESS, Estimator
from engine.estimators.likelihood import Likelihood
from engine.estimators.peaks import STEPS
from engine.estimators.problem import Estimates
from engine.estimators.rivals import rivals
from engine.estimators.self_check import of_peaks
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.definite import diagonal, inverse


class MaximumLikelihood(Estimator):
    """argmax of the noncentral χ² log-likelihood: the highest of its peaks, each climbed by damped Fisher scoring.

    Climbs start from candidates of a grid that resolves the patterns, not from the problem's, which need not: from
    its likeliest angles, `engine.estimators.peaks`, and from whatever the grid leaves in doubt at the signal that there
    is, `engine.estimators.rivals`. From its likeliest angles, at most `steps` rounds of ψ ← ψ + (J + δ diag J)⁻¹ ∇l, J
    the expected information, Eq. (23), and δ lowered after each step that raises the likelihood and raised after one
    that does not, which is taken back (Levenberg, Quart. Appl. Math. 2, 1944). A step never leaves the grid's
    rectangle, nor is it longer than a tenth of that. 0 steps: the best candidate of the problem's own grid.
    """

    steps: int = Field(STEPS, ge=0, le=100, description="rounds of off-grid refinement")
    fineness: float = FINENESS

    @model_validator(mode="after")
    def _on_a_known_grid(self) -> Self:
        if self.steps:
            require_a_model(self.leakage, instead="steps=0")
        return self

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        xp = workbench.xp
        (workbench.resolving(self.fineness) if self.steps else workbench).search(self.leakage)

        def estimate(batch: Batch) -> Estimates:
            if not self.steps:
                return batch.at(batch.likeliest(self.leakage))
            peaks = batch.resolving(self.fineness).once(rivals, self.leakage, self.steps)
            shape = batch.observations.statistic.shape[:3]
            return Estimates(*(xp.reshape(part[..., 0], shape) for part in (peaks.range_m, peaks.angle_rad)))

        return estimate

    def self_check(self, batch: Batch, estimates: Estimates) -> Any:
        if not self.steps:
            return unchecked(estimates)
        return of_peaks(batch.resolving(self.fineness), model_of(self.leakage), estimates)

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
