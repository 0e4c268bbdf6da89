"""The zarr store through which everything is read: metadata are checked first, chunks against their checksum."""

from typing import Any

import google_crc32c
from zarr.abc.store import ByteRequest, RangeByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from engine.errors import StoreError
from engine.store import metadata
from engine.store.storage import ROOT, LocalStorage, Storage, limit_of, reported


class GuardedStore(WrapperStore[Any]):
    """Reads what a store may hold, and nothing else. Raises StoreError that names the object."""

    def __init__(self, store: Any, storage: Storage) -> None:
        super().__init__(store)
        self._storage = storage

    def _with_store(self, store: Any) -> "GuardedStore":
        return type(self)(store, self._storage)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if key.endswith((".zarray", ".zgroup", ".zattrs", ".zmetadata")):
            return None  # an older format beside ours is not read
        with reported(f"cannot read {key} of {self._storage.location}"):
            value = await self._bounded(key, prototype, byte_range)
        if value is None or byte_range is not None:
            return value
        if key.endswith(ROOT):
            self._check(key, value.to_bytes())
        elif "/c/" in key and not _intact(value.to_bytes()):
            raise StoreError(
                f"chunk {key} of {self._storage.location} is damaged: its checksum does not match; run 'nearfield "
                f"verify --repair' on the store, then the same run again"
            )
        return value

    async def _bounded(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None) -> Buffer | None:
        """An object's bytes, never more than its kind may have."""
        if isinstance(self._storage, LocalStorage):
            try:
                self._storage.require_plain(key)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return await self._store.get(key, prototype, byte_range)
        value = await self._store.get(key, prototype, byte_range or RangeByteRequest(0, limit_of(key) + 1))
        if value is not None and len(value) > limit_of(key):
            raise StoreError(f"{self._storage.location}: {key} is too large: it is damaged, or no part of a store")
        return value

    def _check(self, key: str, data: bytes) -> None:
        where = self._storage.location
        document = metadata.parsed(data, f"{key} of {where}")
        if key == ROOT:
            metadata.check_group(document, where)
        else:
            metadata.check_array(document, f"{where}: {key.removesuffix(f'/{ROOT}')}")


def _intact(data: bytes) -> bool:
    return len(data) > 4 and google_crc32c.value(data[:-4]) == int.from_bytes(data[-4:], "little")
