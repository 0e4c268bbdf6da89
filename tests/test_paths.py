"""`nearfield export paths`: what readers who know Sionna RT or DeepMIMO find, held to Sionna RT and to our channels."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import engine
from engine import InputError, Sweep
from jobs import main as command_line
from scenarios.multipath import MultipathData, MultipathEstimation
from scenarios.multipath.map import MultipathMap
from scenarios.multipath.paths import paths_of
from scenarios.multipath.scene import Traces, Users, tracer_of

SMALL: dict[str, Any] = {
    "n_sensors": 3, "sensor_sets": 2, "n_elements": 16, "samples": 10_000, "max_depth": 2, "max_paths": 10,
    "diffraction": False,  # tests/test_multipath_diffraction.py exports paths with it
}  # fmt: skip


def nearfield(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nearfield", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("paths") / "data.zarr")
    engine.run(Sweep(MultipathData(**SMALL), realizations=12, block=6, chunk=6), path, serial=True)
    return path


def test_a_reader_finds_the_channel(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delay, gain and phase of the paths add up to what users' channels are made of: at the carrier, and beside it."""
    assert nearfield("export", "paths", store, "-o", tmp_path / "paths.nc", monkeypatch=monkeypatch) == 0
    assert "written" in capsys.readouterr().out
    found = xarray.open_dataset(tmp_path / "paths.nc")
    assert dict(found.sizes) == {"rx": 18, "path": 10, "depth": 2, "xyz": 3}
    scene = MultipathData(**SMALL)
    results = engine.open_results(store)
    users = Users(results.user_range_m.values, results.user_angle_rad.values)
    assert found.rx_pos.values[:12] == pytest.approx(scene.user_position_m(users))
    assert found.realization.values[:13].tolist() == [*range(12), -1]
    assert (found.sensor_set.values[12:].tolist(), found.sensor.values[12:].tolist()) == (
        [0, 0, 0, 1, 1, 1],
        [0, 1, 2] * 2,
    )
    tracer = tracer_of(scene.channel())
    place, gain, *_ = tracer.strongest_paths(found.rx_pos.values, found.tx_pos.values)
    h = np.zeros(18, dtype=complex)
    np.add.at(h, place, gain)
    a = found.a_real.values + 1j * found.a_imag.values
    sionna = np.nansum(a * np.exp(-2j * np.pi * ((found.carrier_hz * found.tau.values) % 1)), axis=1)
    deepmimo = np.nansum(10 ** (found.power.values / 20) * np.exp(1j * np.radians(found.phase.values)), axis=1)
    scale = np.abs(h).max()
    assert np.abs(sionna - h).max() < 1e-3 * scale
    assert np.abs(deepmimo - h).max() < 1e-4 * scale
    assert np.isfinite(found.tau.values).sum(axis=1).tolist() == np.bincount(place, minlength=18).tolist()
    assert (np.diff(found.power.values, axis=1)[np.isfinite(found.power.values[:, 1:])] <= 1e-5).all()
    assert Traces(scene).sensor_h.shape == (6, 16)


def test_the_geometry_is_consistent(store: str) -> None:
    """Legs are as long as the delay says, angles point along the first and the last, and a mirror's law holds."""
    found = paths_of(engine.open_results(store))
    checked = 0
    for i, j in np.argwhere(np.isfinite(found.tau.values)):
        depth = int(found.interactions.values[i, j].sum())
        assert found.inter.values[i, j] == int("1" * depth or "0")
        corners = np.array([found.tx_pos.values, *found.vertices.values[i, j, :depth], found.rx_pos.values[i]])
        legs = np.diff(corners, axis=0)
        assert np.linalg.norm(legs, axis=1).sum() / 299_792_458 == pytest.approx(found.tau.values[i, j], rel=1e-6)
        for leg, end in ((legs[0], "t"), (-legs[-1], "r")):
            theta, phi = (float(found[f"{name}_{end}"].values[i, j]) for name in ("theta", "phi"))
            pointing = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
            assert pointing == pytest.approx(leg / np.linalg.norm(leg), abs=1e-5)
            name = "aod" if end == "t" else "aoa"
            assert np.degrees([theta, phi]) == pytest.approx(
                [found[f"{name}_el"].values[i, j], found[f"{name}_az"].values[i, j]]
            )
        assert np.isnan(found.vertices.values[i, j, depth:]).all()
        checked += depth
    assert checked > 20


def test_as_sionna_rt_has_them(store: str) -> None:
    """The same delays, angles, vertices and gains as `sionna.rt.Paths` holds, path by path."""
    found = paths_of(engine.open_results(store), most=3)
    tracer = tracer_of(MultipathData(**SMALL).channel())
    compared = 0
    for i in range(3):
        solved = tracer.solve(found.tx_pos.values[None], found.rx_pos.values[i : i + 1], 300_000)
        theirs = {
            name: np.array(getattr(solved, name)).reshape(-1)
            for name in ("tau", "theta_t", "phi_t", "theta_r", "phi_r")
        }
        gain = np.array(solved.a[0]).reshape(-1) + 1j * np.array(solved.a[1]).reshape(-1)
        vertices = np.array(solved.vertices).reshape(2, -1, 3)
        for j in range(found.sizes["path"]):
            tau = found.tau.values[i, j]
            if not np.isfinite(tau):
                continue
            nearest = int(np.argmin(np.abs(theirs["tau"] - tau)))
            if abs(theirs["tau"][nearest] - tau) > 1e-13:
                continue  # Sionna's solver loses weak ones
            compared += 1
            for name in ("theta_t", "phi_t", "theta_r", "phi_r"):
                assert theirs[name][nearest] == pytest.approx(float(found[name].values[i, j]), abs=2e-3), name
            depth = int(found.interactions.values[i, j].sum())
            assert vertices[:depth, nearest] == pytest.approx(
                found.vertices.values[i, j, :depth], abs=0.02
            )  # single precision, at grazing incidence
            ours = complex(found.a_real.values[i, j], found.a_imag.values[i, j])
            assert abs(gain[nearest] - ours) < 0.02 * abs(ours)
    assert compared > 6


def test_sweeps_and_what_has_no_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid: dict[str, Any] = {"grid_ranges": 4, "grid_angles": 8, "noise_dbm": -80.0, "n_snapshots": 1}
    sweep = Sweep(MultipathEstimation(**SMALL, **grid), {"n_sensors": (2, 3)}, realizations=4, block=2, chunk=2)
    engine.run(sweep, tmp_path / "fig4.zarr", serial=True)
    assert paths_of(engine.open_results(tmp_path / "fig4.zarr"), most=2).sizes["rx"] == 2 + 6
    engine.run(
        Sweep(MultipathData(**SMALL), {"carrier_hz": (15e9, 20e9)}, realizations=2, block=2, chunk=2),
        tmp_path / "two.zarr", serial=True,
    )  # fmt: skip
    with pytest.raises(InputError, match="paths differ along the axis carrier_hz"):
        paths_of(engine.open_results(tmp_path / "two.zarr"))
    engine.run(
        Sweep(MultipathMap(n_elements=16, samples=1000, spacing_m=60.0), realizations=4, block=4, chunk=4),
        tmp_path / "map.zarr", serial=True,
    )  # fmt: skip
    with pytest.raises(InputError, match="these results have no users"):
        paths_of(engine.open_results(tmp_path / "map.zarr"))
    for words, message in (
        (["paths", "a", "b"], "needed one STORE, or paths and one STORE"),
        (["path", "a"], "needed one STORE, or paths and one STORE"),
        (["paths", tmp_path / "map.zarr", "--realizations"], "paths are written as NetCDF"),
        ([tmp_path / "map.zarr", "--users", "3"], "--users is for"),
    ):
        assert nearfield("export", *words, "-o", tmp_path / "x.nc", monkeypatch=monkeypatch) == 2
        assert message in capsys.readouterr().err
