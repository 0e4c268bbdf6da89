"""How many times fewer realizations expected squared errors take than plain ones: docs/evidence/rao-blackwell.json.

At the points of Fig. 3, of the posterior mean that assumes the waves which made the data. Aimed at is 3 everywhere, and
20 at L = 1, −65 dBm; where lost users are rare, both variances rest on a few of them, and the ratio says little.
"""

import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from engine import Streams
from engine.estimators import PosteriorMean
from scenarios.leakage import fig3

_SEED, _BLOCKS, _BLOCK, _GROUPS = 20261129, 40, 50, 20


def squared_errors(n_sensors: int) -> tuple[np.ndarray, np.ndarray]:
    """Plain and expected ones, (range | angle, realization, S, L) each."""
    truth = fig3.scenario.leakage
    scene = fig3.scenario.replace(n_sensors=n_sensors, estimators=(PosteriorMean(leakage=truth),))
    simulate = scene.prepare(np)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for block in range(_BLOCKS):
        variables = simulate(scene.draw(Streams(_SEED, block), _BLOCK))
        for parts, name in zip(found, ("squared_error", "expected_squared_error"), strict=True):
            parts.append(np.stack([variables[f"{name}_{what}"][1][:, 0] for what in ("range_m2", "angle_rad2")]))
    plain, expected = (np.concatenate(parts, axis=1) for parts in found)
    return plain, expected


def gains(plain: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of the variances of the means, and the deviation of its logarithm, by leaving out groups in turn."""

    def gain(rows: np.ndarray) -> np.ndarray:
        return np.asarray(plain[:, rows].var(axis=1, ddof=1) / expected[:, rows].var(axis=1, ddof=1))

    number = np.arange(plain.shape[1])
    left = np.log([gain(number[number % _GROUPS != group]) for group in range(_GROUPS)])
    return gain(number), np.sqrt((_GROUPS - 1) / _GROUPS * np.sum((left - left.mean(axis=0)) ** 2, axis=0))


@pytest.mark.study
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_sensors", fig3.axes["n_sensors"])
def test_expected_errors_vary_less(n_sensors: int) -> None:
    with threadpool_limits(1):
        plain, expected = squared_errors(n_sensors)
    gain, error = gains(plain, expected)
    apart = expected - plain
    score = apart.mean(axis=1) / (apart.std(axis=1, ddof=1) / np.sqrt(apart.shape[1]))
    for q, quantity in enumerate(("range", "angle")):
        for s, noise in enumerate(fig3.scenario.noise_dbm):
            for i, n in enumerate(fig3.scenario.n_snapshots):
                at = {"K": n_sensors, "L": n, "noise_dbm": noise, "quantity": quantity}
                numbers = {"gain": gain[q, s, i], "gain_log_error": error[q, s, i], "score": score[q, s, i]}
                print("POINT", json.dumps(at | {name: float(f"{value:.3g}") for name, value in numbers.items()}))
    assert np.all(gain[0] > 2)
    assert np.all(np.abs(score) < 4)  # of the paired difference, in standard errors
