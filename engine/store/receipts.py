"""Receipts: small files whose presence says that a task's chunks are stored whole.

A receipt is written last, in one rename, after the chunks have reached the disk; without one, a chunk is unfinished
whatever the store holds. It carries a checksum of every variable, so that a repeated task can be compared bit for bit.
"""

import hashlib
import json
import math
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import StoreError
from engine.moments import Moments
from engine.store.storage import Storage
from engine.sweep import Grid, Task

FOLDER = "receipts"
_LARGEST_MOMENTS = 256  # numbers; a receipt stays within a few KB


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

    @property
    def task(self) -> Task:
        return Task(self.point, self.start, self.stop)

    def statistics(self) -> dict[str, Moments]:
        return {name: Moments.from_json(parts) for name, parts in self.moments.items()}


def checksum(values: np.ndarray) -> str:
    """A hash of an array's bytes, little-endian and in C order; of text, as JSON."""
    if values.dtype.kind in "UT":
        return hashlib.blake2b(json.dumps(values.tolist()).encode(), digest_size=16).hexdigest()
    ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.blake2b(ordered.tobytes(), digest_size=16).hexdigest()


def moments(arrays: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Moments of the real variables that are small enough to travel in a receipt."""
    return {name: Moments.of(values).to_json() for name, values in arrays.items() if has_moments(values)}


def has_moments(values: np.ndarray) -> bool:
    """Whether a variable's moments travel in receipts. values: (realization, ...)."""
    return values.dtype.kind in "fiu" and 3 * math.prod(values.shape[1:]) <= _LARGEST_MOMENTS


def key_of(task: Task, chunk: int) -> str:
    """Where the receipt of a task lies: by point and number of the chunk, so that a repeated task replaces it."""
    point = "-".join(str(i) for i in task.point) or "all"
    return f"{FOLDER}/{point}.{task.start // chunk}.json"


def keys(storage: Storage) -> list[str]:
    """Where every receipt of a store lies."""
    try:
        return [key for key in storage.objects(FOLDER) if key.endswith(".json")]
    except FileNotFoundError:
        return []


def parsed(data: bytes, key: str, grid: Grid) -> Receipt:
    """The receipt that lies at `key`. Raises StoreError for one that is damaged, or that belongs elsewhere."""
    try:
        receipt = Receipt.model_validate(json.loads(data))
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
    return receipt


def read(storage: Storage, key: str, grid: Grid) -> Receipt:
    return _named(storage, key, storage.read(key), grid)


def read_all(storage: Storage, grid: Grid) -> list[Receipt]:
    """Every receipt of a store, by name; a store holds one per task, a few KB each."""
    found = keys(storage)
    return [_named(storage, key, data, grid) for key, data in zip(found, storage.read_many(found), strict=True)]


def _named(storage: Storage, key: str, data: bytes, grid: Grid) -> Receipt:
    try:
        return parsed(data, key, grid)
    except StoreError as error:
        raise StoreError(
            f"the receipt {key} of {storage.location} {error}: run 'nearfield verify --repair' on the store, then the "
            f"same run again"
        ) from None
