"""Family B's scenario: its draws, its channel and its cycles against plain loops; what it refuses."""

import cmath
import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import engine
from engine import InputError, Streams, Sweep
from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem
from engine.estimators.paths.on_grid import OnGrid
from engine.estimators.paths.range_posterior import LEVELS
from engine.numerics.wavefront import near_field_range_m
from scenarios.ris import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.scene import Draws

SMALL: dict[str, Any] = {
    "elements_per_side": 9, "range_min_m": 0.15, "range_max_m": 3.0, "n_users": 2, "n_cycles": 8,
    "snr_db": (10.0, 20.0),
}  # fmt: skip


class Recorder(PathEstimator):
    """Knows the answer (the truth it was told, a little off), and keeps what it saw."""

    seen: ClassVar[list[Cycles]] = []

    def prepare(self, problem: PathProblem, xp: Any) -> "Recorder":
        return self

    def begin(self) -> "Recorder":
        return self

    def observe(self, cycles: Cycles) -> None:
        self.seen.append(cycles)

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        groups, copies = self.seen[-1].noise_variance.shape
        users = self.seen[-1].samples.shape[-1]
        shape = (groups, copies, users)
        none = np.full((groups, copies, 2), np.nan)
        return PathEstimates(
            np.full(shape, 1 / 0.2), np.full(shape, 1.5), np.full(shape, 0.1), np.ones(shape) + 0j,
            none, none, none, np.zeros((*shape, 2)) + 0j, np.zeros((groups, copies)),
            self.seen[-1].noise_variance, np.full(shape, 0.25), np.full((*shape, 3, 3), np.nan),
            np.full(shape, np.nan), np.full((*shape, len(LEVELS)), np.nan),
        )  # fmt: skip


def _scene(**fields: Any) -> RisLocalization:
    method = Method(estimator=OnGrid(angle_step_rad=0.06), random_cycles=6)
    return RisLocalization(**(SMALL | {"methods": (method,), "angle_step_rad": 0.06} | fields))


def test_users_are_in_their_fields_and_in_view() -> None:
    scene = RisLocalization()
    drawn = scene.draw(Streams(2, 0), 500)
    for name, fields in (("user", scene.user_fields()), ("scatterer", scene.scatterer_fields())):
        range_m, polar, azimuth = (getattr(drawn, f"{name}_{part}") for part in ("range_m", "polar_rad", "azimuth_rad"))
        ends = near_field_range_m(scene.surface(), polar, azimuth)
        near = np.array([field == "near" for field in fields])
        assert np.array_equal(range_m < ends, np.broadcast_to(near, ends.shape))
        assert range_m.min() >= 0.5
        assert range_m.max() <= 10
        assert np.abs(polar - math.pi / 2).max() <= math.pi / 6
        assert np.abs(azimuth).max() <= math.pi / 6
    middle = (0.5 + near_field_range_m(scene.surface(), drawn.user_polar_rad, drawn.user_azimuth_rad)) / 2
    share = (drawn.user_range_m[:, 0] < middle[:, 0]).mean()
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(500)  # uniform in range


def test_fewer_cycles_or_users_are_the_first_ones() -> None:
    many, few = RisLocalization().draw(Streams(1, 3), 5), RisLocalization(n_cycles=14).draw(Streams(1, 3), 5)
    assert np.array_equal(few.surface_phase_rad, many.surface_phase_rad[:, :14])
    assert np.array_equal(few.noise, many.noise[:, :14])
    assert np.array_equal(few.user_range_m, many.user_range_m)
    alone = RisLocalization(n_users=2).draw(Streams(1, 3), 5)
    assert np.array_equal(alone.user_polar_rad, many.user_polar_rad[:, :2])
    power = np.abs(many.noise) ** 2
    assert abs(power.mean() - 1) < 4 / math.sqrt(power.size)


@pytest.mark.parametrize("waves", ["spherical", "as_printed"])
def test_channels_element_by_element(waves: str) -> None:
    scene = RisLocalization(waves=waves, subcarrier_hz=5e6, snr_db=10.0)
    drawn = scene.draw(Streams(0, 0), 2)
    cascade = scene.cascade()
    channels, to_base = cascade.from_users(scene.paths(drawn, np)), cascade.to_base_station(np)

    def wave(k: float, range_m: float, polar: float, azimuth: float, y: float, z: float, far: bool) -> complex:
        u = math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)
        if far and waves == "as_printed":
            return cmath.exp(1j * k * (y * u[1] + z * u[2]))
        place = [range_m * part for part in u]
        return cmath.exp(-1j * k * (math.dist(place, (0, y, z)) - range_m))

    for n in (0, 137, 624):
        y, z = (n // 25 - 12) * 0.005, (n % 25 - 12) * 0.005
        for user in range(4):
            k = 2 * math.pi * (28e9 + user * 5e6) / 299_792_458
            places = [drawn.user_range_m[1, user], drawn.user_polar_rad[1, user], drawn.user_azimuth_rad[1, user]]
            total = cmath.exp(1j * drawn.user_phase_rad[1, user]) * wave(k, *places, y, z, user % 2 == 1)
            for i in range(2):
                places = [
                    drawn.scatterer_range_m[1, i],
                    drawn.scatterer_polar_rad[1, i],
                    drawn.scatterer_azimuth_rad[1, i],
                ]
                gain = 10**-0.5 * cmath.exp(1j * drawn.scatterer_phase_rad[1, user, i])
                total += gain * wave(k, *places, y, z, i == 1)
            assert abs(channels[1, user, n] - total) < 1e-9
        k = 2 * math.pi * 28e9 / 299_792_458
        expected = cmath.exp(-1j * k * (math.dist((3, -4, 1), (0, y, z)) - math.sqrt(26)))
        assert abs(to_base[n] - expected) < 1e-9


@pytest.mark.parametrize("phases", ["random", "optimised"])
def test_what_is_transmitted_and_received(phases: Any) -> None:
    """y = s^T (h_RB ⊙ h) + w in every cycle, at the right noise power, with the phases that were drawn or optimised."""
    Recorder.seen.clear()
    scene = _scene(methods=(Method(estimator=Recorder(), phases=phases, random_cycles=6),))
    drawn = scene.draw(Streams(5, 0), 3)
    variables = scene.prepare(np)(drawn, intermediates=True)
    channels, to_base = scene.cascade().from_users(scene.paths(drawn, np)), scene.cascade().to_base_station(np)
    beams = variables["beam"][1][:, 0]  # (trial, noise level, cycle, element)
    np.testing.assert_allclose(np.abs(beams), 1, rtol=1e-12)
    random = np.exp(1j * drawn.surface_phase_rad) * to_base
    first = 8 if phases == "random" else 6
    np.testing.assert_allclose(beams[:, :, :first], np.repeat(random[:, None, :first], 2, axis=1), rtol=1e-12)
    samples = [seen.samples for seen in Recorder.seen]
    received = np.concatenate(samples, axis=2).reshape(3, 2, 8, 2)
    assert sum(part.shape[2] for part in samples) == 8
    for trial in range(3):
        for level, snr_db in enumerate((10.0, 20.0)):
            sigma = math.sqrt(81 / 10 ** (snr_db / 10))
            for cycle in range(8):
                for user in range(2):
                    expected = sum(beams[trial, level, cycle] * channels[trial, user])
                    expected += sigma * drawn.noise[trial, cycle, user]
                    assert abs(received[trial, level, cycle, user] - expected) < 1e-10
    if phases == "optimised":  # better than the random phases that they start from
        later = np.abs(beams[:, :, 6:] - random[:, None, 6:])
        assert later.max() > 0.1


def test_errors_are_those_of_the_estimates() -> None:
    scene = _scene()
    drawn = scene.draw(Streams(0, 0), 4)
    found = {name: values for name, (_, values, _) in scene.prepare(np)(drawn, intermediates=True).items()}
    polar = found["estimate_polar_rad"] - drawn.user_polar_rad[:, None, None, None]
    azimuth = found["estimate_azimuth_rad"] - drawn.user_azimuth_rad[:, None, None, None]
    np.testing.assert_allclose(found["squared_error_angle_rad2"], (polar**2 + azimuth**2) / 2)
    range_m = found["estimate_range_m"] - drawn.user_range_m[:, None, None, None]
    np.testing.assert_allclose(found["squared_error_range_m2"], range_m**2)
    assert np.all((found["estimate_range_m"] >= 0.15) & (found["estimate_range_m"] <= 3.0))
    assert np.all((found["focusing_share"] > 0) & (found["focusing_share"] <= 1 + 1e-12))


def test_noise_levels_and_methods_do_not_touch_each_other() -> None:
    """A level alone gives the bits that it gives among others; so does a method."""
    both = _scene(
        methods=(
            Method(estimator=OnGrid(angle_step_rad=0.06), random_cycles=6, name="one"),
            Method(estimator=OnGrid(angle_step_rad=0.06, model="nf"), random_cycles=None, name="two"),
        )
    )
    drawn = both.draw(Streams(0, 0), 3)
    together = both.prepare(np)(drawn)
    alone = both.replace(snr_db=20.0, methods=both.methods[1:]).prepare(np)(drawn)
    for name, (dims, values, _) in together.items():
        ours = values[:, 1:, 1:] if "snr_db" in dims else values
        assert np.array_equal(ours, alone[name][1], equal_nan=True), name


@pytest.mark.parametrize("name", ["array_api_strict", *(["cupy"] if find_spec("cupy") else [])])
def test_another_array_namespace_agrees(name: str) -> None:
    xp = import_module(name)
    if name == "cupy" and not xp.is_available():
        pytest.skip("no CUDA GPU")
    estimator = OnGrid(angle_step_rad=0.06)
    scene = _scene(
        methods=(
            Method(estimator=estimator, random_cycles=6, name="optimised"),
            Method(estimator=estimator, phases="random", name="random"),
        )
    )
    drawn = scene.draw(Streams(0, 0), 3)
    ours, other = scene.prepare(np)(drawn), scene.prepare(xp)(drawn)
    for variable in ours:
        values = other[variable][1]
        host = xp.asnumpy(values) if name == "cupy" else np.asarray(values)
        np.testing.assert_allclose(host, ours[variable][1], rtol=1e-9, atol=1e-9, err_msg=variable)


def test_chunks_change_no_bit_and_a_trial_is_replayed(tmp_path: Path) -> None:
    sweep = Sweep(_scene(recorded_cycles=(6, 8)), {"n_scatterers": (0, 1)}, realizations=8, block=2, chunk=2)
    whole = engine.run(sweep, tmp_path / "a.zarr", serial=True)
    again = engine.run(sweep.replace(chunk=8), tmp_path / "b.zarr", serial=True)
    for name in whole.data_vars:
        assert np.array_equal(whole[name].values, again[name].values, equal_nan=True)
    assert engine.replay(tmp_path / "a.zarr", 5, n_scatterers=1).attrs["stored"] == "equal"
    assert engine.load_sweep(tmp_path / "a.zarr") == sweep


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_cycles": 5}, "5 random cycles give 40 real observations for 42 unknowns .* needed at least 6 cycles"),
        ({"methods": (Method(estimator=OnGrid(), random_cycles=1),)}, "unidentifiable=true"),
        ({"elements_per_side": 36, "range_min_m": 0.8}, "no far field is left"),
        ({"range_min_m": 0.3}, "reactive near field"),
        ({"subcarrier_hz": 20e6}, "standard deviations other than at the carrier.* needed at most 1.5"),
        ({"angle_step_rad": 0.1}, "wider than the surface's beam"),
        ({"users": "near", "near_range_max_m": 0.4}, "near users would lie between"),
        ({"users": "near", "near_range_max_m": 0.5}, "near users would lie between"),
        ({"range_min_m": 12.0}, "needed min < max"),
        ({"recorded_cycles": (3, 30)}, "ascending numbers from 1 to n_cycles = 20"),
        ({"methods": (Method(estimator=OnGrid()), Method(estimator=OnGrid()))}, "needed names that differ"),
        ({"snr_db": (3.0, 3.0)}, "needed ratios that differ"),
        ({"base_station_x_m": 0.0, "base_station_y_m": 0.0, "base_station_z_m": 0.0}, "surface's centre"),
    ],
)
def test_impossible_scenes_are_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        RisLocalization().replace(**fields)
    assert "\n" not in str(caught.value)


def test_too_few_cycles_can_be_watched() -> None:
    """Cycle 1 is not identifiable: all normalised correlations are |y|²."""
    method = Method(estimator=OnGrid(angle_step_rad=0.06), random_cycles=1)
    scene = _scene(methods=(method,), unidentifiable=True, recorded_cycles=(1, 8))
    found = scene.prepare(np)(scene.draw(Streams(0, 0), 2))
    assert np.all(np.isfinite(found["squared_error_angle_rad2"][1]))
    assert np.all(np.isinf(found["bound_angle_rad2"][1][:, :, :, 0]))
    assert np.all(np.isfinite(found["bound_angle_rad2"][1][:, :, :, 1]))


def test_draws_are_described() -> None:
    assert Draws._fields[:3] == ("user_range_m", "user_polar_rad", "user_azimuth_rad")  # `_errors` counts on it
