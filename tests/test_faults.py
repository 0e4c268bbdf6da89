"""Processes die; nothing stored is lost, and the finished store is the undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy
import xarray

import engine
from engine import TaskError, WorkerError
from engine.store import Store

HERE = Path(__file__).parent
ROOT = Path(engine.__file__).parent.parent


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    sweep = toy.small.replace(scenario=toy.Troubled())
    return engine.run(sweep, tmp_path_factory.mktemp("good") / "good.zarr", run_serially=True).load()


def same_numbers(one: xarray.Dataset, other: xarray.Dataset) -> bool:
    return one.power.values.tobytes() == other.power.values.tobytes() and bool(other.complete.all())


def test_a_lost_worker_is_replaced_and_its_tasks_done_again(
    undisturbed: xarray.Dataset, local_ray: None, tmp_path: Path
) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="die once", folder=str(tmp_path)))
    results = engine.run(sweep, tmp_path / "lost.zarr", workers=2)
    assert same_numbers(undisturbed, results)
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
        engine.run(sweep, tmp_path / "e.zarr", workers=None if serially else 1, run_serially=serially)
    message = str(caught.value)
    assert message.count("the third law") == 1
    assert "Troubled raised ZeroDivisionError: the third law (toy.py:" in message
    assert "at offset=1.0, realizations 0–7, seed 5" in message
    assert "\n" not in message
    assert "Traceback" in caught.value.details


def test_a_run_goes_on_up_to_a_stated_number_of_failures(tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"))
    with pytest.raises(TaskError, match=r"5 tasks failed in all"):
        engine.run(sweep, tmp_path / "f.zarr", run_serially=True, max_failures=5)
    assert int(engine.open_results(tmp_path / "f.zarr").complete.sum()) == 80


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
def test_a_killed_driver_leaves_a_store_that_continues(
    undisturbed: xarray.Dataset, tmp_path: Path, blow: signal.Signals
) -> None:
    path = tmp_path / "killed.zarr"
    process = start_slow_run(path)
    wait_for_receipts(path, process, 3)
    process.send_signal(blow)
    assert process.wait(timeout=60) != 0
    done = len(Store(path).receipts())
    assert 3 <= done < 15
    results = engine.run(engine.load_sweep(path), path, run_serially=True)
    assert same_numbers(undisturbed, results)
