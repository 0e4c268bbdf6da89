"""How strong a user's direct path may be: what the other users' gains say of it.

A gain of which nothing is known makes a wave as likely to be weak as strong, and a weak one may be anywhere in the
noise: where the highest peak is low, the next ones count as much as their heights say. Users that are about alike say
more: a place at which a user would be half as strong as all others is not its own. Left out, the probabilities of being
lost are too high: of a user at 0 to 5 dB by 1.2 to 1.6, as sums over all places in view say with its gain told and not
(docs/evidence/cycles-before-lock.json).

Here moduli are lognormal, ln|g| ~ N(ln a, τ²), phases uniform. a and τ are unknown and summed over, a with the density
that makes one user's gain anything, τ on points in equal steps of its logarithm up to the spread that ranges in view
give to gains that fall as 1/r. So users that differ are as free as they differ, and one user alone is entirely.

Who is told |g| (`PathProblem.direct_power`) knows more than that: for one user alone, of two thirds as many losses.
"""

import math
from typing import Any

from engine.estimators.paths.trials import put
from engine.numerics.candidates import FieldOfView

Array = Any

N_LEVELS = 64
N_SPREADS = 6
"""The least is 1/32 of the view's: below what noise leaves of gains where anybody is lost."""
BEYOND = 1.0
"""Nats of amplitude beyond the weakest and the strongest that any peak of a user's may be"""
NOTHING_NATS = -25.0
"""What is lower than the highest by more is nothing."""
WEAKEST = 1e-6
"""Of the strongest: a gain that is less, or none, is that."""
LEAST = 1e-300


def greatest_spread(view: FieldOfView) -> float:
    """Deviation of ln|g| of gains that fall as 1/r, all magnitudes of the range in view being as frequent."""
    return math.log(view.range_max_m / view.range_min_m) / math.sqrt(12)


def with_others_strengths(xp: Any, nats: Array, amplitude: Array, sharpness: Array, spread: float) -> Array:
    """Of each user's J possible places the log probability, (T, L, J), up to a constant for each user.

    nats (T, L, J): with gains that are anything, −∞ where there is no such place. amplitude, sharpness (T, L, J): |g|
    there, and S, so that its likelihood is exp(−S(a − |g|)²). spread: the greatest deviation of ln|g| among users.
    """
    counts = nats > xp.max(nats, axis=-1, keepdims=True) + NOTHING_NATS
    (index,) = xp.nonzero(xp.any(xp.sum(xp.astype(counts, xp.int64), axis=-1) > 1, axis=-1))
    if nats.shape[1] == 1 or not index.shape[0]:
        return nats
    return put(nats, index, _weighed(xp, nats[index], counts[index], amplitude[index], sharpness[index], spread))


def with_told_strength(xp: Any, nats: Array, amplitude: Array, sharpness: Array, strength: float) -> Array:
    """The same of users whose |g| is known; of each alone, as the others' gains say nothing more.

    With a gain that is anything ∫ exp(2 Re g*z − S|g|²) d²g = π/S exp(S|ĝ|²); with |g| = a, in the mean over the phase,
    exp(−S a²) I₀(2 a S|ĝ|).
    """
    known = _log_bessel(xp, 2 * strength * sharpness * amplitude)
    return nats + (known - sharpness * (strength**2 + amplitude**2) + xp.log(sharpness))


def _log_bessel(xp: Any, x: Array) -> Array:
    """ln I₀(x) of x ≥ 0 to 6e-3; the namespaces have no Bessel functions.

    Olivares, Martin, Valero, "A simple approximation for the modified Bessel function of zero order", J. Phys. Conf.
    Ser. 1043, 2018: cosh(x) (1 + 0.24273 x²)/((1 + x²/4)^(1/4) (1 + 0.43023 x²)).
    """
    cosh = x + xp.log1p(xp.exp(-2 * x)) - math.log(2)
    squared = x * x
    return cosh - xp.log1p(squared / 4) / 4 + xp.log1p(0.24273 * squared) - xp.log1p(0.43023 * squared)


def _weighed(xp: Any, nats: Array, counts: Array, amplitude: Array, sharpness: Array, spread: float) -> Array:
    ones, infinite = xp.ones_like(nats), xp.full_like(nats, math.inf)
    weakest = WEAKEST * xp.max(amplitude, axis=(-2, -1), keepdims=True)
    amplitude = xp.maximum(amplitude, xp.where(weakest > 0, weakest, xp.ones_like(weakest)))
    amplitude, sharpness = xp.where(counts, amplitude, ones), xp.where(counts, sharpness, ones)
    low = xp.log(xp.min(xp.where(counts, amplitude, infinite), axis=(-2, -1))) - BEYOND
    high = xp.log(xp.max(xp.where(counts, amplitude, -infinite), axis=(-2, -1))) + BEYOND
    step = ((high - low) / (N_LEVELS - 1))[:, None]
    level = low[:, None] + xp.arange(N_LEVELS) * step  # (T, G)
    given = _given_levels(xp, level, amplitude, sharpness, step)
    given = xp.where(counts[..., None], given, xp.zeros_like(given))  # (T, L, J, G)
    mass = xp.where(counts, xp.exp(nats - xp.max(nats, axis=-1, keepdims=True)), xp.zeros_like(nats))
    alike = _alike(xp, level, spread)  # (T, H G, G)
    of_user = xp.sum(mass[..., None] * given, axis=-2) @ xp.matrix_transpose(alike)
    of_user = xp.log(xp.maximum(of_user, xp.full_like(of_user, LEAST)))
    others = xp.sum(of_user, axis=1, keepdims=True) - of_user + _prior(xp, level, spread)[:, None, :]
    density = xp.exp(others - xp.max(others, axis=-1, keepdims=True)) @ alike  # (T, L, G)
    found = xp.maximum(xp.sum(given * density[:, :, None, :], axis=-1), xp.full_like(nats, LEAST))
    never = xp.where(xp.isnan(nats), nats, -infinite)
    return xp.where(counts, nats + xp.log(found), never)


def _given_levels(xp: Any, level: Array, amplitude: Array, sharpness: Array, step: Array) -> Array:
    """Likelihood of the levels (T, G) of ln|g|, integrated over the phase; one in the sum over an area of gains."""
    level, amplitude = level[:, None, None, :], amplitude[..., None]
    # No sharper than the levels are apart.
    sharpness = xp.minimum(sharpness[..., None], 0.5 / (step[:, None, None] * amplitude) ** 2)
    given = xp.exp(-sharpness * (xp.exp(level) - amplitude) ** 2 - level / 2)
    return given / xp.sum(given * xp.exp(2 * level), axis=-1, keepdims=True)


def _alike(xp: Any, level: Array, spread: float) -> Array:
    """How ln|g| lies about ln a, each of the levels in turn, for each of the deviations: (T, H G, G)."""
    away = level[:, :, None] - level[:, None, :]
    alike = xp.concat([xp.exp(-((away / (spread / 2**i)) ** 2) / 2) for i in range(N_SPREADS)], axis=1)
    return alike / xp.sum(alike, axis=-1, keepdims=True)


def _prior(xp: Any, level: Array, spread: float) -> Array:
    """ln of a² e^(−2τ²), (T, H G): with it the gain of one user alone has the same density everywhere."""
    return xp.concat([2 * level - 2 * (spread / 2**i) ** 2 for i in range(N_SPREADS)], axis=1)
