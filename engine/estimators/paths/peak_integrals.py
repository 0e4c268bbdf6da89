"""What a peak of a user's posterior holds, integrated where it matters: a lobe bent by noise is not its mean shape.

`engine.estimators.paths.prior_mass` takes every peak for the mean lobe of its height. The estimate is the highest of
many, and what lies beside it within a beam is its own direction's too: it holds 1.2 times as much against the others
as that says. So where a user is not sure, the posterior is integrated around the peaks that count, at fixed points
drawn from the mean lobe, wider, which are weighted by what is there over what they were drawn with. Of 1280 users at
0 dB a lattice over the view has the probability of being lost within 0.005 in the mean, and their sum within 0.1 %.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from engine.estimators.paths import prior_mass
from engine.estimators.paths.conditional import Peaks, left_by_scatterers
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Trials, power
from engine.numerics.path_projection import responses

Array = Any

N_POINTS = 96
WIDER = 1.5
"""Deviations of the points over the mean lobe's"""
NEVER, MOST_NATS = 1e-300, 600.0
"""What still are numbers"""


def of_peaks(
    pursuit: JointPursuit, trials: Trials, peaks: Peaks, noise: Array, places: Array, height: Array, worth: Array
) -> Array:
    """∫ exp(f − f₀) ‖u₀‖²/‖u‖² over the prior within a peak's direction, rad² m, (T, L, H); f₀, u₀ at the peak.

    The first is the estimate; what lies in its direction is no other peak's.
    f: nats that a user explains of what scatterers leave, noise (T, 1). places (T, L, H, 3), nats high (T, L, H). Where
    it is not worth it (T, L, H), as the mean lobe of that height has it.
    """
    xp = pursuit.xp
    found = prior_mass.of_peaks(pursuit, places, height)
    for user in range(places.shape[1]):
        for rank in range(places.shape[2]):
            (index,) = xp.nonzero(worth[:, user, rank])
            if index.shape[0]:
                left = peaks.samples[index, user], peaks.basis[index], peaks.share[index]
                at = noise[index], places[index, user, rank], height[index, user, rank]
                here = places[index, user, 0] if rank else None
                found[index, user, rank] = _integrated(pursuit, trials.take(index), *left, *at, here)
    return found


def _integrated(
    pursuit: JointPursuit,
    trials: Trials,
    samples: Array,
    basis: Array,
    share: Array,
    noise: Array,
    place: Array,
    height: Array,
    but: Array | None,
) -> Array:
    """Of one peak of one user in each trial, (T,), without what lies in the direction of `but` (T, 3).

    samples (T, C): what scatterers leave; basis, share: of `Peaks`.
    """
    xp, view = pursuit.xp, pursuit.problem.view
    points, log_density = prior_mass.points_of_lobes(pursuit, place, height / WIDER**2, xp.asarray(_shares()))
    polar, azimuth = points[..., 1], points[..., 2]
    inside = (polar > view.polar_min_rad) & (polar < view.polar_max_rad)
    inside = inside & (azimuth > view.azimuth_min_rad) & (azimuth < view.azimuth_max_rad)
    inside = inside & pursuit.unresolved(points, place[:, None, :])
    if but is not None:
        inside = inside & ~pursuit.unresolved(points, but[:, None, :])
    points = xp.where(inside[..., None], points, xp.broadcast_to(place[:, None, :], points.shape))
    points = xp.concat([place[:, None, :], points], axis=1)
    received = responses(pursuit.problem.surface, trials.of_group(trials.beams), points)
    own = xp.sum(power(received), axis=-1)
    received = left_by_scatterers(xp, received, basis, share)
    energy = xp.maximum(xp.sum(power(received), axis=-1), pursuit.least_new * own)
    onto = (received @ xp.conj(samples)[..., None])[..., 0]
    nats = power(onto) / energy / noise - xp.log(energy)
    log_weight = xp.clip(nats[:, 1:] - nats[:, :1] - log_density, None, MOST_NATS)
    weight = xp.exp(xp.where(inside, log_weight, xp.full_like(log_weight, -math.inf)))
    return xp.maximum(xp.mean(weight, axis=-1), xp.full_like(height, NEVER))


@lru_cache
def _shares() -> np.ndarray:
    """(J, 3): shares of a range's distribution, uniform on 0 to 1, and two standard normal deviations.

    Of an additive sequence of low discrepancy, multiples of powers of the root of x⁴ = x + 1, and its mirror image.
    """
    from scipy.special import ndtri

    root = 1.2207440846057596
    shares = (0.5 + np.arange(1, N_POINTS // 2 + 1)[:, None] * root ** -np.arange(1.0, 4.0)) % 1
    shares = np.concatenate([shares, 1 - shares])
    return np.concatenate([shares[:, :1], ndtri(shares[:, 1:])], axis=-1)
