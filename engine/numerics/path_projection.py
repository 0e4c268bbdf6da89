"""The best gains of paths at given places, and what they leave of the samples: linear least squares, user by user.

L users see their own path each and K scatterers' paths that are common to all; T trials, C cycles, P = L + K paths,
users first. User l's columns are its own response and the K scatterers': the scatterers' part of an orthonormal basis
is common, and each user adds one vector to it.
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace, is_numpy_namespace

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import wave

Array = Any

NEGLIGIBLE = 1e-20
"""Of a response's energy: what of it is outside the others' span, below which it counts as inside."""


class Projection(NamedTuple):
    """Least squares of every user: basis and gains and what is left."""

    basis: Array
    """orthonormal, of the scatterers' responses, (T, K, C)"""
    own: Array
    """what each user's own response adds to it, (T, L, C)"""
    gain: Array
    """(T, L, 1 + K), the user's own path first"""
    residual: Array
    """(T, L, C)"""
    energy: Array
    """‖residual‖², (T, L)"""


def responses(array: UniformPlanarArray, beams: Array, places: Array) -> Array:
    """What C beams receive from P places at gain one: beams (T, C, N), places (T, P, 3) of κ, θ, φ. (T, P, C)."""
    xp = array_namespace(beams, places)
    if is_numpy_namespace(xp) and beams.ndim == 3 and beams.shape[0] == places.shape[0]:
        from engine.numerics.received_cpu import received_on_cpu  # numba takes a while to import

        return received_on_cpu(array, beams, places)
    waves = wave(array, places[..., 0], places[..., 1], places[..., 2])
    return xp.matmul(waves, xp.matrix_transpose(beams))


def project(received: Array, samples: Array) -> Projection:
    """Least squares by Gram and Schmidt, twice; received (T, L + K, C) as of `responses`, samples (T, L, C).

    A response inside the span of others gets gain zero.
    """
    xp = array_namespace(received, samples)
    n_users = samples.shape[1]
    vectors: list[Array] = []
    rows: list[list[Array]] = []
    for k in range(n_users, received.shape[1]):
        unit, norm, parts = _orthogonalised(received[:, k : k + 1, :], vectors)
        vectors.append(unit)
        rows.append([*parts, norm])
    own, norms, parts_own = _orthogonalised(received[:, :n_users, :], vectors)
    residual, onto = samples, []
    for unit in [*vectors, own]:
        part = xp.vecdot(unit, residual)
        residual = residual - part[..., None] * unit
        onto.append(part)
    gains = [_ratio(onto.pop(), norms)]
    for k in range(len(vectors) - 1, -1, -1):
        value = onto[k] - parts_own[k] * gains[0]
        for i, gain in enumerate(gains[1:], start=k + 1):
            value = value - rows[i][k] * gain
        gains.insert(1, _ratio(value, rows[k][k]))
    basis = xp.concat(vectors, axis=1) if vectors else received[:, n_users:, :]
    energy = xp.real(xp.vecdot(residual, residual))
    return Projection(basis, own, xp.stack(gains, axis=-1), residual, energy)


def _orthogonalised(vectors: Array, basis: list[Array]) -> tuple[Array, Array, list[Array]]:
    """Unit vectors outside the basis, their lengths there, and the parts in the basis; zero if nearly inside."""
    xp = array_namespace(vectors)
    before = xp.real(xp.vecdot(vectors, vectors))
    sums: list[Array] = []
    for _ in range(2):  # twice is enough (Kahan, Parlett)
        parts = []
        for unit in basis:
            parts.append(xp.vecdot(unit, vectors))
            vectors = vectors - parts[-1][..., None] * unit
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
    after = xp.real(xp.vecdot(vectors, vectors))
    inside = after <= NEGLIGIBLE * before
    norm = xp.where(inside, xp.zeros_like(after), xp.sqrt(after))
    return _ratio(vectors, norm[..., None]), norm, sums


def _ratio(value: Array, norm: Array) -> Array:
    """value/norm, 0 where norm is."""
    xp = array_namespace(value, norm)
    return xp.where(norm > 0, value / xp.where(norm > 0, norm, xp.ones_like(norm)), xp.zeros_like(value))
