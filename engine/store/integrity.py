"""A verdict on every object of a store, and the repair of what is damaged."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from engine.errors import StoreError
from engine.store import metadata, receipts, stops
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE
from engine.store.receipts import Receipt
from engine.store.storage import ROOT, LocalStorage, reported
from engine.store.store import Store, chunk_key


@dataclass(frozen=True)
class Problem:
    """An object that cannot be trusted, and the object to withdraw so that the next run mends it."""

    chunk: str
    what: str
    receipt: str


@dataclass(frozen=True)
class Litter:
    """A partial object of a writer that was killed: harmless."""

    key: str


def verify(path: str | os.PathLike[str]) -> Iterator[Receipt | Problem | Litter]:
    """Read every object of a store: yields each receipt after the problems of its chunks, then all other problems.

    Every chunk is compared with the checksum in its receipt, every coordinate with what the store says it is, and
    nothing may lie in the store that is no part of it.
    """
    store = Store(path, mode="r")
    with reported(f"cannot read the store {store.path}"):
        for key in receipts.keys(store.storage):
            try:
                receipt = receipts.parsed(store.storage.read(key), key, store.grid)
            except StoreError as error:
                yield Problem(key, f"the receipt {error}", key)
                continue
            for name in (*store.variable_names(), COMPLETE):
                if what := _fault(store, receipt, name):
                    yield Problem(chunk_key(_array(store, name), receipt.task, store.grid.chunk), what, key)
            yield receipt
        yield from _coordinate_faults(store)
        try:
            stops.read(store.storage, store.grid.shape)
        except StoreError:
            yield Problem(stops.FILE, "is damaged", stops.FILE)
        yield from _strangers(store)


def _array(store: Store, name: str) -> zarr.Array:
    array = store.group[name]
    assert isinstance(array, zarr.Array)
    return array


def _fault(store: Store, receipt: Receipt, name: str) -> str:
    """What is wrong with a receipt's chunk of a variable or of the mask; empty if nothing is."""
    values = _read(store, name, (*receipt.point, slice(receipt.start, receipt.stop)))
    if isinstance(values, str):
        return values
    if name == COMPLETE:
        return "" if values.all() else "does not say that its realizations are stored"
    return "" if receipts.checksum(values) == receipt.checksums.get(name) else "does not hold what its receipt says"


def _read(store: Store, name: str, region: Any) -> np.ndarray | str:
    """Values, or why they cannot be read."""
    try:
        return np.asarray(_array(store, name)[region])
    except StoreError as error:
        return f"cannot be read: {str(error).partition('; ')[0]}"
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        return f"cannot be read: {' '.join(str(error).split())[:200]}"


def _coordinate_faults(store: Store) -> Iterator[Problem]:
    axes = store.axes
    known = dict(metadata.coordinate_checksums(store.attributes) or {})
    known |= {name: receipts.checksum(np.asarray(values)) for name, values in axes.items()}
    known["realization"] = receipts.checksum(np.arange(store.grid.realizations))
    for name, checksum in known.items():
        values = _read(store, name, ...) if name in store.group else "is missing"
        if isinstance(values, str):
            yield Problem(name, values, f"{name}/")
        elif receipts.checksum(values) != checksum:
            yield Problem(name, "does not hold the coordinates of the store", f"{name}/")


def _strangers(store: Store) -> Iterator[Problem | Litter]:
    """Objects that are no part of the store, links, pipes, and what killed writers left."""
    counts = {name: _chunk_counts(store, name) for name in _array_names(store)}
    for key in store.storage.objects():
        if key.endswith(".partial"):
            yield Litter(key)
        elif not _is_part(key, counts):
            yield Problem(key, "is no part of the store: remove it by hand", "")
        elif isinstance(store.storage, LocalStorage):
            try:
                store.storage.require_plain(key)
            except StoreError as error:
                yield Problem(key, str(error).partition(f"{key} ")[2], "")


def _array_names(store: Store) -> list[str]:
    """Variables and coordinates; a store from before coordinates were named may have any."""
    names = [*store.variable_names(), COMPLETE, "realization", *store.axes]
    if (coordinates := metadata.coordinate_checksums(store.attributes)) is not None:
        return [*names, *coordinates]
    return [*names, *(name for name in store.storage.names() if store.storage.exists(f"{name}/{ROOT}"))]


def _chunk_counts(store: Store, name: str) -> list[int]:
    try:
        array = _array(store, name)
    except (KeyError, StoreError):  # named as a problem where its values are read
        return []
    return [-(-length // chunk) for length, chunk in zip(array.shape, array.chunks, strict=True)]


def _is_part(key: str, counts: dict[str, list[int]]) -> bool:
    """Whether a store has an object of this name: metadata, a receipt, a lock, or a chunk within an array's shape."""
    name, _, rest = key.partition("/")
    if name in counts:
        return rest == ROOT or (rest.startswith("c") and _is_chunk(rest.removeprefix("c").strip("/"), counts[name]))
    return key in (ROOT, stops.FILE) or bool(re.fullmatch(rf"lock\.\d+\.json|{receipts.FOLDER}/[^/]+\.json", key))


def _is_chunk(text: str, counts: list[int]) -> bool:
    parts = text.split("/") if text else []
    return len(parts) == len(counts) and all(
        re.fullmatch(r"0|[1-9]\d{0,9}", part) and int(part) < count for part, count in zip(parts, counts, strict=True)
    )


def repair(path: str | os.PathLike[str], items: list[Problem | Litter]) -> list[Problem]:
    """Withdraw the receipts of damaged chunks, so that the next run computes them again; write damaged coordinates
    anew; remove what killed writers left. Returns what must be mended by hand. Locks the store meanwhile.
    """
    store = Store(path)
    lock = Lock(store.storage)
    lock.acquire()
    left = []
    try:
        with reported(f"cannot repair the store {store.path}"):
            for item in items:
                if isinstance(item, Litter):
                    store.storage.delete(item.key)
                elif item.receipt.endswith("/"):
                    _write_coordinate(store, item.chunk)
                elif item.receipt:
                    _withdraw(store, item.receipt)
                else:
                    left.append(item)
    finally:
        lock.release()
    return left


def _withdraw(store: Store, receipt: str) -> None:
    """Say that a task is not stored: in the mask, and then by removing its receipt."""
    named = re.fullmatch(rf"{receipts.FOLDER}/(all|\d+(?:-\d+)*)\.(\d+)\.json", receipt)
    if named:
        point = [] if named[1] == "all" else named[1].split("-")
        store.storage.delete("/".join([COMPLETE, "c", *point, named[2]]))
    store.storage.delete(receipt)


def _write_coordinate(store: Store, name: str) -> None:
    if name == "realization":
        values: Any = np.arange(store.grid.realizations)
    elif name in store.axes:
        values = np.asarray(store.axes[name])
    else:
        values = np.asarray(store.require_current().scenario.coordinates()[name][1])
    _array(store, name)[...] = values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values
