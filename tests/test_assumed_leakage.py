"""What a report says of estimators whose leakage did not make the powers, against plain sums."""

import math

import numpy as np
import pytest
from scipy.special import fresnel

from engine import Streams, Sweep, run
from engine.estimators import LeastSquares, PosteriorMean
from scenarios.leakage import LeakageEstimation
from scenarios.leakage.assumed import assumptions
from scenarios.leakage.figures import errors_against_noise
from scenarios.leakage.rows import summary

SCENE = LeakageEstimation(
    leakage="spherical", n_elements=24, carrier_hz=6e9, user_range_max_m=30.0, n_sensors=4, noise_dbm=(-70.0, -90.0),
    n_snapshots=(1, 9), grid_ranges=10, grid_angles=12, exact_limit=False,
    estimators=(LeastSquares(leakage="fresnel_closed"), PosteriorMean(leakage="spherical")),
)  # fmt: skip


def plain(scene: LeakageEstimation) -> tuple[float, float]:
    """Relative L2 difference of expected powers, and the median user's deviations, user by user."""
    drawn, array = scene.draw_geometry(Streams(0, 0), 200), scene.array()
    k, n = 2 * math.pi / array.wavelength_m, array.n_elements
    x = (np.arange(n) - (n - 1) / 2) * array.spacing_m
    apart, power, users = 0.0, 0.0, []
    for d, phi, ranges_m, angles_rad in zip(*drawn, strict=True):
        distances = np.hypot(d * math.sin(phi), d * math.cos(phi) - x)
        squares = 0.0
        for r, theta in zip(ranges_m, angles_rad, strict=True):
            gain = (array.wavelength_m / (4 * math.pi * r)) ** 2
            made = gain * abs(np.sum(np.exp(1j * k * (x * math.cos(theta) + distances)))) ** 2 / n
            half = n * array.spacing_m / 2 * math.sin(phi) * math.sqrt(2 / (array.wavelength_m * d))
            centre = (math.cos(theta) - math.cos(phi)) / math.sin(phi) * math.sqrt(2 * d / array.wavelength_m)
            (s_low, c_low), (s_high, c_high) = fresnel(half - centre), fresnel(half + centre)
            assumed = gain * n / (4 * half**2) * ((c_low + c_high) ** 2 + (s_low + s_high) ** 2)
            apart, power = apart + (made - assumed) ** 2, power + made**2
            snr = 10 ** ((23 + 90) / 10)
            squares += (math.sqrt(2 * snr * 9 * made) - math.sqrt(2 * snr * 9 * assumed)) ** 2
        users.append(math.sqrt(squares / 4))
    return math.sqrt(apart / power), float(np.median(users))


def test_how_far_off_the_assumed_leakage_is(tmp_path: object) -> None:
    (table,) = assumptions(run(Sweep(SCENE, realizations=2, block=2), f"{tmp_path}/a.zarr", serial=True))
    relative, deviations = plain(SCENE)
    assert table.rows == [("least squares", "fresnel_closed", f"{100 * relative:.2g} %", f"{deviations:.2g}")]
    assert "than spherical" in table.title
    assert "-90 dBm, L = 9" in table.title


@pytest.mark.parametrize(
    ("axes", "leakage"),
    [({}, "fresnel_closed"), ({"n_elements": (16, 24)}, "spherical")],
    ids=["known", "of many arrays"],
)
def test_nothing_is_said_where_it_is_known_or_the_scene_varies(
    tmp_path: object, axes: dict[str, tuple[int, ...]], leakage: str
) -> None:
    scene = SCENE.replace(leakage=leakage, estimators=(LeastSquares(leakage="fresnel_closed"),))
    assert assumptions(run(Sweep(scene, axes, realizations=2, block=2), f"{tmp_path}/a.zarr", serial=True)) == []


@pytest.mark.parametrize("squares", [True, False])
def test_a_figure_names_the_grid_of_those_who_search_it(tmp_path: object, squares: bool) -> None:
    estimators = (*SCENE.estimators[:1], PosteriorMean()) if squares else (PosteriorMean(),)
    sweep = Sweep(SCENE.replace(estimators=estimators), {"n_sensors": (4, 6)}, realizations=2, block=2)
    results = run(sweep, f"{tmp_path}/a.zarr", serial=True)
    words = " ".join(text.get_text() for text in errors_against_noise(results, summary(results)).texts)
    assert "data: spherical" in words
    assert ("least squares on 10 × 12 candidates" in words) == squares
