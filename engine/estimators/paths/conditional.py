"""Each user's best places while the scatterers are held: a search of the whole view, and how sure it leaves one.

Given the scatterers' places, users do not touch each other: what user l's own wave may explain lies outside the span of
the scatterers' responses, y' = P⊥ y, through beams of its own, W' = P⊥ W. So its likelihood over the whole grid is one
matrix product, and a fit of one wave takes each of its highest peaks off the grid. No joint fit finds less.
"""

from typing import Any, NamedTuple

from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Rows, Trials, power
from engine.numerics.path_fit import fit_paths
from engine.numerics.path_projection import project, responses

Array = Any

HOPE = 0.6
"""Of a peak's height: what the grid shows of it at least; what cannot be the highest then is not fitted."""


class Peaks(NamedTuple):
    """H peaks of each user's likelihood given the scatterers, T trials, highest on the grid first."""

    places: Array
    """κ, θ, φ off the grid, (T, L, H, 3)"""
    energy: Array
    """‖residual‖² with the user there and the scatterers' gains fitted, (T, L, H)"""
    nothing: Array
    """‖residual‖² of the scatterers alone, (T, L)"""
    scores: Array
    """what the user's energy falls by at each candidate, (T, L, M)"""
    outside: Array
    """what the beams receive from each candidate outside the scatterers' responses, (T, M)"""
    basis: Array
    """orthonormal, of the scatterers' responses, (T, K, C)"""


def peaks_of_users(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, n_peaks: int) -> Peaks:
    """The highest peaks of every user, with the scatterers of `paths` held where they are."""
    xp = pursuit.xp
    basis = basis_of_scatterers(pursuit, trials, paths)
    samples = trials.samples - (trials.samples @ xp.conj(xp.matrix_transpose(basis))) @ basis
    value, energy = trials.of_group(rows.value), trials.of_group(rows.energy)
    outside = energy - xp.sum(power(xp.conj(basis) @ value), axis=1)
    outside = xp.maximum(outside, pursuit.least_new * energy)
    scores = power(xp.conj(samples) @ value) / outside[:, None, :]
    index, heights = pursuit.peaks(scores, n_peaks)
    beams = trials.of_group(trials.beams)
    beams = beams - xp.matrix_transpose(basis) @ (xp.conj(basis) @ beams)
    places = pursuit.places(index)
    nothing = xp.sum(power(samples), axis=-1)
    energy = nothing[..., None] - heights
    first = xp.arange(n_peaks) == 0
    for worth in (xp.broadcast_to(first, energy.shape), None):
        if worth is None:  # what is left to fit, now that the highest is known off the grid
            worth = ~first & (nothing[..., None] - heights / HOPE < energy[..., :1])
        trial, user, rank = xp.nonzero(worth)
        if trial.shape[0]:
            start, alone = places[trial, user, rank][:, None, :], samples[trial, user][:, None, :]
            fit = fit_paths(pursuit.problem.surface, beams, trial, alone, start, pursuit.bounds)
            places[trial, user, rank] = fit.places[:, 0, :]
            energy[trial, user, rank] = fit.energy[:, 0]
    return Peaks(places, energy, nothing, scores, outside, basis)


def basis_of_scatterers(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """Orthonormal, of what the beams receive from the scatterers, (T, K, C); zero where there is none."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    places = paths.places[:, n_users:, :]
    present = xp.arange(places.shape[1])[None, :] < paths.count[:, None]
    places = xp.where(present[..., None], places, xp.zeros_like(places))
    received = responses(pursuit.problem.surface, trials.of_group(trials.beams), places)
    received = xp.where(present[..., None], received, xp.zeros_like(received))
    return project(received, trials.samples[:, :0, :]).basis
