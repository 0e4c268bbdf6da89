"""A finished store in few objects: its chunks in Zarr's shards, its receipts in packs. And back.

A task takes an object for each variable, one for the mask and one for its receipt. A cluster's file system has room for
so many of a million tasks, and little patience with them. Shards have other names than chunks have (`c.0.0`, not
`c/0/0`), so both can lie side by side: the old ones are all there until the root, in one step, names the new ones,
which by then were read back and held to the receipts. Stopped before, what was written is litter, and the store is what
it was. Stopped after, what is left to remove is litter, and the store is compact.
"""

import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import google_crc32c
import numpy as np

from engine.errors import StoreError
from engine.store import changes, chunks, integrity, receipts, seal
from engine.store.description import Document
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE, INDEX_CODECS, ArrayLayout
from engine.store.receipts import Receipt
from engine.store.storage import LocalStorage, Storage, reported, storage_at
from engine.store.store import Store

_SHARD_BYTES, _CHUNKS_IN_SHARD, _PACK_BYTES = 2**26, 2**16, 2**25
_TOGETHER = 256

Held = dict[tuple[chunks.Index, int], Receipt]
"""(point, number of the chunk) → receipt."""


def compact(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Rewrite a finished store into few objects; how many it had before and has then.

    Raises StoreError for a store that is not finished, or of which a chunk does not hold what its receipt says.
    """
    return _locked(path, _compacted)


def expand(path: str | os.PathLike[str]) -> int:
    """Rewrite a compact store into an object a chunk, so that it can grow; how many tasks were damaged.

    These are left out: the next run computes them again.
    """
    return _locked(path, expanded)


def _locked(path: str | os.PathLike[str], rewrite: Callable[[Store], Any]) -> Any:
    storage = storage_at(path)
    lock = Lock(storage)
    lock.acquire()
    try:
        store = Store(path)
        store.lock = lock
        changes.settle(store)
        with reported(f"cannot write to the store {store.path}"):
            return rewrite(store)
    finally:
        lock.release()


def _compacted(store: Store) -> tuple[int, int]:
    before = _count(store.storage)
    if not store.is_compact:
        _require_finished(store)
        held = {(r.point, r.start // store.grid.chunk): r for r in store.receipts()}
        names = (*store.variable_names(), COMPLETE)
        arrays = {name: _sharded(store, name) for name in names}
        for name in names:
            _write_shards(store, name, arrays[name], held)
        packs = _write_packs(store)
        changes.replace_root(store, {"packs": json.dumps(packs)}, store.documents | arrays)
        changes.mend_copies(store)
    _remove_leftovers(store)
    return before, _count(store.storage)


def _require_finished(store: Store) -> None:
    """Every point has its budget, or has met its targets."""
    record = store.stops()
    met = {stop.point for stop in record.stops if stop.reason == "target"} if record else set()
    left = sum(task.point not in met for task in store.pending())
    if left or not store.grid.n_tasks:
        raise StoreError(f"{store.path} is not finished, {left} tasks are left: run it to its end before")


def _sharded(store: Store, name: str) -> Document:
    """The array's metadata, in shards."""
    array, layout = store.documents[name], store.layout(name)
    return array | {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard_shape(layout, store))}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": list(layout.chunks),
                    "codecs": array["codecs"],
                    "index_codecs": INDEX_CODECS,
                    "index_location": "end",
                },
            }
        ],
    }


def _unsharded(array: Document) -> Document:
    """The array's metadata, an object a chunk."""
    inner = array["codecs"][0]["configuration"]
    return array | {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": inner["chunk_shape"]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": inner["codecs"],
    }


def shard_shape(layout: ArrayLayout, store: Store) -> tuple[int, ...]:
    """As many chunks as make 64 MiB: along the realizations, and then along the axes from the last to the first."""
    shape = list(layout.chunks)
    room = min(_SHARD_BYTES // max(1, math.prod(shape) * np.dtype(layout.data_type).itemsize), _CHUNKS_IN_SHARD)
    for axis in range(len(store.grid.shape), -1, -1):
        count = -(-layout.shape[axis] // layout.chunks[axis])
        taken = max(1, min(count, room))
        shape[axis] *= taken
        room //= taken
        if taken < count:
            break
    return tuple(shape)


def _write_shards(store: Store, name: str, document: Document, held: Held) -> None:
    """All shards of an array, each read back."""
    from engine.store.metadata import check_array

    sharded = chunks.Array(store.storage, name, check_array(document, name))
    layout, axes = sharded.layout, len(store.grid.shape)
    assert layout.shard is not None
    counts = [shard // chunk for shard, chunk in zip(layout.shard, layout.chunks, strict=True)]
    numbers = [range(-(-n // shard)) for n, shard in zip(layout.shape, layout.shard, strict=True)]
    for place in itertools.product(*numbers):
        inside = (tuple(i * n + j for i, n, j in zip(place, counts, at, strict=True)) for at in np.ndindex(*counts))
        indices = list(inside)
        stored = [held.get((index[:axes], index[axes])) for index in indices]
        if not any(stored):
            continue
        objects = [_chunk_of(store, name, receipt) if receipt else None for receipt in stored]
        key, data = sharded.key(indices[0]), shard_of(objects)
        store.storage.write(key, data)
        if store.storage.read(key) != data:
            raise StoreError(f"{key} of {store.path} is not what was written: the storage is at fault, nothing is lost")


def _chunk_of(store: Store, name: str, receipt: Receipt) -> bytes:
    """A chunk, held to its receipt. Raises StoreError."""
    values, what = integrity.read_and_judged(store, receipt, name)
    if what:
        where = integrity.chunk_key(store, name, receipt)
        raise StoreError(f"{where} of {store.path} {what}: run 'nearfield verify --repair' and the same run again")
    return chunks.encode(chunks.padded(values[: receipt.stop - receipt.start], store.array(name).layout))


def shard_of(objects: list[bytes | None]) -> bytes:
    """Chunks, one after the other, and an index of where each begins and how long it is, with a crc32c."""
    index, at = [], 0
    for data in objects:
        index += [chunks.NOTHING, chunks.NOTHING] if data is None else [at, len(data)]
        at += len(data or b"")
    table = np.array(index, "<u8").tobytes()
    return b"".join([*filter(None, objects), table, google_crc32c.value(table).to_bytes(4, "little")])


def _write_packs(store: Store) -> dict[str, str]:
    """The receipts as they are, one a line; the packs' digests."""
    packs: dict[str, str] = {}
    for number, some in enumerate(_by_size(receipts.raw(store.storage, store.book))):
        key, data = f"{receipts.FOLDER}/pack.{number}.jsonl", receipts.packed(some)
        store.storage.write(key, data)
        packs[key] = seal.digest(data)
    return packs


def _by_size(raw: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    some: list[tuple[str, bytes]] = []
    size = 0
    for key, data in raw:
        some.append((key, data))
        size += len(data)
        if size > _PACK_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def expanded(store: Store) -> int:
    """As `expand`, of an open store whose lock is held."""
    if not store.is_compact:
        _remove_leftovers(store)
        return 0
    names, dropped = (*store.variable_names(), COMPLETE), 0
    arrays = {name: _unsharded(store.documents[name]) for name in names}
    plain = Store(store.storage)
    plain.take(store.document | {"consolidated_metadata": {"metadata": store.documents | arrays}})
    first: dict[str, bytes] = {}
    last: dict[str, bytes] = {}
    for key, data in _lines(store):
        try:
            receipt = receipts.parsed(data, key, store.book)
            task = {integrity.chunk_key(plain, name, receipt): _chunk_of(store, name, receipt) for name in names}
        except StoreError:
            dropped += 1
            continue
        first, last = first | task, last | {key: data}
        if len(last) == _TOGETHER:
            store.storage.write_many(first, last)
            first, last = {}, {}
    store.storage.write_many(first, last)
    changes.replace_root(store, {"packs": "{}"}, store.documents | arrays)
    changes.mend_copies(store)
    _remove_leftovers(store)
    return dropped


def _lines(store: Store) -> Iterator[tuple[str, bytes]]:
    """Receipts of packs that may be damaged: each has its own seal."""
    for data in store.storage.read_found(list(store.book.packs)):
        lines = (line.partition(b" ") for line in (data or b"").splitlines())
        yield from receipts.by_place((key.decode(errors="replace"), receipt) for key, _, receipt in lines)


def _remove_leftovers(store: Store) -> None:
    """Chunks where there are shards, shards where there are chunks; and the folders that are empty then."""
    known = integrity.Known(store)
    for key in list(store.storage.objects()):
        if key.endswith(".partial") or known.is_leftover(key):
            store.storage.delete(key)
    if isinstance(store.storage, LocalStorage):
        for folder, _, _ in os.walk(store.storage.root, topdown=False):
            if os.path.basename(folder) != receipts.FOLDER:
                with suppress(OSError):
                    os.rmdir(folder)  # one that is not empty stays


def _count(storage: Storage) -> int:
    return sum(not key.startswith("lock.") for key in storage.objects())
