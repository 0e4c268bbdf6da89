"""Why each point of a store stopped: one small file beside the receipts, written by the driver."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.errors import StoreError
from engine.store.storage import Storage, reported
from engine.targets import Target

FILE = "stopping.json"

Reason = Literal["target", "budget", "seconds"]


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

    def parsed_targets(self) -> tuple[Target, ...]:
        """The targets, as they were asked for."""
        return tuple(map(Target.parse, self.targets))


def read(storage: Storage, shape: tuple[int, ...]) -> Record | None:
    """None where the latest run had neither targets nor a limit of seconds. shape: of the sweep."""
    try:
        record = Record.model_validate(json.loads(storage.read(FILE)))
        record.parsed_targets()
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
