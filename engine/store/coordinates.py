"""Values along a store's dimensions, held to what its root says of them."""

import numpy as np

from engine.errors import StoreError
from engine.store import metadata, receipts
from engine.store.chunks import Array
from engine.store.metadata import COMPLETE
from engine.store.store import Store


def checksums(store: Store) -> dict[str, str | None]:
    """Name of each coordinate that a store should have → checksum of its values; None where nothing says it."""
    owned = {*store.variable_names(), COMPLETE}
    known: dict[str, str | None] = dict.fromkeys(store.documents.keys() - owned)  # in format 1, whatever there is
    known |= metadata.coordinate_checksums(store.attributes) or {}
    known |= {name: receipts.checksum(np.asarray(values)) for name, values in store.axes.items()}
    return known | {"realization": receipts.checksum(np.arange(store.grid.realizations))}


def values(store: Store, name: str) -> np.ndarray:
    """All of a coordinate. Raises StoreError where its object is damaged, or is not the store's."""
    return checked(store.array(name), checksums(store)[name])


def checked(array: Array, checksum: str | None) -> np.ndarray:
    """As `values`. checksum: that it must have; None where nothing says it."""
    found = stored(array)
    if checksum is not None and receipts.checksum(found) != checksum:
        raise StoreError(
            f"{array.name} of {array.storage.location} does not hold the coordinates of the store: run 'nearfield "
            f"verify --repair' on it"
        )
    return found


def stored(array: Array) -> np.ndarray:
    """All of a coordinate, whatever it holds. Raises StoreError where its object is damaged."""
    return array.region(tuple(slice(0, length) for length in array.layout.shape))
