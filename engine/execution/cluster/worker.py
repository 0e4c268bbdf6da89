"""A worker: an actor of Ray that computes and stores tasks, and what it tells of them to those who watch."""

import pickle
import sys
import traceback

from ray.util import metrics

from engine.errors import NearfieldError
from engine.execution.cluster import kin
from engine.execution.task import Failure, TaskRunner
from engine.store.receipts import Receipt
from engine.sweep import Task

MAX_ATTEMPTS = 3
"""What was lost with its worker is done again, so often in all."""
_CHUNK_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]  # buckets of the histogram


class Worker:
    """An actor. It is made from bytes and unpacks them at its first task, so that what goes wrong can be told."""

    def __init__(self, search_path: list[str], label: str, sweep: bytes, path: str, backend_name: str) -> None:
        sys.path.extend(entry for entry in search_path if entry not in sys.path)
        self._arguments = sweep, path, backend_name
        self._run: TaskRunner | None = None
        self._metrics = _Metrics(label)

    def ready(self) -> tuple[str, ...]:
        """Answers once the actor runs: where, and with which package, as `Kin`."""
        return tuple(kin.this_process())

    def run(self, task: Task, attempt: int) -> Receipt | Failure:
        result = self._result(task, attempt)
        self._metrics.record(result, attempt)
        return result

    def _result(self, task: Task, attempt: int) -> Receipt | Failure:
        if self._run is None:
            try:
                sweep, path, backend_name = self._arguments
                self._run = TaskRunner(pickle.loads(sweep), path, backend_name)
            except Exception as error:
                message = str(error) if isinstance(error, NearfieldError) else f"{type(error).__name__}: {error}"
                return Failure(task, f"a worker could not start: {message}", traceback.format_exc())
        return self._run(task, attempt)


class _Metrics:
    """What the dashboard of Ray and its Prometheus endpoint show of a run: three series, labelled by the sweep's name.

    Workers record them: that costs the driver nothing, and reaches a cluster that the driver sees through ray:// only.
    """

    def __init__(self, sweep: str) -> None:
        self._realizations = metrics.Counter("nearfield_realizations", "Realizations stored.", ("sweep",))
        self._seconds = metrics.Histogram(
            "nearfield_chunk_seconds", "Seconds to compute a chunk.", boundaries=_CHUNK_SECONDS, tag_keys=("sweep",)
        )
        self._failures = metrics.Counter(
            "nearfield_failures", "Attempts at a task that came to nothing.", ("sweep", "reason")
        )
        self._tags = {"sweep": sweep}

    def record(self, result: Receipt | Failure, attempt: int) -> None:
        if attempt > 1:  # the worker that had the task before did not live to count it
            self._failures.inc(1, self._tags | {"reason": "worker died"})
        if isinstance(result, Failure):
            self._failures.inc(1, self._tags | {"reason": "task raised"})
        else:
            self._realizations.inc(result.stop - result.start, self._tags)
            self._seconds.observe(result.seconds, self._tags)
