"""Users at their best places given the scatterers and all of it at the joint fit; and the better of two explanations.

Every user is sought given the scatterers, exactly (`engine.estimators.paths.conditional`), and this is repeated with
the joint fit until nothing moves.
"""

from typing import Any

from engine.estimators.paths.conditional import best_places, energy_of_users, peaks_of_users
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Rows, Trials

Array = Any

PEAKS_OF_USERS = 8
SETTLING = 4
"""Rounds of users given scatterers and joint fit, at most."""
LESS = 1e-6
"""Of the residual's energy: what a better explanation takes off at least."""
WORTH = 0.05
"""Of the noise's variance: what a user that moves takes off at least."""
NATS = 12.0
"""In the same units: what is worse by more before users have settled is not followed; in doubt, by twice as much."""
SAME = 1e-3
"""In the same units: the same explanation again."""


def settled(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """Users at their best places given the scatterers and all at the joint fit, until no user moves."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    paths = pursuit.extended(trials, rows, paths)
    index = xp.arange(trials.samples.shape[0])
    for _ in range(SETTLING):
        some, mine = trials.take(index), paths.take(index)
        peaks = peaks_of_users(pursuit, some, rows, mine, PEAKS_OF_USERS)
        now = energy_of_users(pursuit, some, mine, peaks)
        moves = xp.min(peaks.energy, axis=-1) < now - WORTH * some.noise_variance[:, None]
        (moved,) = xp.nonzero(xp.any(moves, axis=-1))
        if not moved.shape[0]:
            break
        users = xp.where(moves[..., None], best_places(xp, peaks), mine.places[:, :n_users, :])
        start = mine._replace(places=xp.concat([users, mine.places[:, n_users:, :]], axis=1)).take(moved)
        some, mine, index = some.take(moved), mine.take(moved), index[moved]
        found = pursuit.extended(some, rows, pursuit.refined(some, start))
        paths = paths.replaced(index, better(pursuit, some, mine, found))
    return paths


def better(pursuit: JointPursuit, trials: Trials, paths: Paths, others: Paths) -> Paths:
    """Trial by trial the more likely of two explanations; at equal χ² the first."""
    xp = pursuit.xp
    energy, other = pursuit.cost(trials, paths), pursuit.cost(trials, others)
    least = LESS * xp.sum(paths.energy, axis=-1)
    if trials.powers is not None:  # scatterers that count as noise are in that energy, at 200 dB all of it
        least = xp.minimum(least, SAME * trials.noise_variance)
    (index,) = xp.nonzero(other < energy - least)
    return paths.replaced(index, others.take(index))


def settled_if_near(
    pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, tried: Paths, nats: float
) -> Paths:
    """The paths, or what is tried, settled, where that is better; as it is where it is the same or worse by so much."""
    xp = pursuit.xp
    behind = (pursuit.cost(trials, tried) - pursuit.cost(trials, paths)) / trials.noise_variance
    (index,) = xp.nonzero((behind < nats) & ~(xp.abs(behind) < SAME))
    if not index.shape[0]:
        return paths
    tried = settled(pursuit, trials.take(index), rows, tried.take(index))
    if pursuit.scattered is not None:
        tried = pursuit.pruned(trials.take(index), tried)
    return paths.replaced(index, better(pursuit, trials.take(index), paths.take(index), tried))


def at_best(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """Users at their best places given the scatterers; not fitted."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    peaks = peaks_of_users(pursuit, trials, rows, paths, PEAKS_OF_USERS)
    return paths._replace(places=xp.concat([best_places(xp, peaks), paths.places[:, n_users:, :]], axis=1))
