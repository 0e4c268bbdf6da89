"""Confidence intervals of summaries over independent realizations, on plain arrays of any shape.

SciPy is imported where it is called: with its half second, `nearfield list` took twice as long.
"""

import numpy as np


def student_quantile(level: float, count: np.ndarray) -> np.ndarray:
    """Two-sided quantile of Student's t for a mean of `count` values; infinite below two.

    >>> float(student_quantile(0.95, np.array(1000)).round(3))
    1.962
    """
    from scipy.special import stdtrit

    return np.where(count > 1, stdtrit(np.maximum(count - 1, 1), (1 + level) / 2), np.inf)


def symmetric_interval(mean: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends (low, high) of the usual interval. reach: quantile times standard error."""
    return mean - reach, mean + reach


def log_interval(mean: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends (low, high) for a mean of values that cannot be negative, by the delta method on its logarithm.

    It stays positive and reaches farther up than down, as a long upper tail should make it. A mean of zero says
    nothing about how large the values are that did not occur: it goes from zero to infinity.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = np.where(mean == 0, np.inf, np.exp(reach / mean))
        return mean / factor, np.where(mean == 0, np.inf, mean * factor)


def binomial_interval(events: np.ndarray, trials: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends (low, high) of a rate: the exact interval of Clopper and Pearson, Biometrika 26 (1934).

    >>> [float(end.round(4)) for end in binomial_interval(0, 100, 0.95)]
    [0.0, 0.0362]
    """
    from scipy.special import betaincinv

    events, trials = np.asarray(events, float), np.asarray(trials, float)
    tail = (1 - level) / 2
    # The clipped shape parameters belong to the ends that are 0 and 1 whatever the level.
    low = betaincinv(np.maximum(events, 1), trials - np.maximum(events, 1) + 1, tail)
    high = betaincinv(events + 1, np.maximum(trials - events, 1), 1 - tail)
    return np.where(events > 0, low, 0.0), np.where(events < trials, high, 1.0)


def order_statistics(count: np.ndarray, probability: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ranks, from 1 to `count`, of the order statistics that enclose a quantile with at least this level.

    Exact for any distribution, since the number of values below the quantile is binomial (David and Nagaraja, Order
    Statistics, 3rd ed., Section 7.1). Rank 0 or `count` + 1: too few values for a finite end.

    >>> [int(rank) for rank in order_statistics(np.array(100), 0.5, 0.95)]
    [40, 61]
    """
    tail = (1 - level) / 2
    return _binomial_quantile(tail, count, probability), _binomial_quantile(1 - tail, count, probability) + 1


def _binomial_quantile(q: float, count: np.ndarray, probability: float) -> np.ndarray:
    """Smallest k with P(B ≤ k) ≥ q. scipy.stats has it too, and takes half a second to import."""
    from scipy.special import bdtr, bdtrik

    k = np.ceil(np.nan_to_num(bdtrik(q, count, probability)))
    below = np.maximum(k - 1, 0)
    return np.where(bdtr(below, count, probability) >= q, below, k).astype(int)
