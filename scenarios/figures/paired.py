"""Two estimators on the same draws: which has the smaller errors, realization by realization."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scenarios.figures.rows import SQUARED_ERRORS

if TYPE_CHECKING:
    import xarray

BASELINES = ("least_squares", "posterior_mean")


class Comparison(NamedTuple):
    """Ratio of two estimators' mean squared errors at a point, and on which side of 1 it is."""

    ratio: float
    sign: int
    """−1 or 1 where the 95 % interval of the difference, realization by realization, is on that side; else 0"""
    users: int
    """realizations in which both have an estimate: no others are compared"""


Comparisons = dict[tuple[str, int, int, float], Comparison]
"""by (quantity, K, L, σ²)"""


def compared(results: "xarray.Dataset", name: str, other: str) -> Comparisons:
    """One estimator against another on the same draws. A realization is a sample."""
    from engine.summary import summarize

    found = {}
    for quantity, variable in SQUARED_ERRORS.items():
        dims = ("n_sensors", "n_snapshots", "noise_dbm")
        mine, theirs = (results[variable].sel(estimator=one, drop=True) for one in (name, other))
        apart = summarize(mine - theirs, quantiles=()).transpose(*dims, ...)
        both = (mine < np.inf) & (theirs < np.inf)  # the same users only
        ratio = (mine.where(both).mean("realization") / theirs.where(both).mean("realization")).transpose(*dims).values
        users = both.sum("realization").transpose(*dims).values
        low, high = apart["mean_low"].values, apart["mean_high"].values
        for where in zip(*np.nonzero(np.isfinite(ratio)), strict=True):
            k, n, s = (results[dim].values[i].item() for dim, i in zip(dims, where, strict=True))
            sign = -1 if high[where] < 0 else 1 if low[where] > 0 else 0
            found[quantity, k, n, s] = Comparison(float(ratio[where]), sign, int(users[where]))
    return found


def against_baselines(results: "xarray.Dataset", names: Sequence[str]) -> dict[str, dict[str, Comparisons]]:
    """Each of these estimators against the grid search and the posterior mean, where the results have them."""
    others = [other for other in BASELINES if other in results.estimator.values]
    return {name: {other: compared(results, name, other) for other in others} for name in names}
