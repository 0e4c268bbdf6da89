"""Where the true κ = 1/range lies in its posterior as estimates state it.

The estimate is the mode, and bounds are compared with that; it is held at κ ≥ 0, where many far users' modes are, so
that its error over its deviation has no distribution that anybody knows. The rank of the truth has: over users drawn
from the prior, ranges uniform in view, it is uniform where the posterior is right (S. Talts et al., "Validating
Bayesian inference algorithms with simulation-based calibration", arXiv 1804.06788).
"""

from itertools import pairwise
from typing import Any

from engine.estimators.paths.range_posterior import LEVELS

ATTRIBUTES = {
    "posterior_inverse_range_per_m": {
        "units": "1/m",
        "long_name": "mean of the inverse range in its posterior as the estimate states it",
    },
    "rank_inverse_range": {"long_name": "share of that posterior below the true inverse range: uniform if right"},
}


def ranks(xp: Any, kappa: Any, quantiles: Any, ends: tuple[float, float]) -> Any:
    """Of κ (...) among quantiles (..., Q) at `LEVELS` and the least and the greatest κ in view, by straight lines.

    NaN where none are stated, and of a plane wave, κ = 0, which no range in view is.
    """
    low, high = (xp.full_like(quantiles[..., :1], end) for end in ends)
    knots = xp.concat([low, quantiles, high], axis=-1)
    levels = (0.0, *LEVELS, 1.0)
    rank = xp.zeros_like(quantiles[..., 0])
    for i, (below, above) in enumerate(pairwise(levels)):
        start, end = knots[..., i], knots[..., i + 1]
        wide = end > start
        share = (kappa - start) / xp.where(wide, end - start, xp.ones_like(end))
        share = xp.where(wide, xp.clip(share, 0.0, 1.0), xp.astype(kappa >= end, xp.float64))
        rank = rank + share * (above - below)
    unknown = xp.isnan(quantiles[..., 0]) | (kappa == 0)
    return xp.where(unknown, xp.full_like(rank, xp.nan), rank)
