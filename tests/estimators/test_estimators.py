"""The estimators as statistics: what theory says of them, with tolerances of four standard errors."""

import numpy as np
import pytest
from own_model import QUARTIC, TAPERED
from scipy import stats

from engine.estimators import (
    Estimates,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Problem,
    Workbench,
)
from engine.estimators.described import description, reader
from engine.estimators.estimator import Estimator
from engine.estimators.likelihood import Likelihood
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray, path_gain
from engine.numerics.information import expected_information
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.noncentral_chi2 import summed_power
from engine.numerics.pattern import SearchGrid

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(100, WAVELENGTH_M / 2, WAVELENGTH_M)
GRID = SearchGrid(2.0, 12.0, np.pi / 6, 5 * np.pi / 6)
USER_M, USER_RAD = 4.321, 1.2345  # off the grid
SNAPSHOTS, SNR, SIZE = 100, 10 ** ((23 + 80) / 10), 400


def _one_scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Range and angle of forty sensors, and the bound (2 × 2) of the user among them."""
    generator = np.random.default_rng(8)
    sensor_m = generator.uniform(100, 150, 40)
    sensor_rad = np.arccos(np.cos(USER_RAD) + np.linspace(-0.3, 0.3, 40))
    gain = path_gain(sensor_m, WAVELENGTH_M)
    table = leakage(
        SPHERICAL, ARRAY, range_m=np.array([USER_M]), angle_rad=np.array([USER_RAD]), sensor_angle_rad=sensor_rad
    )
    one = expected_information(table, gain, np.ones(1), np.array([SNR]))[0] * SNAPSHOTS
    return sensor_m, sensor_rad, np.linalg.inv(np.array([[one[0], one[1]], [one[1], one[2]]]))


def _seen(size: int, *, seed: int) -> tuple[Observations, np.ndarray]:
    """`size` read-only observations of the one scene, and its bound."""
    sensor_m, sensor_rad, bound = _one_scene()
    generator = np.random.default_rng(seed)
    g = leakage(
        SPHERICAL, ARRAY, range_m=np.array([USER_M]), angle_rad=np.array([USER_RAD]), sensor_angle_rad=sensor_rad
    ).value[0]
    rho = 2 * SNR * path_gain(sensor_m, WAVELENGTH_M) * g
    statistic = summed_power(
        SNAPSHOTS * rho, generator.standard_normal((size, 40)), generator.chisquare(2 * SNAPSHOTS - 1, (size, 40))
    )
    seen = Observations(statistic[:, None, None, :], np.tile(sensor_m, (size, 1)), np.tile(sensor_rad, (size, 1)))
    for part in seen:
        part.setflags(write=False)
    return seen, bound


def _errors(array: UniformLinearArray, **fields: object) -> tuple[np.ndarray, np.ndarray]:
    """Errors (SIZE, 2) of maximum likelihood under `array` for one user and forty sensors; and the bound."""
    seen, bound = _seen(SIZE, seed=9)
    workbench = Workbench(Problem(array, GRID, (SNR,), (SNAPSHOTS,)), np)
    estimate = MaximumLikelihood(leakage="spherical", **fields).prepare(workbench)(workbench.batch(seen))
    return np.stack([estimate.range_m[:, 0, 0] - USER_M, estimate.angle_rad[:, 0, 0] - USER_RAD], axis=-1), bound


def _meets(errors: np.ndarray, bound: np.ndarray) -> bool:
    """Whether n eᵀ J e adds up to χ² with 2n degrees of freedom, within four of its deviations."""
    n = len(errors)
    distance = np.einsum("ni,ij,nj->", errors, np.linalg.inv(bound), errors)
    return bool(abs(distance - 2 * n) < 4 * np.sqrt(4 * n))


@pytest.mark.slow
def test_maximum_likelihood_meets_the_bound_off_the_grid() -> None:
    errors, bound = _errors(ARRAY)
    assert _meets(errors, bound)
    # The ratio of a sample variance to the bound has deviation √(2/n).
    assert np.all(np.abs(np.mean(errors**2, axis=0) / np.diag(bound) - 1) < 4 * np.sqrt(2 / SIZE))
    assert abs(
        stats.pearsonr(errors[:, 0], errors[:, 1]).statistic - bound[0, 1] / np.sqrt(bound[0, 0] * bound[1, 1])
    ) < (4 / np.sqrt(SIZE))


@pytest.mark.slow
def test_on_the_grid_or_at_a_wrong_wavelength_it_does_not() -> None:
    on_grid, bound = _errors(ARRAY, steps=0)
    assert not _meets(on_grid, bound)
    wrong = UniformLinearArray(100, WAVELENGTH_M / 2, WAVELENGTH_M * 1.02)
    assert not _meets(_errors(wrong)[0], bound)


def _random_batch(size: int = 20) -> tuple[Workbench, Observations]:
    generator = np.random.default_rng(4)
    range_m, angle = generator.uniform(3, 11, (size, 1)), generator.uniform(0.7, 2.4, (size, 1))
    sensor_m, sensor_rad = generator.uniform(100, 150, (size, 20)), generator.uniform(0.5, 2.6, (size, 20))
    g = leakage(FRESNEL_CLOSED, ARRAY, range_m=range_m, angle_rad=angle, sensor_angle_rad=sensor_rad).value[:, 0]
    snr = (10**9.5, 10**10.5)
    rho = 2 * np.array(snr)[:, None] * (path_gain(sensor_m, WAVELENGTH_M) * g)[:, None]
    statistic = np.stack(
        [
            summed_power(
                n * rho, generator.standard_normal((size, 1, 20)), generator.chisquare(2 * n - 1, (size, 1, 20))
            )
            for n in (1, 50)
        ],
        axis=2,
    )
    return Workbench(Problem(ARRAY, GRID, snr, (1, 50)), np), Observations(statistic, sensor_m, sensor_rad)


@pytest.mark.parametrize("model", [SPHERICAL, FRESNEL_CLOSED, QUARTIC, TAPERED])
def test_compiled_and_array_likelihoods_agree(model: LeakageModel) -> None:
    workbench, seen = _random_batch(6)
    likelihood = Likelihood.of(np, workbench.problem, model, seen)
    generator = np.random.default_rng(6)
    range_m, angle_rad = generator.uniform(2, 12, (6, 4, 3)), generator.uniform(0.6, 2.5, (6, 4, 3))
    ours, theirs = likelihood.at(np, range_m, angle_rad), likelihood.at_by_arrays(np, range_m, angle_rad)
    for a, b in zip(ours, theirs, strict=True):
        assert np.all(np.abs(a - b) < 1e-10 * (np.abs(b) + np.mean(np.abs(b))))
    alone = likelihood.of_rows(np.array([3])).at(np, range_m[3:4], angle_rad[3:4])
    assert all(np.array_equal(a[3:4], b) for a, b in zip(ours, alone, strict=True))


def test_gradient_and_information_of_the_likelihood() -> None:
    workbench, seen = _random_batch(5)
    likelihood = Likelihood.of(np, workbench.problem, FRESNEL_CLOSED, seen)
    range_m, angle_rad = np.full((5, 4, 1), 5.0), np.full((5, 4, 1), 1.4)
    at = likelihood.at(np, range_m, angle_rad)
    h = 1e-6
    by_range = (likelihood.at(np, range_m + h, angle_rad).value - likelihood.at(np, range_m - h, angle_rad).value) / (
        2 * h
    )
    by_angle = (likelihood.at(np, range_m, angle_rad + h).value - likelihood.at(np, range_m, angle_rad - h).value) / (
        2 * h
    )
    assert np.allclose(at.by_range, by_range, rtol=1e-4, atol=1e-4)
    assert np.allclose(at.by_angle, by_angle, rtol=1e-4, atol=1e-2)
    assert np.all(at.range_range * at.angle_angle >= at.range_angle**2)


def test_the_highest_peak_is_as_likely_as_any_candidate_and_within_the_rectangle() -> None:
    workbench, seen = _random_batch()
    likelihood = Likelihood.of(np, workbench.problem, FRESNEL_CLOSED, seen)
    batch = workbench.batch(seen)

    def value(estimate: Estimates) -> np.ndarray:
        return likelihood.at(np, estimate.range_m.reshape(20, 4, 1), estimate.angle_rad.reshape(20, 4, 1)).value

    on_grid = MaximumLikelihood(leakage="fresnel_closed", steps=0).prepare(workbench)(batch)
    highest = MaximumLikelihood(leakage="fresnel_closed").prepare(workbench)(batch)
    assert np.all(value(highest) > value(on_grid) - 0.02)
    resolving, finer = workbench.resolving(), batch.resolving()
    assert np.all(
        value(highest) >= value(MaximumLikelihood(leakage="fresnel_closed", steps=0).prepare(resolving)(finer))
    )
    assert np.mean(value(highest) > value(on_grid) + 0.1) > 0.25
    assert np.all((highest.range_m >= 2) & (highest.range_m <= 12))


_FEW = UniformLinearArray(32, WAVELENGTH_M / 2, WAVELENGTH_M)
_AREA = SearchGrid(1.0, 6.0, 0.8, 2.3, n_ranges=5, n_angles=9)


def _few_sensors(size: int, snr_db: float) -> tuple[Workbench, Observations]:
    """Thirty-two elements and seven sensors: posteriors of several narrow peaks, on a grid that resolves none."""
    generator = np.random.default_rng(11)
    range_m, angle = generator.uniform(1.5, 5, (size, 1)), generator.uniform(1.0, 2.1, (size, 1))
    sensor_m, sensor_rad = generator.uniform(50, 80, (size, 7)), generator.uniform(0.8, 2.3, (size, 7))
    g = leakage(SPHERICAL, _FEW, range_m=range_m, angle_rad=angle, sensor_angle_rad=sensor_rad).value[:, 0]
    snr = 10 ** (snr_db / 10)
    statistic = summed_power(
        20 * snr * 2 * path_gain(sensor_m, WAVELENGTH_M) * g,
        generator.standard_normal((size, 7)),
        generator.chisquare(39, (size, 7)),
    )
    problem = Problem(_FEW, _AREA, (snr,), (20,), range_alpha=2.0, range_beta=1.5)
    return Workbench(problem, np), Observations(statistic[:, None, None, :], sensor_m, sensor_rad)


@pytest.mark.parametrize("snr_db", [84.0, 96.0])
def test_maximum_likelihood_and_posterior_mean_against_every_place(snr_db: float) -> None:
    """In double precision at half a million places, whose spacing is a fraction of the narrowest peak."""
    size = 12
    workbench, seen = _few_sensors(size, snr_db)
    batch = workbench.batch(seen)
    likelihood = Likelihood.of(np, workbench.problem, SPHERICAL, seen)
    ranges_m, angles_rad = np.linspace(1, 6, 301), np.linspace(0.8, 2.3, 1601)
    d, p = (part.reshape(1, 1, -1) for part in np.meshgrid(ranges_m, angles_rad))
    prior = workbench.problem.log_range_prior(np, d)[0, 0]
    highest, mean, width = [], [], []
    for b in range(size):
        value = likelihood.of_rows(np.array([b])).at(np, d, p).value[0, 0]
        mass = np.exp(value + prior - np.max(value + prior))
        mass /= mass.sum()
        highest.append(value.max())
        mean.append([np.sum(mass * part[0, 0]) for part in (d, p)])
        width.append([np.sqrt(np.sum(mass * (part[0, 0] - m) ** 2)) for part, m in zip((d, p), mean[-1], strict=True)])
    likeliest = MaximumLikelihood().prepare(workbench)(batch)
    reached = likelihood.at(np, likeliest.range_m, likeliest.angle_rad).value[:, 0, 0]
    assert np.all(reached > np.array(highest) - 0.02)
    found = np.stack([part[:, 0, 0] for part in PosteriorMean().prepare(workbench)(batch)], axis=-1)
    apart = np.abs(found - np.array(mean)) / np.array(width)
    assert np.mean(apart**2) < 0.02, apart  # added to the least mean squared error, as a share of it
    on_grid = np.stack([part[:, 0, 0] for part in PosteriorMean(off_grid=False).prepare(workbench)(batch)], axis=-1)
    assert np.max(np.abs(on_grid - np.array(mean)) / np.array(width)) > 1  # the test can fail


def test_posterior_mean_where_the_grid_does_not_resolve_the_posterior() -> None:
    """Against a double-precision grid 60 times finer than the posterior's deviation around its one peak."""
    size = 5
    seen, bound = _seen(size, seed=12)
    workbench = Workbench(Problem(ARRAY, GRID, (SNR,), (SNAPSHOTS,)), np)
    batch = workbench.batch(seen)
    off_grid = PosteriorMean(leakage="spherical").prepare(workbench)(batch)
    on_grid = PosteriorMean(leakage="spherical", off_grid=False).prepare(workbench)(batch)
    deviation_m, deviation_rad = np.sqrt(np.diag(bound))
    d, p = np.meshgrid(
        USER_M + deviation_m * np.linspace(-9, 9, 181), USER_RAD + deviation_rad * np.linspace(-9, 9, 181)
    )
    d, p = (np.tile(part.reshape(1, 1, -1), (size, 1, 1)) for part in (d, p))
    value = Likelihood.of(np, workbench.problem, SPHERICAL, seen).at(np, d, p).value
    mass = np.exp(value - value.max(axis=-1, keepdims=True))
    mass /= mass.sum(axis=-1, keepdims=True)
    mean_m, mean_rad = np.sum(mass * d, axis=-1)[:, 0], np.sum(mass * p, axis=-1)[:, 0]
    assert np.all(np.abs(off_grid.range_m[:, 0, 0] - mean_m) < 0.02 * deviation_m)
    assert np.all(np.abs(off_grid.angle_rad[:, 0, 0] - mean_rad) < 0.02 * deviation_rad)
    assert np.all(np.abs(on_grid.angle_rad[:, 0, 0] - mean_rad) > 2 * deviation_rad)  # the test can fail


def test_estimators_are_described_and_rebuilt() -> None:
    estimator = MaximumLikelihood(leakage="as_printed", steps=3, name="three steps")
    assert reader(Estimator)(description(estimator)) == estimator
    assert LeastSquares().name == "least_squares"
    with pytest.raises(ValueError, match="is no estimator class"):
        reader(Estimator)({"class": "engine.sweep:Sweep"})
    with pytest.raises(ValueError, match="frozen"):
        estimator.steps = 4  # type: ignore[misc]


def test_shared_passes_are_made_once() -> None:
    workbench, seen = _random_batch(2)
    batch = workbench.batch(seen)
    assert batch.likelihood(FRESNEL_CLOSED) is batch.likelihood(FRESNEL_CLOSED)
