"""Maximum likelihood and posterior mean over random scenes, far from the paper's, against brute force."""

from typing import NamedTuple

import numpy as np
import pytest
from brute_force import exact, whole_of
from random_scenes import Scene, model_of, random_scene

from engine.estimators import MaximumLikelihood, PosteriorMean, Workbench
from engine.estimators.doubt import Doubt

_ROUNDING = 1e-3
"""Of a log-likelihood, the estimators' against the oracle's."""


class Shortfall(NamedTuple):
    """By how much the oracle's log-likelihood at the estimate is below that at the truth, (B,); the estimates' shares
    of finite ones."""

    of_maximum: np.ndarray
    finite: bool


def shortfall(scene: Scene, **fields: object) -> Shortfall:
    """Of maximum likelihood; and whether the posterior mean is finite as well."""
    workbench = Workbench(scene.problem, np)
    batch = workbench.batch(scene.seen)
    found = MaximumLikelihood(leakage=model_of(scene), **fields).prepare(workbench)(batch)
    mean = PosteriorMean(leakage=model_of(scene)).prepare(workbench)(batch)
    below = []
    for b, (user_m, user_rad) in enumerate(zip(scene.user_m, scene.user_rad, strict=True)):
        places = np.array([[user_m, found.range_m[b, 0, 0]], [user_rad, found.angle_rad[b, 0, 0]]])
        truth, estimate = whole_of(scene, b).log_likelihood(*places)
        below.append(truth - estimate)
    finite = all(np.all(np.isfinite(part)) for part in (*found, *mean))
    return Shortfall(np.array(below), finite)


_SEEDS = [1, 4, 11, 14, 15, 22, 23, 46, 54, 56, 60, 66, 71, 80]
"""In the first version of the search, one to twelve of twenty users ended below the truth in each of these, and
warnings were raised."""


@pytest.mark.parametrize("seed", _SEEDS)
def test_no_estimate_is_less_likely_than_the_truth(seed: int) -> None:
    """Warnings are errors here as everywhere: nothing overflows."""
    found = shortfall(random_scene(seed, 20, most_elements=256))
    assert found.finite
    assert np.count_nonzero(found.of_maximum > _ROUNDING) == 0, np.sort(found.of_maximum)[-3:]


@pytest.mark.parametrize("seed", [222, 252])
def test_neither_bent_ridges_nor_two_peaks_in_a_cell_are_missed(seed: int) -> None:
    """At 145 and 151 dB, where cells are a hundred deviations wide; in each, one of fifty users was below the truth."""
    found = shortfall(random_scene(seed, 50))
    assert np.count_nonzero(found.of_maximum > _ROUNDING) == 0, np.sort(found.of_maximum)[-3:]


@pytest.mark.parametrize("seed", [3152, 3233, 3316, 3626])
def test_a_peak_whose_candidates_are_all_lower_than_another_is_found(seed: int) -> None:
    """One of 25 users in each was below the truth, by 0.001 (a flat ridge), 387, 64 and 17; one of them was flagged."""
    found = shortfall(random_scene(seed, 25))
    assert np.count_nonzero(found.of_maximum > _ROUNDING) == 0, np.sort(found.of_maximum)[-3:]


def test_what_may_still_be_missed_is_flagged() -> None:
    """16 sensors at 151 dB, close to the array's axis: a wrong peak in the same cell, 22 000 below the truth."""
    scene = random_scene(3125, 25)
    workbench = Workbench(scene.problem, np)
    batch, estimator = workbench.batch(scene.seen), MaximumLikelihood(leakage=model_of(scene))
    flags = estimator.self_check(batch, estimator.prepare(workbench)(batch))[:, 0, 0]
    below = shortfall(scene).of_maximum > _ROUNDING
    assert np.count_nonzero(below) <= 1
    assert np.all(flags[below] & Doubt.UNSEEN)
    assert not np.any(flags[~below] & Doubt.UNSEEN)


def test_candidates_of_the_grid_alone_are_less_likely_than_the_truth() -> None:
    found = shortfall(random_scene(1, 20), steps=0)
    assert np.mean(found.of_maximum > _ROUNDING) > 0.9  # the test can fail


def distance(scene: Scene, b: int, estimate: np.ndarray) -> np.ndarray:
    """Squared distance of a range and an angle from the exact posterior's means, in its variances."""
    truth = exact(whole_of(scene, b))
    assert truth.converged
    return np.asarray(((estimate - truth.mean) / truth.deviation) ** 2)


def test_posterior_means_are_those_of_brute_force() -> None:
    """As a share of the least mean squared error: what a mean that is not exact adds.

    Not everywhere: at seeds 3, 6 … 30 with 3 to 30 sensors it is 4 % in range (docs/evidence/posterior-means.json).
    """
    apart, on_grid = [], []
    for seed in range(14):
        scene = random_scene(seed, 2, most_elements=64)
        workbench = Workbench(scene.problem, np)
        for distances, off_grid in ((apart, True), (on_grid, False)):
            mean = PosteriorMean(leakage=model_of(scene), off_grid=off_grid).prepare(workbench)(
                workbench.batch(scene.seen)
            )
            distances += [distance(scene, b, np.array([part[b, 0, 0] for part in mean])) for b in range(2)]
    assert np.all(np.mean(apart, axis=0) < 0.02), apart
    assert np.any(np.mean(on_grid, axis=0) > 0.02)  # the test can fail
