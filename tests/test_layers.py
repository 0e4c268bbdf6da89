"""The two columns do not import each other, heavy packages stay where they belong, the public API stays small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine

ROOT = Path(engine.__file__).parent.parent
MODULES = [path for top in ("engine", "scenarios", "jobs") for path in sorted((ROOT / top).rglob("*.py"))]
SCIENCE = ("engine.numerics", "engine.channels", "engine.estimators")
ONLY_IN = {
    "ray": ("engine/cluster.py",),
    "cupy": ("engine/backend.py",),
    "tensorflow": ("engine/tensorflow_data.py",),
    "torch": (
        *(f"engine/estimators/deepsets/{name}.py" for name in ("autograd", "replica", "training")),
        "jobs/benchmarks/training.py",
    ),
    "safetensors": ("engine/estimators/deepsets/checkpoint.py",),
    "sionna": ("engine/channels/",),
    "mitsuba": ("engine/channels/",),
    "drjit": ("engine/channels/",),
    "shapely": ("engine/channels/",),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_science(path: Path) -> bool:
    return path.relative_to(ROOT).parts[:2] in {("engine", package.split(".")[1]) for package in SCIENCE}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_table(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for name in imports(path):
        if is_science(path):
            allowed = (*SCIENCE, "engine.errors", "engine.imports")
            assert not within(name, ("engine",)) or within(name, allowed) or name == "engine", f"science: {name}"
            assert not within(name, ("scenarios", "jobs", "zarr", "xarray", "rich", "typer", "ray"))
        elif place.startswith("engine/"):
            assert not within(name, (*SCIENCE, "scenarios", "jobs")), f"machinery imports {name}"
        elif place.startswith("scenarios/"):
            assert not within(name, ("jobs", "engine.store", "engine.cluster", "engine.execute", "engine.results"))
        for package, places in ONLY_IN.items():
            assert not within(name, (package,)) or place.startswith(places), f"{package} in {place}"


def test_the_machinery_knows_nothing_of_antennas() -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / "engine") and not is_science(path):
            text = path.read_text().lower()
            assert "antenna" not in text, path
            assert "sensor" not in text, path


def test_importing_the_engine_loads_nothing_heavy() -> None:
    heavy = ("ray", "zarr", "xarray", "pandas", "scipy", "torch", "cupy", "matplotlib", "sionna", "shapely", "numba")
    code = f"import sys; from engine import *; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_the_public_names_are_few() -> None:
    assert len(engine.__all__) <= 15
    assert all(hasattr(engine, name) for name in engine.__all__)
    assert not hasattr(engine, "Sweeps")
