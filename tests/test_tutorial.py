"""The tutorial's blocks, run from top to bottom in an empty folder."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

import engine
from jobs import main as command_line

TUTORIAL = Path(engine.__file__).parent.parent / "docs/tutorial.md"


def run_shell(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    assert words[0] == "nearfield", line
    if words[1] in ("run", "reproduce"):
        words.append("--serial")  # the same bits, without Ray's start
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert not stopped.value.code, line


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "mystudy", raising=False)  # other tests have studies of that name
    blocks = re.findall(r"```(\w+)\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    state: dict[str, object] = {}
    for language, text in blocks:
        first = text.splitlines()[0]
        if language == "python" and (name := re.fullmatch(r"# (\w+\.py)", first)):
            Path(name[1]).write_text(text)
        elif language == "python":
            Path("block.py").write_text(text)
            state = runpy.run_path("block.py", init_globals=state)
        elif first != "# on a cluster":
            assert language == "sh"
            for line in text.splitlines():
                run_shell(line, monkeypatch)
    printed = capsys.readouterr()
    assert "4000/4000 realizations" in printed.err
    assert "equal bit for bit" in printed.out
    assert "20 receipts checked, 0 damaged objects" in printed.out
    assert {path.name for path in tmp_path.glob("*.png")} == {"wide.png", "mystudy.png", "rmse.png"}
    assert (tmp_path / "results/leakage-fig1.png").stat().st_size > 50_000
