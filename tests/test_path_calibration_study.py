"""Are stated covariances and lost probabilities right, also for optimised phases: docs/evidence/path-calibration.json.

Set CALIBRATION_RECORD to a file to have a line of numbers a setting written there; CALIBRATION_USERS is how many users.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import chdtr, ndtr

from engine.estimators.paths.closed_loop import ClosedLoop
from engine.streams import Streams
from scenarios.leakage.calibration import distance
from scenarios.ris import CLOSED_LOOP, Method, RisLocalization
from scenarios.ris.lost import LOST_BEAMS

USERS, BLOCK, SEED = int(os.environ.get("CALIBRATION_USERS", "1000")), 16, 20261129
BAND = math.sqrt(math.log(2 / 0.05) / 2)
"""√n times the largest distance of an empirical distribution in 95 % or more (Dvoretzky, Kiefer, Wolfowitz, Massart)"""
METHODS = (
    Method(estimator=ClosedLoop(), phases="random", name="random"),
    CLOSED_LOOP.model_copy(update={"name": "optimised"}),
)
SETTINGS: tuple[dict[str, Any], ...] = (
    *({"snr_db": snr} for snr in (5.0, 10.0, 15.0, 20.0, 30.0)),
    {"snr_db": 15.0, "elements_per_side": 12, "range_min_m": 0.3, "range_max_m": 5.0, "scatterer_db": -6.0},
    {"snr_db": 20.0, "elements_per_side": 16, "elements_upwards": 24, "carrier_hz": 60e9, "spacing_m": 0.0025,
     "field_of_view": "wide", "range_min_m": 0.25, "range_max_m": 8.0, "n_users": 3, "n_scatterers": 1},
)  # fmt: skip


def of_setting(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """For each way to choose phases, over the users found: mean normalised square, distances of ranks from uniform."""
    scene = RisLocalization(methods=METHODS, unidentifiable=True, **fields)
    simulate, blocks = scene.prepare(np), []
    for block in range(math.ceil(USERS / (BLOCK * scene.n_users))):
        drawn = scene.draw(Streams(SEED, block), BLOCK)
        values = {name: array[:, :, 0, 0] for name, (_, array, _) in simulate(drawn).items() if name != "misfit"}
        kappa = (
            values["normalised_error"][..., 0] * np.sqrt(values["bound_range_m2"]) / drawn.user_range_m[:, None] ** 2
        )
        polar = values["estimate_polar_rad"] - drawn.user_polar_rad[:, None]
        azimuth = values["estimate_azimuth_rad"] - drawn.user_azimuth_rad[:, None]
        values["deviations"] = np.stack([kappa, polar, azimuth], axis=-1) / values["stated_deviation"]
        blocks.append(
            {name: values[name] for name in ("deviations", "nees", "lost_probability", "direction_error_beams")}
        )
    together = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return [_judged(method.name, {name: array[:, i] for name, array in together.items()}, fields)
            for i, method in enumerate(METHODS)]  # fmt: skip


def _judged(phases: str, values: dict[str, np.ndarray], fields: dict[str, Any]) -> dict[str, Any]:
    lost = values["direction_error_beams"] > LOST_BEAMS
    kept = ~lost & np.isfinite(values["nees"])
    nees, chance = values["nees"][kept], values["lost_probability"]
    ranks = dict(zip(("κ", "θ", "φ"), ndtr(values["deviations"][kept]).T, strict=True)) | {"χ²": chdtr(3, 3 * nees)}
    band = BAND / math.sqrt(nees.size)
    return {
        **fields, "phases": phases, "users": int(lost.size), "lost": int(lost.sum()),
        "lost_stated": round(float(chance.sum()), 2),
        "nees": [round(float(nees.mean()), 3), round(float(nees.std() / math.sqrt(nees.size)), 3)],
        "ranks_from_uniform": {name: round(distance(rank), 4) for name, rank in ranks.items()}, "band": round(band, 4),
    }  # fmt: skip


@pytest.mark.study
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_ranks_are_uniform(number: int) -> None:
    records = of_setting(SETTINGS[number])
    path = os.environ.get("CALIBRATION_RECORD")
    if path:
        with Path(path).open("a") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    for record in records:
        if record["snr_db"] >= 15:
            assert 0.9 - 3 * record["nees"][1] < record["nees"][0] < 1.1 + 3 * record["nees"][1]
        stated = record["lost_stated"]
        assert abs(record["lost"] - stated) < 4 * math.sqrt(max(stated, 1)) + 0.5 * stated
