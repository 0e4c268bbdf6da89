"""Machine code that is kept on disk is what would be compiled today."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest
from numba.extending import is_jitted

from engine.numerics.compiled import compiled

ROOT = Path(__file__).parents[2]
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


def test_kept_code_follows_its_options(tmp_path: Path) -> None:
    inner = FILES["inner.py"].replace("compiled(_inner)", "compiled(_inner, boundscheck=True)")
    assert printed(tmp_path, FILES) == [8, 0]
    outer = FILES["outer.py"].replace("compiled(_outer)", "compiled(_outer, boundscheck=True)")
    assert printed(tmp_path, {"outer.py": outer}) == [8, 0]
    assert printed(tmp_path, {"inner.py": inner}) == [8, 0]
    assert printed(tmp_path, {}) == [8, 1]


def test_what_is_called_is_part_of_what_calls() -> None:
    """The machine code of the caller calls no other's, however long: names of two that were optimised apart are one."""
    from engine.numerics import circle_manifold_cpu, path_fit_cpu

    for module in (circle_manifold_cpu, path_fit_cpu):
        loops = {name: one for name, one in vars(module).items() if is_jitted(one)}
        assert len(loops) > 5
        assert all(one.targetoptions["forceinline"] for one in loops.values())


_LOCATES = """
import hashlib, tempfile
import engine
from tests.golden.make import SWEEPS

with tempfile.TemporaryDirectory() as folder:
    found = engine.run(SWEEPS["ris-localization"], folder + "/bits.zarr", serial=True).load()
names = sorted(name for name in found.data_vars if found[name].dtype.kind == "f")
print(hashlib.sha256(b"".join(found[name].values.tobytes() for name in names)).hexdigest())
"""


@pytest.mark.slow
def test_bits_are_the_same_whether_code_was_kept_or_not(tmp_path: Path) -> None:
    """Of a process that compiles all, one that finds all on disk, and one that finds all but one file's."""
    here = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests", "NUMBA_CACHE_DIR": str(tmp_path)}

    def bits() -> str:
        return subprocess.check_output([sys.executable, "-c", _LOCATES], env=here, text=True)

    compiled_here = bits()
    assert bits() == compiled_here
    removed = [path.unlink() for path in tmp_path.rglob("path_fit_cpu._fit_plain*")]
    assert removed
    assert bits() == compiled_here


def test_nothing_is_kept_where_numba_does_not_let_it_be_known_from_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "njit", lambda **options: lambda function: SimpleNamespace(options=options))
    assert "cache" not in compiled(printed).options
