"""Reading a store: as xarray, as one recomputed realization, as a verdict on its integrity."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import xarray
from threadpoolctl import threadpool_limits
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from engine import receipts, stopping
from engine.backend import backend
from engine.errors import InputError, StoreError
from engine.execute import Evaluator
from engine.receipts import Receipt
from engine.scenario import Variable, suggestion
from engine.store import COMPLETE, Store, chunk_key
from engine.sweep import Sweep


class _CheckedStore(WrapperStore[LocalStore]):
    """Names the chunk that fails its checksum, which the codec's own error does not; shows no chunk of `hidden`."""

    def __init__(self, store: LocalStore, hidden: "_Hidden | None" = None) -> None:
        super().__init__(store)
        self._hidden = hidden

    def _with_store(self, store: LocalStore) -> "_CheckedStore":
        return _CheckedStore(store, self._hidden)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if self._hidden and self._hidden.holds(key):
            return None
        value = await self._store.get(key, prototype, byte_range)
        if value is not None and byte_range is None and "/c/" in key and not _intact(value.to_bytes()):
            raise StoreError(
                f"chunk {key} of {self._store.root} is damaged: its checksum does not match; run 'nearfield verify "
                f"--repair' on the store, then the same run again"
            )
        return value


@dataclass(frozen=True)
class _Hidden:
    """What workers computed beyond the prefixes that met their targets: stored, but no part of the result."""

    names: frozenset[str]
    prefixes: Mapping[tuple[int, ...], int]
    n_axes: int
    chunk: int

    def holds(self, key: str) -> bool:
        name, found, indices = key.partition("/c/")
        if not found or name not in self.names:
            return False
        *point, number = map(int, indices.split("/")[: self.n_axes + 1])
        return number * self.chunk >= self.prefixes.get(tuple(point), math.inf)


def _intact(data: bytes) -> bool:
    return len(data) > 4 and google_crc32c.value(data[:-4]) == int.from_bytes(data[-4:], "little")


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
    if not store.is_consolidated():
        raise StoreError(f"{path} was left half grown: finish with 'nearfield run --store {path}', nothing is lost")
    axes = {name: len(values) for name, values in json.loads(store.attributes["axes"]).items()}
    record, hidden = stopping.read(store.path, tuple(axes.values())), None
    if record:
        names = frozenset((*store.variable_names(), COMPLETE))
        hidden = _Hidden(names, record.hidden_from(), len(axes), store.attributes["chunk"])
    results = xarray.open_zarr(_CheckedStore(LocalStore(Path(path), read_only=True), hidden), consolidated=True)
    return results.assign_coords(_stops(record, axes)) if record else results


def _stops(record: stopping.Record, axes: dict[str, int]) -> dict[str, xarray.DataArray]:
    """Reason, empty where a point is open, and realizations, over the sweep's axes."""
    reasons = np.full(tuple(axes.values()), "", dtype="U8")
    counts = np.zeros(reasons.shape, int)
    for stop in record.stops:
        reasons[stop.point], counts[stop.point] = stop.reason, stop.realizations
    return {
        stopping.REASON: xarray.DataArray(reasons, dims=list(axes), attrs={"long_name": "why the point stopped"}),
        stopping.REALIZATIONS: xarray.DataArray(
            counts, dims=list(axes), attrs={"long_name": "realizations at the stop", "units": "1"}
        ),
    }


def task_seconds(path: str | os.PathLike[str]) -> xarray.DataArray:
    """Seconds that a realization took at each point, along the sweep's axes: measured, so not the same in another run.

    Of the fastest task, which is the least disturbed and finds everything prepared. Reads every receipt. A point
    without one is NaN.
    """
    store = Store(path, mode="r")
    sweep = store.sweep
    seconds = np.full(sweep.shape, np.nan)
    for receipt in store.receipts():
        seconds[receipt.point] = np.fmin(seconds[receipt.point], receipt.seconds / (receipt.stop - receipt.start))
    return xarray.DataArray(
        seconds,
        {name: list(values) for name, values in sweep.axes.items()},
        list(sweep.axes),
        "seconds",
        {"units": "s", "long_name": "time of a realization on one core"},
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
        value = getattr(sweep.scenario.replace(**{name: given[name]}), name)
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


@dataclass(frozen=True)
class Problem:
    """A stored chunk that cannot be trusted."""

    chunk: str
    what: str
    receipt: Path


def verify(path: str | os.PathLike[str]) -> Iterator[Receipt | Problem]:
    """Read every stored chunk of every variable against its receipt: yields each receipt, after its problems."""
    store = Store(path, mode="r")
    for file in sorted((store.path / receipts.FOLDER).glob("*.json")):
        try:
            receipt = receipts.read(file)
        except StoreError:
            yield Problem(str(file.relative_to(store.path)), "the receipt is damaged", file)
            continue
        for name in store.variable_names():
            what = _fault(store, receipt, name)
            if what:
                array = store.group[name]
                yield Problem(chunk_key(array, receipt.task, store.sweep.chunk_size), what, file)  # type: ignore[arg-type]
        yield receipt


def _fault(store: Store, receipt: Receipt, name: str) -> str:
    """What is wrong with a receipt's chunk of a variable; empty if nothing is."""
    region = (*receipt.point, slice(receipt.start, receipt.stop))
    try:
        values = np.asarray(store.group[name][region])  # type: ignore[index]
    except (ValueError, RuntimeError, OSError) as error:
        return f"cannot be read: {error}"
    if receipts.checksum(values) != receipt.checksums.get(name):
        return "does not hold what its receipt says"
    return ""


def forget(problem: Problem) -> None:
    """Withdraw the receipt of a damaged chunk, so that the next run computes it again."""
    problem.receipt.unlink(missing_ok=True)
