"""Piecewise polynomials: exact where they must be, converging where they may not be."""

from typing import Any

import numpy as np
import pytest

from engine.numerics.piecewise import evaluate, fit


def cubic(t: np.ndarray) -> np.ndarray:
    return 2 * t**3 - t**2 + 0.25 * t - 3


def test_polynomials_of_the_degree_are_exact_up_to_the_ends(xp: Any, given: Any, host: Any) -> None:
    t = np.concatenate([np.linspace(0, 1, 8), np.random.default_rng(0).random(32)])
    (value,) = evaluate(xp, [xp.asarray(fit(cubic, pieces=7, degree=3))], given(t))
    np.testing.assert_allclose(host(value), cubic(t), rtol=0, atol=2e-15)


def test_a_lower_degree_is_noticed() -> None:
    t = np.linspace(0, 1, 40)
    (value,) = evaluate(np, [fit(cubic, pieces=7, degree=2)], t)
    assert np.max(np.abs(value - cubic(t))) > 1e-5


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_error_is_the_one_of_chebyshev_interpolation(degree: int) -> None:
    """|f⁽ⁿ⁾| h^n / (n! 2^(2n−1)) with n = degree + 1, for exp on pieces of length h."""
    pieces, n = 10, degree + 1
    t = np.linspace(0, 1, 4001)
    (value,) = evaluate(np, [fit(np.exp, pieces=pieces, degree=degree)], t)
    bound = np.e * pieces**-n / (float(np.prod(np.arange(1, n + 1))) * 2 ** (2 * n - 1))
    worst = np.max(np.abs(value - np.exp(t)))
    assert bound / 2 < worst < bound * 1.01 + 1e-15


def test_one_look_up_serves_several_tables_of_any_shape(xp: Any, given: Any, host: Any) -> None:
    t = np.random.default_rng(1).random((2, 3, 4))
    tables = [xp.asarray(fit(function, pieces=64, degree=5)) for function in (np.sin, np.cosh)]
    sine, cosh = evaluate(xp, tables, given(t))
    np.testing.assert_allclose(host(sine), np.sin(t), rtol=0, atol=1e-14)
    np.testing.assert_allclose(host(cosh), np.cosh(t), rtol=0, atol=1e-14)
