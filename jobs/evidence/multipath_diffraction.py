"""What diffraction at edges moves in the campus, what it costs, and what it needs of other settings."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import Streams
from jobs.evidence.record import Evidence
from scenarios.multipath import convergence, data
from scenarios.multipath.scene import MultipathScene, Traces, tracer_of

_SEED, _USERS, _ALL = 1, 200, 1000
_SHARES = (0.05, 0.5, 0.95, 1.0)
_OFF_OR_ON = {"diffraction": (0, 1)}
_ENOUGH = 20
_TRIED = {"max_paths": (10, 20, 30, 50, _ALL), "sensor_subarrays": (1, 5, 10, 20, 50)}


def _measured(_store: str) -> dict[str, Any]:
    scene = data.scenario
    assert isinstance(scene, MultipathScene)
    return {"shares": list(_SHARES), **_moved(scene), "rows": _rows(scene)}


def _moved(scene: MultipathScene) -> dict[str, Any]:
    """‖h − h′‖/‖h′‖ of channels without and with diffraction, all paths; the same of users' powers; and the time."""
    drawn = scene.draw_users(Streams(_SEED, 0), _USERS)
    traces = [Traces(scene.replace(diffraction=on, max_paths=_ALL)) for on in (False, True)]
    h = [one.user_channels(drawn)[0] for one in traces]
    powers = [one.expected_power(channels).reshape(_USERS, -1) for one, channels in zip(traces, h, strict=True)]
    pairs = {"users": h, "sensors": [one.sensor_h for one in traces], "powers": powers}
    milliseconds = {}
    for on in (False, True):
        tracer = tracer_of(scene.replace(diffraction=on).channel())
        places = scene.user_position_m(drawn)
        tracer.channels(places)  # compiles
        started = time.process_time()
        tracer.channels(places)
        milliseconds["with" if on else "without"] = (time.process_time() - started) / _USERS * 1e3
    moved = {name: np.quantile(_apart(*pair), _SHARES).tolist() for name, pair in pairs.items()}
    return {"moved": moved, "cpu-ms a user": milliseconds}


def _apart(without: np.ndarray, with_: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(with_, axis=1)
    return (np.linalg.norm(without - with_, axis=1) / np.where(size == 0, np.inf, size))[size > 0]


def _rows(scene: MultipathScene) -> list[dict[str, Any]]:
    """The convergence study of diffraction, and, with it, of what it may change; all else at its default."""
    rows = convergence.study(scene, _USERS, _OFF_OR_ON) + convergence.study(
        scene.replace(diffraction=True), _USERS, _TRIED
    )
    return [row._asdict() for row in rows]


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):g} %"


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for name, what in (("users", "users' channels"), ("sensors", "sensors' channels"), ("powers", "users' powers")):
        cells = (_percent(value) for value in numbers["moved"][name])
        yield f"| {' | '.join((what, *cells))} |"
    cost = numbers["cpu-ms a user"]
    yield f"{cost['with']:.1f} instead of {cost['without']:.1f} cpu-ms a user"
    rows = [convergence.Row(**one) for one in numbers["rows"]]
    (enough,) = (row for row in rows if row.setting == "max_paths" and row.value == _ENOUGH)
    yield f"{enough.milliseconds:.1f} with {_ENOUGH} paths"
    for row in rows:
        if row.setting in _TRIED and row.value != _TRIED[row.setting][-1]:
            yield f"| `{row.setting}` | {row.value} | {_percent(row.median)} | {_percent(row.worst)} |"


EVIDENCE = Evidence(
    "channels and powers with and without diffraction, and what it costs and needs",
    None,
    _measured,
    {"docs/multipath.md": words},
    f"multipath:data's place, array and sensors; {_USERS} users of seed {_SEED}, of seed 0 for the study of settings",
)
