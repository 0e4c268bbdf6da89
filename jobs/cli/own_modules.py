"""Which modules are the user's own, so that a store may name them: those that were run by name, on this account.

A store is data that anybody may have sent, perhaps with a module beside it, and reading it must run nothing of theirs.
But who has typed `nearfield run mystudy:sweep` has run that file already: where a store names `mystudy`, and Python
finds it at the same place again, `replay`, `plot` and `report` import it without being told. The files are listed in
~/.local/state/nearfield/modules (or below XDG_STATE_HOME), and a line taken out there is forgotten.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from jobs.cli.families import imported

_MOST_LINES = 1000


def remember(module_name: str) -> None:
    """The user has named this module, which is imported. Where nothing can be written, nothing is remembered."""
    files = [_file_of(name) for name in _with_packages(module_name)]
    known = _known()
    new = [file for file in files if file and file not in known]
    if not new:
        return
    with suppress(OSError):
        path = _list()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join([*known, *new][-_MOST_LINES:]) + "\n")
        os.replace(partial, path)


def is_own(module_name: str) -> bool:
    """Whether Python would find this module where the user has run it; imports nothing to find out."""
    known, places = _known(), None
    for name in _with_packages(module_name):
        spec = PathFinder.find_spec(name, places)
        is_bare_folder = spec is not None and spec.origin is None and name != module_name
        if spec is None or not (is_bare_folder or str(Path(spec.origin or "").resolve()) in known):
            return False
        places = spec.submodule_search_locations
    return True


def import_own(module_name: str) -> bool:
    """Import a module of the user's own, if it is one. Raises InputError if it is, and cannot be imported."""
    if module_name in sys.modules:
        return True
    return is_own(module_name) and imported(module_name) is not None


def _with_packages(module_name: str) -> Iterator[str]:
    """
    >>> list(_with_packages("mine.wide"))
    ['mine', 'mine.wide']
    """
    parts = module_name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _file_of(module_name: str) -> str:
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return str(Path(file).resolve()) if file else ""


def _list() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "nearfield" / "modules"


def _known() -> list[str]:
    try:
        return _list().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, RuntimeError):  # no home
        return []
