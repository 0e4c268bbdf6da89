"""The stored numbers depend on the sweep alone: not on workers, order, chunks, interruptions or growth."""

import itertools
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import toy
import xarray

import engine
from engine.execution import driver
from scenarios import leakage

NAMES = ("power", "peak")


def equal_bits(one: xarray.Dataset, other: xarray.Dataset, names: tuple[str, ...] = NAMES) -> bool:
    return all(one[name].values.tobytes() == other[name].values.tobytes() for name in names)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    path = tmp_path_factory.mktemp("oracle") / "serial.zarr"
    return engine.run(toy.small, path, serial=True).load()


def test_serial_run_stores_everything(oracle: xarray.Dataset) -> None:
    assert oracle.complete.all()
    assert oracle.power.dims == ("offset", "realization", "levels_db")
    assert oracle.sizes == {"offset": 3, "realization": 40, "levels_db": 2}
    assert np.isfinite(oracle.power).all()


def test_a_plain_loop_gives_the_stored_numbers(oracle: xarray.Dataset) -> None:
    """No engine: draw a block, simulate it, compare."""
    for point, offset in enumerate((0.0, 1.0, 2.0)):
        scenario = toy.Toy(offset=offset)
        simulate = scenario.prepare(np)
        for block in range(10):
            power = simulate(scenario.draw(engine.Streams(0, block), 4))["power"][1]
            stored = oracle.power.values[point, 4 * block : 4 * block + 4]
            assert power.tobytes() == stored.tobytes()


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_any_number_of_workers_gives_the_same_bits(
    oracle: xarray.Dataset, local_ray: None, tmp_path: Path, workers: int
) -> None:
    results = engine.run(toy.small, tmp_path / "ray.zarr", workers=workers)
    assert results.complete.all()
    assert equal_bits(oracle, results)


@pytest.mark.parametrize("chunk", [4, 20, 40, 48])
def test_any_chunk_gives_the_same_bits(oracle: xarray.Dataset, tmp_path: Path, chunk: int) -> None:
    assert equal_bits(oracle, engine.run(toy.small.replace(chunk=chunk), tmp_path / "c.zarr", serial=True))


def test_another_block_or_seed_gives_other_numbers(oracle: xarray.Dataset, tmp_path: Path) -> None:
    """The comparison above can fail."""
    for i, change in enumerate(({"block": 8}, {"seed": 1})):
        other = engine.run(toy.small.replace(**change), tmp_path / f"{i}.zarr", serial=True)
        assert not equal_bits(oracle, other)


@pytest.mark.parametrize("chunk", [4, 16, 48])
def test_a_grown_run_equals_one_made_at_once(oracle: xarray.Dataset, tmp_path: Path, chunk: int) -> None:
    """20 realizations, then 40: the first 20 stay what they were, and chunks cut short are completed."""
    path = tmp_path / "grown.zarr"
    sweep = toy.small.replace(chunk=chunk)
    first = engine.run(sweep.replace(realizations=20), path, serial=True).load()
    assert equal_bits(oracle.isel(realization=slice(20)), first)
    grown = engine.run(sweep, path, serial=True)
    assert grown.sizes["realization"] == 40
    assert grown.complete.all()
    assert equal_bits(oracle, grown)
    assert int(grown.realization[-1]) == 39


def test_an_interrupted_run_continues(oracle: xarray.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "half.zarr"
    reports = engine.iterate(toy.small, path, serial=True)
    for report in reports:
        if report.tasks_done == 7:
            reports.close()
    half = engine.open_results(path)
    assert int(half.complete.sum()) == 7 * 8
    assert np.isnan(half.power.values[~half.complete.values]).all()
    reports = list(engine.iterate(engine.load_sweep(path), path, serial=True))
    assert reports[0].tasks_done == 7
    assert len(reports) == 1 + 15 - 7
    assert equal_bits(oracle, engine.open_results(path))


def test_reports_carry_statistics_and_an_estimate(oracle: xarray.Dataset, tmp_path: Path) -> None:
    *_, last = engine.iterate(toy.small, tmp_path / "s.zarr", serial=True)
    moments = last.statistics()["power"][1,]
    power = oracle.power.values[1]
    np.testing.assert_allclose(moments.mean, power.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.standard_error, power.std(0, ddof=1) / np.sqrt(40), rtol=1e-12)
    assert last.realizations_done == last.realizations_total == 120
    assert last.seconds_left == 0


def test_the_time_left_follows_the_rate_since_the_first_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps ahead by 100 s, and then takes 2 s between reports: 15 tasks, of which the first is free."""
    ticks = itertools.chain([0.0, 0.0, 100.0], itertools.count(102.0, 2.0))
    monkeypatch.setattr(driver, "time", types.SimpleNamespace(monotonic=lambda: next(ticks)))
    reports = list(engine.iterate(toy.small, tmp_path / "t.zarr", serial=True))
    assert [report.seconds_left for report in reports[:3]] == [None, None, 26.0]
    assert [report.seconds_left for report in reports[3:]] == [24.0 - 2 * i for i in range(13)]
    assert reports[-1].seconds == 128.0


def test_a_smaller_budget_asks_for_nothing(tmp_path: Path) -> None:
    engine.run(toy.small, tmp_path / "b.zarr", serial=True)
    reports = list(engine.iterate(toy.small.replace(realizations=10), tmp_path / "b.zarr", serial=True))
    assert len(reports) == 1


def test_a_sweep_without_axes(tmp_path: Path) -> None:
    results = engine.run(engine.Sweep(toy.Toy(), realizations=10, block=5), tmp_path / "one.zarr", serial=True)
    assert results.power.dims == ("realization", "levels_db")
    assert engine.replay(tmp_path / "one.zarr", 9).attrs["stored"] == "equal"


@pytest.mark.slow
def test_a_scenario_defined_in_a_script_or_notebook_runs(tmp_path: Path) -> None:
    """Only continuing its store from the store itself needs an importable class."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import engine, toy\n"
        "class Mine(toy.Toy):\n"
        "    gain: float = 2.0\n"
        "sweep = toy.small.replace(scenario=Mine(gain=3.0))\n"
        "for budget in (20, 40):\n"
        "    results = engine.run(sweep.replace(realizations=budget), 'm.zarr', workers=1)\n"
        "assert results.complete.all()\n"
        "try:\n"
        "    engine.load_sweep('m.zarr')\n"
        "except engine.InputError as error:\n"
        "    assert 'was defined in a script' in str(error)\n"
        "else:\n"
        "    raise SystemExit('loaded')\n"
    )
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(Path(engine.__file__).parent.parent)}
    subprocess.run([sys.executable, script, here], cwd=tmp_path, env=environment, check=True)


def test_the_bound_gives_the_same_bits_serially_and_on_two_workers(local_ray: None, tmp_path: Path) -> None:
    sweep = leakage.fig1.replace(axes={"n_sensors": (10, 30)}, realizations=100, chunk=50)
    serial = engine.run(sweep, tmp_path / "serial.zarr", serial=True)
    parallel = engine.run(sweep, tmp_path / "ray.zarr", workers=2)
    assert equal_bits(serial, parallel, ("bcrlb_range_m2", "bcrlb_angle_rad2", "information_range_per_m2"))


def test_the_old_word_for_a_serial_run_still_works(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="run_serially is now serial"):
        engine.run(toy.small, tmp_path / "old.zarr", run_serially=True)
