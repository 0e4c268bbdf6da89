"""Newtonised orthogonal matching pursuit of users and of the scatterers common to them.

Users come from a grid, each as if alone. Everything found is fitted jointly before anything more is looked for: what a
grid leaves of a strong path hides a weak one. B. Mamandipoor, D. Ramasamy, U. Madhow, "Newtonized orthogonal matching
pursuit", IEEE Trans. Signal Process. 64, 2016; here with a direct path to each user and scatterers that all users
share, as in Algorithm 1 of Cao et al., arXiv 2501.17868.
"""

from typing import Any, NamedTuple

import numpy as np

from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.numerics.candidates import CandidateGrid
from engine.numerics.dictionary import Dictionary
from engine.numerics.path_fit import degrees_of_freedom, fit_paths
from engine.numerics.path_projection import project, responses

Array = Any

MOST_INVERSE_RANGE_PER_M = 4.0
LEAST_START_PER_M = 0.02
"""κ where a fit starts at least: at κ = 0 it might be held by the bound."""
BEYOND_VIEW_RAD = 0.05
"""How far outside the view a fit may go: what lies at its edge is estimated on both sides of it."""
LEAST_NEW = 0.15
"""Of a candidate's energy: what counts at least as outside the paths already there."""
ENOUGH = 0.0
"""Misfit below which nothing more is looked for."""

DOUBT = 2.0
PEAKS = 3
HYPOTHESES = 8
STAT = []
WEAKER = 1.0
ROUNDS = 2
RANKS = 3


class Trials(NamedTuple):
    """T trials; what trial t saw came through beams[group[t]]."""

    beams: Array
    """complex (G, C, N)"""
    group: Array
    """(T,)"""
    samples: Array
    """complex (T, L, C)"""
    noise_variance: Array
    """(T,)"""

    def take(self, index: Array) -> "Trials":
        return Trials(self.beams, self.group[index], self.samples[index], self.noise_variance[index])


class Paths(NamedTuple):
    """L users and the scatterers found so far, of T trials."""

    places: Array
    """κ, θ, φ (T, L + K, 3), users first; NaN where no scatterer was found"""
    gain: Array
    """complex (T, L, 1 + K), the direct path first; 0 where no scatterer was found"""
    energy: Array
    """‖residual‖² of each user, (T, L)"""
    count: Array
    """scatterers found, (T,)"""

    def take(self, index: Array) -> "Paths":
        return Paths(*(part[index] for part in self))

    def copy(self) -> "Paths":
        return Paths(*(part.copy() for part in self))

    def put(self, index: Array, other: "Paths") -> None:
        for mine, theirs in zip(self, other, strict=True):
            mine[index] = theirs


class Pursuit:
    """The search over one grid and the fits, prepared for one problem."""

    def __init__(self, problem: PathProblem, grid: CandidateGrid, xp: Any) -> None:
        self.problem, self.xp = problem, xp
        self.dictionary = Dictionary(problem.surface, grid, xp)
        places = np.stack(grid.candidates(), axis=-1)
        places[:, 0] = np.maximum(places[:, 0], LEAST_START_PER_M)
        self.candidates = xp.asarray(places)
        view, beyond = problem.view, BEYOND_VIEW_RAD
        lowest = [0.0, view.polar_min_rad - beyond, view.azimuth_min_rad - beyond]
        highest = [MOST_INVERSE_RANGE_PER_M, view.polar_max_rad + beyond, view.azimuth_max_rad + beyond]
        self.bounds = xp.asarray([lowest, highest])

    def acquired(self, trials: Trials, rows: Array) -> Paths:
        """Users from the grid, then scatterers; rows (G, C, M): what the beams receive from the candidates."""
        return self.extended(trials, rows, self.refined(trials, self._users(trials, rows)))

    def extended(self, trials: Trials, rows: Array, paths: Paths) -> Paths:
        """Further scatterers where and as long as the misfit asks for them."""
        xp, n_users, n_cycles = self.xp, self.problem.n_users, trials.samples.shape[-1]
        paths = paths.copy()
        for k in range(self.problem.n_scatterers):
            if degrees_of_freedom(n_users, k + 1, n_cycles) <= 0:
                break
            (index,) = xp.nonzero((paths.count == k) & (self.misfit(trials, paths) > ENOUGH))
            if index.shape[0]:
                some, mine = trials.take(index), paths.take(index)
                mine.places[:, n_users + k, :] = self._scatterer(some, rows, mine.places[:, : n_users + k, :])
                paths.put(index, self.refined(some, mine._replace(count=mine.count + 1)))
        return paths

    def reconsidered(self, trials: Trials, rows: Array, paths: Paths) -> Paths:
        """Other explanations where the misfit is in `DOUBT`, kept where they are better.

        What goes wrong is, in this order: a scatterer was taken for a user's direct path, and the other way round; a
        user's peak was the highest only because of its scatterers; a scatterer was sought before the others were known.
        """
        xp, n_users = self.xp, self.problem.n_users
        paths = paths.copy()
        self._swapped(trials, paths)
        def dropped(start, some, rows, k, rank):
            start = self._without(start, k)
            if not rank: return start
            new = start.copy()
            start = self.refined(some, start)
            for c in range(self.problem.n_scatterers):
                (i,) = xp.nonzero(start.count == c)
                if i.shape[0]:
                    start.places[i, n_users + c] = self._scatterer(some.take(i), rows, start.places[i][:, : n_users + c], rank)
            start.count[...] += 1
            return start
        for round in range(ROUNDS):
            for k in range(self.problem.n_scatterers):
                for r in range(RANKS):
                    self._try(trials, rows, paths, lambda start, some, index, k=k, r=r: dropped(start, some, rows, k, r))
            if round == 0:
              users, places = self._alternatives(trials, rows)
              for h in range(users.shape[1]):
                def other(start: Paths, some, index: Array, h: int = h) -> Paths:
                    start.places[xp.arange(index.shape[0]), users[index, h]] = places[index, h]
                    start.count[...] = 0
                    start.places[:, n_users:] = np.nan
                    start.gain[:, :, 1:] = 0
                    return start
                self._try(trials, rows, paths, other)
        return paths

    def _without(self, start, k):
        n_users = self.problem.n_users
        order = [i for i in range(self.problem.n_scatterers) if i != k] + [k]
        start.places[:, n_users:] = start.places[:, [n_users + i for i in order]]
        has = start.count > k
        start.count[...] = start.count - has
        for i in range(self.problem.n_scatterers):
            gone = start.count <= i
            start.places[gone, n_users + i] = np.nan
        start.gain[:, :, 1:] = 0
        return start

    def doubt(self, trials, paths):
        xp = self.xp
        weaker = xp.max(xp.abs(paths.gain), axis=-1) > xp.abs(paths.gain[:, :, 0])
        return self.misfit(trials, paths) + WEAKER * xp.sum(weaker, axis=-1)

    def _try(self, trials, rows, paths, propose):
        xp = self.xp
        misfit = self.doubt(trials, paths)
        (index,) = xp.nonzero(misfit > DOUBT)
        if index.shape[0]:
            some = trials.take(index)
            start = propose(paths.take(index).copy(), some, index)
            tried = self.extended(some, rows, self.refined(some, start))
            (better,) = xp.nonzero(self.doubt(some, tried) < misfit[index])
            STAT.append((index.shape[0], better.shape[0]))
            paths.put(index[better], tried.take(better))

    def _swapped(self, trials, paths):
        """role swaps"""
        xp, n_users = self.xp, self.problem.n_users
        for u in range(n_users):
            for k in range(self.problem.n_scatterers):
                (index,) = xp.nonzero(xp.abs(paths.gain[:, u, 1 + k]) > xp.abs(paths.gain[:, u, 0]))
                if index.shape[0] == 0: continue
                some, start = trials.take(index), paths.take(index)
                start.places[:, [u, n_users + k]] = start.places[:, [n_users + k, u]]
                tried = self.refined(some, start)
                (better,) = xp.nonzero(self.misfit(some, tried) < self.misfit(trials, paths)[index] + WEAKER)
                STAT.append(('swap', index.shape[0], better.shape[0]))
                paths.put(index[better], tried.take(better))

    def _alternatives(self, trials, rows):
        xp = self.xp
        mine = rows[trials.group]
        score = _power(xp.conj(trials.samples) @ mine) / xp.sum(_power(mine), axis=1)[:, None, :]
        c = self.candidates
        u = xp.stack([xp.sin(c[:, 1]) * xp.sin(c[:, 2]), xp.cos(c[:, 1])], axis=-1)
        res = self.problem.surface.wavelength_m / self.problem.surface.aperture_m
        best = xp.max(score, axis=-1)
        ratio, place = [], []
        for _ in range(1 + PEAKS):
            i = xp.argmax(score, axis=-1)
            ratio.append(xp.max(score, axis=-1) / best)
            place.append(c[i])
            near = xp.sum((u[i][:, :, None, :] - u) ** 2, axis=-1) < res**2
            score = xp.where(near, 0.0, score)
        ratio, place = xp.stack(ratio[1:], axis=-1), xp.stack(place[1:], axis=-2)
        T, L = ratio.shape[:2]
        flat = xp.reshape(ratio, (T, -1))
        order = xp.argsort(-flat, axis=-1)[:, :HYPOTHESES]
        t = xp.arange(T)[:, None]
        return order // PEAKS, xp.reshape(place, (T, L * PEAKS, 3))[t, order]

    def _unless_near(self, score):
        xp = self.xp
        c = self.candidates
        u = xp.stack([xp.sin(c[:, 1]) * xp.sin(c[:, 2]), xp.cos(c[:, 1])], axis=-1)
        res = self.problem.surface.wavelength_m / self.problem.surface.aperture_m
        i = xp.argmax(score, axis=-1)
        near = xp.sum((u[i][..., None, :] - u) ** 2, axis=-1) < res**2
        return xp.where(near, 0.0, score)

    def refined(self, trials: Trials, paths: Paths) -> Paths:
        """The joint fit from given places of what has been found."""
        xp, n_users = self.xp, self.problem.n_users
        paths = paths.copy()
        for k in range(self.problem.n_scatterers + 1):
            (index,) = xp.nonzero(paths.count == k)
            if index.shape[0]:
                some, start = trials.take(index), paths.places[index][:, : n_users + k, :]
                fit = fit_paths(self.problem.surface, some.beams, some.group, some.samples, start, self.bounds)
                paths.places[index, : n_users + k] = fit.places
                paths.gain[index, :, : 1 + k] = fit.gain
                paths.energy[index] = fit.energy
        return paths

    def misfit(self, trials: Trials, paths: Paths) -> Array:
        """(2‖residual‖²/σ² − ν)/√(2ν), (T,); NaN where there is no degree of freedom ν."""
        xp, n_cycles = self.xp, trials.samples.shape[-1]
        free = [degrees_of_freedom(self.problem.n_users, k, n_cycles) for k in range(self.problem.n_scatterers + 1)]
        freedom = xp.asarray([float(n) if n > 0 else np.nan for n in free])[paths.count]
        return (2 * xp.sum(paths.energy, axis=-1) / trials.noise_variance - freedom) / xp.sqrt(2 * freedom)

    def estimates(self, trials: Trials, paths: Paths, shape: tuple[int, int]) -> PathEstimates:
        """In G groups of S copies, `shape`."""
        n_users = self.problem.n_users
        places = self.xp.reshape(paths.places, (*shape, *paths.places.shape[1:]))
        gain = self.xp.reshape(paths.gain, (*shape, *paths.gain.shape[1:]))
        users, scatterers = places[:, :, :n_users, :], places[:, :, n_users:, :]
        return PathEstimates(
            *(users[..., i] for i in range(3)),
            gain[..., 0],
            *(scatterers[..., i] for i in range(3)),
            gain[..., 1:],
            self.xp.reshape(self.misfit(trials, paths), shape),
        )

    def _users(self, trials: Trials, rows: Array) -> Paths:
        """argmax |φᴴy|²/‖φ‖² for each user, Eq. (19) normalised."""
        xp, (n_trials, n_users, _), k = self.xp, trials.samples.shape, self.problem.n_scatterers
        mine = rows[trials.group]
        score = _power(xp.conj(trials.samples) @ mine) / xp.sum(_power(mine), axis=1)[:, None, :]
        places = xp.full((n_trials, n_users + k, 3), np.nan)
        places[:, :n_users, :] = self.candidates[xp.argmax(score, axis=-1)]
        gain = xp.zeros((n_trials, n_users, 1 + k), dtype=trials.samples.dtype)
        return Paths(places, gain, xp.zeros((n_trials, n_users)), xp.zeros(n_trials, dtype=xp.int64))

    def _scatterer(self, trials: Trials, rows: Array, places: Array, rank: int = 0) -> Array:
        """argmax Σ_l |φᴴr_l|²/‖P⊥_l φ‖², Eq. (24) for the part of φ outside what user l has already. (T, 3)."""
        xp = self.xp
        fit = project(responses(self.problem.surface, trials.beams[trials.group], places), trials.samples)
        mine = rows[trials.group]
        energy = xp.sum(_power(mine), axis=1)
        scattered = xp.sum(_power(xp.conj(fit.basis) @ mine), axis=1)
        outside = (energy - scattered)[:, None, :] - _power(xp.conj(fit.own) @ mine)
        outside = xp.maximum(outside, LEAST_NEW * energy[:, None, :])
        score = xp.sum(_power(xp.conj(fit.residual) @ mine) / outside, axis=1)
        for _ in range(rank):
            score = self._unless_near(score)
        return self.candidates[xp.argmax(score, axis=-1)]


def trials_of(cycles: Cycles, xp: Any) -> Trials:
    """The copies of all groups, one after the other."""
    n_groups, n_copies, n_cycles, n_users = cycles.samples.shape
    samples = xp.reshape(xp.swapaxes(cycles.samples, 2, 3), (n_groups * n_copies, n_users, n_cycles))
    group = xp.arange(n_groups * n_copies) // n_copies
    return Trials(cycles.beams, group, samples, xp.reshape(cycles.noise_variance, (-1,)))


def _power(value: Array) -> Array:
    return value.real**2 + value.imag**2
