"""The driver's loop: a plan's tasks over actors, those that die replaced."""

import logging
import math
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

from engine.errors import InputError, WorkerError
from engine.execution.cluster import kin
from engine.execution.cluster.connection import connected
from engine.execution.cluster.resources import count_workers, free_resources
from engine.execution.cluster.worker import MAX_ATTEMPTS, Worker
from engine.execution.launch import WorkOrder, order_of
from engine.execution.plan import Plan
from engine.execution.task import Failure, Results
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import Sweep, Task

_LOST = (RayActorError, OutOfMemoryError, NodeDiedError, WorkerCrashedError)
"""What Ray raises where a worker is no more; the second is its memory monitor's doing."""
_IN_FLIGHT = 2  # a worker never waits for the driver, and a lost one costs two tasks
_QUIET_SECONDS = 30

_log = logging.getLogger(__name__)


class AnyPlan(Protocol):
    """What the loop asks of a plan, which may be in another process."""

    @property
    def is_finished(self) -> bool: ...
    @property
    def seconds_left(self) -> float: ...
    @property
    def n_tasks_left(self) -> int: ...
    def take(self) -> Task | None: ...
    def add(self, result: Receipt | Failure) -> None: ...


def run(
    store: Store,
    plan: Plan,
    backend_name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    shared_storage: bool = False,
) -> Results:
    """Fan the plan's tasks out over actors; yield receipts and failures as they come, until it is finished.

    An actor that dies is replaced and its tasks are done again, each at most three times in all.
    """
    order = order_of(
        store, pickled(store.sweep), backend_name, workers=workers, address=address, shared_storage=shared_storage
    )
    with workers_of(order, plan) as loop:
        yield from loop.results()


def pickled(sweep: Sweep) -> bytes:
    """As workers read it, with the classes that a script or notebook defines."""
    data: bytes = ray.cloudpickle.dumps(sweep)
    return data


@contextmanager
def workers_of(order: WorkOrder, plan: AnyPlan) -> Iterator["_Loop"]:
    """Workers that start, and the loop that keeps them busy; none is left afterwards."""
    with connected(order.address, order.workers):
        count = count_workers(order.backend_name, order.workers, plan.n_tasks_left, order.on_one_node)
        try:
            loop = _Loop(order, plan, count)
        except ModuleNotFoundError as error:  # told by a server of ray://
            raise InputError(f"the cluster's Python lacks a module: {error}; install nearfield on every node") from None
        try:
            yield loop
        finally:
            loop.stop()


class _Loop:
    """Keeps every actor busy with two tasks, as long as the plan has some, and replaces the ones that die.

    An actor gets tasks once it runs: where a node was lost, its replacement may wait for room that never comes, and
    the others do its work.
    """

    def __init__(self, order: WorkOrder, plan: AnyPlan, count: int) -> None:
        resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if order.backend_name == "gpu" else 0}
        self._actor_class = ray.remote(**resources)(Worker)
        self._arguments = (sys.path, order.label, ray.put(order.sweep), order.path, order.backend_name)
        self._plan = plan
        self._waiting: deque[tuple[Task, int]] = deque()
        self._running: dict[Any, tuple[Any, Task, int]] = {}
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._actors = [self._start() for _ in range(count)]

    def _start(self) -> Any:
        actor = self._actor_class.remote(*self._arguments)
        self._starting[actor.ready.remote()] = actor
        return actor

    def wait_for_one(self) -> None:
        """Until a worker runs: tasks that wait for one are nobody else's."""
        while len(self._starting) == len(self._actors):
            ready, _ = ray.wait(list(self._starting), num_returns=1, timeout=_QUIET_SECONDS)
            if not ready:
                _log.warning("still no result: %s", self._waited_for())
            for reference in ready:
                self._started(reference)

    def results(self) -> Iterator[Receipt | Failure]:
        """Receipts and failures as they come, until nothing is left or, for now, wanted; it may be asked again."""
        heard = False
        self._submit()
        while not self._plan.is_finished and (self._running or self._has_waiting()):
            patience = math.inf if heard and self._running else _QUIET_SECONDS
            timeout = max(0.0, min(patience, self._plan.seconds_left))
            ready, _ = ray.wait(
                [*self._running, *self._starting],
                num_returns=1,
                timeout=None if math.isinf(timeout) else timeout,
            )
            if not ready and not self._plan.is_finished:
                _log.warning("still no result: %s", self._waited_for())
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                    continue
                heard = True
                actor, task, attempt = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except _LOST as error:
                    self._replace(actor, task, attempt, error)
                else:
                    self._plan.add(result)
                    self._submit()
                    yield result
        if self._plan.seconds_left <= 0:
            yield from self._last_results()

    def _waited_for(self) -> str:
        """What keeps the first result: workers that start, for want of room perhaps, or tasks that take long."""
        if self._starting:
            return f"{len(self._starting)} of {len(self._actors)} workers are still starting; {free_resources()}"
        return f"{len(self._actors)} workers compute their first tasks"

    def _last_results(self) -> Iterator[Receipt | Failure]:
        """When the seconds are over: of the task that each worker is at, and of none that waits behind it."""
        at = {id(actor): reference for reference, (actor, _, _) in reversed(self._running.items())}
        pending = list(at.values())
        while pending:
            ready, pending = ray.wait(pending, num_returns=1)
            try:
                result = ray.get(ready[0])
            except _LOST:
                continue  # it is done again when the run is continued
            self._plan.add(result)
            yield result

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            kin.require_same(ray.get(reference), actor)
        except _LOST as error:
            kin.require_importable(error)
            self._failed_starts += 1
            if self._failed_starts >= MAX_ATTEMPTS:
                raise WorkerError(
                    f"workers died {self._failed_starts} times while they started: {_reason(error)}"
                ) from None
            replacement = self._start()
            self._actors = [replacement if other is actor else other for other in self._actors]
        self._submit()

    def _has_waiting(self) -> bool:
        """Whether a task waits for a worker: one to be done again, else the plan's next."""
        if not self._waiting and (task := self._plan.take()):
            self._waiting.append((task, 1))
        return bool(self._waiting)

    def _submit(self) -> None:
        """Give every running actor two tasks; one that found none is asked again with the next result."""
        starting = {id(actor) for actor in self._starting.values()}
        in_hand = Counter(id(actor) for actor, _, _ in self._running.values())
        for depth in range(_IN_FLIGHT):
            for actor in self._actors:
                if id(actor) not in starting and in_hand[id(actor)] <= depth:
                    if not self._has_waiting():
                        return
                    task, attempt = self._waiting.popleft()
                    self._running[actor.run.remote(task, attempt)] = actor, task, attempt
                    in_hand[id(actor)] += 1

    def _replace(self, dead: Any, task: Task, attempt: int, error: Exception) -> None:
        """Redo what a lost actor had in hand, at once, on whichever actor has room; start a new one."""
        lost = [(task, attempt)]
        for reference, (actor, other, tried) in list(self._running.items()):
            if actor is dead:
                del self._running[reference]
                lost.append((other, tried))
        if attempt >= MAX_ATTEMPTS:
            names = "; ".join(f"point {t.point}, realizations {t.start}–{t.stop - 1}" for t, _ in lost)
            raise WorkerError(
                f"a worker died {attempt} times on {names}: {_reason(error)}; what is stored is kept. Out of memory? "
                f"Try fewer workers or a smaller chunk"
            )
        self._waiting.extendleft((t, tried + 1) for t, tried in reversed(lost))
        replacement = self._start()
        self._actors = [replacement if actor is dead else actor for actor in self._actors]
        self._submit()

    def stop(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
