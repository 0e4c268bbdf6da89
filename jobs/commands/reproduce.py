"""A figure of the papers in one command: run, table, picture.

nearfield reproduce leakage:fig1
nearfield reproduce leakage:fig1 --set leakage=spherical --realizations 4000
nearfield reproduce ris:fig4 --full --address auto
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import engine
from engine.store.storage import storage_at
from jobs.cli import named, options
from jobs.cli.progress import watch
from jobs.show.drawing import require_matplotlib, write_figure
from jobs.show.presentation import Presentation
from jobs.show.stops import print_stops
from jobs.show.tables import print_report, print_tables


def command(
    name: options.SweepArgument,
    store: Annotated[str | None, typer.Option(metavar="PATH|URL", help="Where to keep it; results/NAME.zarr.")] = None,
    realizations: options.Realizations = None,
    full: options.Full = False,
    axis: options.Axes = [],  # noqa: B006  typer copies it
    set_: options.Settings = [],  # noqa: B006
    settings: options.SettingsFile = None,
    seed: options.Seed = None,
    target: options.Targets = [],  # noqa: B006
    max_seconds: options.MaxSeconds = None,
    workers: options.Workers = None,
    serial: options.Serial = False,
    address: options.Address = None,
    shared_storage: options.SharedStorage = False,
    backend: options.BackendOption = "cpu",
) -> None:
    """Run a named sweep, or resume it; print its table; draw its figure as PNG and SVG."""
    require_matplotlib()
    base = named.find(name)
    realizations = named.budget(base, realizations, full)
    sweep = named.changed(base, settings=set_, axes=axis, realizations=realizations, seed=seed, file=settings)
    path = store or named.default_store(base, sweep)
    watch(
        sweep,
        path,
        workers=workers,
        serial=serial,
        address=address,
        shared_storage=shared_storage,
        backend_name=backend,
        targets=target,
        max_seconds=max_seconds,
    )
    presentation = Presentation(engine.open_results(path).load(), path)
    tables = presentation.tables()
    if tables is None:
        print_tables(presentation.results, sweep.highlights)
    else:
        print_report(tables)
    print_stops(path)
    beside = Path(path) if storage_at(path).is_local else Path(path.rpartition("/")[2])  # pictures are files
    pictures = [beside.with_suffix(suffix) for suffix in (".png", ".svg")]
    write_figure(presentation.figure, pictures)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"results  {path}    (engine.open_results({str(path)!r}))")
    console.print(f"figure   {pictures[0]} and {pictures[1].name}")
