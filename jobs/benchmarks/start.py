"""What a run takes that begins in its own process, against one that goes through Ray from the start, and one without.

All in one run, one after the other, so that a busy minute meets them all; runs are as short as Ray's start, twice as
long, and long. "Seconds of work" are one process's, as a short run finds them.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from engine.execution.handover import START_SECONDS, cores
from jobs.benchmarks.measurement import Measurement

_RUN = """
import sys, time, engine
from scenarios.leakage import fig1
sweep = fig1.replace(realizations=int(sys.argv[1]), chunk=250, name="")
started = time.perf_counter()
for report in engine.iterate(sweep, sys.argv[2], **eval(sys.argv[3])):
    pass
print(time.perf_counter() - started)
"""
_FIGURE = """
import sys, time, engine
from pathlib import Path
from jobs.show.drawing import require_matplotlib, write_figure
from jobs.show.presentation import Presentation
shown = Presentation(engine.open_results(sys.argv[1]).load(), sys.argv[1])
shown.tables()
started = time.process_time()
require_matplotlib()
write_figure(shown.figure, [Path(sys.argv[1]).with_suffix(suffix) for suffix in (".png", ".svg")])
print(time.process_time() - started)
"""
_OURS: dict[str, object] = {}
_SERIAL: dict[str, object] = {"serial": True}
_RAY: dict[str, object] = {"workers": cores()}


def measurements() -> Iterator[Measurement]:
    """Six minutes."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _command(Path(folder))
        yield _figure(Path(folder) / "0-0.zarr")
        pace = _said(_RUN, "1000", str(Path(folder) / "pace.zarr"), repr(_SERIAL)) / 1000
        for seconds in (START_SECONDS / 2, 2 * START_SECONDS):
            yield _never_slower(seconds, pace, Path(folder))
        yield _long(60.0, pace, Path(folder))


def _said(code: str, *words: str) -> float:
    """What a new process prints last."""
    run = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    return float(run.stdout.splitlines()[-1])


def _command(folder: Path) -> Iterator[Measurement]:
    ways: list[Sequence[str]] = [(), ("--serial",), ("--workers", str(cores()))]
    times: list[list[float]] = [[] for _ in ways]
    for number in range(3):
        for which, words in enumerate(ways):
            store = folder / f"{number}-{which}.zarr"
            started = time.perf_counter()
            command = [sys.executable, "-m", "jobs", "reproduce", "leakage:fig1", "--store", str(store), *words]
            subprocess.run(command, check=True, capture_output=True)
            times[which].append(time.perf_counter() - started)
    ours, serial, ray = map(median, times)
    how = f"{ours:.1f} s; {serial:.1f} s with --serial, {ray:.1f} s with --workers {cores()}; medians of 3 in turn"
    what = "leakage:fig1, command to figure, against"
    yield _ratio(f"{what} Ray", ours, ray, "of through Ray", 0.45, how)
    yield _ratio(f"{what} the faster way", ours, min(serial, ray), "of the faster way", 1.1, how)


def _figure(store: Path) -> Measurement:
    used = median(_said(_FIGURE, str(store)) for _ in range(3))
    how = "as PNG and SVG, with what it imports; median of 3 new processes"
    return Measurement("leakage:fig1, the figure", used, "cpu-s", "≤ 2 cpu-s", used <= 2, how)


def _never_slower(seconds: float, pace: float, folder: Path) -> Measurement:
    ours, serial, ray = (_runs(seconds / pace, folder, options) for options in (_OURS, _SERIAL, _RAY))
    how = f"{ours:.1f} s; {serial:.1f} s serially, {ray:.1f} s with {cores()} workers from the start"
    return _ratio(f"{seconds:.0f} s of work", ours, min(serial, ray), "of the faster way", 1.1, how)


def _long(seconds: float, pace: float, folder: Path) -> Measurement:
    ray, ours = (_runs(seconds / pace, folder, options) for options in (_RAY, _OURS))
    how = f"{ours:.1f} s; {ray:.1f} s with {cores()} workers from the start"
    return _ratio(f"{seconds:.0f} s of work", ours, ray, "of through Ray", 1.02, how)


def _runs(realizations: float, folder: Path, options: dict[str, object]) -> float:
    """Seconds of a run with so many realizations in all, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return _said(_RUN, str(max(250, round(realizations))), f"{place}/s.zarr", repr(options))


def _ratio(what: str, one: float, other: float, unit: str, most: float, how: str) -> Measurement:
    ratio = one / other
    return Measurement(what, ratio, unit, f"≤ {most:g}", ratio <= most, how)
