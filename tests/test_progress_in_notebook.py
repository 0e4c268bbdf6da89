"""A run in a notebook shows a bar; elsewhere nothing. Jupyter's side is a fake that keeps what it was shown."""

import inspect
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import toy

import engine
from engine import TaskError, notebook
from engine.execution import driver


class Shown:
    def __init__(self, first: Any) -> None:
        self.html, self.text = [first._repr_html_()], [repr(first)]

    def update(self, other: Any) -> None:
        self.html.append(other._repr_html_())
        self.text.append(repr(other))


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What a kernel's frontend was asked to display."""
    found: list[Shown] = []

    def display(bar: Any, *, display_id: bool) -> Shown:
        assert display_id
        found.append(Shown(bar))
        return found[-1]

    package, displays = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    shell = types.SimpleNamespace(kernel=object())
    package.get_ipython, displays.display = lambda: shell, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    monkeypatch.setattr(notebook, "_UPDATE_SECONDS", 0.0)
    return found


def run(path: Path, **options: Any) -> Any:
    return engine.run(toy.small, path, serial=True, **options)


def test_a_bar_grows_to_its_end(cells: list[Shown], tmp_path: Path) -> None:
    assert run(tmp_path / "s.zarr").complete.all()
    (bar,) = cells
    assert bar.text[0] == "toy:small: preparing"
    assert bar.text[1].startswith("toy:small: 0 of 120 realizations, ")
    assert bar.text[-1].startswith("toy:small: 120 of 120 realizations, ")
    assert "left" not in bar.text[-1]
    assert len(bar.text) == 1 + 16 + 1
    assert bar.html[8].startswith('<progress value="56" max="120"></progress> toy:small: 56 of 120')


def test_it_is_not_redrawn_for_every_task(cells: list[Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_UPDATE_SECONDS", 1e9)
    run(tmp_path / "s.zarr")
    assert [text.partition(" real")[0] for text in cells[0].text[1:]] == [
        "toy:small: 0 of 120",
        "toy:small: 120 of 120",
    ]


def test_a_name_is_text_and_failures_are_counted(cells: list[Shown], tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"), name="<b>")
    with pytest.raises(TaskError):
        engine.run(sweep, tmp_path / "s.zarr", serial=True, max_failures=1)
    assert cells[0].text[-1].endswith(", 2 tasks failed")
    assert all("<b>" not in shown and "&lt;b&gt;" in shown for shown in cells[0].html)


def test_no_bar_where_nobody_sees_one(cells: list[Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "a.zarr", progress=False)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace())  # a terminal's
    run(tmp_path / "b.zarr")
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    run(tmp_path / "c.zarr")
    monkeypatch.delitem(sys.modules, "IPython")
    run(tmp_path / "d.zarr")
    assert cells == []


def test_run_names_every_option_of_a_run() -> None:
    """With the same defaults, and a word on each."""
    ours, theirs = inspect.signature(engine.run).parameters, inspect.signature(driver.iterate).parameters
    assert [name for name in ours if name not in ("progress", "run_serially")] == list(theirs)
    assert all(ours[name].default == theirs[name].default for name in theirs)
    assert all(f"{name}:" in str(engine.run.__doc__) for name in ours if name != "sweep")
