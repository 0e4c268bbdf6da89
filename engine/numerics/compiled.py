"""Loops compiled for the CPU at hand. Imports numba, so it is imported only by what runs such loops."""

import functools
from collections.abc import Callable
from typing import Any

import numba

_FAST = {"contract", "reassoc", "nsz"}


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compiled for this CPU and kept on disk where a folder for that can be written."""
    compile_it = functools.partial(numba.njit, fastmath=_FAST, error_model="numpy", **options)
    try:
        return compile_it(cache=True)(function)
    except RuntimeError:  # numba: "cannot cache function …: no locator available", as on a read-only installation
        return compile_it()(function)
