"""Are 64 workers kept busy by one driver? Tasks that sleep for a second, on a machine of any size.

    PYTHONPATH=.:tests python tests/busy.py --record docs/evidence/store-busy.json

Driver, loop, plan, store and Ray's calls are the real ones. Workers are simulated: four actors of Ray have sixteen
threads each, which take their tasks one by one, as sixteen actors would, and store what they made; 64 processes would
need 64 cores' worth of imports. Busy is a worker from the beginning of a task to its receipt; counted is from when the
last of the workers has begun its first task to when the first has ended its last.
"""

import argparse
import itertools
import json
import os
import pickle
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import ray

import engine
from engine import Scenario, Streams, Sweep, provenance
from engine.execution.cluster import kin, loop
from engine.execution.task import TaskRunner
from engine.scenario import Simulate, Variables
from engine.sweep import Task

WORKERS, HOSTS = 64, 4
Times = dict[int, list[tuple[float, float]]]
"""worker → beginning and end of each of its tasks, by the machine's own clock."""


class Sleeps(Scenario):
    """A number for each realization; each block takes a while."""

    seconds: float = 1.0

    def draw(self, streams: Streams, size: int) -> np.ndarray:
        return streams("x").standard_normal(size)

    def prepare(self, xp: Any) -> Simulate:
        def simulate(realizations: np.ndarray, *, intermediates: bool = False) -> Variables:
            time.sleep(self.seconds)
            return {"x": (("realization",), realizations, {"units": "m"})}

        return simulate


class Host:
    """An actor that is several workers, a thread each."""

    def __init__(self, sweep: bytes, path: str) -> None:
        self._sweep, self._path = pickle.loads(sweep), path
        self._locks: dict[int, threading.Lock] = defaultdict(threading.Lock)
        self._runners: dict[int, TaskRunner] = {}
        self._times: Times = defaultdict(list)

    def ready(self) -> tuple[str, ...]:
        return tuple(kin.this_process())

    def run(self, worker: int, task: Task, attempt: int) -> Any:
        with self._locks[worker]:
            began = time.monotonic()
            if worker not in self._runners:
                self._runners[worker] = TaskRunner(self._sweep, self._path, "cpu")
            result = self._runners[worker](task, attempt)
            self._times[worker].append((began, time.monotonic()))
        return result

    def times(self) -> Times:
        return dict(self._times)


class _Call:
    """A method of an actor, as the loop calls one."""

    def __init__(self, remote: Callable[..., Any]) -> None:
        self.remote = remote


class _Worker:
    def __init__(self, host: Any, number: int) -> None:
        self.ready = _Call(host.ready.remote)
        self.run = _Call(lambda task, attempt: host.run.remote(number, task, attempt))


class Simulation(loop._Loop):
    """The driver's loop, whose actors are threads of a few."""

    hosts: ClassVar[list[Any]] = []
    numbers: ClassVar[Any] = itertools.count()

    def _start(self) -> Any:
        if not self.hosts:
            _, _, sweep, path, _ = self._arguments
            kind = ray.remote(num_cpus=0, max_concurrency=2 * WORKERS)(Host)
            self.hosts.extend(kind.remote(sweep, path) for _ in range(HOSTS))
        number = next(self.numbers)
        actor = _Worker(self.hosts[number % HOSTS], number)
        self._starting[actor.ready.remote()] = actor
        return actor

    def stop(self) -> None:
        """The hosts are asked for their times yet."""


def share(times: Times) -> tuple[float, float]:
    """How much of the time all workers were busy, and of how many seconds. Of workers that began and ended as said."""
    begin = max(tasks[0][0] for tasks in times.values())
    end = min(tasks[-1][1] for tasks in times.values())
    busy = sum(max(0.0, min(b, end) - max(a, begin)) for tasks in times.values() for a, b in tasks)
    return busy / (len(times) * (end - begin)), end - begin


def measured(path: Path, tasks: int, seconds: float) -> dict[str, Any]:
    """A run with Ray in this process, as in a notebook that has started it."""
    sweep = Sweep(Sleeps(seconds=seconds), realizations=tasks, block=1, chunk=1)
    Simulation.hosts.clear()
    real = loop._Loop
    ray.init("local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        loop._Loop = Simulation  # type: ignore[misc]
        began, used = time.monotonic(), time.process_time()
        for report in engine.iterate(sweep, path, workers=WORKERS):
            last = report
        used = time.process_time() - used
        times: Times = {}
        for one in ray.get([host.times.remote() for host in Simulation.hosts]):
            times |= one
    finally:
        loop._Loop = real  # type: ignore[misc]
        ray.shutdown()
    busy, of_seconds = share(times)
    return {
        "workers": len(times), "tasks": last.tasks_done, "seconds of a task": seconds,
        "busy": round(busy, 4), "of seconds": round(of_seconds, 2),
        "seconds in all": round(time.monotonic() - began, 2),
        "driver, processor ms a task": round(used / tasks * 1e3, 3),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--tasks", type=int, default=30 * WORKERS)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled"}
    with tempfile.TemporaryDirectory() as scratch:
        found = measured(Path(scratch) / "s.zarr", given.tasks, given.seconds)
    print(json.dumps(found, indent=1))
    if given.record:
        record = {
            "what": "64 workers, simulated as sixteen threads of each of four actors, and tasks that sleep",
            "command": "PYTHONPATH=.:tests python tests/busy.py",
            "commit": provenance.commit(), "goal": "busy >= 0.95 with tasks of 1 s",
            "load": os.getloadavg()[0], **found,
        }  # fmt: skip
        given.record.write_text(json.dumps(record, indent=1) + "\n")
    raise SystemExit(found["busy"] < 0.95)
