"""Where a model of the leakage is not the scene's any more, that is said at the start of a run and kept with it."""

import math
from pathlib import Path

import numpy as np
import pytest

import engine
from engine import InputError, Streams, Sweep
from jobs.cli.progress import watch
from scenarios.leakage import LeakageBound
from scenarios.leakage.model_gap import model_gap
from scenarios.leakage.scene import LeakageScene

PAPER = LeakageBound()
NEAR = PAPER.replace(user_range_min_m=0.3, user_range_max_m=1.0, sensor_range_min_m=3.0, sensor_range_max_m=4.0)


def plain(scene: LeakageScene) -> float:
    """Element by element, in Cartesian places; the model's own values by its two distances' Taylor series or not."""
    drawn, array = scene.replace(n_sensors=20).draw_geometry(Streams(0, 0), 50), scene.array()
    k, n = 2 * math.pi / array.wavelength_m, array.n_elements
    x = (np.arange(n) - (n - 1) / 2) * array.spacing_m
    apart = whole = 0.0
    for d, phi, ranges_m, angles_rad in zip(*drawn, strict=True):
        user = np.abs(d * np.exp(1j * phi) - x)
        for r, theta in zip(ranges_m, angles_rad, strict=True):
            sensor = np.abs(r * np.exp(1j * theta) - x)
            exact = abs(np.sum(r / sensor * np.exp(1j * k * (user - sensor)))) ** 2 / n
            model = abs(np.sum(np.exp(1j * k * (user + x * math.cos(theta))))) ** 2 / n  # spherical
            apart, whole = apart + (model - exact) ** 2, whole + exact**2
    return math.sqrt(apart / whole)


@pytest.mark.parametrize(
    "scene", [PAPER, NEAR, NEAR.replace(n_elements=7, carrier_hz=70e9)], ids=["paper", "near", "7"]
)
def test_the_gap_is_that_of_sums_written_out(scene: LeakageBound) -> None:
    spherical = scene.replace(leakage="spherical")
    assert model_gap(spherical) == pytest.approx(plain(spherical), rel=1e-9)


def test_what_is_far_off_is_said_and_what_is_not_is_not() -> None:
    assert PAPER.account() == ""
    assert PAPER.replace(leakage="two_sided").account() == ""
    assert NEAR.replace(leakage="two_sided").account() == ""
    for scene in (NEAR, NEAR.replace(leakage="spherical"), PAPER.replace(n_elements=1000)):
        assert f"leakage {scene.leakage.name} is {100 * model_gap(scene):.2g} %" in scene.account()
    huge = PAPER.replace(n_elements=2000, leakage="two_sided", user_range_min_m=50.0, user_range_max_m=60.0)
    assert 0 < model_gap(huge) < 0.2  # of a few users, as their elements are many


def test_a_sweep_says_at_which_end_and_its_store_keeps_it(tmp_path: Path) -> None:
    sweep = Sweep(PAPER, {"n_elements": (100, 400, 1000), "n_sensors": (5, 10)}, realizations=1, block=1)
    said = sweep.account.splitlines()
    assert [line.partition(": leakage")[0] for line in said] == [
        "n_elements = 1000, n_sensors = 5", "n_elements = 1000, n_sensors = 10"
    ]  # fmt: skip
    assert Sweep(PAPER, {"n_sensors": (5, 10)}).account == ""
    everywhere = Sweep(NEAR, {"n_sensors": (5, 10)}, realizations=1, block=1)
    assert everywhere.account == NEAR.account()
    engine.run(everywhere, tmp_path / "x.zarr", serial=True)
    assert engine.open_results(tmp_path / "x.zarr").attrs["account"] == NEAR.account()


def test_it_is_said_once_a_run_begins_and_who_is_refused_reads_no_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = Sweep(NEAR, {}, realizations=2, block=1)
    with pytest.raises(InputError):
        watch(sweep, str(tmp_path / "x.zarr"), serial=True, backend_name="tpu")
    assert capsys.readouterr().err == ""
    watch(sweep, str(tmp_path / "x.zarr"), serial=True)
    assert capsys.readouterr().err.splitlines().count(NEAR.account()) == 1
