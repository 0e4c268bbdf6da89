"""Other explanations of trials: each path in turn is sought anew over the whole view while the others are held.

What a pursuit gets wrong, as seen by comparing with fits that began at the truth: a user's own place is the second or
third peak of its scores as long as its scatterers are not known; a scatterer was put where a user is, and the user
where a scatterer is; a scatterer was sought before another one was known. So

- every user is sought given the scatterers, exactly (`engine.estimators.paths.conditional`), and this is repeated with
  the joint fit until nothing moves: `settled`;
- scatterers are taken out by ones and twos, the users are sought without them, and they are sought again at the
  highest, the second, … peak of what is left, and all that is settled: wherever a peak may explain as much as is
  explained now, and everywhere where χ² is larger than noise makes it (`reconsidered`);
- where there is such doubt, all scatterers are sought before the users, and users at other peaks before scatterers;
- for one or two users, whose samples hardly tell explanations apart, all that is tried always, but for twos.

Every step is kept only if it lowers the cost, χ² or, where gains of scattered paths count as random, the negative
evidence: what is stored is the most likely, or the most probable, of all explanations tried.
"""

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from engine.estimators.paths.conditional import HOPE, best_places, energy_of_users, peaks_of_users
from engine.estimators.paths.doubt import DOUBT, doubt, overlooked
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Rows, Trials, put, with_scatterer

Array = Any

PEAKS_OF_USERS = 8
PEAKS_OF_SCATTERERS = 8
SETTLING = 4
"""Rounds of users given scatterers and joint fit, at most."""
LESS = 1e-6
"""Of the residual's energy: what a better explanation takes off at least."""
WORTH = 0.05
"""Of the noise's variance: what a user that moves takes off at least."""
NATS = 12.0
"""In the same units: what is worse by more before users have settled is not followed; in doubt, by twice as much."""
USERS_ELSEWHERE = 6
"""Begun with one user at another of its peaks, as many times where there is doubt."""
FEW_USERS = 2
"""Up to so many, also without doubt: their samples alone hardly tell one explanation from another."""
SAME = 1e-3
"""In the same units: the same explanation again."""
MARGIN = 3.0
"""In the same units: by how much a peak may fall short and still be tried."""
SUSPECT = 0.7
"""Of a user's own gain: a scatterer's to it, larger than to all others, that may be its own path's"""

Proposal = Callable[..., Paths]


def reconsidered(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, lost: float = DOUBT) -> Paths:
    """The paths, or better ones; trial by trial and in an order that does not depend on the others."""
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    paths = settled(pursuit, trials, rows, paths)
    if not n_scatterers:
        return paths
    paths = _labelled(pursuit, trials, rows, paths)
    everyone = xp.arange(trials.samples.shape[0])
    for hopeful in (True, False):
        for proposal, slight in _proposals(pursuit, hopeful=hopeful):
            index = everyone
            if not hopeful:
                (index,) = xp.nonzero(doubt(pursuit, trials, paths, lost, slight=slight) > 0)
            if index.shape[0]:
                found = proposal(pursuit, trials.take(index), rows, paths.take(index))
                paths = paths.replaced(index, found)
        if hopeful and n_users <= FEW_USERS:
            for proposal in _proposals_for_few(pursuit):
                paths = proposal(pursuit, trials, rows, paths)
    if trials.powers is not None:
        several = n_scatterers - paths.count > 1
        (index,) = xp.nonzero(several & (overlooked(pursuit, trials, paths) > lost))
        if index.shape[0]:
            some, mine = trials.take(index), paths.take(index)
            paths = paths.replaced(index, better(pursuit, some, mine, _least_squares(pursuit, some, rows, lost)))
    return _labelled(pursuit, trials, rows, paths)


def _least_squares(pursuit: JointPursuit, trials: Trials, rows: Rows, lost: float) -> Paths:
    """What the search for the least χ² finds, all scatterers fitted, without those that then bring nothing.

    Of several strong ones a few are no explanation: all others are noise to them, and each step there is a step down.
    """
    plain, bare = copy(pursuit), trials._replace(powers=None, received=None)
    plain.scattered = plain.order = None
    found = reconsidered(plain, bare, rows, plain.acquired(bare, rows), lost)
    return pursuit.pruned(trials, pursuit.refined(trials, found))


def _labelled(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """Users and scatterers that stood for each other, exchanged."""
    for user in range(pursuit.problem.n_users):
        for k in range(pursuit.problem.n_scatterers):
            paths = _exchanged(pursuit, trials, rows, paths, user, k)
    return paths


def _proposals(pursuit: JointPursuit, *, hopeful: bool) -> Iterator[tuple[Proposal, bool]]:
    """What else might explain trials: scatterers elsewhere, one at a time, by twos, and all before the users.

    And whether the slightest doubt is worth it.
    """
    n_scatterers = pursuit.problem.n_scatterers
    how: dict[str, Any] = {"hopeful": hopeful, "within": _within(pursuit, hopeful=hopeful)}
    if pursuit.scattered is not None and not hopeful:
        yield _with_all, True
    for k in range(n_scatterers):
        yield partial(_sought_again, these=(k,), **how), True
    for pair in combinations(range(n_scatterers), 2):
        yield partial(_sought_again, these=pair, **how), False
    yield partial(_scatterers_first, most=1 if hopeful else PEAKS_OF_SCATTERERS, within=how["within"]), False
    few = pursuit.problem.n_users <= FEW_USERS  # several tell the scatterers from one another by themselves
    if few or not hopeful:
        yield partial(_user_elsewhere, most=2 if hopeful else USERS_ELSEWHERE, **how), False


def _proposals_for_few(pursuit: JointPursuit) -> Iterator[Proposal]:
    """What else might explain the trials of one or two users, whether there is doubt or not."""
    if pursuit.scattered is not None:
        yield _with_all
    for k in range(pursuit.problem.n_scatterers):
        yield partial(_sought_again, these=(k,), hopeful=False, within=2 * NATS)
    yield partial(_scatterers_first, most=PEAKS_OF_SCATTERERS, within=np.inf)
    yield partial(_user_elsewhere, most=USERS_ELSEWHERE, hopeful=False, within=np.inf)


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


def _sought_again(
    pursuit: JointPursuit,
    trials: Trials,
    rows: Rows,
    paths: Paths,
    *,
    these: tuple[int, ...],
    hopeful: bool,
    within: float,
) -> Paths:
    """The paths, or better ones with some scatterers at other peaks of what there is once the others settle without.

    hopeful: only where a peak may explain as much as is explained now.
    """
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    for count in range(these[-1] + 1, n_scatterers + 1):
        (index,) = xp.nonzero(paths.count == count)
        if not index.shape[0]:
            continue
        some, mine = trials.take(index), paths.take(index)
        columns = [n_users + k for k in range(n_scatterers) if k not in these] + [n_users + k for k in these]
        rest = mine._replace(places=mine.places[:, [*range(n_users), *columns], :], count=mine.count - len(these))
        rest = pursuit.refined(some, _at_best(pursuit, some, rows, rest))
        first = n_users + count - len(these)
        scores, without = pursuit.scatterer_scores(some, rows, rest.places[:, :first, :])
        found, heights = pursuit.peaks(scores, PEAKS_OF_SCATTERERS)
        for rank in range(PEAKS_OF_SCATTERERS):
            now, place = xp.sum(mine.energy, axis=-1), pursuit.places(found[:, rank])
            try_it = xp.ones(now.shape, dtype=xp.bool)
            if hopeful:
                try_it = without - heights[:, rank] / HOPE < now + MARGIN * some.noise_variance
            (here,) = xp.nonzero(try_it)
            if here.shape[0]:
                few = some.take(here)
                tried = pursuit.refined(few, with_scatterer(rest.take(here), first, place[here]))
                tried = pursuit.extended(few, rows, tried)
                mine = mine.replaced(here, _settled_if_near(pursuit, few, rows, mine.take(here), tried, within))
        paths = paths.replaced(index, mine)
    return paths


def _settled_if_near(
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


def _at_best(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """Users at their best places given the scatterers; not fitted."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    peaks = peaks_of_users(pursuit, trials, rows, paths, PEAKS_OF_USERS)
    return paths._replace(places=xp.concat([best_places(xp, peaks), paths.places[:, n_users:, :]], axis=1))


def _scatterers_first(
    pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, *, most: int, within: float
) -> Paths:
    """The paths, or better ones from scatterers by what users have in common, the first at each of its peaks."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    none = paths._replace(count=xp.zeros_like(paths.count))
    firsts = pursuit.places(pursuit.peaks(pursuit.common_scores(trials, rows, none.places[:, :0, :]), most)[0])
    for rank in range(most):
        tried = with_scatterer(none, n_users, firsts[:, rank])
        for k in range(1, pursuit.problem.n_scatterers):
            scores = pursuit.common_scores(trials, rows, tried.places[:, n_users : n_users + k, :])
            tried = with_scatterer(tried, n_users + k, pursuit.candidates(scores))
        tried = pursuit.refined(trials, _at_best(pursuit, trials, rows, tried))
        paths = _settled_if_near(pursuit, trials, rows, paths, tried, within)
    return paths


def _within(pursuit: JointPursuit, *, hopeful: bool) -> float:
    """How far behind what is tried may be before users have settled.

    In doubt any, for a few users, who may be held by a scatterer of their own, and where χ² alone counts.
    """
    if hopeful:
        return NATS
    return np.inf if pursuit.scattered is None or pursuit.problem.n_users <= FEW_USERS else 2 * NATS


def _with_all(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Paths:
    """The paths, or better ones with all scatterers there may be besides those found, one at each of its peaks."""
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    for count in range(n_scatterers):
        (index,) = xp.nonzero(paths.count == count)
        if not index.shape[0]:
            continue
        some, mine = trials.take(index), paths.take(index)
        begun, first = mine, n_users + count
        scores, _ = pursuit.scatterer_scores(some, rows, mine.places[:, :first, :])
        found, _ = pursuit.peaks(scores, PEAKS_OF_SCATTERERS)
        for rank in range(PEAKS_OF_SCATTERERS):
            tried = pursuit.refined(some, with_scatterer(begun, first, pursuit.places(found[:, rank])))
            tried = pursuit.extended(some, rows, tried, everything=True)
            mine = _settled_if_near(pursuit, some, rows, mine, tried, np.inf)
        paths = paths.replaced(index, mine)
    return paths


def _user_elsewhere(
    pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, *, most: int, hopeful: bool, within: float
) -> Paths:
    """The paths, or better ones begun with one user at another of its peaks, scatterers unknown; so many peaks.

    A user's own place is often not the highest peak before its scatterers are known, but hardly behind it.
    """
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    alone = paths._replace(count=xp.zeros_like(paths.count))
    peaks = peaks_of_users(pursuit, trials, rows, alone, PEAKS_OF_USERS)
    users = best_places(xp, peaks)
    same = pursuit.unresolved(peaks.places, users[:, :, None, :])
    behind = (peaks.energy - xp.min(peaks.energy, axis=-1)[..., None]) / peaks.nothing[..., None]
    behind = xp.reshape(xp.where(same, xp.full_like(behind, np.inf), behind), (behind.shape[0], -1))
    order = xp.argsort(behind, axis=-1, stable=True)
    # One scatterer alone may bring nothing while all others are noise: where there is doubt, all are sought.
    every = pursuit.scattered is not None and not hopeful
    for nth in range(most):
        one, trial = order[:, nth], xp.arange(order.shape[0])
        user, rank = one // PEAKS_OF_USERS, one % PEAKS_OF_USERS
        moved = put(users, (trial, user), peaks.places[trial, user, rank])
        start = alone._replace(places=xp.concat([moved, paths.places[:, n_users:, :]], axis=1))
        tried = pursuit.extended(trials, rows, pursuit.refined(trials, start), everything=every)
        paths = _settled_if_near(pursuit, trials, rows, paths, tried, within)
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
