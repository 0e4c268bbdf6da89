"""Continuous estimates that follow a trial from cycle to cycle."""

from typing import Any

from pydantic import Field

from engine.estimators.paths.doubt import doubt
from engine.estimators.paths.estimator import Localizer, Observer, PathEstimator
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired, stated_of
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.estimators.paths.reconsider import better, reconsidered
from engine.estimators.paths.trials import Paths, Rows, Trials, joined, trials_of


class ClosedLoop(PathEstimator):
    """Tracks: NOMP at its first estimate, then the joint fit of all cycles so far from where the last one ended.

    Beams that are optimal at a user are steep there and magnify its distance from a grid, so that greedy searches of
    the grid at each cycle lose users. Here the first estimate compares several explanations by their evidence, and
    later ones do where the paths do not explain the samples; see `engine.estimators.paths.reconsider` and `evidence`.

    Each estimate states the probability that a user is elsewhere (`engine.estimators.paths.confidence`). With
    `search.most_scatterers` their number is not told but decided, with `search.noise` = "estimated" neither is σ².
    """

    search: NewtonisedPursuit = Field(
        NewtonisedPursuit(enough=None, scattered="estimated"), description="how the grid is asked"
    )
    lost: float = Field(2.0, description="misfit above which the grid is asked again; one more for a single user's")

    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        return _Prepared(self.search.pursuit(problem, xp), self.lost)


class _Prepared:
    def __init__(self, pursuit: JointPursuit, lost: float) -> None:
        self.pursuit, self.lost = pursuit, lost

    def begin(self) -> Observer:
        return _Observer(self.pursuit, self.lost)


class _Observer:
    def __init__(self, pursuit: JointPursuit, lost: float) -> None:
        self.pursuit, self.lost = pursuit, lost
        self.cycles: Cycles | None = None
        self.rows: Rows | None = None
        self.paths: Paths | None = None
        self.known_doubt: Any = None

    def observe(self, cycles: Cycles) -> None:
        self.rows = self.pursuit.more_rows(self.rows, cycles.beams)
        self.cycles = joined(self.cycles, cycles, self.pursuit.xp)

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        if self.cycles is None or self.rows is None:
            raise ValueError("no cycles: observe some before the first estimate")
        pursuit, rows = self.pursuit, self.rows
        trials = pursuit.with_powers(trials_of(self.cycles, pursuit.xp), rows)
        if self.paths is None:
            trials, paths = acquired(pursuit, trials, rows)
            paths = pursuit.pruned(trials, reconsidered(pursuit, trials, rows, paths, self.lost))
            self.known_doubt = doubt(pursuit, trials, paths, self.lost)
        else:
            paths = pursuit.refined(trials, self.paths)
            if pursuit.scattered is not None:
                paths = pursuit.extended(trials, rows, paths)
            if not pursuit.noise_known:
                trials = pursuit.with_noise_left(trials, paths)
            paths = self._tracked(trials, rows, paths)
        self.paths = pursuit.polished(trials, paths)
        if not pursuit.noise_known:
            trials = pursuit.with_noise_left(trials, self.paths)
        stated = stated_of(pursuit, trials, rows, self.paths) if stating else None
        return pursuit.estimates(trials, self.paths, self.cycles.noise_variance.shape, stated)

    def _tracked(self, trials: Trials, rows: Rows, paths: Paths) -> Paths:
        """Sought anew where there is doubt, and more of it than the search left the last time."""
        pursuit, xp = self.pursuit, self.pursuit.xp
        now = doubt(pursuit, trials, paths, self.lost)
        (index,) = xp.nonzero((now > 0) & ~(now < self.known_doubt + 1))
        if not index.shape[0]:
            return paths
        some = trials.take(index)
        groups, group = xp.unique_inverse(some.group)
        some = some._replace(beams=some.beams[groups], group=group)
        rows = Rows(rows.value[groups], rows.energy[groups])
        found = pursuit.extended(some, rows, paths.take(index))
        found = better(pursuit, some, found, pursuit.acquired(some, rows))
        found = pursuit.pruned(some, reconsidered(pursuit, some, rows, found, self.lost))
        self.known_doubt[index] = doubt(pursuit, some, found, self.lost)
        return paths.replaced(index, found)
