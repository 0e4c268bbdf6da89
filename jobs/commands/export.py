"""Take results away, to programs that read no Zarr.

nearfield export fig1.zarr -o fig1.nc
nearfield export fig1.zarr -o means.csv
nearfield export fig1.zarr -o draws.parquet --realizations
nearfield export paths data.zarr -o paths.nc --users 1000
"""

from pathlib import Path
from typing import Annotated

import typer

from engine import InputError
from jobs.cli import completion

_PATHS = "paths"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[paths] PATH|URL",
            help="A result store: a folder, or s3://bucket/prefix; after the word paths, one under multipath.",
            show_default=False,
            autocompletion=completion.stores,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .nc, .zarr, .csv or .parquet file.")
    ],
    realizations: Annotated[
        bool, typer.Option("--realizations", help="In a table: every realization, not means with intervals.")
    ] = False,
    users: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of paths: the first N users.")] = None,
) -> None:
    """Write a store as NetCDF, or its means with intervals, or its realizations, as a table; or a place's paths.

    `paths` writes delays, angles, gains and vertices of every path to the stored users and to all sensors, under the
    names of Sionna RT and of DeepMIMO, as NetCDF.
    """
    import engine
    from jobs.show.export import export

    if len(words) == 1:
        if users is not None:
            raise InputError("--users is for nearfield export paths STORE")
        print(f"written: {output}, {export(engine.open_results(words[0]), output, realizations=realizations)}")
    elif len(words) == 2 and words[0] == _PATHS:
        if output.suffix != ".nc" or realizations:
            raise InputError("paths are written as NetCDF: needed -o FILE.nc, and no --realizations")
        from scenarios.multipath.paths import paths_of

        print(f"written: {output}, {export(paths_of(engine.open_results(words[1]), most=users), output)}")
    else:
        raise InputError(f"export: given {' '.join(words)}, needed one STORE, or paths and one STORE")
