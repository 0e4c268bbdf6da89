"""Paths that stand for one another: explanations that a greedy search cannot leave by moving one path at a time.

A user sits where a scatterer is, that was not found; a user and a scatterer have changed places; of two scatterers that
samples do not tell apart one was put into the noise; a user is at one of two peaks that are about as high.
"""

from itertools import permutations
from typing import Any

import numpy as np

from engine.estimators.paths.conditional import energy_of_users, peaks_of_users
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.settling import NATS, PEAKS_OF_USERS, WORTH, at_best, better, settled, settled_if_near
from engine.estimators.paths.trials import Paths, Rows, Trials, put, with_scatterer
from engine.numerics.path_projection import responses

Array = Any

TIED_NATS = 3.0
"""How much lower a peak of a user's is that may be higher once the scatterers follow"""
APART = 0.0, 0.5
"""Steps of inverse range that each of two scatterers begins from where both are: from there alone they never part."""
SUSPECT = 0.7
"""Of a user's own gain: a scatterer's to it, larger than to all others, that may be its own path's"""


def labelled(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """Users and scatterers that stood for each other, exchanged."""
    for user in range(pursuit.problem.n_users):
        for k in range(pursuit.problem.n_scatterers):
            paths = _exchanged(pursuit, trials, rows, paths, user, k)
    return paths


def _exchanged(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, user: int, k: int) -> Paths:
    """A user and scatterer k change places where the scatterer may be its own path, and that is better.

    Its gain is larger by way of it, or not much less and the largest of all users'.
    """
    xp, column = pursuit.xp, pursuit.problem.n_users + k
    other = xp.abs(paths.gain[:, :, 1 + k])
    share = xp.where(xp.argmax(other, axis=-1) == user, SUSPECT, 1.0)
    (index,) = xp.nonzero(other[:, user] > share * xp.abs(paths.gain[:, user, 0]))
    if not index.shape[0]:
        return paths
    some, mine = trials.take(index), paths.take(index)
    order = list(range(mine.places.shape[1]))
    order[user], order[column] = column, user
    tried = settled(pursuit, some, rows, pursuit.refined(some, mine._replace(places=mine.places[:, order, :])))
    # One user alone cannot tell its own path from the scatterers': it is the strongest then.
    gained = pursuit.cost(some, mine) - pursuit.cost(some, tried)
    (taken,) = xp.nonzero(gained > (-WORTH * some.noise_variance if pursuit.problem.n_users == 1 else 0.0))
    return paths.replaced(index[taken], tried.take(taken))


def scatterer_at_a_user(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """The paths, or better ones with a scatterer more where a user is, and users at their best places beside it.

    And so on, where that brings something.
    """
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    for count in range(pursuit.problem.n_scatterers):
        (index,) = xp.nonzero(paths.count == count)
        if not index.shape[0]:
            continue
        some, mine = trials.take(index), paths.take(index)
        begun, first = mine, n_users + count
        for user in range(n_users):
            tried = with_scatterer(begun, first, begun.places[:, user])
            tried = pursuit.refined(some, at_best(pursuit, some, rows, tried))
            mine = settled_if_near(pursuit, some, rows, mine, tried, NATS)
        paths = paths.replaced(index, mine)
    return paths


def doubled(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """The paths, or better ones with a scatterer where another one is.

    What two scatterers bring in one direction samples hardly tell from what one does. A search that is told how many
    there are puts the second anywhere, as noise shows one everywhere, and one in the wrong place costs more than it.
    """
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    (index,) = xp.nonzero(paths.count == n_scatterers)
    if pursuit.scattered is None or n_scatterers < 2 or not index.shape[0]:
        return paths
    some, mine = trials.take(index), paths.take(index)
    received = responses(pursuit.problem.surface, some.of_group(some.beams), mine.places)
    pairs, every = list(permutations(range(n_users, n_users + n_scatterers), 2)), range(n_users + n_scatterers)
    columns = [[other if i == k else i for i in every] for k, other in pairs]
    nats = xp.stack([pursuit.weighed(some, received[:, of, :], mine.count).nats for of in columns])  # (pairs, T)
    best, nats = xp.argmax(nats, axis=0), xp.max(nats, axis=0)
    (here,) = xp.nonzero(nats > mine.evidence - 2 * NATS)
    if not here.shape[0]:
        return paths
    few, mine, best = some.take(here), mine.take(here), best[here]
    together = mine.places[xp.arange(here.shape[0])[:, None], xp.asarray(columns)[best]]
    away = xp.asarray([[1.0 if i == k else -1.0 if i == other else 0.0 for i in every] for k, other in pairs])[best]
    for steps in APART:
        kappa = together[..., 0] + steps * pursuit.range_step_per_m * away
        kappa = xp.clip(kappa, float(pursuit.bounds[0, 0]), float(pursuit.bounds[1, 0]))
        places = xp.concat([kappa[..., None], together[..., 1:]], axis=-1)
        tried = pursuit.refined(few, mine._replace(places=places))
        mine = settled_if_near(pursuit, few, rows, mine, tried, np.inf)
    return paths.replaced(index[here], mine)


def nearly_tied(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """The paths, or better ones with a user at another peak that is hardly lower while scatterers are held."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    peaks = peaks_of_users(pursuit, trials, rows, paths, PEAKS_OF_USERS)
    now = energy_of_users(pursuit, trials, paths, peaks)
    here = paths.places[:, :n_users, None, :]
    behind = (peaks.energy - now[..., None]) / trials.noise_variance[:, None, None]
    behind = xp.where(pursuit.unresolved(peaks.places, here), xp.full_like(behind, np.inf), behind)
    trial, user, rank = xp.nonzero(behind < TIED_NATS)
    if not trial.shape[0]:
        return paths
    some, mine = trials.take(trial), paths.take(trial)
    moved = put(mine.places, (xp.arange(trial.shape[0]), user), peaks.places[trial, user, rank])
    tried = pursuit.refined(some, mine._replace(places=moved))
    for i in range(trial.shape[0]):
        one = slice(i, i + 1)
        at = trial[one]
        paths = paths.replaced(at, better(pursuit, trials.take(at), paths.take(at), tried.take(one)))
    return paths
