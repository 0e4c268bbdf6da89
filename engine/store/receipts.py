"""Receipts: small files whose presence says that a task's chunks are stored whole.

A receipt is written last, in one rename, after the chunks have reached the disk; without one, a chunk is unfinished
whatever the store holds. It carries a checksum of every variable, so that a repeated task can be compared bit for bit,
the identity of its store and a seal: one that is damaged, or another store's, is noticed. Format 1 has neither.

A compacted store has them in packs, one receipt a line, whose digests its root knows.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import StoreError
from engine.moments import Moments
from engine.store import seal
from engine.store.storage import Storage
from engine.sweep import Grid, Task

FOLDER = "receipts"
PACK = re.compile(rf"{FOLDER}/pack\.\d+\.jsonl")
_KEY = re.compile(rf"{FOLDER}/(all|\d{{1,9}}(?:-\d{{1,9}})*)\.(\d{{1,9}})\.json")
_LARGEST_MOMENTS = 256  # numbers; a receipt stays within a few KB
CHECKSUM_LENGTH = 32
"""Of a checksum's text."""


_Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]  # printed on terminals: no control characters


class Receipt(BaseModel):
    """What was stored, by whom, from what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: tuple[int, ...]
    start: int
    stop: int
    checksums: dict[str, str]
    moments: dict[str, list[Any]]
    seconds: float
    finished: _Text
    host: _Text
    device: _Text
    backend: _Text
    platform: _Text
    attempt: int
    cpu_seconds: float | None = None
    """of the computing thread, which other processes do not lengthen; None in older receipts"""
    store: str = ""
    """identity of the store; empty in format 1, as is the digest"""
    digest: str = ""

    @property
    def task(self) -> Task:
        return Task(self.point, self.start, self.stop)

    def to_bytes(self) -> bytes:
        """As it is stored, sealed."""
        return seal.sealed(self.model_dump_json(exclude={"digest"}).encode())

    def statistics(self) -> dict[str, Moments]:
        return {name: Moments.from_json(parts) for name, parts in self.moments.items()}


def checksum(values: np.ndarray) -> str:
    """A hash of an array's bytes, little-endian and in C order; of text, as JSON."""
    if values.dtype.kind in "UT":
        data = json.dumps(values.tolist()).encode()
    else:
        data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return hashlib.blake2b(data, digest_size=CHECKSUM_LENGTH // 2).hexdigest()


def moments(arrays: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Moments of the real variables that are small enough to travel in a receipt."""
    return {name: Moments.of(values).to_json() for name, values in arrays.items() if has_moments(values)}


def has_moments(values: np.ndarray) -> bool:
    """Whether a variable's moments travel in receipts. values: (realization, ...)."""
    return values.dtype.kind in "fiu" and 3 * math.prod(values.shape[1:]) <= _LARGEST_MOMENTS


def key_of(task: Task, chunk: int) -> str:
    """Where the receipt of a task lies: by point and number of the chunk, so that a repeated task replaces it."""
    return key_at(task.point, task.start // chunk)


def key_at(point: tuple[int, ...], number: int) -> str:
    """Where the receipt of the chunk with this number lies.

    >>> key_at((2, 0), 17), key_at((), 0)
    ('receipts/2-0.17.json', 'receipts/all.0.json')
    """
    return f"{FOLDER}/{'-'.join(map(str, point)) or 'all'}.{number}.json"


def place_of(key: str) -> tuple[tuple[int, ...], int] | None:
    """Point and number of the chunk of a receipt, by its name; None for another name.

    >>> place_of("receipts/2-0.17.json"), place_of("receipts/all.0.json"), place_of("receipts/a.json")
    (((2, 0), 17), ((), 0), None)
    """
    found = _KEY.fullmatch(key)
    if not found:
        return None
    return tuple(map(int, found[1].split("-"))) if found[1] != "all" else (), int(found[2])


class Book(NamedTuple):
    """What a store's receipts must fit: its tasks, its identity, whether it has seals (not in format 1), its packs."""

    grid: Grid
    store: str
    is_sealed: bool
    packs: dict[str, str]


def keys(storage: Storage) -> list[str]:
    """Where every receipt of a store lies that is an object of its own."""
    try:
        return [key for key in storage.objects(FOLDER) if key.endswith(".json")]
    except FileNotFoundError:
        return []


def parsed(data: bytes, key: str, book: Book) -> Receipt:
    """The receipt that lies at `key`. Raises StoreError for one that is damaged, or that belongs elsewhere."""
    grid = book.grid
    try:
        receipt = Receipt.model_validate_json(data)
    except (ValueError, RecursionError, OverflowError):
        raise StoreError("is damaged") from None
    point, start, stop = receipt.task
    if key != key_of(receipt.task, grid.chunk):
        raise StoreError("has not the name of the task that it is for")
    if (
        len(point) != len(grid.shape)
        or not all(0 <= i < length for i, length in zip(point, grid.shape, strict=True))
        or start % grid.chunk
        or not 0 <= start < stop <= grid.stop_of(start)
    ):
        raise StoreError("is for a task outside the store's axes and budget")
    if (book.is_sealed or receipt.digest) and not seal.is_intact(data):
        raise StoreError("is damaged: it does not have the digest that it was written with")
    if (book.is_sealed or receipt.store) and receipt.store != book.store:
        raise StoreError("is another store's")
    return receipt


def raw(storage: Storage, book: Book) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every receipt; those in a pack have the name that they had. StoreError for a bad pack."""
    for pack in book.packs:
        yield from unpacked(storage, pack, book)
    if not book.packs:
        found = keys(storage)
        yield from zip(found, storage.read_many(found), strict=True)


def unpacked(storage: Storage, pack: str, book: Book) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of a pack's receipts. Raises StoreError where it is not what the root knows."""
    (data,) = storage.read_found([pack])
    if data is None or seal.digest(data) != book.packs[pack]:
        raise StoreError(f"{pack} of {storage.location} is {'damaged' if data else 'missing'}")
    for line in data.splitlines():
        key, _, receipt = line.partition(b" ")
        yield key.decode(), receipt


def packed(receipts: Iterable[tuple[str, bytes]]) -> bytes:
    """A pack."""
    return b"".join(key.encode() + b" " + data + b"\n" for key, data in receipts)


def read_all(storage: Storage, book: Book) -> list[Receipt]:
    """Every receipt of a store, by name; a store holds one per task, a few KB each."""
    return [named(storage, key, data, book) for key, data in raw(storage, book)]


def named(storage: Storage, key: str, data: bytes, book: Book) -> Receipt:
    """As `parsed`; what it raises names receipt and store."""
    try:
        return parsed(data, key, book)
    except StoreError as error:
        raise StoreError(
            f"the receipt {key} of {storage.location} {error}: run 'nearfield verify --repair' on the store, then the "
            f"same run again"
        ) from None
