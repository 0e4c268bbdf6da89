"""Plane waves of a signal moved downhill: their gains for given places, and both together.

f = ½‖y − Σ_i c_i φ(u_i)‖² + τ Σ_i |c_i|, φ(u) = W a(u), as `engine.numerics.atomic_norm` has it. Everything here is of
T signals side by side, each with the beams W that it was seen through; u = (u_y, u_z), n atoms a signal.
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformPlanarArray

Array = Any

NOWHERE = 2.0
"""Direction cosine of an atom that has not been placed."""
_STEPS = 8
_ENOUGH = 1e-6
"""Of f: a signal that falls by less in a step has arrived."""


class Atoms(NamedTuple):
    """Plane waves of a decomposition; unused ones have no gain. (..., n) each."""

    u_y: Array
    u_z: Array
    gain: Array


class Signals(NamedTuple):
    """T signals, and what each was seen through."""

    array: UniformPlanarArray
    beams: Array
    """W, complex (T, C, N)"""
    samples: Array
    """y, complex (T, C)"""
    penalty: Array
    """τ, (T,)"""


class _Seen(NamedTuple):
    """φ of every atom and its derivatives, complex (T, C, n)."""

    value: Array
    by_y: Array
    by_z: Array


def plane(array: UniformPlanarArray, u_y: Array, u_z: Array) -> Array:
    """e^{jk u·p}, Eq. (8) of Cao et al., (...) → complex (..., N): a product of a function of y and one of z."""
    xp = array_namespace(u_y)
    factors = []
    for n, u in ((array.n_y, u_y), (array.n_z, u_z)):
        steps = (xp.arange(n, dtype=xp.float64) - (n - 1) / 2) * array.spacing_m
        phase = array.wavenumber_rad_per_m * u[..., None] * steps
        factors.append(xp.cos(phase) + 1j * xp.sin(phase))
    return xp.reshape(factors[0][..., :, None] * factors[1][..., None, :], (*u_y.shape, array.n_elements))


def rest_of(signals: Signals, atoms: Atoms) -> Array:
    """y − Σ c φ, complex (T, C)."""
    return _rest(signals, values(signals, atoms.u_y, atoms.u_z), atoms)


def value_of(signals: Signals, rest: Array, atoms: Atoms) -> Array:
    """f, (T,)."""
    xp = array_namespace(rest)
    return 0.5 * xp.sum(_power(rest), axis=-1) + signals.penalty * xp.sum(xp.abs(atoms.gain), axis=-1)


def lasso(signals: Signals, atoms: Atoms, sweeps: int) -> Array:
    """Gains that minimise f for given places, by cyclic coordinate descent on the Gram matrix of the atoms, (T, n)."""
    xp = array_namespace(signals.samples)
    phi = values(signals, atoms.u_y, atoms.u_z)
    adjoint = xp.matrix_transpose(xp.conj(phi))
    gram, towards = adjoint @ phi, (adjoint @ signals.samples[..., None])[..., 0]
    placed = atoms.u_y != NOWHERE
    slots = xp.arange(placed.shape[-1])
    gains = atoms.gain
    used = [i for i in range(placed.shape[-1]) if bool(xp.any(placed[:, i]))]
    for _ in range(sweeps):
        for i in used:
            own = xp.real(gram[:, i, i])
            target = towards[:, i] - xp.sum(gram[:, i, :] * gains, axis=-1) + own * gains[:, i]
            size = xp.abs(target)
            over = size > signals.penalty
            shrunk = xp.where(over, (1 - signals.penalty / xp.where(over, size, 1.0)) / own, 0.0)
            gains = xp.where((slots == i) & placed, (target * shrunk)[:, None], gains)
    return gains


def descended(signals: Signals, atoms: Atoms) -> Atoms:
    """Levenberg-Marquardt on all places and gains, the latter as size and phase, in which the penalty is linear.

    Atoms without a gain stay where they are.
    """
    xp = array_namespace(signals.samples)
    damping = xp.full_like(signals.penalty, 1e-2)
    seen = _seen(signals, atoms)
    rest = _rest(signals, seen.value, atoms)
    value = value_of(signals, rest, atoms)
    arrived = xp.zeros(value.shape, dtype=xp.bool)
    for _ in range(_STEPS):
        trial = _moved(atoms, _step(signals, atoms, seen, rest, damping))
        found = _seen(signals, trial)
        left = _rest(signals, found.value, trial)
        reached = value_of(signals, left, trial)
        better = (reached < value) & ~arrived
        atoms = Atoms(*(xp.where(better[:, None], new, old) for new, old in zip(trial, atoms, strict=True)))
        seen = _Seen(*(xp.where(better[:, None, None], new, old) for new, old in zip(found, seen, strict=True)))
        rest = xp.where(better[:, None], left, rest)
        arrived = arrived | (better & (value - reached < _ENOUGH * value)) | (damping > 1e6)
        value = xp.where(better, reached, value)
        damping = xp.where(better, xp.maximum(damping / 5, xp.full_like(damping, 1e-6)), damping * 5)
        if bool(xp.all(arrived)):
            break
    return atoms


def values(signals: Signals, u_y: Array, u_z: Array) -> Array:
    """φ = W a of waves at u, (T, n), complex (T, C, n)."""
    xp = array_namespace(signals.samples)
    array = signals.array
    n_signals, n_cycles, _ = signals.beams.shape
    (along_y, _), (along_z, _) = (_side(xp, array, n, u) for n, u in ((array.n_y, u_y), (array.n_z, u_z)))
    rows = xp.reshape(signals.beams, (n_signals, n_cycles * array.n_y, array.n_z)) @ along_z
    columns = xp.reshape(rows, (n_signals, n_cycles, array.n_y, u_y.shape[-1]))
    return xp.sum(columns * along_y[:, None, ...], axis=2)


def _seen(signals: Signals, atoms: Atoms) -> _Seen:
    """φ = W a and by u_y and u_z, side by side of the array: first what each column of elements along z brings."""
    xp = array_namespace(signals.samples)
    array = signals.array
    n_signals, n_cycles, _ = signals.beams.shape
    (along_y, slope_y), (along_z, slope_z) = (
        _side(xp, array, n, u) for n, u in ((array.n_y, atoms.u_y), (array.n_z, atoms.u_z))
    )
    rows = xp.reshape(signals.beams, (n_signals, n_cycles * array.n_y, array.n_z))
    shape = (n_signals, n_cycles, array.n_y, atoms.u_y.shape[-1])
    columns, turned = (xp.reshape(rows @ part, shape) for part in (along_z, slope_z))
    along_y, slope_y = along_y[:, None, ...], slope_y[:, None, ...]
    return _Seen(xp.sum(columns * along_y, axis=2), xp.sum(columns * slope_y, axis=2), xp.sum(turned * along_y, axis=2))


def _side(xp: Any, array: UniformPlanarArray, n: int, u: Array) -> tuple[Array, Array]:
    """e^{jk u p} of the n elements along one side and its derivative by u, complex (T, n, n_atoms)."""
    turns = array.wavenumber_rad_per_m * (xp.arange(n, dtype=xp.float64) - (n - 1) / 2) * array.spacing_m
    phase = turns[:, None] * u[:, None, :]
    value = xp.cos(phase) + 1j * xp.sin(phase)
    return value, 1j * turns[:, None] * value


def _rest(signals: Signals, phi: Array, atoms: Atoms) -> Array:
    return signals.samples - (phi @ atoms.gain[..., None])[..., 0]


def _power(values: Array) -> Array:
    xp = array_namespace(values)
    return xp.real(values) ** 2 + xp.imag(values) ** 2


def _step(signals: Signals, atoms: Atoms, seen: _Seen, rest: Array, damping: Array) -> Array:
    """A step of u_y, u_z, ρ and ρα of each c = ρ e^{jα}, (T, 4n); unused atoms stay.

    To Gauss and Newton's matrix JᵀJ comes what the residual bends f by, as where it is least: there a wave's
    correlation with the residual is τ, and falls on all sides by about as much as an array of that size lets it. J has
    2C rows, few beside 4n, so that (JᵀJ + D)⁻¹ = D⁻¹ − D⁻¹Jᵀ(1 + J D⁻¹ Jᵀ)⁻¹J D⁻¹.
    """
    xp = array_namespace(rest)
    size = xp.abs(atoms.gain)
    used = size > 0
    some = xp.where(used, size, 1.0)
    unit = xp.where(used, atoms.gain / some, 0.0)[:, None, :]
    waves = seen.value * unit
    grown = atoms.gain[:, None, :]
    jacobian = xp.concat([seen.by_y * grown, seen.by_z * grown, waves, 1j * waves], axis=-1)
    pull = signals.penalty[:, None] * xp.astype(used, xp.float64)
    none = xp.zeros_like(pull)
    adjoint = xp.matrix_transpose(xp.conj(jacobian))
    slope = xp.concat([none, none, pull, none], axis=-1) - xp.real(adjoint @ rest[..., None])[..., 0]
    array = signals.array
    square = (array.wavenumber_rad_per_m * array.spacing_m) ** 2 / 12
    bend_y, bend_z = (pull * size * (square * (n * n - 1)) for n in (array.n_y, array.n_z))
    bend = xp.concat([bend_y, bend_z, none, pull / some], axis=-1)
    diagonal = bend + damping[:, None] * xp.sum(_power(jacobian), axis=-2)
    inverse = 1 / xp.where(diagonal > 0, diagonal, 1.0)
    rows = xp.concat([xp.real(jacobian), xp.imag(jacobian)], axis=-2)
    shortened = rows * inverse[:, None, :]
    inner = xp.eye(rows.shape[-2]) + shortened @ xp.matrix_transpose(rows)
    straight = inverse * slope
    back = xp.linalg.solve(inner, (rows @ straight[..., None]))
    return (xp.matrix_transpose(shortened) @ back)[..., 0] - straight


def _moved(atoms: Atoms, step: Array) -> Atoms:
    """Places and gains after a step (T, 4n) of u_y, u_z, ρ, ρα; no gain passes through zero."""
    xp = array_namespace(step)
    size = xp.abs(atoms.gain)
    n = size.shape[-1]
    used = size > 0
    some = xp.where(used, size, 1.0)
    ratio = 1 + step[:, 2 * n : 3 * n] / some
    turn = step[:, 3 * n :] / some
    gain = atoms.gain * xp.where(ratio > 0.05, ratio, 0.05) * (xp.cos(turn) + 1j * xp.sin(turn))
    u_y, u_z = atoms.u_y + step[:, :n], atoms.u_z + step[:, n : 2 * n]
    # Noise alone may be fitted best from the edge of what is visible: stop there.
    too_far = xp.where(used, xp.maximum(xp.sqrt(u_y**2 + u_z**2), xp.ones_like(u_y)), 1.0)
    return Atoms(u_y / too_far, u_z / too_far, gain)
