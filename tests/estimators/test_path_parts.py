"""Parts of path estimation by hand and by plain loops: peaks, bounds of fits, misfits, a lone user mistaken."""

import math

import numpy as np
import pytest
from ris_trials import SURFACE, trials
from scipy.stats import norm
from test_closed_loop import estimate

from engine.estimators.paths.alternatives import between_explanations
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.confidence import _mistaken, lost_probability
from engine.estimators.paths.fit_bounds import cell_in_beams, fit_bounds
from engine.estimators.paths.lattice_peaks import highest_peaks_of_arrays
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired, stated_of
from engine.estimators.paths.on_grid import OnGrid, _misfit
from engine.estimators.paths.prior_mass import tail
from engine.estimators.paths.spread import spread
from engine.estimators.paths.trials import trials_of
from engine.numerics.candidates import CandidateGrid, FieldOfView
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.lattice_peaks_cpu import highest_peaks
from engine.numerics.resolution import inverse_range_step_per_m
from engine.numerics.wavefront import wave

SMALL = UniformPlanarArray(11, 13, SURFACE.spacing_m, SURFACE.wavelength_m)


def test_the_highest_peaks_of_a_lattice_in_a_loop() -> None:
    """On arrays and compiled; places of the lattice that no candidate has are no neighbours; too few peaks give 0."""
    random, lattice = np.random.default_rng(2), (4, 5, 3)
    for missing in (0, 17):
        number = np.arange(60)
        number[random.permutation(60)[:missing]] = -1
        position = np.flatnonzero(number >= 0)
        number[position] = np.arange(len(position))
        scores = np.round(random.random((6, 2, len(position))), 1)  # of which many are equal
        on_lattice = number.reshape(lattice)
        expected, values = np.zeros((6, 2, 9), dtype=int), np.zeros((6, 2, 9))
        for a, b in np.ndindex(6, 2):
            peaks = []
            for place in np.ndindex(lattice):
                m = on_lattice[place]
                around = []
                for axis in range(3):
                    for step in (-1, 1):
                        beside = list(place)
                        beside[axis] += step
                        if 0 <= beside[axis] < lattice[axis] and on_lattice[tuple(beside)] >= 0:
                            around.append((step, scores[a, b, on_lattice[tuple(beside)]]))
                if m >= 0 and all(scores[a, b, m] > s if step < 0 else scores[a, b, m] >= s for step, s in around):
                    peaks.append((-scores[a, b, m], m))
            for rank, (score, m) in enumerate(sorted(peak for peak in peaks if peak[0] < 0)[:9]):
                expected[a, b, rank], values[a, b, rank] = m, -score
        mine = highest_peaks_of_arrays(np, scores, lattice, None if missing == 0 else position, 9)
        fast = highest_peaks(scores, on_lattice, 9)
        np.testing.assert_array_equal(mine[1], values)
        np.testing.assert_array_equal(fast[1], values)
        np.testing.assert_array_equal(np.where(values > 0, mine[0], 0), expected)
        np.testing.assert_array_equal(fast[0], expected)


def test_a_fit_may_go_six_tenths_of_a_beam_beyond_the_view() -> None:
    surface = UniformPlanarArray(n_y=16, n_z=10, spacing_m=0.005, wavelength_m=0.0125)
    beam_y, beam_z = 0.0125 / (16 * 0.005), 0.0125 / (10 * 0.005)
    low, high = fit_bounds(surface, FieldOfView(0.8, 1.9, -0.7, 0.3, 0.4, 9.0))
    assert low[0] == 0.0
    assert high[0] == pytest.approx(2.5 + inverse_range_step_per_m(surface, 0.05))
    assert low[1] == pytest.approx(0.8 - 0.6 * beam_z / math.sin(0.8))
    assert high[1] == pytest.approx(1.9 + 0.6 * beam_z / math.sin(1.9))
    assert low[2] == pytest.approx(-0.7 - 0.6 * beam_y / math.cos(0.7))
    assert high[2] == pytest.approx(0.3 + 0.6 * beam_y / math.cos(0.3))


@pytest.mark.parametrize(("away", "turn"), [(0.3, math.sin(0.3)), (0.15, 0.2)])
def test_a_beam_along_the_surface_is_five_times_as_wide_as_straight_ahead_and_no_wider(
    away: float, turn: float
) -> None:
    surface = UniformPlanarArray(n_y=60, n_z=60, spacing_m=0.005, wavelength_m=0.0125)
    low, high = fit_bounds(
        surface, FieldOfView(away, math.pi - away, away - math.pi / 2, math.pi / 2 - away, 9.0, 99.0)
    )
    moved = 0.6 * 0.0125 / (60 * 0.005) / turn
    assert low[1:] == pytest.approx([away - moved, away - math.pi / 2 - moved])
    assert high[1:] == pytest.approx([math.pi - away + moved, math.pi / 2 - away + moved])


def test_a_fit_stays_before_the_surface_and_away_from_it() -> None:
    surface = UniformPlanarArray(n_y=4, n_z=4, spacing_m=0.005, wavelength_m=0.0125)
    half = math.pi / 2
    low, high = fit_bounds(surface, FieldOfView(0.1, 3.1, -1.4, 1.5, 0.3, 9.0))
    assert (low[1], high[1], low[2], high[2]) == pytest.approx((0.0, math.pi, -half, half))
    # All of the half space is in view: nothing is cut off it.
    low, high = fit_bounds(surface, FieldOfView(0.0, math.pi, -half, half, 0.5, 9.0))
    assert (low[1], high[1], low[2], high[2]) == pytest.approx((0.0, math.pi, -half, half))


@pytest.mark.parametrize(("nearest_m", "most"), [(0.1, 20.0), (0.0125, 0.95 * 2 / 0.0212132034), (0.011, 1 / 0.011)])
def test_a_fit_comes_no_nearer_than_half_the_range_or_the_surfaces_edge(nearest_m: float, most: float) -> None:
    """A step of inverse range is 26 per metre here."""
    surface = UniformPlanarArray(n_y=4, n_z=4, spacing_m=0.005, wavelength_m=0.0125)
    assert fit_bounds(surface, FieldOfView(0.8, 1.9, -0.7, 0.3, nearest_m, 9.0))[1, 0] == pytest.approx(most)


@pytest.mark.parametrize(("n_polar", "n_azimuths"), [(7, 10), (2, 5), (4, 2), (1, 3), (6, 1), (1, 1)])
def test_a_cells_side_in_beams(n_polar: int, n_azimuths: int) -> None:
    """Of a lattice with one candidate in an angle the cell is as wide as the beam there."""
    surface = UniformPlanarArray(n_y=16, n_z=10, spacing_m=0.005, wavelength_m=0.0125)
    beam_y, beam_z = 0.0125 / (16 * 0.005), 0.0125 / (10 * 0.005)
    polar, azimuth = 0.9 + 0.1 * np.arange(n_polar), -0.2 + 0.07 * np.arange(n_azimuths)
    middle, turned = np.mean(np.sin(polar)), np.mean(np.cos(azimuth))
    up, across = 0.1 if n_polar > 1 else beam_z, 0.07 if n_azimuths > 1 else beam_y
    expected = math.sqrt((up * middle / beam_z) * (across * middle * turned / beam_y))
    grid = CandidateGrid(polar, azimuth, np.array([0.0, 1.0]), np.ones((n_polar, n_azimuths, 2), dtype=bool))
    assert cell_in_beams(surface, grid) == pytest.approx(expected)


@pytest.mark.parametrize("method", [OnGrid(angle_step_rad=0.15), ApproximateML(angle_step_rad=0.15)])
def test_samples_that_are_nothing_beside_the_noise_have_all_of_their_freedom_too_little(
    method: OnGrid | ApproximateML,
) -> None:
    """χ² = 0 of 2LC numbers less those fitted: a place and a gain a user; a place and L gains a scatterer found."""
    problem, cycles, _ = trials(3, (10.0,), n_cycles=15, n_users=2, surface=SMALL)
    found = estimate(method, problem, cycles._replace(samples=1e-9 * cycles.samples))
    scatterers = np.isfinite(found.scatterer_polar_rad[:, 0]).sum(axis=-1)
    assert (scatterers.max() > 0) == isinstance(method, OnGrid)
    freedom = 2 * 2 * 15 - 2 * 5 - scatterers * (3 + 2 * 2)
    np.testing.assert_allclose(found.misfit[:, 0], -np.sqrt(freedom / 2), rtol=1e-9)


@pytest.mark.parametrize(("n_cycles", "counts"), [(3, (0,)), (8, (0, 1, 2)), (5, (0, 1)), (15, (0, 2, 3))])
def test_a_misfit_needs_more_measured_than_fitted(n_cycles: int, counts: tuple[int, ...]) -> None:
    """One user, of five numbers and five more a scatterer: NaN where that is all there is, or more."""
    found = np.array([[[k < count for k in range(3)] for count in counts]])
    residual = np.arange(1.0, 1 + len(counts))[None]
    misfits = _misfit(np, residual, np.full((1, len(counts)), 0.7), found, (n_cycles, 1))
    for count, left, misfit in zip(counts, residual[0], misfits[0], strict=True):
        free = 2 * n_cycles - 5 - 5 * count
        expected = (2 * left / 0.7 - free) / math.sqrt(2 * free) if free > 0 else math.nan
        assert misfit == pytest.approx(expected, nan_ok=True)


def test_approximate_ml_leaves_what_one_gain_a_user_leaves() -> None:
    problem, cycles, _ = trials(3, (10.0,), n_cycles=15, n_users=2, surface=SMALL)
    found = estimate(ApproximateML(angle_step_rad=0.15), problem, cycles)
    for t in range(3):
        left = 0.0
        for user in range(2):
            place = (found.inverse_range_per_m, found.polar_rad, found.azimuth_rad)
            seen = cycles.beams[t] @ wave(SMALL, *(np.asarray(part[t, 0, user]) for part in place))
            y = cycles.samples[t, 0, :, user]
            left += np.vdot(y, y).real - abs(np.vdot(seen, y)) ** 2 / np.vdot(seen, seen).real
        freedom = 2 * 2 * 15 - 2 * 5
        expected = (2 * left / cycles.noise_variance[t, 0] - freedom) / math.sqrt(2 * freedom)
        assert found.misfit[t, 0] == pytest.approx(expected, rel=1e-9)


def test_the_tail_is_a_normal_distributions() -> None:
    x = np.linspace(-8, 8, 401)
    np.testing.assert_allclose(tail(np, x), norm.sf(x), atol=5e-3)
    assert tail(np, np.array([-1e9, 1e9])) == pytest.approx([1.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_lone_user_is_mistaken_as_often_as_another_gain_is_larger(seed: int) -> None:
    """Gains drawn from what least squares leaves them, σ² (BᴴB)⁻¹ about those found: how often is the first not it?"""
    problem, cycles, truth = trials(6, (10.0,), seed=seed, n_cycles=12, n_users=1, surface=SMALL)
    observer = ClosedLoop().prepare(problem, np).begin()
    observer.observe(cycles)
    observer.estimate()
    pursuit, random = observer.pursuit, np.random.default_rng(seed)
    drawn, paths = acquired(pursuit, trials_of(cycles, np), observer.rows)
    gain = np.exp(2j * np.pi * random.random((6, 1, 3))) * random.uniform(0.7, 1.0, (6, 1, 3))
    places = np.stack([np.concatenate(parts, axis=1) for parts in zip(truth.users, truth.scatterers, strict=True)], -1)
    paths = paths._replace(places=places, count=np.array([2, 2, 2, 1, 1, 0]), gain=gain)
    drawn = drawn._replace(noise_variance=np.full(6, 3.0))
    found = _mistaken(pursuit, drawn, paths)[:, 0]
    assert found[5] == 0
    stated = lost_probability(pursuit, drawn, observer.rows, paths)[:, 0]
    assert np.all(stated >= found)
    assert np.all(stated <= 1)
    for t, count in enumerate(paths.count[:5]):
        seen = np.stack([cycles.beams[t] @ wave(SMALL, *place) for place in places[t, : 1 + count]], axis=1)
        factor = np.linalg.cholesky(pursuit.noise(drawn, paths)[t] * np.linalg.inv(seen.conj().T @ seen))
        white = random.standard_normal((2, 1 + count, 60000)) / math.sqrt(2)
        moduli = np.abs(gain[t, 0, : 1 + count, None] + factor @ (white[0] + 1j * white[1]))
        larger = moduli[1:] > moduli[:1]
        assert found[t] == pytest.approx(1 - np.prod(1 - larger.mean(axis=1)), abs=0.02)
        # What the two have in common, the user's own error, makes it rather too likely.
        assert found[t] > larger.any(axis=0).mean() - 0.02


def test_a_lone_user_is_mistaken_alike_in_whatever_unit() -> None:
    """Three scatterers; gains of a thousandth, with noise to match, and of equal ones the one half by half."""
    problem, cycles, truth = trials(4, (10.0,), seed=2, n_cycles=14, n_users=1, n_scatterers=3, surface=SMALL)
    pursuit, random = ClosedLoop().search.pursuit(problem, np), np.random.default_rng(0)
    drawn, paths = acquired(pursuit, trials_of(cycles, np), pursuit.rows(cycles.beams))
    places = np.stack([np.concatenate(parts, axis=1) for parts in zip(truth.users, truth.scatterers, strict=True)], -1)
    gain = np.exp(2j * np.pi * random.random((4, 1, 4))) * random.uniform(0.8, 1.0, (4, 1, 4))
    gain[3] = gain[3, :, :1]
    paths = paths._replace(places=places, count=np.array([3, 3, 2, 1]), gain=gain, noise=np.full(4, 2.0))
    found = _mistaken(pursuit, drawn, paths)
    assert np.all(found > 0.01)
    assert found[3, 0] == pytest.approx(0.5)
    for scale in (1e-3, 1e3):
        other = paths._replace(gain=gain * scale, noise=np.full(4, 2.0 * scale**2))
        np.testing.assert_allclose(_mistaken(pursuit, drawn, other), found, rtol=1e-9)


def test_what_a_search_is_unless_told_otherwise() -> None:
    search = NewtonisedPursuit()
    assert (search.beam_share, search.range_loss, search.enough, search.false_alarm) == (0.4, 0.05, 3.0, 0.01)
    assert (search.noise, search.scattered, search.most_scatterers, search.on_problem_grid) == (
        "told",
        "any",
        None,
        False,
    )
    assert ClosedLoop().lost == 2.0
    assert ClosedLoop().search == NewtonisedPursuit(enough=None, scattered="estimated")


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("inverse_range_per_m", [(0.0,), (0.0, 0.5)], [()]),
        ("angle_step_rad", [0.5, 1e-3, None], [0.0, -0.1, 0.51]),
        ("beam_share", [0.6, 1e-3], [0.0, 0.61]),
        ("range_loss", [0.49, 1e-3], [0.0, 0.5]),
        ("most_scatterers", [0, 16, None], [-1, 17]),
        ("false_alarm", [0.49, 1e-6], [0.0, 0.5]),
        ("noise", ["told", "estimated"], ["guessed"]),
        ("scattered", ["any", "estimated", "told"], ["none"]),
    ],
)
def test_what_a_search_takes(field: str, taken: list, refused: list) -> None:
    for value in taken:
        assert getattr(NewtonisedPursuit(**{field: value}), field) == value
    for value in refused:
        with pytest.raises(ValueError, match=field):
            NewtonisedPursuit(**{field: value})


def test_scattered_power_is_told_with_the_noise_only() -> None:
    with pytest.raises(ValueError, match="needed scattered = 'estimated', or the noise told"):
        NewtonisedPursuit(scattered="told", noise="estimated")
    for scattered, noise in (("told", "told"), ("estimated", "estimated"), ("any", "estimated")):
        NewtonisedPursuit(scattered=scattered, noise=noise)


@pytest.mark.parametrize("method", [NewtonisedPursuit(), ClosedLoop()])
def test_there_is_no_estimate_before_a_cycle(method: NewtonisedPursuit | ClosedLoop) -> None:
    problem, _, _ = trials(1, (10.0,), n_cycles=12, n_users=1, surface=SMALL)
    with pytest.raises(ValueError, match="no cycles: observe some before the first estimate"):
        method.prepare(problem, np).begin().estimate()


def test_what_lies_between_explanations_is_added_to_the_covariance() -> None:
    """At 3 dB other places of scatterers explain the samples as well, and users move with them."""
    problem, cycles, _ = trials(12, (3.0,), seed=8, n_cycles=14, n_users=2, surface=SMALL)
    pursuit = NewtonisedPursuit().pursuit(problem, np)
    rows = pursuit.more_rows(None, cycles.beams)
    drawn, paths = acquired(pursuit, trials_of(cycles, np), rows)
    between = between_explanations(pursuit, drawn, rows, paths)
    assert np.max(np.trace(between, axis1=-2, axis2=-1)) > 0
    here = spread(pursuit, drawn, paths).covariance
    np.testing.assert_allclose(stated_of(pursuit, drawn, rows, paths)[1], here + between, rtol=1e-9, atol=1e-18)
