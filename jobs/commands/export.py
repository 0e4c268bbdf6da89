"""Take results away, to programs that read no Zarr.

nearfield export fig1.zarr -o fig1.nc
nearfield export fig1.zarr -o means.csv
nearfield export fig1.zarr -o draws.parquet --realizations
"""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import StoreArgument


def command(
    path: StoreArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .nc, .zarr, .csv or .parquet file.")
    ],
    realizations: Annotated[
        bool, typer.Option("--realizations", help="In a table: every realization, not means with intervals.")
    ] = False,
) -> None:
    """Write a store as NetCDF, or its means with intervals, or its realizations, as a table."""
    import engine
    from jobs.show.export import export

    print(f"written: {output}, {export(engine.open_results(path), output, realizations=realizations)}")
