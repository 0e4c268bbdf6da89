"""Loops compiled for the CPU at hand. Imports numba, so it is imported only by what runs such loops."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.extending import is_jitted

_FAST = {"contract", "reassoc", "nsz"}


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compiled for this CPU and kept on disk where a folder for that can be written.

    A function that others call becomes a part of each, always. Else machine code that was optimised apart has one name,
    the one that a process loads first is called by all, and sums differ in their last bits between a process that
    compiles and one that finds all on disk. What is kept is used as long as the function's file, the files of the
    compiled functions that it calls, its constants and its options stay what they were. Functions and constants that it
    uses are defined before it.
    """
    options = {"fastmath": _FAST, "error_model": "numpy", "forceinline": True, **options}
    compile_it = functools.partial(numba.njit, **options)
    try:
        kept = compile_it(cache=True)(function)
        # numba looks at the function's own file alone, and offers no public way to say what else goes in.
        file = kept._cache._cache_file
        file._source_stamp = file._source_stamp, _compiled_in(function), _described(options)
        return kept
    except (AttributeError, RuntimeError):  # another numba; "cannot cache function …", as on a read-only installation
        return compile_it()(function)


def _described(options: dict[str, Any]) -> list[str]:
    return [f"{name}={sorted(value) if isinstance(value, set) else value}" for name, value in sorted(options.items())]


def _compiled_in(function: Any) -> list[Any]:
    """What a function's machine code holds beside the text of its own file."""
    used = [(name, function.__globals__.get(name)) for name in function.__code__.co_names]
    called = [(name, value.py_func) for name, value in used if is_jitted(value)]
    constants = [(name, repr(value)) for name, value in used if isinstance(value, int | float | tuple | np.generic)]
    return [constants, *((name, _digest(other.__code__.co_filename), _compiled_in(other)) for name, other in called)]


@functools.cache
def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
