"""What a store costs a task: written, opened, checked, shown; and that ten times the tasks cost ten times as much."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import engine
from engine import Sweep
from engine.store.compact import compact
from engine.store.integrity import verify
from jobs.benchmarks.driver import Trivial
from jobs.benchmarks.measurement import Measurement

_FEW, _MANY = 2000, 20_000
_MOST_GROWTH = 1.3
"""Of the time for a task, from few to many: it would be 10 where each task looks at all others."""


def measurements() -> Iterator[Measurement]:
    """Some minutes, most of them waiting for the disk."""
    with TemporaryDirectory() as folder:
        few, many = (_costs(Path(folder, str(tasks)), tasks) for tasks in (_FEW, _MANY))
    per_task = f"per task, {_MANY} tasks over {_FEW}"
    how = f"{_MANY} tasks of one number, serial; processor time"
    for what, goal_ms in _GOALS_MS.items():
        value = 1e3 * many[what] / _MANY
        yield Measurement(f"store, {what}, per task", value, "cpu-ms", f"≤ {goal_ms} ms", value <= goal_ms, how)
        ratio = many[what] / _MANY / (few[what] / _FEW)
        yield Measurement(f"store, {what}, growth", ratio, "×", f"≤ {_MOST_GROWTH}", ratio <= _MOST_GROWTH, per_task)
    for what, goal_s in _GOALS_S.items():
        yield Measurement(f"store, {what}", many[what], "cpu-s", f"≤ {goal_s} s", many[what] <= goal_s, how)


_GOALS_MS = {"run": 2.0, "verify": 0.5}
_GOALS_S = {"complete again": 1.5, "load": 5.0, "plot": 5.0, "report": 5.0, "complete again, compact": 1.5}


def _costs(path: Path, tasks: int) -> dict[str, float]:
    """What → processor seconds; of the commands, with the start of their process."""
    sweep = Sweep(Trivial(), realizations=tasks, block=1, chunk=1)
    costs = {
        "run": _seconds(lambda: engine.run(sweep, path, serial=True)),
        "complete again": _seconds(lambda: engine.run(sweep, path, serial=True)),
        "verify": _seconds(lambda: list(verify(path))),
        "load": _seconds(lambda: engine.open_results(path).load()),
        "plot": _seconds(lambda: _command("plot", path, f"{path}.png")),
        "report": _seconds(lambda: _command("report", path, f"{path}.html")),
    }
    compact(path)
    return costs | {"complete again, compact": _seconds(lambda: engine.run(sweep, path, serial=True))}


def _command(name: str, path: Path, output: str) -> None:
    words = [sys.executable, "-m", "jobs", name, str(path), "-o", output]
    subprocess.run(words, check=True, capture_output=True)


def _seconds(work: Callable[[], Any]) -> float:
    """Of this process and its children."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])
