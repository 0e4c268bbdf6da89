"""Family A under multipath: its data set.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D and Table III.
"""

from typing import Any, ClassVar

import numpy as np

from engine import Streams, Sweep
from engine.scenario import Simulate, Variables
from scenarios.multipath.scene import INCLUDED, MultipathScene, Traces, Users, described_users, require_host


class MultipathData(MultipathScene):
    """The data set: for each user, the power that a beam for it leaks to every sensor of every set.

    Noise, snapshots and subsets of sensors are products of it. The paper's 20 300, 8 700 and 1 000 samples for
    training, validation and test are realizations in this order.
    """

    code_version: ClassVar[int] = 4

    def coordinates(self) -> Variables:
        range_m, angle_rad = self.sensors()
        dims = ("sensor_set", "sensor")
        return {
            "sensor_range_m": (dims, range_m, {"units": "m", "long_name": "range of the sensor"}),
            "sensor_angle_rad": (dims, angle_rad, {"units": "rad", "long_name": "angle of the sensor"}),
        }

    def draw(self, streams: Streams, size: int) -> Users:
        return self.draw_users(streams, size)

    def prepare(self, xp: Any) -> Simulate:
        require_host(xp)
        traces = Traces(self)

        def simulate(realizations: Users, *, intermediates: bool = False) -> Variables:
            h, paths, status = traces.user_channels(realizations)
            power = traces.expected_power(h)
            power[status != INCLUDED] = np.nan
            dims = ("realization", "sensor_set", "sensor")
            return {
                **described_users(realizations, status, paths),
                "expected_power": (dims, power, {"long_name": "expected power at the sensor over P_t"}),
            }

        return simulate


data = Sweep(
    MultipathData(),
    realizations=1000,
    full=30_000,
    block=500,
    chunk=500,
    name="multipath:data",
    about="expected powers of users at 5 sets of 40 sensors under multipath: the data set of Table III",
    highlights=("n_paths", "excluded"),
)
