"""The Weiss-Weinstein bound beside the exact limit at the points of Figs. 1 and 3: docs/evidence/weiss-weinstein.json.

Paired: some sets of sensors, the bound of each, and the limit of many users of the same set. Aimed at is the limit at
most 1.5 times the bound, 2 near the threshold.
"""

import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from engine import Streams
from engine.estimators import Observations, Workbench
from engine.estimators.posterior_moments import moments
from scenarios.leakage import fig1, fig3
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.scene import Geometry
from scenarios.leakage.weiss_weinstein import prepare_weiss_weinstein

_SETS, _USERS, _BLOCK, _NODES = 2, 2000, 50, 300
_POINTS = [
    *(("fig3", fig3.scenario.leakage.name, n) for n in fig3.axes["n_sensors"]),
    *(("fig1", fig1.scenario.leakage.name, n) for n in fig1.axes["n_sensors"]),
]


def bounds(scene: LeakageEstimation, sensors: Geometry) -> np.ndarray:
    """Of each set of sensors alone, (2, sets, S, L)."""
    bound = prepare_weiss_weinstein(scene, np, _NODES)
    each = [bound(Geometry(*(part[i : i + 1] for part in sensors))) for i in range(_SETS)]
    return np.concatenate([np.stack(one) for one in each], axis=1)


def limits(scene: LeakageEstimation, sensors: Geometry) -> np.ndarray:
    """Posterior variances of users of each set, (2, sets, users, S, L)."""
    workbench = Workbench(scene.problem(), np)
    found = np.empty((2, _SETS, _USERS, len(scene.noise_dbm), len(scene.n_snapshots)))
    for i in range(_SETS):
        places = [np.repeat(part[i : i + 1], _BLOCK, axis=0) for part in sensors[2:]]
        for block in range(_USERS // _BLOCK):
            drawn = scene.draw(Streams(1, 1000 * i + block), _BLOCK)
            drawn = drawn._replace(sensor_range_m=places[0], sensor_angle_rad=places[1])
            held = moments(workbench.batch(Observations(scene.observe(np, drawn)[2], *places)), scene.leakage)
            found[:, i, block * _BLOCK : (block + 1) * _BLOCK] = np.stack(held.variance)
    return found


@pytest.mark.study
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("figure", "model", "n_sensors"), _POINTS)
def test_the_limit_lies_above_the_bound(figure: str, model: str, n_sensors: int) -> None:
    scene = LeakageEstimation(leakage=model, n_sensors=n_sensors)
    sensors = Geometry(*(part[:_SETS] for part in scene.draw_geometry(Streams(0, 0), _BLOCK)))
    with threadpool_limits(1):
        below, above = bounds(scene, sensors), limits(scene, sensors)
    bound, limit = below.mean(axis=1), above.mean(axis=(1, 2))
    error = np.sqrt(above.var(axis=2, ddof=1).mean(axis=1) / (_SETS * _USERS))
    for q, quantity in enumerate(("range", "angle")):
        for s, noise in enumerate(scene.noise_dbm):
            for i, n in enumerate(scene.n_snapshots):
                at = {"figure": figure, "K": n_sensors, "L": n, "noise_dbm": noise, "quantity": quantity}
                numbers = {"limit": limit[q, s, i], "limit_error": error[q, s, i], "bound": bound[q, s, i]}
                print("POINT", json.dumps(at | {name: float(f"{value:.4g}") for name, value in numbers.items()}))
    assert np.all(bound < limit + 4 * error)
