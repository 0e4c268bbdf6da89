"""Overlaps of noncentral χ² laws: against adaptive quadrature of SciPy's densities; loops against arrays."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from engine.numerics.bhattacharyya import exponent, exponent_by_quadrature, stabilised
from engine.numerics.bhattacharyya_cpu import summed_exponents


def oracle(first: float, second: float, n_snapshots: int) -> float:
    """−log ∫ √(p p′) over r = √S."""

    def overlap(r: float) -> float:
        p, q = (_log_density(r * r, noncentrality, n_snapshots) for noncentrality in (first, second))
        return 2 * r * math.exp((p + q) / 2)

    middle = (math.sqrt(first + 2 * n_snapshots) + math.sqrt(second + 2 * n_snapshots)) / 2
    value, _ = scipy.integrate.quad(overlap, max(0.0, middle - 9), middle + 9, epsabs=0, epsrel=1e-11, limit=400)
    return -math.log(value)


def _log_density(s: float, noncentrality: float, n_snapshots: int) -> float:
    if not noncentrality:
        return float(scipy.stats.chi2.logpdf(s, 2 * n_snapshots))
    return float(scipy.stats.ncx2.logpdf(s, 2 * n_snapshots, noncentrality))


PAIRS = ((0.0, 1.0), (0.0, 30.0), (0.3, 0.4), (2.0, 9.0), (10.0, 40.0), (100.0, 130.0), (5.0, 200.0), (900.0, 1000.0))


@pytest.mark.parametrize("n_snapshots", [1, 2, 7, 50])
def test_exponents_are_those_of_the_densities(n_snapshots: int) -> None:
    for first, second in PAIRS:
        expected = oracle(first, second, n_snapshots)
        if expected > 1e-6:
            arguments = np.array([first]), np.array([second])
            assert exponent_by_quadrature(*arguments, n_snapshots)[0] == pytest.approx(expected, rel=1e-6)
            t = (stabilised(part, n_snapshots) for part in arguments)
            assert exponent(*t, n_snapshots)[0] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("n_snapshots", [1, 3, 50, 1000])
def test_the_table_is_as_good_as_it_says(n_snapshots: int) -> None:
    random = np.random.default_rng(n_snapshots)
    scale = 10 ** random.uniform(-3, 3, (2, 400)) * n_snapshots
    both = np.sort(scale * random.random((2, 400)), axis=0)
    expected = exponent_by_quadrature(*both, n_snapshots)
    some = (expected > 1e-9) & (expected < 60)
    found = exponent(*(stabilised(one, n_snapshots) for one in both), n_snapshots)
    assert some.sum() > 150
    error = np.abs(found / expected - 1)[some]
    assert np.max(error) < 3e-3
    assert np.mean(error) < 3e-4
    closed = (stabilised(both[0], n_snapshots) - stabilised(both[1], n_snapshots)) ** 2 / 8
    assert np.max(np.abs(closed / expected - 1)[some]) > 0.015  # the test can fail: without the table


def test_loops_sum_what_the_arrays_say() -> None:
    random = np.random.default_rng(3)
    t = random.exponential(1.0, (30, 7))
    t[4, :] = t[9, :] = 0.0
    t.setflags(write=False)
    for n in (1, 50):
        expected = exponent(t[:, None, :], t[None, :, :], n).sum(axis=-1)
        found = summed_exponents(t, n)
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)
        assert np.array_equal(found, found.T)


def test_any_namespace(given: Any, host: Any) -> None:
    random = np.random.default_rng(4)
    first, second = random.exponential(2.0, (2, 3, 5))
    assert np.allclose(host(exponent(given(first), given(second), 7)), exponent(first, second, 7))
    assert np.allclose(host(stabilised(given(first), 7)), np.sqrt(first + 7) - math.sqrt(7))
