"""The search for paths over many random scenes: docs/evidence/path-search.json.

Set PATH_SEARCH_RECORD to a file to have the numbers written there.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from path_scenes import FITTED, PathScene, estimate, nats_behind_truth, path_scene

from engine.estimators.paths import PathEstimates
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit

FIRST, SCENES = (
    int(os.environ.get(f"PATH_SEARCH_{name}", usual)) for name, usual in (("FIRST", "3000"), ("SCENES", "200"))
)
TRIALS = 10
ALLOWED = 0.002
UNKNOWN = ClosedLoop(search=NewtonisedPursuit(enough=None, most_scatterers=5, scattered="estimated"))


def normalised(scene: PathScene, estimates: PathEstimates) -> np.ndarray:
    """eᵀC⁻¹e/3 of the users, by the covariance that the estimates state, (n, L)."""
    covariance = estimates.covariance[:, 0]
    error = np.stack([field[:, 0] for field in estimates[:3]], axis=-1) - scene.users
    known = np.isfinite(covariance).all(axis=(-2, -1))
    scale = np.sqrt(np.where(known[..., None], np.diagonal(covariance, axis1=-2, axis2=-1), 1.0))
    unit = np.where(known[..., None, None], covariance / scale[..., None] / scale[..., None, :], np.eye(3))
    value = np.sum((error / scale) * np.linalg.solve(unit, (error / scale)[..., None])[..., 0], axis=-1) / 3
    return np.where(known, value, np.nan)


def _mean(values: np.ndarray) -> tuple[float, float]:
    """With its standard error."""
    return values.mean(), values.std() / math.sqrt(values.size)


@pytest.mark.study
@pytest.mark.timeout(7200)
def test_as_likely_as_from_the_truth_and_as_sure_as_right() -> None:
    trials = worse = by_one = less = lost_fitted = 0
    chances, lost, nees, snrs = [], [], [], []
    for seed in range(FIRST, FIRST + SCENES):
        scene = path_scene(seed, TRIALS)
        estimates, nats = nats_behind_truth(scene)
        less += int(np.sum(nats > 0.01))
        fitted = estimate(FITTED, scene)
        lost_fitted += int(scene.lost(fitted).sum())
        behind = scene.chi_squared(fitted) - scene.chi_squared_from_truth()
        trials += TRIALS
        worse += int(np.sum(behind > 0.02 + 1e-4 * np.abs(scene.chi_squared(fitted))))
        by_one += int(np.sum(behind > 1))
        chances.append(estimates.lost_probability[:, 0].ravel())
        lost.append(scene.lost(estimates).ravel())
        nees.append(normalised(scene, estimates).ravel())
        snrs.append(np.full(lost[-1].size, scene.snr_db))
    chance, is_lost, squares, snr = (np.concatenate(part) for part in (chances, lost, nees, snrs))
    record: dict[str, Any] = {
        "scenes": SCENES, "first_seed": FIRST, "trials": trials, "less_probable_than_truth": less,
        "least_chi_squared": {"above_truths": worse, "by_more_than_1": by_one, "lost": lost_fitted},
        "users": int(is_lost.size), "lost": int(is_lost.sum()),
        "lost_stated": round(float(chance.sum()), 2),
        "lost_by_stated": {
            f"{low:g}-{high:g}": [int(here.sum()), int(is_lost[here].sum()), round(float(chance[here].sum()), 3)]
            for low, high in ((0, 1e-3), (1e-3, 0.03), (0.03, 0.3), (0.3, 0.7), (0.7, 1.0))
            for here in [(chance >= low) & ((chance < high) | (high == 1.0))]
        },
        "nees_of_found": {
            f"{low}-{high} dB": [int(kept.sum()), *(round(float(x), 3) for x in _mean(squares[kept]))]
            for low, high in ((0, 5), (5, 10), (10, 20), (20, 30))
            for kept in [~is_lost & np.isfinite(squares) & (snr >= low) & (snr < high)]
        },
    }  # fmt: skip
    written(record, "search")
    assert less <= ALLOWED * trials + 4 * math.sqrt(ALLOWED * trials)
    assert worse <= ALLOWED * trials + 4 * math.sqrt(ALLOWED * trials)
    assert abs(is_lost.sum() - chance.sum()) < 4 * math.sqrt(np.sum(chance * (1 - chance))) + 0.5 * chance.sum()


@pytest.mark.study
@pytest.mark.timeout(7200)
def test_an_unknown_number_of_scatterers_loses_hardly_more() -> None:
    """At 10 to 30 dB, within 1 point of what is lost by one who is told."""
    lost, users, wrong = {"told": 0, "unknown": 0}, 0, {"more": 0, "fewer": 0}
    scenes = SCENES // 3
    for seed in range(FIRST, FIRST + scenes):
        scene = path_scene(seed, TRIALS, snr_db=(10.0, 30.0))
        for name, method in (("told", ClosedLoop()), ("unknown", UNKNOWN)):
            estimates = estimate(method, scene)
            lost[name] += int(scene.lost(estimates).sum())
        found = np.isfinite(estimates.scatterer_polar_rad[:, 0]).sum(axis=-1)
        wrong["more"] += int(np.sum(found > scene.problem.n_scatterers))
        wrong["fewer"] += int(np.sum(found < scene.problem.n_scatterers))
        users += TRIALS * scene.problem.n_users
    written(
        {
            "scenes": scenes,
            "first_seed": FIRST,
            "trials": scenes * TRIALS,
            "users": users,
            "lost": lost,
            "scatterers": wrong,
        },
        "order",
    )
    assert lost["unknown"] - lost["told"] <= 0.01 * users
    assert wrong["more"] <= 0.05 * scenes * TRIALS


def written(record: dict[str, Any], name: str) -> None:
    path = os.environ.get("PATH_SEARCH_RECORD")
    if path:
        Path(f"{path}.{name}.json").write_text(json.dumps(record, indent=1))
