"""What importing costs: the engine, and commands before they begin.

Where every command imported all the others, each took 1.4 cpu-s before it began. Now `nearfield list` takes 0.7 s: 0.25
for `engine` with NumPy and pydantic, 0.1 for array_api_compat's view of NumPy, the rest for the families and their
sweeps; `status` takes 0.6 s, of which 0.2 import zarr; `--help` and `--version` take 0.09 and 0.1 s.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import engine
from jobs.benchmarks.measurement import Measurement
from jobs.benchmarks.processes import alternating

_REFERENCE = ("-c", "import typer, rich")


def measurements() -> Iterator[Measurement]:
    """Half a minute."""
    yield _engine()
    yield from _against_the_frame()
    with tempfile.TemporaryDirectory() as folder:
        yield from _under_a_second(Path(folder))


def _engine() -> Measurement:
    code = "import time; t = time.perf_counter(); from engine import *; print(time.perf_counter() - t)"  # all of it
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(9)]
    value = min(times)  # a busy machine only adds
    return Measurement("import engine", value, "s", "< 0.3 s", value < 0.3, "best of 9 processes")


def _against_the_frame() -> Iterator[Measurement]:
    """What needs nothing of the project beside what any command line of typer and rich needs."""
    words = ("--help", "--version")
    reference, *ours = map(median, alternating([_REFERENCE, *(("-m", "jobs", word) for word in words)], 15))
    for word, seconds in zip(words, ours, strict=True):
        ratio = seconds / reference
        how = f"processor time {seconds * 1e3:.0f} ms against {reference * 1e3:.0f} ms, medians of 15 processes in turn"
        yield Measurement(f"nearfield {word}", ratio, "times `import typer, rich`", "≤ 2 times", ratio <= 2, how)


def _under_a_second(folder: Path) -> Iterator[Measurement]:
    from scenarios.leakage import fig1

    store = folder / "fig1.zarr"
    engine.run(fig1.replace(realizations=50), store, serial=True)
    commands = {"nearfield list": ("list",), "nearfield status": ("status", str(store))}
    times = alternating([("-m", "jobs", *words) for words in commands.values()], 5)
    for what, seconds in zip(commands, map(median, times), strict=True):
        yield Measurement(what, seconds, "cpu-s", "≤ 1 cpu-s", seconds <= 1, "median of 5 new processes")
