"""Create or resume a store.

nearfield run leakage:fig1 --store fig1.zarr
nearfield run leakage:fig1 --store wide.zarr --axis n_elements=50,100,200 --set n_sensors=40 --realizations 4000
nearfield run leakage:fig3 --store fig3.zarr --realizations 100000 --target rmse_range_m:rel=0.05 --max-seconds 3600
nearfield run --store fig1.zarr
"""

import time
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

import engine
from engine import InputError, Sweep, Target
from jobs.cli import named, options
from jobs.cli.progress import duration, watch
from jobs.show.stops import print_stops


def command(
    store: Annotated[
        str, typer.Option(metavar="PATH|URL", help="Where the results are or will be: a folder, or s3://bucket/prefix.")
    ],
    name: Annotated[str | None, typer.Argument(metavar="[NAME|MODULE:ATTRIBUTE]")] = None,
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
        estimate(sweep, store, backend, target)
        return
    watch(
        sweep,
        store,
        workers=workers,
        run_serially=serial,
        address=address,
        shared_storage=shared_storage,
        backend_name=backend,
        targets=target,
        max_seconds=max_seconds,
        max_failures=max_failures,
    )
    print_stops(store)
    Console().print(f"Results are in {store}: engine.open_results({str(store)!r})", soft_wrap=True, highlight=False)


def estimate(sweep: Sweep, path: str, backend_name: str, targets: list[str]) -> None:
    """Print tasks, objects, bytes and an estimate of the time, from one timed block of the middle point."""
    from threadpoolctl import threadpool_limits

    from engine.backend import backend
    from engine.execution.task import Evaluator
    from engine.store.aims import require
    from engine.store.create import object_count
    from engine.store.storage import storage_at

    evaluator = Evaluator(sweep, backend(backend_name))
    middle = tuple(length // 2 for length in sweep.shape)
    with threadpool_limits(1):
        evaluator.block(middle)  # builds what is built once
        started = time.perf_counter()
        variables = evaluator.block(middle)
        seconds = time.perf_counter() - started
    require(tuple(map(Target.parse, targets)), sweep, variables)
    blocks = sweep.n_points * -(-sweep.realizations // sweep.block)
    bytes_each = sum(np.asarray(values)[0].nbytes for _, values, _ in variables.values())
    stored = bytes_each * sweep.n_points * sweep.realizations
    lines = {
        "sweep": f"{sweep.name or type(sweep.scenario).__name__}, {sweep.n_points} points × {sweep.realizations} "
        f"realizations, fingerprint {sweep.fingerprint()[:12]}",
        "tasks": f"{sweep.n_tasks} of up to {sweep.chunk_size} realizations",
        "objects": f"{object_count(sweep, variables)}",
        "stored": f"{stored / 2**20:.1f} MiB in {len(variables)} variables",
        "one block": f"{seconds:.3g} s for {sweep.block} realizations at {sweep.values(middle) or 'the only point'}",
        "estimate": f"{duration(seconds * blocks)} of one core's time",
        "store": f"{path}, {'new' if storage_at(path).is_empty() else 'exists'}",
    }
    for label, text in lines.items():
        print(f"{label:10} {text}")
