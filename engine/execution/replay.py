"""One realization again, with everything that leads to it."""

import os
from typing import Any

import numpy as np
import xarray
from threadpoolctl import threadpool_limits

from engine.backend import backend
from engine.errors import InputError
from engine.execution.task import Evaluator
from engine.scenario import Variable, suggestion
from engine.store.results import stored_realization
from engine.store.store import Store
from engine.sweep import Sweep


def replay(path: str | os.PathLike[str], index: int, **point: Any) -> xarray.Dataset:
    """Recompute one realization, with every draw and intermediate.

    index: the realization. point: the value of each axis (those with a single value may be left out); a value along
    one of the output's own dimensions selects there.
    The attribute `stored` says how the recomputed variables compare with the stored ones: 'equal' bit for bit,
    'absent', or 'differs', which is to be expected on another platform only.
    Raises InputError for a realization, point or value that the store does not have.
    """
    store = Store(path)
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
    stored = stored_realization(store, at, index)
    if not stored:
        return "absent"
    equal = all(stored[name].tobytes() == np.ascontiguousarray(values[name]).tobytes() for name in values)
    return "equal" if equal else "differs"
