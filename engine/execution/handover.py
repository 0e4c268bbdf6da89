"""A run that begins in this process, and goes over to workers where that pays.

The first result need not wait for Ray, which takes seconds to start. The rule: workers are started, beside what goes on
here, once the work that is left is predicted to take one process longer than they take to start, and to prepare a point
as it was prepared here; on a busy machine they take as many times longer as there are processes for a core. Before a
task is finished, the one that runs says how long the others take at least. When the first result of a worker arrives,
this process ends the task that it is at and takes no other: every core has a worker by then. Where workers cannot be
started, or are lost, the run goes on here.

Who computes a task changes no bit of it, and this process alone decides, by the plan, which task is next and when there
is enough.
"""

import logging
import os
import pickle
import queue
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from engine.errors import WorkerError
from engine.execution.launch import Launched, Reply, WorkOrder, label_of
from engine.execution.plan import Plan
from engine.execution.task import Evaluator, Failure, Results, TaskRunner
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import Sweep, Task

START_SECONDS = 6.0
"""What workers take to their first result. On two quiet cores: a process and its imports 0.9, Ray 3.6, workers 1.5."""
_CONTAINER = Path("/sys/fs/cgroup/cpu.max")
_WATCH_SECONDS, _PATIENCE_SECONDS = 0.2, 0.5

_log = logging.getLogger(__name__)


def cores() -> int:
    """Processors that this process may use, of which a container may have a share."""
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CONTAINER.read_text().split()
    except (OSError, ValueError):
        return number
    return number if quota == "max" else max(1, min(number, int(quota) // int(period)))


def slowness() -> float:
    """How much longer workers take to start where others are at work too: processes that want a core, for each."""
    try:
        return max(1.0, os.getloadavg()[0] / cores())
    except OSError:
        return 1.0


def run(store: Store, plan: Plan, backend_name: str, evaluator: Evaluator | None = None) -> Results:
    """The plan's tasks here, and by workers where that pays. evaluator: what has points prepared already."""
    with threadpool_limits(1):
        runner = TaskRunner(store.sweep, store.storage, backend_name, evaluator)
        helpers = _Helpers(store, plan, backend_name)
        try:
            yield from _results(runner, plan, helpers)
        finally:
            helpers.stop()


def _results(runner: TaskRunner, plan: Plan, helpers: "_Helpers") -> Results:
    while not plan.is_finished:
        task = None if helpers.have_taken_over and helpers.in_hand else helpers.take()
        if task is not None:
            result = yield from _computed(runner, task, helpers)
            helpers.add(result)
            yield result
        elif helpers.in_hand:
            yield from helpers.arrived(_PATIENCE_SECONDS)
        else:
            break
    while plan.seconds_left <= 0 and helpers.in_hand:  # what workers are at when the seconds are over, they end
        yield from helpers.arrived(_PATIENCE_SECONDS)


def _computed(
    runner: TaskRunner, task: Task, helpers: "_Helpers"
) -> Generator[Receipt | Failure, None, Receipt | Failure]:
    """One task here, and between its blocks what workers have finished."""
    steps = runner.steps(task)
    helpers.begins(task)
    try:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: Receipt | Failure = end.value
                return result
            helpers.pauses()
            yield from helpers.arrived()
    finally:
        helpers.ends()


class _End(NamedTuple):
    """Workers are no more: why, None where they had nothing left to do."""

    error: Exception | None


class _Running(NamedTuple):
    """The task that this process is at: since when, since when it is prepared, and how many of its blocks are done."""

    task: Task
    since: float
    prepared: float | None
    blocks: int


class _Helpers:
    """Workers that may come. One thread watches whether they pay, starts them, and answers them while this process
    computes; results are taken in by the thread that asks for them here, which alone changes what is known."""

    def __init__(self, store: Store, plan: Plan, backend_name: str) -> None:
        self._store, self._plan, self._backend_name = store, plan, backend_name
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._came: queue.Queue[Receipt | Failure | _End] = queue.Queue()
        self._running: _Running | None = None
        self._preparing, self._overrun = 0.0, False
        self._launched: Launched | None = None
        self.in_hand: set[Task] = set()
        self.have_taken_over = False
        self._thread = threading.Thread(target=self._watch, name="nearfield workers", daemon=True)
        if cores() > 1 and not store.path.startswith("memory://"):
            self._thread.start()

    def begins(self, task: Task) -> None:
        self._running = _Running(task, time.monotonic(), None, 0)

    def pauses(self) -> None:
        """The task is prepared, or another block of it is done."""
        running, now = self._running, time.monotonic()
        assert running is not None
        if running.prepared is None:
            self._preparing = max(self._preparing, now - running.since)
            self._running = running._replace(prepared=now)
            return
        self._running = running._replace(blocks=running.blocks + 1)
        if self._plan.seconds_left <= 0 and not self._overrun:
            self._overrun = True
            size = running.task.stop - running.task.start
            left = -(-size // self._store.sweep.block) - running.blocks - 1
            more = left * (now - running.prepared) / (running.blocks + 1)
            if more >= 1:
                _log.warning("the seconds are over: the task that runs ends first, in about %.0f s", more)

    def ends(self) -> None:
        self._running = None

    def take(self) -> Task | None:
        with self._lock:
            return None if self._plan.is_finished else self._plan.take()

    def add(self, result: Receipt | Failure) -> None:
        with self._lock:
            self.in_hand.discard(result.task)
            self._plan.add(result)

    def arrived(self, patience: float = 0.0) -> Results:
        """What workers have finished; waits for something where it is told to."""
        while True:
            try:
                came = self._came.get(timeout=patience) if patience else self._came.get_nowait()
            except queue.Empty:
                return
            patience = 0.0
            if isinstance(came, _End):
                self._give_up(came.error)
                continue
            self.add(came)
            yield came
            if not self._plan.n_open:
                return

    def _give_up(self, error: Exception | None) -> None:
        """Go on here. A task that kills its workers is the exception: it would kill this process too."""
        if isinstance(error, WorkerError) and (self.have_taken_over or self.in_hand):
            raise error
        with self._lock:
            for task in self.in_hand:
                self._plan.give_back(task)
            self.in_hand.clear()
            self.have_taken_over = False
        if error is not None:
            _log.warning("no workers (%s): going on in this process", " ".join(str(error).split())[:300])

    def stop(self) -> None:
        """Ends the workers, at whatever they are, and the thread."""
        self._stopped.set()
        with self._lock:
            launched = self._launched
        if launched:
            launched.end()  # which ends the thread, where it waits for a word
        if self._thread.is_alive():
            self._thread.join()
        if self._launched and self._launched is not launched:  # it was being started just now
            self._launched.end()

    def _watch(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            started = time.monotonic()
            if (left := self._worth()) > 0:
                _log.warning("%.0f s of work left: starting workers", left)
                self._came.put(_End(self._serve()))
                return
            pause = max(_WATCH_SECONDS, 20 * (time.monotonic() - started))  # of many points: 5 % of a core at most

    def _worth(self) -> float:
        """Seconds of work that are left, 0 where they are too few for workers."""
        running, plan = self._running, self._plan
        if running and running.prepared is not None:
            size = running.task.stop - running.task.start
            left = plan.work_left(running.task.point, (time.monotonic() - running.prepared) / size)
        else:
            left = plan.work_left()
        needed = START_SECONDS * slowness() + self._preparing
        pays = min(left, plan.seconds_left) > needed and plan.n_tasks_left > 1
        return left if pays else 0.0

    def _serve(self) -> Exception | None:
        """Start workers and give them what they ask for; why they ended."""
        try:
            launched = Launched()
        except OSError as error:
            return error
        with self._lock:
            self._launched = launched
        if self._stopped.is_set():
            return None
        try:
            return self._answer(launched)
        except (EOFError, OSError):
            return RuntimeError("the process that they belong to has died")
        except Exception as error:  # the sweep cannot be pickled, say
            return error

    def _answer(self, launched: Launched) -> Exception | None:
        sweep = self._store.sweep
        order = WorkOrder(label_of(sweep), pickled(sweep), self._store.storage.absolute, self._backend_name)
        launched.order(order, self._plan.n_tasks_left)
        while True:
            kind, content = launched.receive()
            if kind == "take":
                launched.reply(self._next())
            elif kind == "result":
                self._came.put(content)
                self.have_taken_over = True
            elif kind == "say":
                _log.warning("%s", content)
            else:
                error: Exception | None = content
                return error

    def _next(self) -> Reply:
        with self._lock:
            finished = self._plan.is_finished
            task = None if finished else self._plan.take()
            if task is not None:
                self.in_hand.add(task)
            return Reply(task, self._plan.seconds_left, finished)


def pickled(sweep: Sweep) -> bytes:
    """As workers read it; Ray's pickler, which takes half a second to import, for what a script or notebook defines."""
    try:
        data = pickle.dumps(sweep)
    except (pickle.PicklingError, AttributeError, TypeError):
        data = b"__main__"
    if b"__main__" in data:
        from engine.execution import cluster

        data = cluster.pickled(sweep)
    return data
