"""Processes die; nothing stored is lost, and the finished store is the undisturbed one."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import toy
from compare import differences
from processes import command, descendants
from soak import soak

import engine
from engine import StoreError, TaskError, WorkerError, provenance
from engine.store import local
from engine.store.integrity import Problem, verify
from engine.store.lock import holder
from engine.store.repair import repair
from engine.store.storage import LocalStorage
from engine.store.store import Store

HERE = Path(__file__).parent
ROOT = Path(engine.__file__).parent.parent


SWEEP = toy.small.replace(scenario=toy.Troubled())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.zarr"
    engine.run(SWEEP, path, serial=True)
    return path


def test_a_lost_worker_is_replaced_and_its_tasks_done_again(undisturbed: Path, local_ray: None, tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="die once", folder=str(tmp_path)))
    engine.run(sweep, tmp_path / "lost.zarr", workers=2)
    assert differences(undisturbed, tmp_path / "lost.zarr") == []
    assert any(receipt.attempt == 2 for receipt in Store(tmp_path / "lost.zarr").receipts())


def test_a_task_that_keeps_killing_its_worker_stops_the_run_with_one_message(local_ray: None, tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="die"))
    with pytest.raises(WorkerError, match=r"a worker died 3 times on .*point \(1,\)") as caught:
        engine.run(sweep, tmp_path / "die.zarr", workers=1)
    assert "\n" not in str(caught.value)
    assert int(engine.open_results(tmp_path / "die.zarr").complete[0].sum()) == 40


@pytest.mark.parametrize("serially", [True, False])
def test_an_exception_surfaces_once_with_its_circumstances(local_ray: None, tmp_path: Path, serially: bool) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"), seed=5)
    with pytest.raises(TaskError) as caught:
        engine.run(sweep, tmp_path / "e.zarr", workers=None if serially else 1, serial=serially)
    message = str(caught.value)
    assert message.count("the third law") == 1
    assert "Troubled raised ZeroDivisionError: the third law (toy.py:" in message
    assert "at offset=1.0, realizations 0–7, seed 5" in message
    assert "\n" not in message
    assert "failed in all" not in message
    assert "Traceback" in caught.value.details


def test_a_run_goes_on_up_to_a_stated_number_of_failures(tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"))
    with pytest.raises(TaskError, match=r"5 tasks failed in all"):
        engine.run(sweep, tmp_path / "f.zarr", serial=True, max_failures=5)
    assert int(engine.open_results(tmp_path / "f.zarr").complete.sum()) == 80
    with pytest.raises(TaskError):  # the first one stops a run that allows none, before what comes after it
        engine.run(sweep, tmp_path / "g.zarr", serial=True)
    assert int(engine.open_results(tmp_path / "g.zarr").complete.sum()) == 40


def test_a_worker_that_cannot_import_the_scenario_says_so(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "elsewhere.py"
    module.write_text("from toy import Toy, small\nclass Away(Toy): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import elsewhere

    sweep = toy.small.replace(scenario=elsewhere.Away())
    reports = engine.iterate(sweep, tmp_path / "a.zarr", workers=1)
    next(reports)
    module.unlink()
    with pytest.raises(TaskError, match="a worker could not start: ModuleNotFoundError: No module named 'elsewhere'"):
        list(reports)


def start_slow_run(path: Path) -> subprocess.Popen[bytes]:
    """A driver with two workers, to be stopped from outside."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import engine, toy\n"
        f"sweep = toy.small.replace(scenario=toy.Troubled(trouble='slow'))\n"
        f"engine.run(sweep, {str(path)!r}, workers=2)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)


def wait_for_receipts(path: Path, process: subprocess.Popen[bytes], count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list((path / "receipts").glob("*.json"))) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_driver_leaves_a_store_that_continues(undisturbed: Path, tmp_path: Path, blow: signal.Signals) -> None:
    path = tmp_path / "killed.zarr"
    process = start_slow_run(path)
    wait_for_receipts(path, process, 3)
    process.send_signal(blow)
    assert process.wait(timeout=60) != 0
    done = len(Store(path).receipts())
    assert 3 <= done < 15
    assert bool(holder(LocalStorage(path))) == (
        blow == signal.SIGKILL
    )  # a dead driver's lock stays, and is no obstacle
    engine.run(engine.load_sweep(path), path, serial=True)
    assert differences(undisturbed, path) == []


@pytest.mark.slow
def test_a_worker_that_is_stopped_for_a_while_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    """SIGSTOP, as a debugger, a suspended machine or a memory limit does; the others work on, and nothing differs."""
    path = tmp_path / "stopped.zarr"
    process = start_slow_run(path)
    wait_for_receipts(path, process, 2)
    victim = next(pid for pid in descendants(process.pid) if "ray::Worker" in command(pid))
    os.kill(victim, signal.SIGSTOP)
    time.sleep(4)
    os.kill(victim, signal.SIGCONT)
    assert process.wait(timeout=120) == 0
    assert differences(undisturbed, path) == []
    assert holder(LocalStorage(path)) is None


NODE_LOSS = """
import sys; sys.path.insert(0, {here!r})
import ray, engine, toy
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=0, include_dashboard=False, _system_config=dict(
    health_check_initial_delay_ms=0, health_check_period_ms=500, health_check_failure_threshold=2)))
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
sweep = toy.small.replace(scenario=toy.Troubled(trouble="slow"))
try:
    engine.run(sweep, {path!r}, workers=2)
except engine.StoreError as error:
    assert "is a local path and 3 nodes are alive" in str(error)
else:
    raise SystemExit("a local path was taken on three nodes")
for report in engine.iterate(sweep, {path!r}, workers=2, shared_storage=True):
    if report.tasks_done == 3:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
assert report.tasks_done == report.tasks_total
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_lost_node_costs_its_tasks_and_no_more(undisturbed: Path, tmp_path: Path) -> None:
    """Also where nothing replaces it: the node that is left does everything. A process of its own has its own Ray."""
    path = tmp_path / "node.zarr"
    code = NODE_LOSS.format(here=str(HERE), path=str(path))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=200, stderr=subprocess.DEVNULL)
    assert differences(undisturbed, path) == []


class Fails:
    """Raises at one call of a function, counted from zero; the others pass."""

    def __init__(self, function: Callable[..., Any], at: int, number: int) -> None:
        self.function, self.left, self.number = function, at, number

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.function(*arguments, **options)


@pytest.mark.parametrize("at", [0, 1, 2, 10])
def test_a_full_disk_stops_the_run_and_the_same_again_continues(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At a task's first chunk, at later ones, at the mask."""
    path = tmp_path / "full.zarr"
    with monkeypatch.context() as full:
        full.setattr(local, "_write_new", Fails(local._write_new, at, errno.ENOSPC))
        with pytest.raises(TaskError, match="cannot write to the store .*: No space left on device; nothing") as caught:
            engine.run(SWEEP, path, serial=True)
    assert caught.value.details == ""
    engine.run(SWEEP, path, serial=True)
    assert differences(undisturbed, path) == []
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_lock_or_receipt_that_cannot_be_written(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, number: int
) -> None:
    path = tmp_path / "full.zarr"
    with monkeypatch.context() as full:
        if at == 0:
            full.setattr(LocalStorage, "_partial", staticmethod(Fails(LocalStorage._partial, 0, number)))
        else:
            write, fails = local._write_new, Fails(local._write_new, at - 1, number)
            full.setattr(local, "_write_new", lambda path, data: (fails if "receipts" in path else write)(path, data))
        with pytest.raises(
            (TaskError, StoreError), match=f"cannot (lock|write to) the store .*: {os.strerror(number)}"
        ):
            engine.run(SWEEP, path, serial=True)
    assert len(Store(path).receipts()) == max(0, at - 1)
    engine.run(SWEEP, path, serial=True)
    assert differences(undisturbed, path) == []


def test_a_folder_that_cannot_be_written(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as refused:
        refused.setattr(tempfile, "mkdtemp", Fails(tempfile.mkdtemp, 0, errno.EACCES))
        with pytest.raises(StoreError, match="cannot create the store .*: Permission denied; nothing stored was lost"):
            engine.run(SWEEP, tmp_path / "s.zarr", serial=True)
    assert os.listdir(tmp_path) == []
    engine.run(SWEEP, tmp_path / "s.zarr", serial=True)
    assert differences(undisturbed, tmp_path / "s.zarr") == []


def test_a_full_disk_while_the_store_is_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", Fails(os.fsync, 3, errno.ENOSPC))
        with pytest.raises(StoreError, match="cannot create the store .*: No space left on device"):
            engine.run(SWEEP, tmp_path / "s.zarr", serial=True)
    assert os.listdir(tmp_path) == []


def test_a_finished_store_is_read_where_nothing_can_be_written(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil.copytree(undisturbed, tmp_path / "s.zarr")
    monkeypatch.setattr(LocalStorage, "_partial", staticmethod(Fails(LocalStorage._partial, 0, errno.EROFS)))
    monkeypatch.setattr(local, "_write_new", Fails(local._write_new, 0, errno.EROFS))
    assert engine.run(SWEEP, path, serial=True).complete.all()
    assert not [item for item in verify(path) if isinstance(item, Problem)]


def test_a_store_removed_while_it_is_written_is_not_half_made_again(undisturbed: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.zarr"
    reports = engine.iterate(SWEEP, path, serial=True)
    for report in reports:
        if report.tasks_done == 4:
            shutil.rmtree(path)
            break
    with pytest.raises(TaskError, match="the store .* is gone, removed while it was written: the same run makes it"):
        list(reports)
    assert os.listdir(tmp_path) == []
    engine.run(SWEEP, path, serial=True)
    assert differences(undisturbed, path) == []


def test_what_is_left_of_a_removed_store_is_said_to_be_that(undisturbed: Path, tmp_path: Path) -> None:
    path = shutil.copytree(undisturbed, tmp_path / "s.zarr")
    (path / "zarr.json").unlink()
    with pytest.raises(StoreError, match="holds what is left of a removed store: remove that too"):
        engine.run(SWEEP, path, serial=True)


def test_a_clock_that_jumps_disturbs_nothing(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = iter([2e9, 1e9, 1e8, 3e9, 1.0] * 1000)
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    monkeypatch.setattr(provenance, "now", lambda: datetime.fromtimestamp(next(jumps), UTC).isoformat())
    path = tmp_path / "clock.zarr"
    seconds = [report.seconds for report in engine.iterate(SWEEP, path, serial=True)]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[-1] < 600
    assert all(0 <= receipt.seconds < 60 for receipt in Store(path).receipts())
    assert differences(undisturbed, path) == []


def test_damage_of_every_kind_at_once_is_mended_by_verify_and_the_same_run(undisturbed: Path, tmp_path: Path) -> None:
    path = shutil.copytree(undisturbed, tmp_path / "s.zarr")
    (path / "receipts" / "0.0.json").write_text("")
    (path / "receipts" / "0.1.json").write_text('{"point": [0], "start": 8')
    os.truncate(path / "power" / "c" / "1" / "2" / "0", 7)
    (path / "peak" / "c" / "2" / "0").unlink()
    (path / "complete" / "c" / "2" / "3").unlink()
    (path / "receipts" / "2.4.json").unlink()  # killed before the receipt
    os.truncate(path / "power" / "c" / "2" / "4" / "0", 0)
    (path / "receipts" / "2.4.json.0123.partial").write_text("{")
    with pytest.raises(
        StoreError, match=r"the receipt receipts/0.0.json of .* is damaged: run 'nearfield verify --repair'"
    ):
        engine.run(SWEEP, path, serial=True)
    damage = [item for item in verify(path) if not hasattr(item, "checksums")]
    assert repair(path, damage) == []  # type: ignore[arg-type]
    engine.run(SWEEP, path, serial=True)
    assert differences(undisturbed, path) == []
    assert not [item for item in verify(path) if not hasattr(item, "checksums")]


@pytest.mark.slow
def test_a_short_soak(tmp_path: Path) -> None:
    said = soak(tmp_path, seed=8, kills=2, say=lambda text: None)
    assert said.kills >= 2
    assert said.runs == 2
    assert said.differences == []
