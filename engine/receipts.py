"""Receipts: small files whose presence says that a task's chunks are stored whole.

A receipt is written last, in one rename, after the chunks have reached the disk; without one, a chunk is unfinished
whatever the store holds. It carries a checksum of every variable, so that a repeated task can be compared bit for bit.
"""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import StoreError
from engine.moments import Moments
from engine.sweep import Task

FOLDER = "receipts"
_LARGEST_MOMENTS = 256  # numbers; a receipt stays within a few KB


class Receipt(BaseModel):
    """What was stored, by whom, from what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: tuple[int, ...]
    start: int
    stop: int
    checksums: dict[str, str]
    moments: dict[str, list[Any]]
    seconds: float
    finished: str
    host: str
    device: str
    backend: str
    platform: str
    attempt: int

    @property
    def task(self) -> Task:
        return Task(self.point, self.start, self.stop)

    def statistics(self) -> dict[str, Moments]:
        return {name: Moments.from_json(parts) for name, parts in self.moments.items()}


def checksum(values: np.ndarray) -> str:
    """A hash of an array's bytes, little-endian and in C order."""
    ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.blake2b(ordered.tobytes(), digest_size=16).hexdigest()


def moments(arrays: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Moments of the real variables that are small enough to travel in a receipt."""
    return {name: Moments.of(values).to_json() for name, values in arrays.items() if has_moments(values)}


def has_moments(values: np.ndarray) -> bool:
    """Whether a variable's moments travel in receipts. values: (realization, ...)."""
    return values.dtype.kind in "fiu" and 3 * math.prod(values.shape[1:]) <= _LARGEST_MOMENTS


def path_of(store: Path, task: Task, chunk: int) -> Path:
    """Where the receipt of a task lies: by point and number of the chunk, so that a repeated task replaces it."""
    point = "-".join(str(i) for i in task.point) or "all"
    return store / FOLDER / f"{point}.{task.start // chunk}.json"


def write(path: Path, receipt: Receipt) -> None:
    """Store a receipt in one step: it is there whole or not at all."""
    write_text(path, receipt.model_dump_json())


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, once its bytes have reached the disk."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with open(partial, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read(path: Path) -> Receipt:
    try:
        return Receipt.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError):
        raise StoreError(
            f"the receipt {path} is damaged: run 'nearfield verify --repair' on the store, then the same run again"
        ) from None


def read_all(store: Path) -> list[Receipt]:
    """Every receipt of a store, by name; a store holds one per task, a few KB each."""
    return [read(path) for path in sorted((store / FOLDER).glob("*.json"))]
