"""A run that begins in its own process: workers come where they pay, and nobody can tell from the numbers."""

import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from processes import descendants, is_alive

import engine
from engine import TaskError, WorkerError
from engine.execution import driver, handover, launch
from engine.execution.launch import Reply, WorkOrder
from engine.execution.plan import Plan
from engine.execution.task import TaskRunner
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import Grid, Task

HERE = Path(__file__).parent
ROOT = Path(engine.__file__).parent.parent
SLOW = toy.small.replace(scenario=toy.Troubled(trouble="slow"))
Says = Generator[tuple[str, Any], Reply | None, None]


def obedient(order: WorkOrder, *, tasks: float = float("inf"), then: Any = None) -> Says:
    """Takes tasks one by one and computes them, until nothing is left, or so many are; then says its last word."""
    run = TaskRunner(pickle.loads(order.sweep), order.path, order.backend_name)
    while tasks > 0:
        reply = yield "take", None
        assert reply is not None
        if reply.is_finished or reply.seconds_left <= 0:
            break
        if reply.task is None:
            time.sleep(0.01)
            continue
        yield "result", run(reply.task)
        tasks -= 1
    yield "end", then


class Launched:
    """A child as the driver sees it, in this process."""

    behaves: Callable[[WorkOrder], Says] = staticmethod(obedient)
    started = ended = 0

    def __init__(self) -> None:
        type(self).started += 1
        self._reply: Reply | None = None
        self._over = threading.Event()

    def order(self, order: WorkOrder, n_tasks: int) -> None:
        assert n_tasks > 1
        self._says = type(self).behaves(order)

    def receive(self) -> tuple[str, Any]:
        if self._over.is_set():
            raise EOFError
        reply, self._reply = self._reply, None
        try:
            return self._says.send(reply)
        except StopIteration:
            raise EOFError from None

    def reply(self, reply: Reply) -> None:
        self._reply = reply

    def end(self) -> None:
        type(self).ended += 1
        self._over.set()


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Launched]]:
    """Workers that start at once, with the first task."""

    class Mine(Launched):
        pass

    monkeypatch.setattr(handover, "Launched", Mine)
    monkeypatch.setattr(handover, "START_SECONDS", 0.0)
    monkeypatch.setattr(handover, "_WATCH_SECONDS", 0.001)
    monkeypatch.setattr(handover, "cores", lambda: 2)
    yield Mine
    assert Mine.started == Mine.ended
    assert not [thread for thread in threading.enumerate() if thread.name == "nearfield workers"]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return engine.run(SLOW, tmp_path_factory.mktemp("oracle") / "s.zarr", serial=True).load()


def run(path: Path, sweep: Any = SLOW, **options: Any) -> Any:
    """As `engine.run` without workers, whatever Ray other tests have started here."""
    return engine.run(sweep, path, **options).load()


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_in_session", lambda: False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 30.0, 30.0))


def test_both_compute_and_the_bits_are_those_of_one(
    child: type[Launched], oracle: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(tmp_path / "s.zarr").equals(oracle)
    assert child.started == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(" s of work left: starting workers")
    assert 0 <= int(line.partition(" ")[0]) <= 6


def test_it_takes_no_task_once_a_worker_has_finished_one(child: type[Launched], tmp_path: Path) -> None:
    threads: dict[int, int] = {}
    given = TaskRunner.steps

    def steps(self: TaskRunner, *arguments: Any) -> Any:
        name = threading.get_ident()
        threads[name] = threads.get(name, 0) + 1
        return given(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskRunner, "steps", steps)
        run(tmp_path / "s.zarr")
    here = threads.pop(threading.get_ident())
    assert 1 <= here <= 3
    assert here + sum(threads.values()) == 15


def test_targets_stop_at_the_same_place(child: type[Launched], tmp_path: Path) -> None:
    sweep = SLOW.replace(realizations=400, block=20, chunk=20)
    targets = ["power:rel=0.2:least=60"]
    alone = run(tmp_path / "a.zarr", sweep, serial=True, targets=targets)
    assert run(tmp_path / "b.zarr", sweep, targets=targets).equals(alone)
    assert child.started == 1
    assert (alone.stop_realizations < 400).all()


def test_no_workers_for_little_work_or_one_core(
    child: type[Launched], oracle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "START_SECONDS", 600.0)
    assert run(tmp_path / "a.zarr").equals(oracle)
    monkeypatch.setattr(handover, "START_SECONDS", 0.0)
    few = SLOW.replace(realizations=8)
    assert engine.run(few, "memory://handover").complete.all()  # no other process sees it
    monkeypatch.setattr(handover, "cores", lambda: 1)
    assert run(tmp_path / "b.zarr", few).complete.all()
    assert child.started == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [("max 100000", 8), ("100000 100000", 1), ("150000 100000", 1), ("400000 100000", 4), ("9900000 100000", 8),
     ("1000 100000", 1), ("nonsense", 8), (None, 8)],
)  # fmt: skip
def test_a_containers_share_of_the_processors_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, number: int
) -> None:
    monkeypatch.setattr(handover, "_CONTAINER", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert handover.cores() == number


def test_nothing_pays_before_the_limit_of_seconds(child: type[Launched], monkeypatch: pytest.MonkeyPatch) -> None:
    """Work for minutes, of which seconds are wanted."""
    monkeypatch.setattr(handover, "START_SECONDS", 6.0)
    for seconds, worth in ((None, True), (5.0, False), (8.0, True)):
        helpers = object.__new__(handover._Helpers)
        helpers._plan = Plan(Grid((2,), 1000, 10), [receipt((0,), 0, 10, seconds=2.0)], (), seconds)
        helpers._running, helpers._preparing = None, 0.0
        assert (helpers._worth() > 0) is worth
        helpers._preparing = 100.0  # every worker would prepare as long
        assert (helpers._worth() > 0) is (seconds is None)


def test_a_busy_machine_starts_workers_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 s of work pay on a quiet machine, and on one with a process and a quarter for each core; not with more."""
    monkeypatch.setattr(handover, "START_SECONDS", 6.0)
    monkeypatch.setattr(handover, "cores", lambda: 4)
    helpers = object.__new__(handover._Helpers)
    helpers._plan = Plan(Grid((), 50, 10), [receipt((), 0, 10, seconds=2.0)])
    helpers._running, helpers._preparing = None, 0.0
    for load, pays in ((0.1, True), (4.0, True), (5.0, True), (5.5, False), (40.0, False)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert (helpers._worth() > 0) is pays, load

    def unknown() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    assert handover.slowness() == 1.0


def test_a_long_first_task_says_how_long_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten tasks, one begun: after 0.7 s on it, 7 s are left; what its preparation took says nothing."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    helpers = object.__new__(handover._Helpers)
    helpers._plan, helpers._running, helpers._preparing = Plan(Grid((), 100, 10), []), None, 0.0
    helpers._overrun = False
    assert helpers._worth() == 0
    helpers.begins(Task((), 0, 10))
    now += 0.5
    assert helpers._worth() == 0
    helpers.pauses()
    now += 0.6
    assert helpers._worth() == 0
    now += 0.1
    helpers.pauses()  # said after every block
    assert helpers._worth() == pytest.approx(7.0)


def receipt(point: tuple[int, ...], start: int, stop: int, seconds: float) -> Receipt:
    return Receipt(
        point=point, start=start, stop=stop, checksums={}, moments={}, seconds=seconds, finished="", host="", device="",
        backend="cpu", platform="", attempt=1,
    )  # fmt: skip


def test_the_work_left_follows_each_points_own_pace() -> None:
    """Points of 100 realizations: 1 s, then 10 s, then 3 s a realization by an oracle's sums."""
    plan = Plan(Grid((4,), 100, 10), [])
    assert plan.work_left() == 0  # nothing is known
    assert plan.work_left((1,), 2.0) == 3 * 100 * 2.0  # from there on
    plan.add(receipt((1,), 0, 10, seconds=10.0))
    assert plan.work_left() == 100 + 90 + 100 + 100
    plan.add(receipt((2,), 0, 10, seconds=100.0))
    plan.add(receipt((2,), 10, 20, seconds=130.0))  # disturbed
    assert plan.work_left() == 100 + 90 + 80 * 10 + 100 * 10
    assert plan.work_left((3,), 30.0) == 100 + 90 + 80 * 10 + 100 * 30
    assert plan.work_left((0,), 0.1) == 100 + 90 + 80 * 10 + 100 * 10


def test_a_task_given_back_is_handed_out_again() -> None:
    plan = Plan(Grid((2,), 30, 10), [])
    taken = [plan.take() for _ in range(6)]
    assert plan.take() is None
    for number in (4, 1, 2):
        task = taken[number]
        assert task is not None
        plan.give_back(task)
    assert [plan.take() for _ in range(4)] == [taken[1], taken[2], taken[4], None]


@pytest.mark.parametrize(
    ("last_word", "said"),
    [
        (engine.InputError("cannot reach Ray at this machine: no room"), "no workers .cannot reach Ray .*: no room."),
        (None, "no workers .the process that they belong to has died.: going on in this process"),
    ],
)
def test_where_workers_do_not_come_the_run_goes_on(
    child: type[Launched],
    oracle: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    last_word: Exception | None,
    said: str,
) -> None:
    """They say so, or die with tasks in hand."""

    def fails(order: WorkOrder) -> Says:
        if last_word:
            yield "end", last_word
            return
        for _ in range(4):
            yield "take", None

    child.behaves = staticmethod(fails)
    assert run(tmp_path / "s.zarr").equals(oracle)
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.messages[-1].startswith("no workers (")
    assert re.match(said, caplog.messages[-1])


def test_a_child_that_cannot_be_started_is_no_harm(
    child: type[Launched], oracle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(handover, "Launched", refused)
    assert run(tmp_path / "s.zarr").equals(oracle)


def test_a_sweep_that_cannot_be_sent_is_no_harm(
    child: type[Launched], oracle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Any) -> bytes:
        raise TypeError("cannot pickle a lock")

    monkeypatch.setattr(handover, "pickled", refused)
    assert run(tmp_path / "s.zarr").equals(oracle)


def test_a_child_that_starts_as_the_run_ends_is_ended_too(
    child: type[Launched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer to start than all the work."""
    given = child.__init__

    def slow(self: Any) -> None:
        time.sleep(2.0)
        given(self)

    monkeypatch.setattr(child, "__init__", slow)
    assert run(tmp_path / "s.zarr", SLOW.replace(realizations=8, axes={"offset": (0.0, 1.0)})).complete.all()
    assert child.started == 1


def test_workers_that_are_lost_after_they_took_over(child: type[Launched], oracle: Any, tmp_path: Path) -> None:
    def dies(order: WorkOrder) -> Says:
        """With its fourth task in hand."""
        says, reply = obedient(order, tasks=3), None
        while (word := says.send(reply))[0] != "end":
            reply = yield word
        yield "take", None

    child.behaves = staticmethod(dies)
    assert run(tmp_path / "s.zarr").equals(oracle)


@pytest.mark.parametrize("first", [0, 2])
def test_a_task_that_kills_its_workers_ends_the_run(child: type[Launched], tmp_path: Path, first: int) -> None:
    """It would kill this process as well: the first of theirs, or the third."""

    def dies(order: WorkOrder) -> Says:
        says, reply = obedient(order, tasks=first), None
        while (word := says.send(reply))[0] != "end":
            reply = yield word
        yield "take", None
        yield "end", WorkerError("a worker died 3 times on x")

    child.behaves = staticmethod(dies)
    with pytest.raises(WorkerError, match="a worker died 3 times on x"):
        run(tmp_path / "s.zarr")
    assert first * 8 <= int(engine.open_results(tmp_path / "s.zarr").complete.sum()) < 120


def test_failures_are_counted_wherever_they_happen(child: type[Launched], tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"), realizations=400)
    for allowed in (0, 3, 1000):
        with pytest.raises(TaskError, match="the third law"):
            run(tmp_path / f"{allowed}.zarr", sweep, max_failures=allowed)
    assert int(engine.open_results(tmp_path / "1000.zarr").complete.sum()) == 800
    assert child.started == 3


def test_a_limit_of_seconds_lets_what_runs_end(child: type[Launched], tmp_path: Path) -> None:
    sweep = SLOW.replace(realizations=4000)
    started = time.monotonic()
    results = run(tmp_path / "s.zarr", sweep, max_seconds=1.0)
    assert 1.0 <= time.monotonic() - started < 30
    assert 5 * 8 <= int(results.complete.sum()) < 20 * 8
    assert len(Store(tmp_path / "s.zarr").receipts()) * 8 == int(results.complete.sum())


def test_a_task_longer_than_the_limit_says_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Forty blocks of 0.1 s, and half a second to do them in: some 35 are left, and all are stored."""
    monkeypatch.setattr(handover, "cores", lambda: 1)
    sweep = SLOW.replace(axes={}, realizations=320, chunk=160)
    results = run(tmp_path / "s.zarr", sweep, max_seconds=0.5)
    assert int(results.complete.sum()) == 160
    (line,) = caplog.messages
    assert line.startswith("the seconds are over: the task that runs ends first, in about ")
    assert int(line.split()[-2]) > 2


def test_closing_early_ends_the_workers_and_keeps_what_is_done(child: type[Launched], tmp_path: Path) -> None:
    for report in (reports := engine.iterate(SLOW, tmp_path / "s.zarr")):
        if report.tasks_done == 5:
            reports.close()
    assert child.ended == 1
    assert 40 <= int(engine.open_results(tmp_path / "s.zarr").complete.sum()) < 120


@pytest.mark.parametrize("options", [{"workers": 1}, {"address": "auto"}, {"backend_name": "gpu"}])
def test_who_names_workers_or_has_a_gpu_gets_them_from_the_start(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert driver.begins_here(max_failures=3)
    assert not driver.begins_here(**options)
    monkeypatch.setattr(driver, "_in_session", lambda: True)
    assert not driver.begins_here()


def test_a_class_of_a_script_is_pickled_as_ray_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handover.pickled(toy.small) == pickle.dumps(toy.small)
    monkeypatch.setattr(toy.Toy, "__module__", "__main__")
    by_value = handover.pickled(toy.small)
    assert len(by_value) > 2 * len(pickle.dumps(engine.Sweep(toy.Troubled())))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the table of processes is Linux's")
def test_a_session_is_ended_whole(tmp_path: Path) -> None:
    """The child, and a grandchild in a process group of its own."""
    code = "import os, subprocess, sys, time; subprocess.Popen(['sleep', '60'], process_group=0); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while len(list(launch._session(child.pid))) < 2:
        time.sleep(0.01)
    launched = object.__new__(launch.Launched)
    ours, theirs = launch.Pipe()
    _, life = os.pipe()
    launched._process, launched._pipe, launched._life = child, ours, life
    launched.end()
    theirs.close()
    assert child.returncode == -signal.SIGKILL
    assert list(launch._session(child.pid)) == []


STUDY = """import os, toy
os.getloadavg = lambda: (0.5, 0.5, 0.5)
sweep = toy.small.replace(scenario=toy.Troubled(trouble="slow"), realizations=400, name="")
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """A run of 30 s of work, as a user starts it."""
    (folder / "mystudy.py").write_text(STUDY)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}"}
    command = [sys.executable, "-W", "error", "-m", "jobs", "run", "mystudy:sweep", "--store", "s.zarr"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [1.0, 3.0, 10.0])
def test_a_blow_at_any_moment_of_the_start_leaves_nothing(tmp_path: Path, blow: signal.Signals, seconds: float) -> None:
    """While Ray starts, and once workers compute. Counted from when the child is there."""
    process = start(tmp_path)
    while not descendants(process.pid):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(seconds)
    family = descendants(process.pid)
    assert family
    process.send_signal(blow)
    _, error = process.communicate(timeout=60)
    if blow != signal.SIGKILL:
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[blow]
        *_, start_, last = error.splitlines()
        assert start_.endswith(" s of work left: starting workers") or "realizations" in start_
        assert last == "nearfield: stopped; what was finished is kept, the same command continues"
    deadline = time.monotonic() + (0.5 if blow != signal.SIGKILL else 10)
    while left := [pid for pid in family if is_alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert int(engine.open_results(tmp_path / "s.zarr").complete.sum()) > 0


@pytest.mark.slow
def test_real_workers_take_over(tmp_path: Path) -> None:
    process = start(tmp_path)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert error.count("s of work left: starting workers\n") == 1
    results = engine.open_results(tmp_path / "s.zarr")
    quick = engine.run(toy.small.replace(realizations=400), tmp_path / "q.zarr", serial=True)
    assert np.array_equal(results.power, quick.power)
