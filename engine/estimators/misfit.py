"""Whether a search that ended far below what a true place would reach may have missed it between its candidates."""

import math
from collections.abc import Sequence

import numpy as np

from engine.estimators.likelihood import Likelihood
from engine.numerics.likelihood_fit import highest_contribution, log_reference
from engine.numerics.noncentral_chi2 import log_constant, log_likelihood
from engine.numerics.pattern import ResolvingGrid

_DEVIATIONS = 3.09
"""Of a normal law: a true place is as far below as `_beyond` says for one observation in a thousand, and for hardly any
where some sensors hear little (none of 720 at the points of Fig. 3)."""
_HIDES = 16.0
"""Times what half a cell of the typical information costs: no grid hides a peak farther above its candidates. Of the
users of random scenes for whom a wrong peak was taken it was 0.1 to 10."""


def may_hide(likelihood: Likelihood, reached: np.ndarray) -> np.ndarray:
    """Whether the highest log-likelihood that was reached (B, M) is too low for a true place, by no more than what lies
    between candidates: the grid then hides the true place. Lower ones say that no place explains the data."""
    short = _short(likelihood.statistic, likelihood.n_snapshots, reached)
    return np.asarray((short > 0) & (short < 2 * _HIDES * _half_a_cell(likelihood)))


def is_beyond(statistic: np.ndarray, n_snapshots: Sequence[int], noncentrality: np.ndarray) -> np.ndarray:
    """Whether a place explains the data too badly for a true one: the place sought lies between candidates, or nowhere.

    statistic: S (B, M, K); n_snapshots: L of each of M; noncentrality: λ at the place, (B, M, K). Returns (B, M).
    """
    each = [log_likelihood(statistic[:, m], noncentrality[:, m], n) for m, n in enumerate(n_snapshots)]
    return _short(statistic, n_snapshots, np.sum(np.stack(each, axis=1), axis=-1)) > 0


def _short(statistic: np.ndarray, n_snapshots: Sequence[int], reached: np.ndarray) -> np.ndarray:
    """Twice the log-likelihood that is missing, beyond what a true place may miss, (B, M)."""
    return 2 * (_highest(statistic, n_snapshots) - reached) - _beyond(statistic.shape[-1])


def _highest(statistic: np.ndarray, n_snapshots: Sequence[int]) -> np.ndarray:
    """What the sum would be if each sensor had the power that suits it best, (B, M)."""
    found = np.empty(statistic.shape[:2])
    for m, n in enumerate(n_snapshots):
        root = np.sqrt(statistic[:, m])
        found[:, m] = np.sum(
            highest_contribution(n, root) + log_reference(n, root) + log_constant(statistic[:, m], n), axis=-1
        )
    return found


def _beyond(n_sensors: int) -> float:
    """Of χ² with so many degrees of freedom, which twice the distance of a true place is, or less where little is heard
    (Wilson, Hilferty, Proc. Nat. Acad. Sci. 17, 1931)."""
    ninth = 2 / (9 * n_sensors)
    return n_sensors * (1 - ninth + _DEVIATIONS * math.sqrt(ninth)) ** 3


def _half_a_cell(likelihood: Likelihood) -> np.ndarray:
    """½Jδ², δ half a cell of cos φ, J the information of the powers that were seen, their amplitudes being as steep as
    those of elements with random phases: ½ Σ(S − 2L) (kNΔ)²/12, (B, M)."""
    array, grid = likelihood.problem.array, likelihood.problem.grid
    assert isinstance(grid, ResolvingGrid)
    cell = (math.cos(grid.angle_min_rad) - math.cos(grid.angle_max_rad)) / (grid.n_angles - 1)
    width_rad = array.wavenumber_rad_per_m * array.n_elements * array.spacing_m
    heard = np.maximum(likelihood.statistic - 2 * np.array(likelihood.n_snapshots)[:, None], 0)
    return np.asarray(np.sum(heard, axis=-1) * (width_rad * cell) ** 2 / 12 / 16)
