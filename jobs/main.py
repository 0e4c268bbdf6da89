"""The command line: one subcommand a file, and one line for every error a user can make."""

import os
import signal
import sys
from pathlib import Path

import typer
from pydantic import ValidationError
from typer.exceptions import TyperException

from engine import InputError, NearfieldError, TaskError
from engine.scenario import one_line
from jobs.commands import bench, convergence, locate, plot, replay, report, reproduce, run, status, train, verify
from jobs.commands import list as list_sweeps
from jobs.commands import map as leakage_map
from jobs.commands import scene as ris_scene

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Monte Carlo studies of near-field localization: run, resume, plot and check them.",
)
app.command("list")(list_sweeps.command)
app.command("run")(run.command)
app.command("status")(status.command)
app.command("plot")(plot.command)
app.command("report")(report.command)
app.command("reproduce")(reproduce.command)
app.command("replay")(replay.command)
app.command("verify")(verify.command)
app.command("train")(train.command)
app.command("locate")(locate.command)
app.command("map")(leakage_map.command)
app.command("scene")(ris_scene.command)
app.command("convergence")(convergence.command)
app.command("bench")(bench.command)

_INTERRUPTED, _TERMINATED = 130, 143
_STOPPED = "stopped; what was finished is kept, the same command continues"


def main() -> None:
    """Run the command line; exit code 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM, 1 for what else went wrong."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.path.append(os.getcwd())  # module:attribute names what lies beside the user; last, so that it hides nothing
    try:
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except NearfieldError as error:
        code = _failed(str(error), error.exit_code)
        if isinstance(error, TaskError):
            _note_traceback(error)
    except ValidationError as error:
        code = _failed(one_line(error), InputError.exit_code)
    except TyperException as error:
        code = _failed(f"{error.format_message().rstrip('.')}; see 'nearfield --help'", error.exit_code)
    except MemoryError as error:
        code = _failed(f"out of memory ({error}): choose fewer elements, sensors, or realizations in a block", 1)
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        code = _failed(_STOPPED, _INTERRUPTED)
    except SystemExit as stop:
        if stop.code != signal.SIGTERM:
            raise
        code = _failed(_STOPPED, _TERMINATED)
    sys.exit(code)


def _terminate(number: int, _: object) -> None:
    """What Ray makes of SIGTERM too, once it runs: a batch system's or `ray job stop`'s way to say Ctrl-C."""
    sys.exit(number)


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
