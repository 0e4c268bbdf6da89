"""The highest likelihood near given places, gain and noise with it: damped scoring, all starts at once."""

from typing import NamedTuple

import numpy as np

from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior

_FIRST_DAMPING = 1e-3
_WORTHWHILE = 1e-4
"""of log-likelihood, expected of a step"""
_LONGEST = 0.1
"""step, of the area or an unknown's interval"""


class Ends(NamedTuple):
    """Where n climbs ended: 1/d, cos φ, gain and noise (n, 4), the height there (n,), information (n, 4, 4), and the
    table of leakages (3, n, K)."""

    at: np.ndarray
    height: np.ndarray
    """log-likelihood, and the priors of gain and noise"""
    information: np.ndarray
    table: np.ndarray

    def of(self, row: int) -> "Ends":
        """One of them, as arrays of length 1."""
        return Ends(self.at[[row]], self.height[[row]], self.information[[row]], self.table[:, [row]])


def climb(powers: Powers, prior: Prior, starts: np.ndarray, steps: int, statistic: np.ndarray | None = None) -> Ends:
    """From starts (n, 4), each with powers of its own, statistic (n, K), if they are given (Levenberg, 1944)."""
    seen = np.broadcast_to(powers.statistic, (len(starts), len(powers.unit))) if statistic is None else statistic
    seen = np.ascontiguousarray(seen)
    low, high = prior.low, prior.high
    at = np.clip(starts, low, high)
    height, slope, information, table = _look(powers, prior, at, seen)
    damping = np.full(len(at), _FIRST_DAMPING)
    going = np.arange(len(at))
    for _ in range(steps):
        step = _step(at[going], slope[going], information[going], damping[going], prior)
        step = np.clip(step, -_LONGEST * (high - low), _LONGEST * (high - low))
        worth = np.sum(np.abs(step * slope[going]), axis=-1) > _WORTHWHILE
        going, step = going[worth & (damping[going] < 1e8)], step[worth & (damping[going] < 1e8)]
        if not len(going):
            break
        tried = np.clip(at[going] + step, low, high)
        new = _look(powers, prior, tried, seen[going])
        better = new[0] > height[going]
        up = going[better]
        at[up], height[up], slope[up], information[up] = (
            tried[better], new[0][better], new[1][better], new[2][better])  # fmt: skip
        table[:, up] = new[3][:, better]
        damping[going] = np.where(better, damping[going] / 10, np.maximum(damping[going], 1e-6) * 10)
    return Ends(at, height, information, table)


def _look(
    powers: Powers, prior: Prior, at: np.ndarray, statistic: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from engine.numerics.cells_cpu import scores

    table = powers.table(at[:, :2])
    gain, noise = (np.ascontiguousarray(at[:, i]) for i in (2, 3))
    value, slope, information = scores(table, gain, noise, statistic, powers.unit, powers.kinds)
    for i, known in ((2, prior.gain), (3, prior.noise)):
        by, more = known.slope_and_information(at[:, i])
        slope[:, i] += by
        information[:, i, i] += more
    return value + prior.log_nuisance_density(at[:, 2:]), slope, information, table


def _step(at: np.ndarray, slope: np.ndarray, information: np.ndarray, damping: np.ndarray, prior: Prior) -> np.ndarray:
    """(J + δ diag J)⁻¹ ∇l over what is unknown and is not pressed against its end, (n, 4)."""
    pressed = ((at <= prior.low) & (slope < 0)) | ((at >= prior.high) & (slope > 0)) | ~prior.free
    diagonal = np.einsum("nii->ni", information).copy()
    scale = 1 / np.sqrt(np.maximum(diagonal, 1e-300))
    scaled = information * scale[:, :, None] * scale[:, None, :]
    free = ~pressed & (diagonal > 0)
    scaled = scaled * (free[:, :, None] & free[:, None, :])
    scaled[:, np.arange(4), np.arange(4)] = 1 + damping[:, None]
    right = np.where(free, slope * scale, 0.0)
    return np.asarray(np.linalg.solve(scaled, right[..., None])[..., 0] * scale * free)
