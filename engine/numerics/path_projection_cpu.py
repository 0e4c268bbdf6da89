"""The best gains of paths on a CPU: compiled loops of one trial. Imports numba.

`engine.numerics.path_projection` says what they compute and is their oracle.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.path_projection import NEGLIGIBLE

LEAST_NORM = 1e-300


def _inner_plain(a: Any, b: Any) -> complex:
    """aᴴb."""
    total = 0j
    for c in range(a.shape[0]):
        total += np.conj(a[c]) * b[c]
    return total


inner = compiled(_inner_plain)


def _copy_plain(source: Any, out: Any) -> None:
    """Vectors. An assignment would be the same, but takes numba ten times as long to compile."""
    for i in range(out.shape[0]):
        out[i] = source[i]


copy = compiled(_copy_plain)


def _orthogonalise_plain(vector: Any, basis: Any, count: int, coefficients: Any) -> float:
    """Takes the first `count` rows of an orthonormal basis out of a vector and scales it to one; its norm before that.

    coefficients[:count] = basisᴴ vector. What is nearly in the basis becomes zero.
    """
    before = inner(vector, vector).real
    for i in range(count):
        coefficients[i] = 0.0
    for _ in range(2):  # twice is enough (Kahan, Parlett)
        for i in range(count):
            part = inner(basis[i], vector)
            coefficients[i] += part
            for c in range(vector.shape[0]):
                vector[c] -= part * basis[i, c]
    after = inner(vector, vector).real
    scale = 0.0 if after <= NEGLIGIBLE * before else 1.0 / np.sqrt(after)
    for c in range(vector.shape[0]):
        vector[c] *= scale
    return after * scale


orthogonalise = compiled(_orthogonalise_plain)


def _project_plain(
    responses: Any,
    samples: Any,
    basis: Any,
    triangle: Any,
    own: Any,
    corner: Any,
    residual: Any,
    gain: Any,
    energy: Any,
) -> float:
    """The best gains of L users and K scatterers at given places, what they leave, and its energy, of all users.

    responses (L + K, 4, C), samples (L, C); basis (K, C): of the scatterers' responses, triangle (K, K): theirs in it;
    own (L, C): what each user's own path adds to the basis, corner (L, K + 1): its parts in that and its norm outside;
    residual (L, C); gain (L, 1 + K); energy (L,).
    """
    n_users, n_scatterers, n_cycles = samples.shape[0], basis.shape[0], samples.shape[1]
    for k in range(n_scatterers):
        copy(responses[n_users + k, 0], basis[k])
        triangle[k, k] = orthogonalise(basis[k], basis, k, triangle[k])
    total = 0.0
    for u in range(n_users):
        copy(responses[u, 0], own[u])
        norm = orthogonalise(own[u], basis, n_scatterers, corner[u])
        corner[u, n_scatterers] = norm
        copy(samples[u], residual[u])
        for k in range(n_scatterers):
            part = inner(basis[k], residual[u])
            gain[u, 1 + k] = part
            for c in range(n_cycles):
                residual[u, c] -= part * basis[k, c]
        part = inner(own[u], residual[u])
        for c in range(n_cycles):
            residual[u, c] -= part * own[u, c]
        gain[u, 0] = part / norm if norm > 0.0 else 0.0
        for k in range(n_scatterers - 1, -1, -1):
            value = gain[u, 1 + k] - corner[u, k] * gain[u, 0]
            for i in range(k + 1, n_scatterers):
                value -= triangle[i, k] * gain[u, 1 + i]
            gain[u, 1 + k] = value / triangle[k, k] if triangle[k, k] != 0.0 else 0.0
        energy[u] = inner(residual[u], residual[u]).real
        total += energy[u]
    return total


project = compiled(_project_plain)


def _log_determinant_plain(triangle: Any, corner: Any) -> float:
    """Σ_l ln det of the Gram matrix of user l's response and the scatterers', from their orthonormal factors."""
    n_users, n_scatterers = corner.shape[0], triangle.shape[0]
    total = 0.0
    for k in range(n_scatterers):
        total += 2 * n_users * np.log(max(triangle[k, k].real, LEAST_NORM))
    for u in range(n_users):
        total += 2 * np.log(max(corner[u, n_scatterers].real, LEAST_NORM))
    return total


log_determinant = compiled(_log_determinant_plain)


def _invert_plain(triangle: Any, corner: Any, inverse: Any, onto: Any) -> None:
    """Of R, R_ik = triangle_ki for i ≤ k: its inverse (K, K), and onto (L, K): the inverse times a user's `corner`."""
    n_scatterers = triangle.shape[0]
    for k in range(n_scatterers):
        inverse[k, k] = 1.0 / triangle[k, k] if triangle[k, k] != 0.0 else 0.0
        for i in range(k - 1, -1, -1):
            value = 0j
            for j in range(i + 1, k + 1):
                value -= triangle[j, i] * inverse[j, k]
            inverse[i, k] = value * inverse[i, i]
    for u in range(corner.shape[0]):
        for i in range(n_scatterers):
            value = 0j
            for k in range(i, n_scatterers):
                value += inverse[i, k] * corner[u, k]
            onto[u, i] = value


invert = compiled(_invert_plain)
