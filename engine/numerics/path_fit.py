"""The joint fit of all paths of all users: nonlinear least squares by variable projection.

min Σ_l ‖y_l − B_l(places) γ_l‖² over the places (κ, θ, φ) of L users' and K common scatterers' paths, the gains γ_l
being those of `engine.numerics.path_projection`; what that has not is Levenberg's and Marquardt's method with
Kaufman's Jacobian J = −P⊥ ∂B γ̂ (L. Kaufman, "A variable projection method for solving separable nonlinear least
squares problems", BIT 15, 1975). Maximum likelihood in white Gaussian noise, when started near enough.

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
    """complex (T, L, 1 + K): each user's own path, then the scatterers'"""
    energy: Array
    """‖residual‖² of each user, (T, L)"""
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
    tolerance: float = 1e-6,
    most_steps: int = 50,
) -> PathFit:
    """The places from `start` (T, L + K, 3), within bounds (2, 3): lowest and highest κ, θ, φ.

    Trial t saw samples[t] (L, C) through beams[group[t]] (C, N). It ends before a step that is to take less than
    `tolerance` of the residual's energy off, after `most_steps`, or when no step helps.
    """
    xp = array_namespace(beams, group, samples, start, bounds)
    if is_numpy_namespace(xp):
        settings = (tolerance, most_steps, FIRST_DAMPING, LOWEST_DAMPING, HIGHEST_DAMPING, EASIER, HARDER)
        from engine.numerics.path_fit_cpu import fit_on_cpu  # numba takes a while to import, and a GPU needs none

        return PathFit(*fit_on_cpu(array, beams, group, samples, start, bounds, settings))
    return _fit_arrays(array, beams, group, samples, start, bounds, tolerance, most_steps)


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
    damping: Array
    steps: Array


def _fit_arrays(
    array: UniformPlanarArray,
    beams: Array,
    group: Array,
    samples: Array,
    start: Array,
    bounds: Array,
    tolerance: float,
    most_steps: int,
) -> PathFit:
    xp = array_namespace(beams, group, samples, start, bounds)
    n_trials = start.shape[0]
    places = xp.clip(start, bounds[0, :], bounds[1, :])
    own_beams = xp.take(beams, group, axis=0)
    linearised = _linearised(array, own_beams, samples, places)
    damping = xp.full((n_trials,), FIRST_DAMPING, dtype=places.dtype)
    trial = xp.arange(n_trials)
    state = _State(trial, own_beams, samples, places, *linearised, damping, xp.zeros_like(trial))
    finished: list[tuple[Array, PathFit]] = []
    while state.trial.shape[0]:
        step, decrease = _damped_step(state, bounds)
        total = xp.sum(state.energy, axis=-1)
        # ~(a > b), not a <= b: a trial that is not a number ends here.
        done = ~(decrease > tolerance * total) | (state.steps >= most_steps) | (state.damping > HIGHEST_DAMPING)
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
    found = _linearised(array, state.beams, state.samples, places)
    better = xp.sum(found[1], axis=-1) < xp.sum(state.energy, axis=-1)

    def kept(new: Array, old: Array) -> Array:
        return xp.where(xp.reshape(better, (-1,) + (1,) * (old.ndim - 1)), new, old)

    old = state.gain, state.energy, state.gradient, state.normal, state.received
    gain, energy, gradient, normal, received = (kept(*pair) for pair in zip(found, old, strict=True))
    lower = xp.clip(state.damping * EASIER, LOWEST_DAMPING, None)
    return state._replace(
        places=kept(places, state.places),
        gain=gain,
        energy=energy,
        gradient=gradient,
        normal=normal,
        received=received,
        damping=xp.where(better, lower, state.damping * HARDER),
        steps=state.steps + 1,
    )


def _linearised(
    array: UniformPlanarArray, beams: Array, samples: Array, places: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Gains (T, L, 1 + K), energies (T, L), half their sum's gradient (T, 3P), JᴴJ (T, 3P, 3P), received (T, P, C)."""
    xp = array_namespace(beams, samples, places)
    n_trials, n_paths = places.shape[:2]
    front = wavefront(array, places[..., 0], places[..., 1], places[..., 2])
    received = [xp.matmul(part, xp.matrix_transpose(beams)) for part in front]
    fit = project(received[0], samples)
    slopes = xp.stack(received[1:], axis=2)  # (T, P, 3, C)
    gradient = xp.zeros((n_trials, 3 * n_paths), dtype=places.dtype)
    normal = xp.zeros((n_trials, 3 * n_paths, 3 * n_paths), dtype=places.dtype)
    for user in range(samples.shape[1]):
        jacobian = _jacobian(fit, slopes, user)
        adjoint = xp.conj(jacobian)
        gradient = gradient + xp.real(xp.matmul(adjoint, fit.residual[:, user, :, None]))[..., 0]
        normal = normal + xp.real(xp.matmul(adjoint, xp.matrix_transpose(jacobian)))
    return fit.gain, fit.energy, gradient, normal, received[0]


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
