"""Odd command lines in odd places: `tests/command_lines.py` makes them, and says what a good end is."""

import json
import os
import random
import sys
from pathlib import Path

import pytest
from command_lines import Case, case, complaint, outcome, prepared, tried

from jobs import main as command_line


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "prepared"
    folder.mkdir()
    prepared(folder)
    return folder


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize("seed", range(2))
def test_some_end_well_or_with_one_line(stores: Path, seed: int) -> None:
    ends, bad = tried(20, seed, stores.parent, own=0.0)
    assert bad == []
    assert sum(ends.values()) == 20


@pytest.mark.slow
def test_some_processes_end_well_or_with_one_line(stores: Path) -> None:
    _, bad = tried(10, 7, stores.parent, own=1.0)
    assert bad == []


@pytest.mark.study
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_thousand(stores: Path, seed: int) -> None:
    _, bad = tried(100, seed, stores.parent)
    assert bad == []


def test_the_same_seed_makes_the_same_and_words_of_every_kind() -> None:
    first, second = ([case(random.Random(seed)) for seed in range(400)] for _ in range(2))
    assert first == second
    assert len({json.dumps(one.words) for one in first}) > 300
    words = {one.words[0] for one in first if one.words}
    assert words >= {"run", "show", "status", "verify", "compact", "merge", "export", "report", "plot", "locate"}
    assert {one.cwd for one in first} == {"here", "deleted"}
    assert {one.streams for one in first} == {"pipes", "closed", "full"}
    assert any(one.is_full for one in first)
    assert any("\n" in word for one in first for word in one.words)


def test_a_bad_end_is_seen() -> None:
    one = Case(["status"])
    assert complaint(one, 0, "") == ""
    assert complaint(one, 2, "8/40 realizations, 1/5 tasks\nnearfield: no store at x\n") == ""
    assert complaint(one, 1, "nearfield: a\nTraceback (most recent call last):\n")
    assert complaint(one, 139, "nearfield: a")
    assert complaint(one, 2, "")
    assert complaint(one, 2, "Error: x")
    assert complaint(one, 1, "warning: y\nnearfield: x")
    assert complaint(Case([]), 2, "") == ""


PLACES = {
    "a deleted folder": (Case(["status", "one.zarr"], cwd="deleted"), 1, "no store at one.zarr"),
    "a deleted folder, to write": (
        Case(["run", "leakage:fig1", "--store", "s.zarr", "--serial", "--realizations", "1"], cwd="deleted"),
        1,
        "No such file or directory",
    ),
    "a shell that does not ask": (
        Case(["status", "one.zarr"], {"_NEARFIELD_COMPLETE": "complete_bash"}), 2, "no shell asks (COMP_CWORD is '')",
    ),
    "no shell": (Case(["list"], {"_NEARFIELD_COMPLETE": "x"}), 2, "_NEARFIELD_COMPLETE is 'x', which is no shell's"),
}  # fmt: skip
PROCESSES = {
    "ASCII": (Case(["status", "one.zarr"], {"PYTHONIOENCODING": "ascii"}, is_own_process=True), 0, ""),
    "a byte that is no text": (Case(["status", "\udcff"], is_own_process=True), 1, "no store at"),
    "a full terminal": (Case(["status", "one.zarr"], is_own_process=True, streams="full"), 1, "No space left on dev"),
    "no terminal": (Case(["status", "one.zarr"], is_own_process=True, streams="closed"), 0, ""),
    "a full disk": (
        Case(["report", "one.zarr", "-o", "r.html"], is_own_process=True, is_full=True), 2, "File too large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", [*PLACES, *PROCESSES])
def test_places(stores: Path, tmp_path: Path, place: str) -> None:
    one, code, said = (PLACES | PROCESSES)[place]
    found, _, errors = outcome(one, stores, tmp_path / "case")
    assert (found, complaint(one, found, errors)) == (code, ""), errors
    assert said in errors


def test_what_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line._told(OSError(28, os.strerror(28), "/x/y")) == 1
    assert command_line._told(OSError("by hand")) == 1
    assert command_line._told(UnicodeEncodeError("utf-8", "\udcff" * 200, 0, 1, "surrogates not allowed")) == 2
    system, hand, text = capsys.readouterr().err.splitlines()
    assert system == "nearfield: No space left on device (/x/y): mend that, and give the same command again"
    assert hand == "nearfield: by hand: mend that, and give the same command again"
    assert text.startswith("nearfield: given '\\udcff")
    assert len(text) < 700
