"""Stores of one sweep as one file: other seeds are further realizations, other values of an axis further points.

nearfield merge a.zarr b.zarr -o both.nc
nearfield merge seed0.zarr seed1.zarr -o both.zarr
nearfield merge a.zarr b.zarr -o means.csv
"""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli import completion


def command(
    stores: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE STORE…", help="Result stores.", show_default=False, autocompletion=completion.stores
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .nc, .zarr, .csv or .parquet file.")
    ],
) -> None:
    """Put stores of one sweep, with other seeds or at other points, into one file that xarray opens.

    Its coordinate `seed` says which store each realization is from. Stores of different sweeps are refused with the
    fields that differ, and so are stores that hold the same realizations. A .csv or .parquet has the means over all.
    """
    import engine
    from jobs.show.export import export

    print(f"written: {output}, {export(engine.merge(stores), output)}")
