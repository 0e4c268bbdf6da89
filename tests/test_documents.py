"""Every command that a document shows: understood whole, and README's run in order in a reduced form.

The rules. A command that computes a sweep, or trains, is called as it stands, up to the first thing that it would
compute: its words, fields, axes, budgets and targets have then been read, applied together and validated. One that only
reads files is parsed with its own types. README's commands on stores are run as they stand, but that `run` computes in
this process, with the fields of SMALLER and the realizations of FEWER in place of thousands.
"""

import contextlib
import itertools
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import engine
from engine import Sweep
from jobs import main as command_line
from scenarios import leakage

ROOT = Path(engine.__file__).parent.parent
DOCUMENTS = sorted(path for folder in (".", "deploy", "docs") for path in (ROOT / folder).glob("*.md"))
COMPUTING = ("run", "reproduce", "train", "show")
MADE_BEFORE = ("data.zarr", "checkpoints/multipath-conditioned", "city.gpkg")
"""what earlier lines make in hours, or a city has: a command that takes it is parsed"""
SMALLER = {"leakage:fig3": ("n_elements=16", "grid_ranges=12", "grid_angles=24")}
FEWER = {"4000": "50", "8000": "100", "100000": "50"}


def commands_of(document: Path) -> list[list[str]]:
    """The words after `nearfield` of every command in a block of shell, and in the text, where it is whole."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = spans_of(text)
    lines += [span for span in spans if span.startswith("nearfield ") and is_whole(span)]
    lines += [f"nearfield reproduce leakage:fig1 {span}" for span in spans if span.startswith("--set prior")]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        starts = [i for i, word in enumerate(words[:-1]) if Path(word).name == "nearfield"]
        if starts:
            found.append(words[starts[-1] + 1 :])
    return found


def spans_of(text: str) -> list[str]:
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def is_whole(span: str) -> bool:
    """No mere name of a command, no `…`, and no NAME that stands for any."""
    return len(span.split()) > 2 and "…" not in span and not re.search(r"\b[A-Z]{4,}\b", span)


SHOWN = [
    pytest.param(words, id=f"{document.stem}: {' '.join(words)}")
    for document in DOCUMENTS
    for words in commands_of(document)
]


class ReachedError(Exception):
    """A command would now compute this."""


@pytest.fixture
def stops_before_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.commands import reproduce, run, train
    from jobs.show import estimate

    def reached(what: Any, *_: Any, **__: Any) -> Iterator[Any]:
        raise ReachedError(what)

    for module, name in ((run, "watch"), (reproduce, "watch"), (train, "_trained"), (estimate, "estimated"),
                         (estimate, "print_estimate")):  # fmt: skip
        monkeypatch.setattr(module, name, reached)
    monkeypatch.setattr(engine, "load_sweep", lambda path: leakage.fig1)


@pytest.mark.parametrize("words", SHOWN)
@pytest.mark.usefixtures("stops_before_computing")
def test_every_command_is_understood(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = tmp_path / "scenarios/places"
    places.mkdir(parents=True)
    for copy in (places / "college.geojson", tmp_path / "place.geojson"):
        shutil.copy(ROOT / "scenarios/places/college.geojson", copy)
    group = typer.main.get_command(command_line.app)
    name, *rest = words
    made = any(part in word for word in rest for part in MADE_BEFORE)
    own = any(word.startswith("mystudy:") for word in rest)  # test_tutorial.py runs these
    gpu = "gpu" in rest
    if name not in COMPUTING or made or own or gpu:
        with contextlib.suppress(typer.Exit):  # of an option that does something at once, as --template
            group.get_command(None, name).make_context(name, rest)
        return
    with pytest.raises(ReachedError) as reached:
        command_line.app(words, standalone_mode=False)
    if name in ("run", "reproduce"):
        sweep = reached.value.args[0]
        assert isinstance(sweep, Sweep)
        for option, text in itertools.pairwise(rest):  # what is set is set
            field, _, value = text.partition("=")
            if option == "--axis":
                assert len(sweep.axes[field]) == value.count(",") + 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_that_are_named_are_there(document: Path) -> None:
    named = [
        span.split()[1] for span in spans_of(document.read_text(encoding="utf-8")) if span.startswith("nearfield ")
    ]
    group = typer.main.get_command(command_line.app)
    assert {name for name in named if not name.startswith("-")} <= set(group.commands)


def test_the_documents_show_commands() -> None:
    """As many as there are: a rule that finds none would prove nothing."""
    assert len(SHOWN) > 60
    readme = commands_of(ROOT / "README.md")
    settings = ["prior_information=exact", "prior_alpha=3", "prior_beta=3"]
    assert ["reproduce", "leakage:fig1", *(word for text in settings for word in ("--set", text))] in readme
    assert ["plot", "wide.zarr", "-o", "wide.png"] in readme
    assert ["reproduce", "leakage:fig1-as-printed"] in readme
    assert {words[0] for words in readme} >= {
        "run",
        "reproduce",
        "train",
        "show",
        "map",
        "report",
        "export",
        "calibrate",
    }


@pytest.mark.slow
def test_readmes_commands_on_stores_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for words in commands_of(ROOT / "README.md"):
        on_a_store = any(word in ("wide.zarr", "fig3.zarr") for word in words)
        if not on_a_store and words[0] not in ("list", "map"):
            continue
        words = [FEWER.get(word, word) for word in words]
        if words[0] == "run" and "--dry-run" not in words:
            words += ["--serial", *(f"--set={field}" for field in SMALLER.get(words[1], ()))]
        monkeypatch.setattr(sys, "argv", ["nearfield", *words])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code, (words, capsys.readouterr().err)
        ran.append(words[0])
    assert {"list", "map", "run", "status", "plot", "replay", "verify", "export", "report"} <= set(ran)
    assert ran.count("run") == 4
    printed = capsys.readouterr().out
    assert "equal bit for bit" in printed
    assert "0 damaged objects" in printed
    assert {"wide.png", "wide.nc", "report.html"} <= {path.name for path in tmp_path.iterdir()}
