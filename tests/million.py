"""A million realizations, and 100 000 receipts: what opening, asking, resuming and deciding take.

    PYTHONPATH=.:tests python tests/million.py --record docs/evidence/store-million.json

The stores are written without waiting for the disk, which is no part of what is measured; all else is as ever.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import engine
from engine import Scenario, Streams, Sweep, Target, provenance
from engine.execution.plan import Plan
from engine.scenario import Simulate, Variables
from engine.store import aims, create
from engine.store.compact import compact
from engine.store.integrity import verify
from engine.store.store import Store


class Drawn(Scenario):
    """A number for each realization, at as many points as are asked for."""

    place: int = 0

    def draw(self, streams: Streams, size: int) -> np.ndarray:
        return streams("x").standard_normal(size)

    def prepare(self, xp: Any) -> Simulate:
        def simulate(realizations: np.ndarray, *, intermediates: bool = False) -> Variables:
            return {"x": (("realization",), realizations + 3.0 + self.place, {"units": "m"})}

        return simulate


SWEEPS = {
    "one point": Sweep(Drawn(), realizations=1_000_000, block=10, chunk=10),
    "1000 points": Sweep(Drawn(), {"place": tuple(range(1000))}, realizations=1000, block=10, chunk=10),
}


def measured(folder: Path, name: str, sweep: Sweep) -> dict[str, float]:
    """What → processor seconds, of this process or of the command's."""
    path = folder / f"{name.replace(' ', '-')}.zarr"
    half = sweep.n_tasks // 2
    costs: dict[str, float] = {"tasks": sweep.n_tasks}
    flush, os.fsync = os.fsync, lambda descriptor: None
    try:
        started = time.process_time()
        _run(sweep, path, half)
        costs["half of the tasks, serial"] = time.process_time() - started
        costs["open, half done"] = _seconds(lambda: engine.open_results(path))
        costs["status, half done"] = _status(path)
        costs["resume, half done, up to the first task"] = _seconds(lambda: _resumed(sweep, path))
        _run(sweep, path, sweep.n_tasks)
    finally:
        os.fsync = flush
    store = Store(path, mode="r")
    receipts = store.receipts()
    wanted = aims.aims_in(store, (Target.parse("x:rel=0.0005"),))
    return costs | {
        "open": _seconds(lambda: engine.open_results(path)),
        "status": _status(path),
        "receipts read": _seconds(store.receipts),
        "targets decided": _seconds(lambda: Plan(store.grid, receipts, wanted).states()),
        "load": _seconds(lambda: engine.open_results(path).load()),
        "summary": _seconds(lambda: engine.summarize(engine.open_results(path).x)),
        "complete again": _seconds(lambda: engine.run(sweep, path, serial=True)),
        "verify": _seconds(lambda: list(verify(path))),
        "compact": _seconds(lambda: compact(path)),
        "objects, compact": sum(file.is_file() for file in path.rglob("*")),
        "open, compact": _seconds(lambda: engine.open_results(path)),
        "load, compact": _seconds(lambda: engine.open_results(path).load()),
        "verify, compact": _seconds(lambda: list(verify(path))),
    }


def _run(sweep: Sweep, path: Path, tasks: int) -> None:
    for report in engine.iterate(sweep, path, serial=True):
        if report.tasks_done >= tasks:
            break


def _resumed(sweep: Sweep, path: Path) -> None:
    reports = engine.iterate(sweep, path, serial=True)
    next(reports), next(reports)
    reports.close()


def _status(path: Path) -> float:
    words = [sys.executable, "-m", "jobs", "status", str(path)]
    return _seconds(lambda: subprocess.run(words, check=True, capture_output=True))


def _seconds(work: Callable[[], Any]) -> float:
    before = os.times()
    work()
    return round(sum(os.times()[:4]) - sum(before[:4]), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--share", type=int, default=1, help="of the realizations, to try it out")
    given = parser.parse_args()
    record: dict[str, Any] = {
        "command": "PYTHONPATH=.:tests python tests/million.py",
        "commit": provenance.commit(),
        "machine": platform.processor() or platform.machine(),
        "unit": "processor seconds, user and system; commands with the start of their process",
    }
    create._MANY_OBJECTS = 10**7  # more objects of a few bytes than a run would make
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        for name in SWEEPS:
            sweep = SWEEPS[name].replace(realizations=SWEEPS[name].realizations // given.share)
            record[name] = measured(Path(scratch), name, sweep)
            print(name, json.dumps(record[name], indent=1), flush=True)
    if given.record:
        given.record.write_text(json.dumps(record, indent=2) + "\n")
