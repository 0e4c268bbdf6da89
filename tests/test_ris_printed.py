"""The second paper's experiment as printed: its signal-to-noise ratio, and its parts of an error, in plain loops."""

import cmath
import math
from typing import Any

import numpy as np
import pytest

from engine import InputError, Streams
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.circle_manifold import optimise
from engine.numerics.cycle_bound import evaluate, objective_after, present_value
from engine.numerics.definite import diagonal, inverse
from engine.numerics.path_information import Paths, user_information, user_sensitivity, weak_prior
from scenarios.ris import Method, RisLocalization
from scenarios.ris.misjudgment import ATTRIBUTES

SMALL: dict[str, Any] = {
    "elements_per_side": 9, "elements_upwards": 7, "range_min_m": 0.15, "range_max_m": 3.0, "n_users": 3,
    "n_cycles": 8, "snr_db": (10.0, 20.0), "angle_step_rad": 0.06, "carrier_hz": 24e9,
}  # fmt: skip
K = 2 * math.pi * 24e9 / 299_792_458


def scene(**fields: Any) -> RisLocalization:
    return RisLocalization(**(SMALL | {"methods": (Method(estimator=OnGrid(), phases="random"),)} | fields))


def zero_phases(range_m: float, polar: float, azimuth: float, plane: bool) -> float:
    """|Σ_n h_RB,n a_n|² over N, element by element."""
    u = math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)
    total = 0j
    for i in range(9):
        for j in range(7):
            y, z = (i - 4) * 0.005, (j - 3) * 0.005
            lag = -(y * u[1] + z * u[2]) if plane else math.dist([range_m * x for x in u], (0, y, z)) - range_m
            total += cmath.exp(-1j * K * (lag + math.dist((3, -4, 1), (0, y, z))))
    return abs(total) ** 2 / 63


@pytest.mark.parametrize("waves", ["spherical", "as_printed"])
def test_noise_follows_the_direct_paths_with_all_phases_zero(waves: str) -> None:
    printed = scene(snr_definition="zero_phases", waves=waves)
    drawn = printed.draw(Streams(4, 0), 3)
    found = printed.prepare(np)(drawn, intermediates=True)
    power = found["zero_phases_power"][1]
    paths = printed.paths(drawn, np)
    channels = printed.cascade().from_users(paths)
    for trial in range(3):
        expected = [
            zero_phases(*(float(part[trial, user]) for part in drawn[:3]), waves == "as_printed" and user == 1)
            for user in range(3)
        ]
        np.testing.assert_allclose(power[trial], expected, rtol=1e-9)
        variance = printed.noise_variances(power, np)[trial]
        np.testing.assert_allclose(variance, [63 * np.mean(expected) / 10, 63 * np.mean(expected) / 100], rtol=1e-9)
    # What the scenario stores is what noise of that power gives: bounds scale with it, and nothing else changes.
    mean = scene(waves=waves)
    assert np.array_equal(mean.draw(Streams(4, 0), 3).user_range_m, drawn.user_range_m)
    plain = mean.prepare(np)(drawn)
    ratio = found["bound_angle_rad2"][1] / plain["bound_angle_rad2"][1]
    np.testing.assert_allclose(ratio, np.broadcast_to(power.mean(axis=1)[:, None, None, None, None], ratio.shape))
    assert np.array_equal(plain["zero_phases_power"][1], power)
    assert channels.shape == (3, 3, 63)


def test_a_typical_signal_to_noise_ratio_sets_random_cycles_and_the_subcarrier() -> None:
    printed = scene(snr_definition="zero_phases")
    drawn = printed.draw(Streams(9, 0), 400)
    medians = []
    for trial in range(400):
        places = [[float(part[trial, user]) for part in drawn[:3]] for user in range(3)]
        medians.append(np.mean([zero_phases(*place, False) for place in places]))
    expected = -10 * math.log10(np.median(medians))
    shift = printed.mean_snr_db() - np.array([10.0, 20.0])
    # Of 400 and of 512 realizations whose logarithms are spread by some 8 dB, the medians differ by 0.7 dB.
    np.testing.assert_allclose(shift, expected, atol=4 * 1.25 * 8 * math.sqrt(1 / 400 + 1 / 512))
    assert expected > 3
    method = Method(estimator=OnGrid(), random_cycles=None)
    assert printed.random_cycles(method)[0] <= scene().random_cycles(method)[0]
    assert printed.subcarrier_error() == pytest.approx(scene().subcarrier_error() * 10 ** (shift[0] / 20))
    with pytest.raises(InputError, match=r"snr_elements = 625, snr_definition = 'zero_phases': needed one of"):
        printed.replace(snr_elements=625)
    assert "all phases zero" in printed.coordinates()["snr_db"][2]["long_name"]
    assert scene().coordinates()["snr_db"][2]["long_name"] == "mean signal-to-noise ratio"


def cells(low: float, high: float, step: float) -> list[float]:
    count = max(1, round((high - low) / step))
    return [low + (high - low) * (i + 0.5) / count for i in range(count)]


@pytest.mark.parametrize("waves", ["spherical", "as_printed"])
def test_an_error_on_a_grid_is_mismatch_and_misjudgment(waves: str) -> None:
    """Next places by a search of all candidates; the estimates are places of the grid, so both parts add up."""
    methods = tuple(
        Method(estimator=estimator, phases="random", name=name)
        for name, estimator in (
            ("hybrid", OnGrid()), ("nf", OnGrid(model="nf")), ("ff", OnGrid(model="ff")),
            ("coarse AML", ApproximateML(angle_step_rad=0.1, range_step_m=0.5)), ("NOMP", NewtonisedPursuit()),
        )
    )  # fmt: skip
    here = scene(methods=methods, range_step_m=0.2, recorded_cycles=(6, 8), unidentifiable=True, waves=waves)
    drawn = here.draw(Streams(1, 0), 4)
    found = {name: values for name, (_, values, _) in here.prepare(np)(drawn).items()}
    ranges = [0.15 + 0.2 * i for i in range(15)]
    for m, (step, has_range) in enumerate(((0.06, True), (0.06, True), (0.06, False), (0.1, True))):
        polars, azimuths = cells(math.pi / 3, 2 * math.pi / 3, step), cells(-math.pi / 6, math.pi / 6, step)
        candidates = [0.15 + 0.5 * i for i in range(6)] if m == 3 else ranges
        for trial, user in np.ndindex(4, 3):
            range_m, polar, azimuth = (float(part[trial, user]) for part in drawn[:3])
            next_polar = min(polars, key=lambda value: abs(value - polar))
            next_azimuth = min(azimuths, key=lambda value: abs(value - azimuth))
            allowed = candidates
            if m == 0:  # the hybrid's spherical waves are those of the near field in their direction
                grid = methods[0].estimator.lattice(here.problem())
                assert grid is not None
                row = grid.allowed[polars.index(next_polar), azimuths.index(next_azimuth), 1:]
                allowed = [value for value, inside in zip(candidates, row, strict=True) if inside]
            next_range = min(allowed, key=lambda value: abs(value - range_m))
            mismatch = ((next_polar - polar) ** 2 + (next_azimuth - azimuth) ** 2) / 2
            for level, r in np.ndindex(2, 2):
                at = (trial, m, level, r, user)
                np.testing.assert_allclose(found["squared_mismatch_angle_rad2"][at], mismatch, rtol=1e-9)
                estimate = found["estimate_polar_rad"][at], found["estimate_azimuth_rad"][at]
                judged = ((estimate[0] - next_polar) ** 2 + (estimate[1] - next_azimuth) ** 2) / 2
                np.testing.assert_allclose(found["squared_misjudgment_angle_rad2"][at], judged, rtol=1e-9, atol=1e-25)
                parts = math.sqrt(mismatch) + math.sqrt(judged)
                assert math.sqrt(found["squared_error_angle_rad2"][at]) <= parts * (1 + 1e-9)  # Eq. (49)
                ours = found["squared_mismatch_range_m2"][at], found["squared_misjudgment_range_m2"][at]
                if not has_range or (waves == "as_printed" and user == 1):
                    assert np.isnan(ours).all()
                else:
                    apart = (found["estimate_range_m"][at] - next_range) ** 2
                    np.testing.assert_allclose(ours, ((range_m - next_range) ** 2, apart), rtol=1e-9, atol=1e-25)
    assert all(np.isnan(found[name][:, 4]).all() for name in ATTRIBUTES)
    assert (found["squared_misjudgment_angle_rad2"][:, :4] < 1e-20).any()
    assert (found["squared_misjudgment_angle_rad2"][:, :4] > 1e-4).any()


def test_phases_are_optimised_after_one_cycle_at_any_ratio() -> None:
    """Rounding hides a weak prior behind what one cycle tells; then a little is known of every parameter."""
    rng = np.random.default_rng(0)
    surface = scene().surface()
    places = rng.uniform([0.5, 1.2, -0.4], [2.0, 1.9, 0.4], (6, 2, 3)).transpose(2, 0, 1)
    none = np.zeros((6, 0))
    gains = np.exp(2j * np.pi * rng.random((6, 2)))
    paths = Paths(*places, gains, none, none, none, np.zeros((6, 2, 0), dtype=complex))
    beams = np.exp(2j * np.pi * rng.random((6, 8, 63)))
    prior = weak_prior(gains)
    for n_cycles, snr_db in ((1, 140.0), (2, 140.0), (8, 20.0)):
        variance = np.full(6, 63 / 10 ** (snr_db / 10))
        f = objective_after(surface, paths, beams[:, :n_cycles], variance, weighting="unit", prior=prior)
        # The same matrices with more digits: long doubles, by elimination in plain loops.
        information = user_information(user_sensitivity(surface, paths), beams[:, :n_cycles], variance, prior=prior)
        hidden = ~np.isfinite(inverse(information, diagonal(information))[..., 0, 0])
        assert hidden.all() if n_cycles < 3 else not hidden.any()
        for trial, user in np.ndindex(6, 2):
            matrix = information[trial, user].astype(np.longdouble)
            if hidden[trial, user]:
                matrix = matrix + np.diag(np.longdouble(1e-8) * np.diag(matrix))
            expected = inverted(matrix)
            np.testing.assert_allclose(f.covariance[trial, user], expected.astype(float), rtol=1e-4, atol=1e-12)
        found = optimise(f, beams[:, -1] * 1j)
        value, _ = evaluate(f, found.beam)
        assert np.all(np.isfinite(value))
        assert np.all(value < present_value(f))


def inverted(matrix: np.ndarray) -> np.ndarray:
    """By Gauss and Jordan, with the pivots in their order."""
    n = matrix.shape[0]
    work = np.concatenate([matrix, np.eye(n, dtype=np.longdouble)], axis=1)
    for i in range(n):
        work[i] = work[i] / work[i, i]
        for j in range(n):
            if j != i:
                work[j] = work[j] - work[j, i] * work[i]
    return work[:, n:]
