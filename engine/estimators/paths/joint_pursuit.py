"""Newtonised orthogonal matching pursuit of users and of the scatterers common to them.

Users come from a grid, each as if alone. Everything found is fitted jointly before anything more is looked for: what a
grid leaves of a strong path hides a weak one. B. Mamandipoor, D. Ramasamy, U. Madhow, "Newtonized orthogonal matching
pursuit", IEEE Trans. Signal Process. 64, 2016; here with a direct path to each user and scatterers that all users
share, as in Algorithm 1 of Cao et al., arXiv 2501.17868.
"""

from typing import Any, Literal

import numpy as np

from engine.estimators.paths.evidence import Evidence, log_evidence, with_powers
from engine.estimators.paths.order import least_fall
from engine.estimators.paths.problem import PathEstimates, PathProblem, nothing_stated
from engine.estimators.paths.search_grid import SearchGrid
from engine.estimators.paths.trials import Paths, Rows, Trials, power, with_scatterer
from engine.numerics.candidates import CandidateGrid
from engine.numerics.path_fit import fit_paths
from engine.numerics.path_projection import project, responses
from engine.numerics.pursuit import degrees_of_freedom

Array = Any

FARTHEST_PER_M = 1e-9
"""A user's κ is at least this: what the fit leaves at 0 is a range too long to tell, and no plane wave by choice."""
LEAST_NEW = 0.02
"""Of a candidate's energy: what counts at least as outside the paths already there."""
POLISHING = 10
"""Further fits of what is stored, at most"""
POLISHED_NATS = 1e-3
"""Between two of them, when no further one is needed"""
ASTRAY_NATS = 0.1
"""By how much a further fit may be less probable: with a mean of powers its maximum is the evidence's but nearly"""


class JointPursuit(SearchGrid):
    """The search over one grid and the fits, prepared for one problem.

    enough: the misfit below which no further scatterer is looked for. order: instead of that, the false-alarm rate at
    which one more is one; the problem's number of scatterers is then the most. noise_known: whether σ² was told.
    scattered: how the power of scattered paths is known, so that explanations compare by their evidence; None: by χ².
    """

    def __init__(
        self,
        problem: PathProblem,
        grid: CandidateGrid,
        xp: Any,
        *,
        enough: float = -np.inf,
        order: float | None = None,
        noise_known: bool = True,
        scattered: Literal["told", "estimated"] | None = None,
    ) -> None:
        super().__init__(problem, grid, xp)
        self.enough = enough
        self.scattered = scattered if problem.n_scatterers else None
        self.order, self.noise_known = order, noise_known
        self.least_new = LEAST_NEW

    def acquired(self, trials: Trials, rows: Rows, *, everything: bool = False) -> Paths:
        """Users from the grid, then scatterers; everything: as many as there may be, significant or not."""
        return self.extended(trials, rows, self.alone(trials, rows), everything=everything)

    def alone(self, trials: Trials, rows: Rows) -> Paths:
        """Users from the grid, fitted, and no scatterer."""
        xp, (n_trials, n_users, _), k = self.xp, trials.samples.shape, self.problem.n_scatterers
        users = self.candidates(self.user_scores(trials, rows))
        places = xp.concat([users, xp.zeros((n_trials, k, 3))], axis=1)
        gain = xp.zeros((n_trials, n_users, 1 + k), dtype=trials.samples.dtype)
        none, count = xp.zeros(n_trials), xp.zeros(n_trials, dtype=xp.int64)
        start = Paths(places, gain, xp.zeros((n_trials, n_users)), count, none, trials.noise_variance, none, none)
        return self.refined(trials, start)

    def extended(self, trials: Trials, rows: Rows, paths: Paths, *, everything: bool = False) -> Paths:
        """Further scatterers: where the misfit asks for them, or one more is significant, or more probable."""
        xp, n_users, n_cycles = self.xp, self.problem.n_users, trials.samples.shape[-1]
        by_evidence = self.scattered is not None and not everything
        by_order = self.order is not None and not everything and not by_evidence
        wanted = xp.ones(trials.samples.shape[0], dtype=xp.bool)
        for k in range(self.problem.n_scatterers):
            if degrees_of_freedom(n_cycles, n_users, k + 1) <= 0:
                break
            if self.order is None:
                wanted = self.misfit(trials, paths) > self.enough
            (index,) = xp.nonzero((paths.count == k) & wanted)
            if index.shape[0]:
                some, mine = trials.take(index), paths.take(index)
                scores, _ = self.scatterer_scores(some, rows, mine.places[:, : n_users + k, :])
                more = self.refined(some, with_scatterer(mine, n_users + k, self.candidates(scores)))
                if by_order or by_evidence:
                    counts = more.evidence > mine.evidence
                    if by_order:
                        counts = self.fall(some, mine, more) > self.least_fall(k + 1, n_cycles)
                    wanted[index] = counts
                    index, more = index[counts], more.take(counts)
                paths = paths.replaced(index, more)
        return paths

    def pruned(self, trials: Trials, paths: Paths) -> Paths:
        """Without the scatterers whose absence does not matter, one by one, the least of them first."""
        xp, n_users, n_cycles = self.xp, self.problem.n_users, trials.samples.shape[-1]
        counts = range(self.problem.n_scatterers, 0, -1)
        for count in counts if self.order is not None or self.scattered is not None else ():
            (index,) = xp.nonzero(paths.count == count)
            if not index.shape[0]:
                continue
            some, mine = trials.take(index), paths.take(index)
            best = None
            for k in range(count):
                columns = [i for i in range(mine.places.shape[1]) if i != n_users + k] + [n_users + k]
                fewer = self.refined(some, mine._replace(places=mine.places[:, columns, :], count=mine.count - 1))
                if best is None:
                    best = fewer
                else:
                    (lower,) = xp.nonzero(self.cost(some, fewer) < self.cost(some, best))
                    best = best.replaced(lower, fewer.take(lower))
            assert best is not None
            if self.scattered is not None:
                needed = mine.evidence > best.evidence
            else:
                needed = self.fall(some, best, mine) > self.least_fall(count, n_cycles)
            (drop,) = xp.nonzero(~needed)
            paths = paths.replaced(index[drop], best.take(drop))
        return paths

    def fall(self, trials: Trials, fewer: Paths, more: Paths) -> Array:
        """By how much χ² falls, (T,); with σ² as the larger model leaves it where it is unknown (the ratio is an F)."""
        if not self.noise_known:
            trials = self.with_noise_left(trials, more)
        return 2 * (self.xp.sum(fewer.energy, axis=-1) - self.xp.sum(more.energy, axis=-1)) / trials.noise_variance

    def least_fall(self, count: int, n_cycles: int) -> float:
        """The least fall of χ² that makes so many scatterers of one less."""
        assert self.order is not None
        n_users = self.problem.n_users
        freedom = degrees_of_freedom(n_cycles, n_users, count)
        n_places = self.all_places.shape[0] * self.cell_beams**2
        return least_fall(n_users, n_places, self.order, freedom, noise_known=self.noise_known)

    def refined(self, trials: Trials, paths: Paths) -> Paths:
        """The joint fit, from the places of the users and of as many scatterers as are counted.

        With the power of scattered gains as these paths have it; where they had none, first without and then with what
        that tells.
        """
        found = self._fitted(trials, paths)
        (index,) = self.xp.nonzero((paths.ridge == 0) & (found.ridge > 0))
        if index.shape[0]:
            found = found.replaced(index, self._fitted(trials.take(index), found.take(index)))
        return found

    def polished(self, trials: Trials, paths: Paths) -> Paths:
        """Fitted again, with the power of scattered gains as it is known now, until that brings nothing more."""
        xp = self.xp
        index = xp.arange(paths.count.shape[0])
        for _ in range(POLISHING):
            if not index.shape[0]:
                break
            some, mine = trials.take(index), paths.take(index)
            again = self._fitted(some, mine)
            change = (self.cost(some, mine) - self.cost(some, again)) / some.noise_variance
            (kept,) = xp.nonzero(change > -ASTRAY_NATS)
            paths = paths.replaced(index[kept], again.take(kept))
            index = index[(change > -ASTRAY_NATS) & (xp.abs(change) > POLISHED_NATS)]
        return paths

    def _fitted(self, trials: Trials, paths: Paths) -> Paths:
        xp, n_users = self.xp, self.problem.n_users
        places = xp.full_like(paths.places, np.nan)
        gain, energy = xp.zeros_like(paths.gain), xp.zeros_like(paths.energy)
        received = xp.zeros((*places.shape[:2], trials.samples.shape[-1]), dtype=gain.dtype)
        for k in range(self.problem.n_scatterers + 1):
            (index,) = xp.nonzero(paths.count == k)
            if index.shape[0]:
                some, start = trials.take(index), paths.places[index][:, : n_users + k, :]
                ridge = paths.ridge[index] if k else xp.zeros(index.shape[0])
                known = {"ridge": ridge, "noise": xp.where(ridge > 0, paths.noise[index], xp.zeros_like(ridge))}
                fit = fit_paths(self.problem.surface, some.beams, some.group, some.samples, start, self.bounds, **known)
                places[index, : n_users + k] = fit.places
                gain[index, :, : 1 + k], energy[index] = fit.gain, fit.energy
                received[index, : n_users + k] = fit.received
        none = xp.zeros(paths.count.shape[0])
        found = none, trials.noise_variance, none, none
        if trials.powers is not None:
            found = self.weighed(trials, received, paths.count)
        return Paths(places, gain, energy, paths.count, *found)

    def weighed(self, trials: Trials, received: Array, count: Array) -> Evidence:
        """Of paths of which the beams receive (T, L + K, C)."""
        return log_evidence(self.problem, trials, received, count, self.rooms, self.order, self.noise_known)

    def with_powers(self, trials: Trials, rows: Rows) -> Trials:
        """Trials with the powers that scattered paths may have, where their gains count as random."""
        if self.scattered is None or trials.powers is not None:
            return trials
        return with_powers(self.problem, trials, rows, told=self.scattered == "told", noise_known=self.noise_known)

    def noise(self, trials: Trials, paths: Paths) -> Array:
        """The variance of a sample besides the paths found, (T,): with that of scatterers not found, if known."""
        return trials.noise_variance if trials.powers is None else paths.noise

    def with_noise_left(self, trials: Trials, paths: Paths) -> Trials:
        """Trials with σ² = 2‖residual‖²/ν, as these paths leave it.

        Where no degree of freedom is left as with one, and never below what rounding leaves of the samples.
        """
        xp, n_users, n_cycles = self.xp, self.problem.n_users, trials.samples.shape[-1]
        free = [degrees_of_freedom(n_cycles, n_users, k) for k in range(self.problem.n_scatterers + 1)]
        freedom = xp.asarray([float(max(n, 1)) for n in free])[paths.count]
        rounding = 1e-20 * xp.sum(power(trials.samples), axis=(-2, -1))
        return trials._replace(noise_variance=xp.maximum(2 * xp.sum(paths.energy, axis=-1) / freedom, rounding))

    def cost(self, trials: Trials, paths: Paths) -> Array:
        """‖residual‖², and where their number is unknown what each scatterer has to take off it, (T,).

        Where gains of scattered paths count as random, −σ² ln p instead.
        """
        if self.scattered is not None:
            return -paths.evidence * trials.noise_variance
        xp, n_cycles = self.xp, trials.samples.shape[-1]
        total = xp.sum(paths.energy, axis=-1)
        if self.order is None:
            return total
        least = np.cumsum([0.0, *(self.least_fall(k + 1, n_cycles) for k in range(self.problem.n_scatterers))])
        return total + xp.asarray(least)[paths.count] * trials.noise_variance / 2

    def misfit(self, trials: Trials, paths: Paths) -> Array:
        """(2‖residual‖²/σ² − ν)/√(2ν), (T,); NaN where there is no degree of freedom ν."""
        xp, n_cycles = self.xp, trials.samples.shape[-1]
        free = [degrees_of_freedom(n_cycles, self.problem.n_users, k) for k in range(self.problem.n_scatterers + 1)]
        freedom = xp.asarray([float(n) if n > 0 else np.nan for n in free])[paths.count]
        noise = self.noise(trials, paths)
        return (2 * xp.sum(paths.energy, axis=-1) / noise - freedom) / xp.sqrt(2 * freedom)

    def misfit_of_users(self, trials: Trials, paths: Paths) -> Array:
        """The same of each user's residual, ν being its share of the freedom left, (T, L)."""
        xp, n_users = self.xp, self.problem.n_users
        n_cycles = trials.samples.shape[-1]
        free = [degrees_of_freedom(n_cycles, n_users, k) / n_users for k in range(self.problem.n_scatterers + 1)]
        freedom = xp.asarray([n if n > 0 else np.nan for n in free])[paths.count][:, None]
        noise = self.noise(trials, paths)[:, None]
        return (2 * paths.energy / noise - freedom) / xp.sqrt(2 * freedom)

    def estimates(
        self, trials: Trials, paths: Paths, shape: tuple[int, ...], stated: tuple[Array, ...] | None = None
    ) -> PathEstimates:
        """In G groups of S copies, `shape`; stated: the last four fields, (T, L, …) each."""
        xp, n_users, misfit = self.xp, self.problem.n_users, self.misfit(trials, paths)
        places = xp.reshape(paths.places, (*shape, *paths.places.shape[1:]))
        gain = xp.reshape(paths.gain, (*shape, *paths.gain.shape[1:]))
        kappa, polar, azimuth = (places[..., i] for i in range(3))
        return PathEstimates(
            xp.clip(kappa[..., :n_users], FARTHEST_PER_M, None),
            polar[..., :n_users],
            azimuth[..., :n_users],
            gain[..., 0],
            kappa[..., n_users:],
            polar[..., n_users:],
            azimuth[..., n_users:],
            gain[..., 1:],
            xp.reshape(misfit if self.noise_known else xp.full_like(misfit, np.nan), shape),
            xp.reshape(self.noise(trials, paths), shape),
            *(
                nothing_stated(xp, (*shape, n_users))
                if stated is None
                else (xp.reshape(part, (*shape, *part.shape[1:])) for part in stated)
            ),
        )

    def user_scores(self, trials: Trials, rows: Rows) -> Array:
        """|φᴴy|²/‖φ‖² of every candidate for each user, Eq. (19) normalised, (T, L, M)."""
        value, energy = trials.of_group(rows.value), trials.of_group(rows.energy)
        return power(self.xp.conj(trials.samples) @ value) / energy[:, None, :]

    def scatterer_scores(self, trials: Trials, rows: Rows, places: Array) -> tuple[Array, Array]:
        """Σ_l |φᴴr_l|²/‖P⊥_l φ‖², Eq. (24) for the part of φ outside what user l has already, (T, M), and Σ_l ‖r_l‖².

        places (T, P, 3): of the users and the scatterers found.
        """
        xp = self.xp
        fit = project(responses(self.problem.surface, trials.of_group(trials.beams), places), trials.samples)
        value, energy = trials.of_group(rows.value), trials.of_group(rows.energy)
        common = energy - xp.sum(power(xp.conj(fit.basis) @ value), axis=1)
        outside = common[:, None, :] - power(xp.conj(fit.own) @ value)
        outside = xp.maximum(outside, LEAST_NEW * energy[:, None, :])
        scores = xp.sum(power(xp.conj(fit.residual) @ value) / outside, axis=1)
        return scores, xp.sum(fit.energy, axis=-1)

    def common_scores(self, trials: Trials, rows: Rows, scatterers: Array) -> Array:
        """Σ_l |φᴴr_l|²/‖P⊥ φ‖² of all users together, outside the scatterers found (T, K, 3), no user known; (T, M)."""
        xp = self.xp
        value, energy = trials.of_group(rows.value), trials.of_group(rows.energy)
        samples, outside = trials.samples, energy
        if scatterers.shape[1]:
            received = responses(self.problem.surface, trials.of_group(trials.beams), scatterers)
            basis = project(received, trials.samples[:, :0, :]).basis
            samples = samples - (samples @ xp.conj(xp.matrix_transpose(basis))) @ basis
            outside = xp.maximum(energy - xp.sum(power(xp.conj(basis) @ value), axis=1), LEAST_NEW * energy)
        return xp.sum(power(xp.conj(samples) @ value), axis=1) / outside
