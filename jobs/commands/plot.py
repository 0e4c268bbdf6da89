"""Draw a store's figure.

nearfield plot fig1.zarr -o fig1.png
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import xarray

import engine
from engine import InputError, Sweep
from engine.store.results import task_seconds
from jobs.cli import named
from jobs.cli.options import StoreArgument
from jobs.show import generic_figure


def command(
    path: StoreArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")],
) -> None:
    """The figure that belongs to the store's sweep, or one line per series for a sweep of your own."""
    results = with_times(engine.open_results(path), path)
    draw_results(results, presented(results), [output])
    print(f"drawn: {output}")


def with_times(results: xarray.Dataset, path: str | os.PathLike[str]) -> xarray.Dataset:
    """The results with what their realizations took, as `seconds_per_realization`: some figures are of time."""
    return results.assign_coords(seconds_per_realization=task_seconds(path))


def presented(results: xarray.Dataset) -> Sweep | None:
    """The named sweep that knows how to present these results: the one they came from, if they have its axes."""
    sweep = named.at_hand(results.attrs["name"])
    return sweep if sweep and list(sweep.axes) == list(json.loads(results.attrs["axes"])) else None


def draw_results(results: xarray.Dataset, sweep: Sweep | None, outputs: list[Path]) -> None:
    """Write the sweep's figure of the results to every file, or one line per series if it has none."""
    own = sweep.figure if sweep else None
    write_figure(lambda: (own or generic_figure.means_against_first_axis)(results), outputs)


def write_figure(figure: Callable[[], Any], outputs: list[Path]) -> None:
    """Draw a figure into every file, in the format of its ending."""
    for output in outputs:
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"output: given {str(output)!r}, needed a file ending in .png, .svg or .pdf")
    require_matplotlib()
    drawn = figure()
    for output in outputs:
        try:
            drawn.savefig(output, dpi=200)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from None


def require_matplotlib() -> None:
    """One line for who lacks the extra, before a long run rather than after it."""
    try:
        import matplotlib
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'nearfield[plot]'") from None
    matplotlib.use("agg")
