"""Settings of a run in a file, TOML or JSON: what --set, --axis, --realizations, --seed and --chunk say.

realizations = 4000
seed = 3

[set]
n_sensors = 40
noise_dbm = [-65, -75]

[axis]
n_elements = [50, 100, 200]
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine import InputError
from engine.scenario import suggestion

_LARGEST_BYTES = 2**20
_DEEPEST = 8  # an estimator's settings are four levels down
_TABLES = ("set", "axis")
_NUMBERS = ("realizations", "seed", "chunk")


class Settings(NamedTuple):
    """What a file says, of plain types; fields and values are checked where they are applied."""

    set: Mapping[str, Any]
    axis: Mapping[str, list[Any]]
    realizations: int | None
    seed: int | None
    chunk: int | None


def read(path: Path) -> Settings:
    """Raises InputError, one line for whatever the file may hold."""
    contents = _parsed(path, _text(path))
    if not isinstance(contents, Mapping):
        raise InputError(f"settings {path}: given a {type(contents).__name__}, needed {' or '.join(_TABLES)} tables")
    for key in contents:
        if key not in (*_TABLES, *_NUMBERS):
            fields = " (fields of the scenario belong into the table 'set')" if key not in _TABLES else ""
            raise InputError(f"settings {path}: no key {key!r}; {suggestion(key, [*_TABLES, *_NUMBERS])}{fields}")
    for key in _TABLES:
        if not isinstance(contents.get(key, {}), Mapping):
            raise InputError(f"settings {path}: {key} is {_short(contents[key])}, needed a table of field = value")
    for name, values in contents.get("axis", {}).items():
        if not isinstance(values, list) or not values:
            raise InputError(f"settings {path}: axis {name} is {_short(values)}, needed a list of values")
    for key in _NUMBERS:
        if isinstance(contents.get(key), bool) or not isinstance(contents.get(key, 0), int):
            raise InputError(f"settings {path}: {key} is {_short(contents[key])}, needed a whole number")
    return Settings(contents.get("set", {}), contents.get("axis", {}), *(contents.get(key) for key in _NUMBERS))


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe or device could go on for ever
            raise InputError(f"settings: {_short(path)} is no file: give a .toml or .json file")
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise InputError(f"settings {path}: given {size} bytes, needed at most {_LARGEST_BYTES}")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"settings {path}: no text in UTF-8 (byte {error.start}): give a .toml or .json file"
        ) from None
    except OSError as error:
        raise InputError(f"settings: cannot read {_short(path)}: {error.strerror}") from None


def _parsed(path: Path, text: str) -> Any:
    try:
        if path.suffix == ".toml":
            contents: Any = tomllib.loads(text)
        elif path.suffix == ".json":
            contents = json.loads(text, object_pairs_hook=_without_repetition)
        else:
            raise InputError(f"settings: given {_short(path)}, needed a file ending in .toml or .json")
    except InputError:
        raise
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError as error:  # what both parsers' own errors are
        raise InputError(f"settings {path}: not {path.suffix[1:].upper()}: {str(error)[:200]}") from None
    if _is_deeper(contents, _DEEPEST):
        raise _too_deep(path)
    return contents


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and tables are nested more than so many levels."""
    if not isinstance(value, list | Mapping):
        return False
    parts = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def _too_deep(path: Path) -> InputError:
    return InputError(f"settings {path}: nested too deeply, needed at most {_DEEPEST} levels")


def _short(value: Any) -> str:
    text = repr(str(value) if isinstance(value, Path) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"
