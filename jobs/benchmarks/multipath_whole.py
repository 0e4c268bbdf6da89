"""What whole runs under multipath cost on one core: the data set, Fig. 4, and estimates off the grid.

All users of the data set are run and stored. Of the others a part is, without storing, and the rest taken to cost as
much; what is done once is counted once.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators import PosteriorMean
from engine.estimators.refined import RefinedPosteriorMean
from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from scenarios.multipath import MultipathEstimation, data, fig4
from scenarios.multipath.off_grid import off_grid

_SHOWN_USERS, _OFF_USERS = 200, 120
_PART, _OFF_PART = 50, 6
_DATA = """
import json, resource, sys, tempfile
from threadpoolctl import threadpool_limits
import engine
from jobs.benchmarks.processes import most_gigabytes
from scenarios.multipath.data import data
with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
    engine.run(data.replace(realizations=int(sys.argv[1])), f"{folder}/data.zarr", serial=True)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, most_gigabytes()]))
"""


def measurements() -> Iterator[Measurement]:
    """About a minute and a half, most of it tables."""
    seconds, gigabytes = _data_set()
    how = "campus, 200 sensors, a process of its own, its start included, all users stored"
    yield Measurement("multipath, 30 000 users", seconds, "cpu-s", "≤ 31 cpu-s", seconds <= 31, how)
    yield Measurement("multipath, memory for them", gigabytes, "GB", "≤ 0.4 GB", gigabytes <= 0.4, how)
    with threadpool_limits(1):
        seconds = _of_fig4()
        how = f"{_SHOWN_USERS} users, five sets of sensors, K = 20 and 40, all noise powers, L and estimators"
        yield Measurement("multipath:fig4", seconds, "cpu-s", "≤ 80 cpu-s", seconds <= 80, how)
        on, off = _on_and_off_the_grid()
    yield Measurement(
        "multipath, off the grid", off / on, "times", "≤ 3 times", off / on <= 3,
        f"posterior mean off the grid over that on it, {on:.0f} cpu-s, 360 angles, −85 dBm, K = 40, L = 50, "
        f"{_OFF_USERS} users, two sets of sensors",
    )  # fmt: skip


def _data_set() -> tuple[float, float]:
    """Processor seconds and gigabytes at most of the paper's 30 000 users, by loops that another process compiled."""
    for users in (1, data.full):
        run = subprocess.run([sys.executable, "-c", _DATA, str(users)], check=True, capture_output=True, text=True)
    seconds, gigabytes = json.loads(run.stdout.splitlines()[-1])
    return seconds, gigabytes


def _of_fig4() -> float:
    total = 0.0
    for index in range(2):
        scenario = fig4.at((index,))
        assert isinstance(scenario, MultipathEstimation)
        once, each = _once_and_each(scenario, _PART)
        total += once + _SHOWN_USERS * each
    return total


def _on_and_off_the_grid() -> tuple[float, float]:
    """Processor seconds of both: each with its table."""
    scenario = off_grid.scenario
    assert isinstance(scenario, MultipathEstimation)
    on, off = (
        scenario.replace(sensor_sets=2, grid_angles=360, estimators=(one,))
        for one in (PosteriorMean(leakage="ray_traced", off_grid=False), RefinedPosteriorMean())
    )
    once, each = _once_and_each(on.replace(grid_angles=361), _OFF_PART)  # another table than Fig. 4's is traced anew
    _, each_off = _once_and_each(off, _OFF_PART, warm=2)
    begins = _seconds(lambda: _simulated(off, 1)) - each_off  # cells to begin with, and a table that is there already
    return once + _OFF_USERS * each, once + begins + _OFF_USERS * each_off


def _once_and_each(scenario: MultipathEstimation, users: int, warm: int = 1) -> tuple[float, float]:
    """Processor seconds of what is prepared, and of a user."""
    found: list[Callable[..., object]] = []
    once = _seconds(lambda: found.append(scenario.prepare(np)))
    found[0](scenario.draw(Streams(1, 0), warm))  # compiles
    drawn = scenario.draw(Streams(0, 0), users)
    return once, _seconds(lambda: found[0](drawn)) / users


def _simulated(scenario: MultipathEstimation, users: int) -> None:
    scenario.prepare(np)(scenario.draw(Streams(2, 0), users))


def _seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started
