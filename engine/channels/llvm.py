"""The LLVM that the ray tracer compiles its kernels with, found and checked before anything can abort."""

import ctypes
import os
import sys
from pathlib import Path

from engine.errors import InputError

OLDEST = 19
_VARIABLE = "DRJIT_LIBLLVM_PATH"
_REMEDY = f"pip install 'nearfield[rt]' brings one, or let {_VARIABLE} name its libLLVM.so"


def require_llvm() -> None:
    """Point Dr.Jit to an LLVM that it works with; InputError, in one line, where there is none or it is too old.

    LLVM 15 and 16 abort the process at the first solve, with nothing to catch (measured): the library is therefore
    asked for its version before Dr.Jit is imported. Looked for in DRJIT_LIBLLVM_PATH, then beside this Python, where
    the extra installs it, then where the system's loader finds one.
    """
    given = os.environ.get(_VARIABLE)
    candidates = [given] if given else [*_beside_python(), *_of_the_system()]
    found = []
    for candidate in candidates:
        version = _version(candidate)
        if version is not None and version >= OLDEST:
            os.environ[_VARIABLE] = candidate
            return
        found.append(f"{candidate} ({'not LLVM' if version is None else f'LLVM {version}'})")
    raise InputError(f"ray tracing needs LLVM {OLDEST} or newer, found {', '.join(found) or 'none'}: {_REMEDY}")


def require_llvm_in_use() -> None:
    """InputError where Dr.Jit, imported before `require_llvm` could point it elsewhere, runs on an LLVM too old."""
    import drjit

    version = drjit.detail.llvm_version()
    if version < (OLDEST,):
        raise InputError(
            f"ray tracing needs LLVM {OLDEST} or newer, and Dr.Jit, imported before, took {version[0]}: let "
            f"{_VARIABLE} name a newer libLLVM.so before Python starts"
        )


def _beside_python() -> list[str]:
    return sorted(map(str, Path(sys.prefix, "lib").glob("libLLVM.so.*")), reverse=True)


def _of_the_system() -> list[str]:
    from ctypes.util import find_library

    names = [find_library("LLVM"), *(f"libLLVM.so.{major}.1" for major in range(30, OLDEST - 1, -1))]
    return [name for name in names if name and _loads(name)]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _version(library: str) -> int | None:
    """Major version, None if this is no LLVM; its C interface has told it since LLVM 16."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        return None
    try:
        ask = loaded.LLVMGetVersion
    except AttributeError:
        return 15 if hasattr(loaded, "LLVMContextCreate") else None
    major, minor, patch = (ctypes.c_uint() for _ in range(3))
    ask(ctypes.byref(major), ctypes.byref(minor), ctypes.byref(patch))
    return major.value
