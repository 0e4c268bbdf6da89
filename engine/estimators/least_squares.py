"""Least squares on the grid."""

from collections.abc import Callable

import numpy as np

from engine.estimators.assumed_leakage import model_of
from engine.estimators.estimator import Estimator
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.definite import diagonal, inverse
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import leakage


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
        """Of small errors: (GᵀG)⁻¹ GᵀCG (GᵀG)⁻¹, G the slopes of the mean powers and C = diag (1 + 2μ_k)/L."""
        xp, problem, seen = batch.workbench.xp, batch.workbench.problem, batch.observations
        shape = estimates.range_m.shape
        range_m, angle_rad = (xp.reshape(part, (shape[0], -1)) for part in estimates)
        g, by_range, by_angle = leakage(
            model_of(self.leakage),
            problem.array,
            range_m=range_m,
            angle_rad=angle_rad,
            sensor_angle_rad=seen.sensor_angle_rad,
            sensor_inverse_range_per_m=1 / seen.sensor_range_m,
        )
        snr, counts = (xp.asarray(np.array(part, float))[:, None] for part in zip(*problem.observations(), strict=True))
        power = snr * path_gain(seen.sensor_range_m, problem.array.wavelength_m)[:, None, :]
        slopes = xp.stack([power * by_range, power * by_angle], axis=-1)
        transposed = xp.moveaxis(slopes, -1, -2)
        squares = xp.matmul(transposed, slopes)
        inverted = inverse(squares, diagonal(squares))
        noise = ((1 + 2 * power * g) / counts)[..., None]
        with np.errstate(invalid="ignore"):  # ∞ where the powers do not depend on the place
            covariance = xp.matmul(inverted, xp.matmul(xp.matmul(transposed, noise * slopes), inverted))
            return Estimates(*(xp.reshape(xp.sqrt(covariance[..., i, i]), shape) for i in (0, 1)))
