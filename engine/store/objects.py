"""What both kinds of storage know of an object: which one makes a store, and how large one may be."""

from engine.errors import StoreError

ROOT = "zarr.json"
"""Without this object there is no store."""
_LARGEST_OBJECT_BYTES = 2**28 + 2**10
_LARGEST_JSON_BYTES = 2**24


def limit_of(key: str) -> int:
    """How many bytes an object may hold: a hostile one must not fill the memory."""
    return _LARGEST_JSON_BYTES if key.endswith(".json") else _LARGEST_OBJECT_BYTES


def too_large(location: str, key: str) -> StoreError:
    return StoreError(
        f"{location}: {key} holds more than {limit_of(key) / 2**20:.0f} MiB, the most that is read: it is damaged, or "
        f"no part of a store"
    )
