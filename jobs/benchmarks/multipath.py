"""What the data set under multipath costs, beside tracing every pair of user and sensor, in one process on one core.

The campus, 5 sets of 40 sensors, defaults. The direct way is a script's loop over users: the channel of the user and of
each sensor are traced for that pair, by the same tracer, many places at a time; what is built once, the scene and its
kernels, is not part of either time.
"""

import time
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from engine.streams import Streams
from scenarios.multipath import MultipathData
from scenarios.multipath.scene import Traces, Users

_USERS, _PAIRED_USERS = 1000, 3


class Tracing(NamedTuple):
    """Users traced a cpu-second, and the direct way's time over ours: measured, and by counts of places traced."""

    users_per_second: float
    measured_ratio: float
    counted_ratio: float
    full_users: int


def benchmark(full_users: int = 30_000) -> Tracing:
    """Measure; about ten seconds."""
    scenario = MultipathData()
    sensors = scenario.sensor_sets * scenario.n_sensors
    with threadpool_limits(1):
        traces = Traces(scenario)
        users = scenario.draw_users(Streams(0, 0), _USERS)
        at_sensors = scenario.sensor_position_m(*scenario.sensors()).reshape(-1, 3)
        traces.expected_power(traces.user_channels(users)[0])  # compiles
        started = time.process_time()
        traces.expected_power(traces.user_channels(users)[0])
        ours = (time.process_time() - started) / _USERS
        started = time.process_time()
        for i in range(_PAIRED_USERS):
            user = scenario.user_position_m(Users(users.user_range_m[i : i + 1], users.user_angle_rad[i : i + 1]))
            h_user, _ = traces.tracer.channels(np.repeat(user, sensors, axis=0))
            h_sensor, _ = traces.tracer.channels(at_sensors)
            np.abs(np.sum(np.conj(h_sensor) * scenario.beams(h_user), axis=-1)) ** 2
        direct = (time.process_time() - started) / _PAIRED_USERS
        started = time.process_time()
        Traces(scenario)  # its scene is there already: traces the sensors
        once = time.process_time() - started
    measured = full_users * direct / (full_users * ours + once)
    counted = 2 * full_users * sensors / (full_users + scenario.sensor_subarrays * sensors)
    return Tracing(1 / ours, measured, counted, full_users)
