"""What a store asks of its own description does not grow with the number of its tasks."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy

import engine
from engine.store import metadata
from engine.store.compact import compact, expand
from engine.store.integrity import verify
from engine.store.store import Store

WORK: dict[str, Callable[[Path], Any]] = {
    "open": engine.open_results,
    "load": lambda path: engine.open_results(path).load(),
    "receipts": lambda path: Store(path).receipts(),
    "pending": lambda path: Store(path).pending(),
    "verify": lambda path: list(verify(path)),
    "compact": compact,
    "load, compact": lambda path: engine.open_results(path).load(),
    "verify, compact": lambda path: list(verify(path)),
    "expand": expand,
}


@pytest.mark.parametrize("chunks", [(3, 30)])
def test_the_root_is_read_as_often_for_many_tasks_as_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: tuple[int, int]
) -> None:
    """The axes of a thousand points took 0.05 ms to read, for every task: a third of the time of everything."""
    counts: list[dict[str, int]] = []
    for number in chunks:
        path = tmp_path / f"{number}.zarr"
        engine.run(toy.small.replace(realizations=4 * number, chunk=4), path, serial=True)
        asked: Counter[str] = Counter()
        with monkeypatch.context() as watched:
            for function in ("axes_of", "packs_of", "check_group"):
                watched.setattr(metadata, function, _counted(getattr(metadata, function), asked))
            counts.append({what: _asked_by(work, path, asked) for what, work in WORK.items()})
    assert counts[0] == counts[1]
    assert all(counts[0].values())


def _counted(function: Callable[..., Any], asked: Counter[str]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        asked["all"] += 1
        return function(*arguments)

    return call


def _asked_by(work: Callable[[Path], Any], path: Path, asked: Counter[str]) -> int:
    asked.clear()
    work(path)
    return asked["all"]


def test_what_is_kept_of_a_root_follows_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    engine.run(toy.small, path, serial=True)
    store = Store(path)
    assert (store.grid.realizations, store.book.packs, list(store.axes)) == (40, {}, ["offset"])
    engine.run(toy.small.replace(realizations=48), path, serial=True)
    compact(path)
    store.take(Store(path).document)
    assert store.grid.realizations == store.book.grid.realizations == 48
    assert list(store.book.packs) == ["receipts/pack.0.jsonl"]
