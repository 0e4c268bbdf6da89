"""Searches from place to place in compiled loops against those on arrays, which share nothing but constants."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.estimators import ascent, compiled_search, peaks, ridges
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.problem import Observations, Problem
from engine.estimators.search import _peaks
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage_names import model_named
from engine.numerics.pattern import SearchGrid
from engine.numerics.place_cpu import Area, damped_step, log_prior
from engine.numerics.search_tiles_cpu import list_maxima

GRID = SearchGrid(2.0, 12.0, 0.6, 2.4)
N = 60


def heard(model: str, n_sensors: int, n_snapshots: int, prior: tuple[float, float] = (1.0, 1.0)) -> Any:
    """N users, each seen once; likelihood, ranges (m), angles (rad)."""
    random = np.random.default_rng([n_sensors, n_snapshots])
    array, snr = UniformLinearArray(100, 0.01, 0.02), 1e10
    problem = Problem(array, GRID, (snr,), (n_snapshots,), *prior)
    sensor_m, sensor_rad = random.uniform(100, 150, (N, n_sensors)), random.uniform(0.5, 2.6, (N, n_sensors))
    user_m, user_rad = random.uniform(2, 12, (N, 1, 1)), random.uniform(0.6, 2.4, (N, 1, 1))
    quiet = Observations(np.ones((N, 1, 1, n_sensors)), sensor_m, sensor_rad)
    there = Likelihood.of(np, problem, model_named(model), quiet)
    table = there._leakage(np, _leakage, user_m, user_rad)
    noncentrality = n_snapshots * there.per_leakage * table.value
    amplitude = np.sqrt(noncentrality) + random.standard_normal(noncentrality.shape)
    power = amplitude**2 + random.chisquare(2 * n_snapshots - 1, noncentrality.shape)
    seen = quiet._replace(statistic=power[:, :, None, :])
    whole = Likelihood.of(np, problem, model_named(model), seen)
    return whole.each(np.arange(N), np.zeros(N, dtype=int), n_snapshots), user_m[:, 0, 0], user_rad[:, 0, 0]


def _leakage(*arguments: Any, **place: Any) -> Any:
    from engine.numerics.leakage import leakage

    return leakage(*arguments, **place)


def both_ways(monkeypatch: pytest.MonkeyPatch, module: Any, search: Callable[[], Any]) -> tuple[Any, Any]:
    """What a search gives in compiled loops, and on arrays."""
    compiled = search()
    with monkeypatch.context() as patch:
        patch.setattr(module, "loops_of", lambda *_: None)
        return compiled, search()


SCENES = [("fresnel_closed", 40, 50), ("fresnel_closed", 3, 1), ("as_printed", 19, 7)]


@pytest.mark.parametrize(("model", "n_sensors", "n_snapshots"), SCENES)
def test_a_place_is_what_arrays_say(model: str, n_sensors: int, n_snapshots: int) -> None:
    likelihood, user_m, user_rad = heard(model, n_sensors, n_snapshots)
    none = peaks.climb(np, likelihood, GRID, user_m, user_rad, steps=0)
    expected = likelihood.at_by_arrays(np, user_m[:, None, None], user_rad[:, None, None])
    for part, oracle in zip(none, expected, strict=True):
        assert np.allclose(part, oracle, rtol=1e-7, atol=1e-7 * np.max(np.abs(oracle)))


@pytest.mark.parametrize(("model", "n_sensors", "n_snapshots"), SCENES)
def test_climbs_end_where_those_on_arrays_do(
    model: str, n_sensors: int, n_snapshots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood, user_m, user_rad = heard(model, n_sensors, n_snapshots)
    starts = np.clip(user_m * 1.07, 2.0, 12.0), np.clip(user_rad + 0.005, 0.6, 2.4)
    for part in starts:
        part.setflags(write=False)
    for steps in (1, 3, 8):
        ours, arrays = both_ways(monkeypatch, peaks, lambda n=steps: peaks.climb(np, likelihood, GRID, *starts, n))
        _assert_same(ours, arrays)
    begun = likelihood.at(np, *(part[:, None, None] for part in starts))
    assert np.mean(ours.value - begun.value) > 0.1  # they climb
    ours, arrays = both_ways(monkeypatch, ascent, lambda: ascent.ascend(likelihood, GRID, begun, 12, 1e-5))
    _assert_same(ours, arrays)


def _assert_same(ours: Local, arrays: Local) -> None:
    deviations = np.abs(ours.range_m - arrays.range_m) * np.sqrt(arrays.range_range)
    deviations += np.abs(ours.angle_rad - arrays.angle_rad) * np.sqrt(arrays.angle_angle)
    assert np.max(deviations) < 1e-6
    assert np.allclose(ours.value, arrays.value, atol=1e-6)
    for part, oracle in zip(ours[5:], arrays[5:], strict=True):
        assert np.allclose(part, oracle, rtol=1e-5, atol=1e-7 * np.max(np.abs(oracle)))
    slopes = [np.abs(part - oracle) for part, oracle in zip(ours[3:5], arrays[3:5], strict=True)]
    assert np.max(slopes[0] / np.sqrt(arrays.range_range)) < 1e-5
    assert np.max(slopes[1] / np.sqrt(arrays.angle_angle)) < 1e-5


NARROW = [("fresnel_closed", 40, 50), ("fresnel_closed", 19, 200), ("as_printed", 40, 50)]
"""Elsewhere a line wanders, and rounding decides where to."""


@pytest.mark.parametrize("prior", [(1.0, 1.0), (2.5, 1.7)])
@pytest.mark.parametrize(("model", "n_sensors", "n_snapshots"), NARROW)
def test_ridges_are_those_on_arrays(
    model: str, n_sensors: int, n_snapshots: int, prior: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood, user_m, user_rad = heard(model, n_sensors, n_snapshots, prior)
    tops = peaks.climb(np, likelihood, GRID, user_m, user_rad, steps=8)
    scale = tops.value[:, 0, 0] - 3.0
    ours, arrays = both_ways(monkeypatch, ridges, lambda: ridges.trace(np, likelihood, tops, scale))
    assert np.mean(np.sum(arrays.log_mass > -math.inf, axis=-1)) > 10
    same = np.all(np.abs(ours.range_m - arrays.range_m) < 1e-6, axis=-1)
    assert np.mean(same) > 0.95
    for part, oracle in zip(ours, arrays, strict=True):
        assert np.allclose(part[same], oracle[same], rtol=1e-6, atol=1e-6)


def test_other_models_and_devices_search_on_arrays() -> None:
    likelihood, *_ = heard("fresnel_closed", 3, 1)
    assert compiled_search.loops_of(np, likelihood) is not None
    assert compiled_search.loops_of(ModuleType("cupy"), likelihood) is None
    assert compiled_search.loops_of(np, likelihood._replace(model=model_named("spherical"))) is None


@pytest.mark.parametrize("at", [(2.0, 1.0), (12.0, 1.0), (5.0, 0.6), (5.0, 2.4), (5.0, 1.0)])
@pytest.mark.parametrize("information", [(3.0, 1.0, 2.0), (1.0, 2.0, 1.0)])
def test_steps_of_one_place_are_those_of_arrays(at: tuple[float, float], information: tuple[float, ...]) -> None:
    area = Area(2.0, 12.0, 0.6, 2.4, 1.0, 1.0)
    for slopes in ((1.0, -2.0), (-1.0, 2.0)):
        one = Local(*(np.array([part]) for part in (*at, 0.0, *slopes, *information)))
        expected = peaks.damped_step(np, one, np.array([0.1]), GRID)
        assert damped_step(*at, slopes, information, 0.1, area) == pytest.approx([float(part[0]) for part in expected])


def test_the_prior_of_one_range_is_that_of_arrays() -> None:
    for alpha, beta in ((1.0, 1.0), (3.0, 1.0), (1.0, 2.0), (2.5, 1.7)):
        problem = Problem(UniformLinearArray(8, 0.01, 0.02), GRID, (1.0,), (1,), alpha, beta)
        area = Area(2.0, 12.0, 0.6, 2.4, alpha, beta)
        for range_m in (2.0, 3.0, 11.9, 12.0):
            assert log_prior(range_m, area) == pytest.approx(float(problem.log_range_prior(np, np.array(range_m))))


def test_angles_of_most_mass_are_those_of_loops() -> None:
    random = np.random.default_rng(3)
    mass = random.integers(0, 9, (3, 2, 40)).astype(float)
    mass[2, 1] = 0.0
    mass[2, 0] = np.arange(40)
    found = _peaks(mass)
    for b, m in np.ndindex(3, 2):
        row = [0.0, *mass[b, m], 0.0]
        highest = [j for j in range(40) if row[j + 1] >= row[j] and row[j + 1] > row[j + 2]]
        highest = sorted(highest, key=lambda j: (-row[j + 1], j))[:5]
        assert found[b, m].tolist() == highest + [-1] * (5 - len(highest))


@pytest.mark.parametrize("n_ranges", [1, 4, 7])
def test_maxima_of_a_tile_are_those_of_loops(n_ranges: int) -> None:
    """Of equals beside each other the first is the maximum."""
    score = np.random.default_rng(n_ranges).integers(0, 6, 6 * n_ranges).astype(np.float32)
    at, height = np.full(40, -1, dtype=np.int32), np.full(40, -np.inf, dtype=np.float32)
    list_maxima(score, n_ranges, 100, np.float32(1.0), at, height)
    expected = set()
    for c, here in enumerate(score):
        row, column = divmod(c, n_ranges)
        beside = [
            (r * n_ranges + q, score[r * n_ranges + q])
            for r in range(max(row - 1, 0), min(row + 2, 6))
            for q in range(max(column - 1, 0), min(column + 2, n_ranges))
            if (r, q) != (row, column)
        ]
        if here > 1 and all(other <= here and (other < here or index > c) for index, other in beside):
            expected.add((100 + c, float(here)))
    assert {(int(i), float(h)) for i, h in zip(at, height, strict=True) if i >= 0} == expected
