"""Sensors where they stand: what plane waves cost, by a formula, by noiseless powers of our own, and in the sweep."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

import engine
from engine import InputError, Streams
from engine.estimators import LeastSquares
from scenarios.leakage import UserAtRange, sensors
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.plane_sensors import apparent_range_m, true_range_m
from scenarios.leakage.sensor_figures import errors_against_range, report, summary

_WAVELENGTH_M = 299_792_458 / 15e9
_X = (np.arange(100) - 49.5) * _WAVELENGTH_M / 2


def _amplitudes(d: float, phi: float, away: np.ndarray | None, theta: np.ndarray) -> np.ndarray:
    """|F_k| of a beam focused on (d, φ), (K,); waves toward the sensors plane if they stand nowhere."""
    turns = (np.sqrt(d**2 + _X**2 - 2 * d * _X * np.cos(phi)) - d) / _WAVELENGTH_M
    if away is None:
        there = -_X * np.cos(theta)[:, None]
    else:
        there = np.sqrt(away[:, None] ** 2 + _X**2 - 2 * away[:, None] * _X * np.cos(theta)[:, None]) - away[:, None]
    return np.abs(np.sum(np.exp(2j * np.pi * (there / _WAVELENGTH_M - turns)), axis=-1))


def _seems_to_be_at(d: float, seed: int) -> tuple[float, float]:
    """Where plane waves fit noiseless powers of a user at d best, by a search of its own, and where by the formula."""
    random = np.random.default_rng(seed)
    phi, away = random.uniform(0.8, 2.3), random.uniform(100, 150, 40)
    theta = np.arccos(np.clip(np.cos(phi) + random.uniform(-0.25, 0.25, 40), -0.9, 0.9))
    seen = _amplitudes(d, phi, away, theta)

    def misfit(place: np.ndarray) -> float:
        return float(np.sum((_amplitudes(place[0], place[1], None, theta) - seen) ** 2))

    starts = [np.array([d * stretch, phi]) for stretch in (1.0, 1.05, 1.1)]
    found = [scipy.optimize.minimize(misfit, start, method="Nelder-Mead", tol=1e-9) for start in starts]
    best = min(found, key=lambda one: one.fun)
    return float(best.x[0]), float(apparent_range_m(d, np.mean(1 / away)))


@pytest.mark.parametrize(("d", "bias_m"), [(4.0, 0.13), (8.0, 0.54), (12.0, 1.30)])
def test_plane_waves_put_a_user_too_far(d: float, bias_m: float) -> None:
    biases = []
    for seed in range(6):
        found, expected = _seems_to_be_at(d, seed)
        assert found - d == pytest.approx(expected - d, rel=0.12)  # sensors beside the user's direction
        biases.append(found - d)
    assert np.mean(biases) == pytest.approx(bias_m, rel=0.08)  # sensors of six draws
    assert np.mean(biases) != pytest.approx(d**2 / 150, rel=0.05)  # the test can fail


def test_the_mean_square_of_the_bias_is_what_docs_say() -> None:
    d = np.linspace(2, 12, 2001)
    inverse = np.log(1.5) / 50  # mean of 1/R, R uniform from 100 to 150 m
    squared = np.mean((apparent_range_m(d, inverse) - d) ** 2)
    assert squared == pytest.approx(0.39, abs=0.005)
    assert np.mean((d**2 * inverse) ** 2) == pytest.approx(0.33, abs=0.005)
    text = " ".join(Path(__file__).parents[1].joinpath("docs", "numbers.md").read_text().split())
    assert "1/(1/d − 1/R)" in text
    said = re.search(
        r"([\d.]+), ([\d.]+) and ([\d.]+) m at 4, 8 and 12 m; over 2 to 12 m its mean square is ([\d.]+) m²", text
    )
    assert said is not None
    biases = [apparent_range_m(d, inverse) - d for d in (4.0, 8.0, 12.0)]
    assert [float(number) for number in said.groups()] == pytest.approx([*biases, squared], abs=0.006)


def test_the_formula_goes_both_ways() -> None:
    d = np.array([2.0, 7.0, 12.0])
    assert true_range_m(apparent_range_m(d, 0.008), 0.008) == pytest.approx(d)
    assert np.array_equal(apparent_range_m(d, 0.0), d)


def test_the_sweep_shows_bias_floor_and_the_way_back(tmp_path: Path) -> None:
    few = sensors.replace(realizations=100, block=50, chunk=50, axes={"user_at_m": (4.0, 8.0)})
    results = engine.run(few, tmp_path / "s.zarr", serial=True)
    points = {(point.estimator.split()[0], point.user_m): point for point in summary(results)}
    for d in (4.0, 8.0):
        plane, exact = points["plane", d], points["sensors", d]
        assert plane.samples == exact.samples == 100
        assert plane.median == pytest.approx(plane.expected, rel=0.1)
        assert plane.half.low > 5 * plane.bound
        assert exact.half.value == pytest.approx(exact.bound, rel=0.4)
    table, doubts = report(results, summary(results))
    assert len(table.rows) == len(doubts.rows) == 4
    assert table.headings[-1] == "excluded"
    assert [row[-1] for row in table.rows] == ["0"] * 4
    figure = errors_against_range(results, summary(results))
    assert "excluded, not finite: none; in doubt by their own check: plane" in figure.get_suptitle()
    assert len(figure.axes) == 2


def test_the_bound_does_not_take_waves_as_plane() -> None:
    """The information at the user, by differences of the sums above."""
    scene = UserAtRange(leakage="two_sided", n_sensors=5, noise_dbm=(-85.0,), n_snapshots=(50,), user_at_m=6.0,
                        estimators=(LeastSquares(leakage="fresnel_closed"),), grid_ranges=5, grid_angles=5)  # fmt: skip
    drawn = scene.draw(Streams(1, 0), 3)
    assert np.all(drawn.user_range_m == 6.0)
    bound = scene.prepare(np)(drawn)["crb_range_m2"][1]
    from engine.numerics.noncentral_chi2 import information

    for b in range(3):
        gain = (_WAVELENGTH_M / (4 * np.pi * drawn.sensor_range_m[b])) ** 2
        sensor = drawn.sensor_range_m[b], drawn.sensor_angle_rad[b]

        def rho(d: float, phi: float, gain: np.ndarray = gain, sensor: tuple = sensor) -> np.ndarray:  # type: ignore[type-arg]
            return 2 * 10**10.8 * gain * _amplitudes(d, phi, *sensor) ** 2 / 100

        phi, step = drawn.user_angle_rad[b], 1e-5
        slopes = np.stack(
            [
                (rho(6 + step, phi) - rho(6 - step, phi)) / (2 * step),
                (rho(6, phi + step) - rho(6, phi - step)) / (2 * step),
            ]
        )
        matrix = 50 * (slopes * information(rho(6.0, phi))) @ slopes.T
        assert bound[b, 0, 0] == pytest.approx(np.linalg.inv(matrix)[0, 0], rel=1e-3)


def test_users_stand_where_estimators_look() -> None:
    with pytest.raises(InputError, match="user_at_m = 20: needed a range from 2 to 12 m"):
        UserAtRange().replace(user_at_m=20.0)


def test_networks_of_plane_waves_are_not_asked_of_sensors_at_their_ranges() -> None:
    from scenarios.leakage.estimation import WITH_LEARNED

    plane, exact = (LeakageEstimation(leakage=model, estimators=WITH_LEARNED) for model in ("spherical", "two_sided"))
    assert [plane.serves(one) for one in WITH_LEARNED] == [True] * 4
    assert [exact.serves(one) for one in WITH_LEARNED] == [True, True, True, False]
