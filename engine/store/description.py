"""What decides what a reader sees of a store, apart from the numbers: one object, `zarr.json`, with its digest inside.

It holds the attributes of the root and the metadata of every array. It is replaced in one step, so that no power loss
leaves half of it. Everything else that repeats a part of it is a copy, made anew from it where it differs: each array's
own `zarr.json`, which readers of a single array open; and `zarr.copy.json`, from which the root is restored when it is
damaged. Receipts, and the record of stops, name the store by its identity, a digest of what never changes in the
attributes: an object of another store is noticed, be it a receipt or the root itself.

Stores of format 1 have neither digest nor copy. They open, and become format 2 when they are next written.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from engine.errors import StoreError
from engine.store import metadata
from engine.store.objects import ROOT
from engine.store.seal import digest
from engine.store.storage import Storage

COPY = "zarr.copy.json"
_CHANGING = ("nearfield_format", "realizations", "budgets", "has_stops", "packs", "digest")
"""Attributes that growth, stops and compaction change: no part of the identity."""
_OF_FORMAT_2 = ("digest", "budgets", "has_stops", "packs")
"""Attributes that no store of format 1 has: one with any of them was sealed, whatever format it says it is of."""

_FIELDS = 5

Document = dict[str, Any]


def canonical(value: Any) -> bytes:
    """One text for one meaning: 1, 1.0 and true are three."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def identity(attributes: dict[str, Any]) -> str:
    """Names a store, whatever its budget: of two runs of one sweep, each has its own."""
    return digest(canonical({name: value for name, value in attributes.items() if name not in _CHANGING}))


def arrays_of(document: Document) -> dict[str, Document]:
    """Name → metadata of every array; none in a root that lost them when a driver of format 1 was killed."""
    return dict((document.get("consolidated_metadata") or {"metadata": {}})["metadata"])


def root_of(attributes: dict[str, Any], arrays: dict[str, Document]) -> bytes:
    """The bytes of `zarr.json`."""
    document: Document = {
        "attributes": {name: value for name, value in attributes.items() if name != "digest"},
        "zarr_format": 3,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays},
        "node_type": "group",
    }
    document["attributes"]["digest"] = _digest_of(document)
    return json.dumps(document, indent=2).encode()


def _digest_of(document: Document) -> str:
    attributes = {name: value for name, value in document["attributes"].items() if name != "digest"}
    return digest(canonical(document | {"attributes": attributes}))


def parsed_root(data: bytes, where: str) -> Document:
    """`zarr.json`, known to be whole and to hold nothing that no store holds. Raises StoreError."""
    document: Document = metadata.parsed(data, f"{ROOT} of {where}")
    metadata.check_group(document, where)
    attributes = document["attributes"]
    is_sealed = attributes["nearfield_format"] > 1 or not attributes.keys().isdisjoint(_OF_FORMAT_2)
    if is_sealed and arrays_of(document) and attributes.get("digest") != _digest_of(document):
        raise StoreError(
            f"{ROOT} of {where} is damaged: it does not have the digest that it was written with; 'nearfield verify "
            f"--repair' restores it from its copy"
        )
    return document


def completed(document: Document, storage: Storage) -> Document:
    """The root with the arrays' own metadata, where it has lost them: a driver of format 1 drops them while it grows a
    store. Raises StoreError where the two do not fit."""
    if arrays_of(document):
        return document
    attributes, where = document["attributes"], storage.location
    known = {*attributes["variables"], metadata.COMPLETE, "realization", *metadata.axes_of(attributes)}
    arrays = {}
    for name in sorted({*known, *(n for n in storage.names() if storage.exists(f"{n}/{ROOT}"))}):
        array: Document = metadata.parsed(storage.read(f"{name}/{ROOT}"), f"{name}/{ROOT} of {where}")
        metadata.check_array(array, f"{where}: {name}")
        arrays[name] = of_length(name, array, attributes["realizations"])
    root = {
        "attributes": attributes,
        "zarr_format": 3,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays},
        "node_type": "group",
    }
    return parsed_root(json.dumps(root).encode(), where)


def of_length(name: str, array: Document, realizations: int) -> Document:
    """An array's metadata for another budget; that of an array without realizations as it is."""
    dims = array.get("dimension_names") or []
    if "realization" not in dims:
        return array
    axis = dims.index("realization")
    resized = array | {"shape": [*array["shape"][:axis], realizations, *array["shape"][axis + 1 :]]}
    if name == "realization":  # numbers in one chunk, whatever the budget
        resized["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": [realizations]}}
    return resized


def array_object(array: Document) -> bytes:
    """The bytes of an array's own `zarr.json`."""
    return json.dumps(array, indent=2).encode()


def write(storage: Storage, root: bytes) -> None:
    """Replace the root in one step, and then its copy."""
    storage.write(ROOT, root)
    storage.write(COPY, root)


def differing(data: bytes | None, true: Document) -> str:
    """Where a damaged object differs from what it should be: the first fields, by their names; empty if it is no JSON.

    >>> differing(b'{"a": {"b": 1, "c": 2}}', {"a": {"b": 1.5, "c": 2}, "d": 0})
    'a.b, d'
    """
    try:
        found = json.loads(data or b"")
    except (ValueError, RecursionError):
        return ""
    fields = list(itertools.islice(_differing(found, true, ""), _FIELDS))
    return ", ".join(field for field in fields if field.isprintable())[:300]


def _differing(found: Any, true: Any, name: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(true, dict):
        for key in sorted(found.keys() | true.keys()):
            if key in found and key in true:
                yield from _differing(found[key], true[key], f"{name}.{key}".strip("."))
            else:
                yield f"{name}.{key}".strip(".")
    elif canonical(found) != canonical(true):
        yield name or "all of it"
