"""Ray's own parts die, or are not what they should be: one line of ours, and a store that goes on to the same bits."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
import toy
from compare import differences
from processes import command, descendants, is_alive
from ray.exceptions import OutOfMemoryError
from soak import SWEEP

import engine
from engine import InputError, WorkerError
from engine.execution import apart, launch
from engine.execution.cluster import kin, loop
from engine.execution.cluster import launched as launched_child
from engine.execution.plan import Plan
from engine.store.lock import holder
from engine.store.storage import LocalStorage
from engine.store.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parent
LONG = SWEEP.replace(realizations=700)  # half a minute of two workers: Ray notices its raylet's end after a quarter


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.zarr"
    engine.run(LONG.replace(scenario=toy.Toy()), path, serial=True)
    return path


def started(path: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    """`nearfield run` of LONG, as a user types it."""
    command = [
        sys.executable,
        "-m",
        "jobs",
        "run",
        "soak:SWEEP",
        "--realizations",
        f"{LONG.realizations}",
        "--store",
        str(path),
    ]
    there = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", "RAY_AUTH_MODE": "disabled", **environment}
    return subprocess.Popen([*command, *words], env=there, cwd=path.parent, stderr=subprocess.PIPE, text=True)


def wait_for_receipts(path: Path, process: "subprocess.Popen[str]", count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list((path / "receipts").glob("*.json"))) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def last_line(process: "subprocess.Popen[str]", code: int) -> str:
    """The one line of ours that a run ends with: before it, there is nothing but its progress."""
    _, error = process.communicate(timeout=150)
    assert process.returncode == code, error
    *before, last = error.splitlines()
    assert all(re.match(r"\d+/\d+ realizations, ", line) for line in before), error
    return last


def require_same_after_resume(path: Path, undisturbed: Path) -> None:
    assert holder(LocalStorage(path)) is None
    engine.run(LONG, path, serial=True)
    assert differences(undisturbed, path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "said"),
    [("raylet", "Raylet is terminated"), ("gcs_server", "Failed to connect to GCS within 3 seconds")],
)
def test_a_part_of_ray_that_is_killed_ends_the_run_with_one_line(
    undisturbed: Path, tmp_path: Path, part: str, said: str
) -> None:
    path = tmp_path / "s.zarr"
    process = started(path, "--workers", "2", RAY_gcs_rpc_server_reconnect_timeout_s="3")
    wait_for_receipts(path, process, 3)
    family = descendants(process.pid)
    (victim,) = [pid for pid in family if command(pid).split("\0")[0].endswith(f"/{part}")]
    os.kill(victim, signal.SIGKILL)
    line = last_line(process, 1)
    assert re.fullmatch(
        rf"nearfield: Ray has died( \(({said}|has been marked dead)\))?: what is stored is kept, the same command "
        rf"continues",
        line,
    )
    assert 3 <= len(Store(path).receipts()) < LONG.n_tasks
    assert not [pid for pid in family if is_alive(pid)]
    require_same_after_resume(path, undisturbed)


@pytest.mark.slow
def test_workers_that_the_memory_monitor_kills_end_the_run_with_one_line(undisturbed: Path, tmp_path: Path) -> None:
    """A limit of 1 % of the memory, which is passed before anything is computed."""
    path = tmp_path / "s.zarr"
    limits = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "50"}
    line = last_line(started(path, "--workers", "1", **limits), 1)
    assert re.match(r"nearfield: (a worker|workers) died 3 times .*killed due to the node running low on memory", line)
    require_same_after_resume(path, undisturbed)


def test_a_worker_that_the_memory_monitor_killed_is_replaced(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Ray raises then is not what it raises for any other lost worker."""
    got, killed = ray.get, []

    def get(reference: Any) -> Any:
        result = got(reference)
        if hasattr(result, "checksums") and len(killed) < 2:
            killed.append(result.task)
            raise OutOfMemoryError("Memory on the node was 15.9GB / 16GB")
        return result

    monkeypatch.setattr(loop.ray, "get", get)
    engine.run(toy.small, tmp_path / "s.zarr", workers=2)
    monkeypatch.undo()
    assert len(killed) == 2
    engine.run(toy.small, tmp_path / "good.zarr", serial=True)
    assert differences(tmp_path / "good.zarr", tmp_path / "s.zarr") == []
    assert {r.task for r in Store(tmp_path / "s.zarr").receipts() if r.attempt > 1} >= set(killed)


NODES = """
import os, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=0, include_dashboard=False))
os.environ["PYTHONPATH"] = sys.argv[1]
cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def other_package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with another version of this package, an earlier one, or something that hides it."""
    folder = tmp_path / "other"
    if request.param == "none":
        (folder / "engine").mkdir(parents=True)
        (folder / "engine/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'engine'\")\n")
        return folder
    for name in ("engine", "scenarios"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "places", "weights"))
    worker = folder / "engine/execution/cluster/worker.py"
    text = worker.read_text()
    assert "return tuple(kin.this_process())" in text
    earlier = "return None" if request.param == "earlier" else "return tuple(kin.this_process())  # as ever"
    worker.write_text(text.replace("return tuple(kin.this_process())", earlier))
    return folder


@pytest.fixture
def cluster(other_package: Path) -> Iterator[str]:
    """The address of a cluster whose only node that computes has that package."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", "RAY_AUTH_MODE": "disabled"}
    process = subprocess.Popen(
        [sys.executable, "-c", NODES, str(other_package)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield next(line for line in process.stdout if re.match(r"[\d.]+:\d+$", line)).strip()
    process.communicate("", timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other_package", "said"),
    [
        ("none", r"node \S+ \([\d.]+\): ModuleNotFoundError: No module named 'engine'"),
        ("other", r"node \S+ has nearfield \S+ with code [0-9a-f]{12}, the driver \S+ with code [0-9a-f]{12}"),
        ("earlier", r"node \S+ \([\d.]+\) has an earlier nearfield than the driver, which has \S+ with code \w+"),
    ],
    indirect=["other_package"],
)
def test_a_node_with_another_package_or_none_is_named(
    undisturbed: Path, tmp_path: Path, cluster: str, said: str
) -> None:
    path = tmp_path / "s.zarr"
    line = last_line(started(path, "--address", cluster, "--shared-storage"), 2)
    assert re.fullmatch(rf"nearfield: {said}: install the driver's version of nearfield on every node", line)
    assert not Store(path).receipts()
    require_same_after_resume(path, undisturbed)


def test_the_same_package_is_kin_and_no_other() -> None:
    mine = kin.this_process()
    kin.require_same(tuple(mine), None)
    for other in (mine._replace(version="9.9"), mine._replace(code="0" * 12)):
        with pytest.raises(InputError, match=rf"node {mine.host} has nearfield {re.escape(other.version)} with code"):
            kin.require_same(tuple(other), None)
    kin.require_importable(RuntimeError("killed"))
    with pytest.raises(InputError, match=r"node of unknown name: ImportError: cannot import name 'x': install"):
        kin.require_importable(RuntimeError("ray::Worker()\nImportError: cannot import name 'x'\n"))


class Child:
    """What `Launched` is to the driver: says what it is given to say, and then is dead."""

    def __init__(self, *said: tuple[str, Any]) -> None:
        self.said, self.replies, self.ended = iter(said), [], 0

    def __call__(self) -> "Child":
        return self

    def order(self, order: launch.WorkOrder, n_tasks: int) -> None:
        self.ordered = order

    def receive(self) -> tuple[str, Any]:
        try:
            return next(self.said)
        except StopIteration:
            raise EOFError from None

    def reply(self, reply: launch.Reply) -> None:
        self.replies.append(reply)

    def last_words(self) -> str:
        return " (SIGKILL)"

    def end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ((), r"^Ray has died \(SIGKILL\): what is stored is kept, the same command continues$"),
        ((("end", RuntimeError("GetTimeoutError: a\nb")),), r"^Ray failed \(GetTimeoutError: a b\): what is stored"),
        ((("end", WorkerError("a worker died 3 times")),), "^a worker died 3 times$"),
    ],
)
def test_whatever_the_child_dies_of_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, last: Any, error: str
) -> None:
    engine.run(toy.small.replace(realizations=4), tmp_path / "s.zarr", serial=True)
    store = Store(tmp_path / "s.zarr")
    store.adopt(toy.small)
    child = Child(("say", "two workers wait"), ("take", None), *last)
    monkeypatch.setattr(apart, "Launched", child)
    plan = Plan(toy.small.grid, [])
    with pytest.raises(WorkerError, match=error):
        list(apart.run(store, plan, "cpu", workers=3, address="a:1"))
    assert (child.ordered.workers, child.ordered.address, child.ordered.on_one_node) == (3, "a:1", store.path)
    assert child.ordered.is_alone
    assert [reply.task for reply in child.replies] == [toy.small.tasks()[0]]
    assert child.ended == 1
    assert "two workers wait" in caplog.text


def test_it_ends_once_nothing_is_left_but_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that asked on would never hear that it is finished."""
    engine.run(toy.small.replace(realizations=4), tmp_path / "s.zarr", serial=True)
    store = Store(tmp_path / "s.zarr")
    store.adopt(toy.small)
    tasks = toy.small.tasks()
    failures = [loop.Failure(task, "raised", "") for task in tasks]
    asked = [("take", None) for _ in tasks]
    child = Child(*asked, *(("result", failure) for failure in failures), ("take", None))
    monkeypatch.setattr(apart, "Launched", child)
    assert list(apart.run(store, Plan(toy.small.grid, []), "cpu")) == failures
    assert (len(child.replies), child.ended) == (len(tasks), 1)


@pytest.mark.parametrize(
    ("printed", "code", "words"),
    [
        ("a\n(raylet) Raylet is terminated. Termination is", 1, " (Raylet is terminated)"),
        ("E rpc: Failed to connect to GCS within 60 seconds. GCS", 1, " (Failed to connect to GCS within 60 seconds)"),
        ("", -9, " (SIGKILL)"),
        ("", -200, ""),
        ("", 1, ""),
    ],
)
def test_last_words(tmp_path: Path, printed: str, code: int, words: str) -> None:
    launched = object.__new__(launch.Launched)
    with (tmp_path / "said").open("w+b") as stream:
        stream.write(printed.encode())
        launched._printed = stream
        launched._process = type("Process", (), {"returncode": code, "wait": lambda self, seconds: code})()
        assert launched.last_words() == words
        launched._printed = None
        assert launched.last_words() == ("" if code != -9 else " (SIGKILL)")


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_limit_of_seconds_is_known_before_a_worker_runs(monkeypatch: pytest.MonkeyPatch, is_alone: bool) -> None:
    """Where a cluster has no room, no worker may ever start. Beside a driver that computes, no task is kept back."""
    asked: list[str] = []

    class Loop:
        def wait_for_one(self) -> None:
            asked.append("wait for one")

        def results(self) -> Iterator[None]:
            asked.append("results")
            plan.take()
            yield

    @contextmanager
    def workers_of(*_: Any, **__: Any) -> Iterator[Loop]:
        yield Loop()

    monkeypatch.setattr(launched_child, "workers_of", workers_of)
    ours, theirs = launch.Pipe()
    plan = launched_child.RemotePlan(theirs, 3)
    ours.send(launch.Reply(toy.small.tasks()[0], -1.0, False))
    launched_child._work(launch.WorkOrder("a", b"", "s", "cpu", is_alone=is_alone), plan)
    assert asked == (["results"] if is_alone else ["wait for one", "results"])
    assert plan.is_finished


@pytest.mark.parametrize("stream", ["1", "2"])
def test_what_the_child_prints_is_kept_from_the_user_and_asked_for_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stream: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho 'Raylet is terminated. Termination is unexpected' >&{stream}\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    launched = launch.Launched()
    with pytest.raises((EOFError, OSError)):
        launched.receive()
    assert launched.last_words() == " (Raylet is terminated)"
    launched.end()
    assert capfd.readouterr() == ("", "")


def test_no_place_for_temporary_files_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise FileNotFoundError(2, "No usable temporary directory")

    monkeypatch.setattr(launch.tempfile, "TemporaryFile", refused)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    launched = launch.Launched()
    assert launched.last_words() == ""
    launched.end()
    assert capfd.readouterr() == ("", "")


TWO = """
import sys, time; sys.path.insert(0, {here!r})
import engine, toy
from engine import StoreError
engine.run(toy.small.replace(realizations=4), {path!r} + "." + sys.argv[1], serial=True)  # all is imported
print("ready", flush=True)
moment = float(sys.stdin.readline())
while time.time() < moment:
    pass
try:
    engine.run(toy.small.replace(scenario=toy.Troubled(trouble={trouble!r})), {path!r}, serial=True)
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("trouble", ["none", "slow"])
def test_two_drivers_in_the_same_millisecond(tmp_path: Path, trouble: str) -> None:
    """On a store that neither has made yet: one drives it, the other is told who does, or finds it finished."""
    path = tmp_path / "s.zarr"
    code = TWO.format(here=str(HERE), path=str(path), trouble=trouble)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", code, name],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for driver in drivers:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "ready\n"
    moment = f"{time.time() + 0.3}\n"
    said = _both(drivers, moment)
    assert [driver.returncode for driver in drivers] == [0, 0], said
    told = [line for out, _ in said for line in out.splitlines()]
    assert len(told) <= 1
    assert all(re.search(r"is in use by another driver \(process \d+ on .*\): wait for it", line) for line in told)
    assert len(told) == 1 or trouble == "none"
    engine.run(toy.small, tmp_path / "good.zarr", serial=True)
    assert differences(tmp_path / "good.zarr", path) == []
    assert not list(path.glob("lock.*"))
    assert not [item for item in tmp_path.iterdir() if item.suffix not in (".zarr", ".a", ".b")]


def _both(drivers: "list[subprocess.Popen[str]]", moment: str) -> list[tuple[str, str]]:
    for driver in drivers:
        assert driver.stdin is not None
        driver.stdin.write(moment)
        driver.stdin.flush()
    return [driver.communicate(timeout=120) for driver in drivers]
