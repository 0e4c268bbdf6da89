"""What `open_results` hands out is what was written for this task, variable and store, or it is refused.

Every object here is whole in itself: its crc32c is right, and plain zarr reads it.
"""

import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
import xarray
from forgery import as_format_1, write_coordinate

import engine
from engine import Scenario, StoreError, Streams, Sweep
from engine.scenario import Simulate, Variables
from engine.store import compact as compacting
from engine.store.compact import compact
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from jobs import main as command_line


class Pair(Scenario):
    """Two variables of one shape."""

    def draw(self, streams: Streams, size: int) -> np.ndarray:
        return streams("x").standard_normal(size)

    def prepare(self, xp: Any) -> Simulate:
        def simulate(realizations: np.ndarray, *, intermediates: bool = False) -> Variables:
            one = (("realization",), realizations, {"units": "m"})
            return {"one": one, "two": (("realization",), -realizations, {"units": "m"})}

        return simulate


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep from another seed."""
    path = tmp_path_factory.mktemp("foreign") / "toy.zarr"
    engine.run(toy.small.replace(seed=1), path, serial=True)
    return path


def swap(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def whole_task(path: Path, foreign: Path) -> None:
    for key in ("power/c/1/2/0", "peak/c/1/2", "complete/c/1/2", "receipts/1.2.json"):
        shutil.copy(foreign / key, path / key)


HARMS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "two tasks": (
        lambda path, _: swap(path / "peak/c/1/2", path / "peak/c/1/3"),
        "chunk peak/c/1/2 of .* is damaged: it does not hold what its receipt says; run 'nearfield verify --repair'",
    ),
    "two points": (lambda path, _: swap(path / "peak/c/1/2", path / "peak/c/0/2"), "peak/c/[01]/2 .* what its receipt"),
    "another store's chunk": (
        lambda path, foreign: shutil.copy(foreign / "peak/c/1/2", path / "peak/c/1/2"),
        "chunk peak/c/1/2 of .* what its receipt says",
    ),
    "another store's task": (whole_task, "the receipt receipts/1.2.json of .* is another store's: run 'nearfield ver"),
    "an empty receipt": (
        lambda path, _: os.truncate(path / "receipts/1.2.json", 0),
        "the receipt receipts/1.2.json of .* is damaged",
    ),
    "a receipt for a chunk that is not there": (
        lambda path, _: [(path / "peak/c/1/2").unlink(), (path / "power/c/1/2/0").unlink()],
        "chunk p.* of .* is damaged: it is missing",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_whole_chunk_that_is_not_its_tasks_is_refused_named_and_mended(
    stored: Path, honest: Path, foreign: Path, harm: str
) -> None:
    change, message = HARMS[harm]
    change(stored, foreign)
    good, results = engine.open_results(honest).load(), engine.open_results(stored)
    with pytest.raises(StoreError, match=message):
        results.peak.load()
    assert results.peak[2].equals(good.peak[2])  # the others are as ever
    with pytest.raises(StoreError, match=message):
        engine.summarize(results.peak)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert problems
    assert repair(stored, problems) == []
    assert engine.run(toy.small, stored, serial=True).load().drop_attrs().identical(good.drop_attrs())


def test_commands_say_it(stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture or a table is not made; a report goes on, with a note in place of what it cannot show."""
    swap(stored / "power/c/1/2/0", stored / "power/c/1/3/0")
    what = "power/c/1/2/0 of .* does not hold what its receipt says"
    for command, suffix in (("plot", "png"), ("export", "csv"), ("report", "html")):
        output = stored.parent / f"x.{suffix}"
        monkeypatch.setattr(sys, "argv", ["nearfield", command, str(stored), "-o", str(output)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr().err
        if command == "report":
            assert re.search(
                f"The table of power cannot be made of these results: StoreError: .*{what}", output.read_text()
            )
        else:
            assert ended.value.code == 1
            assert re.fullmatch(f"nearfield: .*{what}.*\n", said)
            assert not output.exists()


def test_two_variables_of_one_shape_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "pair.zarr"
    engine.run(Sweep(Pair(), realizations=8, block=4, chunk=4), path, serial=True)
    swap(path / "one/c/1", path / "two/c/1")
    for name in ("one", "two"):
        with pytest.raises(StoreError, match=f"chunk {name}/c/1 of .* what its receipt says"):
            engine.open_results(path)[name].load()
        assert engine.open_results(path)[name][:4].notnull().all()
    with pytest.raises(StoreError, match="chunk one/c/1 of .* what its receipt says"):
        engine.replay(path, 5)


@pytest.mark.parametrize("harm", ["within a shard", "another store's"])
def test_shards_hold_what_the_receipts_say(stored: Path, foreign: Path, tmp_path: Path, harm: str) -> None:
    compact(stored)
    shard = stored / "peak/c.0.0"
    if harm == "within a shard":
        data, length = shard.read_bytes(), 8 * 8 + 4  # eight numbers and their crc32c
        shard.write_bytes(data[length : 2 * length] + data[:length] + data[2 * length :])
    else:
        other = shutil.copytree(foreign, tmp_path / "other.zarr")
        compact(other)
        shutil.copy(other / "peak/c.0.0", shard)
    assert xarray.open_zarr(stored).peak.load().notnull().all()
    with pytest.raises(StoreError, match=r"chunk peak/c.0.0 of .* what its receipt says"):
        engine.open_results(stored).peak.load()
    with pytest.raises(StoreError, match=r"chunk peak/c.0.0 of .* what its receipt says"):
        engine.replay(stored, 3, offset=0.0)
    assert {item.chunk for item in verify(stored) if isinstance(item, Problem)} == {"peak/c.0.0"}


@pytest.mark.parametrize("name", ["offset", "levels_db"])
@pytest.mark.parametrize("is_there", [True, False])
def test_other_coordinates_are_refused(stored: Path, name: str, is_there: bool) -> None:
    """Zarr reads an object that is gone as zeros."""
    if is_there:
        write_coordinate(stored, name, np.arange({"offset": 3, "levels_db": 2}[name]) + 7.0)
    else:
        (stored / name / "c" / "0").unlink()
    with pytest.raises(
        StoreError, match=rf"{name} of .* does not hold the coordinates of the store: run 'nearfield ver"
    ):
        engine.open_results(stored)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == [name]
    assert repair(stored, problems) == []
    assert engine.open_results(stored).load().complete.all()


@pytest.mark.parametrize("is_there", [True, False])
def test_in_format_1_too(stored: Path, is_there: bool) -> None:
    """There a chunk that is not there may be one of fill values: only its receipt tells."""
    as_format_1(stored)
    if is_there:
        swap(stored / "peak/c/1/2", stored / "peak/c/1/3")
    else:
        (stored / "peak/c/1/2").unlink()
    results = engine.open_results(stored)
    with pytest.raises(StoreError, match="chunk peak/c/1/2 of .* what its receipt says"):
        results.peak.load()
    assert results.power.load().notnull().all()


def test_in_format_1_root_and_array_must_agree(stored: Path) -> None:
    as_format_1(stored)
    root = json.loads((stored / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["power"]["attributes"]["units"] = "mW"
    (stored / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match=r"zarr.json and power/zarr.json say two things of power"):
        engine.open_results(stored)


@pytest.mark.parametrize(("version", "keeps_id"), [(1, True), (1, False), (2, False)])
def test_a_root_without_its_digest_is_not_believed(stored: Path, version: int, keeps_id: bool) -> None:
    """Format 1 has no digest, but neither has it what a store of today has."""
    root = json.loads((stored / "zarr.json").read_text())
    attributes = root["attributes"]
    attributes.update(nearfield_format=version, commit="0" * 40)
    for name in ("digest", *(() if keeps_id else ("budgets", "has_stops", "store_id"))):
        attributes.pop(name)
    for name in ("zarr.json", "zarr.copy.json"):
        (stored / name).write_text(json.dumps(root))
    with pytest.raises(StoreError, match=r"does not have the digest|is another store's"):
        engine.open_results(stored)
    try:
        assert [item for item in verify(stored) if isinstance(item, Problem)]
    except StoreError as error:
        assert "zarr.json" in str(error)  # noqa: PT017
    else:
        assert (version, keeps_id) == (1, False)


@pytest.mark.parametrize("was_read", [True, False])
def test_a_reader_of_before_goes_on_while_the_store_grows(tmp_path: Path, was_read: bool) -> None:
    """A chunk in which the budget ended is written again, longer, with another receipt."""
    path, sweep = tmp_path / "s.zarr", toy.small.replace(realizations=12)
    good = engine.run(sweep, path, serial=True).load()
    results = engine.open_results(path)
    if was_read:
        results.power.load()
    engine.run(sweep.replace(realizations=20), path, serial=True)
    assert results.peak.load().identical(good.peak)
    assert engine.open_results(path).peak[:, :12].equals(good.peak)


def test_a_receipt_that_is_withdrawn_while_somebody_reads(stored: Path) -> None:
    results = engine.open_results(stored)
    (stored / "receipts" / "2.4.json").unlink()
    assert results.peak[:2].notnull().all()
    with pytest.raises(StoreError, match=r"the receipt receipts/2.4.json of .* is gone: open the store again"):
        results.peak.load()


def test_each_receipt_is_read_once(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.store.storage import LocalStorage

    results, read, real = engine.open_results(stored), [], LocalStorage.read
    monkeypatch.setattr(LocalStorage, "read", lambda self, key: [read.append(key), real(self, key)][1])
    results.peak.load()
    results.power.load()
    assert sorted(key for key in read if key.startswith("receipts/")) == sorted(
        f"receipts/{point}.{number}.json" for point in range(3) for number in range(5)
    )
    assert len(read) == len(set(read))


@pytest.mark.parametrize("is_compact", [False, True])
def test_what_is_opened_can_be_sent_to_another_process(stored: Path, honest: Path, is_compact: bool) -> None:
    if is_compact:
        compact(stored)
    sent = pickle.loads(pickle.dumps(engine.open_results(stored)))
    assert sent.load().drop_attrs().identical(engine.open_results(honest).load().drop_attrs())


def test_threads_that_read_several_shards_see_each_its_own(
    stored: Path, honest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "_SHARD_BYTES", 100)
    compact(stored)
    good, results = engine.open_results(honest).peak.values, engine.open_results(stored).peak
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            places = [(i % 3, 8 * (i % 5)) for i in range(600)]
            read = list(pool.map(lambda at: results[at[0], at[1] : at[1] + 8].values, places))
    finally:
        sys.setswitchinterval(switch)
    assert all(np.array_equal(part, good[i, j : j + 8]) for (i, j), part in zip(places, read, strict=True))
    assert not [item for item in verify(stored) if isinstance(item, Problem | Litter)]
