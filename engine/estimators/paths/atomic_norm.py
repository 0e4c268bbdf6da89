"""Atomic norm: plane waves without a grid, and the strongest of them is the user.

The baseline ANM of Cao et al. (arXiv 2501.17868), their reference [34]: each user for itself, no range.
"""

import math
from typing import Any

from pydantic import Field

from engine.estimators.paths.estimator import PathEstimator
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem, nothing_stated
from engine.numerics.atomic_norm import decompose, residual

Array = Any


class AtomicNorm(PathEstimator):
    """min ½‖y − W x‖² + τ‖x‖_A with τ = `penalty` σ √(C N ln 4N); for beams of random phases.

    A spherical wave is several plane ones, and noise many weak ones: 15 to 27 at the optimum, from 0 to 30 dB, of 20
    cycles. The gain is shrunk by the norm, as is everything that it finds.
    """

    penalty: float = Field(0.5, gt=0, description="τ over σ √(C N ln 4N), about what noise correlates with a wave")
    n_atoms: int | None = Field(
        None, gt=0, description="most plane waves that a user is made of; as many as it takes if null"
    )
    tolerance: float = Field(
        1e-2, gt=0, description="stop where the objective is proved to lie within this share of its minimum"
    )

    def prepare(self, problem: PathProblem, xp: Any) -> "AtomicNormLocalizer":
        return AtomicNormLocalizer(self, problem, xp)


class AtomicNormLocalizer:
    def __init__(self, method: AtomicNorm, problem: PathProblem, xp: Any) -> None:
        self.method, self.problem, self.xp = method, problem, xp

    def begin(self) -> "AtomicNormObserver":
        return AtomicNormObserver(self)


class AtomicNormObserver:
    """Solves anew from all cycles: a norm has nothing that grows by rows."""

    def __init__(self, localizer: AtomicNormLocalizer) -> None:
        self._localizer = localizer
        self._cycles: list[Cycles] = []

    def observe(self, cycles: Cycles) -> None:
        self._cycles.append(cycles)

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        method, problem, xp = self._localizer.method, self._localizer.problem, self._localizer.xp
        beams = xp.concat([part.beams for part in self._cycles], axis=1)
        samples = xp.concat([part.samples for part in self._cycles], axis=2)
        variance = self._cycles[-1].noise_variance
        n_groups, n_copies, n_cycles, n_users = samples.shape
        shape = (n_groups, n_copies, n_users)
        signals = xp.reshape(xp.matrix_transpose(samples), (n_groups, n_copies * n_users, n_cycles))
        n_elements = problem.surface.n_elements
        penalty = method.penalty * xp.sqrt(variance * (n_cycles * n_elements * math.log(4 * n_elements)))
        penalty = xp.reshape(xp.broadcast_to(penalty[..., None], shape), signals.shape[:2])
        atoms = decompose(problem.surface, beams, signals, penalty, n_atoms=method.n_atoms, tolerance=method.tolerance)
        u_x = xp.sqrt(xp.maximum(1 - atoms.u_y**2 - atoms.u_z**2, xp.zeros_like(atoms.u_y)))
        polar, azimuth = xp.acos(xp.clip(atoms.u_z, -1.0, 1.0)), xp.atan2(atoms.u_y, u_x)
        strength, view = xp.abs(atoms.gain), problem.view
        inside = (polar >= view.polar_min_rad) & (polar <= view.polar_max_rad)
        inside = inside & (azimuth >= view.azimuth_min_rad) & (azimuth <= view.azimuth_max_rad)
        # The strongest where users are known to be; of all, should none be there.
        best = xp.argmax(strength * xp.where(inside, 1.0, 1e-9), axis=-1)
        chosen = xp.arange(strength.shape[-1]) == best[..., None]
        polar, azimuth, gain = (
            xp.reshape(xp.sum(xp.where(chosen, part, xp.zeros_like(part)), axis=-1), shape)
            for part in (polar, azimuth, atoms.gain)
        )
        left = xp.abs(residual(problem.surface, beams, signals, atoms)) ** 2
        left = xp.sum(xp.reshape(left, (n_groups, n_copies, -1)), axis=-1)
        n_found = xp.sum(xp.reshape(xp.astype(strength > 0, xp.float64), (n_groups, n_copies, -1)), axis=-1)
        freedom = 2.0 * n_cycles * n_users - 4 * n_found
        freedom = xp.where(freedom > 0, freedom, xp.full_like(freedom, xp.nan))
        none = xp.full((n_groups, n_copies, problem.n_scatterers), xp.nan)
        return PathEstimates(
            xp.zeros_like(polar),
            polar,
            azimuth,
            gain,
            none,
            none,
            none,
            xp.zeros((*shape, problem.n_scatterers), dtype=gain.dtype),
            (2 * left / variance - freedom) / xp.sqrt(2 * freedom),
            variance,
            *nothing_stated(xp, shape),
        )
