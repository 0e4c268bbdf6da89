"""The loop that starts workers, hands out tasks and waits, over a Ray that does what it is told, one thing a wait."""

import math
import re
from collections import Counter, deque
from typing import Any

import pytest
import toy
from ray.exceptions import RayActorError

from engine import InputError, WorkerError
from engine.execution.cluster import kin, loop
from engine.execution.launch import WorkOrder
from engine.sweep import Task

TASKS = toy.small.replace(realizations=48).tasks()
QUIET = ("nothing", -1)


class Method:
    def __init__(self, call: Any) -> None:
        self.remote = call


class Reference:
    """What a call returns: with no task, of a start. `outcome`: None until it has ended."""

    def __init__(self, worker: "Worker", task: Task | None = None, attempt: int = 0) -> None:
        self.worker, self.task, self.attempt, self.outcome = worker, task, attempt, None


class Worker:
    def __init__(self, ray: "Ray", number: int) -> None:
        self._ray, self.number, self.runs = ray, number, False
        self.ready, self.run = Method(lambda: self._called(Reference(self))), Method(self._begin)

    def _begin(self, task: Task, attempt: int) -> Reference:
        assert self.runs, "a task for a worker that may never run is a task that may never end"
        return self._called(Reference(self, task, attempt))

    def _called(self, reference: Reference) -> Reference:
        self._ray.calls.append(reference)
        return reference


class Ray:
    """What the loop asks of Ray. events: what happens at each wait: (what, number of the worker).

    A worker "starts", "fails" to, "ends" the first task it has in hand, or "dies"; "nothing" is nothing. When all has
    happened, the tasks end in the order in which they were handed out.
    """

    def __init__(self, *events: tuple[str, int]) -> None:
        self.events = deque(events)
        self.workers: list[Worker] = []
        self.calls: list[Reference] = []
        self.killed: list[Worker] = []
        self.seconds = 0.0
        self.most_in_hand = 0
        self.reason = "a worker\nis no more"

    def remote(self, *given: Any, **resources: Any) -> Any:
        """As a decorator of an actor's class, and as what the class makes of its arguments."""
        if resources:
            self.resources = resources
            return lambda actor_class: self
        self.workers.append(Worker(self, len(self.workers)))
        return self.workers[-1]

    def put(self, value: Any) -> Any:
        return value

    def get(self, reference: Reference) -> Any:
        if isinstance(reference.outcome, Exception):
            raise reference.outcome
        return reference.outcome

    def kill(self, worker: Worker) -> None:
        self.killed.append(worker)

    def wait(self, references: list[Reference], *, num_returns: int, timeout: float | None = None) -> Any:
        assert timeout is None or timeout >= 0
        in_hand = Counter(one.worker.number for one in self.calls if one.task and one.outcome is None)
        self.most_in_hand = max(self.most_in_hand, *in_hand.values(), 0)
        if not any(one.outcome for one in references):
            self._happen(*(self.events.popleft() if self.events else ("ends", -1)))
        ended = [one for one in references if one.outcome]
        if len(ended) < num_returns:
            assert timeout is not None, "it waits for ever"
            self.seconds += timeout
        return ended[:num_returns], [one for one in references if one not in ended[:num_returns]]

    def _happen(self, what: str, number: int) -> None:
        mine = [one for one in self.calls if one.outcome is None and number in (one.worker.number, -1)]
        if what == "ends":
            (first, *_) = [one for one in mine if one.task]
            first.outcome = first.task, first.attempt
        elif what == "starts":
            mine[0].worker.runs, mine[0].outcome = True, tuple(kin.this_process())
        elif what in ("fails", "dies"):
            for one in mine:
                one.worker.runs, one.outcome = False, RayActorError(error_msg=self.reason)

    def handed(self) -> list[tuple[int, Task, int]]:
        """(worker, task, attempt), in the order of the calls."""
        return [(one.worker.number, one.task, one.attempt) for one in self.calls if one.task]


class Tasks:
    """A plan of a few tasks, finished when all are done or the seconds are over."""

    def __init__(self, ray: Ray, count: int, seconds: float = math.inf) -> None:
        self._ray, self._seconds, self._count = ray, seconds, count
        self._left, self.done = deque(TASKS[:count]), []
        self.n_tasks_left = count

    @property
    def is_finished(self) -> bool:
        return len(self.done) == self._count or self.seconds_left <= 0

    @property
    def seconds_left(self) -> float:
        return self._seconds - self._ray.seconds

    def take(self) -> Task | None:
        return self._left.popleft() if self._left else None

    def add(self, result: Any) -> None:
        self.done.append(result)


def looped(monkeypatch: pytest.MonkeyPatch, ray: Ray, plan: Tasks, workers: int, backend: str = "cpu") -> loop._Loop:
    monkeypatch.setattr(loop, "ray", ray)
    monkeypatch.setattr(loop, "free_resources", lambda: "1 of 4 CPUs free")
    return loop._Loop(WorkOrder("toy", b"", "s.zarr", backend), plan, workers)


def test_one_worker_that_runs_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two others may wait for room for ever: nobody waits for them, and they are given nothing."""
    ray = Ray(("starts", 1))
    plan = Tasks(ray, 5)
    running = looped(monkeypatch, ray, plan, 3)
    running.wait_for_one()
    assert [worker for worker, _, _ in ray.handed()] == [1, 1]
    assert list(running.results()) == [(task, 1) for task in TASKS[:5]] == plan.done
    assert {worker for worker, _, _ in ray.handed()} == {1}
    assert (ray.seconds, ray.most_in_hand, len(ray.workers)) == (0, 2, 3)


def test_until_one_runs_it_is_said_every_half_minute_why(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    ray = Ray(QUIET, QUIET, ("starts", 0))
    looped(monkeypatch, ray, Tasks(ray, 1), 2).wait_for_one()
    said = "still no result: 2 of 2 workers are still starting; 1 of 4 CPUs free"
    assert [record.getMessage() for record in caplog.records] == [said] * 2
    assert ray.seconds == 60


def test_without_waiting_for_one_tasks_go_to_whoever_runs(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Quiet is told of until the first result; then a task may take as long as it takes."""
    ray = Ray(QUIET, ("starts", 1), QUIET, ("ends", 1), ("starts", 0), ("ends", 0))
    plan = Tasks(ray, 6)
    results = looped(monkeypatch, ray, plan, 2).results()
    assert Counter(task for task, _ in results) == Counter(TASKS[:6])
    assert [worker for worker, _, _ in ray.handed()][:5] == [1, 1, 1, 0, 0]
    assert [record.getMessage()[:32] for record in caplog.records] == [
        "still no result: 2 of 2 workers ",
        "still no result: 1 of 2 workers ",
    ]
    assert ray.seconds == 60


def test_each_has_one_task_before_one_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(("starts", 0), ("starts", 1))
    plan = Tasks(ray, 9)
    running = looped(monkeypatch, ray, plan, 2)
    held, plan._left = plan._left, deque()  # nothing to do until both run
    for reference in list(running._starting):
        (started,), _ = ray.wait([reference], num_returns=1)
        running._started(started)
    plan._left = held
    assert len(list(running.results())) == 9
    assert [worker for worker, _, _ in ray.handed()][:4] == [0, 1, 0, 1]
    assert ray.most_in_hand == 2


def test_two_failed_starts_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(("fails", 0), ("fails", 2), ("starts", 3), ("starts", 1))
    plan = Tasks(ray, 4)
    running = looped(monkeypatch, ray, plan, 2)
    assert len(list(running.results())) == 4
    assert len(ray.workers) == 4
    assert {worker for worker, _, _ in ray.handed()} == {1, 3}
    running.stop()
    assert [worker.number for worker in ray.killed] == [3, 1]


@pytest.mark.parametrize("waits_for_one", [True, False])
def test_the_third_failed_start_ends_the_run(monkeypatch: pytest.MonkeyPatch, waits_for_one: bool) -> None:
    ray = Ray(("fails", 0), ("fails", 1), ("fails", 2), ("starts", 3))
    ray.reason = "a worker\n" + "x" * 400  # Ray says much
    running = looped(monkeypatch, ray, Tasks(ray, 4), 2)
    with pytest.raises(WorkerError, match="^workers died 3 times while they started: a worker x{291}$"):
        running.wait_for_one() if waits_for_one else list(running.results())
    assert len(ray.workers) == 4
    assert ray.handed() == []


def test_a_start_that_fails_for_want_of_the_package_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(("fails", 0))
    running = looped(monkeypatch, ray, Tasks(ray, 1), 1)
    monkeypatch.setattr(RayActorError, "__str__", lambda error: "ModuleNotFoundError: No module named 'engine'\n")
    with pytest.raises(InputError, match="No module named 'engine': install the driver's version"):
        list(running.results())
    assert len(ray.workers) == 1


def test_what_a_dead_worker_had_in_hand_is_done_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(("starts", 0), ("starts", 1), ("ends", 1), ("dies", 0), ("starts", 2))
    plan = Tasks(ray, 8)
    running = looped(monkeypatch, ray, plan, 2)
    results = list(running.results())
    assert Counter(task for task, _ in results) == Counter(TASKS[:8])
    assert [(task, attempt) for task, attempt in results if attempt != 1] == [(TASKS[0], 2), (TASKS[1], 2)]
    again = [(task, attempt) for _, task, attempt in ray.handed()][5:7]
    assert again == [(TASKS[0], 2), (TASKS[1], 2)]
    running.stop()
    assert [worker.number for worker in ray.killed] == [2, 1]


def test_a_task_whose_worker_died_three_times_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(*[(what, number) for number in range(4) for what in ("starts", "dies")])
    tasks = [re.escape(f"point {t.point}, realizations {t.start}–{t.stop - 1}") for t in TASKS[:2]]
    with pytest.raises(WorkerError, match=f"^a worker died 3 times on {'; '.join(tasks)}: a worker is no more; what"):
        list(looped(monkeypatch, ray, Tasks(ray, 2), 1).results())
    assert [attempt for _, _, attempt in ray.handed()] == [1, 1, 2, 2, 3, 3]


def test_when_the_seconds_are_over_each_ends_what_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks that wait behind are not waited for; nor is one whose worker dies then."""
    starts = [("starts", number) for number in range(3)]
    ray = Ray(*starts, QUIET, ("ends", 2), ("dies", 0), ("ends", 1))
    plan = Tasks(ray, 12, seconds=0.5)
    running = looped(monkeypatch, ray, plan, 3)
    at = [(2, TASKS[4]), (1, TASKS[2])]
    assert list(running.results()) == [(task, 1) for _, task in at] == plan.done
    assert ray.seconds == 0.5
    assert not ray.events


@pytest.mark.parametrize(("backend", "gpus"), [("cpu", 0), ("gpu", 1)])
def test_a_worker_takes_a_core_and_what_its_backend_needs(
    monkeypatch: pytest.MonkeyPatch, backend: str, gpus: int
) -> None:
    ray = Ray()
    looped(monkeypatch, ray, Tasks(ray, 1), 2, backend)
    assert ray.resources == {"num_cpus": 1, "num_gpus": gpus}
    assert len(ray.workers) == 2
