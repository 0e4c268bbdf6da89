"""Information about the noncentrality: against mpmath, against its limits, and against simulated powers."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0e, i1e
from scipy.stats import ncx2

from engine.numerics.noncentral_chi2 import information, information_by_quadrature

DOCUMENTED = 3e-11


def information_from_densities(rho: float) -> float:
    """E[(∂ ln f₂/∂ρ)²] with ∂f₂/∂ρ = (f₄ − f₂)/2, f_ν the noncentral χ² densities, over √z at 35 digits."""
    with mpmath.workdps(35):
        a = mpmath.sqrt(mpmath.mpf(rho))

        def integrand(r: Any) -> Any:
            common = mpmath.exp(-((r * r) + a * a) / 2) / 2
            f2 = common * mpmath.besseli(0, a * r)
            f4 = common * (r / a * mpmath.besseli(1, a * r) if rho else r * r / 2)
            return 2 * r * (f4 - f2) ** 2 / (4 * f2)

        return float(mpmath.quad(integrand, mpmath.linspace(max(mpmath.mpf(0), a - 12), a + 12, 5)))


@pytest.mark.parametrize("rho", [0.0, 1e-6, 1e-3, 1.0, 10.0, 100.0, 1e4, 1e8, 1e12])
def test_agrees_with_mpmath(rho: float) -> None:
    exact = information_from_densities(rho)
    assert float(information_by_quadrature(np.array(rho))) == pytest.approx(exact, rel=1e-12, abs=0)
    assert float(information(np.array(rho))) == pytest.approx(exact, rel=DOCUMENTED, abs=0)


def test_table_agrees_with_quadrature_everywhere(given: Any, host: Any) -> None:
    rho = np.concatenate([[0.0], np.logspace(-12, 12, 6_001)]).reshape(2, -1)
    table = host(information(given(rho)))
    assert table.shape == rho.shape
    np.testing.assert_allclose(table, information_by_quadrature(rho), rtol=DOCUMENTED, atol=0)


def test_published_values_and_limits(given: Any, host: Any) -> None:
    values = host(information(given([0.0, 1e-6, 1.0, 100.0, 1e9])))
    assert values[0] == pytest.approx(0.25, rel=DOCUMENTED)
    assert round(values[1], 8) == 0.24999975
    assert round(values[2], 8) == 0.13036173
    assert round(400 * values[3], 8) == 0.99497448
    assert 4e9 * values[4] == pytest.approx(1 - 1 / 2e9, rel=DOCUMENTED)  # J₂ → 1/(4ρ)


def score_deviation(z: np.ndarray, rho: float) -> float:
    """How many standard errors the sample variance of the score of Eq. (15) is away from J₂(ρ)."""
    argument = np.sqrt(rho * z)
    score = -0.5 + 0.5 * np.sqrt(z / rho) * i1e(argument) / i0e(argument)
    squares = (score - score.mean()) ** 2
    standard_error = squares.std() / np.sqrt(z.size)
    return float(abs(squares.mean() - information(np.array(rho))) / standard_error)


@pytest.mark.parametrize("rho", [0.02, 1.0, 8.0, 400.0])
def test_information_is_the_variance_of_the_score_of_simulated_powers(rho: float) -> None:
    random = np.random.default_rng(11)
    sigma, mu, size = 3.0, rho / 2, 200_000
    noise = sigma / np.sqrt(2) * (random.standard_normal(size) + 1j * random.standard_normal(size))
    power = np.abs(np.sqrt(mu) * sigma * np.exp(0.7j) + noise) ** 2
    assert score_deviation(2 * power / sigma**2, rho) < 4
    assert score_deviation(power / sigma**2, rho) > 40  # Eq. (12) as printed, without the factor 2


def information_in_the_sum(n_snapshots: int, rho: float) -> float:
    """Information about ρ in the sum over L snapshots: noncentral χ², 2L degrees of freedom, noncentrality Lρ."""
    freedom, noncentrality = 2 * n_snapshots, n_snapshots * rho
    mean, deviation = freedom + noncentrality, np.sqrt(2 * (freedom + 2 * noncentrality))

    def integrand(s: float) -> float:
        here = ncx2.pdf(s, freedom, noncentrality)
        return (0.5 * (ncx2.pdf(s, freedom + 2, noncentrality) - here)) ** 2 / here

    low, high = max(1e-9, mean - 9 * deviation), mean + 11 * deviation
    return n_snapshots**2 * quad(integrand, low, high, epsabs=0, epsrel=1e-8, limit=200)[0]


@pytest.mark.parametrize(("rho", "kept"), [(0.5, 0.980), (2.0, 0.942), (5.0, 0.943), (100.0, 0.995)])
def test_the_sum_of_snapshots_keeps_most_but_not_all_information(rho: float, kept: float) -> None:
    """L powers carry L J₂; their sum carries up to 6 % less, so it is no sufficient statistic."""
    per_snapshot = float(information(np.array(rho)))
    assert information_in_the_sum(1, rho) == pytest.approx(per_snapshot, rel=1e-3)
    assert information_in_the_sum(50, rho) / (50 * per_snapshot) == pytest.approx(kept, abs=5e-4)
