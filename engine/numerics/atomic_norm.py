"""Plane waves without a grid: least squares with the atomic norm, by the alternating descent conditional gradient.

min over places u and gains c of f = ½‖y − Σ_i c_i φ(u_i)‖² + τ Σ_i |c_i|, φ(u) = W a(u): the atomic norm of x = Σ c_i
a(u_i) in min_x ½‖y − W x‖² + τ‖x‖_A (Bhaskar, Tang, Recht, "Atomic Norm Denoising with Applications to Line Spectral
Estimation", 2013). Boyd, Schiebinger, Recht ("The Alternating Descent Conditional Gradient Method for Sparse Inverse
Problems", 2017): add the wave that correlates best with the residual, solve for the gains, move everything downhill.
The optimum is where no wave correlates by more than τ, which bounds what is missing (`duality_gap`).

The semidefinite program that is usually solved has (N + 1)² unknowns and is of use below N ≈ 100 only.

Symbols: G groups of V signals that share their beams W (C, N); u = (u_y, u_z) direction cosines, |u| < 1; n atoms.
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.geometry import UniformPlanarArray

Array = Any

_NOWHERE = 2.0
"""Direction cosine of an atom that has not been placed."""


class Atoms(NamedTuple):
    """Plane waves of a decomposition; unused ones have no gain. (G, V, n) each."""

    u_y: Array
    u_z: Array
    gain: Array


def plane(array: UniformPlanarArray, u_y: Array, u_z: Array) -> Array:
    """e^{jk u·p}, Eq. (8) of Cao et al., (...) → complex (..., N): a product of a function of y and one of z."""
    xp = array_namespace(u_y)
    factors = []
    for n, u in ((array.n_y, u_y), (array.n_z, u_z)):
        steps = (xp.arange(n, dtype=xp.float64) - (n - 1) / 2) * array.spacing_m
        phase = array.wavenumber_rad_per_m * u[..., None] * steps
        factors.append(xp.cos(phase) + 1j * xp.sin(phase))
    return xp.reshape(factors[0][..., :, None] * factors[1][..., None, :], (*u_y.shape, array.n_elements))


def decompose(
    array: UniformPlanarArray,
    beams: Array,
    samples: Array,
    penalty: Array,
    *,
    n_atoms: int,
    tolerance: float,
    descents: int = 6,
    oversampling: int = 4,
) -> Atoms:
    """Solve for each signal: beams W complex (G, C, N), samples y complex (G, V, C), penalty τ (G, V).

    n_atoms: the most atoms at a time. tolerance: stop where no wave correlates by more than τ(1 + tolerance).
    descents: steps of joint descent for every atom added. oversampling: of `strongest_wave`, which with few points
    misses what correlates little more than τ. A signal's result does not depend on the others.
    """
    xp = array_namespace(beams)
    shape = (*penalty.shape, n_atoms)
    nowhere = xp.full(shape, _NOWHERE)
    atoms = Atoms(nowhere, nowhere, xp.zeros(shape, dtype=xp.complex128))
    done = xp.zeros(penalty.shape, dtype=xp.bool)
    for _ in range(2 * n_atoms):
        u_y, u_z, correlation = strongest_wave(array, beams, residual(array, beams, samples, atoms), oversampling)
        free = atoms.gain == 0
        done = done | (xp.abs(correlation) <= penalty * (1 + tolerance)) | ~xp.any(free, axis=-1)
        if bool(xp.all(done)):
            break
        added = _added(atoms, free, u_y, u_z)
        added = added._replace(gain=_lasso(array, beams, samples, penalty, added))
        added = _descended(array, beams, samples, penalty, added, descents)
        added = added._replace(gain=_lasso(array, beams, samples, penalty, added))
        keep = done[..., None]
        atoms = Atoms(*(xp.where(keep, old, new) for old, new in zip(atoms, added, strict=True)))
    return atoms


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
    rest = residual(array, beams, samples, atoms)
    _, _, correlation = strongest_wave(array, beams, rest, oversampling=16)
    scale = xp.minimum(xp.ones_like(penalty), penalty / xp.abs(correlation))
    left = samples - scale[..., None] * rest
    dual = 0.5 * (xp.sum(xp.abs(samples) ** 2, axis=-1) - xp.sum(xp.abs(left) ** 2, axis=-1))
    return objective(array, beams, samples, penalty, atoms) - dual


def strongest_wave(
    array: UniformPlanarArray, beams: Array, rest: Array, oversampling: int = 4
) -> tuple[Array, Array, Array]:
    """u_y, u_z of the largest |φ(u)^H r| and its value, (G, V) each: on a raster that a 2-D FFT of W^H r is.

    oversampling: points of the raster per element; four find at least 0.95 of a peak, sixteen 0.997.
    """
    xp = array_namespace(beams)
    back = xp.matrix_transpose(xp.conj(beams))[:, None, :, :] @ rest[..., None]
    back = xp.reshape(back, (*rest.shape[:2], array.n_y, array.n_z))
    n_y, n_z = oversampling * array.n_y, oversampling * array.n_z
    spectrum = xp.fft.fft(xp.fft.fft(back, n=n_z, axis=-1), n=n_y, axis=-2)
    step = array.wavelength_m / array.spacing_m
    u_y, u_z = xp.fft.fftfreq(n_y) * step, xp.fft.fftfreq(n_z) * step
    visible = u_y[:, None] ** 2 + u_z[None, :] ** 2 < 1
    power = xp.reshape(xp.abs(spectrum) * visible, (*rest.shape[:2], -1))
    best = xp.argmax(power, axis=-1)
    flat = xp.reshape(best, (-1,))
    return (
        xp.reshape(xp.take(u_y, flat // n_z), best.shape),
        xp.reshape(xp.take(u_z, flat % n_z), best.shape),
        xp.max(power, axis=-1),
    )


def _added(atoms: Atoms, free: Array, u_y: Array, u_z: Array) -> Atoms:
    """With one more place, where the first free one is; its gain is still zero."""
    xp = array_namespace(u_y)
    slot = xp.argmax(xp.astype(free, xp.int8), axis=-1)
    here = free & (xp.arange(free.shape[-1]) == slot[..., None])
    return atoms._replace(u_y=xp.where(here, u_y[..., None], atoms.u_y), u_z=xp.where(here, u_z[..., None], atoms.u_z))


def _lasso(
    array: UniformPlanarArray, beams: Array, samples: Array, penalty: Array, atoms: Atoms, sweeps: int = 10
) -> Array:
    """Gains that minimise f for given places, by cyclic coordinate descent on the Gram matrix of the atoms."""
    xp = array_namespace(beams)
    phi = beams[:, None, :, :] @ xp.matrix_transpose(plane(array, atoms.u_y, atoms.u_z))
    adjoint = xp.matrix_transpose(xp.conj(phi))
    gram, towards = adjoint @ phi, (adjoint @ samples[..., None])[..., 0]
    placed = atoms.u_y != _NOWHERE
    slots = xp.arange(placed.shape[-1])
    gains = atoms.gain
    used = [i for i in range(placed.shape[-1]) if bool(xp.any(placed[..., i]))]
    for _ in range(sweeps):
        for i in used:
            own = xp.real(gram[..., i, i])
            target = towards[..., i] - xp.sum(gram[..., i, :] * gains, axis=-1) + own * gains[..., i]
            size = xp.abs(target)
            shrunk = xp.where(size > penalty, (1 - penalty / xp.where(size > 0, size, 1.0)) / own, 0.0)
            gains = xp.where((slots == i) & placed, (target * shrunk)[..., None], gains)
    return gains


def _descended(
    array: UniformPlanarArray, beams: Array, samples: Array, penalty: Array, atoms: Atoms, steps: int
) -> Atoms:
    """Levenberg-Marquardt on all places and gains, the latter as size and phase, in which the penalty is linear.

    A signal whose f falls by less than a 1e-7th has arrived. Atoms without a gain stay where they are.
    """
    xp = array_namespace(beams)
    damping = xp.full_like(penalty, 1e-2)
    value = objective(array, beams, samples, penalty, atoms)
    arrived = xp.zeros(penalty.shape, dtype=xp.bool)
    for _ in range(steps):
        matrix, slope = _normal_equations(array, beams, samples, penalty, atoms)
        damped = matrix * (1 + damping[..., None, None] * xp.eye(slope.shape[-1]))
        step = -xp.linalg.solve(damped, slope[..., None])[..., 0]
        trial = _moved(atoms, step)
        reached = objective(array, beams, samples, penalty, trial)
        better = (reached < value) & ~arrived
        atoms = Atoms(*(xp.where(better[..., None], new, old) for new, old in zip(trial, atoms, strict=True)))
        arrived = arrived | (better & (value - reached < 1e-7 * value)) | (damping > 1e6)
        value = xp.where(better, reached, value)
        damping = xp.where(better, xp.maximum(damping / 5, xp.full_like(damping, 1e-8)), damping * 5)
        if bool(xp.all(arrived)):
            break
    return atoms


def _normal_equations(
    array: UniformPlanarArray, beams: Array, samples: Array, penalty: Array, atoms: Atoms
) -> tuple[Array, Array]:
    """Gauss-Newton's matrix and f's slope by u_y, u_z, ρ and ρα of each c = ρ e^{jα}. Unused atoms stay."""
    xp = array_namespace(beams)
    y, z = array.positions_m(xp)
    k = array.wavenumber_rad_per_m
    size = xp.abs(atoms.gain)
    used = size > 0
    unit = xp.where(used, atoms.gain / xp.where(used, size, 1.0), 0.0)
    waves = plane(array, atoms.u_y, atoms.u_z) * unit[..., None]
    grown = waves * (1j * k * size[..., None])
    columns = beams[:, None, :, :] @ xp.matrix_transpose(xp.concat([grown * y, grown * z, waves], axis=-2))
    n = size.shape[-1]
    rest = samples - (columns[..., 2 * n :] @ xp.astype(size, xp.complex128)[..., None])[..., 0]
    jacobian = xp.concat([columns, 1j * columns[..., 2 * n :]], axis=-1)
    adjoint = xp.matrix_transpose(xp.conj(jacobian))
    pull = penalty[..., None] * xp.astype(used, xp.float64)
    none = xp.zeros_like(pull)
    slope = xp.concat([none, none, pull, none], axis=-1) - xp.real(adjoint @ rest[..., None])[..., 0]
    unused = xp.astype(xp.concat([~used] * 4, axis=-1), xp.float64)
    return xp.real(adjoint @ jacobian) + xp.eye(4 * n) * unused[..., None], slope


def _moved(atoms: Atoms, step: Array) -> Atoms:
    """Places and gains after a step (…, 4n) of u_y, u_z, ρ, ρα; no gain passes through zero."""
    xp = array_namespace(step)
    size = xp.abs(atoms.gain)
    n = size.shape[-1]
    used = size > 0
    ratio = 1 + step[..., 2 * n : 3 * n] / xp.where(used, size, 1.0)
    turn = step[..., 3 * n :] / xp.where(used, size, 1.0)
    gain = atoms.gain * xp.where(ratio > 0.05, ratio, 0.05) * (xp.cos(turn) + 1j * xp.sin(turn))
    u_y, u_z = atoms.u_y + step[..., :n], atoms.u_z + step[..., n : 2 * n]
    # Noise alone may be fitted best from the edge of what is visible: stop there.
    too_far = xp.where(used, xp.maximum(xp.sqrt(u_y**2 + u_z**2), xp.ones_like(u_y)), 1.0)
    return Atoms(u_y / too_far, u_z / too_far, gain)
