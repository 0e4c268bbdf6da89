"""One Zarr v3 store per sweep: a template of metadata, chunks written once each, receipts last.

    PATH/zarr.json            provenance, the sweep's definition, consolidated metadata, and a digest over all of it
    PATH/zarr.copy.json       the same once more
    PATH/<variable>/          (axes…, realization, own dimensions…), one chunk per task, crc32c on each chunk
    PATH/complete/            which realizations are stored, for other readers: this package goes by the receipts
    PATH/receipts/*.json      one per stored task
    PATH/stopping.json        why points stopped, after a run with targets or a limit of seconds
    PATH/lock.*.json          who drives it, while somebody does

PATH is a folder or the URL of object storage. One driver at a time, which holds the lock, writes metadata. A worker
writes exactly the chunks that its task owns, so no two processes ever write one object. Arrays have the length of the
budget; growing the budget changes metadata only. What makes a store is in `engine.store.create`, what changes one in
`engine.store.changes`.
"""

import functools
import hashlib
import json
import os
from typing import Any

import numpy as np

from engine import provenance
from engine.backend import Backend
from engine.errors import InputError, StoreError
from engine.scenario import Variables
from engine.store import chunks, description, metadata, receipts, stops
from engine.store.description import Document
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE, FORMAT, ArrayLayout
from engine.store.receipts import Book, Receipt
from engine.store.storage import ROOT, Storage, reported, storage_at
from engine.sweep import Grid, Sweep, Task, scenario_from


class Store:
    """A result store. `path` is how the user named it, in messages; `storage` holds its objects.

    root: bytes to go by in place of those of `zarr.json`, which is damaged.
    """

    def __init__(self, path: str | os.PathLike[str] | Storage, *, root: bytes | None = None) -> None:
        self.storage = storage_at(path)
        self.path = self.storage.location
        self.lock: Lock | None = None
        self.known_receipts: list[Receipt] | None = None
        """Every receipt, where the store is whole, so that nobody reads them twice."""
        with reported(f"cannot open the store {self.path}"):
            if self.storage.is_empty():
                raise StoreError(f"no store at {self.path}: check the path, or create one with 'nearfield run'")
            (data,) = self.storage.read_found([ROOT]) if root is None else (root,)
            if data is None:
                raise StoreError(_no_store(self.storage))
            document = description.parsed_root(data, self.path)
            self.is_whole = bool(description.arrays_of(document))
            """False where a driver of format 1 was killed while it grew the store."""
            self.take(description.completed(document, self.storage))

    def take(self, document: Document) -> None:
        """Go by this root from now on."""
        self.document = document
        self.attributes: dict[str, Any] = dict(document["attributes"])
        self.documents = description.arrays_of(document)
        self.identity = description.identity(self.attributes)
        self._arrays: dict[str, chunks.Array] = {}
        for name in ("grid", "axes", "book"):
            self.__dict__.pop(name, None)

    def array(self, name: str) -> chunks.Array:
        """A variable, the mask or a coordinate."""
        if name not in self._arrays:
            self._arrays[name] = chunks.Array(self.storage, name, self.layout(name))
        return self._arrays[name]

    def layout(self, name: str) -> ArrayLayout:
        return metadata.check_array(self.documents[name], f"{self.path}: {name}")

    @property
    def is_sealed(self) -> bool:
        """Whether a digest guards what readers see: not in format 1."""
        return bool(self.attributes["nearfield_format"] > 1)

    @property
    def is_compact(self) -> bool:
        return bool(metadata.packs_of(self.attributes))

    @functools.cached_property
    def book(self) -> Book:
        """What the receipts must fit."""
        return Book(self.grid, self.identity, self.is_sealed, metadata.packs_of(self.attributes))

    @functools.cached_property
    def grid(self) -> Grid:
        """Points, realizations and chunk, which need no scenario. Kept: reading a thousand points takes 0.2 ms."""
        return metadata.grid_of(self.attributes)

    @functools.cached_property
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
        """The sweep, refused where the scenario's code is no longer what computed the store, or where it is damaged."""
        stored, sweep = self.attributes, self.sweep
        if sweep.fingerprint() == stored["fingerprint"]:
            return sweep
        if fingerprint_of(self.definition()) != stored["fingerprint"]:
            raise StoreError(
                f"{ROOT} of {self.path} is damaged: the sweep that it describes is not the one that its fingerprint "
                f"was made of; restore the store from a copy"
            )
        version = type(sweep.scenario).code_version
        changed = version != stored["code_version"]
        now = f"which is now version {version}" if changed else "whose fields have changed since"
        raise StoreError(
            f"{self.path} was computed by version {stored['code_version']} of {stored['scenario_class']}, {now}: "
            f"check out the commit {stored['commit']}, or choose another path"
        )

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
        stored, given = self.definition(), sweep.definition()
        differences = [
            f"{key.removeprefix('scenario.')} (stored {stored.get(key, 'nothing')}, given {given.get(key, 'nothing')})"
            for key in sorted(stored.keys() | given.keys(), key=lambda key: key.removeprefix("scenario."))
            if stored.get(key) != given.get(key)
        ]
        raise StoreError(
            f"{self.path} holds another sweep: {', '.join(differences)}; choose another path, or restore these fields"
        )

    def definition(self) -> dict[str, Any]:
        """As `Sweep.definition`, from the metadata alone: the scenario's class may be gone."""
        axes = self.axes
        fields = json.loads(self.attributes["scenario"])
        return {
            "scenario": self.attributes["scenario_class"],
            **{f"scenario.{name}": value for name, value in fields.items() if name not in axes},
            **{f"axis {name}": list(values) for name, values in axes.items()},
            **{name: self.attributes[name] for name in ("code_version", "seed", "block")},
        }

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
        self.chunk_of(task)
        if self.is_compact:
            raise StoreError(f"{self.path} is compact: 'nearfield compact --undo' spreads it, and then it can go on")
        arrays = {name: np.asarray(values) for name, (_, values, _) in variables.items()}
        self._require_shapes(task, arrays)
        receipt = Receipt(
            point=task.point, start=task.start, stop=task.stop,
            checksums={name: receipts.checksum(values) for name, values in arrays.items()},
            moments=receipts.moments(arrays), seconds=seconds, cpu_seconds=cpu_seconds,
            finished=provenance.now(), host=provenance.host(),
            device=backend.device, backend=backend.name, platform=provenance.platform_name(), attempt=attempt,
            store=self.identity if self.is_sealed else "",
        )  # fmt: skip
        key = receipts.key_of(task, self.sweep.chunk_size)
        with reported(f"cannot write to the store {self.path}"):
            if not self.storage.exists(ROOT):
                raise StoreError(
                    f"the store {self.path} is gone, removed while it was written: the same run makes it anew"
                )
            (earlier,) = self.storage.read_found([key])
            if earlier is not None:
                old = receipts.named(self.storage, key, earlier, self.book)
                self._require_repeatable(old, receipt, arrays)
            arrays[COMPLETE] = np.ones(task.stop - task.start, bool)
            objects = {self._key(name, task): self._chunk(name, arrays[name]) for name in arrays}
            self.storage.write_many(objects, {key: receipt.to_bytes()})
        return receipt

    def _key(self, name: str, task: Task) -> str:
        """The object of a task's chunk."""
        array = self.array(name)
        own = (0,) * (len(array.layout.shape) - len(task.point) - 1)
        return array.key((*task.point, task.start // self.sweep.chunk_size, *own))

    def _chunk(self, name: str, values: np.ndarray) -> bytes:
        return chunks.encode(chunks.padded(values, self.array(name).layout))

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
            array = self.array(name)
            needed = (task.stop - task.start, *array.layout.shape[len(task.point) + 1 :])
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
        if self.known_receipts is not None:
            return self.known_receipts
        with reported(f"cannot read the store {self.path}"):
            return receipts.read_all(self.storage, self.book)

    def pending(self, done: list[Receipt] | None = None) -> list[Task]:
        """The tasks that no receipt covers."""
        grid = self.grid
        whole = {(r.point, r.start) for r in (self.receipts() if done is None else done) if grid.is_whole(r.task)}
        return [task for task in grid.tasks() if (task.point, task.start) not in whole]

    def stops(self) -> stops.Record | None:
        """Why points stopped; None where the latest run had neither targets nor a limit. Raises StoreError."""
        with reported(f"cannot read the store {self.path}"):
            record = stops.read(self.storage, self.grid.shape, self.identity if self.is_sealed else "")
        if record is None and self.attributes.get("has_stops"):
            raise StoreError(
                f"{self.path}/{stops.FILE} is missing, without which it is not known what its targets left out: run "
                f"'nearfield verify --repair', then again with the same targets"
            )
        return record

    def stored(self) -> dict[tuple[tuple[int, ...], int], int]:
        """(point, number of the chunk) → realizations of it that are stored, by the receipts' names where these say it.

        They do not in a chunk in which an earlier budget ended: those receipts are read, and in format 1 all.
        """
        grid = self.grid
        if self.is_compact or not self.is_sealed:
            return {(r.point, r.start // grid.chunk): r.stop - r.start for r in self.receipts()}
        short = {budget // grid.chunk for budget in metadata.budgets_of(self.attributes) if budget % grid.chunk}
        found, unsure = {}, []
        with reported(f"cannot read the store {self.path}"):
            for key in receipts.keys(self.storage):
                place = receipts.place_of(key)
                if place is None or not self.is_place(*place):
                    continue
                found[place] = grid.stop_of(place[1] * grid.chunk) - place[1] * grid.chunk
                if place[1] in short:
                    unsure.append(key)
            for key, data in zip(unsure, self.storage.read_many(unsure), strict=True):
                receipt = receipts.named(self.storage, key, data, self.book)
                found[receipt.point, receipt.start // grid.chunk] = receipt.stop - receipt.start
        return found

    def is_place(self, point: tuple[int, ...], number: int) -> bool:
        """Whether the store has this point and, within its budget, the chunk of this number."""
        grid = self.grid
        inside = len(point) == len(grid.shape) and all(i < n for i, n in zip(point, grid.shape, strict=True))
        return inside and number * grid.chunk < grid.realizations


def fingerprint_of(definition: dict[str, Any]) -> str:
    """As `Sweep.fingerprint`, of what a store says."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _no_store(storage: Storage) -> str:
    if {receipts.FOLDER, COMPLETE} & set(storage.names()):
        hint = ""
        if storage.exists(description.COPY):
            hint = "; or, if nobody removed it, 'nearfield verify --repair' restores zarr.json from its copy"
        return (
            f"{storage.location} holds what is left of a removed store: remove that too, and run the same again{hint}"
        )
    return f"{storage.location} is not a nearfield store of format 1 or {FORMAT}: choose another path"


def require_countable(realizations: int) -> None:
    if realizations > metadata.LONGEST_DIMENSION:
        raise InputError(
            f"realizations: given {realizations}, needed at most {metadata.LONGEST_DIMENSION} at each point"
        )
