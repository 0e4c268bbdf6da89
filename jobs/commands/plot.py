"""Draw a store's figure.

nearfield plot fig1.zarr -o fig1.png
"""

from pathlib import Path
from typing import Annotated

import typer

import engine
from jobs.cli.options import StoreArgument
from jobs.show.drawing import write_figure
from jobs.show.presentation import Presentation


def command(
    path: StoreArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")],
) -> None:
    """The figure that belongs to the store's sweep, or one line per series for a sweep of your own."""
    write_figure(Presentation(engine.open_results(path), path).figure, [output])
    print(f"drawn: {output}")
