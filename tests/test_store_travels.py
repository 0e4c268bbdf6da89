"""A store that was zipped and unzipped elsewhere, and one on a file system that nothing can be written to."""

import builtins
import errno
import io
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy

import engine
from engine.store.compact import compact
from engine.store.integrity import Litter, Problem, verify
from jobs import main as command_line

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def half_done(path: Path) -> Path:
    reports = engine.iterate(toy.small, path, serial=True)
    for report in reports:
        if report.tasks_done == 3:
            break
    reports.close()
    return path


def untouched(path: Path) -> Path:
    """No task is done: the folder of receipts is empty, and a zip of files does not have it."""
    reports = engine.iterate(toy.small, path, serial=True)
    next(reports)
    reports.close()
    return path


def finished(path: Path) -> Path:
    engine.run(toy.small, path, serial=True)
    return path


def compacted(path: Path) -> Path:
    compact(finished(path))
    return path


def faults(path: Path) -> list[Any]:
    return [item for item in verify(path) if isinstance(item, Problem | Litter)]


def zipped_elsewhere(path: Path, to: Path) -> Path:
    """Files alone, as some archivers do it."""
    with zipfile.ZipFile(to / "sent.zip", "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path.parent))
    with zipfile.ZipFile(to / "sent.zip") as archive:
        archive.extractall(to / "other place")
    shutil.rmtree(path)
    return to / "other place" / path.name


@pytest.mark.parametrize("made", [untouched, half_done, finished, compacted])
def test_a_zipped_store_is_the_same_elsewhere(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    (tmp_path / "here").mkdir()
    path = made(tmp_path / "here" / "s.zarr")
    before = engine.open_results(path).load()
    there = zipped_elsewhere(path, tmp_path)
    assert engine.open_results(there).load().identical(before)
    assert faults(there) == []
    good = engine.run(toy.small, tmp_path / "good.zarr", serial=True).load()
    assert engine.run(toy.small, there, serial=True).load().drop_attrs().identical(good.drop_attrs())
    assert faults(there) == []


def make_read_only(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """Whatever writes below a folder fails. Modes alone stop no superuser."""

    def is_inside(path: Any) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and Path(os.fsdecode(path)).absolute().is_relative_to(folder)

    def refusing(call: Callable[..., Any], paths: int) -> Callable[..., Any]:
        def refused(*arguments: Any, **options: Any) -> Any:
            if any(is_inside(path) for path in arguments[:paths]):
                raise OSError(number, os.strerror(number), os.fspath(arguments[0]))
            return call(*arguments, **options)

        return refused

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if is_inside(file) and set(mode) & set("wxa+"):
            raise OSError(number, os.strerror(number), os.fspath(file))
        return io_open(file, mode, *arguments, **options)

    def os_opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if is_inside(path) and flags & _WRITES:
            raise OSError(number, os.strerror(number), os.fspath(path))
        return os_open(path, flags, *arguments, **options)

    io_open, os_open = io.open, os.open
    for module in (io, builtins):
        monkeypatch.setattr(module, "open", opened)
    monkeypatch.setattr(os, "open", os_opened)
    for name in ("mkdir", "rmdir", "unlink", "remove", "chmod", "truncate", "utime"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name), 1))
    for name in ("replace", "rename", "link", "symlink"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name), 2))


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(params=[errno.EROFS, errno.EACCES], ids=["read-only file system", "no permission"])
def read_only(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Makes a store's folder read-only; what the system says then."""

    def make(path: Path) -> str:
        for file in path.rglob("*"):
            file.chmod(0o444 if file.is_file() else 0o555)
        make_read_only(monkeypatch, path.parent, request.param)
        return os.strerror(request.param)

    return make


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str, str]:
    """Exit code, output and error of a command."""
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("made", [half_done, finished, compacted])
def test_a_read_only_store_is_read_by_everything_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, read_only: Any, made: Callable[[Path], Path]
) -> None:
    path, out = made(tmp_path / "there" / "s.zarr"), tmp_path / "out"
    before, results = contents(path), engine.open_results(path).load()
    out.mkdir()
    read_only(path)
    assert engine.open_results(path).load().identical(results)
    for words in (
        ("status", str(path)),
        ("verify", str(path)),
        ("plot", str(path), "-o", str(out / "x.png")),
        ("report", str(path), "-o", str(out / "x.html")),
        ("export", str(path), "-o", str(out / "x.csv")),
    ):
        code, _, error = said(monkeypatch, capsys, *words)
        assert (code, "Traceback" in error) == (0, False), (words, error)
    assert {file.name for file in out.iterdir()} == {"x.png", "x.html", "x.csv"}
    monkeypatch.undo()
    assert contents(path) == before


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (half_done, ("run", "toy:small", "--serial", "--store", "STORE")),
        (finished, ("run", "toy:small", "--realizations", "80", "--serial", "--store", "STORE")),
        (finished, ("compact", "STORE")),
        (compacted, ("compact", "STORE", "--undo")),
        (finished, ("verify", "STORE", "--repair")),
    ],
    ids=["run", "grow", "compact", "undo", "repair"],
)
def test_what_writes_to_a_read_only_store_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, read_only: Any, made: Any, words: tuple[str, ...]
) -> None:
    path = made(tmp_path / "there" / "s.zarr")
    if "--repair" in words:
        chunk = path / "power" / "c" / "1" / "2" / "0"
        chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    before, reason = contents(path), read_only(path)
    code, _, error = said(monkeypatch, capsys, *(str(path) if word == "STORE" else word for word in words))
    lines = [line for line in error.splitlines() if line.startswith("nearfield:")]
    assert code == 1
    assert "Traceback" not in error
    assert len(lines) == 1
    assert f"{path}: {reason}" in lines[0]
    monkeypatch.undo()
    assert contents(path) == before
