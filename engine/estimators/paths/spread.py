"""How far off an estimate says it may be: the second moments of each user's place about it.

Where the signal is strong, those of the curvature: the inverse of the information at the places found, joint with the
scatterers' (`engine.numerics.path_information`). Where it is weak, that is too little: after as many cycles as lose 4 %
of users at 0 dB, curvature alone leaves a mean normalised square of 1.4, without any scatterer, since the peak ends as
a lobe does and not as a parabola, noise bends it, and ranges end at the view. So there the posterior is integrated:
exp(−‖residual‖²/s²) around the estimate, given the scatterers, gains integrated over, with the view as prior, uniform
in range and angles; by importance sampling at fixed points. What the scatterers' places add is the curvature's still.

A scatterer is somewhere in view, whatever the samples say: without that, one which they do not determine would leave no
user determined, and a weak one would move them by more than it can.

If prior and scatterers are right, E eᵀC⁻¹e is the number of coordinates, whatever the posterior's shape. Scatterers
that were found in the wrong place are not in it, see `engine.estimators.paths.alternatives`.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from engine.estimators.paths.conditional import basis_of_scatterers
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Trials
from engine.numerics.path_information import Paths as InformedPaths
from engine.numerics.path_information import path_covariance
from engine.numerics.path_projection import responses

Array = Any

N_POINTS = 512
WIDER = 2.5
"""Deviations of the points over the curvature's: tails of what is no parabola need points too."""
WEAK_NATS = 300.0
"""Height of a peak below which it is integrated."""


def stated_covariance(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """Of κ, θ, φ of each user, (T, L, 3, 3); ∞ where the samples do not determine them."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    noise = pursuit.noise(trials, paths)
    beams = trials.of_group(trials.beams)
    kappa, polar, azimuth = (paths.places[:, :, i] for i in range(3))
    users, others = slice(0, n_users), slice(n_users, None)
    known = InformedPaths(
        kappa[:, users], polar[:, users], azimuth[:, users], paths.gain[:, :, 0],
        kappa[:, others], polar[:, others], azimuth[:, others], paths.gain[:, :, 1:],
    )  # fmt: skip
    surface = pursuit.problem.surface
    in_view = 12 / xp.asarray(_widths(pursuit)) ** 2
    joint = path_covariance(surface, known, beams, noise, coordinate="inverse_range", scatterer_prior=in_view)
    power = xp.real(paths.gain[:, :, 0]) ** 2 + xp.imag(paths.gain[:, :, 0]) ** 2
    height = power * xp.sum(xp.real(beams) ** 2 + xp.imag(beams) ** 2, axis=(-2, -1))[:, None] / noise[:, None]
    held = path_covariance(surface, known, beams, noise, variant="scatter_gains", coordinate="inverse_range")
    finite = xp.all(xp.isfinite(joint), axis=(-2, -1)) & xp.all(xp.isfinite(held), axis=(-2, -1))
    (weak,) = xp.nonzero(xp.any(finite & (height < WEAK_NATS), axis=-1))
    if not weak.shape[0]:
        return joint
    identity = xp.broadcast_to(xp.eye(3), joint.shape)
    some = xp.where(finite[..., None, None], held, identity)[weak]
    moments = _integrated(pursuit, trials.take(weak), paths.take(weak), some, noise[weak])
    found = (finite & (height < WEAK_NATS))[weak] & xp.all(xp.isfinite(moments), axis=(-2, -1))
    joint[weak] = xp.where(found[..., None, None], moments + (joint[weak] - some), joint[weak])
    return joint


def _integrated(pursuit: JointPursuit, trials: Trials, paths: Paths, held: Array, noise: Array) -> Array:
    """Second moments about the estimate, (T, L, 3, 3); NaN where no point is in view.

    held: the curvature's covariance, scatterers' places known.
    """
    xp, problem, n_users = pursuit.xp, pursuit.problem, pursuit.problem.n_users
    view, widths = problem.view, xp.asarray(_widths(pursuit))
    root = xp.linalg.cholesky(xp.linalg.inv(xp.linalg.inv(held) + xp.eye(3) * (12 / widths**2)))
    points = xp.asarray(_points())
    away = WIDER * points @ xp.matrix_transpose(root)  # (T, L, J, 3)
    here = paths.places[:, :n_users, None, :]
    places = here + away
    kappa, polar, azimuth = places[..., 0], places[..., 1], places[..., 2]
    inside = (kappa > 1 / view.range_max_m) & (kappa < 1 / view.range_min_m)
    inside = inside & (polar > view.polar_min_rad) & (polar < view.polar_max_rad)
    inside = inside & (azimuth > view.azimuth_min_rad) & (azimuth < view.azimuth_max_rad)
    inside = inside & pursuit.unresolved(places, here)
    places = xp.where(inside[..., None], places, xp.broadcast_to(here, places.shape))
    log_weight = _log_likelihood(pursuit, trials, paths, places, noise)
    log_weight = log_weight - 2 * xp.log(xp.maximum(places[..., 0], xp.full_like(kappa, 1 / view.range_max_m)))
    log_weight = log_weight + xp.sum(points * points, axis=-1) / 2
    log_weight = xp.where(inside, log_weight, xp.full_like(log_weight, -math.inf))
    some = xp.any(inside, axis=-1, keepdims=True)  # none, where a fit has ended outside the view
    highest = xp.where(some, xp.max(log_weight, axis=-1, keepdims=True), xp.zeros_like(log_weight[..., :1]))
    weight = xp.exp(log_weight - highest)
    total = xp.sum(weight, axis=-1, keepdims=True)
    weight = weight / xp.where(some, total, xp.full_like(total, xp.nan))
    return xp.matrix_transpose(away * weight[..., None]) @ away


def _widths(pursuit: JointPursuit) -> tuple[float, float, float]:
    """Of the view in κ, θ, φ."""
    view = pursuit.problem.view
    return (
        1 / view.range_min_m,
        view.polar_max_rad - view.polar_min_rad,
        view.azimuth_max_rad - view.azimuth_min_rad,
    )


def _log_likelihood(pursuit: JointPursuit, trials: Trials, paths: Paths, places: Array, noise: Array) -> Array:
    """Of a user at places (T, L, J, 3), gains integrated over, up to a constant: (T, L, J)."""
    xp = pursuit.xp
    n_trials, n_users, n_points, _ = places.shape
    beams = trials.of_group(trials.beams)
    received = responses(pursuit.problem.surface, beams, xp.reshape(places, (n_trials, -1, 3)))
    basis = basis_of_scatterers(pursuit, trials, paths)
    back = xp.conj(xp.matrix_transpose(basis))
    received = received - (received @ back) @ basis
    received = xp.reshape(received, (n_trials, n_users, n_points, -1))
    samples = trials.samples - (trials.samples @ back) @ basis
    energy = xp.sum(xp.real(received) ** 2 + xp.imag(received) ** 2, axis=-1)
    onto = (received @ xp.conj(samples)[..., None])[..., 0]
    explained = (xp.real(onto) ** 2 + xp.imag(onto) ** 2) / energy
    return explained / noise[:, None, None] - xp.log(energy)


@lru_cache
def _points() -> np.ndarray:
    """As the standard normal distribution, (J, 3): a Halton sequence and its mirror image, of unit covariance."""
    from scipy.special import ndtri

    def radical_inverse(base: int) -> np.ndarray:
        number, value, digit = np.arange(1, N_POINTS // 2 + 1), np.zeros(N_POINTS // 2), 1.0 / base
        while number.any():
            value += digit * (number % base)
            number, digit = number // base, digit / base
        return value

    half = ndtri(np.stack([radical_inverse(base) for base in (2, 3, 5)], axis=-1))
    # Weighted as a posterior that is the curvature's, they have its covariance, nearly.
    weight = np.exp((1 - WIDER**2) * np.sum(half**2, axis=-1) / 2)
    second = WIDER**2 * (half.T * weight) @ half / weight.sum()
    half = half @ np.linalg.inv(np.linalg.cholesky(second)).T
    return np.concatenate([half, -half])
