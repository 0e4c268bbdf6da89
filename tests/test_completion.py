"""What Tab offers, asked as bash, zsh and fish ask; bash itself, where it is there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import toy
from test_commands import HEAVY, imported

import engine
from jobs import commands
from jobs import main as command_line
from jobs.cli import completion
from jobs.cli.found_commands import FoundCommands
from scenarios import leakage

ROOT = Path(engine.__file__).parent.parent


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """What is offered for the last word; by fish's protocol, which cuts no words, if no other is named."""

    def ask(*words: str, shell: str = "fish") -> list[str]:
        asked = {
            completion.VARIABLE: f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": " ".join(("nearfield", *words)),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": "\n".join(("nearfield", *words)),
            "COMP_CWORD": str(len(words)),
        }
        for name, value in asked.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["nearfield"])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code
        printed = capsys.readouterr()
        assert printed.err == ""
        return [line.partition("\t")[0] for line in printed.out.splitlines() if line]

    return ask


Ask = Callable[..., list[str]]


def test_commands_and_options(offered: Ask) -> None:
    assert offered("re") == ["replay", "report", "reproduce"]
    assert set(offered("")) == set(FoundCommands(commands))
    assert {"--set", "--store", "--serial", "--seed"} <= set(offered("reproduce", "--s"))
    assert offered("nonsense", "x") == []


@pytest.mark.parametrize("command", ["reproduce", "run"])
def test_names_of_sweeps(offered: Ask, command: str) -> None:
    assert offered(command, "leakage:fig3-l") == ["leakage:fig3-learned", "leakage:fig3-limits"]
    assert {"leakage:fig1", "ris:fig4", "multipath:data"} <= set(offered(command, ""))
    assert offered(command, "nowhere:") == []
    assert offered(command, "r") == [name for name in offered(command, "") if name.startswith("r")]


def test_trainings(offered: Ask) -> None:
    assert "leakage:amortised" in offered("train", "leakage:a")


def test_fields_with_the_values_that_they_have(offered: Ask) -> None:
    assert offered("reproduce", "leakage:fig1", "--set", "prior_a") == ["prior_alpha=2.0"]
    assert offered("run", "leakage:fig1", "--store", "x", "--set", "n_el") == ["n_elements=100"]
    assert offered("show", "leakage:fig1", "--axis", "noise") == ["noise_dbm=-65.0,-70.0,-75.0,-80.0,-85.0"]
    assert offered("show", "leakage:fig1", "--set", "prior_information=") == [
        f"prior_information={value}"
        for value in get_args(leakage.fig1.scenario.__class__.model_fields["prior_information"].annotation)
    ]
    assert offered("show", "leakage:fig1", "--set", "prior_information") == ["prior_information=as_printed"]
    assert offered("show", "leakage:fig1", "--set", "n_elements=") == []  # any number
    assert offered("show", "leakage:fig1", "--set", "nothing=") == []
    assert offered("reproduce", "leakage:nothing", "--set", "n_") == []
    assert offered("run", "--set", "n_") == []


def test_stores_of_a_folder(offered: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.zarr", "results/b.zarr", "results/old.zarr"):
        engine.run(toy.small.replace(realizations=4, chunk=4), tmp_path / name, serial=True)
    (tmp_path / "a.txt").touch()
    (tmp_path / "folder").mkdir()
    assert offered("status", "") == ["a.zarr", "results/b.zarr", "results/old.zarr"]
    assert offered("plot", "results/o") == ["results/old.zarr"]
    assert offered("report", "a.zarr", "res") == ["results/b.zarr", "results/old.zarr"]
    assert offered("merge", "a.zarr", "results/b") == ["results/b.zarr"]
    assert offered("run", "--store", f"{tmp_path}/a") == [f"{tmp_path}/a.zarr"]
    assert offered("status", "nowhere/") == []
    assert offered("status", "folder/") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("reproduce", "leakage", ":", "fig3-l"), ["fig3-learned", "fig3-limits"]),
        (("reproduce", "leak"), None),
        (("show", "leakage", ":", "fig1", "--set", "prior_a"), ["prior_alpha=2.0"]),
        (("show", "leakage", ":", "fig1", "--set", "prior_information", "=", "e"), ["exact"]),
        (("show", "leakage", ":", "fig1", "--set", "n_sensors", "=", "5", "--set", "prior_b"), ["prior_beta=2.0"]),
        (("re",), ["replay", "report", "reproduce"]),
    ],
)
def test_bash_cuts_words_at_colons(offered: Ask, words: tuple[str, ...], expected: list[str] | None) -> None:
    """Bash replaces only what follows its last cut."""
    found = offered(*words, shell="bash")
    assert found == expected if expected is not None else "leakage:fig1" in found


def test_a_colon_alone_is_what_bash_has(offered: Ask) -> None:
    assert "fig1" in offered("reproduce", "leakage", ":", shell="bash")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_runs_the_script_that_is_shown(tmp_path: Path) -> None:
    """The script of `--show-completion`, with a `nearfield` on PATH."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="nearfield", complete_var=completion.VARIABLE, shell="bash")
    program = tmp_path / "nearfield"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom jobs.main import main\nmain()\n"
    )
    program.chmod(0o755)
    asked = (
        f"{script}\nCOMP_WORDS=(nearfield reproduce leakage : fig3-l); COMP_CWORD=4\n"
        '_nearfield_completion nearfield; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fig3-learned fig3-limits", done.stderr


def test_offering_commands_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does completion cost commands that nobody completes: the usual help imports nothing of it."""
    for name, value in (("_NEARFIELD_COMPLETE", "complete_fish"), ("_TYPER_COMPLETE_ARGS", "nearfield r"),
                        ("_TYPER_COMPLETE_FISH_ACTION", "get-args")):  # fmt: skip
        monkeypatch.setenv(name, value)
    code = "import sys; sys.argv = ['nearfield']; from jobs.main import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([name for name in {(*HEAVY, 'numpy', 'jobs.commands.run')!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in ("_NEARFIELD_COMPLETE", "_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION"):
        monkeypatch.delenv(name)
    assert imported(("jobs.cli.families", "numpy"), "--help") == "[]"


def test_no_complaint_reaches_the_line_that_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise engine.InputError("cannot import it")

    assert completion._offered(broken, "") == []
    assert completion.stores("\0/") == []
