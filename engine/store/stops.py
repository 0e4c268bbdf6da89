"""Why each point of a store stopped: one small file beside the receipts, written by the driver."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.errors import StoreError
from engine.store import seal
from engine.store.storage import Storage
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
    store: str = ""
    """identity of the store; empty in format 1, as is the digest"""
    digest: str = ""

    def hidden_from(self) -> dict[tuple[int, ...], int]:
        """Point → realizations that decided its stop: what workers had in hand beyond is stored, but no result."""
        return {stop.point: stop.realizations for stop in self.stops if stop.reason == "target"}

    def parsed_targets(self) -> tuple[Target, ...]:
        """The targets, as they were asked for."""
        return tuple(map(Target.parse, self.targets))


def read(storage: Storage, shape: tuple[int, ...], store: str = "") -> Record | None:
    """None where there is no record: the latest run had neither targets nor a limit of seconds.

    shape: of the sweep. store: the identity that the record must name, and be sealed; empty in format 1.
    """
    try:
        data = storage.read(FILE)
        record = Record.model_validate_json(data)
        record.parsed_targets()
        for stop in record.stops:
            if len(stop.point) != len(shape) or not all(0 <= i < n for i, n in zip(stop.point, shape, strict=True)):
                raise ValueError("a point that there is not")
        if (store or record.digest) and not seal.is_intact(data):
            raise ValueError("another digest")
        if store and record.store != store:
            raise ValueError("another store's")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise StoreError(
            f"{storage.location}/{FILE} is damaged: run 'nearfield verify --repair', which removes it, and then again "
            f"with the same targets, which restores it; no result is lost"
        ) from None
    return record


def to_bytes(record: Record, store: str) -> bytes:
    """As it is stored, sealed, naming its store."""
    named = record.model_copy(update={"store": store})
    return seal.sealed(named.model_dump_json(exclude={"digest"}).encode())
