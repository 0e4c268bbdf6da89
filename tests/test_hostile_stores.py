"""A store that somebody sent: it may be damaged or made to harm. It is refused with one line, and runs nothing."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from forgery import forge, forge_attribute, write_coordinate

import engine
from engine import InputError, StoreError
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from engine.store.store import Store
from jobs import main as command_line


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def attribute(name: str, value: Any) -> Callable[[Path], None]:
    return lambda path: forge_attribute(path, name, value)


def array(name: str, **changes: Any) -> Callable[[Path], None]:
    """The same lie in the array's own metadata and in the consolidated ones."""

    def change(path: Path) -> None:
        edit(path / name / "zarr.json", lambda own: own.update(changes))
        forge(path, lambda _, arrays: arrays[name].update(changes))

    return change


def grid(*lengths: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(lengths)}}


CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
METADATA: dict[str, tuple[Callable[[Path], None], str]] = {
    "a variable outside": (attribute("variables", ["../../etc/passwd"]), "variables: .*cannot be the name"),
    "an axis outside": (attribute("axes", '{"../x": [1]}'), "cannot be the name"),
    "an axis of nothing": (attribute("axes", '{"offset": []}'), "axis offset: needed one or more"),
    "an axis that writes": (attribute("axes", '{"offset": ["\\u001b[2J"]}'), "needed text without control characters"),
    "versions of nothing": (attribute("versions", "{}"), "axes and versions: needed tables"),
    "no axes": (attribute("axes", "["), "has attributes that no store has"),
    "deep axes": (attribute("axes", "[" * 10**5), "has attributes that no store has"),
    "a huge budget": (attribute("realizations", 10**12), "realizations: .*less than or equal to 33554432"),
    "text for a number": (attribute("chunk", "8"), "chunk: .*valid integer"),
    "too many tasks": (
        lambda path: [attribute("realizations", 2**25)(path), attribute("chunk", 1)(path)][0],
        "asks for 100663296 tasks",
    ),
    "an escape sequence": (attribute("about", "\x1b]0;owned\x07"), "about: needed text without control characters"),
    "another format": (attribute("nearfield_format", 99), "is not a nearfield store of format 1"),
    "deep JSON": (lambda path: [(path / "zarr.json").write_text("[" * 10**6)][0] and None, "is damaged: it is no JSON"),
    "huge JSON": (lambda path: os.truncate(path / "zarr.json", 2**40), "zarr.json holds more than 16 MiB"),
    "objects": (array("peak", data_type="object"), "data_type: "),
    "pickles": (array("peak", codecs=[{"name": "numcodecs.pickle"}, {"name": "crc32c"}]), "stored with crc32c, numcod"),
    "a compressed bomb": (array("peak", codecs=[*CODECS, {"name": "zstd"}]), "is stored with bytes, crc32c, zstd"),
    "an unknown codec": (array("peak", codecs=[{"name": "os.system"}]), "is stored with os.system"),
    "a huge chunk": (array("peak", chunk_grid=grid(1, 2**40)), "peak has chunks of 8.39e\\+06 MiB, at most 256"),
    "a huge shape": (array("peak", shape=[3, 2**60]), "peak is no array of a store: shape"),
    "a huge coordinate": (array("levels_db", shape=[2**25], chunk_grid=grid(1)), "levels_db of shape .* does not fit"),
    "a negative chunk": (array("peak", chunk_grid=grid(1, -8)), "has no regular chunks"),
    "other chunks": (array("peak", shape=[3, 2**20], chunk_grid=grid(3, 2**20)), "does not fit the store's axes"),
    "chunks elsewhere": (array("peak", chunk_key_encoding={"name": "v2"}), "names its chunks in another way"),
    "a transformer": (array("peak", storage_transformers=[{"name": "x"}]), "is stored with bytes, crc32c"),
}


def verdict(path: Path) -> None:
    """What `verify` says of the root, raised: it goes on by the root's copy, where that is whole."""
    for item in verify(path):
        if isinstance(item, Problem) and item.chunk == "zarr.json":
            raise StoreError(item.what)


@pytest.mark.parametrize("harm", METADATA)
def test_metadata_that_no_store_has_are_refused(stored: Path, harm: str) -> None:
    change, message = METADATA[harm]
    change(stored)
    for read in (engine.open_results, engine.load_sweep, verdict):
        with pytest.raises(StoreError, match=message) as refused:
            read(stored)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 1000


RECEIPTS: dict[str, tuple[dict[str, Any], str]] = {
    "outside the budget": ({"start": 40, "stop": 48}, "has not the name of the task"),
    "another's": ({"point": [1]}, "has not the name of the task"),
    "too long": ({"stop": 41}, "outside the store's axes and budget"),
    "misaligned": ({"start": 3}, "outside the store's axes and budget"),
    "backwards": ({"stop": -8}, "outside the store's axes and budget"),
    "a path": ({"point": ["../../x"]}, "is damaged"),
    "an escape sequence": ({"host": "\x1b[2J"}, "is damaged"),
}


@pytest.mark.parametrize("harm", RECEIPTS)
def test_a_receipt_that_does_not_belong_is_refused_and_named(stored: Path, harm: str) -> None:
    changes, message = RECEIPTS[harm]
    edit(stored / "receipts" / "0.0.json", lambda receipt: receipt.update(changes))
    with pytest.raises(StoreError, match=f"the receipt receipts/0.0.json of .* {message}"):
        engine.run(toy.small, stored, serial=True)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == ["receipts/0.0.json"]
    repair(stored, problems)
    assert engine.run(toy.small, stored, serial=True).complete.all()


def test_a_receipt_for_a_point_that_is_not_there(stored: Path) -> None:
    (stored / "receipts" / "0.0.json").rename(stored / "receipts" / "9.0.json")
    edit(stored / "receipts" / "9.0.json", lambda receipt: receipt.update(point=[9]))
    with pytest.raises(StoreError, match="outside the store's axes and budget"):
        Store(stored).receipts()


def test_a_huge_receipt_is_not_read(stored: Path) -> None:
    os.truncate(stored / "receipts" / "0.0.json", 2**40)
    with pytest.raises(StoreError, match=r"receipts/0.0.json holds more than 16 MiB"):
        Store(stored).receipts()


def test_links_lead_nowhere(stored: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (stored / "peak" / "c" / "0" / "1").unlink()
    (stored / "peak" / "c" / "0" / "1").symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="peak/c/0/1 is a link: remove it"):
        engine.open_results(stored).peak.load()
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert {problem.chunk for problem in problems} == {"peak/c/0/1"}
    (stored / "receipts").rename(tmp_path / "receipts")
    (stored / "receipts").symlink_to(tmp_path / "receipts")
    with pytest.raises(StoreError, match="is a link: remove it"):
        engine.run(toy.small, stored, serial=True)
    os.remove(stored / "zarr.json")
    (stored / "zarr.json").symlink_to("/dev/zero")
    with pytest.raises(StoreError, match=r"zarr.json is a link: remove it"):
        engine.open_results(stored)


def test_a_pipe_does_not_stop_a_reader_for_ever(stored: Path) -> None:
    os.remove(stored / "receipts" / "0.0.json")
    os.mkfifo(stored / "receipts" / "0.0.json")
    with pytest.raises(StoreError, match=r"receipts/0.0.json is not a plain file"):
        Store(stored).receipts()
    os.remove(stored / "zarr.json")
    os.mkfifo(stored / "zarr.json")
    with pytest.raises(StoreError, match=r"zarr.json is not a plain file"):
        engine.open_results(stored)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module beside the user that leaves a mark when it is imported."""
    (tmp_path / "trap.py").write_text(
        f"import pathlib, toy\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n"
        f"class Trap(toy.Toy): pass\nsmall = toy.small.replace(scenario=Trap())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "sprung"  # type: ignore[misc]
    sys.modules.pop("trap", None)


def nearfield(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["nearfield", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def test_a_store_imports_nothing_on_its_own_word(
    stored: Path, trap: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attribute("scenario_class", "trap:Trap")(stored)
    attribute("name", "trap:small")(stored)
    for words in (f"status {stored}", f"verify {stored}", f"plot {stored} -o p.png"):
        assert nearfield(words, monkeypatch) == 0, words
    capsys.readouterr()
    for words in (f"run --store {stored} --serial", f"replay {stored} --index 0 --point offset=1"):
        assert nearfield(words, monkeypatch) == 2, words
        assert "not imported on its word: import 'trap' yourself first (on the command line: --import trap)" in (
            capsys.readouterr().err
        )
    assert not trap.exists()
    assert nearfield(f"replay {stored} --index 0 --point offset=1 --import trap", monkeypatch) == 1  # another sweep
    assert trap.exists()


def test_the_user_may_name_what_the_store_comes_from(
    trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nearfield("run trap:small --store t.zarr --serial --realizations 8", monkeypatch) == 0
    sys.modules.pop("trap")
    assert nearfield("run --store t.zarr --serial --realizations 16 --import trap", monkeypatch) == 0
    assert nearfield("run --store t.zarr --import nowhere", monkeypatch) == 2
    assert "--import: there is no module 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "engine.store:Store", "toy:small", "toy:", ":"])
def test_what_is_no_scenario_is_not_called(stored: Path, name: str) -> None:
    attribute("scenario_class", name)(stored)
    with pytest.raises(InputError, match="is no scenario class|there is no scenario|lies outside nearfield"):
        engine.load_sweep(stored)


def test_an_estimator_is_not_imported_on_a_files_word(trap: Path) -> None:
    from scenarios.leakage.estimation import LeakageEstimation

    fields = LeakageEstimation().model_dump(mode="json")
    fields["estimators"] = [{"class": "trap:Trap"}]
    with pytest.raises(ValueError, match="estimator 'trap:Trap' lies outside nearfield"):
        LeakageEstimation.model_validate(fields)
    assert not trap.exists()


def test_damaged_coordinates_and_a_wrong_mask_are_named_and_mended(stored: Path) -> None:
    good = engine.open_results(stored).load()
    for name in ("offset", "levels_db", "realization"):
        file = next(file for file in sorted((stored / name / "c").rglob("*")) if file.is_file())
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    (stored / "complete" / "c" / "1" / "0").unlink()
    with pytest.raises(StoreError, match=r"chunk levels_db/c/0 of .* is damaged: its checksum does not match"):
        engine.open_results(stored)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert sorted(problem.chunk for problem in problems) == ["complete/c/1/0", "levels_db", "offset", "realization"]
    assert repair(stored, problems) == []
    assert engine.run(toy.small, stored, serial=True).identical(good)
    write_coordinate(stored, "levels_db", np.array([0.0, 4.0]))
    assert [item.what for item in verify(stored) if isinstance(item, Problem)] == [
        "does not hold the coordinates of the store"
    ]


def test_the_record_of_stops_is_part_of_a_store_and_checked(stored: Path) -> None:
    record = stored / "stopping.json"
    engine.run(toy.small, stored, serial=True, max_seconds=60)
    assert record.exists()
    assert not [item for item in verify(stored) if isinstance(item, Problem)]
    record.write_text('{"stops"')
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [(problem.chunk, problem.what) for problem in problems] == [("stopping.json", "is damaged")]
    assert repair(stored, problems) == []
    assert not record.exists()


def test_strangers_and_litter_are_told_apart(stored: Path) -> None:
    (stored / "virus.exe").write_bytes(b"MZ")
    beyond = ["power/c/0/5/0", "power/c/3/0/0", "power/c/9/9/0"]  # the first that there is none of, and one far off
    for key in beyond:
        (stored / key).parent.mkdir(parents=True)
        (stored / key).write_bytes(b"x")
    (stored / "power" / "c" / "0" / "0" / "0.abc.partial").write_bytes(b"x")
    items = list(verify(stored))
    assert [item.chunk for item in items if isinstance(item, Problem)] == [*beyond, "virus.exe"]
    litter = [item for item in items if isinstance(item, Litter)]
    assert [item.key for item in litter] == ["power/c/0/0/0.abc.partial"]
    left = repair(stored, [item for item in items if isinstance(item, Problem | Litter)])
    assert [problem.chunk for problem in left] == [*beyond, "virus.exe"]
    assert (stored / "virus.exe").exists()
    assert not list(stored.rglob("*.partial"))


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", ""])
def test_a_scenario_cannot_name_a_variable_so(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = toy.Toy.prepare

    def prepare(self: toy.Toy, xp: Any) -> Any:
        simulate = plain(self, xp)
        return lambda drawn, **options: {name: simulate(drawn)["peak"]}

    monkeypatch.setattr(toy.Toy, "prepare", prepare)
    with pytest.raises(InputError, match="cannot be the name of a variable"):
        engine.run(toy.small, tmp_path / "s.zarr", serial=True)


def test_more_realizations_than_a_store_holds_are_refused(stored: Path) -> None:
    with pytest.raises(InputError, match="realizations: given 33554433, needed at most 33554432"):
        engine.run(toy.small.replace(realizations=2**25 + 1), stored, serial=True)
