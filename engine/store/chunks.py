"""Arrays of a store, a chunk at a time, without zarr: bytes in C order, little-endian, and their crc32c.

Zarr's own reading and writing cost 2 ms a chunk, in which nothing is computed; a task writes two or more.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import google_crc32c
import numpy as np

from engine.errors import StoreError
from engine.store.metadata import ArrayLayout
from engine.store.shown import Index, Shown
from engine.store.storage import Storage, reported

_AHEAD = 256
"""Objects asked for together: object storage answers many at a time."""
NOTHING = 2**64 - 1
"""In a shard's index, of a chunk that it does not hold."""


def encode(values: np.ndarray) -> bytes:
    """A chunk's object. values: of the chunk's whole shape."""
    if values.dtype.kind in "UT":
        texts = [text.encode() for text in values.ravel().tolist()]
        body = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        body = len(texts).to_bytes(4, "little") + body
    else:
        body = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return body + google_crc32c.value(body).to_bytes(4, "little")


def decode(data: bytes, layout: ArrayLayout) -> np.ndarray:
    """A chunk's values, read-only. Raises ValueError where its checksum or its length does not match."""
    body = data[:-4]
    if len(data) < 5 or google_crc32c.value(body) != int.from_bytes(data[-4:], "little"):
        raise ValueError("its checksum does not match")
    if layout.data_type == "string":
        return np.array(_texts(body, math.prod(layout.chunks)), np.dtypes.StringDType()).reshape(layout.chunks)
    dtype = np.dtype(layout.data_type).newbyteorder("<")
    if len(body) != math.prod(layout.chunks) * dtype.itemsize:
        raise ValueError(f"it holds {len(body)} bytes, needed {math.prod(layout.chunks) * dtype.itemsize}")
    return np.frombuffer(body, dtype).reshape(layout.chunks)


def _texts(body: bytes, count: int) -> list[str]:
    texts, at = [], 4
    if int.from_bytes(body[:4], "little") != count:
        raise ValueError("it holds another number of texts")
    for _ in range(count):
        length = int.from_bytes(body[at : at + 4], "little")
        texts.append(body[at + 4 : at + 4 + length].decode())
        at += 4 + length
    if at != len(body):
        raise ValueError("its texts do not fill it")
    return texts


def fill_of(layout: ArrayLayout) -> Any:
    """What an absent chunk holds."""
    if layout.data_type == "string":
        return ""
    kind = np.dtype(layout.data_type).kind
    return np.nan if kind in "fc" and layout.fill not in (0, [0.0, 0.0]) else np.dtype(layout.data_type).type(0)


class Array:
    """One array of a store, for reading. Pickles; holds the latest shard that it has read."""

    def __init__(self, storage: Storage, name: str, layout: ArrayLayout) -> None:
        self.storage, self.name, self.layout = storage, name, layout
        self._shard: tuple[str, bytes] = ("", b"")

    @property
    def dtype(self) -> Any:
        return np.dtypes.StringDType() if self.layout.data_type == "string" else np.dtype(self.layout.data_type)

    def key(self, index: Index) -> str:
        """The object that holds a chunk: its own, or a shard."""
        if self.layout.shard is None:
            return "/".join([self.name, "c", *map(str, index)])
        sides = zip(index, self.layout.chunks, self.layout.shard, strict=True)
        return f"{self.name}/" + ".".join(["c", *(str(i * chunk // shard) for i, chunk, shard in sides)])

    def chunks(self, indices: Iterable[Index]) -> Iterator[tuple[Index, np.ndarray | None]]:
        """Chunks, read-only, one after the other; None for one that is not there. Raises StoreError for a bad one."""
        rest = iter(indices)
        while some := list(itertools.islice(rest, _AHEAD)):
            for index, data in zip(some, self._bytes(some), strict=True):
                try:
                    yield index, None if data is None else decode(data, self.layout)
                except ValueError as error:
                    raise self.damaged(index, str(error)) from None

    def damaged(self, index: Index, why: str) -> StoreError:
        return StoreError(
            f"chunk {self.key(index)} of {self.storage.location} is damaged: {why}; run 'nearfield verify --repair' "
            f"on the store, then the same run again"
        )

    def _bytes(self, indices: list[Index]) -> Iterator[bytes | None]:
        if self.layout.shard is None:
            yield from self.storage.read_found([self.key(index) for index in indices])
            return
        for index in indices:
            yield self._in_shard(index)

    def _in_shard(self, index: Index) -> bytes | None:
        """A chunk's bytes in its shard, which ends with the offset and length of each chunk and a crc32c of these."""
        key, layout = self.key(index), self.layout
        assert layout.shard is not None
        counts = [shard // chunk for shard, chunk in zip(layout.shard, layout.chunks, strict=True)]
        length = 16 * math.prod(counts)
        held, data = self._shard  # one look: another thread may put another shard there
        if held != key:
            (found,) = self.storage.read_found([key])
            if found is None:
                return None
            data, table = found, found[-length - 4 : -4]  # checked once a shard: as long as a large chunk
            if len(table) != length or google_crc32c.value(table) != int.from_bytes(data[-4:], "little"):
                raise self.damaged(index, "the index of the shard does not match its checksum")
            self._shard = key, data
        index_at = len(data) - length - 4
        place = int(np.ravel_multi_index([i % n for i, n in zip(index, counts, strict=True)], counts))
        entry = data[index_at + 16 * place : index_at + 16 * place + 16]
        offset, size = int.from_bytes(entry[:8], "little"), int.from_bytes(entry[8:], "little")
        return None if offset == NOTHING else data[offset : offset + size]

    def region(self, slices: tuple[slice, ...], shown: Shown | None = None) -> np.ndarray:
        """Values of a region, given by slices of step 1; what is not stored, or not shown, is fill.

        shown: of a variable; its chunks are held to their receipts. Raises StoreError for one that is damaged.
        """
        shape, chunks = tuple(s.stop - s.start for s in slices), self.layout.chunks
        result = np.full(shape, fill_of(self.layout), self.dtype)
        ranges = [range(s.start // chunk, -(-s.stop // chunk)) for s, chunk in zip(slices, chunks, strict=True)]
        wanted: Iterator[Index] = itertools.product(*ranges)
        with reported(f"cannot read the store {self.storage.location}"):
            found = self.chunks(wanted) if shown is None else self._held_to_receipts(wanted, shown)
            for index, values in found:
                if values is not None:
                    _paste(result, slices, self.layout, index, values)
        return result

    def _held_to_receipts(self, wanted: Iterable[Index], shown: Shown) -> Iterator[tuple[Index, np.ndarray]]:
        """The chunks that are shown, each as long as it is shown."""
        axis = len(shown.book.grid.shape)
        rest = (index for index in wanted if shown.rows(index))
        while some := list(itertools.islice(rest, _AHEAD)):
            shown.prepare(some)
            for index, found in self.chunks(some):
                if found is None and shown.always_written:
                    raise self.damaged(index, "it is missing")
                values = np.full(self.layout.chunks, fill_of(self.layout), self.dtype) if found is None else found
                if what := shown.fault(self.name, index, values):
                    raise self.damaged(index, what)
                yield index, values[(slice(None),) * axis + (slice(0, shown.rows(index)),)]


def _paste(
    result: np.ndarray, slices: tuple[slice, ...], layout: ArrayLayout, index: Index, values: np.ndarray
) -> None:
    """Copy what a chunk, or the first part of one, and a region have in common."""
    into, out_of = [], []
    for i, length, held, wanted in zip(index, layout.chunks, values.shape, slices, strict=True):
        first = i * length
        end = first + held
        low, high = max(first, wanted.start), min(end, wanted.stop)
        if low >= high:
            return
        into.append(slice(low - wanted.start, high - wanted.start))
        out_of.append(slice(low - first, high - first))
    result[tuple(into)] = values[tuple(out_of)]


def padded(values: np.ndarray, layout: ArrayLayout) -> np.ndarray:
    """A task's values (realization, …) as a whole chunk: the last one of a budget may be short."""
    whole = np.full(layout.chunks, fill_of(layout), values.dtype)
    leading = len(layout.chunks) - values.ndim
    whole[(0,) * leading][: len(values)] = values
    return whole


def objects_of(name: str, values: np.ndarray) -> dict[str, bytes]:
    """A coordinate's object: one chunk."""
    return {"/".join([name, "c", *("0" for _ in values.shape)]): encode(values)}
