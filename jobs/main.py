"""The command line: the files of jobs/commands/, and one line for every error a user can make."""

import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Annotated, ClassVar

import typer
from typer.exceptions import TyperException

from engine.errors import InputError, NearfieldError, TaskError
from jobs import commands
from jobs.cli import completion
from jobs.cli.found_commands import CommandFolder


class _Commands(CommandFolder):
    folder: ClassVar[ModuleType] = commands


app = typer.Typer(
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Monte Carlo studies of near-field localization: run, resume, plot and check them.",
)

_INTERRUPTED, _TERMINATED = 130, 143
_STOPPED = "stopped; what was finished is kept, the same command continues"

_asked: list[int] = []
"""Exit codes of what has asked to stop: libraries may make another error of it, as numba does while it compiles."""


def _say_version(wanted: bool) -> None:
    if wanted:
        from engine import provenance

        commit, plus, dirty = provenance.commit().partition("+")
        print(f"nearfield {provenance.version()}, commit {commit[:12]}{plus}{dirty}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show version and commit and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(InputError.exit_code)


def main() -> None:
    """Run the command line; exit code 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM, 1 for what else went wrong."""
    _asked.clear()
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _interrupt)
    _speak_any_language()
    with suppress(FileNotFoundError):  # a folder that was deleted
        sys.path.append(os.getcwd())  # module:attribute names what lies beside the user; last, so that it hides nothing
    try:
        if completion.VARIABLE in os.environ:
            completion.answer(app)
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written is told while it can be
    except BaseException as error:
        code = _failed(_STOPPED, _asked[0]) if _asked else _told(error)
    _leave_quietly()
    sys.exit(code)


def _leave_quietly() -> None:
    """What standard output could not take has been told; Python would complain of it once more at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _speak_any_language() -> None:
    """What a terminal cannot show is replaced: × in ASCII, or a byte of a path that is no text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _told(error: BaseException) -> int:
    """One line of an error that a user can make, and the exit code; any other is raised again."""
    match error:
        case NearfieldError():
            code = _failed(str(error), error.exit_code)
            if isinstance(error, TaskError):
                _note_traceback(error)
            return code
        case TyperException():
            return _failed(f"{error.format_message().rstrip('.')}; see 'nearfield --help'", error.exit_code)
        case MemoryError():
            return _failed(f"out of memory ({error}): choose fewer elements, sensors, or realizations in a block", 1)
        case BrokenPipeError():
            sys.stderr.close()
            return 1
        case KeyboardInterrupt() | typer.Abort():
            return _failed(_STOPPED, _INTERRUPTED)
        case SystemExit(code=signal.SIGTERM):
            return _failed(_STOPPED, _TERMINATED)
        case OSError():
            return _failed(_system_line(error), 1)
        case UnicodeEncodeError():
            return _failed(
                f"given {error.object[:80]!r}, needed text: a byte of it is no character", InputError.exit_code
            )
        case ValueError():
            return _failed(_validation_line(error), InputError.exit_code)
        case _:
            raise error


def _system_line(error: OSError) -> str:
    """What the system refused, and with which file."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}: mend that, and give the same command again"


def _validation_line(error: ValueError) -> str:
    """What pydantic complains of; any other error is raised again. Imported here, as few commands need pydantic."""
    from pydantic import ValidationError

    from engine.scenario import one_line

    if not isinstance(error, ValidationError):
        raise error
    return one_line(error)


def _terminate(number: int, _: object) -> None:
    """What Ray makes of SIGTERM too, once it runs: a batch system's or `ray job stop`'s way to say Ctrl-C."""
    _asked.append(_TERMINATED)
    sys.exit(number)


def _interrupt(_: int, __: object) -> None:
    _asked.append(_INTERRUPTED)
    raise KeyboardInterrupt


def _failed(message: str, code: int) -> int:
    print("nearfield: " + " ".join(message.split()), file=sys.stderr)
    return code


def _note_traceback(error: TaskError) -> None:
    """Keep the worker's traceback for the scenario's author, out of everybody else's way."""
    if error.details:
        path = Path("nearfield-traceback.txt")
        try:
            path.write_text(error.details)
        except OSError:  # a full disk or a read-only folder: the one line has been said
            return
        print(f"nearfield: the worker's traceback is in {path.absolute()}", file=sys.stderr)
