"""The deviations that estimators state hold: users lie within 1.96 of them about as often as they should."""

import numpy as np
import pytest
from random_scenes import model_of, random_scene

from engine.estimators import Estimates, LeastSquares, MaximumLikelihood, PosteriorMean, Workbench
from engine.estimators.posterior_spread import spread

_KINDS = (LeastSquares, MaximumLikelihood, PosteriorMean)


def errors_in_deviations(seeds: range, users: int) -> dict[str, np.ndarray]:
    """Of range and angle, (users, 2), for each estimator; `shrunk`: of posterior means, with half the deviations."""
    found: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        scene = random_scene(seed, users, most_elements=80)
        workbench = Workbench(scene.problem, np)
        batch = workbench.batch(scene.seen)
        for kind in _KINDS:
            estimator = kind(leakage=model_of(scene))
            estimates = estimator.prepare(workbench)(batch)
            found.setdefault(estimator.name, []).append(
                _relative(estimates, estimator.deviations(batch, estimates), scene.user_m, scene.user_rad)
            )
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _relative(estimates: Estimates, deviations: Estimates, user_m: np.ndarray, user_rad: np.ndarray) -> np.ndarray:
    columns = zip(estimates, deviations, (user_m, user_rad), strict=True)
    return np.stack([(estimate[:, 0, 0] - truth) / by[:, 0, 0] for estimate, by, truth in columns], axis=-1)


def _covered(errors: np.ndarray) -> np.ndarray:
    return np.mean(np.abs(errors) < 1.96, axis=0)


def test_ninety_five_per_cent_are_about_that() -> None:
    """A share of 40 has deviation 0.034; of errors that are not Gaussian, as those of flat posteriors, 1.96 deviations
    hold more."""
    found = errors_in_deviations(range(10), 4)
    for name, errors in found.items():
        assert np.all(np.isfinite(errors)), name
        assert np.all(_covered(errors) > 0.95 - 4 * 0.034), (name, _covered(errors))
        assert np.all(_covered(2 * errors) < 0.95 - 4 * 0.034), "half the deviations would do as well"


def test_never_more_than_the_area() -> None:
    scene = random_scene(9, 6, most_elements=80)
    grid = scene.problem.grid
    workbench = Workbench(scene.problem, np)
    batch = workbench.batch(scene.seen)
    estimates = LeastSquares(leakage=model_of(scene)).prepare(workbench)(batch)
    found = spread(batch.resolving(), model_of(scene), estimates)
    assert np.all(found.range_m <= grid.range_max_m - grid.range_min_m)
    assert np.all(found.angle_rad <= grid.angle_max_rad - grid.angle_min_rad)


@pytest.mark.study
def test_ninety_five_per_cent_over_many_scenes() -> None:
    """3000 users of 300 scenes; docs/evidence/coverage.json."""
    for name, errors in errors_in_deviations(range(300), 10).items():
        assert np.all((_covered(errors) > 0.92) & (_covered(errors) < 0.99)), (name, _covered(errors))
