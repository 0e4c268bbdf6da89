"""The posterior mean."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import model_validator

from engine.estimators.assumed_leakage import model_of, require_a_model
from engine.estimators.estimator import FINENESS, Estimator
from engine.estimators.posterior import on_grid, posterior
from engine.estimators.posterior_spread import spread
from engine.estimators.problem import Estimates
from engine.estimators.self_check import of_posterior, of_sums
from engine.estimators.workbench import Batch, Workbench


class PosteriorMean(Estimator):
    """E[ψ|S] under the problem's prior: of all estimators the one of least mean squared error.

    Van Trees, Bell, Tian, Detection, Estimation, and Modulation Theory, Part I (2013), Section 4.2.1. It holds where
    the assumed leakage and prior are those that made the data. The integral is a sum over the candidates of a grid that
    resolves the array's patterns (not the problem's, which need not) and, where peaks are narrower than that grid's
    cells, along their ridges or over cells that follow them, `engine.estimators.posterior`. Without `off_grid`: a sum
    over the problem's own grid, which posteriors of little noise slip through.
    """

    off_grid: bool = True
    fineness: float = FINENESS

    @model_validator(mode="after")
    def _on_a_known_grid(self) -> Self:
        if self.off_grid:
            require_a_model(self.leakage, instead="off_grid=False")
        return self

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        xp = workbench.xp
        if self.off_grid:
            workbench = workbench.resolving(self.fineness)
        workbench.search(self.leakage)

        def estimate(batch: Batch) -> Estimates:
            if self.off_grid:
                held = batch.resolving(self.fineness).once(posterior, model_of(self.leakage))
            else:
                held = on_grid(batch, self.leakage)
            mass, range_m, angle_rad = (xp.sum(part, axis=-1) for part in held[:3])
            shape = batch.observations.statistic.shape[:3]
            return Estimates(xp.reshape(range_m / mass, shape), xp.reshape(angle_rad / mass, shape))

        return estimate

    def self_check(self, batch: Batch, estimates: Estimates) -> Any:
        if not self.off_grid:
            return of_sums(batch, self.leakage, estimates)
        return of_posterior(batch.resolving(self.fineness), model_of(self.leakage), estimates)

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Roots of the posterior's mean squared distances from the estimates, `posterior_spread.spread`."""
        here = batch.resolving(self.fineness) if self.off_grid else batch
        return spread(here, model_of(self.leakage), estimates)
