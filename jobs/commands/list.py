"""List the named sweeps.

nearfield list
nearfield list 'ris:*'
nearfield list multipath
"""

from fnmatch import fnmatch
from typing import Annotated

import typer

from engine.errors import InputError
from jobs.cli.named import named_sweeps


def command(
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="A part of the name, or with * and ?.")] = "",
) -> None:
    """The named sweeps of scenarios/, one line each."""
    sweeps = named_sweeps()
    shown = {name: sweep for name, sweep in sweeps.items() if pattern.lower() in name.lower() or fnmatch(name, pattern)}
    if not shown:
        raise InputError(f"no named sweep fits {pattern!r}: 'nearfield list' shows all {len(sweeps)}")
    width = max(map(len, shown))
    for name, sweep in shown.items():
        print(f"{name:{width}}  {sweep.about}")
