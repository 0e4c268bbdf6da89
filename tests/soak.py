"""Run a sweep under SIGKILL until it is whole, then compare every bit with an undisturbed run.

    PYTHONPATH=. python tests/soak.py --seed 0 --kills 20 --folder /tmp/soak

At random moments of a seeded schedule the driver or one of its workers is killed, or both; then the same command runs
again, until it is whole. The schedule is reproducible, what it hits is the machine's affair; a run that ends first has
fewer kills than asked for.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import toy
from compare import differences
from processes import command, descendants

import engine

HERE = Path(__file__).parent
SWEEP = toy.small.replace(scenario=toy.Troubled(trouble="slow"), name="soak:SWEEP", realizations=80)
_RAY_STARTS_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """kills: of drivers and workers, in how many runs; differences: arrays and receipts that are not the same."""

    kills: int
    runs: int
    differences: list[str]


def soak(folder: Path, *, seed: int, kills: int, say: Callable[[str], None] = print) -> Outcome:
    """Disturb a run `kills` times, let it finish, compare."""
    choose = random.Random(seed)
    store, undisturbed = folder / "disturbed.zarr", folder / "undisturbed.zarr"
    engine.run(SWEEP.replace(scenario=toy.Toy()), undisturbed, serial=True)  # the same numbers, at once
    done = runs = 0
    code = -1
    while code != 0:
        runs += 1
        process = _start(store)
        while done < kills and _wait_for_progress(store, process):
            time.sleep(choose.uniform(0, 0.5))
            victim = choose.choice(["driver", "worker", "both"])
            victims = _victims(victim, process.pid, choose)
            say(f"run {runs}: {len(_receipts(store))} receipts, killing {len(victims)} ({victim})")
            for pid in victims:
                _kill(pid)
            done += len(victims)
        code = process.wait(timeout=600)
        said = (folder / "log").read_text()
        if code > 0 and "a worker died" not in said:  # three times on one task: the run gives up, as it should
            raise SystemExit(f"run {runs} failed with exit code {code}: {said[-2000:]}")
    return Outcome(done, runs, differences(store, undisturbed))


def _start(store: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}", "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "jobs", "run", "soak:SWEEP", "--store", str(store), "--workers", "2"]
    with open(store.parent / "log", "wb") as log:
        return subprocess.Popen(command, env=environment, stderr=log, stdout=log, cwd=store.parent)


def _receipts(store: Path) -> list[Path]:
    return list((store / "receipts").glob("*.json"))


def _wait_for_progress(store: Path, process: "subprocess.Popen[bytes]") -> bool:
    """False if the run ends first."""
    before = len(_receipts(store))
    deadline = time.monotonic() + _RAY_STARTS_SECONDS
    while len(_receipts(store)) == before and time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def _victims(victim: str, driver: int, choose: random.Random) -> list[int]:
    workers = [pid for pid in descendants(driver) if "ray::Worker" in command(pid)]
    picked = [choose.choice(workers)] if workers and victim != "driver" else []
    return picked + ([driver] if victim != "worker" else [])


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that is there, for both stores")
    given = parser.parse_args()
    outcome = soak(given.folder, seed=given.seed, kills=given.kills)
    print(f"{outcome.kills} kills in {outcome.runs} runs; differences: {outcome.differences or 'none'}")
    raise SystemExit(bool(outcome.differences))
