"""A finished store in few objects: the same to every reader, whole at every moment, and spread again."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
import xarray
import zarr
from compare import differences

import engine
from engine import StoreError, TaskError
from engine.store import compact as compacting
from engine.store.compact import compact, expand
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from engine.store.storage import LocalStorage
from engine.store.store import Store


def faults(path: Path) -> list[Any]:
    return [item for item in verify(path) if isinstance(item, Problem | Litter)]


def test_it_is_the_same_to_every_reader(stored: Path, honest: Path) -> None:
    before, after = compact(stored)
    assert before > 15 * 4
    assert after == len([file for file in stored.rglob("*") if file.is_file()]) < 25
    assert faults(stored) == []
    assert differences(stored, honest) == []
    plain, was = xarray.open_zarr(stored).load(), xarray.open_zarr(honest).load()
    assert plain.drop_attrs().identical(was.drop_attrs())
    alone = zarr.open_array(stored, path="peak", mode="r", zarr_format=3)  # by the array's own metadata
    assert np.array_equal(np.asarray(alone[:]), was.peak.values)
    assert engine.open_results(stored).power[1, 3:20:5, 1].identical(engine.open_results(honest).power[1, 3:20:5, 1])
    assert engine.replay(stored, 13, offset=2.0).attrs["stored"] == "equal"


def test_a_finished_one_is_read_and_another_budget_refused(stored: Path) -> None:
    compact(stored)
    assert engine.run(toy.small, stored, serial=True).complete.all()
    with pytest.raises(StoreError, match="is compact and holds 40 realizations .* 'nearfield compact --undo'"):
        engine.run(toy.small.replace(realizations=48), stored, serial=True)


def test_undone_it_grows(stored: Path, honest: Path) -> None:
    files = sorted(file.relative_to(stored) for file in stored.rglob("*"))
    compact(stored)
    assert expand(stored) == 0
    assert sorted(file.relative_to(stored) for file in stored.rglob("*")) == files
    assert faults(stored) == []
    assert differences(stored, honest) == []
    assert engine.run(toy.small.replace(realizations=44), stored, serial=True).complete.all()
    assert expand(stored) == 0


@pytest.mark.parametrize(
    ("shard", "peak", "power"),
    [(100, (1, 8), (1, 8, 2)), (300, (1, 32), (1, 16, 2)), (1000, (3, 40), (1, 40, 2)), (2**26, (3, 40), (3, 40, 2))],
)
def test_shards_of_any_size(
    stored: Path,
    honest: Path,
    monkeypatch: pytest.MonkeyPatch,
    shard: int,
    peak: tuple[int, ...],
    power: tuple[int, ...],
) -> None:
    """A chunk of peak has 64 bytes, one of power 128: as many as fit, realizations first, at least one."""
    monkeypatch.setattr(compacting, "_SHARD_BYTES", shard)
    monkeypatch.setattr(compacting, "_PACK_BYTES", shard)
    compact(stored)
    assert (Store(stored).layout("peak").shard, Store(stored).layout("power").shard) == (peak, power)
    assert faults(stored) == []
    assert differences(stored, honest) == []
    assert xarray.open_zarr(stored).power.load().equals(xarray.open_zarr(honest).power)


def test_an_unfinished_store_is_refused_and_one_that_met_its_targets_is_not(stored: Path, tmp_path: Path) -> None:
    (stored / "receipts" / "1.2.json").unlink()
    with pytest.raises(StoreError, match="is not finished, 1 tasks are left"):
        compact(stored)
    path = tmp_path / "met.zarr"
    target = "peak:rel=0.4:least=8"
    was = engine.run(toy.small, path, serial=True, targets=[target]).load()
    assert not was.complete.all()
    compact(path)
    assert faults(path) == []
    assert engine.open_results(path).load().identical(was)
    with pytest.raises(TaskError, match="is compact: 'nearfield compact --undo' spreads it"):
        engine.run(toy.small, path, serial=True)


def test_a_damaged_chunk_is_not_taken_in(stored: Path) -> None:
    (stored / "peak" / "c" / "1" / "3").write_bytes((stored / "peak" / "c" / "1" / "2").read_bytes())
    with pytest.raises(
        StoreError, match=r"peak/c/1/3 of .* does not hold what its receipt says: run 'nearfield verify"
    ):
        compact(stored)
    assert [item.chunk for item in verify(stored) if isinstance(item, Problem)] == ["peak/c/1/3"]


@pytest.mark.parametrize("victim", ["peak/c.0.0", "complete/c.0.0", "receipts/pack.0.jsonl", "zarr.json"])
def test_damage_of_a_compact_store_is_named_and_mended(stored: Path, honest: Path, victim: str) -> None:
    compact(stored)
    data = bytearray((stored / victim).read_bytes())
    data[len(data) // 3] ^= 4
    (stored / victim).write_bytes(data)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert {problem.chunk for problem in problems} == {victim}
    assert repair(stored, problems) == []
    engine.run(toy.small, stored, serial=True)
    assert differences(stored, honest) == []
    assert faults(stored) == []


def test_damage_of_a_task_and_of_a_coordinate_are_mended_together(stored: Path, honest: Path) -> None:
    compact(stored)
    for victim in ("peak/c.0.0", "levels_db/c/0"):
        data = bytearray((stored / victim).read_bytes())
        data[len(data) // 3] ^= 4
        (stored / victim).write_bytes(data)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert {problem.chunk for problem in problems} == {"peak/c.0.0", "levels_db"}
    assert repair(stored, problems) == []
    assert faults(stored) == []  # before the next run
    assert len(Store(stored).receipts()) == 14
    engine.run(toy.small, stored, serial=True)
    assert differences(stored, honest) == []


class Interrupted(BaseException):
    """As a kill is."""


@pytest.mark.parametrize("way", [compact, expand])
def test_interrupted_at_any_step_it_is_whole_and_the_same_again_finishes(
    stored: Path, honest: Path, tmp_path: Path, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way is expand:
        compact(stored)
    step, steps = 0, 1
    while step < steps:
        path = shutil.copytree(stored, tmp_path / f"{step}.zarr")
        done = 0

        def counted(name: str, at: int = step) -> Any:
            real = getattr(LocalStorage, name)

            def call(self: LocalStorage, *arguments: Any, **options: Any) -> Any:
                nonlocal done
                done += 1
                if done > at >= 0:
                    raise Interrupted
                return real(self, *arguments, **options)

            return call

        with monkeypatch.context() as patched, suppress(Interrupted):
            for name in ("write", "write_many", "delete"):
                patched.setattr(LocalStorage, name, counted(name))
            way(path)
        steps = max(steps, done)
        for lock in path.glob("lock.*"):
            lock.unlink()
        assert not [item for item in verify(path) if isinstance(item, Problem) and "copy" not in item.chunk
                    and not item.chunk.endswith("zarr.json")]  # fmt: skip
        assert differences(path, honest) == []
        way(path)
        assert faults(path) == []
        assert differences(path, honest) == []
        assert Store(path).is_compact == (way is compact)
        shutil.rmtree(path)
        step += 1
    assert steps > 5
