"""The parts of the joint pursuit, one by one, against plain loops: scores, fits, misfits, what a peak fills."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, trials
from scipy import stats
from scipy.integrate import quad

from engine.estimators.paths import search_grid
from engine.estimators.paths.evidence import log_evidence
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.trials import Paths, trials_of
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import wave

SMALL = UniformPlanarArray(13, 9, SURFACE.spacing_m, SURFACE.wavelength_m)
C, L, K = 9, 2, 2
PROBLEM, CYCLES, _ = trials(2, (3.0, 12.0), n_cycles=C, n_users=L, n_scatterers=K, surface=SMALL, seed=7)
SEARCH = NewtonisedPursuit(range_loss=0.001, angle_step_rad=0.2)
SOME = trials_of(CYCLES, np)


def some_paths(count: tuple[int, ...] = (2, 0, 1, 2)) -> Paths:
    rng = np.random.default_rng(1)
    places = rng.uniform((0.2, 1.1, -0.5), (1.5, 2.0, 0.5), (4, L + K, 3))
    for t, n in enumerate(count):
        places[t, L + n :] = np.nan
    gain = rng.normal(size=(4, L, 1 + K)) + 1j * rng.normal(size=(4, L, 1 + K))
    energy, noise = rng.uniform(50, 90, (4, L)), rng.uniform(30, 60, 4)
    return Paths(places, gain, energy, np.array(count), rng.normal(size=4), noise, 0 * noise, 0 * noise)


def seen(t: int, *place: float) -> np.ndarray:
    """What the beams of a trial receive from a place, (C,)."""
    return CYCLES.beams[t // 2] @ wave(SMALL, *(np.array(part) for part in place))


def samples_of(t: int, user: int) -> np.ndarray:
    return CYCLES.samples[t // 2, t % 2, :, user]


def left_of(y: np.ndarray, *known: np.ndarray) -> np.ndarray:
    """What least squares leave."""
    if not known:
        return y
    matrix = np.stack(known, axis=1)
    return y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]


def square(values: np.ndarray) -> float:
    return float(np.vdot(values, values).real)


def test_scores_of_every_candidate_in_a_loop() -> None:
    pursuit = SEARCH.pursuit(PROBLEM, np)
    assert pursuit.lattice[2] > 1
    grid = np.stack(SEARCH.grid(PROBLEM).candidates(), axis=-1)
    rows = pursuit.more_rows(pursuit.rows(CYCLES.beams[:, :4]), CYCLES.beams[:, 4:])
    paths = some_paths((2, 2, 2, 2))
    paths.places[0, 0], paths.places[1, L] = grid[14] + (0, 0.004, 0), grid[21] + (0, 0.004, 0)  # nothing new there
    for_users = pursuit.user_scores(SOME, rows)
    of_one_more, left = pursuit.scatterer_scores(SOME, rows, paths.places[:, : L + 1])
    together = pursuit.common_scores(SOME, rows, paths.places[:, L:])
    alone = pursuit.common_scores(SOME, rows, paths.places[:, L:L])
    for t in range(4):
        places = paths.places[t]
        users, scatterers = ([seen(t, *place) for place in part] for part in (places[:L], places[L:]))
        rest = [left_of(samples_of(t, user), users[user], scatterers[0]) for user in range(L)]
        assert left[t] == pytest.approx(sum(map(square, rest)))
        for m in range(0, len(grid), 7):
            phi = seen(t, *grid[m])
            expected = [abs(np.vdot(phi, samples_of(t, user))) ** 2 / square(phi) for user in range(L)]
            np.testing.assert_allclose(for_users[t, :, m], expected, rtol=1e-5)
            assert alone[t, m] == pytest.approx(sum(expected), rel=1e-5)
            total = 0.0
            for user in range(L):
                outside = max(square(left_of(phi, users[user], scatterers[0])), 0.02 * square(phi))
                total += abs(np.vdot(phi, rest[user])) ** 2 / outside
            assert of_one_more[t, m] == pytest.approx(total, rel=1e-4, abs=1e-6)
            outside = max(square(left_of(phi, *scatterers)), 0.02 * square(phi))
            total = sum(abs(np.vdot(phi, left_of(samples_of(t, user), *scatterers))) ** 2 for user in range(L))
            assert together[t, m] == pytest.approx(total / outside, rel=1e-4, abs=1e-6)
    best = pursuit.candidates(for_users)
    for t, user in np.ndindex(4, L):
        np.testing.assert_allclose(best[t, user, 1:], grid[for_users[t, user].argmax(), 1:])


def test_users_come_from_the_grid_each_for_itself() -> None:
    pursuit = SEARCH.pursuit(PROBLEM, np)
    rows = pursuit.rows(CYCLES.beams)
    places = np.concatenate([pursuit.candidates(pursuit.user_scores(SOME, rows)), np.zeros((4, K, 3))], axis=1)
    expected = pursuit.refined(SOME, some_paths((0, 0, 0, 0))._replace(places=places))
    found = pursuit.alone(SOME, rows)
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, other)
    assert found.gain.shape == (4, L, 1 + K)


@pytest.mark.parametrize("on_problem_grid", [False, True])
def test_peaks_on_arrays_are_those_compiled(on_problem_grid: bool) -> None:
    """Also where the lattice has places that no candidate has."""
    search = SEARCH.model_copy(update={"on_problem_grid": on_problem_grid})
    problem = replace(PROBLEM, angle_step_rad=0.2)
    pursuit = search.pursuit(problem, np)
    assert search.grid(problem).allowed.all() != on_problem_grid
    scores = np.random.default_rng(0).random((2, 3, len(pursuit.all_places)))
    scores[0, 0, 1], scores[1, 2, -1] = 2.0, 2.0
    index, height = pursuit.peaks(scores, 5)
    for ours, other in zip((index, height), pursuit.peaks_of_arrays(scores, 5), strict=True):
        np.testing.assert_array_equal(ours, other)
    np.testing.assert_array_equal(index[..., 0], scores.argmax(axis=-1))
    np.testing.assert_array_equal(pursuit.places(index), pursuit.all_places[index])


@pytest.mark.parametrize("surface", [SMALL, replace(SMALL, n_y=3, n_z=2)])
def test_a_plane_wave_of_the_grid_is_fitted_from_a_little_curvature(surface: UniformPlanarArray) -> None:
    """A fiftieth of a step of inverse range, or half the nearest one where that is less."""
    problem = replace(PROBLEM, surface=surface)
    pursuit = SEARCH.pursuit(problem, np)
    steps = 0.02 * pursuit.range_step_per_m, 0.5 / LAB.range_min_m
    assert (steps[0] < steps[1]) == (surface is SMALL)
    grid = np.stack(SEARCH.grid(problem).candidates(), axis=-1)
    assert (grid[:, 0] == 0).any()
    np.testing.assert_allclose(pursuit.all_places[:, 0], np.maximum(grid[:, 0], min(steps)))
    np.testing.assert_allclose(pursuit.all_places[:, 1:], grid[:, 1:])


def test_a_fit_has_the_gains_of_least_squares_and_no_better_place_beside_it() -> None:
    """Of trials with as many scatterers as each has; what is not there is NaN, without gain."""
    start = some_paths()
    pursuit = SEARCH.pursuit(PROBLEM, np)
    fit = pursuit.refined(SOME, start)

    def residuals(t: int, places: np.ndarray) -> list[np.ndarray]:
        scatterers = [seen(t, *place) for place in places[L : L + start.count[t]]]
        return [left_of(samples_of(t, user), seen(t, *places[user]), *scatterers) for user in range(L)]

    moved = 0
    for t, count in enumerate(start.count):
        assert np.isnan(fit.places[t, L + count :]).all()
        assert not fit.gain[t, :, 1 + count :].any()
        scatterers = [seen(t, *place) for place in fit.places[t, L : L + count]]
        for user, rest in enumerate(residuals(t, fit.places[t])):
            matrix = np.stack([seen(t, *fit.places[t, user]), *scatterers], axis=1)
            gains = np.linalg.lstsq(matrix, samples_of(t, user), rcond=None)[0]
            np.testing.assert_allclose(fit.gain[t, user, : 1 + count], gains, rtol=1e-4, atol=1e-6)
            assert fit.energy[t, user] == pytest.approx(square(rest), rel=1e-6)
        inside = np.all(
            (fit.places[t] > pursuit.bounds[0] + 1e-3) & (fit.places[t] < pursuit.bounds[1] - 1e-3), axis=-1
        )
        moved += inside[: L + count].sum()
        for path in np.flatnonzero(inside[: L + count]):
            for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.02:
                beside = fit.places[t].copy()
                beside[path] += step
                assert sum(map(square, residuals(t, beside))) > fit.energy[t].sum() * (1 - 1e-3)
    assert moved >= 3
    assert not fit.evidence.any()
    assert not fit.unseen.any()
    assert not fit.ridge.any()
    np.testing.assert_array_equal(fit.noise, SOME.noise_variance)
    np.testing.assert_array_equal(fit.count, start.count)


def test_a_fit_among_scatterers_of_random_gains_has_its_evidence() -> None:
    search = SEARCH.model_copy(update={"scattered": "estimated"})
    pursuit = search.pursuit(PROBLEM, np)
    some = pursuit.with_powers(SOME, pursuit.rows(CYCLES.beams))
    assert pursuit.with_powers(some, None) is some  # type: ignore[arg-type]
    assert SEARCH.pursuit(PROBLEM, np).with_powers(SOME, pursuit.rows(CYCLES.beams)) is SOME
    told = search.model_copy(update={"scattered": "told"}).pursuit(replace(PROBLEM, scattered_power=0.1), np)
    assert (some.powers.shape, told.with_powers(SOME, pursuit.rows(CYCLES.beams)).powers.shape) == ((4, 24), (4, 1))
    fit = pursuit.refined(some, some_paths())
    for t, count in enumerate(fit.count):
        received = np.zeros((1, L + K, C), complex)
        for path in range(L + count):
            received[0, path] = seen(t, *fit.places[t, path])
        alone = log_evidence(PROBLEM, some.take(np.array([t])), received, fit.count[t : t + 1], pursuit.rooms)
        stored = fit.evidence[t], fit.noise[t], fit.unseen[t], fit.ridge[t]
        assert stored == pytest.approx([part[0] for part in alone], rel=1e-6)
    np.testing.assert_array_equal(fit.ridge > 0, fit.count > 0)


def freedom(count: int) -> int:
    """Real numbers received, less place and gain of each user, and place and gains of each scatterer."""
    return 2 * L * C - 5 * L - count * (3 + 2 * L)


def test_misfits_and_the_noise_that_is_left() -> None:
    paths = some_paths()
    pursuit = SEARCH.pursuit(PROBLEM, np)
    for trials_, noise in ((SOME, SOME.noise_variance), (SOME._replace(powers=np.ones((4, 1))), paths.noise)):
        np.testing.assert_array_equal(pursuit.noise(trials_, paths), noise)
        whole, of_users = pursuit.misfit(trials_, paths), pursuit.misfit_of_users(trials_, paths)
        for t, count in enumerate(paths.count):
            free = freedom(count)
            assert whole[t] == pytest.approx((2 * paths.energy[t].sum() / noise[t] - free) / math.sqrt(2 * free))
            for user in range(L):
                mine = (2 * paths.energy[t, user] / noise[t] - free / L) / math.sqrt(2 * free / L)
                assert of_users[t, user] == pytest.approx(mine)
    left = pursuit.with_noise_left(SOME, paths).noise_variance
    np.testing.assert_allclose(left, [2 * paths.energy[t].sum() / freedom(n) for t, n in enumerate(paths.count)])
    nothing = paths._replace(energy=0 * paths.energy)
    total = np.array([sum(square(samples_of(t, user)) for user in range(L)) for t in range(4)])
    np.testing.assert_allclose(pursuit.with_noise_left(SOME, nothing).noise_variance, 1e-20 * total)


@pytest.mark.parametrize(("n_cycles", "count", "free"), [(6, 1, 7), (6, 2, 0), (8, 3, 1), (5, 2, -4)])
def test_where_no_freedom_is_left_there_is_no_misfit(n_cycles: int, count: int, free: int) -> None:
    """Of 2 users: 4 numbers a cycle, less 10, and 7 a scatterer."""
    problem, cycles, _ = trials(1, (3.0,), n_cycles=n_cycles, n_users=L, n_scatterers=3, surface=SMALL)
    pursuit, some = NewtonisedPursuit().pursuit(problem, np), trials_of(cycles, np)
    none = np.zeros(1)
    paths = Paths(np.zeros((1, L + 3, 3)), np.zeros((1, L, 4), complex), np.ones((1, L)), np.array([count]),
                  none, none, none, none)  # fmt: skip
    assert np.isnan(pursuit.misfit(some, paths)[0]) == (free <= 0)
    assert np.isnan(pursuit.misfit_of_users(some, paths)[0]).all() == (free <= 0)
    assert pursuit.with_noise_left(some, paths).noise_variance[0] == pytest.approx(2 * L / max(free, 1))


def test_what_a_model_costs() -> None:
    """‖residual‖²; with half of σ² for what each scatterer has to take off χ²; or −σ² ln p."""
    paths, total = some_paths(), some_paths().energy.sum(axis=-1)
    np.testing.assert_allclose(SEARCH.pursuit(PROBLEM, np).cost(SOME, paths), total)
    search = SEARCH.model_copy(update={"most_scatterers": K})
    pursuit = search.pursuit(PROBLEM, np)
    least = [pursuit.least_fall(n, C) for n in (1, 2)]
    n_places = len(pursuit.all_places) * pursuit.cell_beams**2
    assert least[0] == pytest.approx(stats.chi2.isf(0.01 / n_places, 3 + 2 * L))
    assert least[0] == pytest.approx(least[1])  # σ² is told: no matter how many there are already
    expected = total + paths.count * least[0] * SOME.noise_variance / 2
    np.testing.assert_allclose(pursuit.cost(SOME, paths), expected)
    untold = search.model_copy(update={"noise": "estimated"}).pursuit(PROBLEM, np)
    least = [untold.least_fall(n, C) for n in (1, 2)]
    assert least[0] < least[1]
    expected = total + np.array([sum(least[:n]) for n in paths.count]) * SOME.noise_variance / 2
    np.testing.assert_allclose(untold.cost(SOME, paths), expected)
    by_evidence = SEARCH.model_copy(update={"scattered": "estimated"}).pursuit(PROBLEM, np)
    np.testing.assert_allclose(by_evidence.cost(SOME, paths), -paths.evidence * SOME.noise_variance)
    more, fewer = some_paths(), some_paths()._replace(energy=2 * paths.energy)
    np.testing.assert_allclose(pursuit.fall(SOME, fewer, more), 2 * total / SOME.noise_variance)
    left = np.array([2 * total[t] / freedom(n) for t, n in enumerate(more.count)])
    np.testing.assert_allclose(untold.fall(SOME, fewer, more), 2 * total / left)


@pytest.mark.parametrize("n_elements", [13, 45])
def test_what_a_peak_fills_is_the_integral_of_its_lobe(n_elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along a direction 1 − (πx)²/3 of its height x beams away; along κ a step loses five hundredths; at least e⁻¹."""
    monkeypatch.setattr(search_grid, "Dictionary", lambda *_: None)  # of no use here, and large
    problem = replace(PROBLEM, surface=replace(SMALL, n_y=n_elements))
    pursuit = NewtonisedPursuit().pursuit(problem, np)
    longest = float(pursuit.bounds[1, 0])
    shares = []
    for height in (0.2, 1.0, 4.0, 30.0, 1e4):
        most = max(height, 1.0)
        ends = np.array([-1.0, 1.0]) / math.sqrt(most)
        across = quad(lambda x, most=most: math.exp(-most * (math.pi * x) ** 2 / 3), *5 * ends)[0]
        along = quad(lambda x, most=most: math.exp(-most * 0.05 * x**2), *40 * ends)[0] * pursuit.range_step_per_m
        shares.append(along / longest)
        along = min(along, longest)
        assert float(pursuit.range_width_per_m(np.array(height))) == pytest.approx(along, rel=1e-6)
        filled = float(pursuit.cells_of_a_peak(np.array(height)))
        level = longest / pursuit.lattice[-1]
        assert filled == pytest.approx((across / pursuit.cell_beams) ** 2 * along / level, rel=1e-6)
        rooms = float(pursuit.rooms(np.array(height)))
        assert rooms == pytest.approx(max(len(pursuit.all_places) / filled, 1.0))
    assert min(shares) < 1
    assert (max(shares) < 1) == (n_elements == 45)


def test_directions_within_three_quarters_of_a_beam_are_one() -> None:
    """Elliptic, of a surface that is not square, whatever the range."""
    pursuit, rng = SEARCH.pursuit(PROBLEM, np), np.random.default_rng(0)
    one, other = rng.uniform((0, 1.3, -0.2), (2, 1.8, 0.2), (2, 400, 3))
    y, z = (
        (np.sin(part[:, 1]) * np.sin(part[:, 2]) for part in (one, other)),
        (np.cos(part[:, 1]) for part in (one, other)),
    )
    (y1, y2), (z1, z2) = y, z
    share = SMALL.spacing_m / SMALL.wavelength_m
    near = np.hypot((y1 - y2) * 13 * share, (z1 - z2) * 9 * share) < 0.75
    np.testing.assert_array_equal(pursuit.unresolved(one, other), near)
    assert 20 < near.sum() < 380


def test_estimates_have_each_number_in_its_place() -> None:
    paths = some_paths()
    paths.places[0, 0, 0] = 0.0
    for search in (SEARCH, SEARCH.model_copy(update={"noise": "estimated"})):
        pursuit = search.pursuit(PROBLEM, np)
        stated = np.arange(8.0).reshape(4, L), np.zeros((4, L, 3, 3)), np.ones((4, L)), np.ones((4, L, 5))
        found = pursuit.estimates(SOME, paths, (2, 2), stated)
        for t in range(4):
            at = (t // 2, t % 2)
            np.testing.assert_array_equal(found.polar_rad[at], paths.places[t, :L, 1])
            np.testing.assert_array_equal(found.azimuth_rad[at], paths.places[t, :L, 2])
            np.testing.assert_array_equal(found.scatterer_inverse_range_per_m[at], paths.places[t, L:, 0])
            np.testing.assert_array_equal(found.scatterer_polar_rad[at], paths.places[t, L:, 1])
            np.testing.assert_array_equal(found.scatterer_azimuth_rad[at], paths.places[t, L:, 2])
            np.testing.assert_array_equal(found.gain[at], paths.gain[t, :, 0])
            np.testing.assert_array_equal(found.scatterer_gain[at], paths.gain[t, :, 1:])
            np.testing.assert_array_equal(found.lost_probability[at], stated[0][t])
        kappa = found.inverse_range_per_m.reshape(4, L)
        assert 0 < kappa[0, 0] < 1e-6  # a range too long to tell is no plane wave by choice
        np.testing.assert_array_equal(kappa[1:], paths.places[1:, :L, 0])
        assert np.isnan(found.misfit).all() == (search.noise == "estimated")
        np.testing.assert_array_equal(found.noise_variance.ravel(), SOME.noise_variance)
        assert np.isnan(pursuit.estimates(SOME, paths, (2, 2)).lost_probability).all()
