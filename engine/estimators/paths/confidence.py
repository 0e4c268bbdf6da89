"""How sure an estimate is: the probability that a user is somewhere else, from its likelihood over the whole view.

Given the scatterers, a user's posterior over places is exp(−‖residual‖²/σ²)/‖u‖² times the prior, its gain being
anything, u what the beams receive from there. Every peak that was fitted counts with its own height, times what of the
prior a peak so high holds (`engine.estimators.paths.prior_mass`), and the rest of the grid as a sum over cells. What is
known of gains is in `engine.estimators.paths.strengths`.

The prior is that of `engine.estimators.paths.spread`, uniform in angles and in range, hence as 1/κ² in κ. Uniform in κ,
noise at ranges where hardly anybody is would count as much as the users do.

A user counts as elsewhere beyond `UNRESOLVED_BEAMS` of a beam, where the surface tells two directions apart.
"""

from typing import Any

import numpy as np

from engine.estimators.paths import peak_integrals, prior_mass
from engine.estimators.paths.conditional import Peaks, energy_of_users, left_by_scatterers, peaks_of_users
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.prior_mass import tail
from engine.estimators.paths.strengths import greatest_spread, with_others_strengths, with_told_strength
from engine.estimators.paths.trials import Paths, Rows, Trials, power, put
from engine.numerics.path_projection import responses

Array = Any

N_PEAKS = 6
ROUNDING = 1e-12
NOTHING_NATS = -25.0
"""What is lower than the highest by more is nothing."""
UNSURE = 0.003
"""Who is lost less probably has no peaks that are to be integrated,"""
WORTH_NATS = -5.0
"""nor which are lower than the highest by more."""
HELD_NATS = 0.5
"""What scatterers that are fitted to a peak may bring it, to be integrated while they are held."""
REFITTED_NATS = 30.0
"""How far behind a peak may be to be fitted together with the scatterers."""


def lost_probability(pursuit: JointPursuit, trials: Trials, rows: Rows, paths: Paths) -> Array:
    """Of each user, (T, L): what of its posterior is in other directions than the estimate's, scatterers held."""
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    peaks = peaks_of_users(pursuit, trials, rows, paths, N_PEAKS)
    now = energy_of_users(pursuit, trials, paths, peaks)
    noise = pursuit.noise(trials, paths)[:, None]
    here = paths.places[:, :n_users, :]
    lowest = xp.minimum(xp.min(peaks.energy, axis=-1), now)
    height = (peaks.nothing - lowest) / noise
    elsewhere = ~pursuit.unresolved(peaks.places, here[:, :, None, :])
    again = xp.zeros(elsewhere.shape, dtype=xp.bool)
    for i in range(1, N_PEAKS):
        for j in range(i):
            again[..., i] |= pursuit.unresolved(peaks.places[..., i, :], peaks.places[..., j, :])
    behind = (peaks.energy - lowest[..., None]) / noise[..., None]
    counts = elsewhere & ~again
    behind = xp.where(counts, behind, xp.full_like(behind, np.inf))
    held, behind = behind, _refitted(pursuit, trials, paths, peaks, xp.asarray(behind, copy=True))
    moved = xp.where(counts, held, xp.zeros_like(held)) - xp.where(counts, behind, xp.zeros_like(held))
    moved = xp.concat([xp.zeros_like(moved[..., :1]), moved], axis=-1)
    places = xp.concat([here[:, :, None, :], peaks.places], axis=2)
    behind = xp.concat([((now - lowest) / noise)[..., None], behind], axis=-1)
    explained = peaks.nothing[..., None] - xp.concat([now[..., None], peaks.energy], axis=-1)
    sharpness = _sharpness(pursuit, trials, peaks, places, behind < -NOTHING_NATS) / noise[..., None]
    explained = xp.maximum(explained / noise[..., None], xp.zeros_like(behind))
    # A peak that scatterers moved to is as much higher; what is beside it while they are held says nothing of it.
    amplitude, explained = xp.sqrt(explained / sharpness), explained + moved
    rest = _rest(pursuit, peaks, here, noise, height)
    behind = behind + xp.log(sharpness)
    nats = xp.log(prior_mass.of_peaks(pursuit, places, explained)) - behind
    worth = (moved < HELD_NATS) & _worth(xp, xp.concat([nats, rest[0][..., None]], axis=-1))
    nats = xp.log(peak_integrals.of_peaks(pursuit, trials, peaks, noise, places, explained, worth)) - behind
    peak = nats, amplitude, sharpness
    nats, amplitude, sharpness = (
        xp.concat([of, other[..., None]], axis=-1) for of, other in zip(peak, rest, strict=True)
    )
    if pursuit.problem.direct_power is None:
        nats = with_others_strengths(xp, nats, amplitude, sharpness, greatest_spread(pursuit.problem.view))
    else:
        nats = with_told_strength(xp, nats, amplitude, sharpness, pursuit.problem.direct_power**0.5)
    mass = xp.exp(nats - xp.max(nats, axis=-1, keepdims=True))
    lost = xp.sum(mass[..., 1:], axis=-1) / xp.sum(mass, axis=-1)
    if n_users > 1 or not pursuit.problem.n_scatterers:
        return lost
    return lost + (1 - lost) * _mistaken(pursuit, trials, paths)


def _worth(xp: Any, nats: Array) -> Array:
    """Which peaks of nats (T, L, J), the last being the rest, are to be integrated: of users that may be lost."""
    behind = nats - xp.max(nats, axis=-1, keepdims=True)
    mass = xp.exp(behind)
    unsure = xp.sum(mass[..., 1:], axis=-1) > UNSURE * xp.sum(mass, axis=-1)
    return (behind[..., :-1] > WORTH_NATS) & unsure[..., None]


def _mistaken(pursuit: JointPursuit, trials: Trials, paths: Paths) -> Array:
    """Probability that a single user's strongest path is not its own, (T, 1): nothing else tells it from a scatterer's.

    That another gain is larger, of gains as least squares leaves them: covariance σ² (BᴴB)⁻¹ at the places found.
    """
    xp = pursuit.xp
    n_paths = paths.places.shape[1]
    present = xp.arange(n_paths)[None, :] <= paths.count[:, None]
    places = xp.where(present[..., None], paths.places, xp.zeros_like(paths.places))
    received = responses(pursuit.problem.surface, trials.of_group(trials.beams), places)
    received = xp.where(present[..., None], received, xp.zeros_like(received))
    gram = received @ xp.conj(xp.matrix_transpose(received))
    absent = xp.where(present, xp.zeros(present.shape), xp.ones(present.shape))
    scale = xp.sqrt(xp.real(xp.sum(gram * xp.eye(n_paths), axis=-1)) + absent)
    unit = gram / scale[:, :, None] / scale[:, None, :] + xp.eye(n_paths) * (absent + ROUNDING)[:, None, :]
    covariance = xp.linalg.inv(unit) / scale[:, :, None] / scale[:, None, :]
    own, others = covariance[:, :1, 0], xp.stack([covariance[:, k, k] for k in range(1, n_paths)], axis=-1)
    # Of two moduli: what errors have in common counts as far as it points along both gains.
    amplitude = xp.abs(paths.gain[:, 0, :])
    phase = paths.gain[:, 0, :] / xp.where(amplitude > 0, amplitude, xp.ones_like(amplitude))
    common = xp.conj(covariance[:, 0, 1:] * phase[:, :1]) * phase[:, 1:]
    both = xp.real(own + others - 2 * common)
    noise = pursuit.noise(trials, paths)[:, None]
    deviation = xp.sqrt(xp.maximum(both, xp.zeros_like(both)) * noise / 2)
    behind = (amplitude[:, :1] - amplitude[:, 1:]) / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    chance = xp.where(present[:, 1:], tail(xp, behind), xp.zeros_like(behind))
    return 1 - xp.prod(1 - chance, axis=-1)[:, None]


def _sharpness(pursuit: JointPursuit, trials: Trials, peaks: Peaks, places: Array, worth: Array) -> Array:
    """‖u‖² of what scatterers leave, (T, L, H), of users at places (T, L, H, 3), the estimate's first.

    As at the estimate where another place is not worth it.
    """
    xp = pursuit.xp

    def outside(some: Trials, basis: Array, share: Array, here: Array) -> Array:
        received = responses(pursuit.problem.surface, some.of_group(some.beams), here)
        left = left_by_scatterers(xp, received, basis, share)
        return xp.maximum(xp.sum(power(left), axis=-1), pursuit.least_new * xp.sum(power(received), axis=-1))

    own = outside(trials, peaks.basis, peaks.share, places[:, :, 0, :])
    found = own[..., None] + xp.zeros(worth.shape)
    for user in range(places.shape[1]):
        (index,) = xp.nonzero(xp.any(worth[:, user, 1:], axis=-1))
        if index.shape[0]:
            others = outside(trials.take(index), peaks.basis[index], peaks.share[index], places[index, user, 1:])
            found[index, user, 1:] = xp.where(worth[index, user, 1:], others, found[index, user, 1:])
    return found


def _rest(pursuit: JointPursuit, peaks: Peaks, here: Array, noise: Array, height: Array) -> tuple[Array, Array, Array]:
    """Of the grid away from the estimate and every peak that was fitted: nats, |g| and S in the mean, (T, L) each."""
    xp = pursuit.xp
    cells = peaks.scores / noise[..., None] - height[..., None]
    cells = xp.where(cells > NOTHING_NATS, cells, xp.full_like(cells, -np.inf))
    for i in range(-1, N_PEAKS):
        (trial, user) = xp.nonzero(xp.any(cells > NOTHING_NATS, axis=-1))
        if not trial.shape[0]:
            break
        place = here[trial, user] if i < 0 else peaks.places[trial, user, i]
        near = pursuit.unresolved(pursuit.all_places, place[:, None, :])
        cells[trial, user] = xp.where(near, xp.full_like(cells[trial, user], -np.inf), cells[trial, user])
    nats, amplitude, sharpness = xp.full_like(height, -np.inf), xp.ones_like(height), xp.ones_like(height)
    (trial, user) = xp.nonzero(xp.any(cells > NOTHING_NATS, axis=-1))
    if trial.shape[0]:
        outside = peaks.outside[trial] / noise[trial]
        mass = xp.exp(cells[trial, user]) * prior_mass.of_cells(pursuit) / outside
        total = xp.sum(mass, axis=-1)
        some, ones = total > 0, xp.ones_like(total)  # or all of them lie at ranges of which the prior has nothing
        total = xp.where(some, total, ones)
        explained = xp.sum(mass * peaks.scores[trial, user], axis=-1) / noise[trial, 0] / total
        here_sharp = xp.where(some, xp.sum(mass * outside, axis=-1) / total, ones)
        nats[trial, user] = xp.where(some, xp.log(total), xp.full_like(total, -np.inf))
        amplitude[trial, user], sharpness[trial, user] = xp.sqrt(explained / here_sharp), here_sharp
    return nats, amplitude, sharpness


def _refitted(pursuit: JointPursuit, trials: Trials, paths: Paths, peaks: Peaks, behind: Array) -> Array:
    """How far each peak is behind the estimate once the scatterers are fitted to it as well, in nats, (T, L, H).

    Also with the scatterer that is nearest to the peak put where the user was: one may stand for the other.
    """
    xp, n_users = pursuit.xp, pursuit.problem.n_users
    now = pursuit.cost(trials, paths)
    trial, user, rank = xp.nonzero(behind < REFITTED_NATS)
    if not trial.shape[0] or not pursuit.problem.n_scatterers:
        return behind
    some, mine = trials.take(trial), paths.take(trial)
    place, was = peaks.places[trial, user, rank], mine.places[xp.arange(trial.shape[0]), user]
    moved = put(mine.places, (xp.arange(trial.shape[0]), user), place)
    least = behind[trial, user, rank]
    near = pursuit.unresolved(mine.places, place[:, None, :])
    near = near & (xp.arange(mine.places.shape[1])[None, :] >= n_users)
    exchanged = xp.where(near[..., None], was[:, None, :], moved)
    for start in (moved, exchanged):
        fit = pursuit.refined(some, mine._replace(places=start))
        after = (pursuit.cost(some, fit) - now[trial]) / some.noise_variance
        # A fit that went back to where the user was is no rival.
        back = pursuit.unresolved(fit.places[xp.arange(trial.shape[0]), user], was)
        after = xp.where(back, xp.full_like(after, np.inf), after)
        least = xp.minimum(least, after)
    behind[trial, user, rank] = least
    return behind
