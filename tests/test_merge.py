"""Stores of one sweep as one data set: no realization is lost or counted twice, and what differs is refused."""

import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import toy
import xarray
from forgery import forge_coordinate, write_coordinate

import engine
from engine import InputError, StoreError, Sweep
from jobs import main as command_line
from jobs.show.export import export
from jobs.show.generic_figure import figure_of


class Seedless(toy.Toy):
    """Draws from a lattice, whatever the seed."""

    def draw(self, streams: engine.Streams, size: int) -> toy.Draws:
        lattice = np.sin(np.arange(size * self.size, dtype=float)).reshape(size, self.size) + streams.block
        return toy.Draws(lattice, lattice * 0)


BASE = toy.small.replace(scenario=toy.Toy(size=3), realizations=8, axes={"offset": (0.0, 1.0)})


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Runs a sweep, or a number of its tasks, into a store of this name."""

    def run(name: str, sweep: Sweep, tasks: int | None = None) -> Path:
        path = tmp_path / name
        for done, _ in enumerate(progress := engine.iterate(sweep, path, serial=True)):
            if done == tasks:
                progress.close()
        return path

    return run


def known(paths: list[Path], name: str) -> dict[tuple[Any, ...], list[float]]:
    """(offset, size, level) → every stored value, by plain xarray and loops."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for path in paths:
        data = xarray.open_zarr(path)
        fields, axes = json.loads(data.attrs["scenario"]), json.loads(data.attrs["axes"])
        offsets, sizes = (axes.get(field, [fields[field]]) for field in ("offset", "size"))
        for (i, offset), (j, size), level in itertools.product(
            enumerate(offsets), enumerate(sizes), data.levels_db.values
        ):
            at = {axis: k for axis, k in (("offset", i), ("size", j)) if axis in axes}
            mask = data.complete.isel(at).values
            values = data[name].isel(at)
            values = values.sel(levels_db=level) if "levels_db" in values.dims else values
            found.setdefault((offset, size, float(level)), []).extend(values.values[mask].tolist())
    return found


def require_all(merged: xarray.Dataset, paths: list[Path]) -> None:
    """Every stored value is there once, and the summary over all seeds is that of a plain sample."""
    summary = engine.summarize(merged.power, complete=merged.complete)
    for (offset, size, level), values in known(paths, "power").items():
        at = {"levels_db": level}
        at |= {axis: value for axis, value in (("offset", offset), ("size", size)) if axis in merged.dims}
        mine = merged.power.sel(at).values
        assert sorted(mine[np.isfinite(mine)]) == sorted(values)
        one, n = summary.sel(at), len(values)
        assert int(one["count"]) == n
        if n:
            assert float(one["mean"]) == pytest.approx(math.fsum(values) / n, rel=1e-13)
            assert float(one["median"]) == pytest.approx(sorted(values)[n // 2] / 2 + sorted(values)[(n - 1) // 2] / 2)
        if n > 1:
            mean = math.fsum(values) / n
            variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
            assert float(one["standard_error"]) == pytest.approx(math.sqrt(variance / n), rel=1e-12)


def test_seeds_are_further_realizations(store: Callable[..., Path]) -> None:
    paths = [store("a", BASE), store("b", BASE.replace(seed=5, realizations=12))]
    merged = engine.merge(paths)
    assert dict(merged.sizes) == {"offset": 2, "realization": 20, "levels_db": 2}
    assert merged.complete.all()
    assert merged.seed.values.tolist() == [0] * 8 + [5] * 12
    assert merged.index_in_store.values.tolist() == [*range(8), *range(12)]
    assert merged.power.attrs == {"units": "W", "long_name": "power"}
    for path, seed in zip(paths, (0, 5), strict=True):
        alone = engine.open_results(path)
        mine = merged.isel(realization=merged.seed.values == seed)
        np.testing.assert_array_equal(mine.power.values, alone.power.values)
        np.testing.assert_array_equal(mine.peak.values, alone.peak.values)
    again = engine.replay(paths[1], 3, offset=1.0)
    there = merged.sel(offset=1.0).isel(realization=8 + 3)
    np.testing.assert_array_equal(again.power.values, there.power.values)
    require_all(merged, paths)


def test_parts_are_further_points(store: Callable[..., Path]) -> None:
    """The same as one sweep over all points, bit for bit."""
    paths = [store("a", BASE.replace(axes={"offset": (5.0, 1.0)})), store("b", BASE.replace(axes={"offset": (3.0,)}))]
    merged = engine.merge(paths)
    whole = engine.open_results(store("whole", BASE.replace(axes={"offset": (1.0, 3.0, 5.0)})))
    for name in ("power", "peak", "complete"):
        np.testing.assert_array_equal(merged[name].values, whole[name].values)
    assert merged.offset.values.tolist() == [1.0, 3.0, 5.0]
    assert merged.offset.attrs == whole.offset.attrs
    assert json.loads(merged.attrs["axes"]) == {"offset": [1.0, 3.0, 5.0]}
    require_all(merged, paths)


def test_a_field_set_to_a_value_is_a_point_of_an_axis(store: Callable[..., Path]) -> None:
    one = BASE.replace(scenario=toy.Toy(size=3, offset=7.0), axes={})
    paths = [store("a", BASE), store("b", one)]
    merged = engine.merge(paths)
    assert merged.offset.values.tolist() == [0.0, 1.0, 7.0]
    require_all(merged, paths)
    both = [store("c", one), store("d", one.replace(seed=1))]
    merged = engine.merge(both)  # without any axis
    assert dict(merged.sizes) == {"realization": 16, "levels_db": 2}
    require_all(merged, both)


@pytest.mark.parametrize("seed", range(8))
def test_any_parts_with_any_counts(store: Callable[..., Path], seed: int) -> None:
    """Random points, seeds and tasks done: nothing is lost, holes are not complete, and nothing else is NaN."""
    random = np.random.default_rng(seed)
    paths, taken = [], set[tuple[int, float, int]]()
    for number in range(int(random.integers(2, 5))):
        offsets = tuple(float(x) for x in random.permutation(4)[: random.integers(1, 4)])
        sizes = tuple(int(x) for x in 2 + random.permutation(2)[: random.integers(1, 3)])
        run = int(random.integers(0, 3))
        points = {(run, offset, size) for offset in offsets for size in sizes}
        if points & taken:
            run = 10 + number
        taken |= {(run, offset, size) for offset in offsets for size in sizes}
        sweep = BASE.replace(
            axes={"offset": offsets, "size": sizes} if random.random() < 0.5 else {"size": sizes, "offset": offsets},
            seed=run, realizations=int(random.choice([8, 12, 20])), chunk=4,
        )  # fmt: skip
        paths.append(store(f"{number}", sweep, tasks=int(random.integers(0, sweep.n_tasks + 1))))
    merged = engine.merge(paths)
    require_all(merged, paths)
    stored = merged.complete.broadcast_like(merged.power).transpose(*merged.power.dims)
    np.testing.assert_array_equal(np.isfinite(merged.power.values), stored.values)
    assert int(merged.complete.sum()) == sum(int(xarray.open_zarr(path).complete.sum()) for path in paths)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scenario": toy.Toy(size=4)}, "size (3 and 4)"),
        ({"block": 8}, "block (4 and 8)"),
        (
            {"scenario": toy.Toy(size=4, levels_db=(0.0,)), "seed": 2},
            "size (3 and 4), levels_db ([0.0, 3.0] and [0.0])",
        ),
        ({"scenario": toy.Toy(size=3, label="b"), "axes": {"offset": (9.0,)}}, "label (a and b)"),
        ({"scenario": toy.Troubled(size=3), "seed": 2}, "scenario_class (toy:Toy and toy:Troubled)"),
    ],
)
def test_other_sweeps_are_refused_with_what_differs(
    store: Callable[..., Path], changes: dict[str, Any], told: str
) -> None:
    paths = [store("a", BASE), store("b", BASE.replace(**changes))]
    with pytest.raises(InputError) as caught:
        engine.merge(paths)
    assert f"hold different sweeps: {told}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_two_stores_hold_is_refused(store: Callable[..., Path], tmp_path: Path) -> None:
    first = store("a", BASE)
    shutil.copytree(first, tmp_path / "copy")
    overlapping = store("b", BASE.replace(axes={"offset": (1.0, 9.0)}, realizations=4, chunk=4))
    empty = store("c", BASE, tasks=0)
    for other, told in (
        (tmp_path / "copy", "both hold 16 realizations of seed 0, the first of them number 0 at offset=0.0"),
        (overlapping, "both hold 4 realizations of seed 0, the first of them number 0 at offset=1.0"),
        (first, "both hold 16 realizations"),
    ):
        with pytest.raises(InputError, match=told):
            engine.merge([first, other])
    with pytest.raises(InputError, match="both hold 4 realizations"):
        engine.merge([store("d", BASE.replace(seed=3)), first, overlapping])
    assert int(engine.merge([first, empty]).complete.sum()) == 16  # nothing of it was done


def test_seeds_that_draw_the_same_are_refused(store: Callable[..., Path]) -> None:
    sweep = BASE.replace(scenario=Seedless(size=3))
    paths = [store("a", sweep), store("b", sweep.replace(seed=1, realizations=12))]
    with pytest.raises(InputError, match="hold the same numbers for seeds 0 and 1: this scenario draws nothing"):
        engine.merge(paths)
    further = store("c", sweep.replace(seed=1, axes={"offset": (7.0,)}))
    assert engine.merge([paths[0], further]).complete.sum() == 24  # at other points nothing is the same


def test_a_changed_coordinate_is_refused(store: Callable[..., Path]) -> None:
    paths = [store("a", BASE), store("b", BASE.replace(seed=1))]
    write_coordinate(paths[1], "levels_db", np.array([0.0, 4.0]))
    with pytest.raises(StoreError, match=r"levels_db of .* does not hold the coordinates of the store"):
        engine.merge(paths)
    forge_coordinate(paths[1], "levels_db", np.array([0.0, 4.0]))
    with pytest.raises(InputError, match="differ in the values of levels_db"):
        engine.merge(paths)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_are_refused(store: Callable[..., Path], count: int) -> None:
    with pytest.raises(InputError, match=f"given {count} stores, needed two or more"):
        engine.merge([store("a", BASE)] * count)


def test_every_part_is_told(store: Callable[..., Path]) -> None:
    paths = [store("a", BASE), store("b", BASE.replace(seed=1, realizations=12))]
    attributes = engine.merge(paths).attrs
    parts = json.loads(attributes["parts"])
    assert [(part["path"], part["seed"], part["realizations"]) for part in parts] == [
        (str(paths[0]), 0, 8), (str(paths[1]), 1, 12),
    ]  # fmt: skip
    assert all(len(part["fingerprint"]) == 64 and part["commit"] and part["created"] for part in parts)
    assert not {"seed", "realizations", "chunk", "fingerprint", "created", "nearfield_format"} & attributes.keys()
    assert attributes["highlights"] == '["power"]'


def test_what_stopped_at_a_target_is_merged_as_far_as_it_counts(store: Callable[..., Path], tmp_path: Path) -> None:
    sweep = BASE.replace(realizations=4000, chunk=100, block=100)
    target = engine.Target.parse("power:rel=0.2")
    engine.run(sweep, tmp_path / "a", serial=True, targets=(target,))
    shown = engine.open_results(tmp_path / "a")
    assert not shown.complete.all()
    merged = engine.merge([tmp_path / "a", store("b", sweep.replace(seed=1, realizations=200))])
    assert int(merged.complete.sum()) == int(shown.complete.sum()) + 400
    assert not {"stop_reason", "stop_realizations"} & set(merged.variables)


@pytest.mark.parametrize("label", ["a", "日本 $x_"])
def test_plain_xarray_reads_what_is_written(
    store: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    label: str,
) -> None:
    sweep = BASE.replace(axes={"label": (label, "b")})
    paths = [store("a", sweep), store("c", sweep.replace(seed=1, axes={"label": (label, "third")}))]
    merged = engine.merge(paths)
    monkeypatch.setattr(sys, "argv", ["nearfield", "merge", *map(str, paths), "-o", ""])
    for name in ("m.nc", "m.zarr", "m.csv"):
        sys.argv[-1] = str(tmp_path / name)
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code
    assert capsys.readouterr().out.count("written: ") == 3
    with xarray.open_dataset(tmp_path / "m.nc") as netcdf, xarray.open_zarr(tmp_path / "m.zarr") as zarr:
        for back in (netcdf, zarr):
            assert dict(back.sizes) == dict(merged.sizes)
            assert set(back.variables) == set(merged.variables)
            for name, values in merged.variables.items():
                np.testing.assert_array_equal(back[name].values, values.values, err_msg=str(name))
            assert back.label.values.tolist() == [label, "b", "third"]
            assert json.loads(back.attrs["parts"])[1]["seed"] == 1
    table = pd.read_csv(tmp_path / "m.csv")
    assert table.set_index(["label", "levels_db [dB]"]).loc[(label, 0.0), "power count"] == 16
    assert table.set_index(["label", "levels_db [dB]"]).loc[("third", 3.0), "power count"] == 8
    with pytest.raises(InputError, match=r"m\.zarr is there already"):
        export(merged, tmp_path / "m.zarr")
    with pytest.raises(engine.StoreError, match="is not a nearfield store"):
        engine.open_results(tmp_path / "m.zarr")


def test_a_figure_of_merged_results(store: Callable[..., Path]) -> None:
    merged = engine.merge([store("a", BASE), store("b", BASE.replace(seed=1, axes={"offset": (2.0,)}))])
    figure = figure_of(merged)
    assert "8 realizations a point" in figure.get_suptitle()


def test_nonsense_is_one_line(
    store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store("a", BASE)
    for words, code, message in (
        ([str(path), "-o", "m.nc"], 2, "merge: given 1 stores, needed two or more"),
        ([str(path), "nowhere.zarr", "-o", "m.nc"], 1, "no store at nowhere.zarr"),
        ([str(path), str(path), "-o", "m.nc"], 2, "both hold 16 realizations"),
        ([str(path)], 2, "Missing option '-o'"),
    ):
        monkeypatch.setattr(sys, "argv", ["nearfield", "merge", *words])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert stopped.value.code == code
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1
        assert message in told[0]
