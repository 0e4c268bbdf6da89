"""How probable samples make an explanation: its likelihood with what nobody knows left open, not fitted.

The likelihood of the best gains is no measure of an explanation whose gains nothing binds. At 0 dB scatterers at −10 dB
are below the noise; fitted all the same, one takes a user's own wave upon itself, at a gain of 1.2 where 0.3 is usual,
and the user is free to fit the noise elsewhere: of 256 trials at 0 dB, in all 52 in which such a search lost users the
truth was less likely than what was found. More searching loses more (`before`, docs/evidence/cycles-before-lock.json).

Here gains of scattered paths are CN(0, v), independent from path to path and user to user, those of direct paths are
anything; κ, θ, φ of a scatterer are uniform on the grid. A scatterer that is not found is noise: power v ‖w‖² in every
sample. Then, of L users, C cycles and the k scatterers found of K, up to what all explanations have in common,

    ln p(v, K) = −Σ_l [‖P_l y_l‖²/s² + (C − 1) ln s² + ln ‖u_l‖² + Σ_i (ln(1 + ρ λ_li) − ρ/(1 + ρ λ_li) |b_li|²/s²)]
                 + ln K!/(K − k)! − k ln n − L ln m

where s² = σ² + (K − k) v ‖w‖², ρ = v/s², P_l takes out what the beams receive from user l, u_l; λ_li are eigenvalues of
SᴴP_l S, S (C, k) what they receive from the scatterers, b_li the parts of SᴴP_l y_l along its eigenvectors. K!/(K − k)!
counts which scatterers are those found, and n and m how many of a scatterer's and of a user's peaks the grid has room
for (Laplace's method).

What is unknown is summed over, anew for each explanation: v on points in equal steps of its logarithm; K from k to the
most, one more being as probable as false alarms are allowed to be, so that Markov's inequality bounds their rate; σ² in
closed form, its prior 1/σ². (Estimated once, from what users' own waves left, v was wrong wherever a user was, and the
search then took a lost user for scatter: in 3 of 1200 trials, by 36 to 202 nats.)
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from engine.estimators.paths.problem import PathProblem
from engine.estimators.paths.trials import Rows, Trials, power

Array = Any

N_POWERS = 24
LEAST_POWER = 0.1
"""Of the noise's variance over √(L C), which is how well L C samples show it: scattered power from here on."""
ROUNDING = 1e-12
RATIOS = 0.01, 1e5
"""Scattered power over the noise's, where that is not told."""


class Evidence(NamedTuple):
    """Of T explanations."""

    nats: Array
    """ln p, (T,)"""
    noise: Array
    """mean of s², (T,)"""
    unseen: Array
    """of that, what scatterers bring that are not found, (T,)"""
    ridge: Array
    """mean of s² over E|γ|², the variance of a scattered gain, (T,); 0 where no scatterer is found"""


def log_evidence(
    problem: PathProblem,
    trials: Trials,
    received: Array,
    count: Array,
    rooms: Callable[[Array], Array],
    false_alarm: float | None = None,
    noise_known: bool = True,
) -> Evidence:
    """Of L users and the first `count` (T,) scatterers, of which the beams receive (T, L + K, C) at gain one.

    rooms: n of peaks so many nats high. false_alarm: of one scatterer more, their number not being told.
    """
    xp, n_users, most = array_namespace(received), problem.n_users, problem.n_scatterers
    n_cycles = trials.samples.shape[-1]
    assert trials.powers is not None
    assert trials.received is not None
    own, left, values, onto = _spectra(trials, received, count)
    numbers = xp.arange(0 if false_alarm is not None else most, most + 1)
    missing = xp.astype(numbers[None, :] - count[:, None], xp.float64)[..., None]  # (T, H, 1)
    some_missing = xp.maximum(missing, xp.zeros_like(missing))
    powers = trials.powers[:, None, :]
    if noise_known:
        noise = trials.noise_variance[:, None, None] + some_missing * powers  # (T, H, V)
        ratio = powers / noise
    else:
        noise, ratio = xp.ones_like(some_missing * powers), xp.broadcast_to(powers, (some_missing * powers).shape)
    scale = (ratio / trials.received[:, None, None])[:, None, :, :, None]
    grown = 1 + scale * values[:, :, None, None, :]
    energy = xp.sum(left, axis=-1)[:, None, None] - xp.sum(onto[:, :, None, None, :] * scale / grown, axis=(1, -1))
    explained = xp.mean(xp.sum(power(trials.samples), axis=-1) - left, axis=-1)[:, None, None]
    found = xp.astype(count, xp.float64)[:, None, None]
    freedom = n_users * (n_cycles - 1)
    if noise_known:
        nats = -energy / noise - freedom * xp.log(noise) - n_users * xp.log(rooms(explained / noise))
    else:  # a user's peak is as wide as s³: 3/2 of freedom each, which the integral over s² has to know
        freedom -= 1.5 * n_users
        noise = energy / freedom
        nats = -freedom * xp.log(energy) - n_users * xp.log(rooms(explained / noise) * noise**1.5)
        noise = energy / xp.maximum(freedom - 1.5 * found - 1, xp.ones_like(found))
    nats = nats - xp.sum(xp.log(grown), axis=(1, -1)) - xp.sum(xp.log(own), axis=-1)[:, None, None]
    nats = nats - found * xp.log(rooms(n_users * n_cycles * ratio))
    nats = nats + _ways(xp, numbers, count, false_alarm)[..., None]
    possible = (missing >= 0) & (noise_known | (some_missing * ratio < 1))
    nats = xp.where(possible, nats, xp.full_like(nats, -xp.inf))
    highest = xp.max(nats, axis=(-2, -1), keepdims=True)
    weight = xp.exp(nats - highest)
    total = xp.sum(weight, axis=(-2, -1))
    unseen = xp.where(possible, some_missing * ratio * noise, xp.zeros_like(noise))
    mean = [xp.sum(weight * part, axis=(-2, -1)) / total for part in (noise, unseen, 1 / scale[:, 0, ..., 0])]
    ridge = xp.where(count > 0, mean[2], xp.zeros_like(total))
    return Evidence(highest[:, 0, 0] + xp.log(total), mean[0], mean[1], ridge)


def with_powers(problem: PathProblem, trials: Trials, rows: Rows, *, told: bool, noise_known: bool) -> Trials:
    """Trials with the powers of a scattered path that are summed over, in a sample or, σ² unknown, over s².

    And with σ² above what rounding leaves of the samples' energy: a ratio of 120 dB is the highest that is told.
    """
    xp, (_, n_users, n_cycles) = array_namespace(trials.samples), trials.samples.shape
    rounding = ROUNDING * xp.mean(power(trials.samples), axis=(-2, -1))
    trials = trials._replace(noise_variance=xp.maximum(trials.noise_variance, rounding))
    received = trials.of_group(xp.mean(rows.energy, axis=-1)) / n_cycles
    if told:
        assert problem.scattered_power is not None
        least = LEAST_POWER / math.sqrt(n_users * n_cycles) * trials.noise_variance
        powers = xp.maximum(problem.scattered_power * received, least)[:, None]
        return trials._replace(powers=powers, received=received)
    if noise_known:
        low = LEAST_POWER / math.sqrt(n_users * n_cycles) * trials.noise_variance
        high = xp.maximum(xp.mean(power(trials.samples), axis=(-2, -1)), 2 * low)
    else:
        low, high = (xp.full_like(received, end) for end in RATIOS)
    steps = xp.arange(N_POWERS) / (N_POWERS - 1)
    return trials._replace(powers=low[:, None] * (high / low)[:, None] ** steps, received=received)


def _spectra(trials: Trials, received: Array, count: Array) -> tuple[Array, Array, Array, Array]:
    """‖u_l‖² and ‖P_l y_l‖² (T, L), λ_li and |b_li|² (T, L, K); zero of scatterers that are not there."""
    xp, n_users = array_namespace(received), trials.samples.shape[1]
    there = xp.arange(received.shape[1])[None, :] < n_users + count[:, None]
    received = xp.where(there[..., None], received, xp.zeros_like(received))
    users, scatterers = received[:, :n_users, :], received[:, n_users:, :]
    own = xp.sum(power(users), axis=-1)
    unit = users / xp.sqrt(own)[..., None]
    onto_own = xp.vecdot(unit, trials.samples)
    left = xp.sum(power(trials.samples), axis=-1) - power(onto_own)
    back = xp.conj(scatterers)
    common = unit @ xp.matrix_transpose(back)  # Sᴴu, (T, L, K)
    gram = back @ xp.matrix_transpose(scatterers)  # SᴴS, (T, K, K)
    gram = gram[:, None, :, :] - common[..., :, None] * xp.conj(common)[..., None, :]
    parts = trials.samples @ xp.matrix_transpose(back) - common * onto_own[..., None]
    values, vectors = xp.linalg.eigh(gram)
    onto = power((xp.conj(xp.matrix_transpose(vectors)) @ parts[..., None])[..., 0])
    return own, left, xp.maximum(values, xp.zeros_like(values)), onto


def _ways(xp: Any, numbers: Array, count: Array, false_alarm: float | None) -> Array:
    """ln K!/(K − k)! of which scatterers those found are, and of their number, (T, H)."""
    factorials = xp.asarray([math.lgamma(n + 1) for n in range(int(numbers[-1]) + 1)])
    missing = numbers[None, :] - count[:, None]
    ways = factorials[numbers][None, :] - factorials[xp.maximum(missing, xp.zeros_like(missing))]
    if false_alarm is None:
        return ways
    return ways + math.log(false_alarm) * xp.astype(numbers, xp.float64)[None, :]
