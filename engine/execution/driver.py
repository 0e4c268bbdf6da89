"""Running a sweep: the serial runner, which is the oracle of all others, and the loop they share."""

import math
import os
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from engine.backend import Backend, backend
from engine.errors import InputError, NearfieldError, TaskError
from engine.execution.plan import Plan
from engine.execution.submission import require_lasting
from engine.moments import Moments
from engine.scenario import Scenario, Simulate, Variables
from engine.store import stops as stopping
from engine.store.receipts import Receipt
from engine.store.storage import Storage
from engine.store.store import Store, create_or_open
from engine.streams import Streams
from engine.sweep import Sweep, Task
from engine.targets import Target

_PREPARED_POINTS = 4


class Evaluator:
    """Computes tasks of one sweep on one backend, keeping what `prepare` built for the latest points."""

    def __init__(self, sweep: Sweep, on: Backend) -> None:
        self.sweep, self.backend = sweep, on
        self._prepared: OrderedDict[tuple[int, ...], tuple[Scenario, Simulate]] = OrderedDict()

    def _at(self, point: tuple[int, ...]) -> tuple[Scenario, Simulate]:
        """The scenario at `point` and what it prepared, from the cache if they are there."""
        if point not in self._prepared:
            scenario = self.sweep.at(point)
            self._prepared[point] = scenario, scenario.prepare(self.backend.xp)
            if len(self._prepared) > _PREPARED_POINTS:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(point)
        return self._prepared[point]

    def prepare(self, point: tuple[int, ...]) -> None:
        """Build what the point's realizations need, unless it is there."""
        self._at(point)

    def block(self, point: tuple[int, ...], number: int = 0, *, intermediates: bool = False) -> Variables:
        """The variables of one block, on the host."""
        streams = Streams(self.sweep.seed, number)
        scenario, simulate = self._at(point)
        realizations = scenario.draw(streams, self.sweep.block)
        variables = simulate(realizations, intermediates=intermediates)
        return {
            name: (dims, self.backend.to_host(values), attributes)
            for name, (dims, values, attributes) in variables.items()
        }

    def task(self, task: Task) -> Variables:
        """The variables of a task's realizations: its blocks, one after the other, cut to its length."""
        size = self.sweep.block
        blocks = [self.block(task.point, number) for number in range(task.start // size, -(-task.stop // size))]
        return {
            name: (
                dims,
                np.concatenate([part[name][1] for part in blocks])[: task.stop - task.start],
                attributes,
            )
            for name, (dims, _, attributes) in blocks[0].items()
        }


@dataclass(frozen=True)
class Failure:
    """A task that raised: one line for the user, the traceback for the author of the scenario."""

    task: Task
    message: str
    details: str


class TaskRunner:
    """What a worker does: compute a task, store it, hand back the receipt. Held by every worker process."""

    def __init__(self, sweep: Sweep, path: str | os.PathLike[str] | Storage, backend_name: str) -> None:
        threadpool_limits(1)
        on = backend(backend_name)
        self.evaluator, self.store = Evaluator(sweep, on), Store(path)
        self.store.adopt(sweep)

    def __call__(self, task: Task, attempt: int = 1) -> Receipt | Failure:
        try:
            self.evaluator.prepare(task.point)
            started = time.perf_counter(), time.thread_time()  # what is prepared once is no realization's time
            variables = self.evaluator.task(task)
            return self.store.write(
                task,
                variables,
                seconds=time.perf_counter() - started[0],
                cpu_seconds=time.thread_time() - started[1],
                backend=self.evaluator.backend,
                attempt=attempt,
            )
        except NearfieldError as error:
            return Failure(task, str(error), "")  # written for the user: a traceback adds nothing
        except Exception as error:
            return Failure(task, self._described(task, error), traceback.format_exc())

    def _described(self, task: Task, error: Exception) -> str:
        sweep = self.evaluator.sweep
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        point = ", ".join(f"{name}={value}" for name, value in sweep.values(task.point).items()) or "its only point"
        return (
            f"{type(sweep.scenario).__name__} raised {type(error).__name__}: {error} ({where}) at {point}, "
            f"realizations {task.start}–{task.stop - 1}, seed {sweep.seed}"
        )


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
    _stored: Mapping[tuple[tuple[int, ...], int], Receipt] = field(repr=False)

    @property
    def tasks_total(self) -> int:
        return self.sweep.n_tasks

    @property
    def realizations_total(self) -> int:
        return self.sweep.n_points * self.sweep.realizations

    def statistics(self) -> dict[str, dict[tuple[int, ...], Moments]]:
        """variable → point's index along each axis → moments over all that is stored by now."""
        result: dict[str, dict[tuple[int, ...], Moments]] = {}
        for point, start in sorted(self._stored):
            for name, moments in self._stored[point, start].statistics().items():
                points = result.setdefault(name, {})
                points[point] = points[point].merge(moments) if point in points else moments
        return result


def serial(store: Store, plan: Plan, backend_name: str) -> Iterator[Receipt | Failure]:
    """The plan's tasks in this process, one after the other."""
    with threadpool_limits(1):
        run = TaskRunner(store.sweep, store.storage, backend_name)
        while not plan.is_finished and (task := plan.take()):
            result = run(task)
            plan.add(result)
            yield result


def iterate(
    sweep: Sweep,
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    run_serially: bool = False,
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
    workers: Ray actors, one core each; all cores if None. run_serially: in this process, without Ray.
    address: an existing Ray cluster ('auto', 'ray://host:port'); None starts one on this machine and ends it, but in a
    job submitted to a cluster means that one.
    shared_storage: the folder `path` is seen by every node of the cluster, as a URL of object storage always is.
    backend_name: 'cpu' or 'gpu'.
    max_failures: tasks that may raise before the run stops; they are listed in the reports.
    targets: precisions at which a point may stop before its budget of realizations, as `engine.Target` or its text
    'rmse_range_m:rel=0.05'; all must hold (see `engine.plan`). max_seconds: of this run, after which it stops with what
    is stored. Why each point stopped is kept in the store. A later run without them goes on to the budget.
    Raises TaskError when a scenario raised, StoreError for a store that cannot be used.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: given {workers}, needed at least 1")
    if run_serially and (workers is not None or address is not None):
        raise InputError("a serial run has no workers and no address: leave out either 'serial' or these")
    require_lasting(path)
    wanted = tuple(Target.parse(target) for target in ([targets] if isinstance(targets, str) else targets))
    if max_seconds is not None and not 0 < max_seconds < math.inf:
        raise InputError(f"max_seconds: given {max_seconds!r}, needed a positive number")
    is_limited = bool(wanted) or max_seconds is not None
    store = _opened(path, sweep, backend(backend_name), wanted)
    try:
        done = store.receipts()
        plan = Plan(store.grid, done, stopping.aims_in(store, wanted), max_seconds)
        tally = _Tally(store.sweep, done, plan)
        stopping.write(store.storage, stopping.record_of(plan, wanted, max_seconds) if is_limited else None)
        open_points = plan.n_open
        yield tally.report(None)
        if plan.is_finished:
            return
        if run_serially:
            results = serial(store, plan, backend_name)
        else:
            from engine.execution import cluster

            results = cluster.run(
                store, plan, backend_name, workers=workers, address=address, shared_storage=shared_storage
            )
        try:
            for result in results:
                tally.add(result)
                if is_limited and plan.n_open < open_points:
                    open_points = plan.n_open
                    stopping.write(store.storage, stopping.record_of(plan, wanted, max_seconds))
                yield tally.report(result)
                store.require_held()
                if len(tally.failures) > max_failures:
                    break
        finally:
            results.close()  # type: ignore[attr-defined]
        if is_limited:
            stopping.write(store.storage, stopping.record_of(plan, wanted, max_seconds))
    finally:
        store.release()
    if tally.failures:
        first = tally.failures[0]
        more = f" ({len(tally.failures)} tasks failed in all)" if len(tally.failures) > 1 else ""
        raise TaskError(first.message + more, first.details)


def _opened(path: str | os.PathLike[str], sweep: Sweep, on: Backend, targets: tuple[Target, ...]) -> Store:
    """The store, made where there is none, once the targets are known to name something in it."""
    evaluator = Evaluator(sweep, on)

    def block(point: tuple[int, ...]) -> Variables:
        variables = evaluator.block(point)
        stopping.require(targets, sweep, variables)
        return variables

    with threadpool_limits(1):
        return create_or_open(path, sweep, block, on)


class _Tally:
    """Adds up receipts and failures."""

    def __init__(self, sweep: Sweep, stored: list[Receipt], plan: Plan) -> None:
        self.sweep, self._plan = sweep, plan
        self.failures: list[Failure] = []
        self._stored = {(receipt.point, receipt.start): receipt for receipt in stored}
        self._tasks_done = sum(map(self._is_whole, stored))
        self._realizations = sum(receipt.stop - receipt.start for receipt in stored)
        self._started = time.monotonic()
        self._first: tuple[float, int] | None = None

    def add(self, result: Receipt | Failure) -> None:
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        shorter = self._stored.get((result.point, result.start))
        self._realizations += result.stop - (shorter.stop if shorter else result.start)
        self._stored[result.point, result.start] = result
        self._tasks_done += self._is_whole(result) - (shorter is not None and self._is_whole(shorter))
        if self._first is None:  # workers took their time to start: the rate is measured from here
            self._first = time.monotonic(), self._realizations

    def _is_whole(self, receipt: Receipt) -> bool:
        """Not cut short by a smaller budget than today's."""
        return receipt.stop >= min(receipt.start + self.sweep.chunk_size, self.sweep.realizations)

    def report(self, latest: Receipt | Failure | None) -> Progress:
        now = time.monotonic()
        left = self._plan.realizations_left
        seconds_left = None
        if self._first is not None and self._realizations > self._first[1]:
            seconds_left = left * (now - self._first[0]) / (self._realizations - self._first[1])
        return Progress(
            self.sweep,
            tasks_done=self._tasks_done,
            realizations_done=self._realizations,
            seconds=now - self._started,
            seconds_left=seconds_left,
            realizations_left=left,
            points_open=self._plan.n_open,
            failures=tuple(self.failures),
            receipt=latest if isinstance(latest, Receipt) else None,
            _stored=self._stored,
        )
