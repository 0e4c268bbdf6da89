"""Machine code that is kept on disk is what would be compiled today."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest

from engine.numerics.compiled import compiled

FILES = {
    "constants.py": "FACTOR = 2\n",
    "inner.py": """
from engine.numerics.compiled import compiled
def _inner(x):
    return x + 1
inner = compiled(_inner)
""",
    "middle.py": """
from engine.numerics.compiled import compiled
from inner import inner
def _middle(x):
    return inner(x)
middle = compiled(_middle)
""",
    "outer.py": """
from engine.numerics.compiled import compiled
from constants import FACTOR
from middle import middle
def _outer(x):
    return middle(x) * FACTOR
outer = compiled(_outer)
print(outer(3), sum(outer.stats.cache_hits.values()))
""",
}


def printed(folder: Path, files: dict[str, str]) -> list[int]:
    """What outer.py prints once the files are written, in a new process: its result, and whether its code was kept."""
    for name, text in files.items():
        (folder / name).write_text(text)
    here = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2]}:{folder}"}
    run = [sys.executable, "-W", "error", str(folder / "outer.py")]
    words = subprocess.run(run, env=here, capture_output=True, text=True, check=True).stdout.split()
    return [int(word) for word in words]


def test_kept_code_follows_what_it_calls_in_other_files(tmp_path: Path) -> None:
    assert printed(tmp_path, FILES) == [8, 0]
    assert printed(tmp_path, {}) == [8, 1]
    assert printed(tmp_path, {"inner.py": FILES["inner.py"].replace("+ 1", "+ 5")}) == [16, 0]
    assert printed(tmp_path, {"constants.py": "FACTOR = 3\n"}) == [24, 0]
    assert printed(tmp_path, {}) == [24, 1]


def test_nothing_is_kept_where_numba_does_not_let_it_be_known_from_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "njit", lambda **options: lambda function: SimpleNamespace(options=options))
    assert "cache" not in compiled(printed).options
