"""Least squares on the grid."""

from collections.abc import Callable

from engine.estimators.estimator import Estimator
from engine.estimators.posterior_spread import spread
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.leakage import LeakageModel


class LeastSquares(Estimator):
    """argmin ‖z − g(ψ)‖² over the grid, with z_k = S_k/(2L) − 1 and g_k(ψ) = P_tβ_k g_k/σ².

    Mashhadi, Hoang, Vahid, arXiv 2605.21815, Eq. (11) and (28). Weighs a loud sensor as a quiet one, though its
    variance, (1 + 2μ_k)/L, is larger.
    """

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        workbench.search(self.leakage)

        def estimate(batch: Batch) -> Estimates:
            return batch.at(batch.nearest(self.leakage))

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Roots of the posterior's mean squared distances from the estimates: wrong minima and the grid's steps are in
        them, which in (GᵀG)⁻¹ GᵀCG (GᵀG)⁻¹, the slopes' own, they were not."""
        if not isinstance(self.leakage, LeakageModel):
            return super().deviations(batch, estimates)
        return spread(batch.resolving(), self.leakage, estimates)
