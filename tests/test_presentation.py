"""A sweep presents its results: the summary is made once for a command, and a plain figure and report need none."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
import xarray

import engine
from engine.sweep import TextTable
from jobs import main as command_line
from jobs.show import presentation as presenting
from jobs.show.presentation import Presentation

COMMANDS = {
    "reproduce": ("reproduce", "toy:small", "--serial", "--store", "s.zarr"),
    "plot": ("plot", "s.zarr", "-o", "s.png"),
    "report": ("report", "s.zarr", "-o", "s.html"),
}


def drawn() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A command on a store of the toy, whose sweep has other presentational fields."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    engine.run(toy.small, "s.zarr", run_serially=True)

    def command(which: str, **fields: Any) -> None:
        monkeypatch.setattr(toy, "small", toy.small.replace(**fields))
        monkeypatch.setattr(sys, "argv", ["nearfield", *COMMANDS[which]])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code

    return command


@pytest.mark.parametrize(
    ("which", "calls"),
    [
        ("reproduce", {"summary": 1, "figure": 1, "report": 1}),
        ("report", {"summary": 1, "figure": 1, "report": 1}),
        ("plot", {"summary": 1, "figure": 1}),
    ],
)
def test_a_summary_is_made_once_for_a_command(run: Callable[..., None], which: str, calls: dict[str, int]) -> None:
    made: Counter[str] = Counter()

    def summary(results: xarray.Dataset) -> float:
        made["summary"] += 1
        return float(results.power.max())

    def figure(results: xarray.Dataset, highest: float) -> Any:
        made["figure"] += 1
        assert highest == float(results.power.max())
        return drawn()

    def report(results: xarray.Dataset, highest: float) -> list[TextTable]:
        made["report"] += 1
        assert highest == float(results.power.max())
        return [TextTable("highest", ("power",), [(f"{highest:g}",)])]

    run(which, summary=summary, figure=figure, report=report)
    assert made == calls


@pytest.mark.parametrize("which", list(COMMANDS))
def test_a_plain_figure_and_report_take_the_results_alone(run: Callable[..., None], which: str) -> None:
    seen = []

    def figure(results: xarray.Dataset) -> Any:
        seen.append("figure")
        return drawn()

    def report(results: xarray.Dataset) -> list[TextTable]:
        seen.append("report")
        return [TextTable("highest", ("power",), [(f"{results.power.max():g}",)])]

    run(which, figure=figure, report=report)
    assert sorted(seen) == (["figure"] if which == "plot" else ["figure", "report"])


def test_a_sweep_that_presents_nothing_gets_lines_and_means(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("reproduce")
    assert "power (W)" in capsys.readouterr().out
    assert Path("s.png").stat().st_size > 10_000


def test_receipts_are_read_only_for_figures_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    engine.run(toy.small, tmp_path / "s.zarr", run_serially=True)
    results = engine.open_results(tmp_path / "s.zarr")
    monkeypatch.setattr(toy, "small", toy.small.replace(timed=True))
    timed = Presentation(results, tmp_path / "s.zarr").results
    assert timed.seconds_per_realization.dims == ("offset",)
    assert (timed.seconds_per_realization > 0).all()
    assert timed.offset.attrs == results.offset.attrs
    assert timed.offset.attrs["long_name"] == "added to x"
    monkeypatch.setattr(toy, "small", toy.small.replace(timed=False))
    monkeypatch.setattr(presenting, "task_seconds", lambda path: pytest.fail("read all receipts"))
    assert Presentation(results, tmp_path / "s.zarr").results is results
