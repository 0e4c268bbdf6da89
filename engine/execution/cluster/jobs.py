"""Long jobs such as trainings over a cluster: each in a worker of its own, or one in several that PyTorch connects."""

import os
import pickle
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from engine.errors import NearfieldError, TaskError, WorkerError
from engine.execution.cluster.connection import connected
from engine.execution.cluster.resources import count_workers
from engine.execution.cluster.worker import MAX_ATTEMPTS

Job = Callable[[], Iterator[Any]]
"""Long work that reports as it goes and, started again, continues from what it kept itself."""


def stream(
    jobs: list[Job],
    backend_name: str,
    *,
    folder: Path,
    workers: int | None = None,
    address: str | None = None,
    shared_storage: bool = False,
) -> Iterator[Any]:
    """Run every job once, as many at a time as there are workers, and yield what they report as it comes.

    folder: where the jobs keep what they make.
    A job whose worker dies is started again, three times in all. One that raises stops them all, with its error.
    """
    with connected(address, workers):
        count = count_workers(backend_name, workers, len(jobs), None if shared_storage else folder)
        gpus = 1 if backend_name == "gpu" else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_reports).options(num_returns="streaming")
        waiting = deque((job, 1) for job in jobs)
        running: dict[Any, tuple[Job, int]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < count:
                    job, attempt = waiting.popleft()
                    running[remote.remote(sys.path, ray.cloudpickle.dumps(job))] = job, attempt
                (ready, *_), _ = ray.wait(list(running), num_returns=1)
                try:
                    report = ray.get(next(ready))
                except StopIteration:
                    del running[ready]
                except RayError as error:  # Ray's own retry would drop as many reports as it had already seen
                    job, attempt = running.pop(ready)
                    if attempt >= MAX_ATTEMPTS:
                        reason = " ".join(str(error).split())[:300]
                        raise WorkerError(
                            f"a worker died {attempt} times: {reason}; what was finished is kept. Out of memory?"
                        ) from None
                    waiting.appendleft((job, attempt + 1))
                else:
                    if isinstance(report, _Raised):
                        raise report.error
                    yield report
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


class _Raised:
    """An error for the user, which crosses processes as it is; Ray would wrap it into one of its own."""

    def __init__(self, error: NearfieldError) -> None:
        self.error = error


def _reports(search_path: list[str], pickled: bytes) -> Iterator[Any]:
    sys.path.extend(entry for entry in search_path if entry not in sys.path)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        try:
            yield from pickle.loads(pickled)()
        except NearfieldError as error:
            yield _Raised(error)
        except Exception as error:
            yield _Raised(TaskError(f"{type(error).__name__}: {error}", traceback.format_exc()))


def replicate(
    job: Job,
    replicas: int,
    backend_name: str,
    *,
    folder: Path,
    address: str | None = None,
    shared_storage: bool = False,
) -> Iterator[Any]:
    """Run one job in `replicas` workers of Ray Train, which PyTorch connects (gloo on CPUs, NCCL on GPUs).

    Yields what the first of them reports. folder: for Ray Train's own notes.
    """
    import threading

    with connected(address, replicas + 1):  # Ray Train's queue of reports takes no core, its controller none either
        count_workers(backend_name, replicas, replicas, None if shared_storage else folder)
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.util.queue import Queue

        queue = Queue(actor_options={"num_cpus": 0})
        trainer = TorchTrainer(
            _replica,
            train_loop_config={"search_path": sys.path, "job": ray.cloudpickle.dumps(job), "queue": queue},
            scaling_config=ScalingConfig(num_workers=replicas, use_gpu=backend_name == "gpu"),
            run_config=RunConfig(storage_path=str(folder.absolute()), name=f".ray-{os.getpid()}"),
        )
        failure: list[Exception] = []

        def fit() -> None:
            try:
                trainer.fit()
            except Exception as error:
                failure.append(error)
            queue.put(None)

        thread = threading.Thread(target=fit, daemon=True)
        thread.start()
        while (report := queue.get()) is not None:
            if isinstance(report, _Raised):
                raise report.error
            yield report
        thread.join()
        if failure:
            raise WorkerError(f"Ray Train: {' '.join(str(failure[0]).split())[:300]}; the same command continues")


def _replica(config: dict[str, Any]) -> None:
    import ray.train

    first = ray.train.get_context().get_world_rank() == 0
    for report in _reports(config["search_path"], config["job"]):
        if first or isinstance(report, _Raised):
            config["queue"].put(report)
