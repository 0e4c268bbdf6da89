"""A distributed Monte Carlo engine for near-field localization research.

    import engine
    from scenarios import leakage

    results = engine.run(leakage.fig1, "fig1.zarr")
    engine.summarize(results.bcrlb_range_m2)

Importing this package loads no ray, zarr, xarray, scipy, torch or matplotlib: what needs them loads them when called.
The classes come when they are first named: without NumPy and pydantic `nearfield --version` takes a third of the time.
"""

import importlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import InputError, NearfieldError, StoreError, TaskError, WorkerError

if TYPE_CHECKING:
    import xarray

    from engine.execution.driver import Progress
    from engine.scenario import Scenario
    from engine.streams import Streams
    from engine.sweep import Sweep
    from engine.targets import Target

_CLASSES = {"Scenario": "scenario", "Streams": "streams", "Sweep": "sweep", "Target": "targets"}

__all__ = [
    "InputError",
    "NearfieldError",
    "Scenario",
    "StoreError",
    "Streams",
    "Sweep",
    "Target",
    "TaskError",
    "WorkerError",
    "compare",
    "iterate",
    "load_sweep",
    "merge",
    "open_results",
    "replay",
    "run",
    "summarize",
]


if not TYPE_CHECKING:  # a checker would take any name for granted

    def __getattr__(name: str) -> Any:
        """A public class, from the module that it is in."""
        if name not in _CLASSES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return vars(importlib.import_module(f"{__name__}.{_CLASSES[name]}"))[name]


def run(
    sweep: "Sweep",
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    serial: bool = False,
    address: str | None = None,
    shared_storage: bool = False,
    backend_name: str = "cpu",
    max_failures: int = 0,
    targets: "Iterable[Target | str]" = (),
    max_seconds: float | None = None,
    progress: bool = True,
    run_serially: bool | None = None,
) -> "xarray.Dataset":
    """Create or resume the store at `path`, compute what it lacks, and open it.

    path: a folder, or a URL that fsspec knows, such as s3://bucket/prefix.
    workers: processes, one core each, from the start. None: the run begins in this process, and all cores take over
    where what is left takes longer than to start them. serial: in this process to the end.
    address: an existing Ray cluster ('auto', 'ray://host:port'). shared_storage: every node of it sees the folder.
    backend_name: 'cpu' or 'gpu'.
    max_failures: tasks that may raise before the run stops.
    targets: precisions at which a point may stop before its budget, such as 'rmse_range_m:rel=0.05'; all must hold.
    max_seconds: of this run, after which no task is begun, and those that run end.
    progress: in a notebook, show a bar. run_serially: what `serial` was called.

    Stopping early, by Ctrl-C, keeps every stored task; the same call continues. To continue a store without restating
    its sweep: `run(load_sweep(path), path)`. The numbers are the same bit for bit whoever computes.
    Raises InputError for nonsense, StoreError for a store that cannot be used, TaskError when a scenario raised.
    """
    from engine import notebook

    if run_serially is not None:
        warnings.warn("run_serially is now serial", DeprecationWarning, stacklevel=2)
    reports = iterate(
        sweep,
        path,
        workers=workers,
        serial=serial if run_serially is None else run_serially,
        address=address,
        shared_storage=shared_storage,
        backend_name=backend_name,
        max_failures=max_failures,
        targets=targets,
        max_seconds=max_seconds,
    )
    for _ in notebook.shown(reports, sweep) if progress and notebook.is_notebook() else reports:
        pass
    return open_results(path)


def iterate(sweep: "Sweep", path: str | os.PathLike[str], **options: Any) -> "Iterator[Progress]":
    """As `run`, with a report after every task and the statistics so far. See `engine.execution.driver.iterate`."""
    from engine.execution import driver

    return driver.iterate(sweep, path, **options)


def open_results(path: str | os.PathLike[str]) -> "xarray.Dataset":
    """The results in a store, read lazily. See `engine.store.results.open_results`."""
    from engine.store import results

    return results.open_results(path)


def merge(paths: "Sequence[str | os.PathLike[str]]") -> "xarray.Dataset":
    """The results of stores with other seeds, or other points, of one sweep. See `engine.store.merge.merge`."""
    from engine.store import merge as merging

    return merging.merge(paths)


def load_sweep(path: str | os.PathLike[str]) -> "Sweep":
    """The sweep that a store holds, from the store itself."""
    from engine.store import results

    return results.load_sweep(path)


def summarize(variable: "xarray.DataArray", **options: Any) -> "xarray.Dataset":
    """Mean, RMSE, median, quantiles, outlier rate …, each with its interval. See `engine.summary.summarize`."""
    from engine import summary

    return summary.summarize(variable, **options)


def compare(variable: "xarray.DataArray", over: str = "estimator", **options: Any) -> "xarray.Dataset":
    """Every pair of estimators, realization by realization. See `engine.comparison.compare`."""
    from engine import comparison

    return comparison.compare(variable, over, **options)


def replay(path: str | os.PathLike[str], index: int, **point: Any) -> "xarray.Dataset":
    """One realization again, with every draw and intermediate. See `engine.execution.replay`."""
    from engine.execution import replay as again

    return again.replay(path, index, **point)
