"""What of the prior peaks and cells hold, against sums over the view; and who is lost, where ranges are hardly told."""

import math

import numpy as np
import pytest
from test_path_strengths import waves_of

from engine.estimators.paths import Cycles, PathProblem
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.peak_integrals import _shares
from engine.estimators.paths.prior_mass import of_cells, of_peaks, points_of_lobes
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 28e9
SURFACE = UniformPlanarArray(12, 12, 0.467 * WAVELENGTH_M, WAVELENGTH_M)
LAB = FieldOfView(math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6, 0.115, 2.3)
TALL = UniformPlanarArray(9, 20, 0.4 * WAVELENGTH_M, WAVELENGTH_M)
WIDE = FieldOfView(math.pi / 6, 5 * math.pi / 6, -math.pi / 3, math.pi / 3, 0.3, 4.0)
SETTINGS = [(SURFACE, LAB), (TALL, WIDE)]
SHARE = 0.05  # of its power, which a wave loses a step of inverse range away


def in_beams(surface: UniformPlanarArray, polar: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spacing = surface.spacing_m / surface.wavelength_m
    return np.sin(polar) * np.sin(azimuth) * surface.n_y * spacing, np.cos(polar) * surface.n_z * spacing


@pytest.mark.parametrize(("surface", "view"), SETTINGS, ids=["lab", "tall and wide"])
def test_a_peak_holds_what_a_sum_over_the_view_says(surface: UniformPlanarArray, view: FieldOfView) -> None:
    """Inside, at the edges and beyond; near, far, and where the lobe reaches from one to the other."""
    pursuit = ClosedLoop().search.pursuit(PathProblem(surface, view, 1, 0), np)
    step = pursuit.range_step_per_m
    middle = (view.polar_min_rad + view.polar_max_rad) / 2
    for kappa, polar, azimuth, height in (
        (0.7 / view.range_min_m, middle, 0.1, 30.0),
        (0.0, middle - 0.2, -0.2, 12.0),
        (1 / view.range_min_m + 0.5 * step, middle, 0.0, 20.0),
        (2 * step, view.polar_min_rad + 0.02, 0.3, 15.0),
        (0.0, middle, 0.0, 3.0),
        (0.5 / view.range_min_m, view.polar_max_rad + 0.01, view.azimuth_max_rad - 0.02, 40.0),
    ):
        polars = np.linspace(max(view.polar_min_rad, polar - 0.5), min(view.polar_max_rad, polar + 0.5), 502)
        azimuths = np.linspace(max(view.azimuth_min_rad, azimuth - 0.5), min(view.azimuth_max_rad, azimuth + 0.5), 502)
        polars, azimuths = ((part[1:] + part[:-1]) / 2 for part in (polars, azimuths))
        y, z = in_beams(surface, polars[:, None], azimuths[None, :])
        here_y, here_z = in_beams(surface, np.array(polar), np.array(azimuth))
        lobe = np.exp(-height * math.pi**2 / 3 * ((y - here_y) ** 2 + (z - here_z) ** 2))
        ranges = np.linspace(view.range_min_m, view.range_max_m, 20_001)
        along = np.exp(-height * SHARE * ((1 / ranges - kappa) / step) ** 2)
        wanted = lobe.sum() * (polars[1] - polars[0]) * (azimuths[1] - azimuths[0]) * np.trapezoid(along, ranges)
        ours = of_peaks(pursuit, np.array([[kappa, polar, azimuth]]), np.array([height]))[0]
        assert ours == pytest.approx(wanted, rel=0.12 if view is LAB else 0.2)


@pytest.mark.parametrize(("surface", "view"), SETTINGS, ids=["lab", "tall and wide"])
def test_points_of_a_lobe_have_the_density_that_they_say(surface: UniformPlanarArray, view: FieldOfView) -> None:
    """So weighted, they sum to the lobe's own mass, far from every edge; and to means of r."""
    pursuit = ClosedLoop().search.pursuit(PathProblem(surface, view, 1, 0), np)
    step, rng = pursuit.range_step_per_m, np.random.default_rng(1)
    shares = np.concatenate([rng.random((20_000, 1)), rng.standard_normal((20_000, 2))], axis=1)
    place = np.array([[0.4 / view.range_min_m, (view.polar_min_rad + view.polar_max_rad) / 2, 0.05]])
    points, log_density = points_of_lobes(pursuit, place, np.array([20.0]), shares)
    assert np.all(points[..., 0] >= 1 / view.range_max_m)
    assert np.all(points[..., 0] <= 1 / view.range_min_m)
    lobe = -30 * SHARE * ((points[..., 0] - place[0, 0]) / step) ** 2
    y, z = in_beams(surface, points[..., 1], points[..., 2])
    here_y, here_z = in_beams(surface, place[:, 1], place[:, 2])
    lobe = lobe - 30 * math.pi**2 / 3 * ((y - here_y) ** 2 + (z - here_z) ** 2)
    wanted = of_peaks(pursuit, place, np.array([30.0]))[0]
    weight = np.exp(lobe - log_density)
    assert weight.mean() == pytest.approx(wanted, rel=0.05)
    ranges = np.linspace(view.range_min_m, view.range_max_m, 20_001)
    along = np.exp(-30 * SHARE * ((1 / ranges - place[0, 0]) / step) ** 2)
    assert np.sum(weight / points[..., 0]) / weight.sum() == pytest.approx((along @ ranges) / along.sum(), rel=0.05)


@pytest.mark.parametrize(("surface", "view"), SETTINGS, ids=["lab", "tall and wide"])
def test_points_of_a_lobe_lie_as_its_mass_does(surface: UniformPlanarArray, view: FieldOfView) -> None:
    """So that all weigh about the same, at either end of the ranges and between; each as far off as its shares say."""
    pursuit = ClosedLoop().search.pursuit(PathProblem(surface, view, 1, 0), np)
    step, rng = pursuit.range_step_per_m, np.random.default_rng(1)
    shares = np.concatenate([rng.random((2000, 1)), rng.standard_normal((2000, 2))], axis=1)
    shares[:2, 0], shares[:2, 1:] = (0, 1), 0
    kappas = np.array([0, 2 * step, 0.5 / view.range_min_m, 1 / view.range_min_m + 0.3 * step])
    height, middle = np.array([9.0, 40.0, 14.0, 25.0]), (view.polar_min_rad + view.polar_max_rad) / 2
    places = np.stack([kappas, np.full(4, middle), np.full(4, 0.05)], axis=-1)
    points, log_density = points_of_lobes(pursuit, places, height, shares)
    y, z = in_beams(surface, points[..., 1], points[..., 2])
    here_y, here_z = in_beams(surface, places[:, None, 1], places[:, None, 2])
    across = math.pi**2 / 3 * ((y - here_y) ** 2 + (z - here_z) ** 2)
    lobe = -height[:, None] * (across + SHARE * ((points[..., 0] - kappas[:, None]) / step) ** 2)
    weight = np.exp(lobe - log_density)
    assert np.all(weight.std(axis=1) < 0.15 * weight.mean(axis=1))
    np.testing.assert_allclose(weight.mean(axis=1), of_peaks(pursuit, places, height), rtol=0.01)
    np.testing.assert_array_equal(np.sign(points[..., 1:] - places[:, None, 1:])[:, 2:], [np.sign(shares[2:, 1:])] * 4)
    kappa = points[:, shares[:, 0].argsort(), 0]
    assert np.all(np.diff(kappa, axis=1) > 0)
    np.testing.assert_allclose(kappa[:3, 0], 1 / view.range_max_m)
    np.testing.assert_allclose(kappa[3, -1], 1 / view.range_min_m)


@pytest.mark.parametrize(("surface", "view"), SETTINGS, ids=["lab", "tall and wide"])
def test_a_peak_beyond_the_view_holds_a_little(surface: UniformPlanarArray, view: FieldOfView) -> None:
    """However sharp it is: a number of which the logarithm is one."""
    pursuit = ClosedLoop().search.pursuit(PathProblem(surface, view, 1, 0), np)
    inside = 0.5 / view.range_min_m, (view.polar_min_rad + view.polar_max_rad) / 2, 0.05
    places = np.array([inside] * 7)
    places[1:3, 0] = 0, 3 / view.range_min_m
    places[3:5, 1] = 0.01, math.pi - 0.01
    places[5:, 2] = -1.5, 1.5
    broad, sharp = (of_peaks(pursuit, places, np.full(7, height)) for height in (10.0, 1e6))
    assert np.all(broad > 0)
    assert np.all(sharp > 0)
    assert np.all(sharp[1:] < 1e-3 * sharp[0])


def test_shares_fill_the_unit_cube() -> None:
    """The fixed points: a narrower lobe, and one that leans along the range, sum to what they hold."""
    shares = _shares()
    assert shares.shape == (96, 3)  # what they cost
    assert shares[:, 0].mean() == pytest.approx(0.5, abs=1e-12)
    across = np.exp(-np.sum(shares[:, 1:] ** 2, axis=1) * 1.25 / 2)
    assert across.mean() * 2.25 == pytest.approx(1, abs=0.06)
    along = np.exp(3 * shares[:, 0])
    assert (across * along).mean() * 2.25 == pytest.approx((math.exp(3) - 1) / 3, rel=0.08)
    np.testing.assert_allclose(shares[:, 1:].mean(axis=0), 0, atol=1e-12)
    third = np.floor(shares[:, 0] * 3) * 4 + (shares[:, 1] > 0) * 2 + (shares[:, 2] > 0)
    assert np.bincount(third.astype(int), minlength=12).min() >= 5  # 8 each


@pytest.mark.parametrize("on_problem_grid", [False, True])
@pytest.mark.parametrize(("surface", "view"), SETTINGS, ids=["lab", "tall and wide"])
def test_cells_hold_the_whole_prior_between_them(
    surface: UniformPlanarArray, view: FieldOfView, on_problem_grid: bool
) -> None:
    """Each what lies nearer to its κ than to any other in its direction, by a loop; some levels are missing in some."""
    problem = PathProblem(surface, view, 1, 0, angle_step_rad=0.12, range_step_m=0.15)
    pursuit = NewtonisedPursuit(on_problem_grid=on_problem_grid).pursuit(problem, np)
    found, places = of_cells(pursuit), pursuit.all_places
    whole = (view.polar_max_rad - view.polar_min_rad) * (view.azimuth_max_rad - view.azimuth_min_rad)
    assert found.sum() == pytest.approx(whole * (view.range_max_m - view.range_min_m), rel=1e-12)
    directions = np.unique(places[:, 1:], axis=0)
    counts = set()
    for direction in directions[:: max(1, len(directions) // 40)]:
        (here,) = np.nonzero(np.all(places[:, 1:] == direction, axis=1))
        counts.add(len(here))
        ranges = np.linspace(view.range_min_m, view.range_max_m, 40_001)
        nearest = np.abs(1 / ranges[:, None] - places[here, 0]).argmin(axis=1)
        metres = np.bincount(nearest, minlength=len(here)) / len(ranges) * (view.range_max_m - view.range_min_m)
        np.testing.assert_allclose(found[here] / whole * len(directions), metres, atol=2e-3)
    assert (len(counts) > 1) == (on_problem_grid and surface is TALL)


def lattice(view: FieldOfView) -> tuple[np.ndarray, ...]:
    """κ, θ, φ and metres of cells, (M,) each: 0.2 beams, and 22 steps of κ, each at its mean."""
    n = 30
    polars, azimuths = (
        low + (np.arange(n) + 0.5) / n * (high - low)
        for low, high in ((view.polar_min_rad, view.polar_max_rad), (view.azimuth_min_rad, view.azimuth_max_rad))
    )
    edges = np.linspace(1 / view.range_max_m, 1 / view.range_min_m, 23)
    metres = 1 / edges[:-1] - 1 / edges[1:]
    kappas = np.log(edges[1:] / edges[:-1]) / metres
    parts = np.meshgrid(kappas, polars, azimuths, indexing="ij")
    return *(part.ravel() for part in parts), np.repeat(metres, n * n)


def test_as_many_are_lost_as_a_lattice_says_where_the_surface_hardly_tells_ranges() -> None:
    """The view of 25 × 25 elements from 0.5 to 10 m, on a smaller one: a lobe reaches from 0.2 m to the view's end."""
    rng = np.random.default_rng(3)
    n, n_cycles, variance = 100, 17, 144 / 10**-0.1
    kappa, polar, azimuth, metres = lattice(LAB)
    dictionary = waves_of(SURFACE, 1 / kappa, polar, azimuth)
    range_m, true_polar, true_azimuth = (
        rng.uniform(*ends, n) for ends in ((0.115, 2.3), (math.pi / 3, 2 * math.pi / 3), (-math.pi / 6, math.pi / 6))
    )
    gain = 1.3 * np.sqrt(rng.random(n)) * np.exp(2j * np.pi * rng.random(n))  # anything, in equal areas
    beams = np.exp(2j * np.pi * rng.random((n, n_cycles, 144)))
    noise = rng.normal(size=(2, n, n_cycles)) * math.sqrt(variance / 2)
    seen = waves_of(SURFACE, range_m, true_polar, true_azimuth)
    samples = gain[:, None] * (beams @ seen[..., None])[..., 0] + noise[0] + 1j * noise[1]
    observer = ClosedLoop().prepare(PathProblem(SURFACE, LAB, 1, 0), np).begin()
    observer.observe(Cycles(beams, samples[:, None, :, None], np.full((n, 1), variance)))
    estimate = observer.estimate()
    chance = estimate.lost_probability[:, 0, 0]
    found = np.stack(in_beams(SURFACE, estimate.polar_rad[:, 0, 0], estimate.azimuth_rad[:, 0, 0]), axis=-1)
    directions = np.stack(in_beams(SURFACE, polar, azimuth), axis=-1)
    exact = np.zeros(n)
    for i in range(n):
        received = beams[i] @ dictionary.T
        sharp = np.sum(np.abs(received) ** 2, axis=0) / variance
        height = (np.abs(samples[i].conj() @ received) / variance) ** 2 / sharp
        mass = np.exp(height - height.max()) / sharp * metres
        exact[i] = mass @ (np.linalg.norm(directions - found[i], axis=-1) > 0.75) / mass.sum()
    assert exact.sum() > 10
    assert chance.sum() == pytest.approx(exact.sum(), rel=0.05)
    assert np.abs(chance - exact).mean() < 0.02
    lost = np.linalg.norm(np.stack(in_beams(SURFACE, true_polar, true_azimuth), axis=-1) - found, axis=-1) > 0.75
    assert abs(lost.sum() - exact.sum()) < 4 * math.sqrt(np.sum(exact * (1 - exact)))
