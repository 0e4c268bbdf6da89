"""What estimators know against their own estimates."""

import numpy as np
from random_scenes import model_of, random_scene

from engine.estimators import LeastSquares, MaximumLikelihood, Observations, PosteriorMean, Problem, Workbench
from engine.estimators.doubt import Doubt, in_words
from engine.numerics.pattern import SearchGrid


def _checks(problem: Problem, seen: Observations, model: object) -> dict[str, np.ndarray]:
    workbench = Workbench(problem, np)
    batch = workbench.batch(seen)
    found = {}
    for kind in (LeastSquares, MaximumLikelihood, PosteriorMean):
        estimator = kind(leakage=model)
        found[estimator.name] = estimator.self_check(batch, estimator.prepare(workbench)(batch))[:, 0, 0]
    return found


def test_sound_where_much_is_heard_and_in_doubt_where_nothing_is() -> None:
    scene = random_scene(30, 12)
    loud = _checks(scene.problem, scene.seen, model_of(scene))
    assert np.all(loud["least_squares"] == Doubt.UNCHECKED)
    assert np.mean(loud["maximum_likelihood"] == 0) > 0.9
    noise = np.random.default_rng(1).chisquare(2 * scene.problem.n_snapshots[0], scene.seen.statistic.shape)
    array = scene.problem.array
    faint = Problem(array, scene.problem.grid, (1e-3,), scene.problem.n_snapshots)
    nothing = _checks(faint, scene.seen._replace(statistic=noise), model_of(scene))
    assert np.all(nothing["maximum_likelihood"] > 0)


def test_users_beyond_the_area_are_said_to_be_at_its_edge() -> None:
    scene = random_scene(30, 12)
    grid = scene.problem.grid
    narrower = SearchGrid(grid.range_min_m, grid.range_max_m, grid.angle_min_rad, grid.angle_min_rad + 0.2)
    elsewhere = scene.user_rad > narrower.angle_max_rad + 0.1
    assert elsewhere.sum() > 5
    problem = Problem(scene.problem.array, narrower, scene.problem.snr, scene.problem.n_snapshots)
    found = _checks(problem, scene.seen, model_of(scene))
    assert np.mean(found["maximum_likelihood"][elsewhere] > 0) > 0.4


def test_flags_in_words() -> None:
    assert in_words(0) == ""
    assert in_words(int(Doubt.NOT_FINITE)) == "no estimate"
