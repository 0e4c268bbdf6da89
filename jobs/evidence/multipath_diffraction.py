"""What diffraction at edges moves in the campus, what it costs, and what is needed where it is switched off."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from engine import Streams
from jobs.evidence.record import Evidence
from scenarios.multipath import convergence, data
from scenarios.multipath.scene import MultipathScene, Traces, Users, tracer_of

_SEED, _USERS, _ALL = 1, 200, 1000
_SHARES = (0.05, 0.5, 0.95, 1.0)
_TIMED_USERS, _TIMES, _PATHS = 2000, 3, (10, 20)
_OFF = "without diffraction"
_TRIED = {"max_paths": (5, 7, 10, 20, _ALL), "sensor_subarrays": (5, 10, 20, 50)}


def _measured(_store: str) -> dict[str, Any]:
    scene = data.scenario
    assert isinstance(scene, MultipathScene)
    with threadpool_limits(1):
        costs = {name: _cost(scene.replace(diffraction=on)) for name, on in ((_OFF, False), ("with it", True))}
    rows = convergence.study(scene.replace(diffraction=False), _USERS, _TRIED)
    return {"shares": list(_SHARES), "moved": _moved(scene), "cpu-µs a user": costs,
            _OFF: [row._asdict() for row in rows]}  # fmt: skip


def _moved(scene: MultipathScene) -> dict[str, Any]:
    """‖h − h′‖/‖h′‖ of channels without and with diffraction, all paths; and the same of users' powers."""
    drawn = scene.draw_users(Streams(_SEED, 0), _USERS)
    traces = [Traces(scene.replace(diffraction=on, max_paths=_ALL)) for on in (False, True)]
    h = [one.user_channels(drawn)[0] for one in traces]
    powers = [one.expected_power(channels).reshape(_USERS, -1) for one, channels in zip(traces, h, strict=True)]
    pairs = {"users": h, "sensors": [one.sensor_h for one in traces], "powers": powers}
    return {name: np.quantile(_apart(*pair), _SHARES).tolist() for name, pair in pairs.items()}


def _apart(without: np.ndarray, with_: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(with_, axis=1)
    return (np.linalg.norm(without - with_, axis=1) / np.where(size == 0, np.inf, size))[size > 0]


def _cost(scene: MultipathScene) -> dict[str, float]:
    """By the compiled loops, powers at all sensors included, at each number of paths; by the tracer, channels alone."""
    found = {}
    for paths in _PATHS:
        traces = Traces(scene.replace(max_paths=paths))
        drawn = scene.draw_users(Streams(_SEED, 0), _TIMED_USERS)
        seconds = _least(partial(_powers, traces, drawn))
        found[f"{paths} paths"] = 1e6 * seconds / _TIMED_USERS
    tracer = tracer_of(scene.channel())
    places = scene.user_position_m(scene.draw_users(Streams(_SEED, 0), _USERS))
    found["tracer"] = 1e6 * _least(lambda: tracer.channels(places)) / _USERS
    return found


def _powers(traces: Traces, drawn: Users) -> np.ndarray:
    return traces.expected_power(traces.user_channels(drawn)[0])


def _least(run: Callable[[], object]) -> float:
    """Processor seconds, the least of some times; before them it compiles."""
    run()
    taken = []
    for _ in range(_TIMES):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def _percent(share: float) -> str:
    return f"{_two_digits(100 * share)} %" if share else "–"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for name, what in (("users", "users' channels"), ("sensors", "sensors' channels"), ("powers", "users' powers")):
        cells = (_percent(value) for value in numbers["moved"][name])
        yield f"| {' | '.join((what, *cells))} |"
    for name, cost in numbers["cpu-µs a user"].items():
        yield f"| {' | '.join((name, *map(_two_digits, cost.values())))} |"
    for row in (convergence.Row(**one) for one in numbers[_OFF]):
        if row.value != _TRIED[row.setting][-1]:
            yield f"| `{row.setting}` | {row.value} | {_percent(row.median)} | {_percent(row.worst)} |"


EVIDENCE = Evidence(
    "channels and powers with and without diffraction, what it costs, and what is needed without it",
    None,
    _measured,
    {"docs/multipath.md": words},
    f"multipath:data's place, array and sensors; {_USERS} users of seed {_SEED}, {_TIMED_USERS} where a user's time is "
    f"measured, {_USERS} of seed 0 for the study of settings",
)
