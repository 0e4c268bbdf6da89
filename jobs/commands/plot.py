"""Draw a store's figure, or any of its variables against any of its dimensions.

nearfield plot fig1.zarr -o fig1.png
nearfield plot fig3.zarr -o rmse.png --metric rmse_range_m --x noise_dbm --hue estimator --panel n_sensors
nearfield plot fig3.zarr -o medians.svg --metric median:squared_error_range_m2 --point n_snapshots=50 --logy
"""

from pathlib import Path
from typing import Annotated

import typer

import engine
from jobs.cli import named
from jobs.cli.options import StoreArgument
from jobs.show.drawing import write_figure
from jobs.show.presentation import Presentation


def command(
    path: StoreArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")],
    metric: Annotated[
        list[str], typer.Option(metavar="METRIC", help="VARIABLE, STATISTIC:VARIABLE or rmse_range_m; one a row.")
    ] = [],  # noqa: B006  typer copies it
    x: Annotated[str, typer.Option(metavar="DIMENSION", help="Along the horizontal axis.")] = "",
    hue: Annotated[str, typer.Option(metavar="DIMENSION", help="Told apart by colour and marker.")] = "",
    panel: Annotated[list[str], typer.Option(metavar="DIMENSION", help="A panel for each value.")] = [],  # noqa: B006
    point: Annotated[list[str], typer.Option(metavar="DIMENSION=VALUE", help="Draw this value alone.")] = [],  # noqa: B006
    logy: Annotated[
        bool | None, typer.Option("--logy/--no-logy", help="Vertical axis; by the values if left out.")
    ] = None,
) -> None:
    """The figure that belongs to the store's sweep; with any option, or for a sweep of your own, any variable's.

    Then the numeric dimension of most values is on x, others are told apart by colour and marker, or by panel. A
    METRIC's STATISTIC is mean, median, rmse or standard_deviation.
    """
    presentation = Presentation(engine.open_results(path), path)
    wants = any((metric, x, hue, panel, point, logy is not None))

    def figure() -> object:
        if not wants:
            return presentation.figure()
        from jobs.show.generic_figure import figure_of
        from jobs.show.placement import Asked, at_point

        results = at_point(presentation.results, named.point(point))
        return presentation.told(figure_of(results, asked=Asked(x, hue, panel), metrics=metric, log_y=logy))

    write_figure(figure, [output])
    print(f"drawn: {output}")
