"""Plane waves without a grid: least squares with the atomic norm, by the alternating descent conditional gradient.

min over places u and gains c of f = ½‖y − Σ_i c_i φ(u_i)‖² + τ Σ_i |c_i|, φ(u) = W a(u): the atomic norm of x = Σ c_i
a(u_i) in min_x ½‖y − W x‖² + τ‖x‖_A (Bhaskar, Tang, Recht, "Atomic Norm Denoising with Applications to Line Spectral
Estimation", 2013). Boyd, Schiebinger, Recht ("The Alternating Descent Conditional Gradient Method for Sparse Inverse
Problems", 2017): add the wave that correlates best with the residual, solve for the gains, move everything downhill.
The optimum is where no wave correlates by more than τ, which bounds what is missing (`duality_gap`): that is when to
stop. `engine.numerics.atomic_descent` moves the waves.

The semidefinite program that is usually solved has (N + 1)² unknowns and is of use below N ≈ 100 only.

Symbols: G groups of V signals that share their beams W (C, N); u = (u_y, u_z) direction cosines, |u| < 1; n atoms.
"""

import math
from collections.abc import Iterator
from typing import Any

from array_api_compat import array_namespace

from engine.numerics.atomic_descent import NOWHERE, Atoms, Signals, descended, lasso, plane, rest_of, value_of, values
from engine.numerics.geometry import UniformPlanarArray

Array = Any

_ADDED, _FEW_SWEEPS, _SWEEPS = 4, 4, 20
"""Atoms a round; sweeps over the gains after each of them, and at the end of a round."""
_MISSED = 0.08
"""Of a peak's height, times the squared oversampling of the raster: what may be missed (0.004 at 4 seen)."""
_STALLED = 1e-5
"""Of f: a signal that falls by less in a round stays where it is."""
_SIZE = 8
"""Places for atoms come by so many: signals with few of them are the quicker."""


def decompose(
    array: UniformPlanarArray,
    beams: Array,
    samples: Array,
    penalty: Array,
    *,
    n_atoms: int | None = None,
    tolerance: float = 1e-2,
    rounds: int = 40,
) -> Atoms:
    """Solve for each signal: beams W complex (G, C, N), samples y complex (G, V, C), penalty τ (G, V).

    n_atoms: the most atoms at a time; None: 2C, as many as a signal of C samples can need (Carathéodory). tolerance:
    stop where f is proved to lie within this share of its minimum, by `duality_gap`; or after so many `rounds`, each of
    some atoms added and all moved, or where that brings nothing. A signal's result does not depend on the others.
    """
    xp = array_namespace(beams)
    n_groups, n_signals, n_cycles = samples.shape
    total = n_groups * n_signals
    group = xp.arange(total) // n_signals
    y, tau = xp.reshape(samples, (total, n_cycles)), xp.reshape(penalty, (total,))
    shape = (total, 2 * n_cycles if n_atoms is None else n_atoms)
    nowhere = xp.full(shape, NOWHERE)
    atoms = Atoms(nowhere, nowhere, xp.zeros(shape, dtype=xp.complex128))
    left, order, finished, before = xp.arange(total), [], [], xp.full((total,), math.inf)
    for turn in range(rounds):
        kept, again, reached = [], [], []
        for some, size in _by_size(atoms, xp):
            index = left[some]
            signals = Signals(
                array, xp.take(beams, xp.take(group, index), axis=0), xp.take(y, index, axis=0), xp.take(tau, index)
            )
            moved = _round(signals, _packed(Atoms(*(field[some, :] for field in atoms)), size))
            gap, value = _gap(signals, moved)
            moved = _packed(moved, shape[1])
            stalled = before[some] - value < _STALLED * value  # no more places, as a rule
            done = (gap <= tolerance * value) | stalled | (turn == rounds - 1)
            order.append(index[done])
            finished.append(Atoms(*(field[done, :] for field in moved)))
            again.append(index[~done])
            reached.append(value[~done])
            kept.append(Atoms(*(field[~done, :] for field in moved)))
        left, before = xp.concat(again), xp.concat(reached)
        if not left.shape[0]:
            break
        atoms = Atoms(*(xp.concat(parts) for parts in zip(*kept, strict=True)))
    back = xp.argsort(xp.concat(order))
    whole = (xp.take(xp.concat(parts), back, axis=0) for parts in zip(*finished, strict=True))
    return Atoms(*(xp.reshape(field, (n_groups, n_signals, shape[1])) for field in whole))


def residual(array: UniformPlanarArray, beams: Array, samples: Array, atoms: Atoms) -> Array:
    """y − Σ c φ, complex (G, V, C)."""
    field = (atoms.gain[..., None, :] @ plane(array, atoms.u_y, atoms.u_z))[..., 0, :]
    return samples - (beams[:, None, :, :] @ field[..., None])[..., 0]


def objective(array: UniformPlanarArray, beams: Array, samples: Array, penalty: Array, atoms: Atoms) -> Array:
    """f, (G, V)."""
    xp = array_namespace(beams)
    rest = residual(array, beams, samples, atoms)
    return 0.5 * xp.sum(xp.abs(rest) ** 2, axis=-1) + penalty * xp.sum(xp.abs(atoms.gain), axis=-1)


def duality_gap(array: UniformPlanarArray, beams: Array, samples: Array, penalty: Array, atoms: Atoms) -> Array:
    """At most how far f lies above its minimum over all |u| < 1, (G, V).

    The residual, scaled so that no wave correlates with it by more than τ, is a feasible point of the dual problem.
    """
    xp = array_namespace(beams)
    flat = (-1, beams.shape[1])
    each = xp.reshape(xp.broadcast_to(beams[:, None, ...], (*penalty.shape, *beams.shape[1:])), (-1, *beams.shape[1:]))
    signals = Signals(array, each, xp.reshape(samples, flat), xp.reshape(penalty, (-1,)))
    gap, _ = _gap(signals, Atoms(*(xp.reshape(field, (each.shape[0], -1)) for field in atoms)), oversampling=8)
    return xp.reshape(gap, penalty.shape)


def strongest_wave(signals: Signals, rest: Array, oversampling: int = 4, peaks: int = 8) -> tuple[Array, Array, Array]:
    """u_y, u_z of the largest |φ(u)^H r| over |u| ≤ 1 and its value, (T,) each; r complex (T, C).

    On a raster that a 2-D FFT of W^H r is; the highest `peaks` there are placed by a paraboloid through neighbouring
    points, the highest on the edge of what is visible by a parabola, and what correlates there is summed exactly.
    oversampling: points of the raster per element.
    """
    xp = array_namespace(rest)
    back = (xp.matrix_transpose(xp.conj(signals.beams)) @ rest[..., None])[..., 0]
    inside, edge = _highest_peaks(signals.array, back, oversampling, peaks), _on_edge(signals.array, back, oversampling)
    places = tuple(xp.concat(parts, axis=-1) for parts in zip(inside, edge, strict=True))
    height = xp.abs(xp.sum(xp.conj(values(signals, *places)) * rest[..., None], axis=-2))
    best = xp.argmax(height, axis=-1)[:, None]
    return tuple(xp.take_along_axis(part, best, axis=-1)[:, 0] for part in (*places, height))


def _highest_peaks(array: UniformPlanarArray, back: Array, oversampling: int, peaks: int) -> tuple[Array, Array]:
    """u_y, u_z of the highest local maxima in |u| < 1 that a raster shows, (T, peaks); back: W^H r (T, N)."""
    xp = array_namespace(back)
    back = xp.reshape(back, (-1, array.n_y, array.n_z))
    n_y, n_z = oversampling * array.n_y, oversampling * array.n_z
    spectrum = xp.abs(xp.fft.fft(xp.fft.fft(back, n=n_z, axis=-1), n=n_y, axis=-2))
    period = array.wavelength_m / array.spacing_m
    u_y, u_z = xp.fft.fftfreq(n_y) * period, xp.fft.fftfreq(n_z) * period
    height, aside_y, aside_z = _summits(spectrum)
    y, z = u_y[:, None] + aside_y * period / n_y, u_z + aside_z * period / n_z
    flat = (height.shape[0], n_y * n_z)
    height = xp.reshape(xp.where(y * y + z * z < 1, height, 0.0), flat)
    index = []
    for _ in range(peaks):  # where noise alone is left, some thirty are as high as τ
        index.append(xp.argmax(height, axis=-1))
        height = xp.where(xp.arange(flat[1]) == index[-1][:, None], 0.0, height)
    at = xp.stack(index, axis=-1)
    y, z = (xp.take_along_axis(xp.reshape(part, flat), at, axis=-1) for part in (y, z))
    return y, z  # where none is left, beside the first point, which is u = 0


def _on_edge(array: UniformPlanarArray, back: Array, oversampling: int) -> tuple[Array, Array]:
    """u_y, u_z of the largest correlation on |u| = 1, (T, 1), which need be none of the raster's peaks."""
    xp = array_namespace(back)
    beam = array.wavelength_m / array.spacing_m / (array.n_y**2 + array.n_z**2) ** 0.5
    count = math.ceil(oversampling * 2 * math.pi / beam)
    angle = xp.arange(count, dtype=xp.float64) * (2 * math.pi / count)
    waves = xp.conj(xp.matrix_transpose(plane(array, xp.cos(angle), xp.sin(angle))))
    height = xp.abs((back[:, None, :] @ waves)[:, 0, :])  # one by one: none depends on the others
    best = xp.argmax(height, axis=-1)
    before, here, after = (xp.take_along_axis(height, ((best + i) % count)[:, None], axis=-1) for i in (-1, 0, 1))
    bend = before - 2 * here + after
    aside = (before - after) / 2 / xp.where(bend < 0, bend, -1.0)  # half a step at most, beside the highest
    turned = (xp.astype(best, xp.float64)[:, None] + aside) * (2 * math.pi / count)
    return xp.cos(turned), xp.sin(turned)


def _summits(here: Array) -> tuple[Array, Array, Array]:
    """About how high the peak beside each local maximum of a raster (T, n_y, n_z) is, 0 elsewhere, and where.

    By the paraboloid through the point and its eight neighbours, within half a step along either axis.
    """
    xp = array_namespace(here)
    near = {(i, j): xp.roll(here, (-i, -j), axis=(-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    slope_y, slope_z = (near[1, 0] - near[-1, 0]) / 2, (near[0, 1] - near[0, -1]) / 2
    bend_y, bend_z = near[1, 0] + near[-1, 0] - 2 * here, near[0, 1] + near[0, -1] - 2 * here
    twist = (near[1, 1] + near[-1, -1] - near[1, -1] - near[-1, 1]) / 4
    determinant = bend_y * bend_z - twist * twist
    peaked = determinant > 0  # and no bend is upwards where a point is the highest
    whole = xp.where(peaked, determinant, xp.ones_like(determinant))
    aside_y, aside_z = (
        xp.where(peaked, xp.clip(part / whole, -0.5, 0.5), xp.zeros_like(part))
        for part in (twist * slope_z - bend_z * slope_y, twist * slope_y - bend_y * slope_z)
    )
    height = here + (slope_y * aside_y + slope_z * aside_z) / 2
    for other in near.values():
        height = xp.where(here >= other, height, 0.0)
    return height, aside_y, aside_z


def _gap(signals: Signals, atoms: Atoms, oversampling: int = 4) -> tuple[Array, Array]:
    """How far f may lie above its minimum, and f, (T,)."""
    xp = array_namespace(signals.samples)
    rest = rest_of(signals, atoms)
    value = value_of(signals, rest, atoms)
    _, _, height = strongest_wave(signals, rest, oversampling)
    height = height * (1 + _MISSED / oversampling**2)
    scale = xp.minimum(xp.ones_like(height), signals.penalty / xp.maximum(height, signals.penalty * 1e-9))
    left = signals.samples - scale[:, None] * rest
    dual = 0.5 * (xp.sum(xp.abs(signals.samples) ** 2, axis=-1) - xp.sum(xp.abs(left) ** 2, axis=-1))
    return value - dual, value


def _round(signals: Signals, atoms: Atoms) -> Atoms:
    """Some atoms added, all of them moved, and their gains solved for."""
    for _ in range(_ADDED):
        atoms = _with_another(signals, atoms)
    atoms = descended(signals, atoms)
    return atoms._replace(gain=lasso(signals, atoms, _SWEEPS))


def _by_size(atoms: Atoms, xp: Any) -> Iterator[tuple[Array, int]]:
    """Which signals need how many places for a round, by steps, so that a signal's does not depend on the others."""
    most = atoms.gain.shape[-1]
    needed = xp.sum(xp.astype(atoms.gain != 0, xp.int64), axis=-1) + _ADDED
    size = xp.minimum((needed + _SIZE - 1) // _SIZE * _SIZE, xp.full_like(needed, most))
    for one in sorted({int(value) for value in size}):
        yield size == one, one


def _packed(atoms: Atoms, size: int) -> Atoms:
    """The same atoms in so many places: those with a gain first, in their order."""
    xp = array_namespace(atoms.gain)
    order = xp.argsort(xp.astype(atoms.gain == 0, xp.int64), axis=-1, stable=True)
    u_y, u_z, gain = (xp.take_along_axis(field, order, axis=-1) for field in atoms)
    used, n = gain != 0, gain.shape[-1]
    fields = (xp.where(used, u_y, NOWHERE), xp.where(used, u_z, NOWHERE), gain)
    if size <= n:
        return Atoms(*(field[:, :size] for field in fields))
    rest = (gain.shape[0], size - n)
    more = (xp.full(rest, NOWHERE), xp.full(rest, NOWHERE), xp.zeros(rest, dtype=gain.dtype))
    return Atoms(*(xp.concat(parts, axis=-1) for parts in zip(fields, more, strict=True)))


def _with_another(signals: Signals, atoms: Atoms) -> Atoms:
    """With the wave that correlates best with the residual, where any does by more than τ, and gains solved for."""
    xp = array_namespace(signals.samples)
    rest = rest_of(signals, atoms)
    u_y, u_z, height = strongest_wave(signals, rest)
    free = atoms.gain == 0
    slot = xp.argmax(xp.astype(free, xp.int8), axis=-1)
    here = free & (xp.arange(free.shape[-1]) == slot[:, None]) & (height > signals.penalty)[:, None]
    placed = atoms._replace(u_y=xp.where(here, u_y[:, None], atoms.u_y), u_z=xp.where(here, u_z[:, None], atoms.u_z))
    return placed._replace(gain=lasso(signals, placed, _FEW_SWEEPS))
