"""Workers as Ray actors, and the driver's loop. The only file that imports ray."""

import logging
import os
import pickle
import socket
import sys
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported

import ray
from ray.exceptions import RayActorError

from engine.errors import InputError, NearfieldError, StoreError, WorkerError
from engine.execute import Failure, TaskRunner
from engine.receipts import Receipt
from engine.store import Store
from engine.sweep import Task

_IN_FLIGHT = 2  # a worker never waits for the driver, and a lost one costs two tasks
_MAX_ATTEMPTS = 3
_QUIET_SECONDS = 30

_log = logging.getLogger(__name__)


class _Worker:
    """An actor. It is made from bytes and unpacks them at its first task, so that what goes wrong can be told."""

    def __init__(self, search_path: list[str], sweep: bytes, path: str, backend_name: str) -> None:
        sys.path.extend(entry for entry in search_path if entry not in sys.path)
        self._arguments = sweep, path, backend_name
        self._run: TaskRunner | None = None

    def ready(self) -> None:
        """Answers once the actor runs."""

    def run(self, task: Task, attempt: int) -> Receipt | Failure:
        if self._run is None:
            try:
                sweep, path, backend_name = self._arguments
                self._run = TaskRunner(pickle.loads(sweep), path, backend_name)
            except Exception as error:
                message = str(error) if isinstance(error, NearfieldError) else f"{type(error).__name__}: {error}"
                return Failure(task, f"a worker could not start: {message}", traceback.format_exc())
        return self._run(task, attempt)


def run(
    store: Store,
    tasks: list[Task],
    backend_name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    shared_storage: bool = False,
) -> Iterator[Receipt | Failure]:
    """Fan the tasks out over actors; yield receipts and failures as they come.

    An actor that dies is replaced and its tasks are done again, each at most three times in all.
    """
    if store.path.startswith("memory://"):
        raise InputError(f"{store.path} lies in the memory of one process: run serially, or choose another path")
    with _connected(address, workers):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len(nodes) > 1 and store.storage.is_local and not shared_storage:
            raise StoreError(
                f"{store.path} is a local path and {len(nodes)} nodes are alive: name a path that every node mounts "
                f"and say so with --shared-storage, or object storage such as s3://bucket/prefix"
            )
        resource = "GPU" if backend_name == "gpu" else "CPU"
        available = int(ray.cluster_resources().get(resource, 0))
        if not available:
            raise InputError(f"the cluster has no {resource}: start a node that has one, or choose another backend")
        count = min(workers or available, len(tasks))
        if count > available:
            raise InputError(f"workers: given {count}, needed at most {available}, the cluster's {resource}s")
        loop = _Loop(store, backend_name, tasks, count)
        try:
            yield from loop.results()
        finally:
            loop.stop()


class _Loop:
    """Keeps every actor busy with two tasks and replaces the ones that die.

    An actor gets tasks once it runs: where a node was lost, its replacement may wait for room that never comes, and
    the others do its work.
    """

    def __init__(self, store: Store, backend_name: str, tasks: list[Task], count: int) -> None:
        resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if backend_name == "gpu" else 0}
        self._actor_class = ray.remote(**resources)(_Worker)
        sweep = ray.put(ray.cloudpickle.dumps(store.sweep))
        self._arguments = (sys.path, sweep, store.storage.absolute, backend_name)
        self._waiting = deque((task, 1) for task in tasks)
        self._running: dict[Any, tuple[Any, Task, int]] = {}
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._actors = [self._start() for _ in range(count)]

    def _start(self) -> Any:
        actor = self._actor_class.remote(*self._arguments)
        self._starting[actor.ready.remote()] = actor
        return actor

    def results(self) -> Iterator[Receipt | Failure]:
        heard = False
        while self._running or self._waiting:
            timeout = None if heard and self._running else _QUIET_SECONDS
            ready, _ = ray.wait([*self._running, *self._starting], num_returns=1, timeout=timeout)
            if not ready:
                _log.warning("still no result: %s", _free())
                continue
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                    continue
                heard = True
                actor, task, attempt = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayActorError as error:
                    self._replace(actor, task, attempt, error)
                else:
                    self._submit(actor)
                    yield result

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayActorError as error:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_ATTEMPTS:
                reason = " ".join(str(error).split())[:300]
                raise WorkerError(f"workers died {self._failed_starts} times while they started: {reason}") from None
            replacement = self._start()
            self._actors = [replacement if other is actor else other for other in self._actors]
        self._feed()

    def _feed(self) -> None:
        """Give tasks to every running actor that has fewer than two."""
        starting = {id(actor) for actor in self._starting.values()}
        busy = Counter(id(actor) for actor, _, _ in self._running.values())
        for number in range(_IN_FLIGHT):
            for actor in self._actors:
                if id(actor) not in starting and busy[id(actor)] <= number:
                    self._submit(actor)

    def _submit(self, actor: Any) -> None:
        if self._waiting:
            task, attempt = self._waiting.popleft()
            self._running[actor.run.remote(task, attempt)] = actor, task, attempt

    def _replace(self, dead: Any, task: Task, attempt: int, error: Exception) -> None:
        """Redo what a lost actor had in hand, at once, on whichever actor has room; start a new one."""
        lost = [(task, attempt)]
        for reference, (actor, other, tried) in list(self._running.items()):
            if actor is dead:
                del self._running[reference]
                lost.append((other, tried))
        if attempt >= _MAX_ATTEMPTS:
            names = "; ".join(f"point {t.point}, realizations {t.start}–{t.stop - 1}" for t, _ in lost)
            reason = " ".join(str(error).split())
            raise WorkerError(
                f"a worker died {attempt} times on {names}: {reason[:300]}; what is stored is kept. Out of memory? "
                f"Try fewer workers or a smaller chunk"
            )
        self._waiting.extendleft((t, tried + 1) for t, tried in reversed(lost))
        replacement = self._start()
        self._actors = [replacement if actor is dead else actor for actor in self._actors]
        self._feed()

    def stop(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


def _free() -> str:
    """What a user waiting for a busy cluster wants to know."""
    total, free = ray.cluster_resources(), ray.available_resources()
    return ", ".join(
        f"{free.get(kind, 0):g} of {total[kind]:g} {kind}s free" for kind in ("CPU", "GPU") if kind in total
    )


@contextmanager
def _connected(address: str | None, workers: int | None) -> Iterator[None]:
    """A Ray connection: the caller's own if there is one, else one that is ended afterwards."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": True,
    }
    if address is None:
        # Without 'local', Ray joins whatever cluster this machine has, or waits for ever for one that has died.
        options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}  # None: Ray counts the cores
    else:
        _require_listener(address)
        options["address"] = address
    try:
        ray.init(**options)
    except Exception as error:  # a node that starts too slowly is a plain Exception
        raise _unreachable(address or "this machine", " ".join(str(error).split())[:300]) from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself waits for it half a minute, or for ever.

    'auto' is what RAY_ADDRESS says, or else the file that `ray start` leaves, also after its cluster has died.
    """
    if address == "auto":
        note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
        address = os.environ.get("RAY_ADDRESS") or (note.read_text().strip() if note.exists() else "")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise _unreachable(address or "auto", "no cluster was started here" if not address else "not host:port")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from None


def _unreachable(address: str, reason: str) -> InputError:
    return InputError(
        f"cannot reach Ray at {address}: {reason}; start a cluster with 'ray start --head', or leave --address out"
    )
