"""A stored data set as a `tf.data.Dataset`, one shard of whole chunks a worker. The only file that imports tensorflow.

    from engine import tensorflow_data

    data = tensorflow_data.dataset("fig3.zarr", ("estimate_range_m",), shard=(0, 2), batch=256)
    for part in data:
        part["estimate_range_m"]  # (256, …), and the axes of the sweep, one value a realization

TensorFlow is an extra: pip install 'nearfield[tensorflow]'. Nothing else of this project needs it: Sionna 2 runs on
PyTorch, and its ray tracer, `sionna-rt`, on Mitsuba and Dr.Jit alone. Who wants both in one process imports `sionna.rt`
first: imported after TensorFlow 2.21, it crashes. The package `sionna` itself cannot be installed beside TensorFlow
2.21: they need different versions of h5py. In doubt take two processes: one traces and stores, the other reads.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray

from engine.errors import InputError
from engine.scenario import suggestion
from engine.store.receipts import Receipt
from engine.store.results import open_results
from engine.store.store import Store


def dataset(
    path: str | os.PathLike[str],
    variables: Sequence[str] = (),
    *,
    shard: tuple[int, int] = (0, 1),
    batch: int | None = None,
    with_axes: bool = True,
) -> Any:
    """The realizations of finished chunks, as a `tf.data.Dataset` of dictionaries name → tensor.

    variables: their names; all if empty. shard: (index, count), this worker's part: every `count`-th finished chunk, so
    that workers read disjoint files and together read everything once. batch: realizations in an element, the leading
    axis, the last one may have fewer; None: single realizations. with_axes: also the value of each axis of the sweep,
    and the number of the realization.

    The order is that of the points and realizations of the store, for any number of readers of one shard: a shuffle is
    the caller's, with the caller's seed. Chunks finished after the call are not seen.
    Raises InputError for names that are not stored or a shard that is none, StoreError for what is no store. A damaged
    chunk ends the iteration with TensorFlow's own error, which carries ours.
    """
    tf = _tensorflow()
    index, count = _checked_shard(shard)
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise InputError(f"batch: given {batch!r}, needed an integer ≥ 1")
    store = Store(path)
    names = _checked_names(store, variables)
    results = open_results(path)
    axes = [str(dim) for dim in results.complete.dims if dim != "realization"]
    places = [*axes, "realization"] if with_axes else []
    mine = sorted(store.receipts(), key=lambda receipt: (receipt.point, receipt.start))[index::count]

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        for receipt in mine:
            yield _chunk(results, axes, receipt, names, places)

    own_shapes = {name: [results.sizes[dim] for dim in _own(results[name], axes)] for name in names}
    shapes = own_shapes | {name: [] for name in places}
    signature = {name: tf.TensorSpec([None, *shape], _type(tf, results[name])) for name, shape in shapes.items()}
    data = tf.data.Dataset.from_generator(chunks, output_signature=signature).unbatch()
    return data if batch is None else data.batch(batch)


def _tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError:
        raise InputError("reading as tf.data needs TensorFlow: pip install 'nearfield[tensorflow]'") from None
    return tensorflow


def _checked_shard(shard: tuple[int, int]) -> tuple[int, int]:
    whole = isinstance(shard, tuple) and len(shard) == 2 and all(type(part) is int for part in shard)
    if not whole or not 0 <= shard[0] < shard[1]:
        raise InputError(f"shard: given {shard!r}, needed (index, count) with 0 ≤ index < count")
    return shard


def _checked_names(store: Store, names: Sequence[str]) -> list[str]:
    stored = store.variable_names()
    if isinstance(names, str):
        raise InputError(f"variables: given the word {names!r}, needed a list of names")
    for name in names:
        if name not in stored:
            raise InputError(f"no variable {name!r} in {store.path}; {suggestion(str(name), stored)}")
    return list(names) or stored


def _chunk(
    results: xarray.Dataset, axes: list[str], receipt: Receipt, names: list[str], places: list[str]
) -> dict[str, np.ndarray]:
    """The values of one chunk, realizations first, and where they belong, once for each realization."""
    where: dict[str, Any] = dict(zip(axes, receipt.point, strict=True))
    here = results.isel(where | {"realization": slice(receipt.start, receipt.stop)})
    size = receipt.stop - receipt.start
    values = {name: here[name].transpose("realization", *_own(here[name], axes)).values for name in names}
    return values | {name: np.broadcast_to(here[name].values, (size,)) for name in places}


def _own(variable: xarray.DataArray, axes: list[str]) -> list[str]:
    """The dimensions of one realization."""
    return [str(dim) for dim in variable.dims if dim not in (*axes, "realization")]


def _type(tf: Any, variable: xarray.DataArray) -> Any:
    return variable.dtype if variable.dtype.kind in "biufc" else tf.string
