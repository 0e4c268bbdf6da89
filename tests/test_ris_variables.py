"""Every stored variable of family B against plain loops: element by element, user by user, on surfaces of any shape."""

import cmath
import math
from typing import Any, ClassVar

import numpy as np
import pytest

from engine import InputError, Streams
from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem
from engine.estimators.paths.on_grid import OnGrid
from engine.estimators.paths.range_posterior import LEVELS
from scenarios.ris import RisLocalization, misjudgment
from scenarios.ris.localization import _ATTRIBUTES
from scenarios.ris.protocol import Method

Place = tuple[float, float, float]
N_Y, N_Z, CARRIER_HZ, SPACING_M = 8, 6, 17e9, 0.007
K = 2 * math.pi * CARRIER_HZ / 299_792_458
TOLD: list[Place] = [(4.0, 1.45, 0.12), (0.0, 1.62, -0.2)]
"""κ, θ, φ that are answered, whatever was seen: one near, one a plane wave."""
SCATTERER: Place = (1.2, 1.35, 0.3)
GAINS = [[0.9 + 0.2j, 0.3 - 0.1j], [-0.4 + 0.8j, 0.1 + 0.25j]]
LOST = [0.125, 0.5]
COVARIANCE = np.array([[[0.04, 2e-4, -1e-4], [2e-4, 3e-5, 1e-5], [-1e-4, 1e-5, 2e-5]],
                       [[0.3, -1e-4, 3e-4], [-1e-4, 5e-5, -2e-5], [3e-4, -2e-5, 6e-5]]])  # fmt: skip
NOISE_SHARE = 0.7
MEANS = [2.25, 1.5]
QUANTILES = [[0.9 + 2 * level**2 for level in LEVELS], [1.9 + 0.01 * level for level in LEVELS]]
"""Of κ at 2.5, 5, 10, …, 95, 97.5 %: one wide, one that hardly any truth is in."""


class Teller(PathEstimator):
    """Answers the same to everything, and what it believes the noise to be."""

    beams: ClassVar[list[np.ndarray]] = []

    def prepare(self, problem: PathProblem, xp: Any) -> "Teller":
        return self

    def begin(self) -> "Teller":
        return self

    def observe(self, cycles: Cycles) -> None:
        self.beams.append(cycles.noise_variance)

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        told = self.beams[-1]
        shape = told.shape

        def spread(values: Any) -> np.ndarray:
            array = np.asarray(values)
            return np.broadcast_to(array, (*shape, *array.shape)).copy()

        kappa, polar, azimuth = zip(*TOLD, strict=True)
        return PathEstimates(
            spread(kappa), spread(polar), spread(azimuth), spread([g[0] for g in GAINS]),
            spread([SCATTERER[0], np.nan]), spread([SCATTERER[1], np.nan]), spread([SCATTERER[2], np.nan]),
            spread([[g[1], 0.0] for g in GAINS]), spread(1.75), NOISE_SHARE * told, spread(LOST), spread(COVARIANCE),
            spread(MEANS), spread(QUANTILES),
        )  # fmt: skip


def scene(**fields: Any) -> RisLocalization:
    return RisLocalization(
        **({
            "elements_per_side": N_Y, "elements_upwards": N_Z, "carrier_hz": CARRIER_HZ, "spacing_m": SPACING_M,
            "range_min_m": 0.2, "range_max_m": 1.2, "n_users": 2, "n_scatterers": 1, "n_cycles": 9,
            "snr_db": (8.0, 20.0),
            "recorded_cycles": (7, 9), "subcarrier_hz": 0.0, "angle_step_rad": 0.1,
            "methods": (Method(estimator=Teller(), phases="random"),),
        } | fields)
    )  # fmt: skip


def lag(place: Place, y: float, z: float) -> float:
    """d_n − r in metres, by 1/r; also of κ = 0 and, for differences, below."""
    kappa, polar, azimuth = place
    t = y * math.sin(polar) * math.sin(azimuth) + z * math.cos(polar)
    squared = y * y + z * z
    return (kappa * squared - 2 * t) / (1 + math.sqrt(1 - 2 * kappa * t + kappa * kappa * squared))


def elements() -> list[tuple[float, float]]:
    return [((i - (N_Y - 1) / 2) * SPACING_M, (j - (N_Z - 1) / 2) * SPACING_M) for i in range(N_Y) for j in range(N_Z)]


def wave(place: Place) -> list[complex]:
    return [cmath.exp(-1j * K * lag(place, y, z)) for y, z in elements()]


def joint_bound(
    users: list[Place], scatterers: list[Place], gains: list[list[complex]], beams: np.ndarray, variance: float
) -> np.ndarray:
    """(L, 3, 3) of κ, θ, φ: the Fisher matrix by differences, inverted whole. gains[l][0] is the direct path's."""
    n_users, n_scatterers = len(users), len(scatterers)
    unknowns = [x for place in (*users, *scatterers) for x in place]
    unknowns += [part for row in gains for gain in row for part in (gain.real, gain.imag)]

    def expected(values: list[float]) -> np.ndarray:
        n_places = n_users + n_scatterers
        places = [tuple(values[3 * i : 3 * i + 3]) for i in range(n_places)]
        received = [beams @ np.array(wave(place)) for place in places]  # type: ignore[arg-type]
        rest = values[3 * n_places :]
        total = []
        for user in range(n_users):
            own = [
                complex(*rest[2 * i : 2 * i + 2])
                for i in range(user * (1 + n_scatterers), (user + 1) * (1 + n_scatterers))
            ]
            total.append(own[0] * received[user] + sum(g * received[n_users + k] for k, g in enumerate(own[1:])))
        return np.concatenate(total)

    columns = []
    for i in range(len(unknowns)):
        up, down = list(unknowns), list(unknowns)
        up[i] += 1e-5
        down[i] -= 1e-5
        columns.append((expected(up) - expected(down)) / 2e-5)
    slopes = np.stack(columns)
    covariance = np.linalg.inv(2 / variance * np.real(slopes.conj() @ slopes.T))
    return np.stack([covariance[3 * u : 3 * u + 3, 3 * u : 3 * u + 3] for u in range(n_users)])


def near_end(polar: float, azimuth: float) -> float:
    """Where a plane wave is wrong by π/8 at some element, by bisection."""
    low, high = 1e-3, 100.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        wrong = max(
            K * abs(lag((1 / middle, polar, azimuth), y, z) - lag((0.0, polar, azimuth), y, z)) for y, z in elements()
        )
        low, high = (middle, high) if wrong > math.pi / 8 else (low, middle)
    return low


@pytest.mark.parametrize("waves", ["spherical", "as_printed"])
def test_every_variable_in_plain_loops(waves: str) -> None:
    Teller.beams.clear()
    here = scene(waves=waves)
    drawn = here.draw(Streams(3, 0), 2)
    found = {name: values for name, (_, values, _) in here.prepare(np)(drawn, intermediates=True).items()}
    checked: set[str] = set()

    def equal(name: str, ours: Any, expected: Any, rtol: float = 1e-9) -> None:
        checked.add(name)
        np.testing.assert_allclose(ours, expected, rtol=rtol, atol=1e-12, err_msg=name)

    width_y, width_z = (299_792_458 / CARRIER_HZ / (n * SPACING_M) for n in (N_Y, N_Z))
    told_ends = [near_end(*place[1:]) for place in TOLD]
    for trial in range(2):
        truth, ranges = [], []
        for user in range(2):
            angles = float(drawn.user_polar_rad[trial, user]), float(drawn.user_azimuth_rad[trial, user])
            ranges.append(float(drawn.user_range_m[trial, user]))
            plane = waves == "as_printed" and user == 1
            truth.append((0.0 if plane else 1 / ranges[-1], *angles))
        scatterer = tuple(
            float(getattr(drawn, f"scatterer_{n}")[trial, 0]) for n in ("range_m", "polar_rad", "azimuth_rad")
        )
        gains = [
            [cmath.exp(1j * direct), 10**-0.5 * cmath.exp(1j * scattered)]
            for direct, (scattered,) in zip(drawn.user_phase_rad[trial], drawn.scatterer_phase_rad[trial], strict=True)
        ]  # fmt: skip
        for level, snr_db in enumerate((8.0, 20.0)):
            variance = N_Y * N_Z / 10 ** (snr_db / 10)
            for r, count in enumerate((7, 9)):
                beams = found["beam"][trial, 0, level, :count]
                bound = joint_bound(truth, [(1 / scatterer[0], *scatterer[1:])], gains, beams, variance)
                at = (trial, 0, level, r)
                equal("misfit", found["misfit"][at], 1.75)
                equal("scatterers_found", found["scatterers_found"][at], 1.0)
                for user, (kappa, polar, azimuth) in enumerate(TOLD):
                    value = {
                        name: array[(*at, user)]
                        for name, array in found.items()
                        if array.ndim > 4 and name in _ATTRIBUTES
                    }
                    range_m = min(max(1 / kappa if kappa else told_ends[user], 0.2), 1.2)
                    true_kappa, true_polar, true_azimuth = truth[user]
                    plane = true_kappa == 0
                    equal("estimate_range_m", value["estimate_range_m"], range_m)
                    equal("estimate_polar_rad", value["estimate_polar_rad"], polar)
                    equal("estimate_azimuth_rad", value["estimate_azimuth_rad"], azimuth)
                    error = [kappa - true_kappa, polar - true_polar, azimuth - true_azimuth]
                    equal(
                        "squared_error_angle_rad2",
                        value["squared_error_angle_rad2"],
                        (error[1] ** 2 + error[2] ** 2) / 2,
                    )
                    equal(
                        "squared_error_range_m2",
                        value["squared_error_range_m2"],
                        math.nan if plane else (range_m - ranges[user]) ** 2,
                    )
                    along = (
                        math.sin(polar) * math.sin(azimuth) - math.sin(true_polar) * math.sin(true_azimuth)
                    ) / width_y
                    upwards = (math.cos(polar) - math.cos(true_polar)) / width_z
                    equal("direction_error_beams", value["direction_error_beams"], math.hypot(along, upwards))
                    own = np.diag(bound[user])
                    equal("bound_angle_rad2", value["bound_angle_rad2"], (own[1] + own[2]) / 2, 1e-4)
                    by_range = math.inf if plane else own[0] * ranges[user] ** 4
                    equal("bound_range_m2", value["bound_range_m2"], by_range, 1e-4)
                    equal("normalised_error", value["normalised_error"], error / np.sqrt(own), 1e-4)
                    equal("stated_deviation", value["stated_deviation"], np.sqrt(np.diag(COVARIANCE[user])), 1e-4)
                    nees = np.array(error) @ np.linalg.solve(COVARIANCE[user], error) / 3
                    equal("nees", value["nees"], nees, 1e-3)
                    equal("lost_probability", value["lost_probability"], LOST[user])
                    equal("posterior_inverse_range_per_m", value["posterior_inverse_range_per_m"], MEANS[user])
                    knots = [1 / 1.2, *QUANTILES[user], 1 / 0.2]
                    levels = [0, 0.025, *(i / 20 for i in range(1, 20)), 0.975, 1]
                    rank = math.nan if plane else float(np.interp(true_kappa, knots, levels))
                    equal("rank_inverse_range", value["rank_inverse_range"], rank)
                    both = zip(wave(truth[user]), wave(TOLD[user]), strict=True)
                    overlap = sum(a * b.conjugate() for a, b in both) / (N_Y * N_Z)
                    equal("focusing_share", value["focusing_share"], abs(overlap) ** 2)
                    for part in misjudgment.ATTRIBUTES:  # of an estimator without a grid; tests/test_ris_printed.py
                        equal(part, value[part], math.nan)
                    equal("labelled_near", value["labelled_near"], float(kappa > 0 and 1 / kappa < told_ends[user]))
    assert checked == set(_ATTRIBUTES)
    assert {0.0, 1.0} == set(np.unique(found["labelled_near"]))


def test_what_an_estimator_on_a_grid_does_not_state_is_nan() -> None:
    here = scene(methods=(Method(estimator=OnGrid(angle_step_rad=0.2), phases="random"),))
    found = here.prepare(np)(here.draw(Streams(0, 0), 2))
    stated = "stated_deviation", "nees", "lost_probability", "posterior_inverse_range_per_m", "rank_inverse_range"
    for name in stated:
        assert np.isnan(found[name][1]).all()


def test_methods_may_seek_different_numbers_of_scatterers() -> None:
    """What fewer are sought for is filled up with NaN, and counted as not found."""
    one = Method(estimator=OnGrid(angle_step_rad=0.2), phases="random")
    levels = (8.0, 11.0, 14.0, 20.0)
    here = scene(methods=(Method(estimator=Teller(), phases="random"), one), recorded_cycles=(7, 8, 9), snr_db=levels)
    found = here.prepare(np)(here.draw(Streams(0, 0), 2), intermediates=True)
    polar = found["estimate_scatterer_polar_rad"][1]
    assert polar.shape == (2, 2, 4, 3, 2)  # trials, methods, noise levels, recorded cycles, scatterers
    assert np.isnan(polar[:, :, :, :, 1]).all()
    assert np.isfinite(polar[:, :, :, :, 0]).all()
    assert np.all(polar[:, 0, :, :, 0] == SCATTERER[1])
    assert np.all(found["scatterers_found"][1] == 1)
    assert [found[f"estimate_scatterer_{name}"][2] for name in ("inverse_range_per_m", "polar_rad", "azimuth_rad")] == [
        {"units": "1/m", "long_name": "inverse range of the scatterer, estimated"},
        {"units": "rad", "long_name": "polar angle of the scatterer, estimated"},
        {"units": "rad", "long_name": "azimuth of the scatterer, estimated"},
    ]


def test_a_surface_that_is_not_square() -> None:
    here = scene()
    assert (here.surface().n_y, here.surface().n_z) == (N_Y, N_Z)
    assert (scene(elements_upwards=None).surface().n_y, scene(elements_upwards=None).surface().n_z) == (N_Y, N_Y)
    assert here.noise_variance()[1] == pytest.approx(N_Y * N_Z / 100)
    with pytest.raises(Exception, match=r"wider than the surface's beam, λ/D = 0\.36"):
        scene(angle_step_rad=0.4)


def test_users_at_other_frequencies_are_refused_by_what_they_are_off() -> None:
    """The error stated is that of the waves, element by element, over the noise of all cycles."""
    here = scene(n_users=3, subcarrier_hz=1e6)
    polar, azimuth = math.pi / 3, math.pi / 6  # the corner of the view
    u_y, u_z = math.sin(math.pi / 2) * math.sin(azimuth), math.cos(polar)
    more = 2 * math.pi * 2 * 1e6 / 299_792_458
    phases = [more * (y * u_y + z * u_z) for y, z in elements()]
    expected = math.sqrt(sum(p * p for p in phases) / len(phases)) * math.sqrt(2 * 9 * 100)
    assert here.subcarrier_error() == pytest.approx(expected, rel=1e-9)
    most = 1e6 * 0.5 / expected
    scene(n_users=3, subcarrier_hz=most * 0.99)
    with pytest.raises(Exception, match="subcarrier_hz"):
        scene(n_users=3, subcarrier_hz=most * 1.01)
    printed = scene(n_users=3, subcarrier_hz=most, snr_definition="zero_phases")
    assert printed.subcarrier_error() > here.replace(subcarrier_hz=most).subcarrier_error()
    with pytest.raises(InputError, match="subcarrier_hz.* needed at most"):
        printed.prepare(np)
    assert scene(n_users=1, subcarrier_hz=1e9, users="near", n_scatterers=0).subcarrier_error() == 0
