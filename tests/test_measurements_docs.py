"""Pages about measurements: their files are read, their commands run, and they say what the page says."""

import json
import math
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import nearfield
from test_locate import _exact_powers

import engine
from jobs.cli.measurements import Measurements, place_of, read
from jobs.cli.measurements.missing import stated
from jobs.cli.measurements.units import UNITS

PAGES = Path(engine.__file__).parent.parent / "docs"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "campaign", raising=False)


def run_page(page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """Every block in order: files are written, Python and commands are run; lines of outputs and refusals checked."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    said, checked = "", 0
    for (language, text), (following, _) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        name = re.match(r"# (\S+)\n", text)
        if language == "csv":
            assert name, text
            Path(name[1]).write_text(text)
        elif language == "python":
            path = Path(name[1] if name else "block.py")
            path.write_text(text)
            runpy.run_path(str(path))
        elif language == "sh":
            for line in text.splitlines():
                code = nearfield(*shlex.split(line)[1:], monkeypatch=monkeypatch)
                assert code == (2 if following == "error" else 0), line
                said = capsys.readouterr().err
        else:
            assert language in ("output", "error")
            lines = text.splitlines()
            assert all(f"{line}\n" in said for line in lines), said
            assert language == "output" or said.splitlines() == lines
            checked += len(lines)
    return checked


def test_the_page_of_the_format_runs_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_page("measurements.md", monkeypatch, capsys) > 5


def test_the_page_names_every_unit_and_mark() -> None:
    page = (PAGES / "measurements.md").read_text()
    (units,) = re.findall(r"\| power \|.*\| (.*) \|\n", page)
    assert units.split(", ") == [unit.name for unit in UNITS if unit.kind == "power"]
    for unit in UNITS:
        assert re.search(rf"[ ,|]{re.escape(unit.name)}[ ,;|]", page), unit.name
    (marks,) = re.findall(r"\*\*Missing\*\*: an empty cell, (.*?) and a spreadsheet", page, re.DOTALL)
    for mark in (*marks.split(", "), "OVL", "overload", "overrange", "UNDER", "no signal", "not measured", "9.91e37"):
        assert stated([]).is_missing(mark), mark


def assert_as_exact(found: Measurements, exact_w: dict[str, float], noise_w: float) -> None:
    """Mean powers within their own noise: a snapshot's variance is σ⁴ + 2Sσ² about S + σ²."""
    expected = np.array([exact_w[name] for name in found.names])
    deviation = np.sqrt((noise_w**2 + 2 * (expected - noise_w) * noise_w) / found.n_snapshots)
    off = (found.power_w - expected) / np.hypot(deviation, 0.0013 * expected)  # as dBm are rounded to hundredths
    assert np.max(np.abs(off)) < 4
    assert 0.5 < np.mean(off**2) < 1.8


@pytest.mark.slow
def test_the_campaign_goes_from_files_to_a_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Places and powers of all three files against exact physics of another hand; answers against the truth."""
    assert run_page("campaign.md", monkeypatch, capsys) > 7
    truth = runpy.run_path("campaign.py")
    sensors, user = truth["SENSORS"], truth["USER"]
    places = [(r * math.sin(a), r * math.cos(a)) for r, a in sensors.values()]
    exact_w = dict(zip(sensors, _exact_powers(user, places, -85.0), strict=True))
    analyser, logger = read("analyser.csv"), read("logger.tsv")
    telephone = read("telephone.csv", missing=["-120"], place=place_of("52.5186,13.3763,60"))
    assert (len(analyser.names), len(logger.names), len(telephone.names)) == (23, 24, 23)
    assert len(set(logger.n_snapshots)) > 1
    for found, within_m in ((analyser, 2e-3), (logger, 8e-3), (telephone, 8e-3)):
        true_m, true_rad = np.array([sensors[name] for name in found.names]).T
        assert found.range_m == pytest.approx(true_m, abs=within_m)
        assert found.range_m * (found.angle_rad - true_rad) == pytest.approx(np.zeros(len(true_m)), abs=within_m)
    assert_as_exact(analyser._replace(n_snapshots=50 * analyser.n_snapshots), exact_w, 10**-11.5)
    assert_as_exact(logger, exact_w, 10**-11.5)
    assert_as_exact(telephone, exact_w, 10**-11.5)
    rows = re.findall(r"\| `\w+.\w+` \| ([\d.]+) ± ([\d.]+) m \|", (PAGES / "campaign.md").read_text())
    for name, (range_m, by_m) in zip(("answer", "logger", "telephone"), rows, strict=True):
        answer = json.loads(Path(f"{name}.json").read_text())["answer"]
        assert f"{answer['range_m']:.3f}" == range_m
        assert f"{answer['deviations']['range_m']:.3f}" == by_m
        assert abs(answer["range_m"] - math.hypot(*user)) < 2 * answer["deviations"]["range_m"]
    assert Path("answer.png").read_bytes().startswith(b"\x89PNG")
