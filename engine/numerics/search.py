"""What goes into a pass over the grid and what comes out of it, on a CPU or a GPU. See `engine.estimators.search`.

B realizations, M observations of each (noise power × snapshots), K sensors, a multiple of GROUP, padded with ones that
say nothing. Single precision: a pass lists the candidates that may be the best, double precision settles which.
"""

from typing import NamedTuple

import numpy as np

GROUP = 4
"""Sensors whose logarithms are taken as one, of a product."""
LISTED = 64
"""Candidates that can be listed for a realization and observation."""
MAXIMA, MANY_MAXIMA = 16, 8192
"""Local maxima that a likelihood's pass lists, and candidates on ridges that a look far below the highest lists."""


class Sensors(NamedTuple):
    """Where each sensor finds its leakage in the pattern table: first rows of runs (B, K, J), weights (B, K, taps)."""

    first: np.ndarray
    weights: np.ndarray


class SquaresInputs(NamedTuple):
    """score = Σ_k (gain_k² g_k² + linear_k g_k), the squared distance less `energy`.

    gain (B, K); linear (B, M, K); remaining (B, M, K/GROUP): the least that later groups of sensors add, which is
    negative; energy, rounding, slope (B, M): candidates within rounding +
    slope √(lowest + energy) of the lowest score are listed.
    """

    gain: np.ndarray
    linear: np.ndarray
    remaining: np.ndarray
    energy: np.ndarray
    rounding: np.ndarray
    slope: np.ndarray


class LikelihoodInputs(NamedTuple):
    """score = Σ_k −½(scale_k √g_k − root_k)² + Q(v_k) + slope log(reference_k v_k), v of x = scale_k √g_k root_k.

    scale, root, reference (B, M, K); remaining (B, M, K/GROUP): the most that later groups of sensors can add;
    offset, slope (M,), coefficients (M, DEGREE + 1): `engine.numerics.likelihood_fit` of each observation's L; slack
    (B, M): candidates this near the best are listed; weight (angles, ranges): prior of each candidate; range_m
    (ranges,): from any origin.
    """

    scale: np.ndarray
    root: np.ndarray
    reference: np.ndarray
    remaining: np.ndarray
    offset: np.ndarray
    slope: np.ndarray
    coefficients: np.ndarray
    slack: np.ndarray
    weight: np.ndarray
    range_m: np.ndarray


class Found:
    """Best score (B, M) and the candidates listed: count (B, M), −1 for too many; index and value (B, M, LISTED).

    Some of the listed may lie farther from the best than they should. Of more likelihoods than can be listed, the first
    is the best's.
    """

    def __init__(self, shape: tuple[int, ...], worst: float) -> None:
        self.best = np.full(shape, worst, dtype=np.float32)
        self.count = np.zeros(shape, dtype=np.int32)
        self.index = np.zeros((*shape, LISTED), dtype=np.int32)
        self.value = np.zeros((*shape, LISTED), dtype=np.float32)

    def lowest(self) -> np.ndarray:
        """Index of the candidate of the lowest score, but for single precision: (B, M)."""
        listed = np.arange(LISTED) < np.maximum(self.count, 1)[..., None]
        at = np.argmin(np.where(listed, self.value, np.inf), axis=-1)
        return np.take_along_axis(self.index, at[..., None], axis=-1)[..., 0]


class Maxima(NamedTuple):
    """Candidates as high as their neighbours, or taken for such: index, −1 for none, and score, (…, P) each."""

    at: np.ndarray
    score: np.ndarray

    @classmethod
    def none(cls, *shape: int) -> "Maxima":
        return cls(np.full(shape, -1, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32))


class Marginal(NamedTuple):
    """Σ over the ranges of e^{score − level} weight · (1, range, squared distance from the mean range at that angle).

    (B, M, angles) each; level −∞ where nothing matters.
    """

    level: np.ndarray
    mass: np.ndarray
    by_range: np.ndarray
    by_square: np.ndarray
