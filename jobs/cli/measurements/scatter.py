"""Whether a sensor's rows differ as means of so many snapshots can: what shows a wrong --snapshots, whatever σ² is.

The power of one snapshot, signal S and noise N, has the mean S + N and the variance N² + 2SN, at most the mean's
square; the mean of L has an L-th of it.
"""

import math
from typing import NamedTuple

import numpy as np

_DEVIATIONS = 6.0
_VARIANCE = 8.0
"""of the squared relative deviation of a single snapshot's power, an exponential: 9 − 1; means of more have less"""


class Scatter(NamedTuple):
    """Squared relative deviations of rows from their sensor's mean, times their snapshots, in the mean over `freedom`
    rows beyond the first of each sensor: at most 1 where rows are means of as many snapshots as they say."""

    ratio: float
    freedom: int


UNKNOWN = Scatter(math.nan, 0)


def scatter(of_row: np.ndarray, power_w: np.ndarray, snapshots: np.ndarray, mean_w: np.ndarray) -> Scatter:
    """of_row: each row's sensor, and power_w, snapshots: of each row with a power (rows,); mean_w (K,)."""
    freedom = len(of_row) - len(np.unique(of_row))
    mean = mean_w[of_row]
    usable = mean > 0
    if not freedom or not np.any(usable):
        return UNKNOWN
    squared = snapshots[usable] * (power_w[usable] / mean[usable] - 1) ** 2
    return Scatter(float(np.sum(squared)) / freedom, freedom)


def said_of_scatter(found: Scatter, of_a_row: int) -> list[str]:
    """That rows cannot be means of as many snapshots as said; nothing where they can.

    >>> said_of_scatter(Scatter(0.9, 200), 1), len(said_of_scatter(Scatter(0.9, 200), 50))
    ([], 1)
    """
    if not found.freedom or not found.ratio * of_a_row > 1 + _DEVIATIONS * math.sqrt(_VARIANCE / found.freedom):
        return []
    return [
        f"rows of a sensor differ {math.sqrt(found.ratio * of_a_row):.2g} times as much as their snapshots let them: "
        f"is each the mean of fewer than --snapshots or the file says, or does the power change from row to row?"
    ]
