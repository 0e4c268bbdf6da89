"""The grid search against the direct double-precision search: same candidates, same posterior."""

from dataclasses import replace

import numpy as np
import pytest
from own_model import QUARTIC, TAPERED

from engine.estimators import Observations, Problem, Workbench
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray, path_gain
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.leakage_models.as_printed import AS_PRINTED
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_models.two_sided import TWO_SIDED
from engine.numerics.noncentral_chi2 import log_likelihood, summed_power
from engine.numerics.pattern import SearchGrid

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(100, WAVELENGTH_M / 2, WAVELENGTH_M)
NOISE_DBM = (-65.0, -75.0, -85.0)
SNAPSHOTS = (1, 50)


def problem(grid: SearchGrid, **prior: float) -> Problem:
    snr = tuple(10 ** ((23 - noise) / 10) for noise in NOISE_DBM)
    return Problem(ARRAY, grid, snr, SNAPSHOTS, **prior)


def grid_of(n_ranges: int = 100, n_angles: int = 180) -> SearchGrid:
    return SearchGrid(2.0, 12.0, np.pi / 6, 5 * np.pi / 6, n_ranges, n_angles)


def observed(
    seed: int, size: int, n_sensors: int, model: LeakageModel = FRESNEL_CLOSED, nearest_m: float = 100.0
) -> Observations:
    """Read-only observations of random users by random sensors."""
    generator = np.random.default_rng(seed)
    range_m, angle = generator.uniform(2, 12, (size, 1)), generator.uniform(np.pi / 6, 5 * np.pi / 6, (size, 1))
    sensor_m = generator.uniform(nearest_m, 150, (size, n_sensors))
    sensor_angle = generator.uniform(np.pi / 6, 5 * np.pi / 6, (size, n_sensors))
    g = leakage(
        model,
        ARRAY,
        range_m=range_m,
        angle_rad=angle,
        sensor_angle_rad=sensor_angle,
        sensor_inverse_range_per_m=1 / sensor_m,
    ).value[:, 0]
    snr = 10 ** ((23 - np.array(NOISE_DBM)) / 10)
    rho = 2 * snr[:, None] * (path_gain(sensor_m, WAVELENGTH_M) * g)[:, None]
    statistic = np.stack(
        [
            summed_power(
                n * rho,
                generator.standard_normal((size, 1, n_sensors)),
                generator.chisquare(2 * n - 1, (size, 1, n_sensors)),
            )
            for n in SNAPSHOTS
        ],
        axis=2,
    )
    for part in (statistic, sensor_m, sensor_angle):
        part.setflags(write=False)
    return Observations(statistic, sensor_m, sensor_angle)


def _received(assumed: Problem, model: LeakageModel, seen: Observations, b: int) -> np.ndarray:
    """β_k g_k of every candidate for realization b, (candidates, K)."""
    ranges_m, angles_rad = assumed.grid.candidates()
    table = leakage(
        model,
        ARRAY,
        range_m=ranges_m,
        angle_rad=angles_rad,
        sensor_angle_rad=seen.sensor_angle_rad[b],
        sensor_inverse_range_per_m=1 / seen.sensor_range_m[b],
    )
    return path_gain(seen.sensor_range_m[b], WAVELENGTH_M) * table.value


def direct_squares(assumed: Problem, model: LeakageModel, seen: Observations, b: int) -> np.ndarray:
    """Squared distance of every candidate for realization b, (candidates, M): the long way."""
    received = _received(assumed, model, seen, b)
    statistic = seen.statistic[b].reshape(-1, seen.statistic.shape[-1])
    columns = [
        np.sum((statistic[m] / (2 * n) - 1 - snr * received) ** 2, axis=-1)
        for m, (snr, n) in enumerate(assumed.observations())
    ]
    return np.stack(columns, axis=-1)


def direct(assumed: Problem, model: LeakageModel, seen: Observations, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance and log-likelihood of every candidate for realization b, (candidates, M): the long way."""
    received = _received(assumed, model, seen, b)
    statistic = seen.statistic[b].reshape(-1, seen.statistic.shape[-1])
    columns = [
        np.sum(log_likelihood(statistic[m], 2 * n * snr * received, n), axis=-1)
        for m, (snr, n) in enumerate(assumed.observations())
    ]
    return direct_squares(assumed, model, seen, b), np.stack(columns, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size"), [(FRESNEL_CLOSED, 130), (AS_PRINTED, 40), (QUARTIC, 20), (TAPERED, 20)])
def test_same_candidates_as_the_direct_search(model: LeakageModel, size: int) -> None:
    """At least 99.9 % of 1020 random cases identical (K = 40, six a realization), ties within rounding."""
    assumed = problem(grid_of())
    seen = observed(1, size, 40, model)
    nearest = Workbench(assumed, np).batch(seen).nearest(model)
    different = 0
    for b in range(size):
        squares = direct_squares(assumed, model, seen, b)
        for m, best in enumerate(squares.argmin(axis=0)):
            if nearest[b, m] != best:
                different += 1
                assert squares[nearest[b, m], m] / squares[best, m] - 1 < 1e-6
    assert different <= 1e-3 * nearest.size


def test_same_most_likely_candidates_as_the_direct_search() -> None:
    assumed = problem(grid_of())
    seen = observed(5, 8, 40)
    best = Workbench(assumed, np).batch(seen).likeliest(FRESNEL_CLOSED)
    for b in range(8):
        _, likelihoods = direct(assumed, FRESNEL_CLOSED, seen, b)
        for m in range(likelihoods.shape[-1]):
            assert likelihoods[best[b, m], m] >= likelihoods[:, m].max() - 2e-3


@pytest.mark.parametrize(("n_sensors", "n_ranges", "n_angles"), [(1, 7, 11), (6, 3, 40), (21, 100, 30)])
def test_any_number_of_sensors_and_candidates(n_sensors: int, n_ranges: int, n_angles: int) -> None:
    assumed = problem(grid_of(n_ranges, n_angles))
    seen = observed(2, 12, n_sensors)
    batch = Workbench(assumed, np).batch(seen)
    nearest, likeliest = batch.nearest(FRESNEL_CLOSED), batch.likeliest(FRESNEL_CLOSED)
    for b in range(12):
        squares, likelihoods = direct(assumed, FRESNEL_CLOSED, seen, b)
        assert np.array_equal(nearest[b], squares.argmin(axis=0))
        assert np.array_equal(likeliest[b], likelihoods.argmax(axis=0))


@pytest.mark.parametrize("prior", [{}, {"range_alpha": 2.0, "range_beta": 3.0}])
def test_posterior_over_the_angle(prior: dict[str, float]) -> None:
    assumed = problem(grid_of(40, 60), **prior)
    seen = observed(3, 15, 20)
    surface = Workbench(assumed, np).batch(seen).likelihood(FRESNEL_CLOSED)
    ranges_m = assumed.grid.ranges_m()
    for b in range(15):
        _, likelihoods = direct(assumed, FRESNEL_CLOSED, seen, b)
        for m in range(likelihoods.shape[-1]):
            log_mass = (likelihoods[:, m] - surface.log_scale[b, m]).reshape(60, 40)
            mass = np.exp(log_mass) * assumed.cell_weights()
            total, found = mass.sum(), surface.angle_mass[b, m].sum()
            assert found == pytest.approx(total, rel=0.05)  # a common factor, which no mean depends on
            assert np.allclose(surface.angle_mass[b, m] / found, mass.sum(axis=1) / total, atol=5e-3)
            assert np.allclose(surface.angle_range_m[b, m] / found, mass @ ranges_m / total, atol=5e-3 * 12)


@pytest.mark.parametrize("ranges_m", [(100.0, 150.0), (6.0, 150.0), (100.0, 120.0), None], ids=str)
def test_sensors_stand_where_they_stand(ranges_m: tuple[float, float] | None) -> None:
    """The same candidates and masses as the direct search: by a table of two orders of 1/R, one of many, and, where a
    sensor stands outside its ranges or none are known, by leakages computed for the realization."""
    assumed = replace(problem(grid_of(15, 40)), sensor_range_m=ranges_m)
    seen = observed(6, 6, 21, TWO_SIDED, nearest_m=6.0 if ranges_m == (6.0, 150.0) else 100.0)
    workbench = Workbench(assumed, np)
    table = workbench.search(TWO_SIDED).candidates.table
    assert (table is None) == (ranges_m is None)
    batch = workbench.batch(seen)
    nearest, likeliest, surface = batch.nearest(TWO_SIDED), batch.likeliest(TWO_SIDED), batch.likelihood(TWO_SIDED)
    for b in range(6):
        squares, likelihoods = direct(assumed, TWO_SIDED, seen, b)
        assert np.array_equal(nearest[b], squares.argmin(axis=0))
        assert np.array_equal(likeliest[b], likelihoods.argmax(axis=0))
        for m in range(likelihoods.shape[-1]):
            log_mass = (likelihoods[:, m] - surface.log_scale[b, m]).reshape(40, 15)
            mass = (np.exp(log_mass) * assumed.cell_weights()).sum(axis=1)
            assert np.allclose(surface.angle_mass[b, m] / surface.angle_mass[b, m].sum(), mass / mass.sum(), atol=5e-3)
    plane = batch.nearest(SPHERICAL)
    assert np.mean(plane != nearest) > 0.2  # the test can fail


def test_weights_of_cells_make_the_prior() -> None:
    assumed = problem(grid_of(401, 3), range_alpha=2.0, range_beta=3.0)
    weights = assumed.cell_weights()[1]
    t = (assumed.grid.ranges_m() - 2) / 10
    assert (weights @ t) / weights.sum() == pytest.approx(2 / 5, rel=1e-4)


def test_a_full_list_of_ties_is_searched_whole() -> None:
    """Sensors without signal at all: every candidate fits alike, and the direct search decides."""
    assumed = problem(SearchGrid(2.0, 2.001, 1.0, 1.0001, 20, 20))
    seen = observed(4, 2, 3)
    batch = Workbench(assumed, np).batch(seen)
    for b in range(2):
        squares, _ = direct(assumed, FRESNEL_CLOSED, seen, b)
        assert np.array_equal(batch.nearest(FRESNEL_CLOSED)[b], squares.argmin(axis=0))


def test_other_namespaces_are_refused() -> None:
    import array_api_strict

    from engine import InputError

    with pytest.raises(InputError, match="NumPy or CuPy"):
        Workbench(problem(grid_of()), array_api_strict).search(SPHERICAL)
