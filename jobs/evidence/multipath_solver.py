"""Channels by the image method against those of Sionna RT's own solver, which traces every element by itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import Streams
from jobs.evidence.record import Evidence
from scenarios.multipath import data
from scenarios.multipath.scene import MultipathScene, tracer_of

_SEED, _USERS, _RAYS = 1, 100, (10_000, 100_000)
_ALL = 1000
_FAR_OFF = 0.1


def _measured(_store: str) -> dict[str, Any]:
    """‖h − h_solver‖/‖h‖ of each channel, without diffraction on either side: median, 95th percentile, largest, and how
    many above a tenth."""
    scene = data.scenario
    assert isinstance(scene, MultipathScene)
    tracer = tracer_of(scene.replace(diffraction=False, max_paths=_ALL).channel())
    users = scene.user_position_m(scene.draw_users(Streams(_SEED, 0), _USERS))
    sensors = scene.sensor_position_m(*scene.sensors()).reshape(-1, 3)
    found = []
    for name, places, parts in (("users", users, 1), ("sensors", sensors, scene.sensor_subarrays)):
        ours, _ = tracer.channels(places, parts)
        reached = np.linalg.norm(ours, axis=1) > 0
        for rays in _RAYS:
            theirs = tracer.exact_channels(places, rays)
            error = np.linalg.norm(ours - theirs, axis=1)[reached] / np.linalg.norm(ours, axis=1)[reached]
            median, most = np.quantile(error, (0.5, 0.95)).tolist()
            numbers = {"median": median, "95 % below": most, "largest": float(error.max())}
            found.append({"of": name, "rays": rays, **numbers, "above a tenth": int(np.sum(error > _FAR_OFF)),
                          "channels": int(reached.sum())})  # fmt: skip
    return {"relative errors": found}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for one in numbers["relative errors"]:
        shares = (f"{float(f'{100 * one[name]:.2g}'):g} %" for name in ("median", "95 % below", "largest"))
        cells = (f"{one['channels']} {one['of']}", f"{one['rays'] // 1000} 000", *shares, str(one["above a tenth"]))
        yield f"| {' | '.join(cells)} |"


EVIDENCE = Evidence(
    "channels over the campus against those that Sionna RT's solver traces from every element",
    None,
    _measured,
    {"docs/multipath.md": words},
    f"multipath:data's place, array and sensors; {_USERS} users of seed {_SEED}; all paths but those over edges",
)
