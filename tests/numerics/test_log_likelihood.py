"""The noncentral χ² likelihood and the summed power, against densities, derivatives and snapshots."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from engine.numerics.bessel import log_bessel_reduced
from engine.numerics.likelihood_fit import highest_contribution, likelihood_fit, log_reference
from engine.numerics.noncentral_chi2 import log_likelihood, log_likelihood_and_slope, summed_power


def _mpmath_log_density(s: float, noncentrality: float, n: int) -> float:
    with mpmath.workdps(60):
        x = mpmath.sqrt(mpmath.mpf(s) * noncentrality)
        power = mpmath.mpf(n - 1) / 2 * mpmath.log(mpmath.mpf(s) / noncentrality)
        log_i = mpmath.log(mpmath.besseli(n - 1, x))
        return float(mpmath.log(0.5) - (mpmath.mpf(s) + noncentrality) / 2 + power + log_i)


@pytest.mark.parametrize("n", [1, 2, 50, 1000])
def test_density_against_mpmath(n: int) -> None:
    for s in (0.01, 2.0 * n, 50.0 * n, 1e4 * n):
        for noncentrality in (1e-6, 0.7, 3.0 * n, 1e4 * n):
            ours = float(log_likelihood(np.array(s), np.array(noncentrality), n))
            theirs = _mpmath_log_density(s, noncentrality, n)
            assert ours == pytest.approx(theirs, rel=3e-13, abs=3e-11)


def test_density_against_scipy_and_without_signal() -> None:
    s = np.array([0.3, 5.0, 40.0])
    assert np.allclose(log_likelihood(s, np.array(7.0), 3), stats.ncx2.logpdf(s, 6, 7.0), rtol=1e-12)
    assert np.allclose(log_likelihood(s, np.array(0.0), 3), stats.chi2.logpdf(s, 6), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 7, 50, 1000])
def test_slope_is_the_derivative(n: int) -> None:
    s = np.array([0.5, 2.0, 9.0])[:, None] * n
    noncentrality = np.array([0.2, 1.0, 30.0]) * n
    step = 1e-4 * n
    difference = (log_likelihood(s, noncentrality + step, n) - log_likelihood(s, noncentrality - step, n)) / (2 * step)
    assert np.allclose(log_likelihood_and_slope(s, noncentrality, n)[1], difference, rtol=1e-5, atol=1e-7)


def _snapshot_by_snapshot(generator: np.random.Generator, rho: float, n: int, size: int) -> np.ndarray:
    """S from L received samples each, with a random symbol phase: the long way."""
    noise = (generator.standard_normal((size, n)) + 1j * generator.standard_normal((size, n))) / np.sqrt(2)
    symbol = np.exp(2j * np.pi * generator.random((size, n)))
    return np.sum(2 * np.abs(np.sqrt(rho / 2) * symbol + noise) ** 2, axis=-1)


def _drawn(generator: np.random.Generator, noncentrality: float, n: int, size: int) -> np.ndarray:
    return summed_power(np.array(noncentrality), generator.standard_normal(size), generator.chisquare(2 * n - 1, size))


@pytest.mark.parametrize(("n", "rho"), [(1, 0.0), (1, 5.0), (4, 0.3), (50, 2.0)])
def test_one_draw_stands_for_all_snapshots(n: int, rho: float) -> None:
    size = 20_000
    generator = np.random.default_rng(11)
    long_way = _snapshot_by_snapshot(generator, rho, n, size)
    short = _drawn(generator, n * rho, n, size)
    # The two-sample Kolmogorov-Smirnov distance exceeds this once in ten thousand.
    limit = np.sqrt(-np.log(1e-4 / 2) / size)
    assert stats.ks_2samp(long_way, short).statistic < limit
    for sample in (long_way, short):
        mean, variance = 2 * n + n * rho, 4 * n + 4 * n * rho
        assert abs(sample.mean() - mean) < 4 * np.sqrt(variance / size)
    wrong = _drawn(generator, n * rho + 0.2 * np.sqrt(4 * n + 4 * n * rho), n, size)  # the test can fail
    assert stats.ks_2samp(long_way, wrong).statistic > limit


def test_normalised_power_is_unbiased_up_to_a_thousand_snapshots() -> None:
    n, mu, size = 1000, 0.05, 20_000
    z = _drawn(np.random.default_rng(3), n * 2 * mu, n, size) / (2 * n) - 1  # Eq. (8)
    assert abs(z.mean() - mu) < 4 * np.sqrt((1 + 2 * mu) / n / size)


@pytest.mark.parametrize("n", [1, 2, 5, 20, 50, 200, 1000])
def test_fit_for_single_precision(n: int) -> None:
    fit = likelihood_fit(n)
    x = np.concatenate([[0.0], np.logspace(-4, 8, 4000)])
    v = fit.offset / (x + np.hypot(fit.offset, x))
    error = np.polyval(fit.coefficients, v) + fit.slope * np.log(v) - log_bessel_reduced(n - 1, x)
    assert np.max(np.abs(error)) < (2e-5 if n <= 50 else 1e-4)


@pytest.mark.parametrize("n", [1, 50])
def test_no_sensor_adds_more_than_its_highest_contribution(n: int) -> None:
    generator = np.random.default_rng(5)
    root = np.sqrt(10 ** generator.uniform(-2, 7, 300))
    near = np.maximum(root[:, None] + np.linspace(-4, 4, 2001), 0.0)
    amplitude = np.concatenate([root[:, None] * np.linspace(0, 2, 2001), near], axis=1)
    fit = likelihood_fit(n)
    x = root[:, None] * amplitude
    v = fit.offset / (x + np.hypot(fit.offset, x))
    added = np.polyval(fit.coefficients, v) + fit.slope * np.log(v) - 0.5 * (amplitude - root[:, None]) ** 2
    highest = np.max(added, axis=1) - log_reference(n, root)
    bound = highest_contribution(n, root)
    assert np.all(bound >= highest)
    assert np.all(bound - highest < 0.05)
