"""Draw a store's figure.

nearfield plot fig1.zarr -o fig1.png
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import xarray

import engine
from engine import InputError
from jobs import generic_figure, named
from jobs.options import StoreArgument


def command(
    path: StoreArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")],
) -> None:
    """The figure that belongs to the store's sweep, or one line per series for a sweep of your own."""
    results = engine.open_results(path)
    draw(results, figure_of(results), [output])
    print(f"drawn: {output}")


def figure_of(results: xarray.Dataset) -> Callable[[xarray.Dataset], Any]:
    """The named sweep's own figure where the results have its axes, else the generic one."""
    try:
        sweep = named.find(results.attrs["name"])
    except InputError:  # the study's module is not at hand: its numbers still are
        return generic_figure.means_against_first_axis
    if sweep.figure is None or list(sweep.axes) != list(json.loads(results.attrs["axes"])):
        return generic_figure.means_against_first_axis
    return sweep.figure


def draw(results: xarray.Dataset, figure: Callable[[xarray.Dataset], Any], outputs: list[Path]) -> None:
    """Write a figure of the results to every file, in the format of its ending."""
    for output in outputs:
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"output: given {str(output)!r}, needed a file ending in .png, .svg or .pdf")
    try:
        import matplotlib

        matplotlib.use("agg")
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'nearfield[plot]'") from None
    drawn = figure(results)
    for output in outputs:
        try:
            drawn.savefig(output, dpi=200)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from None
