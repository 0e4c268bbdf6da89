"""What a reader sees of a store: tasks that have a receipt, and of these the values that the receipt was written for.

A chunk's crc32c says that it is what somebody wrote. That it is this task's, this variable's and this store's only its
receipt says, so each chunk is held to it before a value leaves: a chunk of another task, of another seed's store, or of
an old backup is whole, and wrong. Receipts are read when the first of their chunks is, and kept as checksums alone: 1 s
for 20 000 tasks, whatever number of variables is read.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from engine.errors import StoreError
from engine.store import receipts
from engine.store.receipts import Book, Receipt
from engine.store.storage import Storage
from engine.sweep import Grid

Index = tuple[int, ...]
Place = tuple[Index, int]
"""(point, number of the chunk)."""


class _Written(NamedTuple):
    """What a receipt says of its chunks."""

    rows: int
    checksums: str
    """of all variables, one after the other"""


class Shown:
    """Which tasks a reader sees, and what their chunks must hold. Pickles.

    lengths: how many realizations of each task are shown. names: the store's variables. always_written: no chunk may be
    missing; Zarr, by which format 1 was written, leaves out those that hold nothing but fill values. held: receipts
    that were read already.
    """

    def __init__(
        self,
        storage: Storage,
        book: Book,
        names: list[str],
        lengths: dict[Place, int],
        *,
        always_written: bool,
        held: Iterable[Receipt] = (),
    ) -> None:
        self.storage, self.names, self.lengths = storage, names, lengths
        shape, realizations, chunk = book.grid
        self.book = book._replace(grid=Grid(shape, realizations + chunk, chunk))  # it may grow while it is read
        self.always_written = always_written
        self._written = {(r.point, r.start // book.grid.chunk): self._of(r) for r in held}

    def place(self, index: Index) -> Place:
        """The task of a chunk with this index, in an array over the axes, realizations and more."""
        axes = len(self.book.grid.shape)
        return index[:axes], index[axes]

    def rows(self, index: Index) -> int:
        """Realizations of the chunk with this index that are shown, from its first."""
        return self.lengths.get(self.place(index), 0)

    def prepare(self, indices: Iterable[Index]) -> None:
        """Read the receipts of these chunks that are not known, together. Raises StoreError for a bad one."""
        unknown = [place for place in dict.fromkeys(map(self.place, indices)) if place not in self._written]
        found = {place: receipts.key_at(*place) for place in unknown}
        for (place, key), data in zip(found.items(), self.storage.read_found(list(found.values())), strict=True):
            if data is None:
                raise StoreError(f"the receipt {key} of {self.storage.location} is gone: open the store again")
            self._written[place] = self._of(receipts.named(self.storage, key, data, self.book))

    def fault(self, name: str, index: Index, values: np.ndarray) -> str:
        """What is wrong with a chunk of a variable whose receipt is known; empty if nothing is. values: all of it."""
        written = self._written[self.place(index)]
        own = values[(0,) * len(self.book.grid.shape)][: written.rows]
        at = self.names.index(name) * receipts.CHECKSUM_LENGTH
        is_own = receipts.checksum(own) == written.checksums[at : at + receipts.CHECKSUM_LENGTH]
        return "" if is_own and self.rows(index) <= written.rows else "it does not hold what its receipt says"

    def _of(self, receipt: Receipt) -> _Written:
        length = receipts.CHECKSUM_LENGTH
        texts = (receipt.checksums.get(name, "").ljust(length)[:length] for name in self.names)
        return _Written(receipt.stop - receipt.start, "".join(texts))
