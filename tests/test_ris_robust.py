"""Family B where something is off: phases of few bits, a surface elsewhere, wandering phases, users that are close."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from test_ris_claims import stored

import engine
from engine.numerics.frames import seen_from, turned_about
from engine.streams import Streams
from scenarios.figures.claims import CONTRADICTED, REPRODUCED, judged
from scenarios.ris import NOMP, RisLocalization, robust, robust_claims
from scenarios.ris.hardware import Hardware, channels_of, hardware_of, rounded_phasors
from scenarios.ris.mismatch import NAME, assumes_plane_waves
from scenarios.ris.scene import Draws

SMALL: dict[str, Any] = {
    "elements_per_side": 9, "range_min_m": 0.2, "range_max_m": 3.0, "snr_db": 20.0, "n_cycles": 14,
}  # fmt: skip


def drawn(scene: RisLocalization, size: int = 3) -> Draws:
    return scene.draw(Streams(5, 0), size)


def test_exact_by_default_and_the_same_draws_otherwise() -> None:
    """What is off has streams of its own: places, gains, random phases and noise are those of the exact scene."""
    exact = drawn(RisLocalization(**SMALL))
    off = drawn(RisLocalization(**SMALL, phase_bits=2, misplaced_m=0.05, misturned_rad=0.1, phase_drift_rad=0.3))
    for one, other in zip(exact, off, strict=True):
        np.testing.assert_array_equal(one, other)
    beams = np.exp(1j * exact.surface_phase_rad)
    for hardware in (hardware_of(RisLocalization(**SMALL), exact, np), Hardware(np.ones(81))):
        assert hardware.told(beams) is beams
        assert hardware.applied(beams) is beams
        assert hardware.received(exact.noise, 0) is exact.noise


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_phases_are_rounded_to_the_nearest(bits: int) -> None:
    scene = RisLocalization(**SMALL, phase_bits=bits)
    here = drawn(scene)
    hardware = hardware_of(scene, here, np)
    beams = np.exp(1j * here.surface_phase_rad) * hardware.to_base
    applied = hardware.applied(beams)
    states = np.exp(2j * np.pi * np.arange(2**bits) / 2**bits)
    flat = (beams / hardware.to_base).ravel()
    nearest = states[np.argmin(np.abs(flat[:, None] - states), axis=1)]
    np.testing.assert_allclose((applied / hardware.to_base).ravel(), nearest, atol=1e-12)
    np.testing.assert_array_equal(hardware.told(beams), applied)
    intended = hardware_of(scene.replace(phases_told="intended"), here, np)
    assert intended.told(beams) is beams
    np.testing.assert_array_equal(intended.applied(beams), applied)
    np.testing.assert_allclose(rounded_phasors(applied, 12) / applied, 1, atol=2e-3)


def cartesian(range_m: float, polar: float, azimuth: float) -> np.ndarray:
    across = range_m * math.sin(polar)
    return np.array([across * math.cos(azimuth), across * math.sin(azimuth), range_m * math.cos(polar)])


@pytest.mark.parametrize(("misplaced_m", "misturned_rad"), [(0.08, 0.2), (0.08, 0.0), (0.0, 0.2)])
def test_a_surface_elsewhere_receives_what_its_elements_do(misplaced_m: float, misturned_rad: float) -> None:
    """Element by element in the room: where each really is, and how far from each user, scatterer and base station."""
    off = {"misplaced_m": misplaced_m, "misturned_rad": misturned_rad}
    scene = RisLocalization(**SMALL, **off, n_users=2, subcarrier_hz=0.0, base_station_z_m=-1.7)
    here = drawn(scene)
    paths, surface = scene.paths(here, np), scene.surface()
    channels, hardware = channels_of(scene, here, paths, np), hardware_of(scene, here, np)
    k = surface.wavenumber_rad_per_m
    base = np.array([scene.base_station_x_m, scene.base_station_y_m, scene.base_station_z_m])
    y, z = surface.positions_m(np)
    for i in range(3):
        offset, axis = scene.misplaced_m * here.misplacement[i, 0], here.misplacement[i, 1]
        assert np.linalg.norm(here.misplacement[i], axis=1) == pytest.approx(1)

        def turned(p: np.ndarray, axis: np.ndarray = axis) -> np.ndarray:
            cosine, sine = math.cos(misturned_rad), math.sin(misturned_rad)
            return cosine * p + sine * np.cross(axis, p) + (1 - cosine) * np.dot(axis, p) * axis

        places = [offset + turned(np.array([0, a, b])) for a, b in zip(y, z, strict=True)]

        def wave(point: np.ndarray, places: Any = places, offset: np.ndarray = offset) -> np.ndarray:
            far = np.linalg.norm(point - offset)
            return np.array([np.exp(-1j * k * (np.linalg.norm(point - p) - far)) for p in places])

        np.testing.assert_allclose(hardware.turn[i] * hardware.to_base, wave(base), atol=1e-9)
        for user in range(2):
            total = paths.gain[i, user] * wave(
                cartesian(here.user_range_m[i, user], here.user_polar_rad[i, user], here.user_azimuth_rad[i, user])
            )
            for s in range(scene.n_scatterers):
                point = cartesian(
                    here.scatterer_range_m[i, s], here.scatterer_polar_rad[i, s], here.scatterer_azimuth_rad[i, s]
                )
                total = total + paths.scatterer_gain[i, user, s] * wave(point)
            np.testing.assert_allclose(channels[i, user], total, atol=1e-9)


def test_frames_undo_each_other_and_leave_plane_waves_where_they_come_from() -> None:
    random = np.random.default_rng(0)
    kappa, polar, azimuth = (
        random.uniform(0, 2, (4, 5)),
        random.uniform(1, 2, (4, 5)),
        random.uniform(-0.5, 0.5, (4, 5)),
    )
    kappa[:, 0] = 0
    axis = random.standard_normal((4, 3))
    turn = turned_about(axis / np.linalg.norm(axis, axis=1, keepdims=True), 0.3)
    offset = random.uniform(-0.1, 0.1, (4, 3))
    there = seen_from(kappa, polar, azimuth, offset_m=offset, axes=turn)
    back = seen_from(*there, offset_m=-(offset[:, None, :] @ turn)[:, 0], axes=np.swapaxes(turn, 1, 2))
    for one, other in zip(back, (kappa, polar, azimuth), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    shifted = seen_from(kappa, polar, azimuth, offset_m=offset, axes=np.broadcast_to(np.eye(3), (4, 3, 3)))
    np.testing.assert_allclose(shifted[1][:, 0], polar[:, 0])
    assert np.abs(shifted[1][:, 1:] - polar[:, 1:]).max() > 1e-3


def test_phases_wander_from_the_first_cycle_on() -> None:
    scene = RisLocalization(**SMALL, phase_drift_rad=0.2)
    here = drawn(scene)
    hardware = hardware_of(scene, here, np)
    signal = np.ones((3, scene.n_cycles, scene.n_users), dtype=complex)
    whole = np.angle(hardware.received(signal, 0))
    walk = np.zeros((3, scene.n_users))
    for cycle in range(scene.n_cycles):
        walk = walk + (0.2 * here.drift[:, cycle] if cycle else 0.0)
        np.testing.assert_allclose(np.angle(np.exp(1j * (whole[:, cycle] - walk))), 0, atol=1e-12)
    np.testing.assert_allclose(hardware.received(signal[:, 5:8], 5), hardware.received(signal, 0)[:, 5:8])


@pytest.mark.parametrize("what", ["user", "scatterer"])
def test_close_ones_are_so_many_beams_apart_and_in_view(what: str) -> None:
    scene = RisLocalization(**{f"{what}_separation_beams": 0.7})
    here = drawn(scene, 200)
    others = {"user": (here.user_polar_rad[:, 1::2], here.user_azimuth_rad[:, 1::2]),
              "scatterer": (here.scatterer_polar_rad, here.scatterer_azimuth_rad)}[what]  # fmt: skip
    step = 2 if what == "user" else 1
    first = (here.user_polar_rad[:, ::step][:, :2], here.user_azimuth_rad[:, ::step][:, :2])
    width = scene.surface().wavelength_m / (25 * 0.005)
    along = [
        (np.sin(others[0]) * np.sin(others[1]) - np.sin(first[0]) * np.sin(first[1])) / width,
        (np.cos(others[0]) - np.cos(first[0])) / width,
    ]
    np.testing.assert_allclose(np.hypot(*along), 0.7, rtol=1e-9)
    towards = np.arctan2(np.abs(along[1]), np.abs(along[0]))
    assert stats.kstest(np.ravel(towards), stats.uniform(0, math.pi / 2).cdf).pvalue > 1e-3
    view = scene.view()
    assert view.polar_min_rad <= others[0].min() < others[0].max() <= view.polar_max_rad
    assert view.azimuth_min_rad - 0.08 <= others[1].min() < others[1].max() <= view.azimuth_max_rad + 0.08
    exact = drawn(RisLocalization(), 200)
    np.testing.assert_array_equal(here.user_polar_rad[:, ::2], exact.user_polar_rad[:, ::2])
    np.testing.assert_array_equal(here.noise, exact.noise)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_separation_beams": 9.0}, r"a separation of 9 beams is 0\.77 .* needed at most 4\.67 beams"),
        ({"misplaced_m": 0.3}, r"misplaced_m = 0\.3 with users from range_min_m = 0\.5 on: needed at most half"),
    ],
)
def test_nonsense_is_one_line(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RisLocalization(**fields)


def test_a_turned_surface_is_off_by_its_turn_and_the_base_stations() -> None:
    """What arrives and what leaves turns: direction cosines are off by Rᵀu − u of the user and of the base station."""
    scene = RisLocalization(
        elements_per_side=13, range_min_m=0.25, range_max_m=4.0, snr_db=40.0, n_scatterers=0, n_cycles=14,
        misturned_rad=0.01, methods=(NOMP,), users="far",
    )  # fmt: skip
    here = drawn(scene, 6)
    variables = scene.prepare(np)(here)
    base = np.array([scene.base_station_x_m, scene.base_station_y_m, scene.base_station_z_m])
    for i in range(6):
        turn = turned_about(here.misplacement[i, 1], 0.01)
        for user in range(4):
            true = cartesian(1.0, here.user_polar_rad[i, user], here.user_azimuth_rad[i, user])
            expected = (turn.T @ true - true) + (turn.T @ base - base) / np.linalg.norm(base)
            polar, azimuth = (variables[f"estimate_{n}_rad"][1][i, 0, 0, 0, user] for n in ("polar", "azimuth"))
            found = cartesian(1.0, polar, azimuth) - true
            np.testing.assert_allclose(found[1:], expected[1:], atol=1.5e-3)


def test_the_plane_wave_bound_is_stored_for_those_who_assume_plane_waves() -> None:
    scene = robust.mismatch.scenario
    assert isinstance(scene, RisLocalization)
    scene = scene.replace(**{**SMALL, "snr_db": (10.0, 60.0), "near_range_max_m": 0.3, "angle_step_rad": 0.05})
    variables = scene.prepare(np)(drawn(scene, 4))
    stored_bound = variables[NAME][1]
    assert [assumes_plane_waves(method, scene.model) for method in scene.methods] == [False, False, True, False]
    assert np.isnan(stored_bound[:, [0, 1, 3]]).all()
    ff = stored_bound[:, 2, :, 0]
    assert np.all(ff[:, 0] > ff[:, 1])
    bound = variables["bound_angle_rad2"][1][:, 2, :, 0]
    assert np.all(ff[:, 1] > 10 * bound[:, 1])  # its floor, where the right model has none
    assert NAME not in scene.replace(mismatched_bound=False).prepare(np)(drawn(scene, 1))


def test_claims_hold_and_fail() -> None:
    bits, methods = (0.0, 1.0, 3.0), ("NOMP",)
    for factor, expected in ((1.1, REPRODUCED), (1.5, CONTRADICTED)):
        results = stored("phase_bits", bits, lambda q, f, m, x, k=factor: 8e-3 * (k if x == 3 else 1), methods)  # type: ignore[misc]
        (verdict,) = judged(robust_claims.against_bits(results))
        assert verdict.outcome == expected
        results = stored(
            "user_separation_beams", (0.1, 2.0), lambda q, f, m, x, k=factor: 8e-3 * (k if x < 1 else 1), methods
        )  # type: ignore[misc]
        (verdict,) = judged(robust_claims.against_separation(results))
        assert verdict.outcome == expected
        fields = {"angle_step_rad": 0.01, "users": "near", "n_users": 2}
        results = stored("snr_db", (10.0, 20.0), lambda q, f, m, x, k=factor: 5e-3 * k, ("ff",), **fields)  # type: ignore[misc]
        results = results.expand_dims(cycle=[20])
        results[NAME] = 0 * results.squared_error_angle_rad2 + (5e-3**2 - 0.01**2 / 12)
        (verdict,) = judged(robust_claims.against_mismatch(results))
        assert verdict.outcome == expected
    assert robust_claims.none(results) == []


@pytest.mark.parametrize("name", ["quantised", "misplaced", "close_users", "mismatch"])
def test_a_figure_of_each_kind_is_drawn(name: str, tmp_path: Path) -> None:
    sweep = getattr(robust, name)
    scene = sweep.scenario
    methods = tuple(method.model_copy(update={"random_cycles": 9}) for method in scene.methods)[-2:]
    changed = scene.replace(**{**SMALL, "angle_step_rad": 0.06, "near_range_max_m": None, "methods": methods})
    axes = {field: (values[0], min(values[-1], 1.5)) for field, values in sweep.axes.items()}
    axes = {field: (0.0, 0.09) if field == "misplaced_m" else values for field, values in axes.items()}
    small = sweep.replace(scenario=changed, axes=axes, realizations=4, block=4, chunk=4, name="")
    engine.run(small, tmp_path / "small.zarr", serial=True)
    results = engine.open_results(tmp_path / "small.zarr").load()
    rows = sweep.summary(results)
    sweep.figure(results, rows).savefig(tmp_path / "figure.png")
    tables = sweep.report(results, rows)
    assert all(len(row) == len(table.headings) for table in tables for row in table.rows)
    assert ("plane-wave CRB" in tables[1].headings) == (name == "mismatch")
