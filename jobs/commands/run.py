"""Create or resume a store.

nearfield run leakage:fig1 --store fig1.zarr
nearfield run leakage:fig1 --store wide.zarr --axis n_elements=50,100,200 --set n_sensors=40 --realizations 4000
nearfield run leakage:fig3 --store fig3.zarr --realizations 100000 --target rmse_range_m:rel=0.05 --max-seconds 3600
nearfield run --store fig1.zarr
"""

from typing import Annotated

import typer
from rich.console import Console

import engine
from engine import InputError
from jobs.cli import completion, named, options
from jobs.cli.progress import watch
from jobs.show.stops import print_stops


def command(
    store: Annotated[
        str,
        typer.Option(
            metavar="PATH|URL",
            help="Where the results are or will be: a folder, or s3://bucket/prefix.",
            autocompletion=completion.stores,
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME|MODULE:ATTRIBUTE]", autocompletion=completion.sweeps)
    ] = None,
    realizations: options.Realizations = None,
    full: options.Full = False,
    axis: options.Axes = [],  # noqa: B006  typer copies it
    set_: options.Settings = [],  # noqa: B006
    settings: options.SettingsFile = None,
    seed: options.Seed = None,
    chunk: options.Chunk = None,
    target: options.Targets = [],  # noqa: B006
    max_seconds: options.MaxSeconds = None,
    workers: options.Workers = None,
    serial: options.Serial = False,
    address: options.Address = None,
    shared_storage: options.SharedStorage = False,
    backend: options.BackendOption = "cpu",
    max_failures: options.MaxFailures = 0,
    import_: options.Imports = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what a run would take; time one block.")] = False,
) -> None:
    """Create a store and compute a sweep into it, or continue one: the same command again resumes.

    Without a NAME, the sweep is read from the store. A target is the half width of a metric's interval, as
    peak:rel=0.05:level=0.99, rmse:squared_error_range_m2:abs=0.01 or rmse_range_m[estimator=least_squares]:rel=0.05.
    """
    named.import_modules(import_)
    base = named.find(name) if name else engine.load_sweep(store)
    if not name and (axis or set_ or settings or seed is not None or chunk is not None):
        raise InputError(
            "--axis, --set, --settings, --seed and --chunk describe a new sweep: give its NAME, or leave them out"
        )
    realizations = named.budget(base, realizations, full)
    sweep = named.changed(
        base, settings=set_, axes=axis, realizations=realizations, seed=seed, chunk=chunk, file=settings
    )
    if dry_run:
        from jobs.show.estimate import print_estimate

        print_estimate(sweep, store, backend, target)
        return
    watch(
        sweep,
        store,
        workers=workers,
        serial=serial,
        address=address,
        shared_storage=shared_storage,
        backend_name=backend,
        targets=target,
        max_seconds=max_seconds,
        max_failures=max_failures,
    )
    print_stops(store)
    Console().print(f"Results are in {store}: engine.open_results({str(store)!r})", soft_wrap=True, highlight=False)
