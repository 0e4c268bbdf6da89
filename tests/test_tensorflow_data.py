"""A store read as tf.data: every finished realization once, whole chunks a shard, in a fixed order."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy

import engine
from engine import InputError, StoreError, tensorflow_data

HERE = Path(__file__).parent
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="TensorFlow is not installed: pip install nearfield[tensorflow]",
)
# In a process of its own: TensorFlow warns when it is imported, and must not meet what other tests load.
READ = """
import json, sys
sys.path[:0] = {path!r}
from engine import tensorflow_data

def read(**options):
    data = tensorflow_data.dataset("part.zarr", **options)
    return [{{name: value.numpy().tolist() for name, value in element.items()}} for element in data]

single = read()
described = tensorflow_data.dataset("part.zarr").element_spec
spec = {{name: [part.dtype.name, part.shape.as_list()] for name, part in described.items()}}
shards = [read(shard=(index, 3), variables=("peak",)) for index in range(3)]
batches = read(batch=7, variables=("peak",), with_axes=False)
again = read(batch=7, variables=("peak",), with_axes=False)
labels = [element["label"] for element in tensorflow_data.dataset("labels.zarr", ("peak",)).as_numpy_iterator()]
json.dump(dict(single=single, spec=spec, shards=shards, batches=batches, again=again,
    labels=[label.decode() for label in labels]), open("read.json", "w"))
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with 7 of 15 chunks, and one whose axis has names."""
    folder = tmp_path_factory.mktemp("stores")
    run = engine.iterate(toy.small, folder / "part.zarr", serial=True)
    for progress in run:
        if progress.tasks_done == 7:
            run.close()
    named = toy.small.replace(axes={"label": ("a", "bé")}, realizations=8)
    engine.run(named, folder / "labels.zarr", serial=True)
    return folder


@pytest.fixture(scope="module")
def read(stores: Path) -> dict[str, Any]:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
    code = READ.format(path=[str(HERE.parent), str(HERE)])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=stores, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return json.loads((stores / "read.json").read_text())


@needs_tensorflow
@pytest.mark.slow
def test_every_finished_realization_is_read_once_and_in_order(stores: Path, read: dict[str, Any]) -> None:
    results = engine.open_results(stores / "part.zarr").load()
    points, numbers = np.nonzero(results.complete.values)
    assert len(read["single"]) == len(points) == 7 * 8
    for element, point, number in zip(read["single"], points, numbers, strict=True):
        assert element["power"] == results.power.values[point, number].tolist()  # bit for bit
        assert element["peak"] == results.peak.values[point, number]
        assert element["offset"] == results.offset.values[point]
        assert element["realization"] == number
    assert read["spec"] == {
        "power": ["float64", [2]], "peak": ["float64", []], "offset": ["float64", []], "realization": ["int64", []],
    }  # fmt: skip


@needs_tensorflow
@pytest.mark.slow
def test_shards_are_disjoint_and_hold_whole_chunks(read: dict[str, Any]) -> None:
    assert [len(shard) for shard in read["shards"]] == [3 * 8, 2 * 8, 2 * 8]
    places = [[(element["offset"], element["realization"]) for element in shard] for shard in read["shards"]]
    together = [place for shard in places for place in shard]
    assert len(set(together)) == len(together) == 56
    assert sorted(together) == [(element["offset"], element["realization"]) for element in read["single"]]
    for shard in places:
        for start in range(0, len(shard), 8):
            assert {(offset, number // 8) for offset, number in shard[start : start + 8]} == {
                (shard[start][0], shard[start][1] // 8)
            }


@needs_tensorflow
@pytest.mark.slow
def test_batches_keep_the_order(read: dict[str, Any]) -> None:
    assert [len(element["peak"]) for element in read["batches"]] == [7] * 8
    assert [value for element in read["batches"] for value in element["peak"]] == [e["peak"] for e in read["single"]]
    assert list(read["batches"][0]) == ["peak"]
    assert read["again"] == read["batches"]
    assert read["labels"] == ["a"] * 8 + ["bé"] * 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": (2, 2)}, r"shard: given \(2, 2\), needed \(index, count\)"),
        ({"shard": (0, 0)}, "shard: given"),
        ({"shard": (0.0, 1)}, "shard: given"),
        ({"batch": 0}, "batch: given 0, needed an integer ≥ 1"),
        ({"variables": ("peek",)}, "no variable 'peek' in .*; did you mean 'peak'"),
        ({"variables": "peak"}, "variables: given the word 'peak', needed a list"),
    ],
)
def test_nonsense_is_one_line(
    stores: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(tensorflow_data, "_tensorflow", object)
    with pytest.raises(InputError, match=message):
        tensorflow_data.dataset(stores / "part.zarr", **options)


def test_without_tensorflow_the_extra_is_named(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"pip install 'nearfield\[tensorflow\]'"):
        tensorflow_data.dataset(stores / "part.zarr")


def test_a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorflow_data, "_tensorflow", object)
    with pytest.raises(StoreError, match="no store at"):
        tensorflow_data.dataset(tmp_path / "nothing.zarr")
