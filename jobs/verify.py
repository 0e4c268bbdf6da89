"""Check every stored chunk against its receipt.

nearfield verify fig1.zarr
nearfield verify fig1.zarr --repair
"""

from typing import Annotated

import typer

from engine.results import Problem, forget, verify
from jobs.options import StoreArgument


def command(
    path: StoreArgument,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Withdraw damaged chunks, so that the next run computes them again."),
    ] = False,
) -> None:
    """Read all chunks and receipts; exit code 1 if any is damaged."""
    checked, problems = 0, []
    for item in verify(path):
        if isinstance(item, Problem):
            problems.append(item)
            print(f"damaged: {item.chunk}: {item.what}")
        else:
            checked += 1
    print(f"{checked} receipts checked, {len(problems)} damaged chunks")
    if problems and repair:
        for problem in problems:
            forget(problem)
        print(f"withdrawn; continue with: nearfield run --store {path}")
    if problems:
        raise typer.Exit(1)
