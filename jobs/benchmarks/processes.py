"""What commands take, in processes of their own."""

import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_python(words: Sequence[str]) -> float:
    """Run Python with these words; processor seconds, the system's and those of its own children among them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def alternating(commands: Sequence[Sequence[str]], rounds: int) -> list[list[float]]:
    """Processor seconds of every command in every round: one after the other, so that a busy minute meets them all."""
    times = [[run_python(words) for words in commands] for _ in range(rounds)]
    return [list(each) for each in zip(*times, strict=True)]


def most_gigabytes() -> float:
    """The most memory that this process had. `ru_maxrss` would begin with what its parent had."""
    kilobytes = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes[0]) * 1024 / 1e9
