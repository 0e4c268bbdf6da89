"""What is transmitted, estimated and stored cycle by cycle: against plain loops and hand counts."""

import math
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray

from engine import InputError, Streams
from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem
from engine.estimators.paths.on_grid import OnGrid
from engine.estimators.paths.range_posterior import LEVELS
from engine.numerics.plane_wave_bound import plane_wave_bound
from scenarios.ris import NOMP, RisLocalization
from scenarios.ris.hardware import channels_of, hardware_of
from scenarios.ris.mismatch import NAME
from scenarios.ris.protocol import Method, _widths, cycles_before_lock
from scenarios.ris.remark1 import parts_of

SMALL: dict[str, Any] = {
    "elements_per_side": 7, "elements_upwards": 5, "range_min_m": 0.15, "range_max_m": 2.0, "n_users": 2,
    "n_scatterers": 1, "n_cycles": 9, "snr_db": (5.0, 25.0), "carrier_hz": 20e9, "angle_step_rad": 0.1,
    "unidentifiable": True, "subcarrier_hz": 0.0,
}  # fmt: skip
RECORDED = (2, 5, 8, 9)


class Counter(PathEstimator):
    """Answers how many cycles it has seen, and keeps what it was given and asked."""

    seen: ClassVar[list[tuple[Cycles, int]]] = []
    asked: ClassVar[list[tuple[int, bool]]] = []
    so_far: ClassVar[list[int]] = [0]

    def prepare(self, problem: PathProblem, xp: Any) -> "Counter":
        return self

    def begin(self) -> "Counter":
        self.so_far[0] = 0
        return self

    def observe(self, cycles: Cycles) -> None:
        self.seen.append((cycles, self.so_far[0]))
        self.so_far[0] += cycles.beams.shape[1]

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        self.asked.append((self.so_far[0], stating))
        last = self.seen[-1][0]
        groups, copies, _, users = last.samples.shape
        shape, count = (groups, copies, users), self.so_far[0]
        place = np.array([1 / 0.3, 1.5, 0.1]) + 0.001 * count
        one = np.full((groups, copies, 1), 1.4)
        return PathEstimates(
            *(np.full(shape, part) for part in place), np.ones(shape) + 0j, one, one, 0 * one,
            np.full((*shape, 1), 0.1j), np.full((groups, copies), float(count)), last.noise_variance,
            np.full(shape, 0.5), np.full((*shape, 3, 3), np.nan), np.full(shape, np.nan),
            np.full((*shape, len(LEVELS)), np.nan),
        )  # fmt: skip


@pytest.mark.parametrize("phases", ["random", "optimised"])
def test_every_cycle_is_sent_once_and_estimates_are_of_the_cycles_they_are_stored_for(phases: Any) -> None:
    """Rounded phases, a surface elsewhere, wandering users: what is told, what is sent, and with which noise."""
    Counter.seen.clear()
    Counter.asked.clear()
    scene = RisLocalization(
        **SMALL, methods=(Method(estimator=Counter(), phases=phases, random_cycles=4),), recorded_cycles=RECORDED,
        phase_bits=2, phases_told="intended", misplaced_m=0.02, misturned_rad=0.05, phase_drift_rad=0.4,
    )  # fmt: skip
    drawn = scene.draw(Streams(3, 0), 3)
    found = {name: values for name, (_, values, _) in scene.prepare(np)(drawn, intermediates=True).items()}
    channels = channels_of(scene, drawn, scene.paths(drawn, np), np)
    hardware = hardware_of(scene, drawn, np)
    beams = found["beam"][:, 0]  # (trial, level, cycle, element)
    n_random = 9 if phases == "random" else 4
    lengths = [cycles.beams.shape[1] for cycles, _ in Counter.seen]
    assert lengths == ([2, 3, 3, 1] if phases == "random" else [2, 2, 1, 1, 1, 1, 1])
    assert [start for _, start in Counter.seen] == np.cumsum([0, *lengths[:-1]]).tolist()
    for cycles, start in Counter.seen:
        size = cycles.beams.shape[1]
        told = beams[:, :1] if phases == "random" else beams
        np.testing.assert_array_equal(cycles.beams, told.reshape(-1, 9, 35)[:, start : start + size])
        received = cycles.samples.reshape(3, 2, size, 2)
        for trial, level, cycle, user in np.ndindex(3, 2, size, 2):
            at = start + cycle
            # In states of π/2 as the surface applies them, on its true way to the base station.
            angles = np.angle(beams[trial, level, at] / hardware.to_base)
            applied = np.exp(0.5j * math.pi * np.round(angles / (0.5 * math.pi))) * hardware.to_base
            signal = np.sum(applied * hardware.turn[trial] * channels[trial, user])
            signal *= np.exp(0.4j * drawn.drift[trial, 1 : at + 1, user].sum())
            sigma = math.sqrt(35 / 10 ** ((5.0, 25.0)[level] / 10))
            noisy = signal + sigma * drawn.noise[trial, at, user]
            assert abs(received[trial, level, cycle, user] - noisy) < 1e-9
    expected = RECORDED if phases == "random" else (2, *range(4, 10))
    assert [count for count, _ in Counter.asked] == list(expected)
    assert [stating for _, stating in Counter.asked] == [count in RECORDED for count in expected]
    for r, count in enumerate(RECORDED):
        assert np.all(found["misfit"][:, 0, :, r] == count)
        assert found["estimate_polar_rad"][:, 0, :, r] == pytest.approx(1.5 + 0.001 * count)
    random = np.exp(1j * drawn.surface_phase_rad) * hardware.to_base
    np.testing.assert_allclose(beams[:, 0, :n_random], random[:, :n_random], rtol=1e-12)
    if phases == "optimised":
        assert np.abs(beams[:, :, 4:] - random[:, None, 4:]).min(axis=-1).max() > 1e-3


def bounds_of(surface: Any, place: tuple[float, float, float], beams: np.ndarray, variance: float, prior: Any) -> Any:
    """Variances of r, θ, φ of one user of gain 1: the information of five unknowns by differences, and a prior's."""

    def seen(values: np.ndarray) -> np.ndarray:
        y, z = surface.positions_m(np)
        r, polar, azimuth = values[:3]
        at = r * np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
        apart = np.sqrt(at[0] ** 2 + (at[1] - y) ** 2 + (at[2] - z) ** 2) - r
        return complex(*values[3:]) * (beams @ np.exp(-1j * surface.wavenumber_rad_per_m * apart))

    centre = np.array([*place, 1.0, 0.0])
    slopes = []
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-5
        slopes.append((seen(centre + step) - seen(centre - step)) / 2e-5)
    slopes = np.array(slopes)
    information = 2 / variance * np.real(slopes.conj() @ slopes.T) + np.diag(prior)
    return np.diag(np.linalg.inv(information))[:3]


def test_the_next_beam_lowers_the_bounds_at_the_places_estimated() -> None:
    """Of all users together, each bound over its present one: far below what the random phases would leave."""
    Counter.seen.clear()
    scene = RisLocalization(**SMALL, methods=(Method(estimator=Counter(), random_cycles=4),), users="near")
    drawn = scene.draw(Streams(8, 0), 4)
    found = {name: values for name, (_, values, _) in scene.prepare(np)(drawn, intermediates=True).items()}
    beams, surface = found["beam"][:, 0], scene.surface()
    random = np.exp(1j * drawn.surface_phase_rad) * scene.cascade().to_base_station(np)
    prior = [12 / 1.85**2, 12 / (math.pi / 3) ** 2, 12 / (math.pi / 3) ** 2, 0.01, 0.01]
    gained = []
    for trial, level, count in np.ndindex(4, 2, 5):
        kappa, polar, azimuth = np.array([1 / 0.3, 1.5, 0.1]) + 0.001 * (4 + count)
        place, variance = (1 / kappa, polar, azimuth), 35 / 10 ** ((5.0, 25.0)[level] / 10)
        sent, following = beams[trial, level, : 4 + count], beams[trial, level, 4 + count]
        now, then, at_random = (
            bounds_of(surface, place, np.concatenate([sent, more]), variance, prior)
            for more in (sent[:0], following[None], random[trial, None, 4 + count])
        )
        assert np.sum(then / now) < np.sum(at_random / now)
        gained.append((np.sum(at_random / now) - np.sum(then / now)) / 3)
    assert np.mean(gained) > 0.05


def test_what_is_known_beforehand() -> None:
    """Widths of the view in range and angles, by hand; what a scatterer brings, and a user if that is told."""
    problem = RisLocalization(**SMALL, scatterer_db=-7.0).problem()
    assert _widths(problem) == pytest.approx((1.85, math.pi / 3, math.pi / 3))
    assert problem.scattered_power == pytest.approx(10**-0.7)
    assert problem.direct_power is None
    assert RisLocalization(**SMALL, direct_strength="told").problem().direct_power == 1.0
    assert (problem.model, problem.angle_step_rad, problem.range_step_m) == ("hybrid", 0.1, 0.25)
    wide = RisLocalization(**SMALL, users="far", field_of_view="wide", range_step_m=0.5, model="nf").problem()
    assert _widths(wide) == pytest.approx((1.85, 2 * math.pi / 3, 2 * math.pi / 3))
    assert (wide.model, wide.range_step_m) == ("nf", 0.5)


def test_random_cycles_by_the_formula() -> None:
    """1 + K + ln(4N/0.01)/ln(1 + s), rounded up, and two; s = 1/(1/SNR + K P), at each ratio."""
    for n, k, power, snr in ((35, 1, 0.2, 3.0), (35, 1, 0.2, 300.0), (625, 4, 0.25, 1.0), (100, 0, 0.1, 10.0)):
        s = 1 / (1 / snr + k * power)
        assert cycles_before_lock(n, k, power, snr) == math.ceil(1 + k + math.log(400 * n, 1 + s)) + 2
    scene = RisLocalization(**(SMALL | {"scatterer_db": 10.0, "snr_db": (0.0, 10.0), "n_cycles": 40}))
    by_rule = scene.random_cycles(Method(estimator=OnGrid(), random_cycles=None))
    shares = [1 / (10 ** (-snr_db / 10) + 10) for snr_db in (0, 10)]
    assert by_rule == [math.ceil(2 + math.log(14_000, 1 + s)) + 2 for s in shares]
    assert scene.random_cycles(Method(estimator=OnGrid(), random_cycles=5)) == [5, 5]
    alone = RisLocalization(**(SMALL | {"n_scatterers": 0, "snr_db": (-7.0, 2.0, 11.0)}))
    shares = [10 ** (snr_db / 10) for snr_db in (-7, 2, 11)]
    by_rule = alone.random_cycles(Method(estimator=OnGrid(), random_cycles=None))
    assert by_rule == [math.ceil(1 + math.log(14_000, 1 + s)) + 2 for s in shares]


def test_operations_of_the_algorithm_as_printed() -> None:
    """Cycle by cycle and user by user, with the specification's 55 808 candidates, 2704 of them plane."""
    by_rule = Method(estimator=OnGrid(), random_cycles=None)
    for fields, random, size in (
        ({}, 13, 55_808), ({"methods": (Method(estimator=OnGrid(), random_cycles=1),)}, 1, 55_808),
        ({"methods": (by_rule,), "snr_db": (0.0, 30.0), "n_cycles": 30}, 26, 55_808),  # at the first ratio
        ({"model": "ff", "n_users": 3, "n_scatterers": 0}, 13, 2704),
        ({"methods": (Method(estimator=OnGrid(), phases="random"),), "n_cycles": 15}, 15, 55_808),
    ):  # fmt: skip
        scene = RisLocalization(**fields, unidentifiable=True)
        total = 0.0
        for cycle in range(1, scene.n_cycles + 1):
            if cycle > random:
                total += 60 * 1.5 * 10 * scene.n_users * 625
            if cycle >= random:
                for _ in range(scene.n_users):
                    total += 625 * cycle * size + (scene.n_scatterers + 2) * cycle * size
        assert scene.printed_operations() == pytest.approx(total, rel=1e-12)


def test_the_plane_wave_bound_of_each_user_level_and_count_of_cycles() -> None:
    """Bias² and variance at that noise, half the sum over both angles, trial by trial."""
    methods = (
        Method(estimator=OnGrid(), phases="random", name="hybrid"),
        Method(estimator=OnGrid(model="ff"), random_cycles=6, name="ff"),
        Method(estimator=NOMP.estimator, phases="random", name="NOMP"),
    )
    fields = SMALL | {
        "recorded_cycles": (7, 9),
        "methods": methods,
        "mismatched_bound": True,
        "snr_db": (0.0, 9.0, 30.0),
    }
    scene = RisLocalization(**fields)
    drawn = scene.draw(Streams(6, 0), 2)
    found = {name: values for name, (_, values, _) in scene.prepare(np)(drawn, intermediates=True).items()}
    assert found[NAME].shape == (2, 3, 3, 2, 2)  # trials, methods, levels, counts, users
    assert np.isnan(found[NAME][:, [0, 2]]).all()
    for trial, level, (r, count), user in (
        (t, v, c, u) for t in range(2) for v in range(3) for c in enumerate((7, 9)) for u in range(2)
    ):
        one = {
            "inverse_range_per_m": 1 / drawn.user_range_m[trial, user],
            "polar_rad": drawn.user_polar_rad[trial, user], "azimuth_rad": drawn.user_azimuth_rad[trial, user],
            "gain": np.exp(1j * drawn.user_phase_rad[trial, user]),
        }  # fmt: skip
        bound = plane_wave_bound(
            scene.surface(), found["beam"][trial, 1, level, None, :count],
            **{name: np.array([[value]]) for name, value in one.items()},
        )  # fmt: skip
        (bias,), (covariance,) = bound.bias_rad[0], bound.covariance_rad2[0]
        variance = 35 / 10 ** ((0.0, 9.0, 30.0)[level] / 10)
        total = bias[0] ** 2 + bias[1] ** 2 + variance * (covariance[0, 0] + covariance[1, 1])
        assert found[NAME][trial, 1, level, r, user] == pytest.approx(total / 2, rel=1e-6)


def test_a_dictionary_as_coarse_as_the_beam_is_the_coarsest() -> None:
    """Of 7 × 5 elements the longer side counts: λ/D, D between the outermost centres."""
    beam_rad = 299_792_458 / 20e9 / (6 * 0.005)
    RisLocalization(**(SMALL | {"angle_step_rad": beam_rad}))
    with pytest.raises(InputError, match="wider than the surface's beam"):
        RisLocalization(**SMALL).replace(angle_step_rad=beam_rad * (1 + 1e-12))


def test_who_has_parts_and_of_whom() -> None:
    """A method without a grid states no misjudgment and has none, whatever its errors are; users by their fields."""
    dims = ("realization", "estimator", "cycle", "user")
    random = np.random.default_rng(4)
    parts_ = "mismatch", "misjudgment", "error"
    names = [f"squared_{part}_{whole}" for whole in ("angle_rad2", "range_m2") for part in parts_]
    values = {name: random.random((6, 2, 3, 3)) for name in names}
    for name in values:
        if "error" not in name:
            values[name][:, 1] = np.nan
        if "range" in name:
            values[name][..., 1] = np.nan
    values["direction_error_beams"] = random.choice([0.2, 0.75, 0.76, 3.0], (6, 2, 3, 3))
    stored_ = xarray.Dataset(
        {name: (dims, array) for name, array in values.items()},
        {"estimator": ["grid", "free"], "cycle": [3, 5, 9], "user_field": ("user", ["near", "far", "near"])},
    )
    other = stored_.copy(data={name: 7 * array.values for name, array in stored_.items()})
    found = parts_of(
        xarray.concat([other, other, stored_], xarray.DataArray([5.0, 9.0, 15.0], dims="snr_db", name="snr_db"))
    )
    curves = [("angle", "far"), ("angle", "near"), ("range", "near")]
    assert [one[:4] for one in found] == [(*which, "grid", cycle) for which in curves for cycle in (3, 5, 9)]
    for one in found:
        users, level = ([1] if one.field == "far" else [0, 2]), [3, 5, 9].index(one.cycle)
        unit = "rad2" if one.quantity == "angle" else "m2"
        for part in parts_:
            expected = values[f"squared_{part}_{one.quantity}_{unit}"][:, 0, level][:, users]
            np.testing.assert_array_equal(getattr(one, part), expected)
        np.testing.assert_array_equal(one.found, values["direction_error_beams"][:, 0, level][:, users] < 0.755)
