"""What the data set under multipath costs, beside tracing every pair of user and sensor, in one process on one core.

The campus, 5 sets of 40 sensors, defaults. The direct way is a script's loop over users: the channel of the user and of
each sensor are traced for that pair, by the same tracer, many places at a time; what is built once, the scene and its
kernels, is not part of either time.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from scenarios.multipath import MultipathData
from scenarios.multipath.scene import Traces, Users

_USERS, _PAIRED_USERS, _FULL_USERS = 1000, 3, 30_000
_PLAIN_PATHS = 10  # what is enough without diffraction


def measurements() -> Iterator[Measurement]:
    """About ten seconds."""
    scenario = MultipathData()
    sensors = scenario.sensor_sets * scenario.n_sensors
    with threadpool_limits(1):
        traces = Traces(scenario)
        users = scenario.draw_users(Streams(0, 0), _USERS)
        traces.expected_power(traces.user_channels(users)[0])  # compiles
        ours = _seconds(lambda: traces.expected_power(traces.user_channels(users)[0])) / _USERS
        direct = _seconds(lambda: _trace_pairs(scenario, traces, users)) / _PAIRED_USERS
        once = _seconds(lambda: Traces(scenario))  # its scene is there already: traces the sensors
        plain = Traces(scenario.replace(diffraction=False, max_paths=_PLAIN_PATHS))
        plain.user_channels(users)  # compiles
        without = _seconds(lambda: plain.expected_power(plain.user_channels(users)[0])) / _USERS
    ratio = _FULL_USERS * direct / (_FULL_USERS * ours + once)
    counted = 2 * _FULL_USERS * sensors / (_FULL_USERS + scenario.sensor_subarrays * sensors)
    yield Measurement(
        "multipath, users traced", 1 / ours, "per cpu-s", "≥ 300 per cpu-s", 1 / ours >= 300,
        "campus, 100 elements, 3 reflections, every edge tried, powers at 200 sensors, one core",
    )  # fmt: skip
    yield Measurement(
        "multipath, what diffraction costs", ours / without, "times", "≤ 5 times", ours / without <= 5,
        f"a user with {scenario.max_paths} paths, every edge tried, over one with {_PLAIN_PATHS} and none",
    )  # fmt: skip
    yield Measurement(
        "multipath, data set", ratio, "times", "≥ 20 times", ratio >= 20,
        f"{_FULL_USERS} users, 200 sensors, against tracing every pair, measured on 600 of them; by places traced "
        f"{counted:.0f} times",
    )  # fmt: skip


def _trace_pairs(scenario: MultipathData, traces: Traces, users: Users) -> None:
    """The direct way, for the first few users."""
    at_sensors = scenario.sensor_position_m(*scenario.sensors()).reshape(-1, 3)
    for i in range(_PAIRED_USERS):
        user = scenario.user_position_m(Users(users.user_range_m[i : i + 1], users.user_angle_rad[i : i + 1]))
        h_user, _ = traces.tracer.channels(np.repeat(user, len(at_sensors), axis=0))
        h_sensor, _ = traces.tracer.channels(at_sensors)
        np.abs(np.sum(np.conj(h_sensor) * scenario.beams(h_user), axis=-1)) ** 2


def _seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started
