"""A finished store in few objects.

nearfield compact fig1.zarr
nearfield compact fig1.zarr --undo
"""

from typing import Annotated

import typer

from engine.store.compact import compact, expand
from jobs.cli.options import StoreArgument


def command(
    path: StoreArgument,
    undo: Annotated[bool, typer.Option("--undo", help="One object a chunk again, so that the store can grow.")] = False,
) -> None:
    """Rewrite a finished store into few objects, checked against its receipts before the old ones go.

    Every reader reads it as before. It cannot grow until --undo spreads it again. Stopped at any moment, it is whole;
    the same again finishes.
    """
    if undo:
        dropped = expand(path)
        said = f"; {dropped} tasks were damaged, and are computed again by: nearfield run --store {path}"
        print(f"{path} has an object for each chunk{said if dropped else ''}")
        return
    before, after = compact(path)
    print(f"{path}: {after} objects, {before} before")
