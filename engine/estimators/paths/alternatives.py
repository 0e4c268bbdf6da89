"""What users' places owe to scatterers that may be elsewhere: the explanations nearly as probable as the one stored.

Weak scatterers have several peaks that explain the samples about as well, or may not be there at all; the users move a
little with each of these, and no curvature at one of them knows. So each scatterer found is taken out and put at its
other peaks, one that is not found is put at its highest, and the users' places in all that are spread by the evidence.

Where all scatterers are fitted, whatever their power, explanations with as many of them compare by χ². Left out, NOMP's
normalised squares are 1.3 on average at 5 dB in trials in which a scatterer was put in a wrong place, 1.0 in others.
"""

from typing import Any

from engine.estimators.paths.conditional import HOPE
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Rows, Trials, with_scatterer

Array = Any

PEAKS = 6
WORTH_NATS = 5.0
"""How far behind an explanation may be and still count, e⁻⁵; and how far a peak of the grid, to be fitted"""
NEVER_NATS = -1e300
SAME_NATS = 1e-3
"""Between two fits of one explanation"""


def between_explanations(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Array:
    """Second moments of κ, θ, φ of each user about those stored, (T, L, 3, 3); 0 where nothing else is as probable.

    Of users that stay in their direction; those that do not are lost (`engine.estimators.paths.confidence`).
    """
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    here = paths.places[:, :n_users, :]
    moments, total = xp.zeros((*here.shape, 3)), xp.ones(here.shape[:2])
    stored = _nats(pursuit, trials, paths)
    known = [stored]
    for index, other in _others(pursuit, trials, rows, paths):
        nats = xp.full(paths.count.shape, NEVER_NATS)
        nats[index] = _nats(pursuit, trials.take(index), other)
        new = nats > stored - WORTH_NATS
        for before in known:
            new = new & ~(xp.abs(nats - before) < SAME_NATS)
        known.append(nats)
        (trial,) = xp.nonzero(new)
        if trial.shape[0]:
            places = xp.zeros_like(here)
            places[index] = other.places[:, :n_users, :]
            away = (places - here)[trial]
            # More probable than what is stored: as probable, as the search may not have been able to get there.
            weight = xp.exp(xp.minimum(nats[trial] - stored[trial], xp.zeros_like(nats[trial])))[:, None]
            weight = xp.where(pursuit.unresolved(places[trial], here[trial]), weight, xp.zeros_like(weight))
            moments[trial] = moments[trial] + (weight[..., None] * away)[..., :, None] * away[..., None, :]
            total[trial] = total[trial] + weight
    return moments / total[..., None, None]


def _nats(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """Of explanations, (T,), up to a constant: of all by evidence, else of those with as many scatterers."""
    if trials.powers is not None:
        return paths.evidence
    return -pursuit.xp.sum(paths.energy, axis=-1) / trials.noise_variance


def _others(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Any:
    """Trials by their numbers, and explanations of theirs: one scatterer elsewhere or, by evidence, less or more."""
    xp, n_users, n_scatterers = pursuit.xp, pursuit.problem.n_users, pursuit.problem.n_scatterers
    by_evidence = trials.powers is not None
    for count in range(n_scatterers + 1):
        (index,) = xp.nonzero(paths.count == count)
        if not index.shape[0]:
            continue
        some, mine = trials.take(index), paths.take(index)
        for k in range(count):
            columns = [i for i in range(n_users + n_scatterers) if i != n_users + k] + [n_users + k]
            rest = mine._replace(places=mine.places[:, columns, :], count=mine.count - 1)
            rest = pursuit.refined(some, rest)
            if by_evidence:
                yield index, rest
            # With what is known of gains and noise, so that what is stored comes out as it is.
            rest = rest._replace(noise=mine.noise, unseen=xp.zeros_like(rest.unseen), ridge=mine.ridge)
            yield from _with_one_more(pursuit, some, rows, (index, rest, mine))
        if by_evidence and count < n_scatterers:
            yield from _with_one_more(pursuit, some, rows, (index, mine, mine))


def _with_one_more(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: tuple[Array, Paths, Paths]) -> Any:
    """Of trials by their numbers, the rest with a scatterer at each of the peaks that may explain what there is now."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    index, rest, now = paths
    first = n_users + int(rest.count[0])
    scores, without = pursuit.scatterer_scores(trials, rows, rest.places[:, :first, :])
    found, heights = pursuit.peaks(scores, PEAKS)
    within = xp.sum(now.energy, axis=-1) + WORTH_NATS * pursuit.noise(trials, now)
    for rank in range(PEAKS):
        (here,) = xp.nonzero((heights[:, rank] > 0) & (without - heights[:, rank] / HOPE < within))
        if here.shape[0]:
            some = trials.take(here)
            yield (
                index[here],
                pursuit.refined(some, with_scatterer(rest.take(here), first, pursuit.places(found[here, rank]))),
            )
