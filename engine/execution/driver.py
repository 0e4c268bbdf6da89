"""The driver's side of a run: a store made or resumed, reports; and the serial runner, the oracle of all others."""

import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import threadpool_limits

from engine.backend import backend
from engine.errors import InputError, TaskError
from engine.execution import apart, handover
from engine.execution.plan import Plan
from engine.execution.submission import is_submitted, require_lasting
from engine.execution.task import Evaluator, Failure, Results, TaskRunner
from engine.moments import Moments
from engine.scenario import Variables
from engine.store import aims, changes
from engine.store.create import create_or_open
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import Sweep
from engine.targets import Target


@dataclass(frozen=True)
class Progress:
    """How far a run is. `receipt` is the latest one; None in the first report and after a failure.

    With targets, `realizations_left` and `seconds_left` are predicted from the variances found so far; `points_open`
    are the points that have not yet met theirs, or else their budget.
    """

    sweep: Sweep
    tasks_done: int
    realizations_done: int
    seconds: float
    seconds_left: float | None
    realizations_left: int
    points_open: int
    failures: tuple[Failure, ...]
    receipt: Receipt | None
    _plan: Plan = field(repr=False)

    @property
    def tasks_total(self) -> int:
        return self.sweep.n_tasks

    @property
    def realizations_total(self) -> int:
        return self.sweep.n_points * self.sweep.realizations

    def statistics(self) -> dict[str, dict[tuple[int, ...], Moments]]:
        """variable → point's index along each axis → moments over all that is stored by now."""
        return self._plan.statistics()


def begins_here(
    *, workers: int | None = None, address: str | None = None, backend_name: str = "cpu", **_: object
) -> bool:
    """Whether a run with these options begins in this process: it names no workers, and is in no session of Ray.

    Not on a GPU, whose memory this process would share with a worker's.
    """
    return workers is None and address is None and backend_name == "cpu" and not _in_session()


def _in_session() -> bool:
    return is_submitted() or _has_ray()


def _has_ray() -> bool:
    """Whether the caller has connected this process to Ray."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def in_this_process(store: Store, plan: Plan, backend_name: str, evaluator: Evaluator | None = None) -> Results:
    """The plan's tasks in this process, one after the other."""
    with threadpool_limits(1):
        run = TaskRunner(store.sweep, store.storage, backend_name, evaluator)
        while not plan.is_finished and (task := plan.take()):
            result = run(task)
            plan.add(result)
            yield result


def iterate(
    sweep: Sweep,
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    serial: bool = False,
    address: str | None = None,
    shared_storage: bool = False,
    backend_name: str = "cpu",
    max_failures: int = 0,
    targets: Iterable[Target | str] = (),
    max_seconds: float | None = None,
) -> Iterator[Progress]:
    """Create or resume the store at `path` and compute what it lacks, yielding a report after each task.

    path: a folder, or a URL that fsspec knows, such as s3://bucket/prefix. One driver at a time holds the store's lock.

    Stopping early, by closing the generator or by Ctrl-C, keeps every stored task; so does a crash.
    workers: Ray actors, one core each, from the start. None: the run begins in this process, and workers on all cores
    take over where that pays (see `engine.execution.handover`); in a session of Ray, all of its cores from the start.
    serial: in this process to the end, without Ray.
    address: an existing Ray cluster ('auto', 'ray://host:port'); None starts one on this machine and ends it, but in a
    job submitted to a cluster means that one.
    shared_storage: the folder `path` is seen by every node of the cluster, as a URL of object storage always is.
    backend_name: 'cpu' or 'gpu'.
    max_failures: tasks that may raise before the run stops; they are listed in the reports.
    targets: precisions at which a point may stop before its budget of realizations, as `engine.Target` or its text
    'rmse_range_m:rel=0.05'; all must hold (see `engine.execution.plan`). max_seconds: of this run, after which no task
    is begun; those that run end, and it stops with what is stored. Why each point stopped is kept in the store. A later
    run without them goes on to the budget.
    Workers that are named, and the Ray that they belong to, are in processes beside this one, unless this one has
    called `ray.init` itself: then it ends with Ray, where Ray loses its parts.
    Raises TaskError when a scenario raised, StoreError for a store that cannot be used, WorkerError where workers keep
    dying, or Ray.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: given {workers}, needed at least 1")
    if serial and (workers is not None or address is not None):
        raise InputError("a serial run has no workers and no address: leave out either 'serial' or these")
    require_lasting(path)
    wanted = tuple(Target.parse(target) for target in ([targets] if isinstance(targets, str) else targets))
    if max_seconds is not None and not 0 < max_seconds < math.inf:
        raise InputError(f"max_seconds: given {max_seconds!r}, needed a positive number")
    evaluator = Evaluator(sweep, backend(backend_name))
    store = _opened(path, evaluator, wanted)
    try:
        plan = Plan(store.grid, store.receipts(), aims.aims_in(store, wanted), max_seconds)

        def results() -> Results:
            if serial:
                return in_this_process(store, plan, backend_name, evaluator)
            if begins_here(workers=workers, address=address, backend_name=backend_name):
                return handover.run(store, plan, backend_name, evaluator)
            options: Any = {"workers": workers, "address": address, "shared_storage": shared_storage}
            if not _has_ray():
                return apart.run(store, plan, backend_name, **options)
            from engine.execution import cluster

            return cluster.run(store, plan, backend_name, **options)

        failures = yield from _reports(store, plan, results, max_failures)
    finally:
        store.release()
    if failures:
        more = f" ({len(failures)} tasks failed in all)" if len(failures) > 1 else ""
        raise TaskError(failures[0].message + more, failures[0].details)


def _reports(
    store: Store, plan: Plan, results: Callable[[], Results], max_failures: int
) -> Generator[Progress, None, list[Failure]]:
    """A report of what is stored, and one after each result; why points stopped is stored whenever one does.

    Returns the tasks that raised.
    """
    clock = _Clock()
    failures: list[Failure] = []
    changes.note_stops(store, plan.record())
    yield clock.report(store.sweep, plan, failures, None)
    if plan.is_finished:
        return failures
    open_points, running = plan.n_open, results()
    try:
        for result in running:
            if isinstance(result, Failure):
                failures.append(result)
            if plan.n_open < open_points:
                open_points = plan.n_open
                _note_stops(store, plan)
            yield clock.report(store.sweep, plan, failures, result)
            store.require_held()
            if len(failures) > max_failures:
                break
    finally:
        running.close()
    _note_stops(store, plan)
    return failures


def _note_stops(store: Store, plan: Plan) -> None:
    if record := plan.record():
        changes.note_stops(store, record)


def _opened(path: str | os.PathLike[str], evaluator: Evaluator, targets: tuple[Target, ...]) -> Store:
    """The store, made where there is none, once the targets are known to name something in it."""

    def block(point: tuple[int, ...]) -> Variables:
        variables = evaluator.block(point)
        aims.require(targets, evaluator.sweep, variables)
        return variables

    with threadpool_limits(1):
        return create_or_open(path, evaluator.sweep, block, evaluator.backend)


class _Clock:
    """How long a run has taken, and at what rate since its first result: workers take their time to start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first: tuple[float, int] | None = None

    def report(self, sweep: Sweep, plan: Plan, failures: list[Failure], latest: Receipt | Failure | None) -> Progress:
        now, seconds_left = time.monotonic(), None
        receipt = latest if isinstance(latest, Receipt) else None
        if self._first is None and receipt:
            self._first = now, plan.realizations_done
        if self._first is not None and plan.realizations_done > self._first[1]:
            seconds_left = plan.realizations_left * (now - self._first[0]) / (plan.realizations_done - self._first[1])
        return Progress(
            sweep,
            tasks_done=plan.tasks_done,
            realizations_done=plan.realizations_done,
            seconds=now - self._started,
            seconds_left=seconds_left,
            realizations_left=plan.realizations_left,
            points_open=plan.n_open,
            failures=tuple(failures),
            receipt=receipt,
            _plan=plan,
        )
