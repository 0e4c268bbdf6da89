"""What was reported as stored survives a loss of power at any moment, and nothing else is ever taken for it."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from compare import differences
from power import Trace, after_loss, recorded

import engine
from engine.errors import NearfieldError
from engine.store import local
from engine.store.compact import compact
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from engine.store.storage import storage_at
from engine.store.store import Store

SMALL = toy.small.replace(axes={"offset": (0.0, 1.0)}, realizations=12)
GROWN = SMALL.replace(realizations=28)


def traced(base: Path) -> tuple[Trace, dict[int, list[str]]]:
    """A store made, grown within a chunk, limited in seconds and compacted; and what was reported as stored when."""
    reported: dict[int, list[str]] = {}
    with recorded(base) as trace:
        for sweep, options in ((SMALL, {}), (GROWN, {"max_seconds": 600.0})):
            for report in engine.iterate(sweep, base / "s.zarr", serial=True, **options):
                if report.receipt:
                    key = f"{report.receipt.point[0]}.{report.receipt.start // 8}"
                    reported.setdefault(len(trace.events), []).append(f"{key} {report.receipt.stop}")
        compact(base / "s.zarr")
    return trace, reported


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.zarr"
    engine.run(GROWN, path, serial=True)
    return path


def outcome(path: Path, wanted: set[str], undisturbed: Path) -> list[str]:
    """What is wrong with a store that a loss of power left, empty if nothing is. wanted: tasks reported as stored."""
    for lock in path.glob("lock.*"):  # of a boot that is over; tests/test_lock.py has what comes of them
        lock.unlink()
    if storage_at(path).is_empty():
        return [f"lost: {sorted(wanted)}"] if wanted else []
    items = [item for item in verify(path) if isinstance(item, Problem | Litter)]
    wrong = [f"cannot be mended: {item}" for item in items if isinstance(item, Problem) and not item.receipt]
    kept = {f"{r.point[0]}.{r.start // 8} {r.stop}" for r in Store(path).receipts()}
    wrong += [f"lost: {task}" for task in wanted - kept if not kept & {f"{task.split()[0]} {stop}" for stop in (16,)}]
    good, found = engine.open_results(undisturbed).load(), engine.open_results(path).load()
    count = found.sizes["realization"]
    mask = found.complete.values
    for name in ("peak", "power"):
        values, true = found[name].values, good[name].isel(realization=slice(count)).values
        if values[mask].tobytes() != true[mask].tobytes() or not np.isnan(values[~mask]).all():
            wrong.append(f"wrong values: {name}")
    repair(path, items)
    engine.run(GROWN, path, serial=True)
    left = [item for item in verify(path) if isinstance(item, Problem)]
    return wrong + [f"not mended: {item}" for item in left] + differences(undisturbed, path)


def losses(folder: Path, undisturbed: Path, moments: int, seed: int) -> dict[int, list[str]]:
    """Moment → what was wrong, of random moments."""
    (folder / "base").mkdir()
    trace, reported = traced(folder / "base")
    choose, found = random.Random(seed), {}
    for _ in range(moments):
        moment = choose.randint(0, len(trace.events))
        wanted = {task for when, tasks in reported.items() if when <= moment for task in tasks}
        after_loss(trace, moment, choose, folder / "after")
        try:
            wrong = outcome(folder / "after" / "s.zarr", wanted, undisturbed)
        except NearfieldError as error:
            wrong = [str(error)]
        if wrong:
            found[moment] = wrong
        shutil.rmtree(folder / "after")
    return found


def test_nothing_is_lost_at_some_moments(tmp_path: Path, undisturbed: Path) -> None:
    assert losses(tmp_path, undisturbed, 30, seed=1) == {}


@pytest.mark.slow
def test_nothing_is_lost_at_200_moments(tmp_path: Path, undisturbed: Path) -> None:
    assert losses(tmp_path, undisturbed, 200, seed=18) == {}


@pytest.mark.parametrize("forgotten", ["files", "folders"])
def test_what_is_not_flushed_is_missed(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """The test can fail: without waiting for files, or for folders, something is lost."""
    flush = local._flush

    def forgetful(path: str) -> Any:
        return None if Path(path).is_dir() == (forgotten == "folders") else flush(path)

    monkeypatch.setattr(local, "_flush", forgetful)
    assert losses(tmp_path, undisturbed, 40, seed=2) != {}
