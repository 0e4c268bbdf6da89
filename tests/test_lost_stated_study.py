"""Users lost and users stated to be lost, drawn as the estimator believes and as the scene has them.

docs/evidence/lost-stated.json. Set LOST_RECORD to a file to have the numbers written there; LOST_USERS is how many
users a setting has.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.estimators.paths import Cycles, PathProblem
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.strengths import N_SPREADS, greatest_spread
from engine.numerics.wavefront import wave
from engine.streams import Streams
from scenarios.ris import Method, RisLocalization
from scenarios.ris.lost import LOST_BEAMS

USERS, BLOCK, SEED = int(os.environ.get("LOST_USERS", "2048")), 64, 20261201
STRONGEST = 1.6
"""|g| up to which users are drawn: who is as strong is not lost"""
WAYS = ("prior", "any", "told")


def scene_of(n_users: int, **fields: Any) -> RisLocalization:
    method = Method(estimator=ClosedLoop(), phases="random")
    scene = RisLocalization(
        methods=(method,), n_users=n_users, n_scatterers=0, snr_db=0.0, unidentifiable=True, **fields
    )
    by_rule = Method(estimator=ClosedLoop(), random_cycles=None)
    return scene.replace(n_cycles=max(scene.random_cycles(by_rule)[0], scene.cycles_needed()))


def of_scene(n_users: int, direct_strength: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether users are lost, and the probability stated: all have |g| = 1, by turns near and far."""
    scene = scene_of(n_users, direct_strength=direct_strength)
    simulate = scene.prepare(np)
    lost, stated = [], []
    for block in range(math.ceil(USERS / (BLOCK * n_users))):
        variables = simulate(scene.draw(Streams(SEED, block), BLOCK))
        lost.append(variables["direction_error_beams"][1][:, 0, 0, 0] > LOST_BEAMS)
        stated.append(variables["lost_probability"][1][:, 0, 0, 0])
    return np.concatenate(lost).ravel(), np.concatenate(stated).ravel()


def of_prior(n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of the first of users drawn from the prior: ranges and angles uniform in view, its gain in equal areas.

    The others' are lognormal about what it then makes probable, ln a ~ N(ln|g| + 2τ², τ²), with one spread τ of six.
    """
    scene, rng = scene_of(n_users), np.random.default_rng([SEED, n_users])
    surface, view, n_cycles = scene.surface(), scene.view(), scene.n_cycles
    localizer = ClosedLoop().prepare(PathProblem(surface, view, n_users, 0), np)
    variance, shape = float(surface.n_elements), (BLOCK, n_users)
    lost, stated = [], []
    for _ in range(math.ceil(USERS / (BLOCK * min(n_users, 4)))):
        range_m = rng.uniform(view.range_min_m, view.range_max_m, shape)
        polar = rng.uniform(view.polar_min_rad, view.polar_max_rad, shape)
        azimuth = rng.uniform(view.azimuth_min_rad, view.azimuth_max_rad, shape)
        spread = greatest_spread(view) / 2.0 ** rng.integers(0, N_SPREADS, (BLOCK, 1))
        own = STRONGEST * np.sqrt(rng.random((BLOCK, 1)))
        level = np.log(own) + 2 * spread**2 + spread * rng.standard_normal((BLOCK, 1))
        strength = np.exp(level + spread * rng.standard_normal(shape))
        strength[:, :1] = own
        gain = strength * np.exp(2j * np.pi * rng.random(shape))
        beams = np.exp(2j * np.pi * rng.random((BLOCK, n_cycles, surface.n_elements)))
        noise = rng.normal(size=(2, BLOCK, n_cycles, n_users)) * math.sqrt(variance / 2)
        channel = gain[..., None] * wave(surface, 1 / range_m, polar, azimuth)
        samples = beams @ np.moveaxis(channel, 1, 2) + noise[0] + 1j * noise[1]
        observer = localizer.begin()
        observer.observe(Cycles(beams, samples[:, None], np.full((BLOCK, 1), variance)))
        found = observer.estimate()
        away = [
            (of(found.polar_rad[:, 0, 0], found.azimuth_rad[:, 0, 0]) - of(polar[:, 0], azimuth[:, 0])) * n
            for of, n in (
                (lambda theta, phi: np.sin(theta) * np.sin(phi), surface.n_y),
                (lambda theta, phi: np.cos(theta), surface.n_z),
            )
        ]
        lost.append(np.hypot(*away) * surface.spacing_m / surface.wavelength_m > LOST_BEAMS)
        stated.append(found.lost_probability[:, 0, 0])
    return np.concatenate(lost), np.concatenate(stated)


@pytest.mark.study
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_users", [1, 2, 8])
@pytest.mark.parametrize("way", WAYS)
def test_as_many_are_lost_as_are_stated(way: str, n_users: int) -> None:
    lost, stated = of_prior(n_users) if way == "prior" else of_scene(n_users, way)
    deviation = math.sqrt(np.sum(stated * (1 - stated)))
    by_stated = {
        f"{low:g}-{high:g}": [int(here.sum()), int(lost[here].sum()), round(float(stated[here].sum()), 1)]
        for low, high in ((0, 0.03), (0.03, 0.3), (0.3, 0.7), (0.7, 1.0))
        for here in [(stated >= low) & ((stated < high) | (high == 1.0))]
    }
    record = {
        "users drawn": way, "n_users": n_users, "users": int(lost.size), "lost": int(lost.sum()),
        "stated": round(float(stated.sum()), 1), "deviation": round(deviation, 1), "by stated": by_stated,
    }  # fmt: skip
    path = os.environ.get("LOST_RECORD")
    if path:
        with Path(path).open("a") as file:
            file.write(json.dumps(record) + "\n")
    if way == "any":  # of whose strength less is known than is so
        assert lost.sum() < stated.sum() + 3 * deviation
    else:
        assert abs(lost.sum() - stated.sum()) < 3.5 * deviation
