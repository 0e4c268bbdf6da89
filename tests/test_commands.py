"""Commands are found in their folder, and each imports what it needs and no more."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toy

import engine
from jobs import commands
from jobs import main as command_line
from jobs.cli.found_commands import FoundCommands

ROOT = Path(engine.__file__).parent.parent
HEAVY = ("numba", "ray", "torch", "matplotlib", "xarray", "pandas", "scipy", "shapely", "sionna", "safetensors")
NAMES = ("list", "run", "status", "plot", "reproduce", "replay", "verify", "report", "train", "bench")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are commands beside the others."""
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def nearfield(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def imported(names: tuple[str, ...], *words: str) -> str:
    """Which of these modules `nearfield WORDS` imports, in a process of its own, as a list's text."""
    code = f"""
import contextlib, io, sys
sys.argv = ["nearfield", *{words!r}]
from jobs.main import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code
print([name for name in {names!r} if name in sys.modules])
"""
    return subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip()


def test_a_new_file_is_a_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "greet.py").write_text(
        '"""Greet."""\n\n\ndef command(name: str, loud: bool = False) -> None:\n'
        '    """Say\n    hello.\n\n    Once."""\n'
        "    print(f'hello {name}' + '!' * loud)\n"
    )
    assert nearfield("greet", "you", "--loud", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "hello you!\n"
    assert nearfield("greet", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "nearfield: Missing argument 'name'; see 'nearfield --help'\n"
    assert nearfield("greet", "--help", monkeypatch=monkeypatch) == 0
    assert "Once." in capsys.readouterr().out
    assert nearfield("--help", monkeypatch=monkeypatch) == 0
    assert re.search(r"^  greet +Say hello\.$", capsys.readouterr().out, re.MULTILINE)


def test_the_list_imports_no_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed from its text, though it cannot be imported; files with an underscore are no commands."""
    text = 'import nothing_of_this_name\n\n\ndef command() -> None:\n    """Cannot be imported."""\n'
    for name in ("broken.py", "_private.py"):
        (folder / name).write_text(text)
    assert nearfield("--help", monkeypatch=monkeypatch) == 0
    listed = capsys.readouterr().out
    assert "  broken       Cannot be imported." in listed
    assert "_private" not in listed
    with pytest.raises(ModuleNotFoundError):
        command_line.app(["broken"])


def test_a_file_without_a_command_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "nothing.py").write_text("helper = 1\n")
    assert nearfield("nothing", monkeypatch=monkeypatch) == 2
    assert f"{folder / 'nothing.py'} has no function 'command': write one" in capsys.readouterr().err


def test_help_says_what_each_command_says_of_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = FoundCommands(commands)
    assert set(NAMES) <= set(found)
    assert list(found) == sorted(found)
    assert len(found) == len(list(found))
    monkeypatch.setenv("COLUMNS", "300")
    assert nearfield("--help", monkeypatch=monkeypatch) == 0
    listed = " ".join(capsys.readouterr().out.split())
    for name in found:
        module = importlib.import_module(f"jobs.commands.{name}")
        assert module.__doc__, name
        about = " ".join((inspect.getdoc(module.command) or "").partition("\n\n")[0].split())
        assert about, name
        assert f"{name} {about}" in listed


@pytest.mark.parametrize("name", ["main", "__init__", "list.py", "../main", "cli.named", ""])
def test_only_files_of_the_folder_are_commands(name: str) -> None:
    assert name not in FoundCommands(commands)


def test_without_words_it_is_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearfield(monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n  run ") == 1


@pytest.mark.parametrize(("typed", "meant"), [("statsu", "status"), ("reprodcue", "reproduce"), ("bnech", "bench")])
def test_a_typo_is_told_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield(typed, monkeypatch=monkeypatch) == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'" in capsys.readouterr().err


def test_version_and_commit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.provenance.commit", lambda: "0123456789abcdef+dirty")
    monkeypatch.setattr("engine.provenance.version", lambda: "3.1.4")
    assert nearfield("--version", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "nearfield 3.1.4, commit 0123456789ab+dirty\n"


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_import_nothing(word: str) -> None:
    more = ("numpy", "pydantic", "zarr", "rich.markdown", "scenarios", "jobs.cli.named", "jobs.commands.run")
    assert imported((*HEAVY, *more), word) == "[]"


def test_a_commands_help_imports_that_one() -> None:
    names = ("jobs.commands.replay", "jobs.commands.run", "jobs.commands.train")
    assert imported(names, "replay", "--help") == "['jobs.commands.replay']"  # which shows that the others could be


def test_list_imports_no_more_than_sweeps_are_made_of() -> None:
    assert imported((*HEAVY, "zarr", "scenarios.ris"), "list") == "['scenarios.ris']"


def test_status_reads_without_what_draws_and_summarises(tmp_path: Path) -> None:
    engine.run(toy.small, tmp_path / "s.zarr", serial=True)
    assert imported((*HEAVY, "zarr", "scenarios.ris"), "status", str(tmp_path / "s.zarr")) == "['zarr']"
