"""The joint fit of all paths of all users: nonlinear least squares by variable projection.

min Σ_l ‖y_l − B_l(places) γ_l‖² over the places (κ, θ, φ) of L users' and K common scatterers' paths, the gains γ_l
being those of `engine.numerics.path_projection`; what that has not is Levenberg's and Marquardt's method with
Kaufman's Jacobian J = −P⊥ ∂B γ̂ (L. Kaufman, "A variable projection method for solving separable nonlinear least
squares problems", BIT 15, 1975). Maximum likelihood in white Gaussian noise, when started near enough.

Scattered gains may be known to be CN(0, v), in noise of variance s²: with ridge = s²/v and noise = s² the least of

    Σ_l ‖y_l − B_l(places) γ_l‖² + ridge Σ_l ‖scattered γ_l‖² + noise Σ_l ln det A_lᴴA_l

is sought instead, A_l being B_l with √ridge beneath each scatterer's column: −s² ln of the likelihood with scattered
gains integrated out, and direct ones, which are anything. A gain's prior is a sample more, of zero; the determinant's
gradient is Re (A⁺)_j ∂A_j for its column j.

Damping, steps and stop are each trial's own: a trial's result does not depend on the others of its batch, on a CPU bit
for bit. There it is compiled (`engine.numerics.path_fit_cpu`); elsewhere it is the arrays below, its oracle.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_projection import Projection, project
from engine.numerics.wavefront import wavefront

Array = Any

FIRST_DAMPING, LOWEST_DAMPING, HIGHEST_DAMPING = 1e-3, 1e-9, 1e10
EASIER, HARDER = 0.1, 8.0


class PathFit(NamedTuple):
    """P = L + K paths of T trials, users first."""

    places: Array
    """κ (1/m), θ and φ (rad), (T, P, 3)"""
    gain: Array
    """complex (T, L, 1 + K): each user's own path, then the scatterers', by least squares at these places"""
    energy: Array
    """‖residual‖² of each user, (T, L), with these gains"""
    steps: Array
    """tried, (T,)"""
    received: Array
    """what the beams receive from the places at gain one, (T, P, C)"""


def fit_paths(
    array: UniformPlanarArray,
    beams: Array,
    group: Array,
    samples: Array,
    start: Array,
    bounds: Array,
    *,
    ridge: Array | None = None,
    noise: Array | None = None,
    tolerance: float = 1e-6,
    most_steps: int = 50,
) -> PathFit:
    """The places from `start` (T, L + K, 3), within bounds (2, 3): lowest and highest κ, θ, φ.

    Trial t saw samples[t] (L, C) through beams[group[t]] (C, N). It ends before a step that is to take less than
    `tolerance` of the residual's energy off, after `most_steps`, or when no step helps. ridge, noise (T,): what is
    known of scattered gains, see above; 0 where nothing is.
    """
    xp = array_namespace(beams, group, samples, start, bounds)
    none = xp.zeros((start.shape[0],), dtype=start.dtype)
    known = none if ridge is None else ridge, none if noise is None else noise
    if is_numpy_namespace(xp):
        settings = (tolerance, most_steps, FIRST_DAMPING, LOWEST_DAMPING, HIGHEST_DAMPING, EASIER, HARDER)
        from engine.numerics.path_fit_cpu import fit_on_cpu  # numba takes a while to import, and a GPU needs none

        return PathFit(*fit_on_cpu(array, beams, group, samples, start, bounds, *known, settings))
    return _fit_arrays(array, beams, group, samples, start, bounds, tolerance, most_steps, *known)


class _State(NamedTuple):
    """Trials under way: all arrays have them as leading axis."""

    trial: Array
    beams: Array
    samples: Array
    places: Array
    gain: Array
    energy: Array
    gradient: Array
    normal: Array
    received: Array
    total: Array
    """what is minimised"""
    damping: Array
    steps: Array
    ridge: Array
    noise: Array


def _fit_arrays(
    array: UniformPlanarArray,
    beams: Array,
    group: Array,
    samples: Array,
    start: Array,
    bounds: Array,
    tolerance: float,
    most_steps: int,
    ridge: Array,
    noise: Array,
) -> PathFit:
    xp = array_namespace(beams, group, samples, start, bounds)
    n_trials = start.shape[0]
    places = xp.clip(start, bounds[0, :], bounds[1, :])
    own_beams = xp.take(beams, group, axis=0)
    linearised = _linearised(array, own_beams, samples, places, ridge, noise)
    damping = xp.full((n_trials,), FIRST_DAMPING, dtype=places.dtype)
    trial = xp.arange(n_trials)
    state = _State(trial, own_beams, samples, places, *linearised, damping, xp.zeros_like(trial), ridge, noise)
    finished: list[tuple[Array, PathFit]] = []
    while state.trial.shape[0]:
        step, decrease = _damped_step(state, bounds)
        least = xp.sum(state.energy, axis=-1)
        # ~(a > b), not a <= b: a trial that is not a number ends here.
        done = ~(decrease > tolerance * least) | (state.steps >= most_steps) | (state.damping > HIGHEST_DAMPING)
        parts = (state.places, state.gain, state.energy, state.steps, state.received)
        finished.append((state.trial[done], PathFit(*(part[done] for part in parts))))
        state, step = _State(*(part[~done] for part in state)), step[~done]
        if state.trial.shape[0]:
            state = _tried(array, state, step, bounds)
    order = xp.argsort(xp.concat([trial for trial, _ in finished]))
    together = (xp.concat(parts, axis=0) for parts in zip(*(fit for _, fit in finished), strict=True))
    return PathFit(*(xp.take(part, order, axis=0) for part in together))


def _tried(array: UniformPlanarArray, state: _State, step: Array, bounds: Array) -> _State:
    """After one step each, taken where it helps."""
    xp = array_namespace(step)
    places = xp.clip(state.places + xp.reshape(step, state.places.shape), bounds[0, :], bounds[1, :])
    found = _linearised(array, state.beams, state.samples, places, state.ridge, state.noise)
    better = found[-1] < state.total

    def kept(new: Array, old: Array) -> Array:
        return xp.where(xp.reshape(better, (-1,) + (1,) * (old.ndim - 1)), new, old)

    old = state.gain, state.energy, state.gradient, state.normal, state.received, state.total
    gain, energy, gradient, normal, received, total = (kept(*pair) for pair in zip(found, old, strict=True))
    lower = xp.clip(state.damping * EASIER, LOWEST_DAMPING, None)
    return state._replace(
        places=kept(places, state.places),
        gain=gain,
        energy=energy,
        gradient=gradient,
        normal=normal,
        received=received,
        total=total,
        damping=xp.where(better, lower, state.damping * HARDER),
        steps=state.steps + 1,
    )


def _linearised(
    array: UniformPlanarArray, beams: Array, samples: Array, places: Array, ridge: Array, noise: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Gains (T, L, 1 + K), energies (T, L), half of the gradient of what is minimised (T, 3P), JᴴJ (T, 3P, 3P),
    received (T, P, C), and what is minimised (T,)."""
    xp = array_namespace(beams, samples, places)
    n_trials, n_paths = places.shape[:2]
    n_users = samples.shape[1]
    front = wavefront(array, places[..., 0], places[..., 1], places[..., 2])
    received, *slopes = (xp.matmul(part, xp.matrix_transpose(beams)) for part in front)
    rows = xp.concat([received, _prior_rows(ridge, n_users, n_paths, received)], axis=-1)
    slope = xp.stack([_lengthened(part, rows) for part in slopes], axis=2)  # (T, P, 3, C + K)
    fit = project(rows, _lengthened(samples, rows))
    gradient = xp.zeros((n_trials, 3 * n_paths), dtype=places.dtype)
    normal = xp.zeros((n_trials, 3 * n_paths, 3 * n_paths), dtype=places.dtype)
    total = xp.sum(fit.energy, axis=-1)
    for user in range(n_users):
        jacobian = _jacobian(fit, slope, user)
        adjoint = xp.conj(jacobian)
        gradient = gradient + xp.real(xp.matmul(adjoint, fit.residual[:, user, :, None]))[..., 0]
        normal = normal + xp.real(xp.matmul(adjoint, xp.matrix_transpose(jacobian)))
        value, half = _log_determinant(rows, slope, n_users, user, noise > 0)
        total, gradient = total + noise * value, gradient + noise[:, None] * half
    plain = project(received, samples)
    return plain.gain, plain.energy, gradient, normal, received, total


def _prior_rows(ridge: Array, n_users: int, n_paths: int, like: Array) -> Array:
    """√ridge beneath each scatterer's response, (T, P, K)."""
    xp = array_namespace(ridge, like)
    beneath = xp.eye(n_paths, dtype=like.dtype)[:, n_users:]
    return xp.astype(xp.sqrt(ridge), like.dtype)[:, None, None] * beneath


def _lengthened(values: Array, rows: Array) -> Array:
    """With zeros at the end, (..., C) → (..., C + K)."""
    xp = array_namespace(values, rows)
    zeros = xp.zeros((*values.shape[:-1], rows.shape[-1] - values.shape[-1]), dtype=values.dtype)
    return xp.concat([values, zeros], axis=-1)


def _log_determinant(rows: Array, slopes: Array, n_users: int, user: int, asked: Array) -> tuple[Array, Array]:
    """ln det AᴴA of a user's response and the scatterers', (T,), and half of its gradient by the places, (T, 3P).

    Something else where it is not asked for, (T,): A may be singular there.
    """
    xp = array_namespace(rows, slopes)
    n_paths = rows.shape[1]
    columns = [user, *range(n_users, n_paths)]
    conjugate = xp.conj(xp.stack([rows[:, p, :] for p in columns], axis=1))  # Aᴴ
    gram = xp.matmul(conjugate, xp.conj(xp.matrix_transpose(conjugate)))
    gram = xp.where(asked[:, None, None], gram, xp.eye(len(columns), dtype=gram.dtype))
    pseudo = xp.linalg.solve(gram, conjugate)  # A⁺, (T, 1 + K, C + K)
    zero = xp.zeros((rows.shape[0], 3), dtype=xp.real(rows[:1, :1, :1]).dtype)
    half = [zero] * n_paths
    for j, p in enumerate(columns):
        half[p] = xp.real(xp.sum(pseudo[:, j, None, :] * slopes[:, p, :, :], axis=-1))
    return xp.linalg.slogdet(gram)[1], xp.concat(half, axis=-1)


def _jacobian(fit: Projection, slopes: Array, user: int) -> Array:
    """−P⊥ ∂B γ̂ of one user, (T, 3P, C): zero for the other users' paths."""
    xp = array_namespace(slopes)
    n_trials, n_paths, _, n_cycles = slopes.shape
    n_users = fit.own.shape[1]
    gain = xp.zeros((n_trials, n_users), dtype=fit.gain.dtype)
    chosen = xp.asarray(np.arange(n_users) == user)
    gain = xp.where(chosen, fit.gain[:, user, :1], gain)
    gain = xp.concat([gain, fit.gain[:, user, 1:]], axis=1)
    jacobian = xp.reshape(-gain[..., None, None] * slopes, (n_trials, 3 * n_paths, n_cycles))
    basis = xp.concat([fit.basis, fit.own[:, user : user + 1, :]], axis=1)
    inside = xp.matmul(jacobian, xp.conj(xp.matrix_transpose(basis)))
    return jacobian - xp.matmul(inside, basis)


def _damped_step(state: _State, bounds: Array) -> tuple[Array, Array]:
    """The step −(H + λ diag H)⁻¹g of what no bound holds, (T, 3P), and how much it should take off the energy, (T,)."""
    xp = array_namespace(bounds)
    gradient, diagonal = state.gradient, xp.linalg.diagonal(state.normal)
    below = xp.reshape(state.places <= bounds[0, :], gradient.shape) & (gradient > 0)
    above = xp.reshape(state.places >= bounds[1, :], gradient.shape) & (gradient < 0)
    free = (diagonal > 0) & ~below & ~above
    scaled = xp.where(free, diagonal, xp.zeros_like(diagonal)) * state.damping[:, None]
    identity = xp.eye(gradient.shape[1], dtype=gradient.dtype)
    both = free[:, :, None] & free[:, None, :]
    matrix = xp.where(both, state.normal, xp.zeros_like(state.normal))
    matrix = matrix + identity * xp.where(free, scaled, xp.ones_like(scaled))[:, None, :]
    descent = xp.where(free, -gradient, xp.zeros_like(gradient))
    step = xp.linalg.solve(matrix, descent[..., None])[..., 0]
    return step, xp.sum(step * (scaled * step + descent), axis=-1)
