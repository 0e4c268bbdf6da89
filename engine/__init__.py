"""A distributed Monte Carlo engine for near-field localization research.

    import engine
    from scenarios import leakage

    results = engine.run(leakage.fig1, "fig1.zarr")
    engine.summarize(results.bcrlb_range_m2)

Importing this package loads no ray, zarr, xarray, scipy, torch or matplotlib: what needs them loads them when called.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import InputError, NearfieldError, StoreError, TaskError, WorkerError
from engine.scenario import Scenario
from engine.streams import Streams
from engine.sweep import Sweep
from engine.targets import Target

if TYPE_CHECKING:
    import xarray

    from engine.execution.driver import Progress

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
    "iterate",
    "load_sweep",
    "open_results",
    "replay",
    "run",
    "summarize",
]


def run(sweep: Sweep, path: str | os.PathLike[str], **options: Any) -> "xarray.Dataset":
    """Create or resume the store at `path`, compute what it lacks, and open it.

    Options as `iterate`. To continue a store without restating its sweep: `run(load_sweep(path), path)`.
    """
    for _ in iterate(sweep, path, **options):
        pass
    return open_results(path)


def iterate(sweep: Sweep, path: str | os.PathLike[str], **options: Any) -> "Iterator[Progress]":
    """As `run`, with a report after every task and the statistics so far. See `engine.execution.driver.iterate`."""
    from engine.execution import driver

    return driver.iterate(sweep, path, **options)


def open_results(path: str | os.PathLike[str]) -> "xarray.Dataset":
    """The results in a store, read lazily. See `engine.store.results.open_results`."""
    from engine.store import results

    return results.open_results(path)


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that a store holds, from the store itself."""
    from engine.store import results

    return results.load_sweep(path)


def summarize(variable: "xarray.DataArray", **options: Any) -> "xarray.Dataset":
    """Mean, RMSE, median, quantiles, outlier rate …, each with its interval. See `engine.summary.summarize`."""
    from engine import summary

    return summary.summarize(variable, **options)


def replay(path: str | os.PathLike[str], index: int, **point: Any) -> "xarray.Dataset":
    """One realization again, with every draw and intermediate. See `engine.execution.replay`."""
    from engine.execution import replay as again

    return again.replay(path, index, **point)
