"""Mean and variance of a posterior: the least possible expected squared error, and every other estimator's.

E[(θ̂ − θ)²|S] = Var(θ|S) + (θ̂ − E[θ|S])² for any θ̂ that is a function of S, under the model and the prior that made the
data: the Rao-Blackwellised squared error (Lehmann, Casella, Theory of Point Estimation, 1998, Section 4.1). Its mean
over the draws is that of the plain squared error, and it varies less, as the place is integrated out.
"""

import math
from typing import Any, NamedTuple

from engine.estimators.posterior import Posterior, highest, posterior
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel

Array = Any


class Moments(NamedTuple):
    """Of the posterior's range and angle, (B, S, L) each."""

    mean: Estimates
    """m, rad"""
    variance: Estimates
    """m², rad²"""


def moments(batch: Batch, model: LeakageModel, fineness: float = 1.0) -> Moments:
    """Under a model of the leakage and the problem's prior, by `posterior` on the grid that resolves its peaks.

    Squared distance of the means of the range from those of thousands of adaptive cells, over the variance (40 users
    each of L = 50, −75 dBm): K = 20 1.8 %, K = 40 0.7 %; at fineness 1.5 0.1 and 0.2 %. Variances are within 5 % of
    theirs in the mean of users, and within 1 % at fineness 1.5.
    """
    here = batch.resolving(fineness)
    return moments_of(here, here.once(posterior, model), highest(here, model))


def moments_of(batch: Batch, held: Posterior, about: tuple[Array, Array]) -> Moments:
    """Of a posterior whose squares are of distances from `about`, (B, M) each."""
    xp, shape = batch.workbench.xp, batch.observations.statistic.shape[:3]
    mass, *sums = (xp.sum(part, axis=-1) for part in held)
    range_m, angle_rad, square_m, square_rad = (part / mass for part in sums)
    variance_m = xp.clip(square_m - (range_m - about[0]) ** 2, 0.0, math.inf)
    variance_rad = xp.clip(square_rad - (angle_rad - about[1]) ** 2, 0.0, math.inf)
    mean, variance = (
        Estimates(*(xp.reshape(part, shape) for part in pair))
        for pair in ((range_m, angle_rad), (variance_m, variance_rad))
    )
    return Moments(mean, variance)


def expected_squared_errors(held: Moments, estimates: Estimates) -> Estimates:
    """E[(θ̂ − θ)²|S] of range and angle, (B, S, L) each."""
    return Estimates(
        held.variance.range_m + (estimates.range_m - held.mean.range_m) ** 2,
        held.variance.angle_rad + (estimates.angle_rad - held.mean.angle_rad) ** 2,
    )
