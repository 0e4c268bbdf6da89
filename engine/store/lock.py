"""One driver at a time: an object in the store that says who drives it.

The lock of number n is made by exclusive creation, so of several drivers one gets it. A driver that finds lock n dead
takes number n + 1 in the same way: two who find it dead together cannot both have it. The driver rewrites its lock
every ten seconds. Whether another one lives is decided

- on the same machine by its process: gone, or another one with the same number, is dead;
- elsewhere by watching: a lock that stays the same for a minute of the watcher's own clock is dead. No two clocks are
  compared, so no clock that is wrong or jumps can decide it.

What is not excluded: a driver that was suspended for more than a minute wakes beside its successor. It notices at its
next heartbeat and stops; until then both compute the same bits into the same chunks. Object storage without conditional
creation (If-None-Match) excludes only drivers that start more than a moment apart.
"""

import atexit
import json
import logging
import os
import re
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from engine import provenance
from engine.errors import StoreError
from engine.store.storage import Storage, reported

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Holder(BaseModel):
    """Who holds a lock: `machine` tells boots and containers apart, `started` processes of one number."""

    host: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,255}$")]
    machine: str
    pid: int
    started: str
    since: Annotated[str, Field(pattern=r"^[0-9T:+.Z-]{0,40}$")]
    token: str
    beat: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def holder(storage: Storage) -> Holder | None:
    """Who holds a store's lock, dead or alive; None if nobody does, or if it cannot be read."""
    try:
        return Holder.model_validate(json.loads(storage.read(_name(max(_numbers(storage))))))
    except (OSError, ValueError, RecursionError):
        return None


class Lock:
    """A store's lock, held from `acquire` to `release`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._number = -1
        self._lost = ""
        self._stopped = threading.Event()
        self._heart: threading.Thread | None = None

    def acquire(self) -> None:
        """Take the lock. Raises StoreError that names who holds it; waits up to a minute to see whether they live."""
        with reported(f"cannot lock the store {self._storage.location}"):
            while not self._taken():
                pass
        self._heart = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._heart.start()
        atexit.register(self.release)

    def _taken(self) -> bool:
        """One attempt: False if another driver came between the look and the step."""
        dead = _numbers(self._storage)
        for number in dead:
            self._require_dead(number)
        self._holder = _this_process()
        self._number = max(dead, default=-1) + 1
        if not self._storage.create(_name(self._number), self._record()):
            return False
        if set(_numbers(self._storage)) - {self._number, *dead}:
            self._storage.delete(_name(self._number))
            return False
        for number in dead:
            self._storage.delete(_name(number))
        return True

    @property
    def is_held(self) -> bool:
        return self._heart is not None

    def release(self) -> None:
        """Give the lock back, if it was held; whoever waits for it sees at once that it is free."""
        atexit.unregister(self.release)
        if self._heart is None:
            return
        self._stopped.set()
        self._heart.join()
        self._heart = None
        with suppress(Exception):  # the storage is gone or full: the lock is stale and will be recognised as such
            self._storage.delete(_name(self._number))

    def require_held(self) -> None:
        """Raises StoreError once another driver has taken the lock over."""
        if self._lost:
            raise StoreError(self._lost)

    def _record(self) -> bytes:
        return self._holder.model_dump_json().encode()

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # a full disk or a lost connection shows where results are written
                if max(_numbers(self._storage), default=-1) > self._number:
                    self._lost = (
                        f"{self._storage.location} was taken over by another driver ({holder(self._storage)}) while "
                        f"this one was asleep: nothing is lost, let that one finish"
                    )
                    return
                self._holder.beat += 1
                self._storage.write(_name(self._number), self._record(), durable=False)

    def _require_dead(self, number: int) -> None:
        """Return if the holder of lock `number` no longer lives; else raise."""
        try:
            record = self._storage.read(_name(number))
        except FileNotFoundError:
            return
        try:
            other = Holder.model_validate(json.loads(record))
            if other.machine and other.machine == _machine():
                alive = _started(other.pid) == other.started
            else:
                alive = self._changes(number, record, str(other))
            who = str(other)
        except (ValueError, RecursionError):
            who = "somebody whose lock is unreadable"
            alive = self._changes(number, record, who)
        if alive:
            raise StoreError(
                f"{self._storage.location} is in use by another driver ({who}): wait for it, or stop it first"
            )

    def _changes(self, number: int, record: bytes, who: str) -> bool:
        """Whether a lock shows life within a minute, by this process's own monotonic clock."""
        _log.warning("the store is locked by %s: looking for up to %g s whether it is alive", who, STALE_SECONDS)
        started = time.monotonic()
        while time.monotonic() - started < STALE_SECONDS:
            time.sleep(min(1.0, STALE_SECONDS / 10))
            try:
                if self._storage.read(_name(number)) != record:
                    return True
            except FileNotFoundError:
                return False
        return False


def _name(number: int) -> str:
    return f"lock.{number}.json"


def _numbers(storage: Storage) -> list[int]:
    return [int(found[1]) for name in storage.names() if (found := re.fullmatch(r"lock\.(\d{1,9})\.json", name))]


def _this_process() -> Holder:
    return Holder(
        host=provenance.host(), machine=_machine(), pid=os.getpid(), started=_started(os.getpid()) or "",
        since=provenance.now(), token=uuid.uuid4().hex,
    )  # fmt: skip


def _machine() -> str:
    """This boot of this machine and this namespace of processes; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{provenance.host()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process of this machine began, in clock ticks since the boot; None if it is dead."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]
