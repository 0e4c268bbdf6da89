"""Loops that find the best gains of one trial, and what their factors say of the Gram matrices: against NumPy's."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.numerics import path_projection_cpu
from engine.numerics.path_projection_cpu import invert, log_determinant, orthogonalise, project

C = 9


class Projected(NamedTuple):
    basis: np.ndarray
    triangle: np.ndarray
    own: np.ndarray
    corner: np.ndarray
    residual: np.ndarray
    gain: np.ndarray
    energy: np.ndarray
    total: float


def projected(received: np.ndarray, samples: np.ndarray, *, plain: bool = False) -> Projected:
    """Of responses (L + K, C), whose slopes do not matter."""
    n_users, n_scatterers = len(samples), len(received) - len(samples)
    responses = np.full((len(received), 4, C), np.nan, complex)
    responses[:, 0] = received
    shapes: Any = ((n_scatterers, C), (n_scatterers,) * 2, (n_users, C), (n_users, n_scatterers + 1), (n_users, C),
                   (n_users, 1 + n_scatterers))  # fmt: skip
    parts = [np.full(shape, 7.0 + 0j) for shape in shapes]
    energy = np.full(n_users, 7.0)
    total = (path_projection_cpu._project_plain if plain else project)(responses, samples, *parts, energy)
    return Projected(*parts, energy, total)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    parts = np.random.default_rng(seed).normal(size=(2, *shape))
    return parts[0] + 1j * parts[1]


@pytest.mark.parametrize(("n_users", "n_scatterers"), [(1, 0), (3, 1), (2, 3)])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_gains_are_those_of_least_squares(n_users: int, n_scatterers: int, plain: bool, scale: float) -> None:
    """In whatever unit."""
    received, samples = scale * random(n_users + n_scatterers, C), random(n_users, C, seed=1)
    found = projected(received, samples, plain=plain)
    for user in range(n_users):
        columns = np.stack([received[user], *received[n_users:]], axis=1)
        gain, *_ = np.linalg.lstsq(columns, samples[user], rcond=None)
        np.testing.assert_allclose(found.gain[user], gain)
        rest = samples[user] - columns @ gain
        np.testing.assert_allclose(found.residual[user], rest)
        assert found.energy[user] == pytest.approx(np.vdot(rest, rest).real)
        vectors = np.concatenate([found.basis, found.own[user : user + 1]])
        np.testing.assert_allclose(vectors.conj() @ vectors.T, np.eye(1 + n_scatterers), atol=1e-12)
        np.testing.assert_allclose(found.corner[user] @ vectors, received[user])
    np.testing.assert_allclose(np.tril(found.triangle) @ found.basis, received[n_users:])
    assert found.total == pytest.approx(found.energy.sum())


@pytest.mark.parametrize(("n_users", "n_scatterers"), [(1, 0), (3, 1), (2, 3)])
@pytest.mark.parametrize("plain", [False, True])
def test_factors_are_of_the_gram_matrices(n_users: int, n_scatterers: int, plain: bool) -> None:
    """Σ ln det of each user's; the scatterers' factor inverted, and times a user's parts along their basis."""
    received = random(n_users + n_scatterers, C, seed=2)
    found = projected(received, random(n_users, C, seed=3))
    total = 0.0
    for user in range(n_users):
        columns = np.stack([received[user], *received[n_users:]], axis=1)
        total += np.linalg.slogdet(columns.conj().T @ columns)[1]
    determinant = path_projection_cpu._log_determinant_plain if plain else log_determinant
    assert determinant(found.triangle, found.corner) == pytest.approx(total)
    inverse = np.zeros((n_scatterers, n_scatterers), complex)
    onto = np.full((n_users, n_scatterers), 7.0 + 0j)
    (path_projection_cpu._invert_plain if plain else invert)(found.triangle, found.corner, inverse, onto)
    expected = np.linalg.inv(np.tril(found.triangle).T)
    np.testing.assert_allclose(inverse, expected, atol=1e-12)
    for user in range(n_users):
        np.testing.assert_allclose(onto[user], expected @ found.corner[user, :n_scatterers])
        # What of a user is along the scatterers, as least squares has it.
        along, *_ = np.linalg.lstsq(received[n_users:].T, received[user], rcond=None)
        np.testing.assert_allclose(onto[user], along)


@pytest.mark.parametrize("plain", [False, True])
def test_paths_inside_the_span_of_others_get_no_gain(plain: bool) -> None:
    """A scatterer where another one is, and a user there: no other number becomes large or undefined for it."""
    received, samples = random(4, C), random(2, C, seed=1)
    received[3] = (1 + 1e-12) * received[2]
    received[1] = 2j * received[2]
    found = projected(received, samples, plain=plain)
    assert not found.basis[1].any()
    assert not found.own[1].any()
    assert (found.triangle[1, 1], found.corner[1, 2], found.gain[1, 0]) == (0, 0, 0)
    assert not found.gain[:, 2].any()
    only, *_ = np.linalg.lstsq(received[2:3].T, samples[1], rcond=None)
    np.testing.assert_allclose(found.gain[1, 1], only[0])
    inverse, onto = np.zeros((2, 2), complex), np.zeros((2, 2), complex)
    (path_projection_cpu._invert_plain if plain else invert)(found.triangle, found.corner, inverse, onto)
    np.testing.assert_allclose(inverse, np.diag([1 / np.linalg.norm(received[2]), 0]), atol=1e-12)
    np.testing.assert_allclose(onto[1], [2j, 0], atol=1e-12)
    determinant = path_projection_cpu._log_determinant_plain if plain else log_determinant
    norm, own = np.linalg.norm(received[2]), abs(found.corner[0, 2])
    # Each norm of zero counts as 1e-300: of the scatterer for both users, of the second user's own.
    expected = 2 * (2 * np.log(norm) + np.log(own)) + 2 * 3 * np.log(1e-300)
    assert determinant(found.triangle, found.corner) == pytest.approx(expected)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("outside", [1e-9, 1e-11])
def test_what_is_outside_by_less_than_rounding_is_inside(outside: float, plain: bool) -> None:
    """1e-20 of the energy; what is more keeps its direction, at right angles to the basis."""
    basis = np.linalg.qr(random(C, 3))[0].T.copy()
    vector = basis[0] * 3 + basis[1] * 4j + outside * 5 * basis[2]
    coefficients = np.full(3, 7.0 + 0j)
    norm = (path_projection_cpu._orthogonalise_plain if plain else orthogonalise)(vector, basis, 2, coefficients)
    np.testing.assert_allclose(coefficients, [3, 4j, 7])
    if outside > 1e-10:
        assert norm == pytest.approx(5 * outside, rel=1e-5)
        np.testing.assert_allclose(vector, basis[2], atol=1e-5)
        np.testing.assert_allclose(basis[:2].conj() @ vector, 0, atol=1e-12)
    else:
        assert norm == 0
        assert not vector.any()
