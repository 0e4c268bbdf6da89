"""Each user's best places while the scatterers are held: a search of the whole view, and how sure it leaves one.

Given the scatterers' places, users do not touch each other. Where scattered gains are anything, what user l's own wave
may explain lies outside the span of the scatterers' responses, y' = P⊥ y, through beams of its own, W' = P⊥ W. Where
they are CN(0, v), they are noise of covariance s² + v S Sᴴ, and y' and W' are whitened: of what lies along its
eigenvectors a share is left. So a user's likelihood over the whole grid is one matrix product, and a fit of one wave
takes each of its highest peaks off the grid. No joint fit finds less.

Over few cycles a peak of a few steps of inverse range may have two tops, in range or half a beam apart, of which the
grid shows one: the highest is also sought from the highest candidates around it.
"""

from typing import Any, NamedTuple

from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Rows, Trials, power
from engine.numerics.path_fit import fit_paths
from engine.numerics.path_projection import project, responses

Array = Any

AGAIN = 3
"""Candidates around the highest from which it is sought again"""
SAME = 1e-6
"""Of the samples' energy: between two fits that ended at one place"""
HOPE = 0.6
"""Of a peak's height: what the grid shows of it at least; what cannot be the highest then is not fitted."""


class Peaks(NamedTuple):
    """H peaks of each user's likelihood given the scatterers, T trials, highest on the grid first."""

    places: Array
    """κ, θ, φ off the grid, (T, L, H, 3)"""
    energy: Array
    """‖residual‖² with the user there, scatterers' gains fitted or, where their power is known, whitened, (T, L, H)"""
    nothing: Array
    """the same of the scatterers alone, (T, L)"""
    scores: Array
    """what the user's energy falls by at each candidate, (T, L, M)"""
    outside: Array
    """what the beams receive from each candidate outside the scatterers' responses, (T, M)"""
    basis: Array
    """orthonormal, of the scatterers' responses, (T, K, C)"""
    samples: Array
    """what scatterers leave of the samples, (T, L, C)"""
    share: Array
    """of the power along each vector of the basis, what scatterers leave of it, (T, K)"""


def peaks_of_users(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, n_peaks: int) -> Peaks:
    """The highest peaks of every user, with the scatterers of `paths` held where they are."""
    xp = pursuit.xp
    basis, share = of_scatterers(pursuit, trials, paths)
    samples = left_by_scatterers(xp, trials.samples, basis, share)
    value, energy = trials.of_group(rows.value), trials.of_group(rows.energy)
    outside = energy - xp.sum((1 - share)[..., None] * power(xp.conj(basis) @ value), axis=1)
    outside = xp.maximum(outside, pursuit.least_new * energy)
    scores = power(xp.conj(left_by_scatterers(xp, samples, basis, share)) @ value) / outside[:, None, :]
    index, heights = pursuit.peaks(scores, n_peaks)
    beams = xp.matrix_transpose(
        left_by_scatterers(xp, xp.matrix_transpose(trials.of_group(trials.beams)), basis, share)
    )
    nothing = xp.sum(power(samples), axis=-1)

    def fitted(places: Array, energy: Array, worth: Array) -> None:
        """In place: where it is worth it, (T, L, H), from (T, L, H, 3)."""
        trial, user, rank = xp.nonzero(worth)
        if trial.shape[0]:
            start, alone = places[trial, user, rank][:, None, :], samples[trial, user][:, None, :]
            fit = fit_paths(pursuit.problem.surface, beams, trial, alone, start, pursuit.bounds)
            places[trial, user, rank] = fit.places[:, 0, :]
            energy[trial, user, rank] = fit.energy[:, 0]

    places, energy = pursuit.places(index), nothing[..., None] - heights
    first = xp.broadcast_to(xp.arange(n_peaks) == 0, energy.shape)
    fitted(places, energy, first)
    fitted(places, energy, ~first & (nothing[..., None] - heights / HOPE < energy[..., :1]))
    # Of all that led to the highest top, what is highest on the grid, again from the candidates around it.
    same = energy <= xp.min(energy, axis=-1, keepdims=True) + SAME * nothing[..., None]
    chosen = xp.arange(n_peaks) == xp.argmax(xp.astype(same, xp.int8), axis=-1)[..., None]
    around, heights = _around(pursuit, scores, xp.sum(xp.where(chosen, index, xp.zeros_like(index)), axis=-1))
    tops, again = pursuit.places(around), xp.full_like(heights, xp.inf)
    fitted(tops, again, nothing[..., None] - heights / HOPE < xp.min(energy, axis=-1, keepdims=True))
    least = xp.min(again, axis=-1, keepdims=True)
    lower = chosen & (least < energy)
    places = xp.where(lower[..., None], _of(xp, _least(xp, again), tops)[..., None, :], places)
    return Peaks(places, xp.where(lower, least, energy), nothing, scores, outside, basis, samples, share)


def _around(pursuit: JointPursuit, scores: Array, here: Array) -> tuple[Array, Array]:
    """The highest candidates around `here` (T, L) and their scores, (T, L, AGAIN); where there are no more a zero."""
    xp = pursuit.xp
    around = pursuit.around(here)
    others = (around >= 0) & (around != here[..., None])
    around = xp.where(others, around, xp.zeros_like(around))
    heights = xp.where(others, xp.take_along_axis(scores, around, axis=-1), xp.zeros(around.shape))
    best = xp.argsort(-heights, axis=-1, stable=True)[..., :AGAIN]
    return xp.take_along_axis(around, best, axis=-1), xp.take_along_axis(heights, best, axis=-1)


def best_places(xp: Any, peaks: Peaks) -> Array:
    """κ, θ, φ of each user's highest peak, (T, L, 3)."""
    return _of(xp, _least(xp, peaks.energy), peaks.places)


def _least(xp: Any, energy: Array) -> Array:
    """Which one it is, (T, L, H)."""
    return xp.arange(energy.shape[-1]) == xp.argmin(energy, axis=-1)[..., None]


def _of(xp: Any, chosen: Array, places: Array) -> Array:
    """The one chosen (T, L, H) of places (T, L, H, 3): (T, L, 3)."""
    return xp.sum(xp.where(chosen[..., None], places, xp.zeros_like(places)), axis=-2)


def energy_of_users(pursuit: JointPursuit, trials: Trials, paths: Paths, peaks: Peaks) -> Array:
    """What the peaks' energy is where the users are, (T, L)."""
    if trials.powers is None:
        return paths.energy
    xp, users = pursuit.xp, paths.places[:, : pursuit.problem.n_users, :]
    own = responses(pursuit.problem.surface, trials.of_group(trials.beams), users)
    own = left_by_scatterers(xp, own, peaks.basis, peaks.share)
    return peaks.nothing - power(xp.vecdot(own, peaks.samples)) / xp.sum(power(own), axis=-1)


def _received_from_scatterers(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """(T, K, C), zero where there is none."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    places = paths.places[:, n_users:, :]
    present = xp.arange(places.shape[1])[None, :] < paths.count[:, None]
    places = xp.where(present[..., None], places, xp.zeros_like(places))
    received = responses(pursuit.problem.surface, trials.of_group(trials.beams), places)
    return xp.where(present[..., None], received, xp.zeros_like(received))


def of_scatterers(pursuit: JointPursuit, trials: Trials, paths: Paths) -> tuple[Array, Array]:
    """Basis and share of `Peaks`: zero where there is no scatterer, of principal axes where their power is known."""
    xp = pursuit.xp
    received = _received_from_scatterers(pursuit, trials, paths)
    basis = project(received, trials.samples[:, :0, :]).basis
    if trials.powers is None or not basis.shape[1]:
        return basis, xp.zeros(basis.shape[:2])
    parts = received @ xp.conj(xp.matrix_transpose(basis))  # (T, K, K): each scatterer along the basis
    size, axes = xp.linalg.eigh(xp.conj(xp.matrix_transpose(parts)) @ parts)
    size, ridge = xp.maximum(size, xp.zeros_like(size)), paths.ridge[:, None]
    share = ridge / xp.where(ridge + size > 0, ridge + size, xp.ones_like(size))
    return xp.conj(xp.matrix_transpose(axes)) @ basis, share


def left_by_scatterers(xp: Any, values: Array, basis: Array, share: Array) -> Array:
    """What scatterers leave of values (T, …, C), whitened: all but what lies along the basis, and the share's root of
    that."""
    along = values @ xp.conj(xp.matrix_transpose(basis))
    return values - ((1 - xp.sqrt(share))[:, None, :] * along) @ basis
