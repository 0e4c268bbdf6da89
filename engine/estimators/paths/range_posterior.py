"""What a user's range may be: the posterior of κ = 1/range as its mean and quantiles.

The estimate is the mode, held at κ ≥ 0; a far user's is often 0. Its error over its deviation is then not normal, and
ranks in a normal distribution are not uniform. Those in the posterior are: exp(−‖residual‖²/s²) integrated over angles
and gains, with ranges uniform in view, hence 1/κ², which `engine.estimators.paths.spread` has at points around the
estimate.
"""

from typing import Any

Array = Any

LEVELS = (0.025, *(i / 20 for i in range(1, 20)), 0.975)
"""At which quantiles are stated; the eleventh is the median, the ends enclose 95 %."""


def mean_and_quantiles(xp: Any, values: Array, weights: Array) -> tuple[Array, Array]:
    """Of values (T, L, J), with weights that sum to one: (T, L) and, at `LEVELS`, (T, L, Q). NaN weights leave NaN.

    Each value has half of its weight below it; straight lines in between.
    """
    n_trials, n_users, n_values = values.shape
    mean = xp.sum(values * weights, axis=-1)
    trial, user = xp.arange(n_trials)[:, None, None], xp.arange(n_users)[None, :, None]
    order = xp.argsort(values, axis=-1)
    values, weights = values[trial, user, order], weights[trial, user, order]
    below = xp.cumulative_sum(weights, axis=-1) - weights / 2
    quantiles = []
    for level in LEVELS:
        after = xp.sum(xp.astype(below < level, xp.int64), axis=-1)[..., None]
        before, after = xp.clip(after - 1, 0, None), xp.clip(after, None, n_values - 1)
        low, high = (values[trial, user, i][..., 0] for i in (before, after))
        start, end = (below[trial, user, i][..., 0] for i in (before, after))
        step = xp.where(end > start, end - start, xp.ones_like(end))
        share = xp.where(end > start, (level - start) / step, xp.zeros_like(step))
        quantiles.append(xp.where(xp.isnan(mean), mean, low + share * (high - low)))
    return mean, xp.stack(quantiles, axis=-1)
