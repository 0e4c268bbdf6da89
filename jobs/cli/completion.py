"""What a shell offers when Tab is pressed: names of sweeps, fields with their values, stores.

`nearfield --install-completion` puts typer's script into the shell's start file. What is offered is found as commands
find it, and only when it is asked for. Bash cuts words at ':' and '=', which names and settings have: its words are put
together again, and it is told the part that it has not.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from engine.errors import InputError, NearfieldError

VARIABLE = "_NEARFIELD_COMPLETE"
_CUTS = (":", "=")
_PROGRAM = "nearfield"  # also where it is called as a module, which shells do not complete
_QUESTIONS = "(complete|source)_(bash|zsh|fish|powershell|pwsh)"


def answer(app: Callable[..., Any]) -> None:
    """A shell's question, which is in the environment. Raises InputError for one that no shell asks."""
    if not re.fullmatch(_QUESTIONS, os.environ[VARIABLE]):
        raise InputError(f"{VARIABLE} is {os.environ[VARIABLE]!r}, which is no shell's question: unset it")
    if os.environ[VARIABLE] != "complete_bash":
        app(prog_name=_PROGRAM)
        return
    cut = _joined()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            app(prog_name=_PROGRAM)
    finally:
        sys.stdout.write("".join(line.removeprefix(cut) for line in said.getvalue().splitlines(keepends=True)))


def _joined() -> str:
    """Puts the words of Bash together again, in the environment; what the last one begins with that Bash keeps."""
    words, number = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if not number.isdecimal():
        raise InputError(f"{VARIABLE} is set, and no shell asks (COMP_CWORD is {number!r}): unset it")
    at = int(number)
    whole: list[str] = []
    follows = False
    for word in words[: at + 1]:
        if whole and (follows or word in _CUTS):
            whole[-1] += word
        else:
            whole.append(word)
        follows = word in _CUTS
    last = whole[-1] if len(words) > at else ""
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(whole), str(len(whole) - 1)
    return re.sub("[^:=]*$", "", last)


def sweeps(incomplete: str) -> list[str]:
    """Named sweeps, of one family where that is typed already."""
    from jobs.cli.families import families, offered

    family, colon, _ = incomplete.partition(":")
    asked = [family] if colon else families()
    return _offered(
        lambda: [name for one in asked if one in families() for name in offered(one, _sweep_class())], incomplete
    )


def trainings(incomplete: str) -> list[str]:
    """What `nearfield train` can train."""
    from jobs.cli import offers

    return _offered(lambda: list(offers.trainable()), incomplete)


def fields(ctx: typer.Context, incomplete: str) -> list[str]:
    """`field=value` of the sweep that is named before: each with the value that it has, or those that one may have."""
    name = next((word for word in ctx.args if ":" in word), "")  # what is parsed of a line whose last option is open
    return _offered(lambda: _settings(name, incomplete), incomplete) if name else []


def stores(incomplete: str) -> list[str]:
    """Stores in the folder that is typed so far, and one below; the shell offers its own files where there are none."""
    folder, _, begun = incomplete.rpartition("/")
    start = f"{folder}/" if folder or incomplete.startswith("/") else ""
    try:
        found = [path for pattern in ("", "*/") for path in Path(start or ".").glob(f"{pattern}*/zarr.json")]
    except (OSError, ValueError):
        return []
    whole = [path.parent for path in found if not (path.parent.parent / "zarr.json").exists()]  # not a store's arrays
    named = [path.relative_to(start or ".").as_posix() for path in whole]
    return sorted(f"{start}{name}" for name in named if name.startswith(begun) and name != ".")


def _offered(find: Callable[[], list[str]], incomplete: str) -> list[str]:
    """What begins as typed; nothing, rather than a complaint in the middle of a line, where nothing can be found."""
    try:
        return [text for text in find() if text.startswith(incomplete)]
    except NearfieldError:
        return []


def _sweep_class() -> Any:
    from engine import Sweep

    return Sweep


def _settings(name: str, incomplete: str) -> list[str]:
    from jobs.cli import named

    scenario = named.find(name).scenario
    begun, equals, _ = incomplete.partition("=")
    if equals and begun in type(scenario).model_fields:
        return [f"{begun}={value}" for value in _allowed(type(scenario).model_fields[begun].annotation)]
    return [f"{field}={_text(scenario.stored_value(field))}" for field in type(scenario).model_fields]


def _allowed(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return list(map(str, get_args(annotation)))
    return ["true", "false"] if annotation is bool else []


def _text(value: Any) -> str:
    """A value as `--set` takes it; empty for what has no short text."""
    values = value if isinstance(value, list) else [value]
    plain = all(isinstance(one, bool | int | float | str) for one in values)
    return ",".join(map(str, values)) if plain and len(values) < 9 else ""
