"""Reading a store as xarray."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from engine.errors import StoreError
from engine.store import stops
from engine.store.metadata import COMPLETE, STOP_REALIZATIONS, STOP_REASON
from engine.store.storage import reported
from engine.store.store import Store
from engine.sweep import Grid, Sweep


class _Hiding(WrapperStore[Any]):
    """Shows no chunk beyond the prefixes that met their targets: workers stored them, but no result has them."""

    def __init__(self, store: Any, names: frozenset[str], prefixes: Mapping[tuple[int, ...], int], grid: Grid) -> None:
        super().__init__(store)
        self._hidden = names, prefixes, grid

    def _with_store(self, store: Any) -> "_Hiding":
        return type(self)(store, *self._hidden)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        return None if self._hides(key) else await self._store.get(key, prototype, byte_range)

    def _hides(self, key: str) -> bool:
        names, prefixes, grid = self._hidden
        name, found, indices = key.partition("/c/")
        if not found or name not in names:
            return False
        *point, number = map(int, indices.split("/")[: len(grid.shape) + 1])
        return number * grid.chunk >= prefixes.get(tuple(point), math.inf)


def open_results(path: str | os.PathLike[str]) -> xarray.Dataset:
    """A store's results, read lazily.

    Dimensions are the sweep's axes, `realization`, and the scenario's own (`noise_dbm` …), with coordinates and units;
    `complete` marks what is stored, the rest is NaN; the attributes say where the numbers came from. After a run with
    targets or a limit of seconds, the coordinates `stop_reason` and `stop_realizations` say why and where each point
    stopped; realizations beyond a met target, which workers had in hand, are not shown, so that the results are the
    same for any number of workers (a run without targets uses them). Lists among the attributes are JSON texts, so that
    `results.to_netcdf(…)` works with every engine.
    Raises StoreError, also later when a damaged chunk is read.
    """
    store = Store(path, mode="r")
    with reported(f"cannot open the store {path}"):
        consolidated = store.is_consolidated()
        record = stops.read(store.storage, store.grid.shape)
    if not consolidated:
        raise StoreError(f"{path} was left half grown: finish with 'nearfield run --store {path}', nothing is lost")
    shown: Any = store.zarr
    if record:
        names = frozenset((*store.variable_names(), COMPLETE))
        shown = _Hiding(shown, names, record.hidden_from(), store.grid)
    try:
        with reported(f"cannot open the store {path}"):
            results = xarray.open_zarr(shown, consolidated=True, zarr_format=3)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is damaged: {' '.join(str(error).split())[:300]}") from None
    results = _portable(results)
    return results.assign_coords(_stops(record, store)) if record else results


_NOT_SHOWN = ("variables", "coordinates")
"""Attributes that repeat what a data set says itself, under names that NetCDF's readers and writers use."""


def _portable(results: xarray.Dataset) -> xarray.Dataset:
    """The same as any file format holds it: attributes that are numbers or text, names as text of a fixed width."""
    attributes = {
        name: value if isinstance(value, int | float | str) else json.dumps(value)
        for name, value in results.attrs.items()
        if name not in _NOT_SHOWN
    }
    names = {
        name: (values.dims, np.array(values.values.tolist(), dtype=str), values.attrs)
        for name, values in results.coords.items()
        if values.dtype.kind in "OT"
    }
    return results.assign_coords(names).drop_attrs(deep=False).assign_attrs(attributes)


def _stops(record: stops.Record, store: Store) -> dict[str, xarray.DataArray]:
    """Reason, empty where a point is open, and realizations, over the sweep's axes."""
    dims = list(store.axes)
    reasons = np.full(store.grid.shape, "", dtype="U8")
    counts = np.zeros(reasons.shape, int)
    for stop in record.stops:
        reasons[stop.point], counts[stop.point] = stop.reason, stop.realizations
    return {
        STOP_REASON: xarray.DataArray(reasons, dims=dims, attrs={"long_name": "why the point stopped"}),
        STOP_REALIZATIONS: xarray.DataArray(
            counts, dims=dims, attrs={"long_name": "realizations at the stop", "units": "1"}
        ),
    }


def task_seconds(path: str | os.PathLike[str]) -> xarray.DataArray:
    """Processor seconds of a realization at each point, along the sweep's axes: measured, not the same in another run.

    Of the fastest task, which is the least disturbed; what is prepared once is no part of it. Reads every receipt. A
    point without one is NaN.
    """
    store = Store(path, mode="r")
    seconds = np.full(store.grid.shape, np.nan)
    for receipt in store.receipts():
        taken = receipt.seconds if receipt.cpu_seconds is None else receipt.cpu_seconds
        seconds[receipt.point] = np.fmin(seconds[receipt.point], taken / (receipt.stop - receipt.start))
    return xarray.DataArray(
        seconds,
        {name: list(values) for name, values in store.axes.items()},
        list(store.axes),
        "seconds",
        {"units": "s", "long_name": "processor time of a realization"},
    )


def seconds_of_tasks(path: str | os.PathLike[str]) -> xarray.DataArray:
    """Processor seconds of a realization in each task, along the sweep's axes and `task`; see `task_seconds`.

    The task of each point that ended first is left out where there are others: its process may have had to warm up. NaN
    for a task that is not stored.
    """
    store = Store(path, mode="r")
    taken: dict[tuple[int, ...], list[tuple[str, float]]] = {}
    for receipt in store.receipts():
        seconds = receipt.seconds if receipt.cpu_seconds is None else receipt.cpu_seconds
        taken.setdefault(receipt.point, []).append((receipt.finished, seconds / (receipt.stop - receipt.start)))
    most = max(map(len, taken.values()), default=1)
    values = np.full((*store.grid.shape, most), np.nan)
    for point, tasks in taken.items():
        kept = [seconds for _, seconds in sorted(tasks)][len(tasks) > 1 :]
        values[point][: len(kept)] = kept
    axes = {name: list(held) for name, held in store.axes.items()}
    return xarray.DataArray(
        values,
        {**axes, "task": np.arange(most)},
        [*axes, "task"],
        "seconds_of_tasks",
        {"units": "s", "long_name": "processor time of a realization, by task"},
    )


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that a store holds."""
    return Store(path, mode="r").require_current()
