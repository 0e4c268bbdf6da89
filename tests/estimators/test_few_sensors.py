"""Posteriors of few sensors against fine integration, which shares no code."""

from typing import Any

import numpy as np
import pytest
from brute_force import Exact, Whole, exact

from engine.estimators import Batch, Observations, PosteriorMean, Workbench, few_sensors
from engine.estimators.posterior_cells import _in_children
from engine.estimators.posterior_moments import moments
from engine.numerics.leakage_names import model_named
from engine.streams import Streams
from scenarios.leakage.estimation import LeakageEstimation

CLOSED = model_named("fresnel_closed")


def seen(n_sensors: int, noise_dbm: float, users: list[int]) -> tuple[Batch, list[Exact]]:
    """Some of the users of block 0, seed 0, L = 50, and their exact posteriors."""
    scene = LeakageEstimation(leakage=CLOSED, n_sensors=n_sensors, noise_dbm=(noise_dbm,), n_snapshots=(50,))
    drawn = scene.draw(Streams(0, 0), 20)
    statistic = scene.prepare(np)(drawn, intermediates=True)["statistic"][1][users]
    range_m, angle_rad = drawn.sensor_range_m[users], drawn.sensor_angle_rad[users]
    whole = [
        exact(Whole("fresnel_closed", scene.problem(), *one))
        for one in zip(statistic[:, 0, 0], range_m, angle_rad, strict=True)
    ]
    assert all(one.converged for one in whole)
    return Workbench(scene.problem(), np).batch(Observations(statistic, range_m, angle_rad)), whole


def off(batch: Batch, truth: list[Exact]) -> np.ndarray:
    """Of posterior means, in deviations, (users, 2)."""
    estimates = PosteriorMean(leakage=CLOSED).prepare(batch.workbench)(batch)
    found = np.stack([part[:, 0, 0] for part in estimates], axis=-1)
    return np.array([(one - exactly.mean) / exactly.deviation for one, exactly in zip(found, truth, strict=True)])


@pytest.mark.parametrize(("noise_dbm", "users"), [(-75.0, [4, 14, 18]), (-85.0, [7, 11, 19])])
def test_means_and_deviations_of_four_sensors_are_exact(
    noise_dbm: float, users: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users whose means were 0.04 to 0.47 deviations off."""
    batch, truth = seen(4, noise_dbm, users)
    assert np.max(np.abs(off(batch, truth))) < 0.02
    variance = moments(batch, CLOSED).variance
    deviations = np.sqrt(np.stack([part[:, 0, 0] for part in variance], axis=-1))
    assert np.allclose(deviations, [one.deviation for one in truth], rtol=0.02)
    monkeypatch.setattr(few_sensors, "FEW", 3)
    assert np.max(np.abs(off(batch.workbench.batch(batch.observations), truth))) > 0.2  # the test can fail


def test_stated_deviations_of_few_sensors_are_distances_from_the_estimate() -> None:
    batch, truth = seen(4, -75.0, [4, 18])
    estimator = PosteriorMean(leakage=CLOSED)
    estimates = estimator.prepare(batch.workbench)(batch)
    moved = estimates._replace(range_m=estimates.range_m + 1.5)
    for given, away_m in ((estimates, 0.0), (moved, 1.5)):
        stated = estimator.deviations(batch, given)
        for b, one in enumerate(truth):
            assert stated.range_m[b, 0, 0] == pytest.approx(np.hypot(one.deviation[0], away_m), rel=0.02)
            assert stated.angle_rad[b, 0, 0] == pytest.approx(one.deviation[1], rel=0.02)


def test_who_is_at_risk() -> None:
    cell = np.array([0.1, 0.01])
    grid: Any = type("Celled", (), {"cell": staticmethod(lambda range_m, _: (np.full_like(range_m, 0.1), 0.01))})
    none = np.zeros((1, 1, 3))

    def risky(heights: list[float], deviations: list[list[float]], n_sensors: int = 12) -> bool:
        information = 1 / (np.array(deviations) * cell) ** 2
        rr, aa = (information[None, None, :, i] for i in (0, 1))
        peaks = few_sensors.Local(none, none, np.array([[heights]]), none, none, rr, none, aa)
        return bool(few_sensors.at_risk(grid, peaks, n_sensors)[0, 0])

    wide = [1.0, 1.0]
    assert not risky([0, 0, 0], [wide, wide, [0.36, 0.36]])
    assert risky([0, 0, 0], [wide, wide, [0.34, 1.0]])
    assert risky([0, -3.9, -9], [wide, [1.0, 0.34], wide])
    assert risky([0, -3.9, -9], [wide, [1.0, 0.031], wide])
    assert not risky([0, -3.9, -9], [wide, [1.0, 0.029], wide])
    assert not risky([0, -4.1, -9], [[1.0, 0.34], wide, wide])  # one peak alone
    assert not risky([0, -4.1, -9], [wide, [1.0, 0.34], wide])
    assert not risky([0, 0, 0], [wide, wide, [0.34, 1.0]], n_sensors=13)


def test_known_places_stay_with_the_cells_that_hold_them() -> None:
    """Twelve cells of a line each way, halved at random: a place is inside its holder ever after."""
    random = np.random.default_rng(5)
    place = np.stack([part.ravel() for part in np.meshgrid(np.arange(3) + 0.5, np.arange(4) + 0.5, indexing="ij")])
    half = np.full_like(place, 0.5)
    known = random.uniform([[0.0], [0.0]], [[3.0], [4.0]], (2, 40))
    holder = (known[0].astype(int) * 4 + known[1].astype(int)).astype(int)
    for _ in range(4):
        split = random.random(place.shape[1]) < 0.5
        children = [
            (place[:, split] + half[:, split] * np.array([[i], [j]]) / 2, half[:, split] / 2)
            for i in (-1, 1)
            for j in (-1, 1)
        ]
        holder = _in_children(holder, split, known > place[:, holder])
        place = np.concatenate([place[:, ~split], *(child[0] for child in children)], axis=1)
        half = np.concatenate([half[:, ~split], *(child[1] for child in children)], axis=1)
        assert np.all(np.abs(known - place[:, holder]) <= half[:, holder])
    assert half.min() < 0.1
