"""A posterior's mean and variance: against every place of a fine grid, and against the errors that were made."""

import math

import numpy as np
import pytest
import scipy.special

from engine.estimators import Estimates, MaximumLikelihood, Observations, PosteriorMean, Problem, Workbench
from engine.estimators.posterior import Posterior, highest, posterior
from engine.estimators.posterior_moments import expected_squared_errors, moments, moments_of
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.pattern import SearchGrid

WAVELENGTH_M, N_ELEMENTS, N_SNAPSHOTS = 0.012, 24, 3
ARRAY = UniformLinearArray(N_ELEMENTS, WAVELENGTH_M / 2, WAVELENGTH_M)
AREA = SearchGrid(0.4, 3.0, 0.7, 2.5, n_ranges=4, n_angles=6)
ALPHA, BETA = 1.5, 2.5


def leakage_oracle(range_m: np.ndarray, angle_rad: np.ndarray, sensor_rad: np.ndarray) -> np.ndarray:
    """Eq. (9) for spherical waves at places (...) toward sensors (K,): (..., K)."""
    x = (np.arange(N_ELEMENTS) - (N_ELEMENTS - 1) / 2) * WAVELENGTH_M / 2
    d, c = range_m[..., None], np.cos(angle_rad)[..., None]
    path = np.sqrt(d**2 + x**2 - 2 * d * x * c) - d
    k = 2 * np.pi / WAVELENGTH_M
    field = np.exp(-1j * k * path) @ np.exp(-1j * k * np.outer(x, np.cos(sensor_rad)))
    return np.abs(field) ** 2 / N_ELEMENTS


def drawn(size: int, n_sensors: int, snr_db: float, seed: int) -> tuple[Workbench, Observations, Estimates]:
    """Users of the problem's own prior, what sensors see of them, L = 3 complex samples each, and where they are."""
    random = np.random.default_rng(seed)
    range_m = 0.4 + 2.6 * random.beta(ALPHA, BETA, size)
    angle_rad = random.uniform(0.7, 2.5, size)
    sensor_m, sensor_rad = random.uniform(30, 60, (size, n_sensors)), random.uniform(0.5, 2.7, (size, n_sensors))
    snr = 10 ** (snr_db / 10)
    g = np.stack([leakage_oracle(range_m[b], angle_rad[b], sensor_rad[b]) for b in range(size)])
    mu = snr * (WAVELENGTH_M / (4 * np.pi * sensor_m)) ** 2 * g
    noise = random.standard_normal((2, N_SNAPSHOTS, size, n_sensors)) / math.sqrt(2)
    statistic = 2 * np.sum((np.sqrt(mu) + noise[0]) ** 2 + noise[1] ** 2, axis=0)
    workbench = Workbench(Problem(ARRAY, AREA, (snr,), (N_SNAPSHOTS,), ALPHA, BETA), np)
    seen = Observations(statistic[:, None, None, :], sensor_m, sensor_rad)
    return workbench, seen, Estimates(range_m[:, None, None], angle_rad[:, None, None])


def oracle(seen: Observations, b: int, snr: float) -> tuple[list[float], list[float]]:
    """Mean and variance of range and angle at 150 000 places, by the noncentral χ² as textbooks print it."""
    ranges_m, angles_rad = np.meshgrid(np.linspace(0.4, 3, 300), np.linspace(0.7, 2.5, 500))
    s, sensor_m, sensor_rad = seen.statistic[b, 0, 0], seen.sensor_range_m[b], seen.sensor_angle_rad[b]
    g = leakage_oracle(ranges_m, angles_rad, sensor_rad)
    noncentrality = 2 * N_SNAPSHOTS * snr * (WAVELENGTH_M / (4 * np.pi * sensor_m)) ** 2 * g
    root = np.sqrt(noncentrality * s)
    order = N_SNAPSHOTS - 1
    log_density = -(noncentrality + s) / 2 + order / 2 * np.log(s / noncentrality) + root
    log_density += np.log(scipy.special.ive(order, root))
    unit = (ranges_m - 0.4) / 2.6
    with np.errstate(divide="ignore"):
        prior = (ALPHA - 1) * np.log(unit) + (BETA - 1) * np.log(1 - unit)
    total = log_density.sum(axis=-1) + prior
    mass = np.exp(total - total.max())
    mass /= mass.sum()
    means = [float(np.sum(mass * part)) for part in (ranges_m, angles_rad)]
    squares = [float(np.sum(mass * (part - m) ** 2)) for part, m in zip((ranges_m, angles_rad), means, strict=True)]
    return means, squares


@pytest.mark.parametrize(("n_sensors", "snr_db"), [(4, 68.0), (12, 72.0), (12, 82.0)])
def test_moments_are_those_of_every_place(n_sensors: int, snr_db: float) -> None:
    workbench, seen, _ = drawn(3, n_sensors, snr_db, seed=3)
    found = moments(workbench.batch(seen), SPHERICAL)
    for b in range(3):
        means, squares = oracle(seen, b, workbench.problem.snr[0])
        for i in (0, 1):
            assert abs(found.mean[i][b, 0, 0] - means[i]) < 0.05 * math.sqrt(squares[i])
            assert found.variance[i][b, 0, 0] == pytest.approx(squares[i], rel=0.05)


def test_the_mean_is_the_estimators() -> None:
    workbench, seen, _ = drawn(9, 6, 75.0, seed=4)
    batch = workbench.batch(seen)
    for ours, theirs in zip(moments(batch, SPHERICAL).mean, PosteriorMean().prepare(workbench)(batch), strict=True):
        assert np.array_equal(ours, theirs)


def scores(expected: Estimates, made: Estimates) -> np.ndarray:
    """Standard errors by which mean expected squared errors lie above those that were made, range and angle."""
    differences = np.stack([(e - m).ravel() for e, m in zip(expected, made, strict=True)])
    size = differences.shape[1]
    return np.asarray(differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(size)))


def squared(estimates: Estimates, truth: Estimates) -> Estimates:
    return Estimates(*((e - t) ** 2 for e, t in zip(estimates, truth, strict=True)))


@pytest.mark.parametrize("snr_db", [66.0, 72.0, 80.0])
def test_expected_squared_errors_are_those_made(snr_db: float) -> None:
    """Paired, of 4000 users: the posterior mean, and maximum likelihood, which assumes another carrier's spacing."""
    workbench, seen, truth = drawn(4000, 8, snr_db, seed=5)
    batch = workbench.batch(seen)
    held = moments(batch, SPHERICAL)
    wrong = Workbench(workbench.problem, np)
    likeliest = MaximumLikelihood(leakage="as_printed").prepare(wrong)(wrong.batch(seen))
    for estimates in (held.mean, likeliest):
        assert np.all(np.abs(scores(expected_squared_errors(held, estimates), squared(estimates, truth))) < 4)


def without_second_mode(mass: np.ndarray) -> np.ndarray:
    """Which angles (n,) are left of a marginal when its second-largest run between two minima is deleted."""
    minima = np.flatnonzero((mass[1:-1] <= mass[:-2]) & (mass[1:-1] < mass[2:])) + 1
    runs = np.split(np.arange(len(mass)), minima)
    order = np.argsort([mass[run].sum() for run in runs])
    left = np.ones(len(mass), dtype=bool)
    if len(runs) > 1:
        left[runs[order[-2]]] = False
    return left


def test_a_posterior_without_one_of_its_modes_is_found_out() -> None:
    workbench, seen, truth = drawn(4000, 8, 72.0, seed=5)
    batch = workbench.batch(seen).resolving()
    whole = batch.once(posterior, SPHERICAL)
    left = np.stack([without_second_mode(mass) for mass in whole.mass[:, 0]])[:, None, :]
    poorer = moments_of(batch, Posterior(*(part * left for part in whole)), highest(batch, SPHERICAL))
    of_angle = scores(expected_squared_errors(poorer, poorer.mean), squared(poorer.mean, truth))[1]
    assert of_angle < -4  # where modes are apart; in range they are not
