"""What the driver's process takes for a chunk."""

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
    how = "1000 tasks that cost nothing; driver's process"
    yield Measurement("driver, per chunk", used, "cpu-ms", "≤ 2 ms", used <= 2, how)


def _per_chunk(folder: Path) -> float:
    """Processor milliseconds, after the first task."""
    sweep = Sweep(Trivial(), realizations=1000, block=1, chunk=1)
    started = None
    for report in engine.iterate(sweep, folder / "trivial.zarr", workers=cores()):
        if report.receipt is not None and started is None:
            started, first = time.process_time(), report.tasks_done
    assert started is not None
    return (time.process_time() - started) / (sweep.n_tasks - first) * 1e3
