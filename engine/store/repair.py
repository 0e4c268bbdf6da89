"""Mending what `verify` found, where the truth is known or can be computed again."""

import os

import numpy as np

from engine.store import changes, chunks, compact, description, receipts, stops
from engine.store.integrity import Litter, Problem, opened
from engine.store.lock import Lock
from engine.store.metadata import COMPLETE
from engine.store.storage import ROOT, reported, storage_at
from engine.store.store import Store


def repair(path: str | os.PathLike[str], items: list[Problem | Litter]) -> list[Problem]:
    """Restore the root from its copy, and copies from the root; withdraw the receipts of damaged chunks, so that the
    next run computes them again; write damaged coordinates and masks anew; remove what killed writers left.

    Returns what must be mended by hand. Locks the store meanwhile.
    """
    storage = storage_at(path)
    lock = Lock(storage)
    lock.acquire()
    try:
        with reported(f"cannot repair the store {storage.location}"):
            by, _ = opened(path)  # as it was verified: with the lock held, nobody changes it
            if any(item.chunk == ROOT and item.receipt for item in items if isinstance(item, Problem)):
                description.write(storage, description.root_of(by.attributes, by.documents))
            store = Store(path)
            store.lock = lock
            if store.is_compact and any(_is_of_task(store, item) for item in items):
                compact.expanded(store)  # which leaves damaged tasks out
                items = [item for item in items if not _is_of_task(store, item)]
            left = [item for item in sorted(items, key=_is_mask) if not _mended(store, item)]
            return [item for item in left if isinstance(item, Problem)]
    finally:
        lock.release()


def _is_of_task(store: Store, item: Problem | Litter) -> bool:
    """A chunk, a receipt or a pack."""
    names = (*store.variable_names(), COMPLETE, receipts.FOLDER)
    return (
        isinstance(item, Problem)
        and bool(item.receipt)
        and not item.chunk.endswith(ROOT)
        and (item.chunk.partition("/")[0] in names)
    )


def _is_mask(item: Problem | Litter) -> bool:
    """A mask is written anew from its receipt, unless another chunk's damage withdraws that."""
    return isinstance(item, Problem) and item.chunk.startswith(f"{COMPLETE}/c")


def _mended(store: Store, item: Problem | Litter) -> bool:
    if isinstance(item, Litter):
        store.storage.delete(item.key)
    elif not item.receipt:
        return False
    elif item.chunk == stops.FILE:
        changes.note_stops(store, None)
    elif item.chunk == ROOT:
        pass
    elif item.chunk == description.COPY or item.chunk.endswith(f"/{ROOT}"):
        changes.mend_copies(store)
    elif item.receipt.endswith("/"):
        _write_coordinate(store, item.chunk)
    elif _is_mask(item):
        _write_mask(store, item)
    else:
        _withdraw(store, item.receipt)
    return True


def _withdraw(store: Store, receipt: str) -> None:
    """Say that a task is not stored: in the mask, and then by removing its receipt."""
    place = receipts.place_of(receipt)
    if place and store.is_place(*place):
        store.storage.delete("/".join([COMPLETE, "c", *map(str, place[0]), str(place[1])]))
    store.storage.delete(receipt)


def _write_mask(store: Store, item: Problem) -> None:
    """As the receipt says. It is the last that a task writes, and so the truth."""
    (data,) = store.storage.read_found([item.receipt])
    if data is not None:
        receipt = receipts.named(store.storage, item.receipt, data, store.book)
        stored = chunks.padded(np.ones(receipt.stop - receipt.start, bool), store.layout(COMPLETE))
        store.storage.write_many({item.chunk: chunks.encode(stored)})


def _write_coordinate(store: Store, name: str) -> None:
    if name == "realization":
        _write_numbers(store)
        return
    if name in store.axes:
        values = np.asarray(store.axes[name])
    else:
        values = np.asarray(store.require_current().scenario.coordinates()[name][1])
    store.storage.write_many(chunks.objects_of(name, values))


def _write_numbers(store: Store) -> None:
    """Those of the realizations, in as many chunks as earlier versions left them in."""
    length = store.layout("realization").chunks[0]
    for number, start in enumerate(range(0, store.grid.realizations, length)):
        whole = np.zeros(length, np.int64)
        part = np.arange(start, min(start + length, store.grid.realizations))
        whole[: len(part)] = part
        store.storage.write_many({f"realization/c/{number}": chunks.encode(whole)})
