"""What is installed is whole: a wheel alone, in an environment of its own, lists the sweeps and runs one."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import engine

ROOT = Path(engine.__file__).parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that has the wheel, and from this one what the wheel depends on, but not the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("engine", "scenarios", "jobs"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    run(folder, sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", ".", "./source")
    shutil.rmtree(folder / "source")
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    run(folder, sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    # Behind the environment's own packages, and as a plain path: what is installed editable here is not seen there.
    (packages,) = (folder / "environment").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_alone_lists_and_runs(python: Path, tmp_path: Path) -> None:
    where = run(tmp_path, str(python), "-c", "import engine, jobs; print(engine.__file__, jobs.__file__)")
    assert all(Path(path).is_relative_to(python.parent.parent) for path in where.split())
    nearfield = str(python.parent / "nearfield")
    listed = run(tmp_path, nearfield, "list")
    assert {"leakage:fig1", "multipath:fig2", "ris:fig11"} <= set(listed.split())
    sizes = ("--realizations", "50", "--axis", "n_sensors=5", "--serial")
    run(tmp_path, nearfield, "run", "leakage:fig1", "--store", "x.zarr", *sizes)
    assert "1 receipts checked, 0 damaged" in run(tmp_path, nearfield, "verify", "x.zarr")
    run(tmp_path, nearfield, "report", "x.zarr", "-o", "x.html")  # its templates are data of the package


@pytest.mark.slow
def test_every_module_and_file_of_data_is_in_the_wheel(python: Path) -> None:
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    for top in ("engine", "scenarios", "jobs"):
        for path in (ROOT / top).rglob("*"):
            is_picture = path.suffix == ".png" or path.name == "benchmarks.json"
            if path.is_file() and "__pycache__" not in path.parts and not is_picture:
                assert (packages / path.relative_to(ROOT)).is_file(), path
