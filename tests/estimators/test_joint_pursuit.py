"""The parts of the joint pursuit, one by one, against plain loops: scores, misfits, what a peak fills, who is kept."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, trials
from scipy.integrate import quad

from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.trials import Paths, Trials, trials_of
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
    return Paths(places, gain, energy, np.array(count), rng.normal(size=4), noise, 0 * noise)


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


def test_a_plane_wave_of_the_grid_is_fitted_from_a_little_curvature() -> None:
    """A fiftieth of a step of inverse range, or half the nearest one where that is less."""
    pursuit = SEARCH.pursuit(PROBLEM, np)
    least = min(0.02 * pursuit.range_step_per_m, 0.5 / LAB.range_min_m)
    grid = np.stack(SEARCH.grid(PROBLEM).candidates(), axis=-1)
    assert (grid[:, 0] == 0).any()
    np.testing.assert_allclose(pursuit.all_places[:, 0], np.maximum(grid[:, 0], least))
    np.testing.assert_allclose(pursuit.all_places[:, 1:], grid[:, 1:])


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


def test_where_no_freedom_is_left_there_is_no_misfit() -> None:
    """Of 4 users with 10 cycles: 60 numbers; 11 a scatterer."""
    problem, cycles, _ = trials(1, (3.0,), n_cycles=10, n_users=4, n_scatterers=6, surface=SMALL)
    pursuit, some = NewtonisedPursuit().pursuit(problem, np), trials_of(cycles, np)
    for count, free in ((5, 5), (6, None)):
        none = np.zeros(1)
        paths = Paths(np.zeros((1, 10, 3)), np.zeros((1, 4, 7), complex), np.ones((1, 4)), np.array([count]),
                      none, none, none)  # fmt: skip
        assert np.isnan(pursuit.misfit(some, paths)[0]) == (free is None)
        assert np.isnan(pursuit.misfit_of_users(some, paths)[0]).all() == (free is None)
        assert pursuit.with_noise_left(some, paths).noise_variance[0] == pytest.approx(8 / (free or 1))


def test_what_a_model_costs() -> None:
    """‖residual‖²; with half of σ² for what each scatterer has to take off χ²; or −σ² ln p."""
    paths, total = some_paths(), some_paths().energy.sum(axis=-1)
    np.testing.assert_allclose(SEARCH.pursuit(PROBLEM, np).cost(SOME, paths), total)
    search = SEARCH.model_copy(update={"most_scatterers": K})
    pursuit = search.pursuit(PROBLEM, np)
    least = [pursuit.least_fall(n, C) for n in (1, 2)]
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


@pytest.mark.parametrize("height", [0.2, 1.0, 4.0, 30.0, 1e4])
def test_what_a_peak_fills_is_the_integral_of_its_lobe(height: float) -> None:
    """Along a direction 1 − (πx)²/3 of its height x beams away; along κ a step loses five hundredths; at least e⁻¹."""
    search = NewtonisedPursuit()
    pursuit, most = search.pursuit(PROBLEM, np), max(height, 1.0)
    ends = np.array([-1.0, 1.0]) / math.sqrt(most)
    across = quad(lambda x: math.exp(-most * (math.pi * x) ** 2 / 3), *5 * ends)[0]
    along = quad(lambda x: math.exp(-most * 0.05 * x**2), *40 * ends)[0] * pursuit.range_step_per_m
    along = min(along, float(pursuit.bounds[1, 0]))
    level = float(pursuit.bounds[1, 0]) / pursuit.lattice[-1]
    width = float(pursuit.range_width_per_m(np.array(height)))
    assert width == pytest.approx(along, rel=1e-6)
    filled = float(pursuit.cells_of_a_peak(np.array(height)))
    assert filled == pytest.approx((across / pursuit.cell_beams) ** 2 * along / level, rel=1e-6)
    rooms = float(pursuit.rooms(np.array(height)))
    assert rooms == pytest.approx(max(len(pursuit.all_places) / filled, 1.0))


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


WORTH = np.array([[9.0, 5.0, 1.0], [6.0, 2.0, 7.0], [0.5, 0.2, 0.1], [3.0, 8.0, 4.0]])
"""What each of three scatterers, known by its inverse range, explains, of each of four trials"""


class Pretended(JointPursuit):
    """Fits whose energy is 20 less what the scatterers that are there explain; those of a search come in turn."""

    def refined(self, trials: Trials, paths: Paths) -> Paths:
        energy, evidence = np.zeros((len(paths.count), L)), np.zeros(len(paths.count))
        for t, trial in enumerate(trials.group):
            there = paths.places[t, L : L + paths.count[t], 0].astype(int)
            energy[t] = (20 - sum(WORTH[trial, k] for k in there)) / L
            evidence[t] = sum(WORTH[trial, k] - 3 for k in there)
        return paths._replace(energy=energy, evidence=evidence)

    def scatterer_scores(self, trials: Trials, rows: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((len(places), 1), places.shape[1] - L), np.zeros(len(places))

    def candidates(self, scores: np.ndarray) -> np.ndarray:
        return np.concatenate([scores, np.ones((len(scores), 2))], axis=-1)

    def least_fall(self, count: int, n_cycles: int) -> float:
        return 6.0

    def misfit(self, trials: Trials, paths: Paths) -> np.ndarray:
        return paths.energy.sum(axis=-1) - 8


def pretended(search: NewtonisedPursuit) -> tuple[Pretended, Trials, Paths]:
    problem = replace(PROBLEM, n_scatterers=3)
    order = search.false_alarm if search.most_scatterers else None
    pursuit = Pretended(
        problem, search.grid(problem), np, enough=-np.inf if search.enough is None else search.enough, order=order,
        scattered=None if search.scattered == "any" else search.scattered,
    )  # fmt: skip
    some = Trials(CYCLES.beams, np.arange(4), np.zeros((4, L, 30), complex), np.ones(4))
    none = np.zeros(4)
    start = Paths(np.full((4, L + 3, 3), np.nan), np.zeros((4, L, 4), complex), np.zeros((4, L)),
                  np.zeros(4, np.int64), none, none, none)  # fmt: skip
    return pursuit, some, pursuit.refined(some, start)


def kept(paths: Paths) -> list[list[int]]:
    return [sorted(paths.places[t, L : L + n, 0].astype(int).tolist()) for t, n in enumerate(paths.count)]


BY_ORDER = SEARCH.model_copy(update={"most_scatterers": 3})
BY_EVIDENCE = SEARCH.model_copy(update={"scattered": "estimated", "enough": None})
ANY = SEARCH.model_copy(update={"enough": None})
UNTIL = SEARCH.model_copy(update={"enough": 4.0})


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (
            BY_ORDER,
            [[0, 1], [0], [], []],
        ),  # one that explains more than 3, half of 6, and no more after one that does not
        (BY_EVIDENCE, [[0, 1], [0], [], []]),
        (ANY, [[0, 1, 2]] * 4),
        (UNTIL, [[0], [0, 1], [0, 1, 2], [0, 1]]),  # while more than 12 is left
    ],
)
def test_scatterers_are_added_while_they_count(search: NewtonisedPursuit, expected: list[list[int]]) -> None:
    pursuit, some, users = pretended(search)
    found = pursuit.extended(some, None, users)  # type: ignore[arg-type]
    assert kept(found) == expected
    assert kept(pursuit.extended(some, None, users, everything=True)) == (  # type: ignore[arg-type]
        expected if search is UNTIL else [[0, 1, 2]] * 4
    )


def test_no_more_are_added_than_the_cycles_leave_freedom_for() -> None:
    """Of 2 users: 10 numbers and 7 a scatterer; 7 cycles give 28."""
    pursuit, some, users = pretended(ANY)
    for n_cycles, most in ((6, 1), (7, 2), (8, 3)):
        fewer = some._replace(samples=some.samples[..., :n_cycles])
        assert kept(pursuit.extended(fewer, None, users)) == [list(range(most))] * 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "expected"),
    [(BY_ORDER, [[0, 1], [0, 2], [], [1, 2]]), (BY_EVIDENCE, [[0, 1], [0, 2], [], [1, 2]]), (ANY, [[0, 1, 2]] * 4)],
)
def test_those_whose_absence_does_not_matter_go(search: NewtonisedPursuit, expected: list[list[int]]) -> None:
    """The least first, wherever it stands: those that explain no more than 3; a third of exactly 3 goes, too."""
    pursuit, some, users = pretended(search)
    full = pursuit.extended(some, None, users, everything=True)  # type: ignore[arg-type]
    pruned = pursuit.pruned(some, full)
    assert kept(pruned) == expected
    for t, there in enumerate(expected):
        assert pruned.energy[t].sum() == pytest.approx(20 - sum(WORTH[t, k] for k in there))
