"""Targets, resolved against what a store holds, or against one simulated block before there is a store."""

import numpy as np

from engine.scenario import Variables
from engine.store import coordinates, receipts
from engine.store.store import Store
from engine.sweep import Sweep
from engine.targets import Aim, Layout, Target, resolve


def aims_in(store: Store, targets: tuple[Target, ...]) -> tuple[Aim, ...]:
    """Targets, resolved against a store. Raises InputError for a name that there is not."""
    if not targets:
        return ()
    layouts = _layouts_in(store)
    dims = {dim for layout in layouts.values() for dim in layout.dims}
    own = {name: coordinates.values(store, name) for name in dims if name in store.documents}
    return tuple(resolve(target, layouts, store.axes, own) for target in targets)


def require(targets: tuple[Target, ...], sweep: Sweep, variables: Variables) -> None:
    """Refuse a target that names nothing in one simulated block. Raises InputError."""
    layouts = {
        name: Layout(dims[1:], values.shape[1:], attributes.get("units", ""), receipts.has_moments(values))
        for name, (dims, values, attributes) in variables.items()
    }
    own = {name: values for name, (dims, values, _) in sweep.scenario.coordinates().items() if dims == (name,)}
    for target in targets:
        resolve(target, layouts, sweep.axes, own)


def _layouts_in(store: Store) -> dict[str, Layout]:
    found, leading = {}, len(store.grid.shape) + 1
    for name in store.variable_names():
        array = store.layout(name)
        like = np.broadcast_to(np.zeros((), np.dtype(array.data_type)), (1, *array.shape[leading:]))
        dims = tuple(str(dim) for dim in array.dimensions[leading:])
        found[name] = Layout(dims, like.shape[1:], array.attributes.get("units", ""), receipts.has_moments(like))
    return found
