"""The worker's side of a run: computing tasks, storing them, telling what went wrong."""

import os
import time
import traceback
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from engine.backend import Backend, backend
from engine.errors import NearfieldError
from engine.scenario import Scenario, Simulate, Variables
from engine.store.receipts import Receipt
from engine.store.storage import Storage
from engine.store.store import Store
from engine.streams import Streams
from engine.sweep import Sweep, Task

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

    def blocks(self, task: Task) -> Iterator[Variables]:
        """The variables of a task's blocks, one after the other."""
        size = self.sweep.block
        for number in range(task.start // size, -(-task.stop // size)):
            yield self.block(task.point, number)

    def task(self, task: Task) -> Variables:
        """The variables of a task's realizations."""
        return _joined(task, list(self.blocks(task)))


def _joined(task: Task, blocks: list[Variables]) -> Variables:
    """The variables of a task's realizations: its blocks', cut to its length."""
    return {
        name: (dims, np.concatenate([part[name][1] for part in blocks])[: task.stop - task.start], attributes)
        for name, (dims, _, attributes) in blocks[0].items()
    }


@dataclass(frozen=True)
class Failure:
    """A task that raised: one line for the user, the traceback for the author of the scenario."""

    task: Task
    message: str
    details: str


Results = Generator[Receipt | Failure, None, None]
"""What a runner yields, as it comes; closed, it leaves nothing running."""

Steps = Generator[None, None, Receipt | Failure]
"""A task in the making, which pauses once its point is prepared, and after every block."""


class TaskRunner:
    """What a worker does: compute a task, store it, hand back the receipt. Held by every worker process.

    evaluator: of the same sweep, which may have points prepared already.
    """

    def __init__(
        self,
        sweep: Sweep,
        path: str | os.PathLike[str] | Storage,
        backend_name: str,
        evaluator: Evaluator | None = None,
    ) -> None:
        threadpool_limits(1)
        self.evaluator, self.store = evaluator or Evaluator(sweep, backend(backend_name)), Store(path)
        self.store.adopt(sweep)

    def __call__(self, task: Task, attempt: int = 1) -> Receipt | Failure:
        steps = self.steps(task, attempt)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: Receipt | Failure = end.value
                return result

    def steps(self, task: Task, attempt: int = 1) -> Steps:
        """The same, in steps of a block, so that whoever called can do something between them."""
        try:
            self.evaluator.prepare(task.point)  # what is prepared once is no realization's time
            yield
            parts: list[Variables] = []
            blocks, seconds, cpu_seconds = self.evaluator.blocks(task), 0.0, 0.0
            while True:
                started = time.perf_counter(), time.thread_time()
                part = next(blocks, None)
                seconds += time.perf_counter() - started[0]
                cpu_seconds += time.thread_time() - started[1]
                if part is None:
                    break
                parts.append(part)
                yield
            return self.store.write(
                task,
                _joined(task, parts),
                seconds=seconds,
                cpu_seconds=cpu_seconds,
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
