"""The compiled leakage and likelihood of single places against the array functions, which are their oracle."""

import numpy as np
import pytest

from engine.estimators import Observations, Problem
from engine.estimators.likelihood import Likelihood
from engine.numerics import leakage_cpu, local_cpu
from engine.numerics.fresnel import fresnel
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import LeakageModel, LeakageTable, leakage
from engine.numerics.leakage_cpu import compiled_leakage, waves_to
from engine.numerics.leakage_models.two_sided import TWO_SIDED
from engine.numerics.leakage_names import model_named, model_names
from engine.numerics.local_cpu import local_sums
from engine.numerics.noncentral_chi2 import information, log_likelihood_and_slope
from engine.numerics.pattern import SearchGrid

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(100, WAVELENGTH_M / 2, WAVELENGTH_M)
TOLERANCE = 1e-11


def _read_only(*parts: np.ndarray) -> list[np.ndarray]:
    for part in parts:
        part.setflags(write=False)
    return list(parts)


def _leakage_error(model: LeakageModel, array: UniformLinearArray) -> float:
    """Largest error of g or its gradient at `array` against ARRAY, of the largest."""
    generator = np.random.default_rng(1)
    range_m, angle_rad, sensor_rad, inverse = _read_only(
        generator.uniform(2.0, 12.0, (30, 7)),
        generator.uniform(0.5, 2.6, (30, 7)),
        generator.uniform(0, np.pi, (30, 21)),
        generator.uniform(0, 0.5, (30, 21)),
    )
    given = {"range_m": range_m, "angle_rad": angle_rad, "sensor_angle_rad": sensor_rad}
    given["sensor_inverse_range_per_m"] = inverse
    pairs = zip(compiled_leakage(model, array, **given), leakage(model, ARRAY, **given), strict=True)
    return max(float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))) for ours, theirs in pairs)


@pytest.mark.parametrize("model", [model_named(name) for name in model_names()], ids=lambda model: model.name)
def test_leakage(model: LeakageModel) -> None:
    """Reached: 6e-15 of the largest by the closed forms, 8e-14 by the sums."""
    assert _leakage_error(model, ARRAY) < 1e-12
    wrong = UniformLinearArray(100, ARRAY.spacing_m * (1 + 1e-11), WAVELENGTH_M)
    assert _leakage_error(model, wrong) > 1e-12  # the test can fail


def test_waves_are_made_once_for_many_places() -> None:
    generator = np.random.default_rng(8)
    sensors = {
        "sensor_angle_rad": generator.uniform(0, np.pi, (4, 21)),
        "sensor_inverse_range_per_m": generator.uniform(0, 0.5, (4, 21)),
    }
    waves = waves_to(TWO_SIDED, ARRAY, **sensors)
    assert waves is not None
    assert waves.parts.shape == (4, 2, ARRAY.n_elements, 32)  # 21 sensors in two blocks of sixteen, Re and Im
    rows = np.array([3, 0, 0, 2, 1])
    chosen = {name: part[rows] for name, part in sensors.items()}
    places = {"range_m": generator.uniform(2, 12, (5, 3)), "angle_rad": generator.uniform(0.5, 2.6, (5, 3))}
    known = compiled_leakage(TWO_SIDED, ARRAY, **places, **chosen, waves=waves._replace(rows=rows))
    for ours, theirs in zip(known, compiled_leakage(TWO_SIDED, ARRAY, **places, **chosen), strict=True):
        assert np.array_equal(ours, theirs)
    assert waves_to(model_named("spherical"), ARRAY, **sensors) is None


def _errors(n: int) -> list[float]:
    """Largest errors of value, gradient and information over one sensor's terms, S, λ and ∂ρ/∂g from 1e-6 to 1e8.

    Reached: 1e-13, 5e-12 (L = 1000; 2e-13 at L ≤ 50) and 6e-16.
    """
    generator = np.random.default_rng(n)
    size = 3000
    statistic, per_leakage = _read_only(*(10 ** generator.uniform(-6, 8, (2, size, 1, 1))))
    close = generator.random((size, 1, 1)) < 0.5  # half of them where data and leakage agree
    rho = np.where(close, statistic / n * generator.uniform(0.5, 2.0, close.shape), 10 ** generator.uniform(-6, 8))
    rho[:5] = 0.0
    g, by_range, by_angle = _read_only(rho / per_leakage, *generator.standard_normal((2, size, 1, 1)))
    ours = local_sums(
        LeakageTable(g, by_range, by_angle), statistic=statistic, per_leakage=per_leakage, n_snapshots=(n,)
    )
    rho = per_leakage * g
    value, slope = log_likelihood_and_slope(statistic, n * rho, n)
    score, weight = n * per_leakage * slope, n * per_leakage**2 * information(rho)
    theirs = [value, score * by_range, score * by_angle]
    theirs += [weight * by_range**2, weight * by_range * by_angle, weight * by_angle**2]
    terms = n * per_leakage * (1 + slope)  # ½ + ½ S I_L/(x I_{L−1}): what the slope is the difference of
    scales = [1 + np.abs(value), terms * np.abs(by_range), terms * np.abs(by_angle), *map(np.abs, theirs[3:])]
    return [float(np.max(np.abs(a - b) / s)) for a, b, s in zip(ours, theirs, scales, strict=True)]


@pytest.mark.parametrize("n", [1, 2, 50, 1000])
def test_sums_of_one_sensor(n: int) -> None:
    assert max(_errors(n)) < TOLERANCE


def test_fresnel_integrals_of_one_number() -> None:
    """Every coefficient of the table is needed for this: the last is 6e-12."""
    x = np.concatenate([np.random.default_rng(2).uniform(-20, 20, 300), [0.0, 1e-9, -0.4, 0.9]])
    ours = np.array([leakage_cpu._fresnel(one, leakage_cpu.fresnel_table()) for one in x.tolist()]).T
    assert np.max(np.abs(ours[:2] - np.array(fresnel(x)[:2]))) < 1e-14
    assert np.allclose(ours[2:], fresnel(x)[2:], atol=1e-12)


@pytest.mark.parametrize("name", ["spherical", "fresnel_closed", "two_sided"])
def test_what_is_known_already_changes_no_bit(name: str) -> None:
    """Cosines, waves and constants of a likelihood's sensors, of some rows of it and of pairs, against none known."""
    generator = np.random.default_rng(5)
    array, counts = UniformLinearArray(12, ARRAY.spacing_m, WAVELENGTH_M), (1, 7)
    problem = Problem(array, SearchGrid(2.0, 12.0, 0.5, 2.6), (1e9, 1e10), counts)
    sensors = generator.uniform(100, 150, (6, 21)), generator.uniform(0.3, 2.8, (6, 21))
    seen = Observations(*_read_only(generator.chisquare(9, (6, 2, 2, 21)), *sensors))
    whole = Likelihood.of(np, problem, model_named(name), seen)
    rows, ones, n = np.array([4, 0, 0]), np.array([1, 3, 1]), 7
    for known in (whole, whole.of_rows(rows), whole.each(rows, ones, n), whole.each(rows, ones, n).of_rows(rows[1:])):
        size, n_observations, _ = known.statistic.shape
        assert known.constant is not None
        assert known.sensor_cosine is not None
        places = (
            generator.uniform(2, 12, (size, n_observations, 3)),
            generator.uniform(0.6, 2.5, (size, n_observations, 3)),
        )
        unknown = known._replace(constant=None, sensor_cosine=None, waves=None)
        for ours, theirs in zip(known.at(np, *places), unknown.at(np, *places), strict=True):
            assert np.array_equal(ours, theirs)


def test_a_coarse_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = local_cpu.bessel_tables((1,))
    monkeypatch.setattr(local_cpu, "bessel_tables", lambda _: fine.astype(np.float32).astype(float))
    assert max(_errors(1)[:3]) > 100 * TOLERANCE


def test_sums_over_sensors_and_observations() -> None:
    """Every (realization, observation, place) by itself gives the same bits, and they add up."""
    generator = np.random.default_rng(7)
    counts, size, places, sensors = (1, 50), 4, 3, 21
    statistic, per_leakage, g, by_range, by_angle = _read_only(
        10 ** generator.uniform(-1, 6, (size, 2, sensors)),
        10 ** generator.uniform(-1, 4, (size, 2, sensors)),
        generator.uniform(0, 100, (size, 2 * places, sensors)),
        *generator.standard_normal((2, size, 2 * places, sensors)),
    )
    table = LeakageTable(g, by_range, by_angle)
    ours = local_sums(table, statistic=statistic, per_leakage=per_leakage, n_snapshots=counts)
    for m, n in enumerate(counts):
        for q in range(places):
            p = m * places + q
            here = {"statistic": statistic[:, m : m + 1], "per_leakage": per_leakage[:, m : m + 1], "n_snapshots": (n,)}
            alone = local_sums(LeakageTable(*(part[:, p : p + 1].copy() for part in table)), **here)
            assert np.array_equal(alone[:, :, 0, 0], ours[:, :, m, q])
            value = log_likelihood_and_slope(statistic[:, m], n * per_leakage[:, m] * g[:, p], n)[0].sum(axis=-1)
            assert np.allclose(ours[0, :, m, q], value, rtol=TOLERANCE)
