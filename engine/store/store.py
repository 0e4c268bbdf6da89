"""One Zarr v3 store per sweep: a template of metadata, chunks written once each, receipts last.

    PATH/zarr.json            provenance, the sweep's definition, consolidated metadata
    PATH/<variable>/          (axes…, realization, own dimensions…), one chunk per task, crc32c on each chunk
    PATH/complete/            which realizations are stored
    PATH/receipts/*.json      one per stored task
    PATH/lock.*.json          who drives it, while somebody does

PATH is a folder or the URL of object storage. One driver at a time, which holds the lock, writes metadata. A worker
writes exactly the chunks that its task owns, so no two processes ever write one object. Arrays have the length of the
budget; growing the budget changes metadata only.
"""

import functools
import json
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from engine import provenance
from engine.backend import Backend
from engine.errors import InputError, StoreError
from engine.scenario import Variables, units
from engine.store import metadata, receipts
from engine.store.guarded import GuardedStore
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE, FORMAT
from engine.store.receipts import Receipt
from engine.store.stops import REALIZATIONS, REASON
from engine.store.storage import ROOT, Storage, reported, storage_at
from engine.sweep import Grid, Sweep, Task, scenario_from

_MANY_OBJECTS, _SMALL_CHUNK_BYTES = 100_000, 2**16


class Store:
    """A result store. `path` is how the user named it, in messages; `storage` holds its objects."""

    def __init__(self, path: str | os.PathLike[str] | Storage, *, mode: str = "r+") -> None:
        self.storage = storage_at(path)
        self.path = self.storage.location
        self.lock: Lock | None = None
        with reported(f"cannot open the store {self.path}"):
            if self.storage.is_empty():
                raise StoreError(f"no store at {self.path}: check the path, or create one with 'nearfield run'")
            try:
                self.zarr = GuardedStore(self.storage.zarr(read_only=mode == "r"), self.storage)
                self.group = zarr.open_group(self.zarr, mode=mode, zarr_format=3, use_consolidated=False)  # type: ignore[arg-type]
            except (FileNotFoundError, ValueError):
                raise StoreError(_no_store(self.storage)) from None
        self.attributes: dict[str, Any] = dict(self.group.attrs)
        self._arrays: dict[str, zarr.Array] = {}

    @property
    def grid(self) -> Grid:
        """Points, realizations and chunk, which need no scenario."""
        return metadata.grid_of(self.attributes)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        return metadata.axes_of(self.attributes)

    @functools.cached_property
    def sweep(self) -> Sweep:
        """What the store holds. Needs the scenario's class; reading the results does not."""
        stored = self.attributes
        return Sweep(
            scenario_from(stored["scenario_class"], json.loads(stored["scenario"])),
            {name: tuple(values) for name, values in json.loads(stored["axes"]).items()},
            **{key: stored[key] for key in ("realizations", "seed", "block", "chunk", "name", "about")},
            highlights=tuple(stored["highlights"]),
        )

    def adopt(self, sweep: Sweep) -> None:
        """Take the sweep, known to be the stored one, from the caller: its class need not be importable here."""
        self.sweep = sweep.replace(realizations=self.attributes["realizations"], chunk=self.attributes["chunk"])

    def require_current(self) -> Sweep:
        """The sweep, refused where the scenario's code is no longer what computed the store."""
        if self.sweep.fingerprint() != self.attributes["fingerprint"]:
            raise StoreError(
                f"{self.path} was computed by version {self.attributes['code_version']} of "
                f"{self.attributes['scenario_class']}, which is now version {type(self.sweep.scenario).code_version}: "
                f"check out the commit {self.attributes['commit']}, or choose another path"
            )
        return self.sweep

    def release(self) -> None:
        """Let the next driver in."""
        if self.lock is not None:
            self.lock.release()

    def require_held(self) -> None:
        """Raises StoreError once another driver has taken the store over."""
        if self.lock is not None:
            self.lock.require_held()

    def require_same(self, sweep: Sweep) -> None:
        """Refuse another sweep than the one stored, naming the fields that differ."""
        if sweep.fingerprint() == self.attributes["fingerprint"]:
            return
        stored = {**self.sweep.definition(), "code_version": self.attributes["code_version"]}
        given = sweep.definition()
        differences = [
            f"{key.removeprefix('scenario.')} (stored {stored.get(key, 'nothing')}, given {given.get(key, 'nothing')})"
            for key in sorted(stored.keys() | given.keys(), key=lambda key: key.removeprefix("scenario."))
            if stored.get(key) != given.get(key)
        ]
        raise StoreError(
            f"{self.path} holds another sweep: {', '.join(differences)}; choose another path, or restore these fields"
        )

    def grow(self, realizations: int) -> None:
        """Raise the budget. Metadata only: no worker may be running. Finishes what a killed driver began."""
        if realizations <= self.sweep.realizations and self.is_consolidated():
            return
        _require_countable(realizations)
        realizations = max(realizations, self.sweep.realizations)
        grown = self.sweep.replace(realizations=realizations)
        position = len(self.sweep.axes)
        with reported(f"cannot grow the store {self.path}"):
            for name in (*self.variable_names(), COMPLETE):
                array = self._array(name)
                array.resize((*array.shape[:position], realizations, *array.shape[position + 1 :]))
            numbers = self._array("realization")
            numbers.resize((realizations,))
            numbers[:] = np.arange(realizations)
            self.group.attrs["realizations"] = realizations
            _consolidate(self.zarr)
        self.attributes["realizations"] = realizations
        self._arrays.clear()
        self.sweep = grown

    def is_consolidated(self) -> bool:
        """False where a driver was killed while it grew the store."""
        return "consolidated_metadata" in metadata.parsed(self.storage.read(ROOT), self.path)

    def chunk_of(self, task: Task) -> tuple[Any, ...]:
        """The region of a variable that a task owns; refuses one that is not exactly a chunk."""
        chunk, total = self.sweep.chunk_size, self.sweep.realizations
        if task.start % chunk or task.stop != min(task.start + chunk, total):
            raise StoreError(f"{task} is no chunk of {chunk} of {total} realizations: nothing was written")
        return (*(slice(i, i + 1) for i in task.point), slice(task.start, task.stop))

    def write(
        self,
        task: Task,
        variables: Variables,
        *,
        seconds: float,
        backend: Backend,
        attempt: int,
        cpu_seconds: float | None = None,
    ) -> Receipt:
        """Store a task's chunks and then its receipt. Raises if an earlier receipt disagrees."""
        region = self.chunk_of(task)
        leading = (1,) * len(task.point)
        arrays = {name: np.asarray(values) for name, (_, values, _) in variables.items()}
        self._require_shapes(task, arrays)
        receipt = Receipt(
            point=task.point, start=task.start, stop=task.stop,
            checksums={name: receipts.checksum(values) for name, values in arrays.items()},
            moments=receipts.moments(arrays), seconds=seconds, cpu_seconds=cpu_seconds,
            finished=provenance.now(), host=provenance.host(),
            device=backend.device, backend=backend.name, platform=provenance.platform_name(), attempt=attempt,
        )  # fmt: skip
        key = receipts.key_of(task, self.sweep.chunk_size)
        with reported(f"cannot write to the store {self.path}"):
            if not self.storage.exists(ROOT):
                raise StoreError(
                    f"the store {self.path} is gone, removed while it was written: the same run makes it anew"
                )
            if self.storage.exists(key):
                self._require_repeatable(receipts.read(self.storage, key, self.grid), receipt, arrays)
            for name, values in arrays.items():
                self._array(name)[region] = values.reshape(leading + values.shape)
            self._array(COMPLETE)[region] = True
            names = (*arrays, COMPLETE)
            self.storage.flush([chunk_key(self._array(name), task, self.sweep.chunk_size) for name in names])
            self.storage.write(key, receipt.model_dump_json().encode())
        return receipt

    def _array(self, name: str) -> zarr.Array:
        if name not in self._arrays:
            self._arrays[name] = self.group[name]  # type: ignore[assignment]
        return self._arrays[name]

    def variable_names(self) -> list[str]:
        """The stored variables, without coordinates and the mask."""
        return list(self.attributes["variables"])

    def _require_shapes(self, task: Task, arrays: dict[str, np.ndarray]) -> None:
        if set(arrays) != set(self.variable_names()):
            raise StoreError(
                f"the scenario gave the variables {sorted(arrays)} at {self.sweep.values(task.point)}, "
                f"but the store holds {sorted(self.variable_names())}"
            )
        for name, values in arrays.items():
            array = self._array(name)
            needed = (task.stop - task.start, *array.shape[len(task.point) + 1 :])
            if values.shape != needed or values.dtype != array.dtype:
                raise StoreError(
                    f"{name} at {self.sweep.values(task.point)}: given {values.dtype} {values.shape}, "
                    f"needed {array.dtype} {needed}; an axis must not change a variable's shape"
                )

    @staticmethod
    def _require_repeatable(old: Receipt, new: Receipt, arrays: dict[str, np.ndarray]) -> None:
        """The same task on the same platform must give the same bits: anything else is an alarm."""
        if (old.backend, old.platform, old.device) != (new.backend, new.platform, new.device):
            return
        count = min(old.stop, new.stop) - old.start
        if count < old.stop - old.start:
            return
        for name, values in arrays.items():
            if old.checksums.get(name) != receipts.checksum(values[:count]):
                raise StoreError(
                    f"{name}, realizations {old.start}–{old.start + count - 1} of point {old.point}, differs from "
                    f"what was stored on {old.finished}: the simulation is not deterministic; nothing was written"
                )

    def receipts(self) -> list[Receipt]:
        with reported(f"cannot read the store {self.path}"):
            return receipts.read_all(self.storage, self.grid)

    def pending(self, done: list[Receipt] | None = None) -> list[Task]:
        """The tasks that no receipt covers."""
        stops = {(r.point, r.start): r.stop for r in (self.receipts() if done is None else done)}
        return [task for task in self.grid.tasks() if stops.get((task.point, task.start), 0) < task.stop]


def chunk_key(array: zarr.Array, task: Task, chunk: int) -> str:
    """The object that holds a task's part of an array, relative to the store."""
    trailing = (0,) * (array.ndim - len(task.point) - 1)
    indices = (*task.point, task.start // chunk, *trailing)
    return "/".join([array.path, "c", *(str(i) for i in indices)])


def _no_store(storage: Storage) -> str:
    if {receipts.FOLDER, COMPLETE} & set(storage.names()):
        return f"{storage.location} holds what is left of a removed store: remove that too, and run the same again"
    return f"{storage.location} is not a nearfield store of format {FORMAT}: choose another path"


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
            store.grow(sweep.realizations)
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
    return (
        sweep.realizations <= store.grid.realizations
        and len(receipts.keys(store.storage)) == store.grid.n_tasks
        and store.is_consolidated()
        and not store.pending()
    )


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
    group = zarr.create_group(
        store,
        zarr_format=3,
        attributes={
            "nearfield_format": FORMAT,
            "title": sweep.about or sweep.name,
            "name": sweep.name,
            "about": sweep.about,
            "scenario_class": sweep.definition()["scenario"],
            "scenario": sweep.scenario.model_dump_json(),
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
            "coordinates": {
                name: receipts.checksum(np.asarray(values))
                for name, (_, values, _) in sweep.scenario.coordinates().items()
            },
        },
    )
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
    _consolidate(store)
    return {key: value.to_bytes() for key, value in objects.items()}


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
        *sweep.axes, *sweep.scenario.coordinates(), "realization", COMPLETE, receipts.FOLDER, REASON, REALIZATIONS,
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


def _check_sizes(sweep: Sweep, variables: Variables) -> None:
    """Refuse chunks too large for a worker's memory, and very many small ones, with the numbers."""
    _require_countable(sweep.realizations)
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


def _require_countable(realizations: int) -> None:
    if realizations > metadata.LONGEST_DIMENSION:
        raise InputError(
            f"realizations: given {realizations}, needed at most {metadata.LONGEST_DIMENSION} at each point"
        )


def object_count(sweep: Sweep, variables: Variables) -> int:
    """Objects of a finished store: a chunk of every variable and of the mask, and a receipt, for each task."""
    return sweep.n_tasks * (len(variables) + 2)


def chunk_bytes(sweep: Sweep, block: np.ndarray) -> int:
    """Bytes of one chunk of a variable, given a block of it."""
    return int(block[0].size) * block.dtype.itemsize * sweep.chunk_size


def _consolidate(store: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # consolidated metadata are not yet in the v3 specification
        zarr.consolidate_metadata(store, zarr_format=3)
