"""Why each point of a store stopped: one small file beside the receipts, written by the driver."""

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import StoreError
from engine.execution.plan import Plan, Reason
from engine.store import receipts
from engine.store.storage import Storage, reported
from engine.targets import Aim, Layout, Target, resolve

if TYPE_CHECKING:
    from engine.scenario import Variables
    from engine.store.store import Store
    from engine.sweep import Sweep

FILE = "stopping.json"
REASON, REALIZATIONS = "stop_reason", "stop_realizations"
"""Coordinates of opened results."""


class Stop(BaseModel):
    """A point that stopped.

    realizations: of the contiguous prefix at the stop. excess: largest half width over the wanted one, None unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: tuple[int, ...]
    reason: Reason
    realizations: int = Field(ge=0)
    excess: float | None


class Record(BaseModel):
    """What the latest run with targets or a limit of seconds was asked for, and where its points stopped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[str, ...]
    max_seconds: float | None
    stops: tuple[Stop, ...]

    def hidden_from(self) -> dict[tuple[int, ...], int]:
        """Point → realizations that decided its stop: what workers had in hand beyond is stored, but no result."""
        return {stop.point: stop.realizations for stop in self.stops if stop.reason == "target"}


def record_of(plan: Plan, targets: tuple[Target, ...], max_seconds: float | None) -> Record:
    """The plan's stops as they are; points that are still open have none, unless the seconds are over."""
    over = plan.seconds_left <= 0
    stops = [
        Stop(
            point=state.point,
            reason=state.reason or "seconds",
            realizations=state.realizations,
            excess=state.excess if math.isfinite(state.excess) else None,
        )
        for state in plan.states()
        if state.reason or over
    ]
    return Record(targets=tuple(map(str, targets)), max_seconds=max_seconds, stops=tuple(stops))


def read(storage: Storage, shape: tuple[int, ...]) -> Record | None:
    """None where the latest run had neither targets nor a limit of seconds. shape: of the sweep."""
    try:
        record = Record.model_validate(json.loads(storage.read(FILE)))
        for stop in record.stops:
            if len(stop.point) != len(shape) or not all(0 <= i < n for i, n in zip(stop.point, shape, strict=True)):
                raise ValueError("a point that there is not")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise StoreError(
            f"{storage.location}/{FILE} is damaged: delete it, and run again with the same targets to restore it; "
            f"no result is lost"
        ) from None
    return record


def write(storage: Storage, record: Record | None) -> None:
    """Replace the record in one step; None removes it."""
    with reported(f"cannot write to the store {storage.location}"):
        if record is None:
            storage.delete(FILE)
        else:
            storage.write(FILE, record.model_dump_json().encode())


def aims_in(store: "Store", targets: tuple[Target, ...]) -> tuple[Aim, ...]:
    """Targets, resolved against a store. Raises InputError for a name that there is not."""
    if not targets:
        return ()
    layouts = _layouts_in(store)
    dims = {dim for layout in layouts.values() for dim in layout.dims}
    own = {name: np.asarray(store.group[name]) for name in dims if name in store.group}
    return tuple(resolve(target, layouts, store.axes, own) for target in targets)


def require(targets: tuple[Target, ...], sweep: "Sweep", variables: "Variables") -> None:
    """Refuse a target that names nothing in one simulated block, before there is a store. Raises InputError."""
    layouts = {
        name: Layout(dims[1:], values.shape[1:], attributes.get("units", ""), receipts.has_moments(values))
        for name, (dims, values, attributes) in variables.items()
    }
    own = {name: values for name, (dims, values, _) in sweep.scenario.coordinates().items() if dims == (name,)}
    for target in targets:
        resolve(target, layouts, sweep.axes, own)


def _layouts_in(store: "Store") -> dict[str, Layout]:
    found, leading = {}, len(store.grid.shape) + 1
    for name in store.variable_names():
        array: Any = store.group[name]
        like = np.broadcast_to(np.zeros((), array.dtype), (1, *array.shape[leading:]))
        dims = tuple(array.metadata.dimension_names[leading:])
        found[name] = Layout(dims, like.shape[1:], array.attrs.get("units", ""), receipts.has_moments(like))
    return found
