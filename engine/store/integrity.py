"""A verdict on every object of a store."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from engine.errors import StoreError
from engine.moments import Moments
from engine.store import changes, chunks, coordinates, description, receipts, stops
from engine.store.metadata import COMPLETE
from engine.store.receipts import Receipt
from engine.store.storage import ROOT, LocalStorage, Storage, reported
from engine.store.store import Store, fingerprint_of

_NUMBER = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_TASKS_TOGETHER = 500
_WORTH_A_PROCESS = 5000
"""Tasks; a process takes a second to start."""


@dataclass(frozen=True)
class Problem:
    """An object that cannot be trusted. receipt: what `engine.store.repair` takes hold of; empty, mend it by hand."""

    chunk: str
    what: str
    receipt: str


@dataclass(frozen=True)
class Litter:
    """What a writer that was killed left, and no reader is shown: harmless."""

    key: str


Found = Receipt | Problem | Litter


def verify(path: str | os.PathLike[str], *, processes: int = 1) -> Iterator[Found]:
    """Read every object of a store: yields each receipt after the problems of its chunks, and all other problems.

    The root is held to its digest and to its copy, the arrays' metadata to the root, every receipt to its seal and its
    store, every chunk to the checksum in its receipt, every coordinate to what the store says it is, and nothing may
    lie in the store that is no part of it. processes: that check tasks, of large stores; a script that asks for more
    than one begins with `if __name__ == "__main__"`.
    """
    store, problems = opened(path)
    with reported(f"cannot read the store {store.path}"):
        yield from problems
        yield from _copies(store)
        yield from _tasks(store, processes)
        yield from _coordinate_faults(store)
        try:
            store.stops()
        except StoreError as error:
            what = "is missing" if "is missing" in str(error) else "is damaged"
            yield Problem(stops.FILE, what, stops.FILE)
        yield from _strangers(store)


def opened(path: str | os.PathLike[str] | Storage) -> tuple[Store, list[Problem]]:
    """A store, by the copy of its root where that is damaged or another's, and what is wrong with the two.

    Raises StoreError where neither can be trusted.
    """
    try:
        store = Store(path)
    except StoreError as error:
        other = _by_copy(path)
        if other is None:
            raise
        where = description.differing(_text(other.storage, ROOT), other.document) or str(error).partition("; ")[0][:300]
        return other, [Problem(ROOT, f"is damaged ({where}), its copy is not", ROOT)]
    if not store.is_sealed:
        return store, list(_doubts_of_format_1(store))
    other = _by_copy(path)
    if other is None:
        return store, [Problem(description.COPY, "is missing or damaged", description.COPY)]
    if other.document == store.document:
        return store, []
    if other.identity != store.identity:
        mine, theirs = (_has_receipts_of(one) for one in (store, other))
        if theirs and not mine:
            return other, [Problem(ROOT, "is another store's, its copy is this one's", ROOT)]
    elif _ahead(other) > _ahead(store):
        return other, [Problem(ROOT, "is older than its copy", ROOT)]
    return store, [Problem(description.COPY, "is not what zarr.json is", description.COPY)]


def _by_copy(path: str | os.PathLike[str] | Storage) -> Store | None:
    """The store as the copy of its root has it; None where that is no better."""
    from engine.store.storage import storage_at

    storage = storage_at(path)
    try:
        with reported("cannot read the copy"):
            return Store(storage, root=storage.read(description.COPY))
    except StoreError:
        return None


def _text(storage: Storage, key: str) -> bytes | None:
    try:
        return next(iter(storage.read_found([key])))
    except (StoreError, OSError):
        return None


def _has_receipts_of(store: Store) -> bool:
    for key in receipts.keys(store.storage)[:3]:
        try:
            receipts.parsed(store.storage.read(key), key, store.book)
        except StoreError:
            continue
        return True
    return False


def _ahead(store: Store) -> tuple[int, bool]:
    """Roots of one store follow one another by growth and compaction."""
    return store.grid.realizations, store.is_compact


def _doubts_of_format_1(store: Store) -> Iterator[Problem]:
    if fingerprint_of(store.definition()) != store.attributes["fingerprint"]:
        yield Problem(ROOT, "does not describe the sweep that its fingerprint was made of", "")


def _copies(store: Store) -> Iterator[Problem]:
    """Arrays whose own metadata are not what the root says of them."""
    for name, array in store.documents.items():
        key = f"{name}/{ROOT}"
        try:
            (data,) = store.storage.read_found([key])
        except StoreError as error:
            yield Problem(key, f"cannot be read: {error}", "")
            continue
        if store.is_whole and not changes.same_document(data, array):
            what = f"is not what the root says of it ({description.differing(data, array) or 'it is missing'})"
            yield Problem(key, what, key if store.is_sealed else "")


def _tasks(store: Store, processes: int) -> Iterator[Found]:
    """Every receipt after the problems of its chunks."""
    if store.is_compact:
        for pack in store.book.packs:
            try:
                held = list(receipts.unpacked(store.storage, pack, store.book))
            except StoreError as error:
                yield Problem(pack, f"is {str(error).rpartition(' is ')[2]}", pack)
                continue
            yield from _checked(store, held)
        return
    keys = receipts.keys(store.storage)
    batches = [keys[i : i + _TASKS_TOGETHER] for i in range(0, len(keys), _TASKS_TOGETHER)]
    if processes > 1 and len(keys) > _WORTH_A_PROCESS:
        yield from _in_processes(store, batches, processes)
        return
    for batch in batches:
        yield from _checked_keys(store, batch)


def _in_processes(store: Store, batches: list[list[str]], processes: int) -> Iterator[Found]:
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        waiting: list[Future[list[Found]]] = [
            pool.submit(_of_batch, store.storage, description.root_of(store.attributes, store.documents), batch)
            if store.is_sealed
            else pool.submit(_of_batch, store.storage, None, batch)
            for batch in batches
        ]
        for one in waiting:
            yield from one.result()


def _of_batch(storage: Storage, root: bytes | None, keys: list[str]) -> list[Found]:
    """In a process of its own."""
    return list(_checked_keys(Store(storage, root=root), keys))


def _checked_keys(store: Store, keys: list[str]) -> Iterator[Found]:
    for key in keys:
        try:
            data = store.storage.read(key)
        except StoreError as error:
            yield Problem(key, f"the receipt {error}", key)
            continue
        except FileNotFoundError:
            continue  # another driver withdrew it
        yield from _checked(store, [(key, data)])


def _checked(store: Store, held: list[tuple[str, bytes]]) -> Iterator[Found]:
    """Receipts, each after the problems of its chunks."""
    for key, data in held:
        try:
            receipt = receipts.parsed(data, key, store.book)
        except StoreError as error:
            yield Problem(key, f"the receipt {error}", key)
            continue
        for name in (*store.variable_names(), COMPLETE):
            if what := fault_of(store, receipt, name):
                yield Problem(chunk_key(store, name, receipt), what, key)
        yield receipt


def chunk_key(store: Store, name: str, receipt: Receipt) -> str:
    return store.array(name).key(chunk_index(store, name, receipt))


def chunk_index(store: Store, name: str, receipt: Receipt) -> tuple[int, ...]:
    own = (0,) * (len(store.array(name).layout.shape) - len(receipt.point) - 1)
    return (*receipt.point, receipt.start // store.grid.chunk, *own)


def fault_of(store: Store, receipt: Receipt, name: str) -> str:
    """What is wrong with a receipt's chunk of a variable or of the mask; empty if nothing is."""
    return read_and_judged(store, receipt, name)[1]


def read_and_judged(store: Store, receipt: Receipt, name: str) -> tuple[np.ndarray, str]:
    """A receipt's chunk of a variable or of the mask, (chunk, …), and what is wrong with it: empty if nothing is."""
    array, rows = store.array(name), receipt.stop - receipt.start
    whole = np.full(array.layout.chunks, chunks.fill_of(array.layout), array.dtype)
    values = whole.reshape(whole.shape[len(receipt.point) :])
    try:
        ((_, found),) = array.chunks([chunk_index(store, name, receipt)])
    except StoreError as error:
        return values, f"cannot be read: {str(error).partition('; ')[0]}"
    if found is not None:
        values = found.reshape(values.shape)
    elif "store_id" in store.attributes:
        return values, "is missing"
    return values, _fault(receipt, name, values[:rows], values[rows:])


def _fault(receipt: Receipt, name: str, values: np.ndarray, rest: np.ndarray) -> str:
    if name == COMPLETE:
        return "" if values.all() and not rest.any() else "does not say what its receipt says"
    if receipts.checksum(values) != receipt.checksums.get(name):
        return "does not hold what its receipt says"
    return "" if receipt.digest or _has_moments(receipt, name, values) else "has other moments than its receipt"


def _has_moments(receipt: Receipt, name: str, values: np.ndarray) -> bool:
    """Whether an unsealed receipt has the moments of the values, as far as sums in another order agree."""
    if name not in receipt.moments:
        return not receipts.has_moments(values)
    found, own = Moments.of(values), Moments.from_json(receipt.moments[name])
    scale = float(np.abs(values[np.isfinite(values)].astype(float)).max(initial=1e-300))  # flags are small integers
    pairs = ((found.count, own.count, 0.0), (found.mean, own.mean, scale), (found.squares, own.squares, scale**2))
    return all(
        a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-9 * max(1, len(values)) * s)) for a, b, s in pairs
    )


def _coordinate_faults(store: Store) -> Iterator[Problem]:
    for name, checksum in sorted(coordinates.checksums(store).items()):
        if name not in store.documents:
            yield Problem(name, "is missing", "")
            continue
        try:
            values = coordinates.stored(store.array(name))
        except StoreError as error:
            yield Problem(name, f"cannot be read: {str(error).partition('; ')[0]}", f"{name}/")
            continue
        if checksum is not None and receipts.checksum(values) != checksum:
            yield Problem(name, "does not hold the coordinates of the store", f"{name}/")


def _strangers(store: Store) -> Iterator[Problem | Litter]:
    """Objects that are no part of the store, links, pipes, and what killed writers left."""
    known = Known(store)
    for key in store.storage.objects():
        if key.endswith(".partial") or known.is_leftover(key):
            yield Litter(key)
        elif not known.is_part(key):
            yield Problem(key, "is no part of the store: remove it by hand", "")
        elif isinstance(store.storage, LocalStorage):
            try:
                store.storage.require_plain(key)
            except StoreError as error:
                yield Problem(key, str(error).partition(f"{key} ")[2], "")


class Known:
    """Which objects a store has."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.axes, self.packs = len(store.grid.shape), store.book.packs
        self.tasks = {*store.variable_names(), COMPLETE}
        self.counts: dict[str, list[int]] = {}
        for name in store.documents:
            layout = store.layout(name)
            self.counts[name] = [
                -(-n // chunk) for n, chunk in zip(layout.shape, layout.shard or layout.chunks, strict=True)
            ]
        self.places = {receipts.place_of(key) for key in receipts.keys(store.storage)}

    def is_leftover(self, key: str) -> bool:
        """A chunk without a receipt; or what is not yet, or no longer, where compaction has its objects."""
        name, _, rest = key.partition("/")
        if receipts.PACK.fullmatch(key):
            return key not in self.packs
        if self.packs and receipts.place_of(key):
            return True
        if name not in self.tasks or rest == ROOT:
            return name == "realization" and rest.startswith("c/") and rest != "c/0" and self.store.is_sealed
        if rest.startswith("c.") or self.packs:
            return rest.startswith("c.") != bool(self.packs) and bool(re.fullmatch(r"c([./]\d{1,9})+", rest))
        index = _index(rest.removeprefix("c/"), self.counts[name], "/")
        return index is not None and (index[: self.axes], index[self.axes]) not in self.places

    def is_part(self, key: str) -> bool:
        """Metadata, a receipt, a lock, or a chunk within an array's shape."""
        name, _, rest = key.partition("/")
        if name in self.counts:
            mark = "." if self.packs and name in self.tasks else "/"
            is_chunk = rest.startswith("c") and _index(rest[2:], self.counts[name], mark) is not None
            return rest == ROOT or (is_chunk and rest[1:2] in ("", mark))
        if key in self.packs or key in (ROOT, stops.FILE):
            return True
        if key == description.COPY:
            return self.store.is_sealed
        return bool(re.fullmatch(rf"lock\.\d+\.json|{receipts.FOLDER}/[^/]+\.json", key))


def _index(text: str, counts: list[int], mark: str) -> tuple[int, ...] | None:
    """The index of a chunk in a name; None where it names none of an array's."""
    parts = text.split(mark) if text else []
    if len(parts) != len(counts) or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    index = tuple(map(int, parts))
    return index if all(i < count for i, count in zip(index, counts, strict=True)) else None
