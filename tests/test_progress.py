"""What a user sees before there is a result: the phase that a run is in, by name."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy

import engine
from engine.execution.cluster import loop
from jobs.cli import progress


def test_lines_name_the_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    progress.watch(toy.small, str(tmp_path / "x.zarr"), serial=True)
    first, second, *_, last = [line for line in capsys.readouterr().err.splitlines() if line != "preparing"]
    assert first.startswith("0/120 realizations, 0/15 tasks, ")
    assert first.endswith(", first task")
    assert "task" not in second.partition("tasks")[2]
    assert last.startswith("120/120 realizations, 15/15 tasks")
    progress.watch(toy.small, str(tmp_path / "x.zarr"), serial=True)
    (whole,) = [line for line in capsys.readouterr().err.splitlines() if line != "preparing"]
    assert whole.startswith("120/120")
    assert not whole.endswith("first task")


def test_workers_are_said_to_start(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    progress.watch(toy.small, str(tmp_path / "x.zarr"), workers=1)
    lines = [line for line in capsys.readouterr().err.splitlines() if line != "preparing"]
    assert lines[0].endswith("starting workers")
    assert not any("starting" in line for line in lines[1:])


def test_what_takes_long_to_prepare_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = engine.iterate

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.3)
        yield from given(*arguments, **options)

    monkeypatch.setattr(engine, "iterate", slow)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.1)
    progress.watch(toy.small, str(tmp_path / "x.zarr"), serial=True)
    assert capsys.readouterr().err.startswith("preparing\n0/120")
    monkeypatch.setattr(progress, "_LINE_SECONDS", 5.0)
    progress.watch(toy.small, str(tmp_path / "y.zarr"), serial=True)
    time.sleep(0.2)
    assert "preparing" not in capsys.readouterr().err


def test_a_terminal_shows_the_phase_beside_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Bars(progress.Progress):
        def add_task(self, description: str, **fields: Any) -> Any:
            seen.append(description)
            return super().add_task(description, **fields)

        def update(self, task: Any, **fields: Any) -> None:
            seen.append(str(fields["description"]))
            super().update(task, **fields)

    monkeypatch.setattr(progress, "Progress", Bars)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress.watch(toy.small, str(tmp_path / "x.zarr"), serial=True)
    assert list(dict.fromkeys(seen)) == ["toy:small: preparing", "toy:small: first task", "toy:small"]


@pytest.mark.parametrize(
    ("starting", "text"),
    [({"a": 1, "b": 2}, "2 of 3 workers are still starting; 1 of 4 CPUs free"), ({}, "3 workers compute their first")],
)
def test_a_slow_start_is_not_called_a_busy_cluster(
    monkeypatch: pytest.MonkeyPatch, starting: dict[str, int], text: str
) -> None:
    monkeypatch.setattr(loop, "free_resources", lambda: "1 of 4 CPUs free")
    waiting = object.__new__(loop._Loop)
    waiting._starting, waiting._actors = starting, [1, 2, 3]
    assert waiting._waited_for().startswith(text)
