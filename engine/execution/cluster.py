"""Workers as Ray actors, and the driver's loop. The only file that imports ray."""

import logging
import math
import os
import pickle
import socket
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported

import ray
from ray._private import ray_constants
from ray.exceptions import AuthenticationError, RayActorError, RayError
from ray.util import metrics

from engine.errors import InputError, NearfieldError, StoreError, TaskError, WorkerError
from engine.execution import submission
from engine.execution.plan import Plan
from engine.execution.task import Failure, Results, TaskRunner
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import Task

_IN_FLIGHT = 2  # a worker never waits for the driver, and a lost one costs two tasks
_MAX_ATTEMPTS = 3
_QUIET_SECONDS = 30
_CHUNK_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]  # buckets of the histogram

_log = logging.getLogger(__name__)


class _Worker:
    """An actor. It is made from bytes and unpacks them at its first task, so that what goes wrong can be told."""

    def __init__(self, search_path: list[str], label: str, sweep: bytes, path: str, backend_name: str) -> None:
        sys.path.extend(entry for entry in search_path if entry not in sys.path)
        self._arguments = sweep, path, backend_name
        self._run: TaskRunner | None = None
        self._metrics = _Metrics(label)

    def ready(self) -> None:
        """Answers once the actor runs."""

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
    if store.path.startswith("memory://"):
        raise InputError(f"{store.path} lies in the memory of one process: run serially, or choose another path")
    with _connected(address, workers):
        on_one_node = store.path if store.storage.is_local and not shared_storage else None
        count = _workers(backend_name, workers, plan.n_tasks_left, on_one_node)
        try:
            loop = _Loop(store, backend_name, plan, count)
        except ModuleNotFoundError as error:  # told by a server of ray://
            raise InputError(f"the cluster's Python lacks a module: {error}; install nearfield on every node") from None
        try:
            yield from loop.results()
        finally:
            loop.stop()


class _Loop:
    """Keeps every actor busy with two tasks, as long as the plan has some, and replaces the ones that die.

    An actor gets tasks once it runs: where a node was lost, its replacement may wait for room that never comes, and
    the others do its work.
    """

    def __init__(self, store: Store, backend_name: str, plan: Plan, count: int) -> None:
        resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if backend_name == "gpu" else 0}
        self._actor_class = ray.remote(**resources)(_Worker)
        sweep = ray.put(ray.cloudpickle.dumps(store.sweep))
        label = store.sweep.name or type(store.sweep.scenario).__name__
        self._arguments = (sys.path, label, sweep, store.storage.absolute, backend_name)
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

    def results(self) -> Iterator[Receipt | Failure]:
        heard = False
        while not self._plan.is_finished and (self._running or self._has_waiting()):
            patience = math.inf if heard and self._running else _QUIET_SECONDS
            timeout = max(0.0, min(patience, self._plan.seconds_left))
            ready, _ = ray.wait(
                [*self._running, *self._starting],
                num_returns=1,
                timeout=None if math.isinf(timeout) else timeout,
            )
            if not ready and not self._plan.is_finished:
                _log.warning("still no result: %s", _free())
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
                    self._plan.add(result)
                    self._submit()
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
        self._submit()

    def stop(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


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
    with _connected(address, workers):
        count = _workers(backend_name, workers, len(jobs), None if shared_storage else folder)
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
                    if attempt >= _MAX_ATTEMPTS:
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

    with _connected(address, replicas + 1):  # Ray Train's queue of reports takes no core, its controller none either
        _workers(backend_name, replicas, replicas, None if shared_storage else folder)
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


def _workers(backend_name: str, wanted: int | None, useful: int, on_one_node: Any) -> int:
    """Workers to use, as many as wanted and useful, all if None are wanted; refused where the cluster has fewer.

    on_one_node: a path that only this node is known to see, which is refused where there are others; or None.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) > 1 and on_one_node is not None:
        raise StoreError(
            f"{on_one_node} is a local path and {len(nodes)} nodes are alive: name a path that every node mounts "
            f"and say so with --shared-storage, or object storage such as s3://bucket/prefix"
        )
    resource = "GPU" if backend_name == "gpu" else "CPU"
    available = int(ray.cluster_resources().get(resource, 0))
    if not available:
        raise InputError(f"the cluster has no {resource}: start a node that has one, or choose another backend")
    count = min(wanted or available, useful)
    if count > available:
        raise InputError(f"workers: given {count}, needed at most {available}, the cluster's {resource}s")
    return count


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
    if address is None and submission.is_submitted():
        address = "auto"
    if address is None:
        # Without 'local', Ray joins whatever cluster this machine has, or waits for ever for one that has died.
        options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}  # None: Ray counts the cores
    else:
        options["address"] = _reachable(address)
    try:
        with _on_loopback() if address is None else nullcontext():
            ray.init(**options)
    except Exception as error:  # a node that starts too slowly is a plain Exception
        raise _unreachable(address or "this machine", error) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let the Ray that is started inside listen on 127.0.0.1 alone, where it would on every interface.

    Ray's own option for it, `_node_ip_address="127.0.0.1"`, is replaced by the address of the machine on Linux. What
    decides is whether this system may form clusters, by default all but Windows and macOS; Ray's processes inherit it.
    """
    variable = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    may_cluster, inherited = ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(variable)
    ray_constants.ENABLE_RAY_CLUSTER, os.environ[variable] = False, "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = may_cluster
        os.environ.pop(variable)
        if inherited is not None:
            os.environ[variable] = inherited


def _reachable(address: str) -> str:
    """The address, 'auto' resolved. Refused at once where nothing listens or the user's token is not the cluster's.

    Ray itself waits half a minute for the one, or for ever, and twenty seconds for the other.
    'auto' is what RAY_ADDRESS says, or else the file that `ray start` leaves, also after its cluster has died.
    """
    is_found = address == "auto" and not os.environ.get("RAY_ADDRESS")
    if address == "auto":
        note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
        address = os.environ.get("RAY_ADDRESS") or (note.read_text().strip() if note.exists() else "")
    # Ray has no public way to ask; where these names move, only --address is affected.
    from ray._private.authentication.authentication_token_setup import (
        ensure_token_if_auth_enabled,
        maybe_enable_token_auth_if_token_available,
    )
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise _unreachable(address or "auto", "no cluster was started here" if not address else "not host:port")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        if is_found:  # as `ray start` does, which made the cluster
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        ensure_token_if_auth_enabled(create_token_if_missing=False)  # Ray's client aborts the process without one
        if not address.startswith("ray://"):
            GcsClient(address=address)
    except (RayError, OSError, RuntimeError) as error:
        raise _unreachable(address, error) from None
    return address


def _unreachable(address: str, reason: Exception | str) -> InputError:
    if isinstance(reason, AuthenticationError):
        return InputError(
            f"Ray at {address} refuses this user's token: set RAY_AUTH_MODE=token, and put the cluster's token into "
            f"~/.ray/auth_token or RAY_AUTH_TOKEN"
        )
    words = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
    return InputError(
        f"cannot reach Ray at {address}: {' '.join(words.split())[:300]}; start a cluster with 'ray start --head', "
        f"give its token in ~/.ray/auth_token and RAY_AUTH_MODE=token, or leave --address out"
    )
