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
    """What → processor seconds, of this process or of the command's; each is said as it comes."""
    path = folder / f"{name.replace(' ', '-')}.zarr"
    costs: dict[str, float] = {"tasks": sweep.n_tasks}
    flush, os.fsync = os.fsync, lambda descriptor: None
    try:
        _note(costs, _while_it_grows(sweep, path))
    finally:
        os.fsync = flush
    _note(costs, _once_it_is_whole(sweep, path))
    return costs


def _note(costs: dict[str, float], steps: dict[str, Callable[[], Any]]) -> None:
    for what, work in steps.items():
        costs[what] = work() if what.startswith("objects") else _seconds(work)
        print(f"{what}: {costs[what]:g}", flush=True)


def _while_it_grows(sweep: Sweep, path: Path) -> dict[str, Callable[[], Any]]:
    return {
        "half of the tasks, serial": lambda: _run(sweep, path, sweep.n_tasks // 2),
        "open, half done": lambda: engine.open_results(path),
        "status, half done": lambda: _status(path),
        "resume, half done, up to the first task": lambda: _resumed(sweep, path),
        "the other half": lambda: _run(sweep, path, sweep.n_tasks),
    }


def _once_it_is_whole(sweep: Sweep, path: Path) -> dict[str, Callable[[], Any]]:
    store = Store(path)
    wanted = aims.aims_in(store, (Target.parse("x:rel=0.0005"),))
    receipts = store.receipts()
    return {
        "open": lambda: engine.open_results(path),
        "status": lambda: _status(path),
        "receipts read": store.receipts,
        "targets decided": lambda: Plan(store.grid, receipts, wanted).states(),
        "load": lambda: engine.open_results(path).load(),
        "summary": lambda: engine.summarize(engine.open_results(path).x),
        "complete again": lambda: engine.run(sweep, path, serial=True),
        "verify": lambda: list(verify(path)),
        "compact": lambda: compact(path),
        "objects, compact": lambda: sum(file.is_file() for file in path.rglob("*")),
        "open, compact": lambda: engine.open_results(path),
        "load, compact": lambda: engine.open_results(path).load(),
        "verify, compact": lambda: list(verify(path)),
    }


def _run(sweep: Sweep, path: Path, tasks: int) -> None:
    for report in engine.iterate(sweep, path, serial=True):
        if report.tasks_done >= tasks:
            break


def _resumed(sweep: Sweep, path: Path) -> None:
    reports = engine.iterate(sweep, path, serial=True)
    next(reports), next(reports)
    reports.close()


def _status(path: Path) -> None:
    subprocess.run([sys.executable, "-m", "jobs", "status", str(path)], check=True, capture_output=True)


def _seconds(work: Callable[[], Any]) -> float:
    before = os.times()
    work()
    return round(sum(os.times()[:4]) - sum(before[:4]), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--share", type=int, default=1, help="of the realizations, to try it out")
    parser.add_argument("--only", choices=list(SWEEPS), help="one of the two")
    given = parser.parse_args()
    record: dict[str, Any] = {
        "command": "PYTHONPATH=.:tests python tests/million.py",
        "commit": provenance.commit(),
        "machine": platform.processor() or platform.machine(),
        "unit": "processor seconds, user and system; commands with the start of their process",
    }
    create._MANY_OBJECTS = 10**7  # more objects of a few bytes than a run would make
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        for name in [given.only] if given.only else SWEEPS:
            sweep = SWEEPS[name].replace(realizations=SWEEPS[name].realizations // given.share)
            print(f"{name}, {sweep.n_tasks} tasks", flush=True)
            record[name] = measured(Path(scratch), name, sweep)
    if given.record:
        given.record.write_text(json.dumps(record, indent=2) + "\n")
