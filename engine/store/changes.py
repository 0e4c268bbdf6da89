"""What a driver that holds the lock changes in a store beside its tasks: format, budget, copies, the record of stops.

Each change is one replacement of the root, whole, with its digest; what repeats parts of it is brought into line before
anything else, by whoever opens the store for writing. A power loss between two objects therefore leaves a root that is
true and a copy that is old, and the next driver, or `nearfield verify --repair`, makes the copy anew.
"""

import json
from typing import Any

import numpy as np

from engine.errors import StoreError
from engine.store import chunks, description, metadata, receipts, seal, stops
from engine.store.lock import Lock
from engine.store.metadata import FORMAT
from engine.store.storage import ROOT, reported
from engine.store.store import Store, require_countable

_BATCH = 256
"""Receipts rewritten together, with one wait for the disk."""


def settle(store: Store) -> None:
    """Finish what an earlier driver began and did not end, and raise format 1 to today's. The lock must be held."""
    with reported(f"cannot write to the store {store.path}"):
        if not store.is_sealed:
            _seal(store)
        elif not store.is_whole:
            replace_root(store, {})
        _require_own_copy(store)
        mend_copies(store)


def _require_own_copy(store: Store) -> None:
    """An old copy is made anew; one that says that the root is another store's, or older, may be the true one."""
    data = _found(store, description.COPY)
    try:
        copy = description.parsed_root(data or b"", store.path)["attributes"]
    except StoreError:
        return
    if description.identity(copy) != store.identity or copy["realizations"] > store.grid.realizations:
        raise StoreError(
            f"{ROOT} of {store.path} and its copy are of two stores, or of two times: 'nearfield verify --repair' "
            f"finds out which is true"
        )


def grow(store: Store, realizations: int) -> None:
    """Raise the budget. Metadata only: no worker may be running."""
    before = store.grid.realizations
    if realizations <= before:
        return
    require_countable(realizations)
    if store.is_compact:
        raise StoreError(
            f"{store.path} is compact and holds {before} realizations at each point: 'nearfield compact --undo' "
            f"spreads it, and then it can grow to {realizations}"
        )
    sweep = store.sweep.replace(realizations=realizations)
    budgets = [*metadata.budgets_of(store.attributes), *([before] if before % store.grid.chunk else [])]
    arrays = {name: description.of_length(name, array, realizations) for name, array in store.documents.items()}
    with reported(f"cannot grow the store {store.path}"):
        replace_root(store, {"realizations": realizations, "budgets": json.dumps(sorted(set(budgets)))}, arrays)
        mend_copies(store)
    store.sweep = sweep


def replace_root(store: Store, attributes: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
    """Write another root and go by it."""
    root = description.root_of(store.attributes | attributes, store.documents if arrays is None else arrays)
    description.write(store.storage, root)
    store.take(description.parsed_root(root, store.path))
    store.is_whole = True


def _seal(store: Store) -> None:
    """Format 1 becomes today's: receipts and the record of stops get their seals, and last the root its digest.

    Killed in between, the store is of format 1 yet, and the next driver seals the rest.
    """
    require_agreeing(store)
    short, batch = set(), {}
    for key, data in receipts.raw(store.storage, store.book):
        receipt = receipts.named(store.storage, key, data, store.book)
        if receipt.stop % store.grid.chunk:
            short.add(receipt.stop)
        if receipt.store != store.identity or not seal.has_seal(data):
            batch[key] = receipt.model_copy(update={"store": store.identity}).to_bytes()
        if len(batch) == _BATCH:
            store.storage.write_many(batch)
            batch = {}
    if batch:
        store.storage.write_many(batch)
    if record := store.stops():
        store.storage.write(stops.FILE, stops.to_bytes(record, store.identity))
    short.discard(store.grid.realizations)
    budget = store.grid.realizations
    arrays = {name: description.of_length(name, array, budget) for name, array in store.documents.items()}
    replace_root(
        store,
        {"nearfield_format": FORMAT, "budgets": json.dumps(sorted(short)), "has_stops": int(record is not None)},
        arrays,
    )


def require_agreeing(store: Store) -> None:
    """Refuse a store of format 1 whose root says other things of an array than the array itself. Raises StoreError."""
    for name, array in store.documents.items():
        if store.is_whole and not same_document(_found(store, f"{name}/{ROOT}"), array):
            raise StoreError(
                f"{store.path}: {ROOT} and {name}/{ROOT} say two things of {name}, and in format 1 nothing tells which "
                f"is true: restore them from a copy"
            )


def mend_copies(store: Store) -> list[str]:
    """Make whatever repeats a part of the root anew where it differs; the objects that were written.

    The arrays' own metadata, the root's copy, and the numbers of the realizations.
    """
    mended: dict[str, bytes] = {}
    for name, array in store.documents.items():
        key = f"{name}/{ROOT}"
        if not same_document(_found(store, key), array):
            mended[key] = description.array_object(array)
    root = _found(store, ROOT)
    if root is not None and _found(store, description.COPY) != root:
        mended[description.COPY] = root
    numbers = chunks.objects_of("realization", np.arange(store.grid.realizations))
    mended |= {key: data for key, data in numbers.items() if _found(store, key) != data}
    if mended:
        store.storage.write_many(mended)
    for key in list(store.storage.objects("realization")):
        if key.startswith("realization/c/") and key not in numbers:  # chunks of how earlier versions grew
            store.storage.delete(key)
    return list(mended)


def _found(store: Store, key: str) -> bytes | None:
    (data,) = store.storage.read_found([key])
    return data


def same_document(data: bytes | None, array: dict[str, Any]) -> bool:
    """Whether an array's own metadata say what the root says of it."""
    try:
        return data is not None and description.canonical(json.loads(data)) == description.canonical(array)
    except (ValueError, RecursionError):
        return False


def note_stops(store: Store, record: stops.Record | None) -> None:
    """Replace the record of stops; None removes it.

    The root knows whether there is one, so that one that gets lost is missed. It is written before the root says so,
    and removed after the root no longer does.
    """
    if record is None and not store.attributes.get("has_stops") and not store.storage.exists(stops.FILE):
        return
    with reported(f"cannot write to the store {store.path}"):
        if record is not None:
            store.storage.write(stops.FILE, stops.to_bytes(record, store.identity if store.is_sealed else ""))
        if store.is_sealed and bool(store.attributes.get("has_stops")) != (record is not None):
            _say(store, record is not None)
        if record is None:
            store.storage.delete(stops.FILE)


def _say(store: Store, has_stops: bool) -> None:
    """In the root, which only the holder of the lock may replace: a finished store is opened without."""
    held = store.lock is not None and store.lock.is_held
    lock = store.lock if held else Lock(store.storage)
    assert lock is not None
    if not held:
        lock.acquire()
        store.take(Store(store.storage).document)  # another driver may have grown it
    try:
        replace_root(store, {"has_stops": int(has_stops)})
    finally:
        if not held:
            lock.release()
