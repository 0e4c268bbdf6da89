"""How much of the prior a peak of a user's likelihood holds: directions uniform in the angles, ranges in metres.

A direction counts as dθ dφ, a range as dr, hence κ = 1/r as dκ/κ². Near its top a peak ρ nats high is
exp(−ρ(π²(x² + y²)/3 + c((κ − κ₀)/s)²)), x and y the direction cosines in beams, and a step s of inverse range costs
the share c of it (`RANGE_LOSS`). That is 3/(πρ) square beams wide, less what is beyond the view, times an integral over
κ, which has to be one: 1/κ² grows a hundredfold within a lobe of a surface that hardly tells ranges. As if it were
constant in a box as wide as the lobe, far peaks weighed 1.8 to 2.8 times what they do against near ones, and users
of 25 × 25 elements, drawn from this very prior, were lost 353 times where 400 were stated, at 0 dB.
"""

import math
from typing import Any

from engine.estimators.paths.fit_bounds import LEAST_TURN, RANGE_LOSS
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.numerics.resolution import beam_widths

Array = Any

N_STEPS = 24
DEVIATIONS = 4.0
"""Of a peak along κ: how far it is summed over"""
MOST_AWAY = 8.0
"""Deviations from the peak: an estimate so far beyond the view has its mass at the edge."""
LEAST_SHARE = 1e-9
"""Of a peak: what counts at least as in view; and of the view, the least that is summed over"""


def of_peaks(pursuit: JointPursuit, places: Array, height: Array) -> Array:
    """Of peaks so many nats high (...) at places (..., 3): rad² m of the prior, the likelihood being one at the top."""
    xp = pursuit.xp
    height = xp.maximum(height, xp.ones_like(height))
    return _of_directions(pursuit, places, height) * xp.sum(_along_range(pursuit, places[..., 0], height)[2], axis=-1)


def of_cells(pursuit: JointPursuit) -> Array:
    """Of the grid's cells, (M,): rad² m. In each direction a level reaches halfway to the next, the last to the end."""
    xp, view = pursuit.xp, pursuit.problem.view
    n_polar, n_azimuth, n_levels = pursuit.lattice
    nearest, farthest = 1 / view.range_min_m, 1 / view.range_max_m
    kappa, polar, azimuth = (pursuit.all_places[:, i] for i in range(3))
    # Candidates of one direction follow each other; where some are left out, fewer of them.
    first = xp.concat([xp.ones(1, dtype=xp.bool), (polar[1:] != polar[:-1]) | (azimuth[1:] != azimuth[:-1])])
    direction = xp.cumulative_sum(xp.astype(first, xp.int64)) - 1
    (begin,) = xp.nonzero(first)
    rank = xp.arange(kappa.shape[0]) - begin[direction]
    levels = xp.full((begin.shape[0], n_levels), math.inf)
    levels[direction, rank] = kappa
    order = xp.argsort(levels, axis=-1)
    row = xp.arange(levels.shape[0])[:, None]
    levels = levels[row, order]
    between = xp.clip((levels[:, 1:] + levels[:, :-1]) / 2, farthest, nearest)
    ends = xp.ones((levels.shape[0], 1))
    edges = xp.concat([ends * farthest, between, ends * nearest], axis=-1)
    metres = xp.zeros_like(levels)
    metres[row, order] = 1 / edges[:, :-1] - 1 / edges[:, 1:]
    area = (view.polar_max_rad - view.polar_min_rad) * (view.azimuth_max_rad - view.azimuth_min_rad)
    return metres[direction, rank] * area / (n_polar * n_azimuth)


def tail(xp: Any, deviations: Array) -> Array:
    """Of the normal distribution: Φ(−x), to 4e-3 and better; the namespaces have no error function."""
    deviations = xp.clip(deviations, -20.0, 20.0)  # where the exponential still is a number
    return 1 / (1 + xp.exp(1.5976 * deviations + 0.070566 * deviations**3))  # Bowling et al., 2009


def points_of_lobes(pursuit: JointPursuit, places: Array, height: Array, shares: Array) -> tuple[Array, Array]:
    """Places drawn from peaks at places (T, 3), so many nats high (T,): (T, J, 3), and ln of their density, per rad² m.

    shares (J, 3): uniform on 0 to 1, and two standard normal deviations. Not cut at the view, but for ranges.
    """
    xp = pursuit.xp
    height = xp.maximum(height, xp.ones_like(height))
    below, above, metres = _along_range(pursuit, places[:, 0], height)
    total = xp.sum(metres, axis=-1, keepdims=True)
    up_to = xp.cumulative_sum(metres, axis=-1) / total  # (T, Q)
    passed = xp.astype(up_to[:, None, :] < shares[None, :, :1], xp.int64)
    step = xp.clip(xp.sum(passed, axis=-1), None, N_STEPS - 1)  # (T, J)
    row = xp.arange(step.shape[0])[:, None]
    share = metres[row, step] / total
    part = xp.clip((up_to[row, step] - shares[None, :, 0]) / share, 0.0, 1.0)
    near, far = 1 / above[row, step], 1 / below[row, step]
    of_polar, of_azimuth = (deviation[:, None] for deviation in _deviations(pursuit, places, height))
    polar = places[:, None, 1] + of_polar * shares[None, :, 1]
    azimuth = places[:, None, 2] + of_azimuth * shares[None, :, 2]
    log_density = xp.log(share / (far - near)) - (shares[:, 1] ** 2 + shares[:, 2] ** 2) / 2
    log_density = log_density - xp.log(2 * math.pi * of_polar * of_azimuth)
    return xp.stack([1 / (near + (far - near) * part), polar, azimuth], axis=-1), log_density


def _deviations(pursuit: JointPursuit, places: Array, height: Array) -> tuple[Array, Array]:
    """Of the lobe in θ and φ, rad."""
    xp = pursuit.xp
    width_y, width_z = beam_widths(pursuit.problem.surface)
    upwards = xp.clip(xp.sin(places[..., 1]), LEAST_TURN, None)
    along = upwards * xp.clip(xp.cos(places[..., 2]), LEAST_TURN, None)
    deviation = xp.sqrt(1.5 / height) / math.pi  # in beams
    return deviation * width_z / upwards, deviation * width_y / along


def _of_directions(pursuit: JointPursuit, places: Array, height: Array) -> Array:
    """rad²: the lobe's area, and what of it is in view."""
    xp, view = pursuit.xp, pursuit.problem.view
    of_polar, of_azimuth = _deviations(pursuit, places, height)
    area = 2 * math.pi * of_polar * of_azimuth
    for angle, low, high, of_angle in (
        (places[..., 1], view.polar_min_rad, view.polar_max_rad, of_polar),
        (places[..., 2], view.azimuth_min_rad, view.azimuth_max_rad, of_azimuth),
    ):
        share = tail(xp, (low - angle) / of_angle) - tail(xp, (high - angle) / of_angle)
        area = area * xp.clip(share, LEAST_SHARE, None)
    return area


def _along_range(pursuit: JointPursuit, kappa: Array, height: Array) -> tuple[Array, Array, Array]:
    """Steps of κ, from and to, over the lobe and the view, and what each holds of ∫ lobe dκ/κ², m; (..., Q) each."""
    xp, view = pursuit.xp, pursuit.problem.view
    nearest, farthest = 1 / view.range_min_m, 1 / view.range_max_m
    deviation = pursuit.range_step_per_m / xp.sqrt(2 * RANGE_LOSS * height)
    least = LEAST_SHARE * (nearest - farthest)
    low = xp.clip(kappa - DEVIATIONS * deviation, farthest, nearest - least)
    high = xp.maximum(xp.clip(kappa + DEVIATIONS * deviation, farthest, nearest), low + least)
    edges = low[..., None] + (high - low)[..., None] * xp.arange(N_STEPS + 1) / N_STEPS
    below, above = edges[..., :-1], edges[..., 1:]
    away = (xp.sqrt(below * above) - kappa[..., None]) / deviation[..., None]
    away = xp.clip(away, -MOST_AWAY, MOST_AWAY)
    return below, above, xp.exp(-away * away / 2) * (1 / below - 1 / above)
