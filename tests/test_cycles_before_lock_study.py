"""Users lost after the random cycles that `cycles_before_lock` asks for: docs/evidence/cycles-before-lock.json.

Set CYCLES_RECORD to a file to have the numbers written there; CYCLES_USERS is how many users a setting has.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.intervals import binomial_interval
from engine.streams import Streams
from scenarios.ris import Method, RisLocalization
from scenarios.ris.lost import LOST_BEAMS
from scenarios.ris.protocol import LOST_PROBABILITY

USERS, BLOCK, SEED = int(os.environ.get("CYCLES_USERS", "1000")), 32, 20261130
SETTINGS = (
    *({"snr_db": snr} for snr in (0.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)),
    {"snr_db": 15.0, "n_users": 2, "n_scatterers": 4},
    {"snr_db": 5.0, "n_users": 8},
    {"snr_db": 0.0, "n_users": 1, "n_scatterers": 0},
    {"snr_db": 5.0, "n_users": 1, "n_scatterers": 0},
    {"snr_db": 0.0, "n_users": 2, "n_scatterers": 0},
    {"snr_db": 10.0, "n_users": 1, "n_scatterers": 0},
    {"snr_db": 10.0, "n_users": 1, "n_scatterers": 2},
    {"snr_db": 10.0, "elements_per_side": 12, "range_min_m": 0.3},
    {"snr_db": 10.0, "elements_per_side": 12, "elements_upwards": 30, "field_of_view": "wide", "range_max_m": 15.0},
)


def measured(**fields: Any) -> dict[str, Any]:
    """Shares of lost users after C₀ random cycles: by the closed loop's search, and by the pursuit alone."""
    methods = tuple(
        Method(estimator=estimator, phases="random", name=name)
        for estimator, name in ((ClosedLoop(), "search"), (NewtonisedPursuit(enough=None), "greedy"))
    )
    scene = RisLocalization(methods=methods, unidentifiable=True, **fields)
    count = max(scene.random_cycles(Method(estimator=ClosedLoop(), random_cycles=None))[0], scene.cycles_needed())
    scene = scene.replace(n_cycles=count)
    simulate = scene.prepare(np)
    lost, stated = [], 0.0
    for block in range(math.ceil(USERS / (BLOCK * scene.n_users))):
        variables = simulate(scene.draw(Streams(SEED, block), BLOCK))
        lost.append(variables["direction_error_beams"][1][:, :, 0, 0] > LOST_BEAMS)
        stated += float(variables["lost_probability"][1][:, 0].sum())
    found = np.concatenate(lost)
    users = found[:, 0].size
    shares: dict[str, Any] = {}
    for i, method in enumerate(("search", "greedy")):
        events = int(found[:, i].sum())
        ends = binomial_interval(np.array(events), np.array(users), 0.95)
        shares[method] = [events, round(events / users, 4), *(round(float(end), 4) for end in ends)]
    return {**fields, "random_cycles": count, "users": users, "lost_stated": round(stated, 1), **shares}


@pytest.mark.study
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_so_few_are_lost_after_these_cycles(number: int) -> None:
    record = measured(**SETTINGS[number])
    path = os.environ.get("CYCLES_RECORD")
    if path:
        with Path(path).open("a") as file:
            file.write(json.dumps(record) + "\n")
    assert record["search"][2] <= 5 * LOST_PROBABILITY
