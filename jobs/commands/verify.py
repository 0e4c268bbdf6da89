"""Check every object of a store.

nearfield verify fig1.zarr
nearfield verify fig1.zarr --repair
"""

import os
from typing import Annotated

import typer

from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair as mend
from jobs.cli.options import StoreArgument


def command(
    path: StoreArgument,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Withdraw damaged chunks, so that the next run computes them again."),
    ] = False,
) -> None:
    """Read all chunks, receipts and coordinates; exit code 1 if any is damaged, or if something else lies there."""
    checked = 0
    problems: list[Problem] = []
    litter: list[Litter] = []
    for item in verify(path, processes=os.cpu_count() or 1):
        if isinstance(item, Problem):
            problems.append(item)
            print(f"damaged: {item.chunk}: {item.what}")
        elif isinstance(item, Litter):
            litter.append(item)
        else:
            checked += 1
    partial = f", {len(litter)} objects that killed writers left" if litter else ""
    print(f"{checked} receipts checked, {len(problems)} damaged objects{partial}")
    if repair and (problems or litter):
        left = mend(path, [*problems, *litter])
        print(f"withdrawn; continue with: nearfield run --store {path}" if len(left) < len(problems) else "cleaned")
    if problems:
        raise typer.Exit(1)
