"""Least squares on the grid."""

from collections.abc import Callable

from engine.estimators.estimator import Estimator
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench


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
