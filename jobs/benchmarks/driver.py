"""What the driver takes for a chunk: its process, and the one beside it that speaks to Ray."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import engine
from engine import Scenario, Streams, Sweep
from engine.execution.handover import cores
from engine.scenario import Simulate, Variables
from jobs.benchmarks.measurement import Measurement


class Trivial(Scenario):
    """Costs nothing to simulate: what is left is the machinery."""

    def draw(self, streams: Streams, size: int) -> np.ndarray:
        return streams("x").random(size)

    def prepare(self, xp: Any) -> Simulate:
        def simulate(realizations: np.ndarray, *, intermediates: bool = False) -> Variables:
            return {"x": (("realization",), realizations, {})}

        return simulate


def measurements() -> Iterator[Measurement]:
    """A quarter of a minute."""
    with tempfile.TemporaryDirectory() as folder:
        used = _per_chunk(Path(folder))
    how = "1000 tasks that cost nothing; the driver's process and its child that drives Ray"
    yield Measurement("driver, per chunk", used, "cpu-ms", "≤ 2 ms", used <= 2, how)


def _per_chunk(folder: Path) -> float:
    """Processor milliseconds, after the first task."""
    sweep = Sweep(Trivial(), realizations=1000, block=1, chunk=1)
    first, used, children = 0, 0.0, []
    for report in engine.iterate(sweep, folder / "trivial.zarr", workers=cores()):
        if report.receipt is not None and not first:
            first, children = report.tasks_done, _children()
            started = _used(children)
        if report.tasks_done == sweep.n_tasks:
            used = _used(children) - started  # before the child ends
    return used / (sweep.n_tasks - first) * 1e3


def _children() -> list[Path]:
    """Where the system tells of the processes that this one has started."""
    return [stat for stat in Path("/proc").glob("[0-9]*/stat") if _fields(stat)[1:2] == [str(os.getpid())]]


def _fields(stat: Path) -> list[str]:
    """State, parent and so on; none of a process that has ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _used(children: list[Path]) -> float:
    """Processor seconds of this process and of its children."""
    ticks = sum(int(field) for stat in children for field in _fields(stat)[11:13])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
