"""What a figure takes from the command to the picture."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jobs.benchmarks.measurement import Measurement


def measurements() -> Iterator[Measurement]:
    """A minute."""
    with tempfile.TemporaryDirectory() as folder:
        yield _figure("leakage:fig1", 25, Path(folder))
        yield _figure("leakage:fig3", 60, Path(folder))


def _figure(name: str, limit: float, folder: Path) -> Measurement:
    store = folder / f"{name.replace(':', '-')}.zarr"
    words = [sys.executable, "-m", "jobs", "reproduce", name, "--store", str(store)]
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    value = time.perf_counter() - started
    how = "new process, all cores, table and figure"
    return Measurement(f"{name}, command to figure", value, "s", f"≤ {limit:g} s", value <= limit, how)
