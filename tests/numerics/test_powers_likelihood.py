"""The likelihood of powers at many places in a compiled loop, held to scipy's noncentral χ²."""

import numpy as np
import pytest

from engine.numerics.powers_likelihood_cpu import powers_log_likelihood


@pytest.mark.parametrize("n_snapshots", [1, 2, 50])
@pytest.mark.parametrize("n_sensors", [1, 8, 11])
def test_as_scipys(n_snapshots: int, n_sensors: int) -> None:
    from scipy.stats import ncx2

    random = np.random.default_rng(n_snapshots + n_sensors)
    snr = 30.0
    true = 10 ** random.uniform(-4, 0.5, n_sensors)
    power = true * 10 ** random.uniform(-0.3, 0.3, (40, n_sensors))
    statistic = random.noncentral_chisquare(2 * n_snapshots, 2 * n_snapshots * snr * true)
    power.setflags(write=False)
    statistic.setflags(write=False)
    expected = ncx2.logpdf(statistic, 2 * n_snapshots, 2 * n_snapshots * snr * power).sum(axis=-1)
    found = powers_log_likelihood(power, statistic=statistic, snr=snr, n_snapshots=n_snapshots)
    there = expected > -600  # beyond, scipy underflows
    assert np.count_nonzero(there) > 5
    assert found[there] == pytest.approx(expected[there], abs=1e-4 * n_sensors)


def test_no_power_and_no_place() -> None:
    """No power is the central χ²; where nobody can be, nothing is likely."""
    from scipy.stats import chi2

    power = np.array([[0.0, 0.0], [np.nan, 1.0], [1.0, np.nan]])
    found = powers_log_likelihood(power, statistic=np.array([3.0, 9.0]), snr=5.0, n_snapshots=4)
    assert found[0] == pytest.approx(chi2.logpdf([3.0, 9.0], 8).sum(), abs=2e-4)
    assert np.all(found[1:] == -np.inf)
