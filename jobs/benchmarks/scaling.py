"""What a second worker brings."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import engine
from engine import Sweep
from jobs.benchmarks.measurement import Measurement
from scenarios.leakage import fig1

_ORDER = (2, 1, 2)  # so that a drift of the machine's speed cancels


def measurements() -> Iterator[Measurement]:
    """Four minutes."""
    sweep = fig1.replace(scenario=fig1.at((9,)), axes={}, realizations=120_000, chunk=1000, name="")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for i, workers in enumerate(_ORDER):
            seconds[workers].append(_seconds(sweep, Path(folder) / f"{i}.zarr", workers))
    one, two = (float(np.mean(seconds[workers])) for workers in (1, 2))
    how = f"{sweep.realizations} realizations of K = 100: {one:.0f} s and {two:.0f} s"
    yield Measurement("2 workers against 1", one / two, "times", "≥ 1.8", one / two >= 1.8, how)


def _seconds(sweep: Sweep, store: Path, workers: int) -> float:
    """From the first receipt to the last, without Ray's start and end, as if of all tasks."""
    times = [
        time.perf_counter() for report in engine.iterate(sweep, store, workers=workers) if report.receipt is not None
    ]
    return (times[-1] - times[0]) / (len(times) - 1) * sweep.n_tasks
