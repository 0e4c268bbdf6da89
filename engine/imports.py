"""Which code a file may name, and by which name: a store that somebody sent must not run theirs.

A stored description names classes, and objects that modules hold, as `module:name`. Importing a module runs it, so a
file's word imports nothing but this project's own packages; any other module must have been imported by the program
itself, on its user's word.

The name under which a class is stored is part of what a store is known by, and outlives the file that the class is in:
a package whose classes move says so in a table `MOVED` of its `__init__`, stored name → where the class is today.
Stores made before and after a move are then the same to the last bit. A class that moves again changes the value, never
the key.
"""

import importlib
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

_OWN = ("scenarios", "engine")


def stored_name(kind: type) -> str:
    """`module:name` of a class, as stores know it: where it was first stored, wherever it has moved since."""
    return stored_path(f"{kind.__module__}:{kind.__qualname__}")


def stored_path(today: str) -> str:
    """As `stored_name`, of whatever is `module:name` today."""
    before = [old for old, new in _moved(today.partition(":")[0]).items() if new == today]
    return before[0] if before else today


def class_named(path: str, kind: type, what: str) -> Any:
    """The class `module:name`, a subclass of `kind`. Raises ValueError, in one line, if it is not to be had."""
    found = object_named(path, what)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"{path!r} is no {what} class")
    return found


def object_named(path: str, what: str) -> Any:
    """What `module:name` is, anything but None. Raises ValueError, in one line, if it is not to be had."""
    module_name, _, name = _moved(path.partition(":")[0]).get(path, path).partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        if module_name.partition(".")[0] not in _OWN:
            raise ValueError(
                f"{what} {path!r} lies outside nearfield, and what a store names is not imported on its word: import "
                f"{module_name!r} yourself first (on the command line: --import {module_name})"
            )
        try:
            module = importlib.import_module(module_name)
        except (ImportError, ValueError) as error:
            raise ValueError(f"cannot import {what} {path!r}: {error}") from None
    found = vars(module).get(name)
    if found is None:
        near = get_close_matches(name, vars(module), n=1)
        hint = f"; did you mean '{module_name}:{near[0]}'?" if near else ""
        raise ValueError(f"there is no {what} {path!r}{hint}")
    return found


def _moved(module_name: str) -> Mapping[str, str]:
    """The table of a module's package; empty where the package has none, or was not imported and is not ours."""
    top = module_name.partition(".")[0]
    package = importlib.import_module(top) if top in _OWN else sys.modules.get(top)
    return vars(package).get("MOVED", {}) if package is not None else {}
