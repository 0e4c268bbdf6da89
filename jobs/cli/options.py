"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli import completion

SweepArgument = Annotated[
    str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", show_default=False, autocompletion=completion.sweeps)
]
StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH|URL",
        help="A result store: a folder, or s3://bucket/prefix.",
        show_default=False,
        autocompletion=completion.stores,
    ),
]
Imports = Annotated[
    list[str],
    typer.Option("--import", metavar="MODULE", help="Import a module of yours, so that it may be named."),
]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Change a field of the scenario.", autocompletion=completion.fields
    ),
]
Axes = Annotated[
    list[str],
    typer.Option("--axis", metavar="FIELD=A,B,C", help="Sweep a field over values.", autocompletion=completion.fields),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="A .toml or .json file; the command line wins.")
]
Realizations = Annotated[int | None, typer.Option(metavar="N", help="Realizations per point.")]
Seed = Annotated[int | None, typer.Option(metavar="S", help="Seed of every random stream.")]
Chunk = Annotated[int | None, typer.Option(metavar="N", help="Realizations stored together.")]
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="Worker processes, from the start; left out, all cores where it pays.")
]
Serial = Annotated[bool, typer.Option("--serial", help="Run in this process, without Ray.")]
Address = Annotated[str | None, typer.Option(metavar="auto|ray://HOST:PORT", help="A running Ray cluster.")]
SharedStorage = Annotated[bool, typer.Option("--shared-storage", help="Every node mounts the store's path.")]
BackendOption = Annotated[str, typer.Option("--backend", metavar="cpu|gpu", help="Where arrays live.")]
MaxFailures = Annotated[int, typer.Option(metavar="N", min=0, help="Tasks that may fail before the run stops.")]
Targets = Annotated[
    list[str],
    typer.Option("--target", metavar="METRIC:rel=R", help="Stop a point at this precision; several must all hold."),
]
MaxSeconds = Annotated[float | None, typer.Option(metavar="S", help="Begin no task after this; those that run end.")]
Full = Annotated[bool, typer.Option("--full", help="The budget for a cluster: grows what a laptop's run stored.")]
