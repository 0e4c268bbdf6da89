"""Information matrices: elimination and inverses against numpy.linalg, regular, badly scaled and singular."""

from typing import Any

import numpy as np

from engine.numerics.definite import diagonal, eliminated, inverse, with_diagonal

SCALES = np.array([1e-7, 1.0, 1e4, 1e9, 3.0])


def root(seed: int, *, rank: int = 8) -> np.ndarray:
    """Complex (3, rank, 5): three sets of columns whose Gram matrices are wanted."""
    random = np.random.default_rng(seed)
    return (random.normal(size=(3, rank, 5)) + 1j * random.normal(size=(3, rank, 5))) * SCALES


def gram(columns: np.ndarray) -> np.ndarray:
    return np.swapaxes(columns.conj(), -1, -2) @ columns


def relative(matrix: np.ndarray, exact: np.ndarray) -> float:
    scale = np.sqrt(np.abs(np.diagonal(exact, axis1=-2, axis2=-1)))
    return float(np.max(np.abs(matrix - exact) / (scale[..., :, None] * scale[..., None, :])))


def test_inverse_of_badly_scaled_matrices(given: Any, host: Any) -> None:
    unscaled = gram(root(1) / SCALES).real
    ours = inverse(given(unscaled * np.outer(SCALES, SCALES)), given(diagonal(unscaled) * SCALES**2))
    exact = np.linalg.inv(unscaled) / np.outer(SCALES, SCALES)
    assert relative(host(ours), exact) < 1e-12


def test_elimination_is_the_inverse_of_a_block_of_the_inverse(given: Any, host: Any) -> None:
    matrix = gram(root(2))
    ours = eliminated(given(matrix.real) + 1j * given(matrix.imag), given(diagonal(matrix)), 3)
    unscaled = np.linalg.inv(gram(root(2) / SCALES))
    exact = np.linalg.inv(unscaled[:, :3, :3]) * np.outer(SCALES[:3], SCALES[:3])
    assert relative(host(ours), exact) < 1e-12
    assert relative(host(ours), matrix[:, :3, :3]) > 0.1  # the others do matter


def test_one_singular_matrix_is_infinite_and_others_are_not(given: Any, host: Any) -> None:
    columns = np.concatenate([root(3).real, root(3).imag], axis=1)
    columns[1, :, 4] = columns[1, :, :2] @ [1e5, 2.0]  # explained by two others
    columns[2, :, 0] = 0
    matrix = gram(columns)
    ours = host(inverse(given(matrix), given(diagonal(matrix))))
    assert np.all(np.isfinite(ours[0]))
    assert np.all(ours[1:] == np.inf)
    assert np.all(host(inverse(given(np.full((2, 2), np.nan)), given(np.ones(2)))) == np.inf)


def test_a_redundant_nuisance_is_left_out(given: Any, host: Any) -> None:
    """The Schur complement with a generalized inverse: the projection of the kept columns off the others."""
    columns = root(4)
    columns[..., 4] = columns[..., 3] * (2 + 1j)
    kept, others = columns[..., :3], columns[..., 3:4]
    projected = kept - others @ np.linalg.pinv(others) @ kept
    matrix = gram(columns)
    ours = eliminated(given(matrix.real) + 1j * given(matrix.imag), given(diagonal(matrix)), 3)
    assert relative(host(ours), gram(projected)) < 1e-12


def test_with_diagonal_adds_there_alone(given: Any, host: Any) -> None:
    matrix, added = np.arange(50.0).reshape(2, 5, 5), np.arange(5.0)
    assert np.all(host(with_diagonal(given(matrix), given(added))) - matrix == np.diag(added))
