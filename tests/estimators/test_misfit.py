"""Searches that end too low for a true place, and the steps with which climbs end."""

import numpy as np
import pytest
from brute_force import whole_of
from random_scenes import Scene, model_of, random_scene
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, ncx2

from engine.estimators import Workbench
from engine.estimators.ascent import _curvature, ascend
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.misfit import _beyond, _half_a_cell, _highest, is_beyond, may_hide
from engine.numerics.noncentral_chi2 import log_likelihood


def _likelihood(scene: Scene) -> Likelihood:
    problem = Workbench(scene.problem, np).resolving().problem
    return Likelihood.of(np, problem, model_of(scene), scene.seen)


def _at_the_truth(scene: Scene) -> np.ndarray:
    return np.array(
        [
            whole_of(scene, b).log_likelihood(scene.user_m[b : b + 1], scene.user_rad[b : b + 1])
            for b in range(len(scene.user_m))
        ]
    )


def test_hardly_any_true_place_is_too_low() -> None:
    """One in a thousand is, at most."""
    hidden = [may_hide(_likelihood(scene), _at_the_truth(scene)) for scene in (random_scene(s, 60) for s in range(8))]
    assert np.mean(hidden) < 0.001 + 4 * np.sqrt(0.001 / np.size(hidden))


def test_hidden_is_what_is_too_low_but_not_too_low_for_the_grid() -> None:
    scene = random_scene(1, 8)
    likelihood = _likelihood(scene)
    highest, half, beyond = (
        _highest(likelihood.statistic, likelihood.n_snapshots),
        _half_a_cell(likelihood),
        _beyond(scene.seen.statistic.shape[-1]),
    )
    assert np.all(16 * half > 1.0)
    for below, hidden in ((0.5 * beyond - 0.1, False), (0.5 * beyond + 0.1, True)):
        assert np.all(may_hide(likelihood, highest - below) == hidden)
    assert np.all(may_hide(likelihood, highest - 0.5 * beyond - 15.9 * half))
    assert not np.any(may_hide(likelihood, highest - 0.5 * beyond - 16.1 * half))


def test_a_place_is_beyond_where_twice_what_it_misses_is() -> None:
    """Of each sensor the density at a place, and the highest at any noncentrality, by another library."""
    random, n_snapshots = np.random.default_rng(7), (1, 9)
    statistic = random.uniform(1.0, 90.0, (40, 2, 3))
    noncentrality = statistic * random.uniform(0.2, 1.6, (40, 2, 1)) + random.uniform(0, 3, (40, 2, 3))
    found = is_beyond(statistic, n_snapshots, noncentrality)
    missing = np.zeros((40, 2))
    for b, m, k in np.ndindex(40, 2, 3):
        s, degrees = statistic[b, m, k], 2 * n_snapshots[m]

        def log_density(at: float, s: float = s, degrees: int = degrees) -> float:
            return float(ncx2.logpdf(s, degrees, at) if at > 1e-9 else chi2.logpdf(s, degrees))

        best = minimize_scalar(lambda at: -log_density(at), bounds=(0, 2 * s), method="bounded")
        missing[b, m] += 2 * (max(-best.fun, log_density(0.0)) - log_density(noncentrality[b, m, k]))
    sure = np.abs(missing - chi2.isf(1e-3, 3)) > 0.4  # what bounds and quantiles leave
    assert 0.1 < np.mean(found) < 0.9
    assert np.count_nonzero(sure) > 70
    assert np.all((found == (missing > chi2.isf(1e-3, 3)))[sure])


@pytest.mark.parametrize("n_sensors", [3, 10, 100])
def test_beyond_is_the_quantile_of_chi_square(n_sensors: int) -> None:
    assert _beyond(n_sensors) == pytest.approx(chi2.isf(1e-3, n_sensors), rel=0.02)


def test_highest_is_that_of_each_sensor_alone() -> None:
    """By a table of noncentralities."""
    scene = random_scene(4, 3)
    n, statistic = scene.problem.n_snapshots[0], scene.seen.statistic[:, 0, 0]
    share = np.linspace(0, 1.5, 3001)
    noncentrality = share[:, None, None] * statistic
    each = np.max(log_likelihood(statistic, noncentrality, n), axis=0)
    assert np.allclose(_highest(statistic[:, None], (n,))[:, 0], np.sum(each, axis=-1), atol=0.02 * statistic.shape[-1])


def test_half_a_cell_is_what_slopes_over_the_area_say() -> None:
    """Expected information of the cosine at random places, half a cell off, for the powers that are seen there: within
    a factor of three in the median."""
    scene = random_scene(1, 40)
    likelihood = _likelihood(scene)
    at = likelihood.at(np, scene.user_m[:, None, None], scene.user_rad[:, None, None])
    _, cell_rad = likelihood.problem.grid.cell(at.range_m, at.angle_rad)  # type: ignore[attr-defined]
    literal = (0.5 * at.angle_angle * (cell_rad / 2) ** 2)[..., 0]
    assert 1 / 3 < np.median(_half_a_cell(likelihood) / literal) < 3


def _starts(likelihood: Likelihood, at: Local, deviations: float) -> Local:
    beside = at.angle_rad + deviations / np.sqrt(at.angle_angle)
    return likelihood.at(np, at.range_m, beside)


@pytest.mark.parametrize("seed", [1, 4, 30])
def test_ascents_end_at_peaks(seed: int) -> None:
    """From two deviations beside the truth: nowhere lower, and the slope is gone, but where a border is in the way."""
    scene = random_scene(seed, 20)
    likelihood, grid = _likelihood(scene), scene.problem.grid
    whole = likelihood.each(np.arange(20), np.zeros(20, dtype=int), scene.problem.n_snapshots[0])
    start = _starts(whole, whole.at(np, scene.user_m[:, None, None], scene.user_rad[:, None, None]), 2.0)
    kept = Local(*(part.copy() for part in start))
    end = ascend(whole, grid, start, 40, 1e-8)
    assert all(np.array_equal(one, other) for one, other in zip(kept, start, strict=True))
    assert np.all(end.value >= start.value)
    assert np.median(end.value - start.value) > 0.5
    inside = (end.range_m > grid.range_min_m) & (end.range_m < grid.range_max_m)
    steps = end.by_range**2 / end.range_range + end.by_angle**2 / end.angle_angle
    assert inside.sum() > 4
    assert np.quantile(steps[inside], 0.9) < 1e-4
    again = likelihood.each(np.arange(20), np.zeros(20, dtype=int), scene.problem.n_snapshots[0])
    assert np.allclose(again.at(np, end.range_m, end.angle_rad).value, end.value, rtol=1e-9)


def test_curvature_is_that_of_second_differences() -> None:
    """Of the log-likelihood itself, a twentieth of a deviation to both sides of the truth, where it is concave."""
    scene = random_scene(9, 20)
    likelihood, grid = _likelihood(scene), scene.problem.grid
    whole = likelihood.each(np.arange(20), np.zeros(20, dtype=int), scene.problem.n_snapshots[0])
    at = whole.at(np, scene.user_m[:, None, None], scene.user_rad[:, None, None])
    found = _curvature(whole, grid, at)
    literal = []
    for step_m, step_rad in ((0.05 / np.sqrt(at.range_range), 0.0), (0.0, 0.05 / np.sqrt(at.angle_angle))):
        beside = [whole.at(np, at.range_m + s * step_m, at.angle_rad + s * step_rad).value for s in (-1, 1)]
        literal.append((2 * at.value - sum(beside)) / (step_m + step_rad) ** 2)
    expected = np.stack([at.range_range, at.angle_angle])
    concave = np.any(found[[0, 2]] != expected, axis=0)
    assert concave.sum() > 6
    apart = np.abs(found[[0, 2]] - literal)[:, concave] / expected[:, concave]
    assert np.median(apart) < 0.01
    assert np.median(np.abs(expected - literal)[:, concave] / expected[:, concave]) > 0.02  # the test can fail
