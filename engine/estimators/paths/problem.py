"""What an estimator of propagation paths knows, sees and returns."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.estimators.paths.range_posterior import LEVELS
from engine.numerics.candidates import FieldModel, FieldOfView
from engine.numerics.geometry import UniformPlanarArray

Array = Any


@dataclass(frozen=True)
class PathProblem:
    """What an estimator knows beforehand.

    surface: the reconfigurable surface that everything is seen through. view: where users and scatterers may be.
    n_users, L: each has one direct path, at amplitudes of its own. n_scatterers, K: the most scatterers, common to all
    users, that are searched for. model, angle_step_rad, range_step_m: the dictionary of estimators that search a grid
    and name none of their own, Eqs. (11) to (13). scattered_power: E|γ|² of a scattered path, for who is told.
    direct_power: |g|² of every direct path; None: nobody knows.
    """

    surface: UniformPlanarArray
    view: FieldOfView
    n_users: int
    n_scatterers: int
    model: FieldModel = "hybrid"
    angle_step_rad: float = 0.02
    range_step_m: float = 0.25
    scattered_power: float | None = None
    direct_power: float | None = None


class Cycles(NamedTuple):
    """What was measured in C cycles: G groups of S copies that share their beams (noise levels of one trial).

    User l of copy s in group g sees samples[g, s, c, l] = beams[g, c] · h_l + noise, Eq. (1), where h_l (N,) is the sum
    of its paths' waves at the surface, and beams = s_c ⊙ h_RB: the surface's phases times the known channel to the base
    station.
    """

    beams: Array
    """complex (G, C, N)"""
    samples: Array
    """complex (G, S, C, L)"""
    noise_variance: Array
    """E|noise|², (G, S)"""


class PathEstimates(NamedTuple):
    """Estimated places and gains; L users, at most K scatterers."""

    inverse_range_per_m: Array
    """(G, S, L); 0 is a plane wave"""
    polar_rad: Array
    """(G, S, L)"""
    azimuth_rad: Array
    """(G, S, L)"""
    gain: Array
    """of the direct path, complex (G, S, L)"""
    scatterer_inverse_range_per_m: Array
    """(G, S, K), as the two below; NaN where fewer were found"""
    scatterer_polar_rad: Array
    scatterer_azimuth_rad: Array
    scatterer_gain: Array
    """complex (G, S, L, K); 0 where fewer were found"""
    misfit: Array
    """(2‖residual‖²/σ² − ν)/√(2ν), (G, S): standard normal where the model holds, ν the degrees of freedom left"""
    noise_variance: Array
    """E|noise|² as told, or as estimated, (G, S); with what scatterers add that were not found, if that is known"""
    lost_probability: Array
    """that a user is in another direction than estimated, (G, S, L); NaN where an estimator states none"""
    covariance: Array
    """of the users' κ, θ, φ about the estimate, (G, S, L, 3, 3); NaN where an estimator states none"""
    inverse_range_mean_per_m: Array
    """of the users' κ in its posterior, given that they are in this direction, (G, S, L); NaN where none is stated"""
    inverse_range_quantiles_per_m: Array
    """of the same at `engine.estimators.paths.range_posterior.LEVELS`, (G, S, L, Q)"""


def nothing_stated(xp: Any, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """The last four fields of `PathEstimates` of an estimator that states none; shape (G, S, L)."""
    return tuple(xp.full((*shape, *size), xp.nan) for size in STATED)


STATED: tuple[tuple[int, ...], ...] = ((), (3, 3), (), (len(LEVELS),))
"""Sizes of the last four fields of `PathEstimates`, of each user"""
