"""Information matrices: nuisance parameters eliminated, and inverses, with an answer where there is too little of it.

Hermitian, positive semidefinite (..., P, P), P small. `scale` (..., P) is each parameter's information while all others
are known: a pivot below `NEGLIGIBLE` times that is zero up to rounding, which leaves about 1e-15.
"""

from typing import Any

from array_api_compat import array_namespace

Array = Any

NEGLIGIBLE = 1e-11


def diagonal(matrix: Array) -> Array:
    """The real diagonal, (..., P)."""
    xp = array_namespace(matrix)
    real = xp.real(matrix) if xp.isdtype(matrix.dtype, "complex floating") else matrix
    return xp.stack([real[..., i, i] for i in range(matrix.shape[-1])], axis=-1)


def with_diagonal(matrix: Array, added: Array) -> Array:
    """The matrix plus `added` (..., P) on its diagonal."""
    xp = array_namespace(matrix, added)
    return matrix + xp.eye(matrix.shape[-1], dtype=xp.float64) * added[..., None]


def eliminated(matrix: Array, scale: Array, kept: int) -> Array:
    """Schur complement on the first `kept` parameters: their information where the others are unknown as well.

    A later parameter that the data do not determine is left out where the others explain it (a generalized inverse), so
    the complement is right there too.
    """
    for k in range(matrix.shape[-1] - 1, kept - 1, -1):
        matrix, _ = _without_last(matrix, scale[..., k])
    return matrix


def inverse(matrix: Array, scale: Array) -> Array:
    """Inverse of a real matrix; ∞ in every entry where it is singular or not finite."""
    xp = array_namespace(matrix, scale)
    rest, regular = _without_last(matrix, scale[..., -1])
    for k in range(matrix.shape[-1] - 2, -1, -1):
        rest, pivot = _without_last(rest, scale[..., k])
        regular = regular & pivot
    regular = regular[..., None, None]
    root = xp.sqrt(xp.where(regular[..., 0], scale, xp.ones_like(scale)))
    units = root[..., :, None] * root[..., None, :]
    identity = xp.eye(matrix.shape[-1], dtype=xp.float64)
    inverted = xp.linalg.inv(xp.where(regular, matrix / units, identity)) / units
    return xp.where(regular, inverted, xp.full_like(inverted, xp.inf))


def _without_last(matrix: Array, scale: Array) -> tuple[Array, Array]:
    """The last parameter eliminated; whether there was anything of it left, (...)."""
    xp = array_namespace(matrix, scale)
    last = matrix.shape[-1] - 1
    pivot = matrix[..., last, last]
    pivot = xp.real(pivot) if xp.isdtype(pivot.dtype, "complex floating") else pivot
    left = pivot > NEGLIGIBLE * scale
    inverted = xp.where(left, 1 / xp.where(left, pivot, xp.ones_like(pivot)), xp.zeros_like(pivot))
    column = matrix[..., :last, last:] * inverted[..., None, None]
    return matrix[..., :last, :last] - column * matrix[..., last:, :last], left
