"""A store may name a module of the user's own, which is one that was run by its name; and no other."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs import main as command_line
from jobs.cli import own_modules

HERE = Path(__file__).parent
STUDY = """
from pathlib import Path
import toy
Path({mark!r}).touch()


class Mine(toy.Toy):
    pass


def drawn(results):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.text(0.5, 0.5, "my own figure")
    return figure


sweep = toy.small.replace(scenario=Mine(), realizations=8, name="", figure=drawn)
"""
Say = Callable[[str], int]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """A folder with mystudy.py and package/wide.py, and a command line that has imported neither."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    work = tmp_path / "work"
    (work / "folder" / "package").mkdir(parents=True)
    (work / "mystudy.py").write_text(STUDY.format(mark=str(tmp_path / "ran")))
    (work / "folder" / "package" / "__init__.py").write_text("")
    (work / "folder" / "package" / "wide.py").write_text(STUDY.format(mark=str(tmp_path / "ran")))
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(HERE))

    def nearfield(words: str) -> int:
        forget()
        with monkeypatch.context() as here:
            here.setattr(sys, "path", list(sys.path))
            here.setattr(sys, "argv", ["nearfield", *words.split()])
            with pytest.raises(SystemExit) as stopped:
                command_line.main()
        (tmp_path / "ran").unlink(missing_ok=True) if words.startswith("run") else None
        return int(stopped.value.code or 0)

    yield nearfield
    forget()


def forget() -> None:
    for name in ("mystudy", "folder", "folder.package", "folder.package.wide"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("module", ["mystudy", "folder.package.wide"])
def test_what_was_run_by_name_is_found_again(study: Say, tmp_path: Path, module: str) -> None:
    assert study(f"run {module}:sweep --store s.zarr --serial") == 0
    assert not (tmp_path / "ran").exists()
    assert study("replay s.zarr --index 7 --point offset=1") == 0
    assert (tmp_path / "ran").exists()
    assert study("plot s.zarr -o s.svg") == 0
    assert "my own figure" in Path("s.svg").read_text()
    assert study("report s.zarr -o s.html") == 0


def test_what_was_not_is_left_alone(
    study: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store and a module that somebody sent, in one folder; or a file elsewhere under the same name."""
    assert study("run mystudy:sweep --store s.zarr --serial") == 0
    sent = tmp_path / "sent"
    sent.mkdir()
    Path("s.zarr").rename(sent / "s.zarr")
    (sent / "mystudy.py").write_text(Path("mystudy.py").read_text())
    monkeypatch.chdir(sent)
    assert study("plot s.zarr -o s.svg") == 0
    assert "my own figure" not in Path("s.svg").read_text()
    assert study("report s.zarr -o s.html") == 0
    capsys.readouterr()
    assert study("replay s.zarr --index 7 --point offset=1") == 2
    assert "--import mystudy" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert study("replay s.zarr --index 7 --point offset=1 --import mystudy") == 0


def test_a_module_of_ones_own_that_is_broken_is_one_line(
    study: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study("run mystudy:sweep --store s.zarr --serial") == 0
    Path("mystudy.py").write_text("import nothing_of_this_name\n")
    said = "cannot import 'mystudy': No module named 'nothing_of_this_name'"
    capsys.readouterr()
    assert study("plot s.zarr -o s.svg") == 0
    assert capsys.readouterr().err == f"nearfield: {said}; a general figure is drawn\n"
    assert study("report s.zarr -o s.html") == 0
    assert "Cannot import" in Path("s.html").read_text()
    assert study("replay s.zarr --index 7 --point offset=1") == 2
    assert said in capsys.readouterr().err


def test_the_list_may_be_unwritable_damaged_or_long(
    study: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert study("run mystudy:sweep --store s.zarr --serial") == 0
    assert not own_modules.is_own("mystudy")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    listed = tmp_path / "state/nearfield/modules"
    listed.parent.mkdir(parents=True)
    listed.write_bytes(b"\xff\xfe")
    assert not own_modules.is_own("mystudy")
    monkeypatch.setattr(own_modules, "_MOST_LINES", 3)
    listed.write_text("a\nb\nc\n")
    for _ in range(2):
        assert study("run mystudy:sweep --store t.zarr --serial") == 0
    assert listed.read_text().splitlines() == ["b", "c", str(Path("mystudy.py").resolve())]
    assert list(listed.parent.iterdir()) == [listed]


@pytest.mark.parametrize("name", ["", ".", "..", "os", "engine", "nowhere", "folder", "folder.nothing", "../mystudy"])
def test_what_is_no_module_of_the_users(study: Say, name: str) -> None:
    assert not own_modules.is_own(name)
