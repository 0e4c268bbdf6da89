"""Where a user may be given scatterers whose gains have a known power: against the samples' covariance, inverted."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from ris_trials import trials
from test_joint_pursuit import CYCLES, PROBLEM, SEARCH, SMALL, SOME, C, L, samples_of, seen, some_paths

from engine.estimators.paths import conditional
from engine.estimators.paths.conditional import Peaks, best_places, energy_of_users, peaks_of_users
from engine.estimators.paths.trials import Paths, trials_of
from engine.numerics.path_fit import fit_paths

T, H = 4, 8
RIDGE = np.array([600.0, 0.0, 2500.0, 0.0])
"""s²/v of trials with two, no, one and two scatterers; 0: of gains nothing is known"""
RANDOM = SOME._replace(powers=np.ones((T, 1)), received=np.ones(T))
PURSUIT = SEARCH.model_copy(update={"scattered": "estimated"}).pursuit(PROBLEM, np)
ROWS = PURSUIT.rows(CYCLES.beams)
PATHS = some_paths((2, 0, 1, 2))._replace(ridge=RIDGE)


def precision(paths: Paths, t: int, *, known: bool = True) -> np.ndarray:
    """Of samples with covariance 1 + v/s² S Sᴴ, (C, C); where gains are anything, as v grows without end."""
    scatterers = [seen(t, *place) for place in paths.places[t, L : L + paths.count[t]]]
    if not scatterers:
        return np.eye(C)
    columns = np.stack(scatterers, axis=1)
    if known and paths.ridge[t] > 0:
        return np.linalg.inv(np.eye(C) + columns @ columns.conj().T / paths.ridge[t])
    return np.eye(C) - columns @ np.linalg.pinv(columns)


def form(a: np.ndarray, inner: np.ndarray, b: np.ndarray) -> Any:
    return np.vdot(a, inner @ b)


def explained(t: int, user: int, place: np.ndarray, inner: np.ndarray) -> float:
    own = seen(t, *place)
    return abs(form(own, inner, samples_of(t, user))) ** 2 / form(own, inner, own).real


@pytest.mark.parametrize("known", [True, False])
def test_what_users_may_explain_is_that_of_the_covariance(known: bool) -> None:
    """At each candidate; where gains are anything outside the scatterers, whatever the ridge."""
    grid = np.stack(SEARCH.grid(PROBLEM).candidates(), axis=-1)
    places = PATHS.places.copy()
    places[3, L] = grid[15] + (0.0, 0.004, 0.0)  # hardly anything new there
    paths = PATHS._replace(places=places)
    peaks = peaks_of_users(PURSUIT, RANDOM if known else SOME, ROWS, paths, H)
    for t in range(T):
        inner = precision(paths, t, known=known)
        for user in range(L):
            y = samples_of(t, user)
            assert peaks.nothing[t, user] == pytest.approx(form(y, inner, y).real, rel=1e-9)
            assert np.vdot(peaks.samples[t, user], peaks.samples[t, user]).real == pytest.approx(peaks.nothing[t, user])
        for m in range(0, len(grid), 5):
            own = seen(t, *grid[m])
            outside = max(form(own, inner, own).real, 0.02 * np.vdot(own, own).real)
            assert peaks.outside[t, m] == pytest.approx(outside, rel=1e-4)
            for user in range(L):
                score = abs(form(own, inner, samples_of(t, user))) ** 2 / outside
                assert peaks.scores[t, user, m] == pytest.approx(score, rel=1e-3, abs=1e-3)
        there = np.linalg.norm(peaks.basis[t], axis=-1) > 0.5
        some = peaks.basis[t][there]
        np.testing.assert_allclose(some @ some.conj().T, np.eye(PATHS.count[t]), atol=1e-9)
        assert not peaks.basis[t][~there].any()
        left = np.eye(C) - sum((1 - share) * np.outer(one, one.conj())
                               for one, share in zip(peaks.basis[t], peaks.share[t], strict=True))  # fmt: skip
        np.testing.assert_allclose(left, inner, atol=1e-9)


def test_what_is_known_of_gains_matters() -> None:
    """Of trials with a ridge and scatterers, that is; the others are as if nothing were known."""
    known, anything = (peaks_of_users(PURSUIT, some, ROWS, PATHS, H) for some in (RANDOM, SOME))
    changes = np.max(np.abs(known.energy - anything.energy), axis=(1, 2))
    assert np.all(changes[[0, 2]] > 10)
    np.testing.assert_allclose(changes[[1, 3]], 0, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_units_of_the_beams_do_not_matter(scale: float) -> None:
    beams = scale * CYCLES.beams
    found = peaks_of_users(PURSUIT, RANDOM._replace(beams=beams), PURSUIT.rows(beams),
                           PATHS._replace(ridge=scale**2 * RIDGE), H)  # fmt: skip
    expected = peaks_of_users(PURSUIT, RANDOM, ROWS, PATHS, H)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-5)
    np.testing.assert_allclose(found.nothing, expected.nothing, rtol=1e-9)


def test_a_trial_does_not_depend_on_those_beside_it() -> None:
    together = peaks_of_users(PURSUIT, RANDOM, ROWS, PATHS, H)
    for t in range(T):
        one = np.array([t])
        alone = peaks_of_users(PURSUIT, RANDOM.take(one), ROWS, PATHS.take(one), H)
        np.testing.assert_allclose(alone.energy[0], together.energy[t], rtol=1e-9)
        np.testing.assert_allclose(alone.places[0], together.places[t], rtol=1e-6, atol=1e-9)


class Fitted(NamedTuple):
    places: np.ndarray
    energy: np.ndarray
    another_top: bool
    begun: list[int]
    """candidates that a fit began at"""


def beside(grid: np.ndarray, here: int) -> list[int]:
    """Candidates at most one line of the lattice away in either angle, at whatever range."""
    lines = [np.unique(grid[:, axis], return_inverse=True)[1] for axis in (1, 2)]
    return [m for m in range(len(grid)) if all(abs(line[m] - line[here]) <= 1 for line in lines)]


def fitted(pursuit: Any, beams: np.ndarray, y: np.ndarray, scores: np.ndarray) -> Fitted:
    """By a loop: the highest off the grid, others as high perhaps, and the lowest from what is beside it as well."""
    grid, nothing = pursuit.all_places, np.vdot(y, y).real
    begun: list[int] = []

    def fit(m: int) -> tuple[float, np.ndarray]:
        begun.append(int(m))
        found = fit_paths(SMALL, beams[None], np.zeros(1, int), y[None, None], grid[m][None, None], pursuit.bounds)
        return found.energy[0, 0], found.places[0, 0]

    index, heights = pursuit.peaks(scores[None], H)
    places, energy = grid[index[0]].copy(), nothing - heights[0]
    for rank in range(H):
        if rank == 0 or nothing - heights[0, rank] / 0.6 < energy[0]:
            energy[rank], places[rank] = fit(index[0, rank])
    best = next(rank for rank in range(H) if energy[rank] <= energy.min() + 1e-6 * nothing)
    here = index[0, best]
    tops = [(np.inf, places[best])]
    around = [m for m in beside(grid, here) if m != here]
    for m in sorted(around, key=lambda m: -scores[m])[:3]:
        if nothing - scores[m] / 0.6 < energy.min():
            tops.append(fit(m))
    lowest, place = min(tops, key=lambda one: one[0])
    another = lowest < energy[best] - 0.1  # a little lower is the same, as near as fits come
    if lowest < energy[best]:
        energy[best], places[best] = lowest, place
    return Fitted(places, energy, another, begun)


def root_of(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.conj().T


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """Where fits begin that the search asks for."""
    found: list[list[float]] = []

    def fit(*inputs: Any) -> Any:
        found.extend(inputs[4][:, 0].tolist())
        return fit_paths(*inputs)

    monkeypatch.setattr(conditional, "fit_paths", fit)
    return found


def test_peaks_are_taken_off_the_grid_through_whitened_beams(begun: list[list[float]]) -> None:
    peaks = peaks_of_users(PURSUIT, RANDOM, ROWS, PATHS, H)
    starts: list[list[float]] = []
    for t, user in np.ndindex(T, L):
        inner = precision(PATHS, t)
        root = root_of(inner)
        expected = fitted(PURSUIT, root @ CYCLES.beams[t // 2], root @ samples_of(t, user), peaks.scores[t, user])
        np.testing.assert_allclose(peaks.energy[t, user], expected.energy, rtol=1e-5)
        np.testing.assert_allclose(peaks.places[t, user], expected.places, atol=5e-3)
        starts += PURSUIT.all_places[expected.begun].tolist()
        best = peaks.energy[t, user].argmin()
        here = peaks.nothing[t, user] - explained(t, user, peaks.places[t, user, best], inner)
        assert peaks.energy[t, user, best] == pytest.approx(here, rel=1e-6)
    assert sorted(begun) == sorted(starts)


@pytest.mark.parametrize(
    ("seed", "index", "tops"), [(7, (0, 14, 18, 20), 1), (14, (8,), 1), (16, (8, 9), 1), (17, (1,), 1), (26, (10,), 1)]
)
def test_the_highest_peak_is_also_sought_from_what_is_beside_it(
    seed: int, index: tuple[int, ...], tops: int, begun: list[list[float]]
) -> None:
    """Over five cycles in a view from 0.1 m on, one of some hundred users has a second top that is higher by far.

    From the three highest candidates beside the one that led there, the grid's first one among them.
    """
    problem, cycles, _ = trials(40, (3.0,), n_cycles=5, n_users=2, n_scatterers=0, surface=SMALL, seed=seed)
    problem = replace(problem, view=replace(problem.view, range_min_m=0.1))
    pursuit = SEARCH.pursuit(problem, np)
    some, none, few = trials_of(cycles, np), np.zeros(40), np.array(index)
    paths = Paths(np.zeros((40, 2, 3)), np.zeros((40, 2, 1), complex), np.zeros((40, 2)), none.astype(int), *[none] * 4)
    peaks = peaks_of_users(pursuit, some.take(few), pursuit.rows(cycles.beams), paths.take(few), H)
    others, starts, first = 0, [], []
    for i, t in enumerate(index):
        for user in range(2):
            expected = fitted(pursuit, cycles.beams[t], cycles.samples[t, 0, :, user], peaks.scores[i, user])
            np.testing.assert_allclose(peaks.energy[i, user], expected.energy, rtol=1e-6)
            best = expected.energy.argmin()
            np.testing.assert_allclose(peaks.places[i, user, best], expected.places[best], atol=5e-3)
            others += expected.another_top
            starts += pursuit.all_places[expected.begun].tolist()
            first += expected.begun
    assert others == tops
    assert 0 in first or seed != 7
    assert sorted(begun) == sorted(starts)


def test_where_users_are_is_judged_as_their_peaks_are() -> None:
    """By the covariance where scattered gains are random, else by what least squares left."""
    peaks = peaks_of_users(PURSUIT, RANDOM, ROWS, PATHS, H)
    found = energy_of_users(PURSUIT, RANDOM, PATHS, peaks)
    for t, user in np.ndindex(T, L):
        expected = peaks.nothing[t, user] - explained(t, user, PATHS.places[t, user], precision(PATHS, t))
        assert found[t, user] == pytest.approx(expected, rel=1e-9)
    moved = PATHS._replace(places=np.concatenate([best_places(np, peaks), PATHS.places[:, L:]], axis=1))
    np.testing.assert_allclose(energy_of_users(PURSUIT, RANDOM, moved, peaks), peaks.energy.min(axis=-1), rtol=1e-6)
    bare = peaks_of_users(PURSUIT, SOME, ROWS, PATHS, H)
    np.testing.assert_array_equal(energy_of_users(PURSUIT, SOME, PATHS, bare), PATHS.energy)


def test_the_best_place_is_that_of_the_least_energy() -> None:
    rng = np.random.default_rng(3)
    places, energy = rng.normal(size=(5, 2, 7, 3)), rng.random((5, 2, 7))
    found = best_places(np, Peaks(places, energy, *[np.zeros(0)] * 6))
    for t, user in np.ndindex(5, 2):
        np.testing.assert_array_equal(found[t, user], places[t, user, energy[t, user].argmin()])


@pytest.mark.parametrize("on_problem_grid", [True, False])
def test_what_is_around_a_candidate(on_problem_grid: bool) -> None:
    """In order, with −1 where the lattice has none: beyond the view, far ranges of a grid with plane waves there."""
    search = SEARCH.model_copy(update={"on_problem_grid": on_problem_grid})
    grid = search.grid(PROBLEM)
    pursuit = search.pursuit(PROBLEM, np)
    kappa, polar, azimuth = grid.candidates()
    places = np.stack([kappa, polar, azimuth], axis=-1)
    index = np.random.default_rng(0).integers(0, len(kappa), (7, 30))
    found = pursuit.around(index)
    assert found.shape == (7, 30, 9 * len(grid.inverse_range_per_m))
    empty = 0
    for at in np.ndindex(7, 30):
        there = found[at]
        empty += int(np.sum(there < 0))
        assert there[there >= 0].tolist() == sorted(beside(places, int(index[at])), key=lambda m: tuple(places[m, 1:]))
    assert empty > 0


def test_the_highest_around_a_candidate() -> None:
    """Three, highest first, without itself; the grid's first one as well."""
    grid = PURSUIT.all_places
    rng = np.random.default_rng(1)
    scores = rng.uniform(1.0, 9.0, (40, L, len(grid)))
    here = rng.integers(0, len(grid), (40, L))
    here[:5], scores[:5, :, 0] = 1, 10.0
    found, heights = conditional._around(PURSUIT, scores, here)
    for t, user in np.ndindex(here.shape):
        others = [m for m in beside(grid, int(here[t, user])) if m != here[t, user]]
        best = sorted(others, key=lambda m: -scores[t, user, m])[:3]
        assert found[t, user].tolist() == best
        np.testing.assert_array_equal(heights[t, user], scores[t, user, best])
    assert np.all(found[:5, :, 0] == 0)


def test_no_scatterer_may_be_there() -> None:
    """A problem without any: peaks are those of the samples as they are."""
    pursuit = SEARCH.pursuit(replace(PROBLEM, n_scatterers=0), np)
    none = np.zeros(T)
    paths = Paths(PATHS.places[:, :L], PATHS.gain[..., :1], PATHS.energy, none.astype(int), *[none] * 4)
    found, expected = (
        peaks_of_users(pursuit, SOME, ROWS, paths, H),
        peaks_of_users(PURSUIT, RANDOM, ROWS, PATHS._replace(count=none.astype(int)), H),
    )
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-9)
    assert found.basis.shape == (T, 0, C)
