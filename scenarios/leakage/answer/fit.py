"""Whether the model can have made the powers at all."""

import math
from typing import NamedTuple

import numpy as np

from scenarios.leakage.answer.climb import Ends, climb
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior

DRAWS = 999
DOES_NOT_FIT = 0.005
_STEPS = 6
_TAKEN_FOR_NONE = 1e-3
_NO_NOISE = 1e-4
_NOISES = 401
_FAR_OFF = 3.0
_MOST_NAMED = 5


class Misfit(NamedTuple):
    """A sensor that the estimate does not explain."""

    sensor: str
    deviations: float
    """positive: louder than expected"""
    excess_db: float
    """of its power over the expected one"""


class Fit(NamedTuple):
    """statistic: Σ z_k², z_k each sensor's power as a normal deviate under the likeliest place; p_value: probability of
    that much or more, were the model true; log_odds_of_none: of noise alone over a user somewhere in the area."""

    statistic: float
    p_value: float
    draws: int
    worst: tuple[Misfit, ...]
    log_odds_of_none: float = -math.inf

    @property
    def no_user(self) -> bool:
        """Whether the powers are those of noise: of users in the area, one in a thousand at most is taken for none, as
        a ratio of likelihoods exceeds c with a probability of at most 1/c under the one that is below (Markov)."""
        return self.log_odds_of_none > math.log(1 / _TAKEN_FOR_NONE)

    @property
    def p_text(self) -> str:
        """As a sentence has it; where no draw was as far off, the probability may be far below one in so many."""
        return f"p {'≤' if self.p_value * (1 + self.draws) < 1.5 else '='} {self.p_value:.2g}"

    @property
    def holds(self) -> bool:
        return self.p_value > DOES_NOT_FIT and not self.no_user


def fit(powers: Powers, prior: Prior, peak: Ends, labels: tuple[str, ...], draws: int = DRAWS, seed: int = 0) -> Fit:
    """Compared with powers drawn at the likeliest place, each located anew from there (parametric bootstrap).

    χ² limits do not hold where L is small or the user's place is hardly known, and the draws need none. Locating anew
    looks near the place alone, so that p-values of few sensors are somewhat too large: what is said not to fit does
    not. The statistic looks to both sides, as a likelihood ratio against a free noncentrality would not: powers too low
    for any user are unexplained as well.
    """
    expected = powers.noncentrality(peak.table[:, 0], peak.at[0, 2], peak.at[0, 3])
    quieter = np.exp(-peak.at[0, 3])
    deviates = normal_deviates(powers.statistic * quieter, expected, powers.n_snapshots)
    random = np.random.Generator(np.random.Philox(seed))
    drawn = _drawn(random, expected, powers.n_snapshots, draws) / quieter
    again = climb(powers, prior, np.repeat(peak.at, draws, axis=0), _STEPS, drawn)
    there = powers.noncentrality(again.table, again.at[:, 2:3], again.at[:, 3:4])
    usual = normal_deviates(drawn * np.exp(-again.at[:, 3:4]), there, powers.n_snapshots)
    statistic = float(np.sum(deviates**2))
    exceed = int(np.count_nonzero(np.sum(usual**2, axis=-1) >= statistic))
    return Fit(statistic, (1 + exceed) / (1 + draws), draws, _worst(powers, expected, quieter, deviates, labels))


def _drawn(random: np.random.Generator, noncentrality: np.ndarray, counts: np.ndarray, draws: int) -> np.ndarray:
    """Noncentral χ² of 2L degrees of freedom, (draws, K)."""
    shape = (draws, len(counts))
    normal, rest = random.standard_normal(shape), random.chisquare(2 * counts - 1, shape)
    return np.asarray((np.sqrt(noncentrality) + normal) ** 2 + rest)


def normal_deviates(statistic: np.ndarray, noncentrality: np.ndarray, n_snapshots: np.ndarray) -> np.ndarray:
    """S as a nearly normal deviate, by the power of it that makes it most so; (..., K).

    Sankaran, "Approximations to the non-central chi-square distribution", Biometrika 50 (1963), 199-204.
    """
    r, y = 2.0 * n_snapshots, noncentrality
    h = 1 - 2 / 3 * (r + y) * (r + 3 * y) / (r + 2 * y) ** 2
    p = (r + 2 * y) / (r + y) ** 2
    m = (h - 1) * (1 - 3 * h)
    mean = 1 + h * p * (h - 1 - 0.5 * (2 - h) * m * p)
    deviation = h * np.sqrt(2 * p) * (1 + 0.5 * m * p)
    return np.asarray(((statistic / (r + y)) ** h - mean) / deviation)


def _worst(
    powers: Powers, expected: np.ndarray, quieter: float, deviates: np.ndarray, labels: tuple[str, ...]
) -> tuple[Misfit, ...]:
    """Those that are far off, the farthest first; or the farthest alone."""
    order = np.argsort(-np.abs(deviates), kind="stable")
    far = int(np.count_nonzero(np.abs(deviates) > _FAR_OFF))
    mean = 2 * powers.n_snapshots + expected
    ratio = np.maximum(powers.statistic * quieter, 1e-300) / mean
    rows = order[: max(1, min(far, _MOST_NAMED))]
    return tuple(Misfit(labels[k], float(deviates[k]), float(10 * np.log10(ratio[k]))) for k in rows)


def log_likelihood_of_none(powers: Powers, prior: Prior) -> float:
    """Of noise alone, over its prior, on the scale of `quadrature`'s evidence; −∞ where noise does not explain them."""
    from scipy.stats import chi2

    from engine.numerics.cells_cpu import scores

    noise = np.linspace(prior.low[3], prior.high[3], 1 if prior.noise.known else _NOISES)
    table = np.zeros((3, len(noise), len(powers.unit)))
    seen = np.ascontiguousarray(np.broadcast_to(powers.statistic, table.shape[1:]))
    value = scores(table, np.zeros_like(noise), noise, seen, powers.unit, powers.kinds)[0]
    quieter = np.exp(-noise[int(np.argmax(value))])
    deviates = normal_deviates(powers.statistic * quieter, np.zeros(len(powers.unit)), powers.n_snapshots)
    if chi2.sf(np.sum(deviates**2), len(deviates)) < _NO_NOISE:
        return -math.inf
    if prior.noise.known:
        return float(value[0])
    value = value + prior.noise.log_density(noise) + math.log(noise[1] - noise[0])
    return float(np.logaddexp.reduce(value))
