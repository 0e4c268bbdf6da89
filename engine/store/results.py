"""Reading a store: as xarray, and as one recomputed realization."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from threadpoolctl import threadpool_limits
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from engine.backend import backend
from engine.errors import InputError, StoreError
from engine.execution.driver import Evaluator
from engine.scenario import Variable, suggestion
from engine.store import stops as stopping
from engine.store.metadata import COMPLETE
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
    same for any number of workers (a run without targets uses them).
    Raises StoreError, also later when a damaged chunk is read.
    """
    store = Store(path, mode="r")
    with reported(f"cannot open the store {path}"):
        consolidated = store.is_consolidated()
        record = stopping.read(store.storage, store.grid.shape)
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
    return results.assign_coords(_stops(record, store)) if record else results


def _stops(record: stopping.Record, store: Store) -> dict[str, xarray.DataArray]:
    """Reason, empty where a point is open, and realizations, over the sweep's axes."""
    dims = list(store.axes)
    reasons = np.full(store.grid.shape, "", dtype="U8")
    counts = np.zeros(reasons.shape, int)
    for stop in record.stops:
        reasons[stop.point], counts[stop.point] = stop.reason, stop.realizations
    return {
        stopping.REASON: xarray.DataArray(reasons, dims=dims, attrs={"long_name": "why the point stopped"}),
        stopping.REALIZATIONS: xarray.DataArray(
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


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that a store holds."""
    return Store(path, mode="r").require_current()


def replay(path: str | os.PathLike[str], index: int, **point: Any) -> xarray.Dataset:
    """Recompute one realization, with every draw and intermediate.

    index: the realization. point: the value of each axis (those with a single value may be left out); a value along
    one of the output's own dimensions selects there.
    The attribute `stored` says how the recomputed variables compare with the stored ones: 'equal' bit for bit,
    'absent', or 'differs', which is to be expected on another platform only.
    Raises InputError for a realization, point or value that the store does not have.
    """
    store = Store(path, mode="r")
    sweep = store.require_current()
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < sweep.realizations:
        raise InputError(f"index: given {index!r}, needed a realization from 0 to {sweep.realizations - 1}")
    at = _point(sweep, {name: value for name, value in point.items() if name in sweep.axes})
    number, within = divmod(index, sweep.block)
    on = backend(store.attributes["backend"])
    with threadpool_limits(1):
        variables = Evaluator(sweep, on).block(at, number, intermediates=True)
    coordinates = {
        name: (dims, values, dict(attributes))
        for name, (dims, values, attributes) in sweep.scenario.coordinates().items()
    }
    recomputed = {name: variables[name][1][within] for name in store.variable_names()}
    dataset = xarray.Dataset(
        {name: _of_one(variable, within) for name, variable in variables.items()},
        coords={**coordinates, **sweep.values(at), "realization": index},
        attrs={
            "scenario": sweep.at(at).model_dump_json(),
            "seed": sweep.seed,
            "stored": _compared(store, at, index, recomputed),
        },
    )
    return _selected(dataset, {name: value for name, value in point.items() if name not in sweep.axes})


def _of_one(variable: Variable, within: int) -> Variable:
    """One realization of a variable; what has no realizations stays as it is."""
    dims, values, attributes = variable
    if dims[:1] != ("realization",):
        return dims, values, dict(attributes)
    return dims[1:], values[within], dict(attributes)


def _point(sweep: Sweep, given: dict[str, Any]) -> tuple[int, ...]:
    """Index along each axis of the point with these values."""
    at = []
    for name, values in sweep.axes.items():
        if name not in given:
            if len(values) > 1:
                raise InputError(f"{name}: not given, needed one of {', '.join(map(str, values))}")
            at.append(0)
            continue
        value = sweep.scenario.replace(**{name: given[name]}).stored_value(name)
        if value not in values:
            raise InputError(f"{name}: given {value!r}, needed one of {', '.join(map(str, values))}")
        at.append(values.index(value))
    return tuple(at)


def _selected(dataset: xarray.Dataset, given: dict[str, Any]) -> xarray.Dataset:
    for name, value in given.items():
        if name not in dataset.dims or name not in dataset.coords:
            known = [str(dim) for dim in dataset.dims if dim in dataset.coords]
            raise InputError(f"{name} is no axis or dimension of this store; {suggestion(name, known)}")
        values = dataset[name].values
        matches = np.flatnonzero(values == np.asarray(value, dtype=values.dtype))
        if not len(matches):
            raise InputError(f"{name}: given {value!r}, needed one of {', '.join(map(str, values.tolist()))}")
        dataset = dataset.isel({name: int(matches[0])})
    return dataset


def _compared(store: Store, at: tuple[int, ...], index: int, values: dict[str, np.ndarray]) -> str:
    where = (*at, index)
    if not store.group[COMPLETE][where]:  # type: ignore[index]
        return "absent"
    stored = {name: np.asarray(store.group[name][where]) for name in values}  # type: ignore[index]
    equal = all(stored[name].tobytes() == np.ascontiguousarray(values[name]).tobytes() for name in values)
    return "equal" if equal else "differs"
