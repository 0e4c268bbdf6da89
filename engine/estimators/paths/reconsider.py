"""Other explanations of trials: each path in turn is sought anew over the whole view while the others are held.

What a pursuit gets wrong, as seen by comparing with fits that began at the truth: a user's own place is the second or
third peak of its scores as long as its scatterers are not known; a scatterer was put where a user is, and the user
where a scatterer is; a scatterer was sought before another one was known. So

- users are sought given the scatterers, exactly (`engine.estimators.paths.settling`);
- scatterers are taken out by ones and twos, the users are sought without them, and they are sought again at the
  highest, the second, … peak of what is left, and all that is settled: wherever a peak may explain as much as is
  explained now, and everywhere where χ² is larger than noise makes it (`reconsidered`);
- what stands for something else is exchanged (`engine.estimators.paths.standing_in`);
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

from engine.estimators.paths.conditional import HOPE, best_places, peaks_of_users
from engine.estimators.paths.doubt import DOUBT, doubt, overlooked
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.settling import NATS, PEAKS_OF_USERS, at_best, better, settled, settled_if_near
from engine.estimators.paths.standing_in import doubled, labelled, nearly_tied, scatterer_at_a_user
from engine.estimators.paths.trials import Paths, Rows, Trials, put, with_scatterer

Array = Any

PEAKS_OF_SCATTERERS = 8
MANY_PEAKS = 32
"""Where doubt is left after all else"""
USERS_ELSEWHERE = 6
"""Begun with one user at another of its peaks, as many times where there is doubt."""
FEW_USERS = 2
"""Up to so many, also without doubt: their samples alone hardly tell one explanation from another."""
MARGIN = 3.0
"""Of the noise's variance: by how much a peak may fall short and still be tried."""

Proposal = Callable[..., Paths]


def reconsidered(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths, lost: float = DOUBT) -> Paths:
    """The paths, or better ones; trial by trial and in an order that does not depend on the others."""
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    paths = settled(pursuit, trials, rows, paths)
    if not n_scatterers:
        return paths
    paths = labelled(pursuit, trials, rows, paths)
    everyone = xp.arange(trials.samples.shape[0])
    for hopeful in (True, False):
        for proposal, slight in _proposals(pursuit, hopeful=hopeful):
            index = everyone
            if not hopeful:
                (index,) = xp.nonzero(doubt(pursuit, trials, paths, lost, slight=slight) > 0)
            if index.shape[0]:
                found = proposal(pursuit, trials.take(index), rows, paths.take(index))
                paths = paths.replaced(index, found)
        if hopeful:
            for_few = _proposals_for_few(pursuit) if n_users <= FEW_USERS else ()
            for proposal in (scatterer_at_a_user, doubled, nearly_tied, *for_few):
                paths = proposal(pursuit, trials, rows, paths)
    if trials.powers is not None:
        several = n_scatterers - paths.count > 1
        (index,) = xp.nonzero(several & (overlooked(pursuit, trials, paths) > lost))
        if index.shape[0]:
            some, mine = trials.take(index), paths.take(index)
            paths = paths.replaced(index, better(pursuit, some, mine, _least_squares(pursuit, some, rows, lost)))
    return labelled(pursuit, trials, rows, paths)


def _least_squares(pursuit: JointPursuit, trials: Trials, rows: Rows, lost: float) -> Paths:
    """What the search for the least χ² finds, all scatterers fitted, without those that then bring nothing.

    Of several strong ones a few are no explanation: all others are noise to them, and each step there is a step down.
    """
    plain, bare = copy(pursuit), trials._replace(powers=None, received=None)
    plain.scattered = plain.order = None
    found = reconsidered(plain, bare, rows, plain.acquired(bare, rows), lost)
    return pursuit.pruned(trials, pursuit.refined(trials, found))


def _proposals(pursuit: JointPursuit, *, hopeful: bool) -> Iterator[tuple[Proposal, bool]]:
    """What else might explain trials: scatterers elsewhere, one at a time, by twos, and all before the users.

    And whether the slightest doubt is worth it. A scatterer that moved is the last one then: hence from the last on.
    """
    n_scatterers = pursuit.problem.n_scatterers
    how: dict[str, Any] = {"hopeful": hopeful, "within": _within(pursuit, hopeful=hopeful)}
    if pursuit.scattered is not None and not hopeful:
        yield _with_all, True
    for k in reversed(range(n_scatterers)):
        yield partial(_sought_again, these=(k,), **how), True
    for pair in reversed([*combinations(range(n_scatterers), 2)]):
        yield partial(_sought_again, these=pair, **how), False
    yield partial(_scatterers_first, most=1 if hopeful else PEAKS_OF_SCATTERERS, within=how["within"]), False
    few = pursuit.problem.n_users <= FEW_USERS  # several tell the scatterers from one another by themselves
    if few or not hopeful:
        yield partial(_user_elsewhere, most=2 if hopeful else USERS_ELSEWHERE, **how), False
    if pursuit.scattered is not None and not hopeful:
        yield partial(_with_all, most=MANY_PEAKS, missing=2), False


def _proposals_for_few(pursuit: JointPursuit) -> Iterator[Proposal]:
    """What else might explain the trials of one or two users, whether there is doubt or not."""
    if pursuit.scattered is not None:
        yield _with_all
    for k in reversed(range(pursuit.problem.n_scatterers)):
        yield partial(_sought_again, these=(k,), hopeful=False, within=2 * NATS)
    yield partial(_scatterers_first, most=PEAKS_OF_SCATTERERS, within=np.inf)
    yield partial(_user_elsewhere, most=USERS_ELSEWHERE, hopeful=False, within=np.inf)


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
        rest = pursuit.refined(some, at_best(pursuit, some, rows, rest))
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
                mine = mine.replaced(here, settled_if_near(pursuit, few, rows, mine.take(here), tried, within))
        paths = paths.replaced(index, mine)
    return paths


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
        tried = pursuit.refined(trials, at_best(pursuit, trials, rows, tried))
        paths = settled_if_near(pursuit, trials, rows, paths, tried, within)
    return paths


def _within(pursuit: JointPursuit, *, hopeful: bool) -> float:
    """How far behind what is tried may be before users have settled.

    In doubt any, for a few users, who may be held by a scatterer of their own, and where χ² alone counts.
    """
    if hopeful:
        return NATS
    return np.inf if pursuit.scattered is None or pursuit.problem.n_users <= FEW_USERS else 2 * NATS


def _with_all(
    pursuit: JointPursuit,
    trials: Trials,
    rows: Rows,
    paths: Paths,
    *,
    most: int = PEAKS_OF_SCATTERERS,
    missing: int = 1,
) -> Paths:
    """The paths, or better ones with all scatterers there may be besides those found, one at each of so many peaks.

    Where so many are missing, or more.
    """
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    for count in range(n_scatterers + 1 - missing):
        (index,) = xp.nonzero(paths.count == count)
        if not index.shape[0]:
            continue
        some, mine = trials.take(index), paths.take(index)
        begun, first = mine, n_users + count
        scores, _ = pursuit.scatterer_scores(some, rows, mine.places[:, :first, :])
        found, _ = pursuit.peaks(scores, most)
        for rank in range(most):
            tried = pursuit.refined(some, with_scatterer(begun, first, pursuit.places(found[:, rank])))
            tried = pursuit.extended(some, rows, tried, everything=True)
            mine = settled_if_near(pursuit, some, rows, mine, tried, np.inf)
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
        paths = settled_if_near(pursuit, trials, rows, paths, tried, within)
    return paths
