"""Fisher information, prior information and the bound, against loops, integrals and numpy.linalg."""

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln

from engine.errors import InputError
from engine.numerics.information import bayesian_bound, expected_information, prior_information
from engine.numerics.information_cpu import compiled_expected_information
from engine.numerics.leakage import LeakageTable
from engine.numerics.noncentral_chi2 import information_by_quadrature


def random_table(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.gamma(0.3, 3.0, size), random.normal(0, 5, size), random.normal(0, 300, size)


def test_expected_information_is_the_sum_over_sensors_and_ranges(given: Any, host: Any) -> None:
    batch, points, sensors = 2, 3, 4
    g, by_range, by_angle = random_table((batch, points, sensors))
    random = np.random.default_rng(5)
    beta, weights = random.uniform(1e-10, 3e-10, (batch, sensors)), random.dirichlet(np.ones(points))
    snr = np.array([1e8, 1e10])
    computed = expected_information(
        LeakageTable(given(g), given(by_range), given(by_angle)), given(beta), given(weights), given(snr)
    )
    expected = np.zeros((batch, snr.size, 3))
    for b, s, p, k in np.ndindex(batch, snr.size, points, sensors):
        rho = 2 * snr[s] * beta[b, k] * g[b, p, k]
        gradient = np.array([by_range[b, p, k], by_angle[b, p, k]])
        outer = np.outer(gradient, gradient) * (2 * snr[s] * beta[b, k]) ** 2  # Eq. (23)
        expected[b, s] += weights[p] * information_by_quadrature(rho) * outer[np.triu_indices(2)]
    # Sums of 12 terms of either sign in the off-diagonal entry, J₂ to 3e-11.
    np.testing.assert_allclose(host(computed), expected, rtol=1e-9)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 32, 7), (2, 5, 40)])
def test_compiled_information_is_that_of_the_arrays(shape: tuple[int, ...]) -> None:
    """Levels from far below the noise to far above it; read-only arguments."""
    batch, points, sensors = shape
    random = np.random.default_rng(7)
    parts = (
        *random_table(shape),
        random.uniform(1e-10, 3e-10, (batch, sensors)),
        random.dirichlet(np.ones(points)),
        10.0 ** np.array([4.0, 7.0, 9.5, 12.0, 15.0]),
    )
    for part in parts:
        part.setflags(write=False)
    g, by_range, by_angle, beta, weights, snr = parts
    table = LeakageTable(g, by_range, by_angle)
    expected = expected_information(table, beta, weights, snr)
    found = compiled_expected_information(table, beta, weights, snr)
    scale = np.sqrt(expected[..., :1] * expected[..., 2:])  # of the mixed entry, in which terms cancel
    np.testing.assert_allclose(found[..., 1:2] / scale, expected[..., 1:2] / scale, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found[..., ::2], expected[..., ::2], rtol=1e-11)
    other = compiled_expected_information(table, beta * (1 + 1e-9), weights, snr)
    assert not np.allclose(other[..., ::2], expected[..., ::2], rtol=1e-11, atol=0)  # the test can fail


def test_bound_is_the_diagonal_of_the_inverse(given: Any, host: Any) -> None:
    random = np.random.default_rng(6)
    root = random.normal(size=(3, 4, 2, 2))
    matrix = root @ np.swapaxes(root, -1, -2)
    entries = np.stack([matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]], axis=-1)
    by_range, by_angle = bayesian_bound(given(entries), 0.3)
    inverse = np.linalg.inv(matrix + np.diag([0.3, 0.0]))
    np.testing.assert_allclose(host(by_range), inverse[..., 0, 0], rtol=1e-10)
    np.testing.assert_allclose(host(by_angle), inverse[..., 1, 1], rtol=1e-10)
    known_angle = 1 / (matrix[..., 0, 0] + 0.3)
    assert np.max(host(by_range) / known_angle) > 1.5  # leaving out the coupling would be another bound


def information_between(alpha: float, beta: float, margin: float) -> float:
    """∫ p (∂ ln p/∂u)² du of Beta(α, β) over [margin, 1 − margin]."""

    def integrand(u: float) -> float:
        log_density = (alpha - 1) * np.log(u) + (beta - 1) * np.log1p(-u) - betaln(alpha, beta)
        return float(np.exp(log_density) * ((alpha - 1) / u - (beta - 1) / (1 - u)) ** 2)

    halves = ((margin, 0.5), (0.5, 1 - margin))
    return sum(quad(integrand, *half, epsabs=0, epsrel=1e-9, limit=500)[0] for half in halves)


@pytest.mark.parametrize(("alpha", "beta"), [(3, 3), (4, 7), (3.5, 8.25), (10, 2.9)])
def test_exact_prior_information_is_the_integral(alpha: float, beta: float) -> None:
    exact = information_between(alpha, beta, 1e-13) / 10**2
    assert prior_information("exact", alpha=alpha, beta=beta, width_m=10) == pytest.approx(exact, rel=1e-7)
    assert prior_information("formula", alpha=alpha, beta=beta, width_m=10) != pytest.approx(exact, rel=0.1)


def test_information_of_the_papers_own_prior_diverges() -> None:
    """Each further factor of 10 toward the ends adds 6 ln 10 from either of them."""
    parts = [information_between(2, 2, margin) for margin in (1e-4, 1e-5, 1e-6)]
    np.testing.assert_allclose(np.diff(parts), 2 * 6 * np.log(10), rtol=1e-3)


@pytest.mark.parametrize(("alpha", "beta"), [(2, 2), (2, 3), (5, 1.5)])
def test_infinite_prior_information_is_refused(alpha: float, beta: float) -> None:
    with pytest.raises(InputError, match=f"infinite for Beta\\({alpha}, {beta}\\)"):
        prior_information("exact", alpha=alpha, beta=beta, width_m=10)


def test_values_of_the_papers_formula() -> None:
    assert prior_information("formula", alpha=2, beta=2, width_m=10) == pytest.approx(0.06, rel=1e-15)
    assert round(prior_information("formula", alpha=2, beta=2, width_m=18), 4) == 0.0185
    assert prior_information("as_printed", alpha=2, beta=2, width_m=10) == 0.0185
