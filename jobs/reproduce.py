"""A figure of the papers in one command: run, table, picture.

nearfield reproduce leakage:fig1
nearfield reproduce leakage:fig1 --set leakage=spherical --realizations 4000
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import engine
from engine.storage import storage_at
from jobs import named, options
from jobs.plot import draw_results, presented, require_matplotlib
from jobs.progress import watch
from jobs.tables import print_report, print_tables


def command(
    name: Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", show_default=False)],
    store: Annotated[str | None, typer.Option(metavar="PATH|URL", help="Where to keep it; results/NAME.zarr.")] = None,
    realizations: options.Realizations = None,
    axis: options.Axes = [],  # noqa: B006  typer copies it
    set_: options.Settings = [],  # noqa: B006
    seed: options.Seed = None,
    workers: options.Workers = None,
    serial: options.Serial = False,
    address: options.Address = None,
    shared_storage: options.SharedStorage = False,
    backend: options.BackendOption = "cpu",
) -> None:
    """Run a named sweep, or resume it; print its table; draw its figure as PNG and SVG."""
    require_matplotlib()
    base = named.find(name)
    sweep = named.changed(base, settings=set_, axes=axis, realizations=realizations, seed=seed)
    path = store or named.default_store(base, sweep)
    watch(
        sweep,
        path,
        workers=workers,
        run_serially=serial,
        address=address,
        shared_storage=shared_storage,
        backend_name=backend,
    )
    results = engine.open_results(path).load()
    own = presented(results)
    if own and own.report:
        print_report(own.report(results))
    else:
        print_tables(results, sweep.highlights)
    beside = Path(path) if storage_at(path).is_local else Path(path.rpartition("/")[2])  # pictures are files
    pictures = [beside.with_suffix(suffix) for suffix in (".png", ".svg")]
    draw_results(results, own, pictures)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"results  {path}    (engine.open_results({str(path)!r}))")
    console.print(f"figure   {pictures[0]} and {pictures[1].name}")
