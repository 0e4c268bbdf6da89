"""The page of the format: its files are read, its commands run, and they say what it says."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from test_cli import nearfield

import engine
from jobs.cli.measurements.missing import stated
from jobs.cli.measurements.units import UNITS

PAGE = Path(engine.__file__).parent.parent / "docs/measurements.md"


def test_the_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    said, checked = "", 0
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language == "csv":
            name = re.match(r"# (\S+)\n", text)
            assert name, text
            Path(name[1]).write_text(text)
        elif language == "sh":
            for line in text.splitlines():
                words = shlex.split(line)
                assert nearfield(*words[1:], monkeypatch=monkeypatch) == 0, line
                said = capsys.readouterr().err
        elif language == "output":
            for line in text.splitlines():
                assert f"{line}\n" in said
                checked += 1
        else:
            Path("block.py").write_text(text)
            runpy.run_path("block.py")
    assert checked > 5


def test_the_page_names_every_unit_and_mark() -> None:
    page = PAGE.read_text()
    (units,) = re.findall(r"\| power \|.*\| (.*) \|\n", page)
    assert units.split(", ") == [unit.name for unit in UNITS if unit.kind == "power"]
    for unit in UNITS:
        assert re.search(rf"[ ,|]{re.escape(unit.name)}[ ,;|]", page), unit.name
    (marks,) = re.findall(r"\*\*Missing\*\*: an empty cell, (.*?) and a spreadsheet", page, re.DOTALL)
    for mark in (*marks.split(", "), "OVL", "overload", "overrange", "UNDER", "no signal", "not measured", "9.91e37"):
        assert stated([]).is_missing(mark), mark
