"""The joint fit of paths on a CPU: compiled loops. Imports numba. `engine.numerics.path_fit` is its oracle.

Waves are made and multiplied with the beams without arrays in between. A step of one trial with 4 users, 2 scatterers,
625 elements and 20 cycles is 6 × 625 waves, 6 × 4 × 20 complex sums over the elements, and a system of 18 equations:
60 µs on one core, of which waves and sums take 43; the arrays take 0.8 ms. A fit from half a cell away takes 3 steps.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_projection_cpu import LEAST_NORM, copy, inner, invert, log_determinant, project
from engine.numerics.received_cpu import read_only
from engine.numerics.turns_cpu import quarters


def _respond_plain(place: Any, elements: Any, wavenumber: float, beams: Any, waves: Any, out: Any) -> None:
    """What C beams receive from one place, and its derivatives by κ, θ, φ: out (4, C).

    elements (3, N): y, z and |p|²; beams (2, C, N): real and imaginary; waves (5, N) is overwritten: cos kδ, sin kδ,
    ∂δ/∂κ, y/R, z/R.
    """
    kappa = place[0]
    sine, cosine = np.sin(place[1]), np.cos(place[1])
    sine_azimuth, cosine_azimuth = np.sin(place[2]), np.cos(place[2])
    along_y, along_z = sine * sine_azimuth, cosine
    to_quarters = wavenumber * (2.0 / np.pi)
    for n in range(elements.shape[1]):
        y, z, squared = elements[0, n], elements[1, n], elements[2, n]
        t = y * along_y + z * along_z
        curved = kappa * squared
        ratio = np.sqrt(1.0 - kappa * (2.0 * t - curved))
        both = 1.0 / (ratio + ratio * ratio)  # one division for 1/(1 + R) and 1/R
        half, inverse = ratio * both, (1.0 + ratio) * both
        delta = (curved - 2.0 * t) * half
        waves[0, n], waves[1, n] = quarters(delta * to_quarters)
        waves[2, n] = (squared - delta * (curved - t) * inverse) * half
        waves[3, n], waves[4, n] = y * inverse, z * inverse
    slope = -1j * wavenumber
    for c in range(beams.shape[1]):
        vr, vi, kr, ki, yr, yi, zr, zi = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(elements.shape[1]):
            wr, wi, ar, ai = beams[0, c, n], beams[1, c, n], waves[0, n], waves[1, n]
            real, imag = wr * ar + wi * ai, wi * ar - wr * ai
            vr += real
            vi += imag
            kr += real * waves[2, n]
            ki += imag * waves[2, n]
            yr += real * waves[3, n]
            yi += imag * waves[3, n]
            zr += real * waves[4, n]
            zi += imag * waves[4, n]
        over_y, over_z = yr + 1j * yi, zr + 1j * zi
        out[0, c] = vr + 1j * vi
        out[1, c] = slope * (kr + 1j * ki)
        out[2, c] = slope * (sine * over_z - cosine * sine_azimuth * over_y)
        out[3, c] = -slope * (sine * cosine_azimuth) * over_y


_respond = compiled(_respond_plain)


def _normal_equations_plain(
    responses: Any,
    basis: Any,
    own: Any,
    residual: Any,
    gain: Any,
    corner: Any,
    inverse: Any,
    onto: Any,
    noise: float,
    parts: Any,
    gradient: Any,
    normal: Any,
) -> None:
    """Half the gradient of what is minimised by the places, (3P,), and its Gauss–Newton matrix (3P, 3P), P = L + K.

    J = −P⊥ ∂B γ̂ (Kaufman, "A variable projection method for solving separable nonlinear least squares problems", 1975);
    and noise times half the gradient of ln det AᴴA, Re (A⁺)_j ∂A_j of its column j, A = QR. parts (K + 1, 3P) is
    overwritten.
    """
    n_users, n_scatterers = own.shape[0], basis.shape[0]
    for a in range(gradient.shape[0]):
        gradient[a] = 0.0
        for b in range(gradient.shape[0]):
            normal[a, b] = 0.0
    for k in range(n_scatterers):
        for a in range(gradient.shape[0]):
            parts[k, a] = inner(basis[k], responses[a // 3, 1 + a % 3])
    for u in range(n_users):
        for i in range(1 + n_scatterers):
            p = u if i == 0 else n_users + i - 1
            for a in range(3 * p, 3 * p + 3):
                slope = responses[p, 1 + a % 3]
                parts[n_scatterers, a] = inner(own[u], slope)
                gradient[a] -= (np.conj(gain[u, i]) * inner(slope, residual[u])).real
                if noise > 0.0:
                    outside = parts[n_scatterers, a] / max(corner[u, n_scatterers].real, LEAST_NORM)
                    if i > 0:
                        outside *= -onto[u, i - 1]
                        for k in range(i - 1, n_scatterers):
                            outside += inverse[i - 1, k] * parts[k, a]
                    gradient[a] += noise * outside.real
                for j in range(i + 1):
                    q = u if j == 0 else n_users + j - 1
                    weight = np.conj(gain[u, i]) * gain[u, j]
                    for b in range(3 * q, min(3 * q + 3, a + 1)):
                        value = inner(slope, responses[q, 1 + b % 3])
                        for k in range(n_scatterers + 1):
                            value -= np.conj(parts[k, a]) * parts[k, b]
                        normal[a, b] += (weight * value).real


_normal_equations = compiled(_normal_equations_plain)


def _solve_plain(matrix: Any, vector: Any) -> bool:
    """Cholesky: matrix, of which the lower half is given, and vector are overwritten by the factor and the solution."""
    n = vector.shape[0]
    for i in range(n):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = value / matrix[j, j]
            elif value > 0.0:
                matrix[i, i] = np.sqrt(value)
            else:
                return False
    for i in range(n):
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]
    return True


_solve = compiled(_solve_plain)


def _damped_step_plain(
    place: Any, bounds: Any, gradient: Any, normal: Any, damping: float, free: Any, matrix: Any, step: Any
) -> float:
    """The step −(H + λ diag H)⁻¹g of what no bound holds, and how much it should take off the energy; −1: none.

    place, gradient, free, step (3P,), normal and matrix (3P, 3P); the last three are overwritten.
    """
    n = step.shape[0]
    for a in range(n):
        below, above = place[a] <= bounds[0, a % 3], place[a] >= bounds[1, a % 3]
        free[a] = normal[a, a] > 0.0 and not (below and gradient[a] > 0.0) and not (above and gradient[a] < 0.0)
        step[a] = -gradient[a] if free[a] else 0.0
        for b in range(a):
            matrix[a, b] = normal[a, b] if free[a] and free[b] else 0.0
        matrix[a, a] = normal[a, a] * (1.0 + damping) if free[a] else 1.0
    if not _solve(matrix, step):
        return -1.0
    decrease = 0.0
    for a in range(n):
        decrease += step[a] * (damping * normal[a, a] * step[a] - gradient[a])
    return decrease


_damped_step = compiled(_damped_step_plain)


def _fit_plain(
    beams: Any,
    group: Any,
    samples: Any,
    elements: Any,
    wavenumber: float,
    bounds: Any,
    ridge: Any,
    noise: Any,
    settings: Any,
    places: Any,
    gain: Any,
    energy: Any,
    steps: Any,
    received: Any,
) -> None:
    """Levenberg-Marquardt for each of T trials; see `engine.numerics.path_fit`.

    beams (G, C, N), group (T,): each trial's beams; samples (T, L, C); elements (3, N); bounds (2, 3); ridge, noise
    (T,): what scattered gains' squares add, and what the logarithm of the determinant does; settings: tolerance, most
    steps; the damping's first, lowest and highest value, factors after a success and after a failure.
    places (T, P, 3) comes in with the start; gain (T, L, 1 + K), energy (T, L), steps (T,),
    received (T, P, C): what the beams receive from the places at gain one.
    """
    tolerance, most_steps, first_damping, lowest_damping, highest_damping, easier, harder = settings
    n_trials, n_users, n_cycles = samples.shape
    n_paths, n_elements = places.shape[1], elements.shape[1]
    n_scatterers, n_unknowns = n_paths - n_users, 3 * n_paths
    n_rows = n_cycles + n_scatterers  # a gain's prior is a sample more: none of noise's deviations over the gain's
    split = np.empty((2, n_cycles, n_elements))
    waves = np.empty((5, n_elements))
    responses = np.zeros((n_paths, 4, n_rows), np.complex128)
    seen = np.zeros((n_users, n_rows), np.complex128)
    basis = np.empty((n_scatterers, n_rows), np.complex128)
    triangle = np.zeros((n_scatterers, n_scatterers), np.complex128)
    inverse = np.zeros((n_scatterers, n_scatterers), np.complex128)
    onto = np.empty((n_users, n_scatterers), np.complex128)
    corner = np.empty((n_users, n_scatterers + 1), np.complex128)
    own = np.empty((n_users, n_rows), np.complex128)
    residual = np.empty((n_users, n_rows), np.complex128)
    parts = np.empty((n_scatterers + 1, n_unknowns), np.complex128)
    normal = np.empty((n_unknowns, n_unknowns))
    matrix = np.empty((n_unknowns, n_unknowns))
    gradient = np.empty(n_unknowns)
    step = np.empty(n_unknowns)
    free = np.empty(n_unknowns, np.bool_)
    tried_gain = np.empty((n_users, n_scatterers + 1), np.complex128)
    tried_energy = np.empty(n_users)
    tried_place = np.empty((n_paths, 3))
    loaded = -1
    for t in range(n_trials):
        if group[t] != loaded:
            loaded = group[t]
            for c in range(n_cycles):
                for n in range(n_elements):
                    split[0, c, n], split[1, c, n] = beams[loaded, c, n].real, beams[loaded, c, n].imag
        for u in range(n_users):
            for c in range(n_cycles):
                seen[u, c] = samples[t, u, c]
        place = places[t].reshape(-1)
        copy(place, tried_place.reshape(-1))
        damping, current, least, steps[t] = first_damping / easier, np.inf, np.inf, 0
        while True:
            for k in range(n_scatterers):
                responses[n_users + k, 0, n_cycles + k] = np.sqrt(ridge[t])
            for p in range(n_paths):
                _respond(tried_place[p], elements, wavenumber, split, waves, responses[p])
            energies = project(responses, seen, basis, triangle, own, corner, residual, tried_gain, tried_energy)
            total = energies
            if noise[t] > 0.0:
                total += noise[t] * log_determinant(triangle, corner)
            if steps[t] == 0 or total < current:
                damping = max(damping * easier, lowest_damping)
                current, least = total, energies
                copy(tried_place.reshape(-1), place)
                for p in range(n_paths):
                    for c in range(n_cycles):
                        received[t, p, c] = responses[p, 0, c]
                if noise[t] > 0.0:
                    invert(triangle, corner, inverse, onto)
                _normal_equations(
                    responses,
                    basis,
                    own,
                    residual,
                    tried_gain,
                    corner,
                    inverse,
                    onto,
                    noise[t],
                    parts,
                    gradient,
                    normal,
                )
                if ridge[t] > 0.0:  # the best gains at these places, whatever they are
                    for k in range(n_scatterers):
                        responses[n_users + k, 0, n_cycles + k] = 0.0
                    least = project(responses, seen, basis, triangle, own, corner, residual, tried_gain, tried_energy)
                copy(tried_gain.reshape(-1), gain[t].reshape(-1))
                copy(tried_energy, energy[t])
            else:
                damping *= harder
            decrease = -1.0
            while decrease < 0.0 and damping <= highest_damping:
                decrease = _damped_step(place, bounds, gradient, normal, damping, free, matrix, step)
                damping = damping * harder if decrease < 0.0 else damping
            # not (a > b), and not a <= b: what is not a number ends here.
            if damping > highest_damping or not decrease > tolerance * least or steps[t] >= most_steps:
                break
            for a in range(n_unknowns):
                tried_place[a // 3, a % 3] = min(max(place[a] + step[a], bounds[0, a % 3]), bounds[1, a % 3])
            steps[t] += 1


_fit = compiled(_fit_plain)


def fit_on_cpu(
    array: UniformPlanarArray,
    beams: np.ndarray,
    group: np.ndarray,
    samples: np.ndarray,
    start: np.ndarray,
    bounds: np.ndarray,
    ridge: np.ndarray,
    noise: np.ndarray,
    settings: tuple[float, ...],
) -> tuple[np.ndarray, ...]:
    """The fields of `engine.numerics.path_fit.PathFit`."""
    n_trials, n_users, n_cycles = samples.shape
    y, z = array.positions_m(np)
    elements = np.stack([y, z, y * y + z * z])
    places = np.minimum(np.maximum(start, bounds[0]), bounds[1])
    gain = np.empty((n_trials, n_users, 1 + start.shape[1] - n_users), dtype=complex)
    energy, steps = np.empty((n_trials, n_users)), np.empty(n_trials, dtype=np.int64)
    received = np.empty((n_trials, start.shape[1], n_cycles), dtype=complex)
    k = array.wavenumber_rad_per_m
    inputs = (read_only(part) for part in (beams, group.astype(np.int64), samples, elements))
    _fit(
        *inputs,
        k,
        read_only(bounds),
        read_only(ridge),
        read_only(noise),
        settings,
        places,
        gain,
        energy,
        steps,
        received,
    )
    return places, gain, energy, steps, received
