"""Continuous estimates that follow a trial from cycle to cycle."""

from typing import Any

from engine.estimators.paths.estimator import Localizer, Observer
from engine.estimators.paths.newtonised import NewtonisedPursuit, joined
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.estimators.paths.pursuit import Paths, Pursuit, Trials, trials_of

Array = Any

LOST = 4.0
"""Misfit above which the paths are looked for anew."""


class ClosedLoop(NewtonisedPursuit):
    """Tracks: NOMP at its first estimate, later the joint fit from its last one, of all cycles so far.

    The grid is asked again only where the paths found do not explain the samples (`LOST`), and what it gives is kept
    only if it explains them better. Greedy searches of the grid at each cycle lose users, as beams that are steep at a
    user magnify its distance from the grid.
    """

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(Pursuit(problem, self.grid(problem), xp))


class _Prepared:
    def __init__(self, pursuit: Pursuit) -> None:
        self.pursuit = pursuit

    def begin(self) -> Observer:
        return _Observer(self.pursuit)


class _Observer:
    def __init__(self, pursuit: Pursuit) -> None:
        self.pursuit = pursuit
        self.cycles: Cycles | None = None
        self.paths: Paths | None = None

    def observe(self, cycles: Cycles) -> None:
        self.cycles = cycles if self.cycles is None else joined(self.cycles, cycles, self.pursuit.xp)

    def estimate(self) -> PathEstimates:
        assert self.cycles is not None, "observe comes first"
        trials = trials_of(self.cycles, self.pursuit.xp)
        pursuit, xp = self.pursuit, self.pursuit.xp
        if self.paths is None:
            rows = pursuit.dictionary.rows(trials.beams)
            paths = pursuit.reconsidered(trials, rows, pursuit.acquired(trials, rows))
        else:
            paths = pursuit.refined(trials, self.paths)
            (index,) = xp.nonzero(pursuit.misfit(trials, paths) > LOST)
            if index.shape[0]:
                paths.put(index, self._recovered(trials.take(index), paths.take(index)))
        self.paths = paths
        return pursuit.estimates(trials, paths, self.cycles.noise_variance.shape)

    def _recovered(self, trials: Trials, paths: Paths) -> Paths:
        pursuit, xp = self.pursuit, self.pursuit.xp
        group, place = xp.unique_inverse(trials.group)
        trials = trials._replace(beams=trials.beams[group], group=place)
        rows = pursuit.dictionary.rows(trials.beams)
        paths = pursuit.extended(trials, rows, paths)
        anew = pursuit.acquired(trials, rows)
        (better,) = xp.nonzero(pursuit.misfit(trials, anew) < pursuit.misfit(trials, paths))
        paths.put(better, anew.take(better))
        return pursuit.reconsidered(trials, rows, paths)
