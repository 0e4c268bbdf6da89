"""Approximate maximum likelihood: one spherical wave a user, and searches along lines instead of a whole grid.

The baseline AML of Cao et al. (arXiv 2501.17868), as their reference [16] has it: no scatterers; both angles searched
at the middle range, then range, polar angle and azimuth in turn, each with the others held, until nothing moves.

The Jacobi-Anger expansion of the original makes the score along one angle an FFT. Here `Dictionary` gives the scores of
the whole grid for less than those lines would cost by themselves, the same to its error (1e-7), and the searches look
them up: what is approximate is where they look, as in the original.
"""

from typing import Any

from pydantic import Field

from engine.estimators.paths.estimator import PathEstimator
from engine.estimators.paths.on_grid import GridLocalizer
from engine.estimators.paths.problem import PathProblem
from engine.numerics.candidates import CandidateGrid, field_grid
from engine.numerics.dictionary import Dictionary
from engine.numerics.pursuit import Pursued, Received, energy, single_gain, without_scatterers

Array = Any


class ApproximateML(PathEstimator):
    """For beams of random phases, and few scatterers: they are taken for noise."""

    angle_step_rad: float | None = Field(None, gt=0, description="cells of both angles; the problem's if None")
    range_step_m: float | None = Field(None, gt=0, description="step of the range; the problem's if None")
    turns: int = Field(6, gt=0, description="at most so many searches of range, polar angle and azimuth in turn")

    def lattice(self, problem: PathProblem) -> CandidateGrid:
        return field_grid(
            problem.surface,
            problem.view,
            "nf",
            angle_step_rad=self.angle_step_rad or problem.angle_step_rad,
            range_step_m=self.range_step_m or problem.range_step_m,
        )

    def prepare(self, problem: PathProblem, xp: Any) -> GridLocalizer:
        dictionary = Dictionary(problem.surface, self.lattice(problem), xp)
        return GridLocalizer(LineSearches(dictionary, problem.n_scatterers, self.turns))


class LineSearches:
    """Users on the lattice of a dictionary, by searches along lines of it."""

    def __init__(self, dictionary: Dictionary, n_scatterers: int, turns: int) -> None:
        self.dictionary, self.n_scatterers, self.turns = dictionary, n_scatterers, turns

    def __call__(self, received: Received, samples: Array, noise_variance: Array) -> Pursued:
        xp = self.dictionary.xp
        n_groups, n_copies, _, n_users = samples.shape
        found = []
        for g in range(n_groups):
            weight = received.weight(g, normalize=True)
            for s in range(n_copies):
                correlations = received.correlations(g, samples[g, s : s + 1, ...])[0, ...]
                power = [self.dictionary.power(correlations[user : user + 1, :]) for user in range(n_users)]
                found.append(self._search(xp.stack(power) * weight))
        users = xp.reshape(xp.stack(found), (n_groups, n_copies, n_users))
        waves = received.waves(users)
        gains = single_gain(waves, samples)
        residual = energy(samples - waves * gains[..., None, :])
        return without_scatterers(users, gains, residual, self.n_scatterers)

    def _search(self, scores: Array) -> Array:
        """Places of L users on the lattice, from their scores (L, P, R, Q)."""
        xp = self.dictionary.xp
        n_users, n_polar, n_ranges, n_azimuths = scores.shape
        flat = xp.reshape(scores, (-1,))
        middle = xp.reshape(scores[:, :, n_ranges // 2, :], (n_users, -1))
        best = xp.argmax(middle, axis=-1)
        polar, azimuth = best // n_azimuths, best % n_azimuths
        users = xp.arange(n_users)

        def along(polar: Array, level: Array, azimuth: Array) -> Array:
            place = ((users[:, None] * n_polar + polar) * n_ranges + level) * n_azimuths + azimuth
            return xp.argmax(xp.reshape(xp.take(flat, xp.reshape(place, (-1,))), place.shape), axis=-1)

        for _ in range(self.turns):
            before = (polar, azimuth)
            level = along(polar[:, None], xp.arange(n_ranges)[None, :], azimuth[:, None])
            polar = along(xp.arange(n_polar)[None, :], level[:, None], azimuth[:, None])
            azimuth = along(polar[:, None], level[:, None], xp.arange(n_azimuths)[None, :])
            if all(bool(xp.all(old == new)) for old, new in zip(before, (polar, azimuth), strict=True)):
                break  # the range follows from them
        return (polar * n_ranges + level) * n_azimuths + azimuth
