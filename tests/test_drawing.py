"""Figures into files: laid out once, whatever the number of files."""

import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from engine import InputError
from jobs.show.drawing import write_figure


def drawn() -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    for panel in figure.subplots(1, 2):
        panel.plot([1, 2, 3], [1e-3, 2e-3, 5e-3], label="a line")
        panel.set(xlabel="number", ylabel="metres")
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle("A title above all")
    return figure


def as_before(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in re.findall(r"-?\d+\.\d+", text)])


@pytest.mark.parametrize("constrained", [False, True])
def test_the_files_are_what_each_alone_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constrained: bool
) -> None:
    """Pictures equal byte for byte; drawings have the same text and shapes, a point or so apart."""
    laid_out: list[int] = []
    given = ConstrainedLayoutEngine.execute

    def execute(self: Any, figure: Any) -> Any:
        laid_out.append(1)
        return given(self, figure)

    with matplotlib.rc_context({"svg.fonttype": "none", "figure.constrained_layout.use": constrained}):
        png, svg = as_before(drawn(), "png"), as_before(drawn(), "svg").decode()
        monkeypatch.setattr(ConstrainedLayoutEngine, "execute", execute)
        write_figure(drawn, [tmp_path / "f.png", tmp_path / "f.svg", tmp_path / "f.pdf"])
    assert len(laid_out) == 1
    assert (tmp_path / "f.png").read_bytes() == png
    ours = (tmp_path / "f.svg").read_text()
    assert re.findall(r">([^<]+)</text>", ours) == re.findall(r">([^<]+)</text>", svg)
    assert ours.count("<path") == svg.count("<path")
    clips = [re.sub(r"<dc:date>.*?</dc:date>", "", text) for text in (ours, svg)]
    clips = [re.sub(r"p[0-9a-f]{10}|m[0-9a-f]{10}", "", text) for text in clips]
    np.testing.assert_allclose(numbers(clips[0]), numbers(clips[1]), atol=1.5)


def test_another_ending_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needed a file ending in .png, .svg or .pdf"):
        write_figure(lambda: pytest.fail("drawn"), [tmp_path / "f.png", tmp_path / "f.jpg"])
    with pytest.raises(InputError, match="cannot write .*: No such file or directory"):
        write_figure(drawn, [tmp_path / "missing" / "f.png"])
