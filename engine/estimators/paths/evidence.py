"""How probable samples make an explanation: its likelihood with the gains of scattered paths left open, not fitted.

The likelihood of the best gains is no measure of an explanation whose gains nothing binds. At 0 dB scatterers at −10 dB
are below the noise; fitted all the same, one takes a user's own wave upon itself, at a gain of 1.2 where 0.3 is usual,
and the user is free to fit the noise elsewhere: of 256 trials at 0 dB, in all 52 in which such a search lost users the
truth was less likely than what was found. More searching loses more (`before`, docs/evidence/cycles-before-lock.json).

Here gains of scattered paths are CN(0, v), independent from path to path and user to user, those of direct paths are
anything; κ, θ, φ of a scatterer are uniform on the grid. A scatterer that is not found is noise: power v ‖w‖² in every
sample. Then, of L users, C cycles and the k scatterers found of K, up to what all explanations have in common,

    ln p = −Σ_l [min_γ (‖y_l − B_l γ‖²/s² + ‖γ_s‖²/v) + ln(‖P u_l‖²/s²)] − L (C ln s² + ln det(I + SᴴS v/s²)) − k ln n

where s² = σ² + (K − k) v ‖w‖², S (C, k) what the beams receive from the scatterers, u_l from the user, P takes out what
the scatterers' columns explain, and n is how many of a scatterer's peaks the grid has room for (Laplace's method).
Explanations with more and fewer scatterers compare, and two of equally many by what their gains would have to be.
"""

from typing import Any

from array_api_compat import array_namespace

from engine.estimators.paths.problem import PathProblem
from engine.estimators.paths.trials import Rows, Trials
from engine.numerics.path_projection import project, responses

Array = Any

LEAST_SHARE = 1e-6
"""Of the noise: what scatterers bring at least; at nothing at all the logarithms would end."""


def log_evidence(
    problem: PathProblem, trials: Trials, places: Array, count: Array, noise: Array, rooms: Array
) -> Array:
    """ln p (nats) of T explanations, (T,): places (T, L + K, 3), the first `count` (T,) scatterers of which are there.

    noise: s² (T,); rooms: n (T,).
    """
    xp, n_users = array_namespace(places, noise), problem.n_users
    n_trials, n_paths, _ = places.shape
    k = n_paths - n_users
    ratio = noise / trials.scattered
    found = xp.arange(k)[None, :] < count[:, None]
    there = xp.concat([xp.ones((n_trials, n_users), dtype=xp.bool), found], axis=1)[..., None]
    received = responses(problem.surface, trials.of_group(trials.beams), xp.where(there, places, xp.zeros_like(places)))
    received = xp.where(there, received, xp.zeros_like(received))
    users, scatterers = received[:, :n_users, :], received[:, n_users:, :]
    # A bound gain is one more sample of each user and scatterer: 0, received at √(s²/v).
    bond = xp.eye(k) * xp.sqrt(ratio)[:, None, None] + 0j
    none = xp.zeros((n_trials, n_users, k), dtype=received.dtype)
    columns = xp.concat([xp.concat([users, none], axis=2), xp.concat([scatterers, bond], axis=2)], axis=1)
    fit = project(columns, xp.concat([trials.samples, none], axis=2))
    inside = columns[:, :n_users, :] @ xp.conj(xp.matrix_transpose(fit.basis))
    outside = _energy(xp, users) - _energy(xp, inside)
    gram = scatterers @ xp.conj(xp.matrix_transpose(scatterers)) / ratio[:, None, None] + xp.eye(k)
    occupied = xp.linalg.slogdet(gram)[1] if k else xp.zeros(n_trials)
    n_cycles = trials.samples.shape[-1]
    of_users = fit.energy / noise[:, None] + xp.log(xp.maximum(outside, 1e-12 * _energy(xp, users)) / noise[:, None])
    common = n_users * (n_cycles * xp.log(noise) + occupied)
    return -xp.sum(of_users, axis=-1) - common - xp.astype(count, xp.float64) * xp.log(rooms)


def with_scattered(problem: PathProblem, trials: Trials, rows: Rows, places: Array, *, told: bool) -> Trials:
    """Trials with v, told or estimated, and what a scatterer brings to a sample.

    Estimated from what the users' own waves, at places (T, L, 3), leave of the samples above the noise.
    """
    xp, n_users, n_scatterers = array_namespace(places), problem.n_users, problem.n_scatterers
    n_cycles = trials.samples.shape[-1]
    mean = trials.of_group(xp.mean(rows.energy, axis=-1)) / n_cycles
    least = LEAST_SHARE * trials.noise_variance
    if told:
        assert problem.scattered_power is not None
        unseen = xp.maximum(problem.scattered_power * mean, least)
    else:
        received = responses(problem.surface, trials.of_group(trials.beams), places)
        left = xp.sum(project(received, trials.samples).energy, axis=-1)
        more = 2 * left / (n_users * max(2 * n_cycles - 5, 1)) - trials.noise_variance
        unseen = xp.maximum(more / max(n_scatterers, 1), least)
    return trials._replace(scattered=unseen / mean, unseen=unseen)


def _energy(xp: Any, vectors: Array) -> Array:
    return xp.sum(xp.real(vectors) ** 2 + xp.imag(vectors) ** 2, axis=-1)
