"""Whether an explanation leaves more of the samples than noise does, or calls noise what one would see."""

from typing import Any

from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.trials import Paths, Trials

Array = Any

DOUBT = 2.0
"""Misfit above which another explanation is looked for; of a single user, of whom there are several, one more."""
ROUNDING = 1e-12


def doubt(pursuit: JointPursuit, trials: Trials, paths: Paths, lost: float = DOUBT, *, slight: bool = False) -> Array:
    """Positive where χ² of a trial, or of one of its users, is larger than noise makes it, (T,); NaN is no doubt.

    Also where what counts as scatterers not found is so strong that one would be seen; slight: is more likely seen than
    not.
    """
    xp = pursuit.xp
    total = pursuit.misfit(trials, paths) - lost
    user = xp.max(pursuit.misfit_of_users(trials, paths), axis=-1) - lost - 1
    worst = xp.where(user > total, user, total)
    if trials.powers is None:
        return worst
    more = overlooked(pursuit, trials, paths) - (0.0 if slight else lost)
    return xp.where(more > worst, more, worst)


def overlooked(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """What the evidence should gain by finding the scatterers that count as noise, in deviations, (T,).

    √(2 nats), as χ² falls by twice that; at most 0 where they are as many nats below what is seen.
    """
    xp, (_, n_users, n_cycles) = pursuit.xp, trials.samples.shape
    most = xp.astype(pursuit.problem.n_scatterers - paths.count, xp.float64)
    missing = xp.ones_like(most) if pursuit.order is not None else xp.maximum(most, xp.ones_like(most))
    without = xp.maximum(paths.noise - paths.unseen, ROUNDING * paths.noise)
    each = paths.unseen / missing / without
    nats = n_users * (n_cycles * xp.log(paths.noise / without) - missing * xp.log(1 + n_cycles * each))
    nats = nats - missing * xp.log(pursuit.rooms(n_users * n_cycles * each))
    nats = xp.where(most > 0, nats, -xp.ones_like(nats))
    return xp.sign(nats) * xp.sqrt(2 * xp.abs(nats))
