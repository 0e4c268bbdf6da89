"""What is stored, what is refused, and what is noticed."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
import xarray
import zarr
from forgery import as_format_1, forge, forge_attribute

import engine
from engine import InputError, StoreError
from engine.backend import backend
from engine.execution.task import Evaluator, TaskRunner
from engine.store import chunks, integrity, receipts
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from engine.store.store import Store
from engine.sweep import Task


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "toy.zarr"
    engine.run(toy.small, path, serial=True)
    return path


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[5] ^= 1
    file.write_bytes(data)


def test_any_xarray_opens_it(stored: Path) -> None:
    results = xarray.open_zarr(stored)
    assert results.power.dims == ("offset", "realization", "levels_db")
    assert results.levels_db.attrs["units"] == "dB"
    assert results.power.attrs == {"units": "W", "long_name": "power"}
    assert results.offset.values.tolist() == [0.0, 1.0, 2.0]
    assert results.complete.values.all()


def test_the_attributes_say_where_the_numbers_came_from(stored: Path) -> None:
    attributes = engine.open_results(stored).attrs
    assert json.loads(attributes["scenario"])["size"] == 8
    assert attributes["fingerprint"] == toy.small.fingerprint()
    assert {"numpy", "zarr", "python", "nearfield"} <= json.loads(attributes["versions"]).keys()
    assert attributes["seed"] == 0
    assert {"commit", "backend", "device", "created"} <= attributes.keys()


def test_results_can_be_read_without_the_scenario(stored: Path) -> None:
    """A year later its class may be gone."""
    forge_attribute(stored, "scenario_class", "gone:Gone")
    assert engine.open_results(stored).complete.values.all()
    with pytest.raises(
        InputError, match=r"scenario 'gone:Gone' .* is not imported on its word: import 'gone' yourself"
    ):
        engine.load_sweep(stored)


def test_text_and_truth_can_be_axes(tmp_path: Path) -> None:
    sweep = toy.small.replace(axes={"label": ("a", "bc")}, realizations=8)
    results = engine.run(sweep, tmp_path / "t.zarr", serial=True)
    assert results.label.values.tolist() == ["a", "bc"]
    assert results.sel(label="bc").complete.values.all()
    assert engine.load_sweep(tmp_path / "t.zarr").fingerprint() == sweep.fingerprint()


def test_a_different_sweep_is_refused_naming_the_fields(stored: Path) -> None:
    other = toy.small.replace(seed=3, scenario=toy.Toy(size=9))
    with pytest.raises(StoreError, match=r"seed \(stored 0, given 3\), size \(stored 8, given 9\)"):
        engine.run(other, stored, serial=True)


def test_changed_scenario_code_is_refused(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.Toy, "code_version", 2)
    with pytest.raises(StoreError, match=r"code_version \(stored 1, given 2\)"):
        engine.run(toy.small, stored, serial=True)
    with pytest.raises(StoreError, match="computed by version 1 .* now version 2"):
        engine.replay(stored, 0, offset=1.0)


def test_another_backend_is_refused(stored: Path) -> None:
    forge_attribute(stored, "backend", "gpu")
    with pytest.raises(StoreError, match="computed on the backend 'gpu'"):
        engine.run(toy.small, stored, serial=True)


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(StoreError, match="is not a nearfield store"):
        engine.run(toy.small, tmp_path, serial=True)
    assert os.listdir(tmp_path) == ["precious.txt"]


def test_a_file_is_no_store_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file, and a store is a folder"):
        engine.run(toy.small, tmp_path / "file", serial=True)
    assert (tmp_path / "file").read_text() == "x"


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert engine.run(toy.small, tmp_path / "new", serial=True).complete.all()


def test_a_path_below_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot create the store .*file"):
        engine.run(toy.small, tmp_path / "file" / "store", serial=True)


def test_an_axis_that_changes_a_shape_is_refused(tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Toy(widen=True), axes={"size": (4, 8)})
    with pytest.raises(InputError, match=r"row has another shape at \{'size': 8\}"):
        engine.run(sweep, tmp_path / "x.zarr", serial=True)
    assert not (tmp_path / "x.zarr").exists()


def test_chunks_too_large_or_too_many_are_refused_with_the_numbers(tmp_path: Path) -> None:
    wide = toy.Toy(widen=True, size=2**10)
    with pytest.raises(InputError, match="1024 MiB, at most 256"):
        engine.run(engine.Sweep(wide, realizations=2**17, block=4, chunk=2**17), tmp_path / "x", serial=True)
    with pytest.raises(InputError, match="1048576 objects of 48 bytes"):
        engine.run(engine.Sweep(toy.Toy(), realizations=2**20, block=4, chunk=4), tmp_path / "x", serial=True)


def test_a_misaligned_task_writes_nothing(stored: Path) -> None:
    store = Store(stored)
    runner = TaskRunner(store.sweep, stored, "cpu")
    before = sorted(p.stat().st_mtime_ns for p in stored.rglob("*") if p.is_file())
    for task in (Task((0,), 4, 12), Task((0,), 0, 12)):
        failure = runner(task)
        assert "is no chunk" in failure.message
    assert before == sorted(p.stat().st_mtime_ns for p in stored.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("change", "given"),
    [(lambda values: values.astype("f4"), r"float32 \(8,\)"), (lambda values: values[:, None], r"float64 \(8, 1\)")],
    ids=["dtype", "shape"],
)
def test_values_of_another_kind_are_not_written(stored: Path, change: Any, given: str) -> None:
    store, task = Store(stored), Task((1,), 8, 16)
    evaluator = Evaluator(store.sweep, backend("cpu"))
    variables = evaluator.task(task)
    dims, values, attributes = variables["peak"]
    variables["peak"] = dims, change(values), attributes
    with pytest.raises(StoreError, match=rf"peak at .*: given {given}, needed float64 \(8,\); an axis must not change"):
        store.write(task, variables, seconds=0.0, backend=evaluator.backend, attempt=2)


@pytest.mark.parametrize("name", ["x", "1", "1.0.0", "9.0", "3.0", "1-0.0", "all.0", "0.5"])
def test_a_receipt_under_another_name_is_no_receipt(stored: Path, name: str) -> None:
    """No task's name; a point, or a number of axes, that there is not; realizations beyond the budget."""
    good = engine.open_results(stored).load()
    (stored / "receipts" / f"{name}.json").write_bytes((stored / "receipts" / "0.0.json").read_bytes())
    assert engine.open_results(stored).load().identical(good)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == [f"receipts/{name}.json"]
    assert repair(stored, problems) == []
    assert not [item for item in verify(stored) if isinstance(item, Problem | Litter)]


def test_a_foreign_name_among_the_receipts_of_one_point_is_removed(tmp_path: Path) -> None:
    """Of a sweep without axes, where the name of another point's mask would lie below a chunk."""
    path = tmp_path / "s.zarr"
    good = engine.run(toy.small.replace(axes={}), path, serial=True).load()
    (path / "receipts" / "0.9.json").write_bytes(b"x")
    problems = [item for item in verify(path) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == ["receipts/0.9.json"]
    assert repair(path, problems) == []
    assert engine.run(toy.small.replace(axes={}), path, serial=True).load().identical(good)


def test_doing_a_task_twice_stores_the_same_and_another_result_is_an_alarm(stored: Path) -> None:
    store = Store(stored)
    task = Task((1,), 8, 16)
    evaluator = Evaluator(store.sweep, backend("cpu"))
    variables = evaluator.task(task)
    store.write(task, variables, seconds=0.0, backend=evaluator.backend, attempt=2)
    dims, values, attributes = variables["peak"]
    variables["peak"] = dims, values + 1e-12, attributes
    with pytest.raises(StoreError, match=r"peak, realizations 8–15 .* not deterministic; nothing was written"):
        store.write(task, variables, seconds=0.0, backend=evaluator.backend, attempt=3)
    assert next(r for r in store.receipts() if r.task == task).attempt == 2


def test_a_random_scenario_is_noticed_when_a_chunk_is_completed(tmp_path: Path) -> None:
    sweep = engine.Sweep(toy.Troubled(trouble="random"), realizations=4, block=2, chunk=8)
    engine.run(sweep, tmp_path / "r.zarr", serial=True)
    with pytest.raises(engine.TaskError, match="not deterministic"):
        engine.run(sweep.replace(realizations=8), tmp_path / "r.zarr", serial=True)


def test_a_flipped_bit_is_named_by_verify_and_by_reading(stored: Path) -> None:
    flip_a_bit(stored / "power" / "c" / "1" / "2" / "0")
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == ["power/c/1/2/0"]
    results = engine.open_results(stored)
    with pytest.raises(StoreError, match=r"chunk power/c/1/2/0 of .* is damaged"):
        results.power.load()
    results.power.isel(offset=0).load()  # the others are fine


def test_a_lost_chunk_and_a_damaged_receipt_are_named_and_repaired(stored: Path) -> None:
    good = engine.open_results(stored).load()
    (stored / "peak" / "c" / "0" / "0").unlink()
    (stored / "receipts" / "2.4.json").write_text('{"point": [2]')
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == ["peak/c/0/0", "receipts/2.4.json"]
    with pytest.raises(StoreError, match="receipt .* is damaged"):
        engine.run(toy.small, stored, serial=True)
    assert not repair(stored, problems)
    assert engine.run(toy.small, stored, serial=True).identical(good)


def test_a_driver_killed_while_it_grew_a_store_loses_nothing(stored: Path) -> None:
    good = engine.open_results(stored).load()
    zarr.open_group(stored, zarr_format=3, use_consolidated=False).attrs["about"] = (
        "a toy"  # zarr drops the consolidated metadata until they are made anew
    )
    with pytest.raises(StoreError, match="was left half grown"):
        engine.open_results(stored)
    assert engine.run(toy.small, stored, serial=True).identical(good)


def test_litter_of_a_killed_writer_is_ignored(stored: Path) -> None:
    """A killed process leaves partial files beside chunks and receipts."""
    (stored / "power" / "c" / "0" / "0" / "0.abc.partial").write_bytes(b"x")
    (stored / "receipts" / "0.0.json.1.partial").write_text("{")
    assert not [item for item in verify(stored) if isinstance(item, Problem)]
    assert xarray.open_zarr(stored).power.load().notnull().all()
    assert not Store(stored).pending()


def test_a_chunk_without_receipt_is_done_again(stored: Path) -> None:
    """The receipt is the commit: killed between chunk and receipt means unfinished."""
    store = Store(stored)
    task = Task((0,), 32, 40)
    (stored / receipts.key_of(task, 8)).unlink()
    assert store.pending() == [task]


def test_replay_recomputes_one_realization_with_its_draws(stored: Path) -> None:
    again = engine.replay(stored, 13, offset=2.0)
    assert again.attrs["stored"] == "equal"
    assert again.x.dims == ("item",)
    block = toy.Toy().draw(engine.Streams(0, 3), 4).vector[1] + 2.0
    assert np.array_equal(again.x, block)
    one = engine.replay(stored, 13, offset=2.0, levels_db=3.0)
    assert float(one.power) == float(engine.open_results(stored).power.sel(offset=2.0, levels_db=3.0)[13])


def test_replay_sees_another_value_and_none(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stored / "receipts" / "1.1.json").unlink()
    assert engine.replay(stored, 13, offset=1.0).attrs["stored"] == "absent"
    plain = toy.Toy.prepare

    def prepare(self: toy.Toy, xp: Any) -> Any:
        def simulate(realizations: Any, *, intermediates: bool = False) -> Any:
            variables = plain(self, xp)(realizations, intermediates=intermediates)
            dims, values, attributes = variables["peak"]
            return variables | {"peak": (dims, np.nextafter(values, np.inf), attributes)}

        return simulate

    monkeypatch.setattr(toy.Toy, "prepare", prepare)
    assert engine.replay(stored, 13, offset=2.0).attrs["stored"] == "differs"
    assert engine.replay(stored, 13, offset=1.0).attrs["stored"] == "absent"


@pytest.mark.parametrize(
    ("index", "point", "message"),
    [
        (40, {"offset": 1.0}, "index: given 40, needed a realization from 0 to 39"),
        (0, {}, "offset: not given, needed one of 0.0, 1.0, 2.0"),
        (0, {"offset": 5.0}, "offset: given 5.0, needed one of"),
        (0, {"offset": 1.0, "level_db": 3.0}, "level_db is no axis or dimension .* did you mean 'levels_db'"),
        (0, {"offset": 1.0, "levels_db": 4.0}, "levels_db: given 4.0, needed one of 0.0, 3.0"),
    ],
)
def test_replay_refuses_what_is_not_there(stored: Path, index: int, point: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.replay(stored, index, **point)


def test_a_receipt_stands_for_its_own_length_where_an_earlier_budget_ended(tmp_path: Path) -> None:
    """Grown within a chunk and not yet run on: what is stored of the chunk is what the old receipt is for."""
    sweep = toy.small.replace(realizations=12)
    engine.run(sweep, tmp_path / "s.zarr", serial=True)
    reports = engine.iterate(sweep.replace(realizations=20), tmp_path / "s.zarr", serial=True)
    next(reports)
    reports.close()
    results = engine.open_results(tmp_path / "s.zarr")
    assert results.complete.values.sum(axis=-1).tolist() == [12, 12, 12]
    assert results.peak.notnull().equals(results.complete)
    assert not [item for item in verify(tmp_path / "s.zarr") if isinstance(item, Problem)]


def test_a_chunk_without_receipt_is_not_shown_and_is_litter(stored: Path) -> None:
    (stored / "receipts" / "1.2.json").unlink()
    results = engine.open_results(stored)
    assert not results.complete[1, 16:24].any()
    assert results.peak[1, 16:24].isnull().all()
    assert sorted(item.key for item in verify(stored) if isinstance(item, Litter)) == [
        "complete/c/1/2", "peak/c/1/2", "power/c/1/2/0",
    ]  # fmt: skip


def test_no_attribute_changes_a_value(stored: Path) -> None:
    """In format 1, where nothing else guards it: refused. Written by a scenario: refused too."""
    forge(stored, lambda _, arrays: arrays["peak"]["attributes"].update(scale_factor=2.0))
    with pytest.raises(StoreError, match="peak has attributes .* 'scale_factor' would change the values"):
        engine.open_results(stored)


def test_damage_is_told_from_another_version(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge_attribute(stored, "seed", 3)
    with pytest.raises(StoreError, match=r"zarr.json of .* is damaged: the sweep that it describes is not the one"):
        engine.load_sweep(stored)
    forge_attribute(stored, "seed", 0)
    assert engine.load_sweep(stored) == toy.small
    monkeypatch.setattr(toy.Toy, "code_version", 2)
    with pytest.raises(StoreError, match="computed by version 1 of toy:Toy, which is now version 2"):
        engine.load_sweep(stored)


def test_a_store_of_format_1_is_sealed_when_it_is_next_written(stored: Path) -> None:
    good = engine.open_results(stored).load()
    as_format_1(stored)
    assert not [item for item in verify(stored) if isinstance(item, Problem)]
    assert engine.open_results(stored).load().drop_attrs().identical(good.drop_attrs())
    assert Store(stored).attributes["nearfield_format"] == 1  # read, it stays what it is
    engine.run(toy.small.replace(realizations=44), stored, serial=True)
    store = Store(stored)
    assert store.is_sealed
    assert store.attributes["budgets"] == "[]"  # 40 ends no chunk of 8
    assert all(receipt.store == store.identity and receipt.digest for receipt in store.receipts())
    assert not [item for item in verify(stored) if isinstance(item, Problem | Litter)]


def test_a_receipt_of_format_1_with_other_moments_is_named(stored: Path) -> None:
    as_format_1(stored)
    receipt = json.loads((stored / "receipts" / "0.0.json").read_text())
    receipt["moments"]["peak"][1] += 1e-3
    (stored / "receipts" / "0.0.json").write_text(json.dumps(receipt))
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [(item.chunk, item.what) for item in problems] == [("peak/c/0/0", "has other moments than its receipt")]


@pytest.mark.parametrize("field", ["commit", "seed", "scenario"])
def test_a_damaged_root_is_named_with_its_field_and_restored(stored: Path, field: str) -> None:
    good = (stored / "zarr.json").read_text()
    root = json.loads(good)
    root["attributes"][field] = 7 if field == "seed" else root["attributes"][field].replace("0", "1", 1) + " "
    (stored / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match=r"zarr.json of .* is damaged: it does not have the digest"):
        engine.open_results(stored)
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [item.chunk for item in problems] == ["zarr.json"]
    assert f"attributes.{field}" in problems[0].what
    assert repair(stored, problems) == []
    assert (stored / "zarr.json").read_text() == good


def test_an_arrays_own_metadata_are_held_to_the_root(stored: Path) -> None:
    own = json.loads((stored / "power" / "zarr.json").read_text())
    own["attributes"]["add_offset"] = 1.0
    (stored / "power" / "zarr.json").write_text(json.dumps(own))
    problems = [item for item in verify(stored) if isinstance(item, Problem)]
    assert [item.chunk for item in problems] == ["power/zarr.json"]
    assert "attributes.add_offset" in problems[0].what
    assert repair(stored, problems) == []
    assert not [item for item in verify(stored) if isinstance(item, Problem)]


def test_a_budget_of_one_grows(tmp_path: Path) -> None:
    """Zarr writes no chunk for the numbers of the realizations, which are [0]."""
    engine.run(toy.small.replace(realizations=1), tmp_path / "s.zarr", serial=True)
    assert engine.run(toy.small, tmp_path / "s.zarr", serial=True).complete.all()
    assert not [item for item in verify(tmp_path / "s.zarr") if isinstance(item, Problem | Litter)]
    assert xarray.open_zarr(tmp_path / "s.zarr").realization.values.tolist() == list(range(40))


@pytest.mark.slow
@pytest.mark.parametrize("is_old", [False, True])
def test_several_processes_say_what_one_says(stored: Path, monkeypatch: pytest.MonkeyPatch, is_old: bool) -> None:
    if is_old:
        as_format_1(stored)
    flip_a_bit(stored / "power" / "c" / "1" / "2" / "0")
    (stored / "receipts" / "2.4.json").write_text('{"point": [2]')
    monkeypatch.setattr(integrity, "_WORTH_A_PROCESS", 3)
    monkeypatch.setattr(integrity, "_TASKS_TOGETHER", 4)
    said = list(verify(stored, processes=2))
    assert said == list(verify(stored))
    assert sum(isinstance(item, Problem) for item in said) == 2


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_root_of_another_store_or_another_time_is_found_out_and_not_continued(tmp_path: Path, is_stale: bool) -> None:
    path, other = tmp_path / "s.zarr", tmp_path / "other.zarr"
    small = toy.small.replace(realizations=12)
    for one in (path, other):
        engine.run(small, one, serial=True)
    root = ((path if is_stale else other) / "zarr.json").read_bytes()
    engine.run(small.replace(realizations=20), path, serial=True)
    good = engine.open_results(path).load()
    (path / "zarr.json").write_bytes(root)
    with pytest.raises(StoreError, match="are of two stores, or of two times|is another store's|outside the store's"):
        engine.run(toy.small, path, serial=True)
    problems = [item for item in verify(path) if isinstance(item, Problem)]
    assert [item.chunk for item in problems] == ["zarr.json"]
    assert repair(path, problems) == []
    assert engine.open_results(path).load().identical(good)
    assert not [item for item in verify(path) if isinstance(item, Problem)]


def test_a_coordinate_of_zeros_has_no_chunk_and_is_zero(tmp_path: Path) -> None:
    """Zarr leaves out what is all fill."""
    engine.run(toy.small.replace(axes={"offset": (0.0,)}), tmp_path / "s.zarr", serial=True)
    assert not (tmp_path / "s.zarr" / "offset" / "c").exists()
    assert engine.open_results(tmp_path / "s.zarr").offset.values.tolist() == [0.0]
    assert not [item for item in verify(tmp_path / "s.zarr") if isinstance(item, Problem)]


def test_numbers_in_several_chunks_as_earlier_versions_grew_them(stored: Path) -> None:
    """They stay until the store is next written, and a chunk beside the one of today is litter then."""
    as_format_1(stored)
    for name in ("zarr.json", "realization/zarr.json"):
        document = json.loads((stored / name).read_text())
        own = document["consolidated_metadata"]["metadata"]["realization"] if name == "zarr.json" else document
        own["chunk_grid"]["configuration"]["chunk_shape"] = [20]
        (stored / name).write_text(json.dumps(document))
    for i in range(2):
        (stored / "realization" / "c" / f"{i}").write_bytes(chunks.encode(np.arange(20 * i, 20 * i + 20)))
    assert not [item for item in verify(stored) if isinstance(item, Problem | Litter)]
    second = (stored / "realization" / "c" / "1").read_bytes()
    engine.run(toy.small.replace(realizations=44), stored, serial=True)
    assert not [item for item in verify(stored) if isinstance(item, Problem | Litter)]
    (stored / "realization" / "c" / "1").write_bytes(second)
    assert [item for item in verify(stored) if isinstance(item, Problem | Litter)] == [Litter("realization/c/1")]
