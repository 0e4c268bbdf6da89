"""Which code a file may name: a store that somebody sent must not run theirs.

A stored description names classes as `module:name`. Importing a module runs it, so a file's word imports nothing but
this project's own packages; any other module must have been imported by the program itself, on its user's word.
"""

import importlib
import sys
from typing import Any

_OWN = ("scenarios", "engine")


def class_named(path: str, kind: type, what: str) -> Any:
    """The class `module:name`, a subclass of `kind`. Raises ValueError, in one line, if it is not to be had."""
    module_name, _, class_name = path.partition(":")
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
    found = vars(module).get(class_name)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"{path!r} is no {what} class" if found is not None else f"there is no {what} {path!r}")
    return found
