"""What a store's metadata may say. Anything else is refused before it is used: stores travel, and not all are honest.

Arrays hold numbers, truth values or text, in chunks of a bounded size, behind no other codec than those that this
package writes: no objects, no pickles, no compressed bombs. No name leads out of the store.
"""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from engine.errors import StoreError
from engine.scenario import one_line
from engine.sweep import Grid

FORMAT = 2
"""Written today; 1 has no digest (`engine.store.description`)."""
COMPLETE = "complete"
STOP_REASON, STOP_REALIZATIONS = "stop_reason", "stop_realizations"
"""Coordinates of opened results that no store holds as arrays."""
LARGEST_CHUNK_BYTES = 2**28
LONGEST_DIMENSION = 2**25  # a coordinate of so many numbers fills one chunk
MOST_TASKS = 2**20
CHECKSUMS = "coordinate_checksums"
"""Attribute of the root: checksum of each own coordinate, as JSON. `coordinates`, a table, in stores of before: a name
that the CF conventions have for something else, and a value that no netCDF file can hold."""
_CODECS = ({"bytes", "crc32c"}, {"vlen-utf8", "crc32c"})
_MOST_DIMENSIONS = 32
INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
_DECODING = (
    "add_offset", "scale_factor", "_FillValue", "missing_value", "_Unsigned", "dtype", "calendar", "coordinates",
    "_ARRAY_DIMENSIONS", "grid_mapping", "bounds", "compress",
)  # fmt: skip
"""What the CF conventions decode values or names by; no array of ours has it."""


def _plain_text(text: str) -> str:
    """What is printed on a terminal carries no control characters, which could rewrite it."""
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise ValueError("needed text without control characters")
    return text


def safe_name(name: str) -> str:
    """A name that is one folder of a store; raises ValueError otherwise."""
    if not name or len(name) > 200 or name.startswith(".") or not name.isprintable() or set(name) & set("/\\"):
        raise ValueError(f"{name[:200]!r} cannot be the name of a variable or a dimension")
    return name


Text = Annotated[str, AfterValidator(_plain_text)]
Name = Annotated[str, AfterValidator(safe_name)]


class _Attributes(BaseModel):
    """What the engine relies on; other attributes may stand beside it."""

    model_config = ConfigDict(extra="allow", strict=True)

    nearfield_format: Literal[1, 2]
    name: Text
    about: Text
    scenario_class: Text
    scenario: str
    code_version: int
    axes: str
    realizations: Annotated[int, Field(ge=1, le=LONGEST_DIMENSION)]
    seed: Annotated[int, Field(ge=0)]
    block: Annotated[int, Field(ge=1)]
    chunk: Annotated[int, Field(ge=1)]
    variables: list[Name]
    highlights: list[str]
    fingerprint: Text
    backend: Text
    device: Text
    versions: str
    commit: Text
    created: Text
    budgets: str = "[]"
    """Earlier budgets that ended within a chunk, as JSON: there a receipt may be for less than today's chunk."""
    has_stops: Annotated[int, Field(ge=0, le=1)] = 0
    """Whether the record of stops belongs to the store."""
    packs: str = "{}"
    """Object → digest of its bytes, as JSON, of the receipts of a compacted store."""


def parsed(data: bytes, what: str) -> Any:
    """JSON, or StoreError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise StoreError(f"{what} is damaged: it is no JSON that a store holds") from None


def axes_of(attributes: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Axis → values."""
    return {name: tuple(values) for name, values in json.loads(attributes["axes"]).items()}


def grid_of(attributes: dict[str, Any]) -> Grid:
    """Points, realizations and chunk of a store, without its scenario."""
    shape = tuple(len(values) for values in axes_of(attributes).values())
    return Grid(shape, attributes["realizations"], attributes["chunk"])


def budgets_of(attributes: dict[str, Any]) -> list[int]:
    """Earlier budgets that ended within a chunk. JSON, as every attribute is what a netCDF file can hold."""
    return [int(budget) for budget in json.loads(attributes.get("budgets", "[]"))]


def packs_of(attributes: dict[str, Any]) -> dict[str, str]:
    """Object → digest of its bytes, of the receipts of a compacted store; empty in any other."""
    return {str(key): str(digest) for key, digest in json.loads(attributes.get("packs", "{}")).items()}


def coordinate_checksums(attributes: dict[str, Any]) -> dict[str, str] | None:
    """Name of each own coordinate → its checksum; None in a store from before they were kept, or where damaged."""
    found = attributes.get("coordinates")
    with suppress(ValueError, TypeError, RecursionError):
        found = json.loads(attributes[CHECKSUMS]) if CHECKSUMS in attributes else found
    return found if isinstance(found, dict) else None


def check_attributes(attributes: dict[str, Any], where: str) -> None:
    """Refuse attributes that the engine cannot rely on, or that ask for absurdly much."""
    try:
        _Attributes.model_validate(attributes)
        axes = json.loads(attributes["axes"])
        versions = json.loads(attributes["versions"])
        if not isinstance(axes, dict) or not isinstance(versions, dict) or "nearfield" not in versions:
            raise ValueError("axes and versions: needed tables")
        _plain_text(str(versions["nearfield"]))
        for name, values in axes.items():
            safe_name(name)
            if not isinstance(values, list) or not values:
                raise ValueError(f"axis {name}: needed one or more values")
            if not all(isinstance(value, bool | int | float | str) for value in values):
                raise ValueError(f"axis {name}: needed numbers or names")
            _plain_text("".join(map(str, values)))
        budgets_of(attributes)
        if not all(re.fullmatch(r"receipts/pack\.\d{1,9}\.jsonl", key) for key in packs_of(attributes)):
            raise ValueError("packs: needed names of packs")
        if grid_of(attributes).n_tasks > MOST_TASKS:
            raise ValueError(f"it asks for {grid_of(attributes).n_tasks} tasks, at most {MOST_TASKS} are run")
    except ValidationError as error:
        raise StoreError(f"{where} has attributes that no store has: {one_line(error)[:300]}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{where} has attributes that no store has: {str(error)[:300]}") from None


class _Array(BaseModel):
    """An array's metadata, as far as reading it could do harm."""

    model_config = ConfigDict(strict=True)

    shape: Annotated[list[Annotated[int, Field(ge=0, le=LONGEST_DIMENSION)]], Field(max_length=_MOST_DIMENSIONS)]
    data_type: Literal[
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64", "complex64", "complex128", "string",
    ]  # fmt: skip
    chunk_grid: dict[str, Any]
    chunk_key_encoding: dict[str, Any]
    codecs: list[dict[str, Any]]
    dimension_names: list[Name | None] | None = None
    storage_transformers: list[Any] = []
    fill_value: Any = 0
    attributes: dict[str, Any] = {}


class ArrayLayout(NamedTuple):
    """How an array lies in its objects. `shard`: shape of what one object holds, chunks in it; None, a chunk each."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dimensions: tuple[str | None, ...]
    data_type: str
    fill: Any
    shard: tuple[int, ...] | None
    attributes: dict[str, Any]


def check_array(document: Any, where: str) -> ArrayLayout:
    """Refuse an array whose chunks are absurd or decoded by anything but plain bytes with a checksum."""
    try:
        array = _Array.model_validate({key: document.get(key) for key in _Array.model_fields if key in document})
    except ValidationError as error:
        raise StoreError(f"{where} is no array of a store: {one_line(error)[:300]}") from None
    except AttributeError:
        raise StoreError(f"{where} is no array of a store: needed a table") from None
    outer, inner = _chunk_grid(array, where), _inner_chunks(array, where)
    itemsize = 16 if array.data_type == "string" else np.dtype(array.data_type).itemsize
    if math.prod(outer) * itemsize > LARGEST_CHUNK_BYTES:
        raise StoreError(
            f"{where} has chunks of {math.prod(outer) * itemsize / 2**20:.3g} MiB, at most "
            f"{LARGEST_CHUNK_BYTES // 2**20} are read"
        )
    _check_attributes(array.attributes, where)
    names = array.dimension_names or [None] * len(array.shape)
    return ArrayLayout(
        tuple(array.shape), inner or outer, tuple(names), array.data_type, array.fill_value,
        outer if inner else None, array.attributes,
    )  # fmt: skip


def _chunk_grid(array: _Array, where: str) -> tuple[int, ...]:
    """Shape of what one object holds."""
    chunks = array.chunk_grid.get("configuration", {})
    chunks = chunks.get("chunk_shape") if isinstance(chunks, dict) else None
    if array.chunk_grid.get("name") != "regular" or not _is_shape(chunks, len(array.shape)):
        raise StoreError(f"{where} has no regular chunks")
    return tuple(chunks)  # type: ignore[arg-type]


def _is_shape(lengths: Any, dimensions: int) -> bool:
    return (
        isinstance(lengths, list)
        and len(lengths) == dimensions
        and all(type(length) is int and length >= 1 for length in lengths)
    )


def _inner_chunks(array: _Array, where: str) -> tuple[int, ...] | None:
    """Shape of the chunks in a shard; None where each chunk is an object."""
    is_sharded = len(array.codecs) == 1 and array.codecs[0].get("name") == "sharding_indexed"
    separator = array.chunk_key_encoding.get("configuration", {"separator": "/"})
    if array.chunk_key_encoding.get("name") != "default" or separator != {"separator": "." if is_sharded else "/"}:
        raise StoreError(f"{where} names its chunks in another way than a store does")
    codecs: Any = array.codecs
    inner: Any = None
    if is_sharded:
        shards = array.codecs[0].get("configuration")
        shards = shards if isinstance(shards, dict) else {}
        codecs, inner = shards.get("codecs", []), shards.get("chunk_shape")
        outer = array.chunk_grid.get("configuration", {}).get("chunk_shape", [])
        fits = _is_shape(inner, len(array.shape)) and all(a % b == 0 for a, b in zip(outer, inner, strict=False))
        if not fits or shards.get("index_location") != "end" or shards.get("index_codecs") != INDEX_CODECS:
            raise StoreError(f"{where} has shards that no store has")
    known = {str(codec.get("name")) if isinstance(codec, dict) else "" for codec in codecs}
    if known not in _CODECS or len(codecs) != 2 or array.storage_transformers:
        raise StoreError(f"{where} is stored with {', '.join(sorted(known))[:200]}: needed bytes and crc32c alone")
    return tuple(inner) if inner else None


def require_plain_attributes(attributes: Mapping[str, Any]) -> None:
    """Refuse attributes of an array by which readers decode, or which no file could hold. Raises ValueError."""
    for name, value in attributes.items():
        if name in _DECODING:
            raise ValueError(f"attribute {name!r} would change the values that readers see")
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"attribute {str(name)[:100]!r} is {type(value).__name__}, needed text or a number")


def _check_attributes(attributes: Mapping[str, Any], where: str) -> None:
    try:
        require_plain_attributes(attributes)
    except ValueError as error:
        raise StoreError(f"{where} has attributes that no array of a store has: {error}") from None


def check_group(document: Any, where: str) -> None:
    """Refuse the root of a store with damaged attributes, or with consolidated arrays that are not those it names."""
    attributes = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or attributes.get("nearfield_format") not in (1, FORMAT):
        raise StoreError(f"{where} is not a nearfield store of format 1 or {FORMAT}: choose another path")
    check_attributes(attributes, where)
    consolidated = document.get("consolidated_metadata") or {"metadata": {}}
    arrays = consolidated.get("metadata") if isinstance(consolidated, dict) else None
    if not isinstance(arrays, dict):
        raise StoreError(f"{where}: its consolidated metadata are damaged")
    for name, array in arrays.items():
        if not isinstance(array, dict) or array.get("node_type") != "array" or name != name.strip("/. "):
            raise StoreError(f"{where}: {name[:200]!r} is no array of a store")
        _check_place(name, check_array(array, f"{where}: {name[:200]}"), attributes, where)
    missing = {*attributes["variables"], COMPLETE, "realization", *axes_of(attributes)} - arrays.keys()
    if arrays and missing:
        raise StoreError(f"{where}: its metadata lack the arrays {', '.join(sorted(missing))[:200]}")


def _check_place(name: str, array: ArrayLayout, attributes: dict[str, Any], where: str) -> None:
    """A variable has one chunk per task, a coordinate one in all: so what is read at once is bounded."""
    grid = grid_of(attributes)
    if name == "realization":
        fits = array.shape == (grid.realizations,)
    elif name == COMPLETE or name in attributes["variables"]:
        n = len(grid.shape) + 1
        fits = (
            array.shape[:n] == (*grid.shape, grid.realizations)
            and array.chunks[:n] == (*(1 for _ in grid.shape), grid.chunk)
            and array.chunks[n:] == array.shape[n:]
            and array.dimensions[:n] == (*axes_of(attributes), "realization")
        )
    else:
        fits = array.chunks == array.shape
    if not fits:
        raise StoreError(
            f"{where}: {name} of shape {array.shape} in chunks of {array.chunks} does not fit the store's axes and "
            f"budget"
        )
