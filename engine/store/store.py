"""One Zarr v3 store per sweep: a template of metadata, chunks written once each, receipts last.

    PATH/zarr.json            provenance, the sweep's definition, consolidated metadata
    PATH/<variable>/          (axes…, realization, own dimensions…), one chunk per task, crc32c on each chunk
    PATH/complete/            which realizations are stored
    PATH/receipts/*.json      one per stored task
    PATH/stopping.json        why points stopped, after a run with targets or a limit of seconds
    PATH/lock.*.json          who drives it, while somebody does

PATH is a folder or the URL of object storage. One driver at a time, which holds the lock, writes metadata. A worker
writes exactly the chunks that its task owns, so no two processes ever write one object. Arrays have the length of the
budget; growing the budget changes metadata only. What makes a store is in `engine.store.create`.
"""

import functools
import json
import os
import warnings
from typing import Any

import numpy as np
import zarr
from zarr.errors import ZarrUserWarning

from engine import provenance
from engine.backend import Backend
from engine.errors import InputError, StoreError
from engine.scenario import Variables
from engine.store import metadata, receipts
from engine.store.guarded import GuardedStore
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE, FORMAT
from engine.store.receipts import Receipt
from engine.store.storage import ROOT, Storage, reported, storage_at
from engine.sweep import Grid, Sweep, Task, scenario_from


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
        stored, given = self._definition(), sweep.definition()
        differences = [
            f"{key.removeprefix('scenario.')} (stored {stored.get(key, 'nothing')}, given {given.get(key, 'nothing')})"
            for key in sorted(stored.keys() | given.keys(), key=lambda key: key.removeprefix("scenario."))
            if stored.get(key) != given.get(key)
        ]
        raise StoreError(
            f"{self.path} holds another sweep: {', '.join(differences)}; choose another path, or restore these fields"
        )

    def _definition(self) -> dict[str, Any]:
        """As `Sweep.definition`, from the metadata alone: the scenario's class may be gone."""
        axes = self.axes
        fields = json.loads(self.attributes["scenario"])
        return {
            "scenario": self.attributes["scenario_class"],
            **{f"scenario.{name}": value for name, value in fields.items() if name not in axes},
            **{f"axis {name}": list(values) for name, values in axes.items()},
            **{name: self.attributes[name] for name in ("code_version", "seed", "block")},
        }

    def grow(self, realizations: int) -> None:
        """Raise the budget. Metadata only: no worker may be running. Finishes what a killed driver began."""
        if realizations <= self.sweep.realizations and self.is_consolidated():
            return
        require_countable(realizations)
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
            consolidate(self.zarr)
        self.attributes["realizations"] = realizations
        self._arrays.clear()
        self.sweep = grown

    def is_consolidated(self) -> bool:
        """False where a driver was killed while it grew the store."""
        return "consolidated_metadata" in metadata.parsed(self.storage.read(ROOT), self.path)

    def chunk_of(self, task: Task) -> tuple[Any, ...]:
        """The region of a variable that a task owns; refuses one that is not exactly a chunk."""
        chunk, total = self.sweep.chunk_size, self.sweep.realizations
        if task.start % chunk or task.stop != self.sweep.grid.stop_of(task.start):
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
        grid = self.grid
        whole = {(r.point, r.start) for r in (self.receipts() if done is None else done) if grid.is_whole(r.task)}
        return [task for task in grid.tasks() if (task.point, task.start) not in whole]


def chunk_key(array: zarr.Array, task: Task, chunk: int) -> str:
    """The object that holds a task's part of an array, relative to the store."""
    trailing = (0,) * (array.ndim - len(task.point) - 1)
    indices = (*task.point, task.start // chunk, *trailing)
    return "/".join([array.path, "c", *(str(i) for i in indices)])


def _no_store(storage: Storage) -> str:
    if {receipts.FOLDER, COMPLETE} & set(storage.names()):
        return f"{storage.location} holds what is left of a removed store: remove that too, and run the same again"
    return f"{storage.location} is not a nearfield store of format {FORMAT}: choose another path"


def require_countable(realizations: int) -> None:
    if realizations > metadata.LONGEST_DIMENSION:
        raise InputError(
            f"realizations: given {realizations}, needed at most {metadata.LONGEST_DIMENSION} at each point"
        )


def consolidate(store: Any) -> None:
    """Repeat every array's metadata at the root, so that a reader asks for one object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # consolidated metadata are not yet in the v3 specification
        zarr.consolidate_metadata(store, zarr_format=3)
