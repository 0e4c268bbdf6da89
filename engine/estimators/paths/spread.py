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
from typing import Any, NamedTuple

import numpy as np

from engine.estimators.paths.conditional import left_by_scatterers, of_scatterers
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.range_posterior import mean_and_quantiles
from engine.estimators.paths.trials import Paths, Trials, put
from engine.numerics.path_information import Paths as InformedPaths
from engine.numerics.path_information import path_covariance
from engine.numerics.path_projection import responses

Array = Any

N_POINTS = 512
WIDER = 2.5
"""Deviations of the points over the curvature's: tails of what is no parabola need points too."""
LOGISTIC = math.sqrt(3) / math.pi
"""Scale of the logistic distribution whose deviation is one"""
WEAK_NATS = 300.0
"""Height of a peak below which it is integrated."""


class Spread(NamedTuple):
    """Of T trials' L users, given that they are in the direction found."""

    covariance: Array
    """of κ, θ, φ about the estimate, (T, L, 3, 3); ∞ where the samples do not determine them"""
    mean_per_m: Array
    """of κ, (T, L), NaN where nothing in view is as likely; see `engine.estimators.paths.range_posterior`"""
    quantiles_per_m: Array
    """of κ, (T, L, Q)"""


def spread(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Spread:
    """How far off users may be, and what their ranges may be."""
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
    identity = xp.broadcast_to(xp.eye(3), joint.shape)
    held = xp.where(finite[..., None, None], held, identity)
    weak = finite & (height < WEAK_NATS)
    points = _integrated(pursuit, trials, paths, held, noise, xp.any(weak, axis=-1))
    weight, some = points.weights(xp, 1.0)
    moments = xp.matrix_transpose(points.away * weight[..., None]) @ points.away
    # What the scatterers' places add widens the posterior of κ as it does its variance: the likelihood to that power.
    widened = xp.where(finite, joint[..., 0, 0], xp.ones_like(height))
    weight, _ = points.weights(xp, held[..., 0, 0] / widened)
    weight = xp.where((finite & some)[..., None], weight, xp.full_like(weight, xp.nan))
    mean, quantiles = mean_and_quantiles(xp, paths.places[:, :n_users, None, 0] + points.away[..., 0], weight)
    integrated = (weak & some)[..., None, None]
    return Spread(xp.where(integrated, moments + (joint - held), joint), mean, quantiles)


class _Points(NamedTuple):
    """J places of each user, drawn around its estimate, and how probable they are."""

    away: Array
    """from the estimate, (T, L, J, 3)"""
    log_likelihood: Array
    """(T, L, J)"""
    log_prior: Array
    """over the density that they are drawn from, (T, L, J); −∞ outside the view and in other directions"""

    def weights(self, xp: Any, power: Any) -> tuple[Array, Array]:
        """Of the likelihood to a power (T, L), which sum to one, (T, L, J); whether there are any, (T, L)."""
        inside = self.log_prior > -math.inf
        some = xp.any(inside, axis=-1)  # none, where a fit has ended outside the view
        power = xp.broadcast_to(xp.asarray(power, dtype=xp.float64), some.shape)
        log_weight = power[..., None] * self.log_likelihood + self.log_prior
        highest = xp.max(log_weight, axis=-1, keepdims=True)
        weight = xp.exp(log_weight - xp.where(some[..., None], highest, xp.zeros_like(highest)))
        total = xp.sum(weight, axis=-1, keepdims=True)
        return weight / xp.where(some[..., None], total, xp.ones_like(total)), some


def _integrated(pursuit: JointPursuit, trials: Trials, paths: Paths, held: Array, noise: Array, weak: Array) -> _Points:
    """The posterior of each user's place at fixed points around it, scatterers' places known.

    held: the curvature's covariance (T, L, 3, 3), which makes the likelihood except where the trial is weak (T,).
    """
    xp, problem, n_users = pursuit.xp, pursuit.problem, pursuit.problem.n_users
    view, widths = problem.view, xp.asarray(_widths(pursuit))
    information = xp.linalg.inv(held)
    root = xp.linalg.cholesky(xp.linalg.inv(information + xp.eye(3) * (12 / widths**2)))
    here = paths.places[:, :n_users, None, :]
    points, scale = xp.asarray(_points()), WIDER * root[..., 0, 0]
    low, high = ((end - here[..., 0, 0]) / scale for end in (1 / view.range_max_m, 1 / view.range_min_m))
    along, log_density = _along_range(xp, points[:, 0], low, high)
    across = xp.broadcast_to(points[:, 1:], (*along.shape, 2))
    away = WIDER * xp.concat([along[..., None], across], axis=-1) @ xp.matrix_transpose(root)  # (T, L, J, 3)
    places = here + away
    kappa, polar, azimuth = places[..., 0], places[..., 1], places[..., 2]
    inside = (kappa > 1 / view.range_max_m) & (kappa < 1 / view.range_min_m)
    inside = inside & (polar > view.polar_min_rad) & (polar < view.polar_max_rad)
    inside = inside & (azimuth > view.azimuth_min_rad) & (azimuth < view.azimuth_max_rad)
    inside = inside & pursuit.unresolved(places, here)
    places = xp.where(inside[..., None], places, xp.broadcast_to(here, places.shape))
    log_likelihood = -xp.sum((away @ information) * away, axis=-1) / 2
    (index,) = xp.nonzero(weak)
    if index.shape[0]:
        exact = _log_likelihood(pursuit, trials.take(index), paths.take(index), places[index], noise[index])
        log_likelihood = put(log_likelihood, index, exact)
    log_density = log_density - xp.sum(across * across, axis=-1) / 2
    log_prior = -2 * xp.log(xp.maximum(places[..., 0], xp.full_like(kappa, 1 / view.range_max_m))) - log_density
    return _Points(away, log_likelihood, xp.where(inside, log_prior, xp.full_like(log_prior, -math.inf)))


def _widths(pursuit: JointPursuit) -> tuple[float, float, float]:
    """Of the view in κ, θ, φ."""
    view = pursuit.problem.view
    return (
        1 / view.range_min_m,
        view.polar_max_rad - view.polar_min_rad,
        view.azimuth_max_rad - view.azimuth_min_rad,
    )


def _log_likelihood(pursuit: JointPursuit, trials: Trials, paths: Paths, places: Array, noise: Array) -> Array:
    """Of a user at places (T, L, J, 3), all gains integrated over, up to a constant: (T, L, J)."""
    xp = pursuit.xp
    n_trials, n_users, n_points, _ = places.shape
    beams = trials.of_group(trials.beams)
    received = responses(pursuit.problem.surface, beams, xp.reshape(places, (n_trials, -1, 3)))
    basis, share = of_scatterers(pursuit, trials, paths)
    received = left_by_scatterers(xp, received, basis, share)
    received = xp.reshape(received, (n_trials, n_users, n_points, -1))
    samples = left_by_scatterers(xp, trials.samples, basis, share)
    energy = xp.sum(xp.real(received) ** 2 + xp.imag(received) ** 2, axis=-1)
    onto = (received @ xp.conj(samples)[..., None])[..., 0]
    explained = (xp.real(onto) ** 2 + xp.imag(onto) ** 2) / energy
    return explained / noise[:, None, None] - xp.log(energy)


def _along_range(xp: Any, shares: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Deviations of κ between two ends (T, L) of the view, from shares (J,) of what is between, and their ln density.

    Of a logistic distribution: its tails are a likelihood's and more, and every array namespace can invert it. Not cut
    at the view, half of the points would be outside where the estimate is at its end, as most far users' are.
    """
    low, high = (1 / (1 + xp.exp(-xp.clip(end / LOGISTIC, -30.0, 30.0)))[..., None] for end in (low, high))
    below = low + shares * (high - low)  # between 1e-13 and 1 − 1e-13, as the ends are
    return LOGISTIC * xp.log(below / (1 - below)), xp.log(below * (1 - below))


@lru_cache
def _points() -> np.ndarray:
    """(J, 3): shares, uniform on 0 to 1, and two standard normal deviations: a Halton sequence and its mirror image."""
    from scipy.special import ndtri

    def radical_inverse(base: int) -> np.ndarray:
        number, value, digit = np.arange(1, N_POINTS // 2 + 1), np.zeros(N_POINTS // 2), 1.0 / base
        while number.any():
            value += digit * (number % base)
            number, digit = number // base, digit / base
        return value

    shares, half = radical_inverse(2), ndtri(np.stack([radical_inverse(base) for base in (3, 5)], axis=-1))
    # Weighted as a posterior that is the curvature's, they have its covariance, nearly.
    weight = np.exp((1 - WIDER**2) * np.sum(half**2, axis=-1) / 2)
    second = WIDER**2 * (half.T * weight) @ half / weight.sum()
    half = half @ np.linalg.inv(np.linalg.cholesky(second)).T
    shares, half = np.concatenate([shares, 1 - shares]), np.concatenate([half, -half])
    return np.concatenate([shares[:, None], half], axis=-1)
