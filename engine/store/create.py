"""Making a store: the template of its metadata, checked names and sizes; or opening the one that is there."""

import json
import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import MemoryStore

from engine import provenance
from engine.backend import Backend
from engine.errors import InputError, StoreError
from engine.scenario import Variables, units
from engine.store import changes, description, metadata, receipts
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE, FORMAT, STOP_REALIZATIONS, STOP_REASON
from engine.store.storage import ROOT, Storage, reported, storage_at
from engine.store.store import Store, require_countable
from engine.sweep import Sweep

_MANY_OBJECTS, _SMALL_CHUNK_BYTES = 100_000, 2**16


def create_or_open(
    path: str | os.PathLike[str] | Storage,
    sweep: Sweep,
    evaluate_block: Callable[[tuple[int, ...]], Variables],
    backend: Backend,
) -> Store:
    """The store of this sweep at `path`: made if there is none, grown if the budget has grown.

    evaluate_block: point → one simulated block, on the host; called only where the store must be made.
    The store is locked until its `release` is called, unless nothing of it is left to do.
    """
    storage = storage_at(path)
    lock = Lock(storage)
    try:
        with reported(f"cannot create the store {storage.location}"):
            if storage.is_empty():
                _create(storage, lock, sweep, _first_block(sweep, evaluate_block), backend)
        store = _opened(storage, sweep, backend)
        with reported(f"cannot open the store {storage.location}"):
            finished = _is_finished(store, sweep)
        if not finished:
            if not lock.is_held:
                lock.acquire()
                store = _opened(storage, sweep, backend)  # the previous driver may have grown it
            store.lock = lock
            changes.settle(store)
            changes.grow(store, sweep.realizations)
        return store
    except BaseException:
        lock.release()
        raise


def _create(storage: Storage, lock: Lock, sweep: Sweep, variables: Variables, backend: Backend) -> None:
    """Write a store's metadata and coordinates, and no result. `variables`: one simulated block, on the host.

    A folder appears in one rename, whole, and of two drivers one opens what the other made. Object storage has no such
    step: the lock is taken first.
    """
    _check_names(sweep, variables)
    _check_sizes(sweep, variables)
    if not storage.is_local:
        lock.acquire()
        if not storage.is_empty():
            return
    storage.establish(_template(sweep, variables, backend), receipts.FOLDER)


def _opened(storage: Storage, sweep: Sweep, backend: Backend) -> Store:
    """The store, known to hold this sweep."""
    store = Store(storage)
    store.require_same(sweep)
    if store.attributes["backend"] != backend.name:
        raise StoreError(
            f"{store.path} was computed on the backend {store.attributes['backend']!r}, whose last bits differ from "
            f"{backend.name!r}: continue with it, or choose another path"
        )
    store.adopt(sweep)
    return store


def _is_finished(store: Store, sweep: Sweep) -> bool:
    """Nothing is left to do, so that a whole store can be read where it cannot be written."""
    if sweep.realizations > store.grid.realizations or not store.is_whole:
        return False
    if not store.is_compact and len(receipts.keys(store.storage)) != store.grid.n_tasks:
        return False
    found = store.receipts()
    if store.pending(found):
        return False
    store.known_receipts = found
    return True


def _first_block(sweep: Sweep, evaluate_block: Callable[[tuple[int, ...]], Variables]) -> Variables:
    """One block of the first point; refuses an axis along which its layout changes."""
    first = (0,) * len(sweep.axes)
    variables = evaluate_block(first)
    for axis, values in enumerate(sweep.axes.values()):
        last = tuple(len(values) - 1 if i == axis else 0 for i in range(len(first)))
        if last != first:
            _require_same_layout(sweep, first, variables, last, evaluate_block(last))
    return variables


def _require_same_layout(
    sweep: Sweep, first: tuple[int, ...], here: Variables, last: tuple[int, ...], there: Variables
) -> None:
    layouts = [
        {name: (dims, np.asarray(values).shape[1:], np.asarray(values).dtype) for name, (dims, values, _) in v.items()}
        for v in (here, there)
    ]
    for name in sorted(layouts[0].keys() | layouts[1].keys()):
        if layouts[0].get(name) != layouts[1].get(name):
            raise InputError(
                f"{name} has another shape at {sweep.values(last)} {layouts[1].get(name)} than at "
                f"{sweep.values(first)} {layouts[0].get(name)}: run such values as separate sweeps"
            )


def _template(sweep: Sweep, variables: Variables, backend: Backend) -> dict[str, bytes]:
    """Every object of a store without results."""
    kind = type(sweep.scenario)
    objects: dict[str, Any] = {}
    store = MemoryStore(objects)
    described: dict[str, Any] = {
        "nearfield_format": FORMAT,
        "store_id": uuid.uuid4().hex,
        "title": sweep.about or sweep.name,
        "name": sweep.name,
        "about": sweep.about,
        "scenario_class": sweep.definition()["scenario"],
        "scenario": sweep.scenario.model_dump_json(),
        **({"account": account} if (account := sweep.account) else {}),
        "code_version": kind.code_version,
        "axes": json.dumps({name: list(values) for name, values in sweep.axes.items()}),
        "realizations": sweep.realizations,
        "seed": sweep.seed,
        "block": sweep.block,
        "chunk": sweep.chunk_size,
        "variables": list(variables),
        "highlights": list(sweep.highlights),
        "fingerprint": sweep.fingerprint(),
        "backend": backend.name,
        "device": backend.device,
        "versions": json.dumps(provenance.versions()),
        "commit": provenance.commit(),
        "created": provenance.now(),
        metadata.CHECKSUMS: json.dumps(
            {
                name: receipts.checksum(np.asarray(values))
                for name, (_, values, _) in sweep.scenario.coordinates().items()
            }
        ),
        "budgets": "[]",
        "has_stops": 0,
    }
    group = zarr.create_group(store, zarr_format=3)
    for name, values in sweep.axes.items():
        _write_coordinate(group, name, (name,), np.asarray(values), _description(kind, name))
    for name, (dims, values, attributes) in sweep.scenario.coordinates().items():
        _write_coordinate(group, name, dims, np.asarray(values), attributes)
    numbers = np.arange(sweep.realizations)
    _write_coordinate(group, "realization", ("realization",), numbers, {"long_name": "realization"})
    mask = {"long_name": "whether the realization is stored"}
    _create_array(group, sweep, COMPLETE, ("realization",), (), np.dtype(bool), mask)
    for name, (dims, values, attributes) in variables.items():
        array = np.asarray(values)
        _create_array(group, sweep, name, dims, array.shape[1:], array.dtype, attributes)
    made = {key: value.to_bytes() for key, value in objects.items()}
    arrays = {
        key.removesuffix(f"/{ROOT}"): json.loads(data) for key, data in sorted(made.items()) if key.endswith(f"/{ROOT}")
    }
    root = description.root_of(described, arrays)
    return made | {ROOT: root, description.COPY: root}


def _description(scenario: type[Any], name: str) -> dict[str, str]:
    unit, text = units(name), scenario.model_fields[name].description
    return {"long_name": text or name.replace("_", " ")} | ({"units": unit} if unit else {})


def _write_coordinate(
    group: zarr.Group, name: str, dims: tuple[str, ...], values: np.ndarray, attributes: Mapping[str, str]
) -> None:
    if values.dtype.kind == "U":
        values = values.astype(np.dtypes.StringDType())
    array = group.create_array(
        name, shape=values.shape, dtype=values.dtype, chunks=values.shape, dimension_names=dims,
        compressors=(Crc32cCodec(),), attributes=dict(attributes),
    )  # fmt: skip
    array[...] = values


def _create_array(
    group: zarr.Group,
    sweep: Sweep,
    name: str,
    dims: tuple[str, ...],
    own_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    attributes: Mapping[str, str],
) -> None:
    group.create_array(
        name,
        shape=(*sweep.shape, sweep.realizations, *own_shape),
        chunks=(*(1 for _ in sweep.axes), sweep.chunk_size, *own_shape),
        dtype=dtype,
        fill_value=np.nan if dtype.kind in "fc" else dtype.type(0),
        dimension_names=(*sweep.axes, *dims),
        compressors=(Crc32cCodec(),),  # random doubles compress by 4 %, and without it a flipped bit is read silently
        attributes=dict(attributes),
    )


def _check_names(sweep: Sweep, variables: Variables) -> None:
    taken = {
        *sweep.axes, *sweep.scenario.coordinates(), "realization", COMPLETE, receipts.FOLDER,
        STOP_REASON, STOP_REALIZATIONS,
    }  # fmt: skip
    for name, (dims, values, _) in variables.items():
        try:
            metadata.safe_name(name)
        except ValueError as error:
            raise InputError(f"{error}: rename it") from None
        if name in taken:
            raise InputError(
                f"variable {name!r} has the name of an axis, a coordinate or a part of the store: rename it"
            )
        if np.asarray(values).dtype.kind not in "biufc":
            raise InputError(f"variable {name!r} holds {np.asarray(values).dtype}, needed numbers or truth values")
        if tuple(dims[:1]) != ("realization",):
            raise InputError(f"variable {name!r} has the dimensions {dims}, needed 'realization' first")
    for name, (_, _, attributes) in (variables | sweep.scenario.coordinates()).items():
        try:
            metadata.require_plain_attributes(attributes)
        except ValueError as error:
            raise InputError(f"variable {name!r}: {error}: leave it out") from None


def _check_sizes(sweep: Sweep, variables: Variables) -> None:
    """Refuse chunks too large for a worker's memory, and very many small ones, with the numbers."""
    require_countable(sweep.realizations)
    if sweep.n_tasks > metadata.MOST_TASKS:
        raise InputError(f"{sweep.n_tasks} tasks are too many, at most {metadata.MOST_TASKS}: choose a larger chunk")
    n_objects = object_count(sweep, variables)
    sizes = {name: chunk_bytes(sweep, np.asarray(values)) for name, (_, values, _) in variables.items()}
    name, largest = max(sizes.items(), key=lambda item: item[1])
    if largest > metadata.LARGEST_CHUNK_BYTES:
        raise InputError(
            f"a chunk of {sweep.chunk_size} realizations of {name} holds {largest / 2**20:.0f} MiB, at most "
            f"{metadata.LARGEST_CHUNK_BYTES // 2**20} are stored in one object: choose a smaller chunk"
        )
    mean_bytes = sum(sizes.values()) / len(sizes)
    if n_objects > _MANY_OBJECTS and mean_bytes < _SMALL_CHUNK_BYTES:
        raise InputError(
            f"{n_objects} objects of {mean_bytes:.0f} bytes on average are too many and too small: choose a larger "
            f"chunk than {sweep.chunk_size} realizations"
        )


def object_count(sweep: Sweep, variables: Variables) -> int:
    """Objects of a finished store: a chunk of every variable and of the mask, and a receipt, for each task."""
    return sweep.n_tasks * (len(variables) + 2)


def chunk_bytes(sweep: Sweep, block: np.ndarray) -> int:
    """Bytes of one chunk of a variable, given a block of it."""
    return int(block[0].size) * block.dtype.itemsize * sweep.chunk_size
