"""Workers as Ray actors, and the driver's loop. The only file that imports ray."""

import logging
import math
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
from engine.plan import Plan
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

    def run(self, task: Task, attempt: int) -> Receipt | Failure:
        if self._run is None:
            try:
                sweep, path, backend_name = self._arguments
                self._run = TaskRunner(pickle.loads(sweep), Path(path), backend_name)
            except Exception as error:
                message = str(error) if isinstance(error, NearfieldError) else f"{type(error).__name__}: {error}"
                return Failure(task, f"a worker could not start: {message}", traceback.format_exc())
        return self._run(task, attempt)


def run(
    store: Store,
    plan: Plan,
    backend_name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    shared_storage: bool = False,
) -> Iterator[Receipt | Failure]:
    """Fan the plan's tasks out over actors; yield receipts and failures as they come, until it is finished.

    An actor that dies is replaced and its tasks are done again, each at most three times in all.
    """
    with _connected(address, workers):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len(nodes) > 1 and not shared_storage:
            raise StoreError(
                f"{store.path} is a local path and {len(nodes)} nodes are alive: name a path that every node mounts "
                f"and say so with --shared-storage"
            )
        resource = "GPU" if backend_name == "gpu" else "CPU"
        available = int(ray.cluster_resources().get(resource, 0))
        if not available:
            raise InputError(f"the cluster has no {resource}: start a node that has one, or choose another backend")
        count = min(workers or available, plan.n_tasks_left)
        if count > available:
            raise InputError(f"workers: given {count}, needed at most {available}, the cluster's {resource}s")
        loop = _Loop(store, backend_name, plan, count)
        try:
            yield from loop.results()
        finally:
            loop.stop()


class _Loop:
    """Keeps every actor busy with two tasks, as long as the plan has some, and replaces the ones that die."""

    def __init__(self, store: Store, backend_name: str, plan: Plan, count: int) -> None:
        resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if backend_name == "gpu" else 0}
        self._actor_class = ray.remote(**resources)(_Worker)
        sweep = ray.put(ray.cloudpickle.dumps(store.sweep))
        self._arguments = (sys.path, sweep, str(store.path.absolute()), backend_name)
        self._plan = plan
        self._lost: deque[tuple[Task, int]] = deque()
        self._running: dict[Any, tuple[Any, Task, int]] = {}
        self._actors = [self._start() for _ in range(count)]

    def _start(self) -> Any:
        return self._actor_class.remote(*self._arguments)

    def results(self) -> Iterator[Receipt | Failure]:
        heard = False
        self._submit()
        while self._running and not self._plan.is_finished:
            patience = math.inf if heard else _QUIET_SECONDS
            timeout = max(0.0, min(patience, self._plan.seconds_left))
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=None if math.isinf(timeout) else timeout)
            if not ready and not self._plan.is_finished:
                _log.warning("still no result: %s", _free())
            heard = heard or bool(ready)
            for reference in ready:
                actor, task, attempt = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayActorError as error:
                    self._replace(actor, task, attempt, error)
                else:
                    self._plan.add(result)
                    self._submit()
                    yield result

    def _submit(self) -> None:
        """Give every actor two tasks; one that found none is asked again with the next result."""
        in_hand = Counter(id(actor) for actor, _, _ in self._running.values())
        for depth in range(_IN_FLIGHT):
            for actor in self._actors:
                if in_hand[id(actor)] <= depth:
                    task, attempt = self._lost.popleft() if self._lost else (self._plan.take(), 1)
                    if task is None:
                        return
                    self._running[actor.run.remote(task, attempt)] = actor, task, attempt
                    in_hand[id(actor)] += 1

    def _replace(self, dead: Any, task: Task, attempt: int, error: Exception) -> None:
        """Redo what a lost actor had in hand, at once, on a new actor."""
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
        self._lost.extendleft((t, tried + 1) for t, tried in reversed(lost))
        replacement = self._start()
        self._actors = [replacement if actor is dead else actor for actor in self._actors]
        self._submit()

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
    except (ConnectionError, RuntimeError, ValueError) as error:
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
