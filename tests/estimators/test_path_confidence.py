"""What a user's other places weigh, each peak and the rest of the grid: against least squares and sums over places."""

import math
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, trials

from engine.estimators.paths import confidence
from engine.estimators.paths.conditional import peaks_of_users
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.trials import Paths as FoundPaths
from engine.estimators.paths.trials import Trials, trials_of
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import wave

SMALL = UniformPlanarArray(11, 13, SURFACE.spacing_m, SURFACE.wavelength_m)
N, N_USERS = 3, 2
LOWEST = -25.0


class Weighed(NamedTuple):
    """What a search handed on: of the estimate, of every other peak and of the rest, (N, L, 2 + H)."""

    pursuit: Any
    cycles: Any
    paths: Any
    peaks: Any
    nats: np.ndarray
    amplitude: np.ndarray
    sharpness: np.ndarray
    lost: np.ndarray


@lru_cache
def weighed(n_scatterers: int, moved: bool = False) -> Weighed:
    """moved: the estimate of one user at its second highest peak, so that the highest is somewhere else."""
    handed: list[np.ndarray] = []

    def take(_: Any, nats: np.ndarray, amplitude: np.ndarray, sharpness: np.ndarray, spread: float) -> np.ndarray:
        handed.extend((nats, amplitude, sharpness))
        assert spread == pytest.approx(math.log(5.1 / 4.9) / math.sqrt(12))
        return nats - 1e4  # what it says is up to a constant

    problem, cycles, _ = trials(
        N, (0.0,), seed=6, n_cycles=14, n_users=N_USERS, n_scatterers=n_scatterers, surface=SMALL
    )
    problem = replace(problem, view=replace(LAB, range_min_m=4.9, range_max_m=5.1))
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    rows = pursuit.rows(cycles.beams)
    some, paths = acquired(pursuit, trials_of(cycles, np), rows)
    peaks = peaks_of_users(pursuit, some, rows, paths, confidence.N_PEAKS)
    if moved:
        places, energy = paths.places.copy(), paths.energy.copy()
        ranked = peaks.energy[1, 0].argsort()
        second = next(j for j in ranked if apart(peaks.places[1, 0, j], places[1, 0]))
        places[1, 0], energy[1, 0] = peaks.places[1, 0, second], peaks.energy[1, 0, second]
        paths = paths._replace(places=places, energy=energy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confidence, "with_others_strengths", take)
        lost = confidence.lost_probability(pursuit, some, rows, paths)
    nats, amplitude, sharpness = handed
    return Weighed(pursuit, cycles, paths, peaks, nats, amplitude, sharpness, lost)


def seen(one: Weighed, t: int, user: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S (M,) and |g| (M,) of a wave from each place beside the scatterers found, by least squares of all gains."""
    beams, y = one.cycles.beams[t], one.cycles.samples[t, 0, :, user]
    received = beams @ wave(SMALL, *places.T).T
    scatterers = one.paths.places[t, N_USERS : N_USERS + one.paths.count[t]]
    if len(scatterers):
        known = np.linalg.qr(beams @ wave(SMALL, *scatterers.T).T)[0]
        received, y = (part - known @ (known.conj().T @ part) for part in (received, y))
    energy = np.sum(np.abs(received) ** 2, axis=0)
    return energy / one.cycles.noise_variance[t, 0], np.abs(y.conj() @ received) / energy


def in_beams(places: np.ndarray) -> np.ndarray:
    across = np.stack([np.sin(places[..., 1]) * np.sin(places[..., 2]) * 11, np.cos(places[..., 1]) * 13], axis=-1)
    return across * SMALL.spacing_m / SMALL.wavelength_m


def apart(places: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(in_beams(places) - in_beams(other), axis=-1) > 0.75


@pytest.mark.parametrize("n_scatterers", [0, 1])
def test_gains_at_each_peak_are_those_of_least_squares(n_scatterers: int) -> None:
    """And how sharply: what the beams receive from there beside the scatterers, over the noise."""
    one = weighed(n_scatterers)
    compared = 0
    for t, user in np.ndindex(N, N_USERS):
        places = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
        sharpness, amplitude = seen(one, t, user, places)
        counts = one.nats[t, user, :-1] > one.nats[t, user].max() + LOWEST
        compared += counts.sum()
        np.testing.assert_allclose(one.sharpness[t, user, :-1][counts], sharpness[counts], rtol=1e-6)
        np.testing.assert_allclose(one.amplitude[t, user, 0], amplitude[0], rtol=1e-6)
        # A peak of the grid may be of a plane wave, and its place be as near as a fit may start.
        np.testing.assert_allclose(one.amplitude[t, user, :-1][counts], amplitude[counts], rtol=0.01)
    assert compared >= 3 * N * N_USERS


def test_how_sharply_gains_are_seen_beside_scatterers() -> None:
    """By a loop, with orthonormal parts of which a share is left; at least a fiftieth of all; not asked, the user's."""
    rng, n_cycles = np.random.default_rng(9), 8
    pursuit = NewtonisedPursuit().pursuit(trials(1, (0.0,), n_users=2, surface=SMALL)[0], np)
    beams = np.exp(2j * np.pi * rng.random((3, n_cycles, SMALL.n_elements)))
    some = Trials(beams, np.array([2, 0, 1]), np.zeros((3, 2, n_cycles), complex), np.ones(3))
    places = rng.uniform((0.1, 1.1, -0.5), (1.9, 2.0, 0.5), (3, 2, 4, 3))
    basis = np.linalg.qr(rng.normal(size=(3, n_cycles, 2, 2)) @ [1, 1j])[0].swapaxes(1, 2).copy()
    share = rng.random((3, 2))
    hidden = beams[2] @ wave(SMALL, *places[0, 1, 2])  # a hundredth of its power is left
    basis[0], share[0] = (hidden / np.linalg.norm(hidden), np.zeros(n_cycles)), (0.01, 0.0)
    worth = np.zeros((3, 2, 4), dtype=bool)
    worth[0, 0, 1] = worth[0, 1, 2] = worth[2, 0, 1:] = worth[2, 1, 3] = True
    peaks: Any = SimpleNamespace(basis=basis, share=share)
    found = confidence._sharpness(pursuit, some, peaks, places, worth)
    for t, user, rank in np.ndindex(3, 2, 4):
        place = places[t, user, rank if worth[t, user, rank] else 0]
        left = received = beams[some.group[t]] @ wave(SMALL, *place)
        for vector, part in zip(basis[t], share[t], strict=True):
            left = left - (1 - math.sqrt(part)) * np.vdot(vector, received) * vector
        least = 0.02 * np.vdot(received, received).real
        assert found[t, user, rank] == pytest.approx(max(np.vdot(left, left).real, least))
    assert found[0, 1, 2] == pytest.approx(0.02 * np.vdot(hidden, hidden).real)


def of_the_grid(one: Weighed, t: int, user: int) -> tuple[float, float, float]:
    """Of the grid away from all peaks: the sum of exp(nats behind)/S, and means of S and of nats explained."""
    grid = one.pursuit.all_places
    peaks = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
    sharpness, amplitude = seen(one, t, user, np.concatenate([peaks, grid]))
    height = sharpness * amplitude**2
    away = np.all([apart(grid, peak) for peak in peaks], axis=0)
    behind = height[len(peaks) :] - height[: len(peaks)].max()
    mass = np.where(away & (behind > LOWEST), np.exp(behind) / sharpness[len(peaks) :], 0)
    means = (mass @ part[len(peaks) :] / mass.sum() for part in (sharpness, height))
    return mass.sum(), *means


@pytest.mark.parametrize(("n_scatterers", "moved"), [(0, False), (1, False), (0, True)])
def test_the_rest_is_the_sum_over_the_grid_away_from_all_peaks(n_scatterers: int, moved: bool) -> None:
    """Up to a constant, the size of a cell; all ranges in view are about the same."""
    one, cells = weighed(n_scatterers, moved), []
    for t, user in np.ndindex(N, N_USERS):
        mass, sharpness, explained = of_the_grid(one, t, user)
        cells.append(one.nats[t, user, -1] - math.log(mass))
        assert one.sharpness[t, user, -1] == pytest.approx(sharpness, rel=0.01)
        assert one.amplitude[t, user, -1] ** 2 * one.sharpness[t, user, -1] == pytest.approx(explained, rel=0.01)
    assert np.ptp(cells) < 0.05


def test_cells_at_ranges_out_of_view_weigh_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other cell is high: not a number was what was said of gains there, and of who is lost."""
    one, handed = weighed(0), list[np.ndarray]()

    def take(_: Any, *given: Any) -> np.ndarray:
        handed.extend(given[:3])
        return given[0]

    monkeypatch.setattr(confidence, "with_others_strengths", take)
    monkeypatch.setattr(confidence.prior_mass, "of_cells", lambda pursuit: np.zeros(len(pursuit.all_places)))
    some, rows = trials_of(one.cycles, np), one.pursuit.rows(one.cycles.beams)
    lost = confidence.lost_probability(one.pursuit, some, rows, one.paths)
    assert np.isfinite(one.nats[..., -1]).all()
    np.testing.assert_array_equal(handed[0][..., -1], -np.inf)
    assert np.isfinite(handed[1]).all()
    np.testing.assert_array_equal(handed[2][..., -1], 1)
    mass = np.exp(handed[0] - handed[0].max(axis=-1, keepdims=True))
    np.testing.assert_allclose(lost, 1 - mass[..., 0] / mass.sum(axis=-1))


def test_each_peak_weighs_as_much_as_the_places_around_it() -> None:
    """Summed over directions within 0.75 of a beam, in the same unit as the rest: cells of the grid."""
    one = weighed(0)
    steps = np.linspace(-0.75, 0.75, 19)
    y, z = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    within = np.hypot(y, z) < 0.75
    y, z = y[within], z[within]
    cell = (steps[1] - steps[0]) ** 2 / one.pursuit.cell_beams**2
    errors = []
    for t, user in np.ndindex(N, N_USERS):
        peaks = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
        sharpness, amplitude = seen(one, t, user, peaks)
        highest = (sharpness * amplitude**2).max()
        of_a_cell = one.nats[t, user, -1] - math.log(of_the_grid(one, t, user)[0])
        seen_from = np.all((peaks[:, 1:] > (LAB.polar_min_rad, LAB.azimuth_min_rad))
                           & (peaks[:, 1:] < (LAB.polar_max_rad, LAB.azimuth_max_rad)), axis=-1)  # fmt: skip
        for j in np.flatnonzero((one.nats[t, user, :-1] > one.nats[t, user].max() - 6) & seen_from):
            middle = in_beams(peaks[j]) * SMALL.wavelength_m / SMALL.spacing_m
            polar = np.arccos((middle[1] + z * SMALL.wavelength_m / SMALL.spacing_m) / 13)
            azimuth = np.arcsin((middle[0] + y * SMALL.wavelength_m / SMALL.spacing_m) / 11 / np.sin(polar))
            places = np.stack([np.full(y.size, 0.2), polar, azimuth], axis=-1)
            sharp, strength = seen(one, t, user, places)
            mass = np.sum(np.exp(sharp * strength**2 - highest) / sharp) * cell
            errors.append(one.nats[t, user, j] - of_a_cell - math.log(mass))
    assert len(errors) > 10
    assert abs(np.mean(errors)) < 0.4  # one alone by a factor of two: lobes of few random beams are no parabolas
    assert np.std(errors) < 0.8


@pytest.mark.parametrize(("n_scatterers", "moved"), [(0, False), (1, False), (0, True)])
def test_the_share_elsewhere_is_that_of_all_but_the_estimate(n_scatterers: int, moved: bool) -> None:
    """Of two users whoever the scatterers are, as none of them is anything to both."""
    one = weighed(n_scatterers, moved)
    mass = np.exp(one.nats - one.nats.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(one.lost, 1 - mass[..., 0] / mass.sum(axis=-1))
    if moved:
        assert one.lost[1, 0] > 0.5
        second = np.all(one.peaks.places[1, 0] == one.paths.places[1, 0], axis=-1).argmax()
        as_a_peak = weighed(n_scatterers).nats[1, 0, 1 + second]
        assert one.nats[1, 0, 0] == pytest.approx(
            as_a_peak, abs=0.1
        )  # wherever the estimate is, a peak weighs the same


def test_peaks_in_one_direction_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair of six in turn, and all those in the estimate's not at all."""
    one, handed = weighed(0), []
    places, energy = one.peaks.places.copy(), one.peaks.energy - 1.0
    rng = np.random.default_rng(5)
    n_peaks = places.shape[2]
    lattice = [(polar, azimuth) for polar in (1.2, 1.5, 1.8) for azimuth in (-0.4, 0.0, 0.4)]
    for t, user in np.ndindex(N, N_USERS):
        free = [place for place in lattice if apart(np.array([5.0, *place]), one.paths.places[t, user])]
        places[t, user, :, 1:] = np.array(free)[rng.permutation(len(free))[:n_peaks]]
    pairs = [(0, 1), (0, 4), (1, 2), (2, 3), (3, 5), (1, 5)]
    for (t, user), (i, j) in zip(np.ndindex(N, N_USERS), pairs, strict=True):
        places[t, user, j] = places[t, user, i] + (0.02, 0.01, -0.01)
    places[0, 0, 5] = one.paths.places[0, 0] + (0.0, -0.01, 0.01)

    def take(_: Any, nats: np.ndarray, *rest: Any) -> np.ndarray:
        handed.append(nats)
        return nats

    monkeypatch.setattr(confidence, "with_others_strengths", take)
    monkeypatch.setattr(confidence, "peaks_of_users", lambda *_: one.peaks._replace(places=places, energy=energy))
    confidence.lost_probability(one.pursuit, trials_of(one.cycles, np), one.pursuit.rows(one.cycles.beams), one.paths)
    expected = np.ones((N, N_USERS, n_peaks), dtype=bool)
    for (t, user), (_, j) in zip(np.ndindex(N, N_USERS), pairs, strict=True):
        expected[t, user, j] = False
    expected[0, 0, 5] = False
    np.testing.assert_array_equal(np.isfinite(handed[0][..., 1:-1]), expected)


def test_who_may_be_lost_has_its_highest_peaks_integrated() -> None:
    """With 0.003 and more elsewhere, of peaks the rest among it; no lower than the highest by five nats."""
    rng = np.random.default_rng(6)
    shares = rng.dirichlet(np.full(5, 0.3), (40, 2)) * rng.choice([0.0029, 0.0031, 0.2, 0.9], (40, 2, 1))
    shares = np.concatenate([1 - shares.sum(axis=-1, keepdims=True), shares], axis=-1)
    nats = np.log(np.maximum(shares, 1e-300)) - 700 + 300 * rng.random((40, 2, 1))
    found = confidence._worth(np, nats)
    counted = 0
    for t, user in np.ndindex(40, 2):
        own = shares[t, user]
        expected = [own[1:].sum() > 0.003 and share > math.exp(-5) * own.max() for share in own[:5]]
        np.testing.assert_array_equal(found[t, user], expected)
        counted += sum(expected)
    assert 40 < counted < 360


def test_other_places_are_those_with_scattered_gains_as_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user beside a scatterer has no likelihood of its own where gains may be anything."""
    one, asked = weighed(1), []

    def peaks(pursuit: Any, trials: Trials, rows: Any, paths: FoundPaths, n: int) -> Any:
        asked.append(paths)
        return peaks_of_users(pursuit, trials, rows, paths, n)

    monkeypatch.setattr(confidence, "peaks_of_users", peaks)
    some, rows = trials_of(one.cycles, np), one.pursuit.rows(one.cycles.beams)
    told = one.paths._replace(ridge=np.full(N, 400.0))
    confidence.lost_probability(one.pursuit, some, rows, told)
    np.testing.assert_array_equal(told.ridge, 400)
    for name, part in one.paths._asdict().items():
        np.testing.assert_array_equal(getattr(asked[0], name), told.ridge if name == "ridge" else part)


def test_a_peak_that_scatterers_moved_to_is_as_high_as_they_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three nats here: it weighs what a peak so high does, unintegrated; the user's strength there stays as held."""
    one, asked, handed, better = weighed(1), [], [], [0.0]
    refitted, of_peaks = confidence._refitted, confidence.peak_integrals.of_peaks

    def lower(pursuit: Any, trials: Trials, paths: FoundPaths, peaks: Any, behind: np.ndarray) -> np.ndarray:
        return refitted(pursuit, trials, paths, peaks, behind) - better[0]

    def integrals(*given: Any) -> np.ndarray:
        asked.append(given[-2:])
        return of_peaks(*given)

    def take(_: Any, nats: np.ndarray, amplitude: np.ndarray, *rest: Any) -> np.ndarray:
        handed.append((nats, amplitude))
        return nats

    monkeypatch.setattr(confidence, "_refitted", lower)
    monkeypatch.setattr(confidence.peak_integrals, "of_peaks", integrals)
    monkeypatch.setattr(confidence, "with_others_strengths", take)
    some, rows = trials_of(one.cycles, np), one.pursuit.rows(one.cycles.beams)
    for better[0] in (0.0, 3.0):
        confidence.lost_probability(one.pursuit, some, rows, one.paths)
    (height, worth), (higher, still) = asked
    counts = np.isfinite(one.nats[..., 1:-1])
    np.testing.assert_allclose(np.where(counts, higher[..., 1:] - height[..., 1:], 3.0), 3.0)
    np.testing.assert_array_equal(higher[..., 0], height[..., 0])
    assert worth[..., 1:].any()
    assert not still[..., 1:][counts].any()
    np.testing.assert_array_equal(handed[1][1], handed[0][1])
    assert np.all(handed[1][0][..., 1:-1][counts] > handed[0][0][..., 1:-1][counts])


def test_another_peak_counts_with_what_scatterers_fitted_to_it_explain_as_well() -> None:
    """And with the nearest scatterer where the user was; by a loop, of fits of which nothing but the start matters."""
    rng = np.random.default_rng(37)
    n_users, n_scatterers, n_peaks, variance = 2, 2, 3, np.array([0.5, 2.0])
    problem = SimpleNamespace(n_users=n_users, n_scatterers=n_scatterers)
    places = rng.uniform(0.0, 4.0, (2, n_users + n_scatterers, 3))
    peaks = rng.uniform(0.0, 4.0, (2, n_users, n_peaks, 3))
    peaks[0, 0, 0, 1] = places[0, 2, 1] + 0.1  # beside the first scatterer
    peaks[1, 1, 1, 1] = places[1, 3, 1] - 0.1  # beside the second
    peaks[1, 0, 0, 1] = places[1, 1, 1] + 0.1  # beside the other user, which stays
    peaks[0, 1, 2, 0] = 9.0  # a fit that goes back
    behind = rng.uniform(10.0, 29.0, (2, n_users, n_peaks))
    behind[0, 1, 1], behind[1, 0, 2] = 30.5, np.inf  # not worth a fit
    count = np.full(2, n_scatterers)
    none = np.zeros(2)
    paths = FoundPaths(places, np.zeros((2, 2, 3), complex), np.zeros((2, 2)), count, none, variance, none, none)
    trials_ = Trials(np.zeros((2, 1, 1), complex), np.arange(2), np.zeros((2, 2, 1), complex), variance)
    weights = rng.uniform(0.5, 3.0, (n_users + n_scatterers, 3))

    def unresolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one[..., 1] - other[..., 1]) < 0.2

    def cost(_: Any, some: FoundPaths) -> np.ndarray:
        return 40 + 15 * np.sum(np.sin(some.places * weights), axis=(-2, -1))

    def refined(_: Any, some: FoundPaths) -> FoundPaths:
        back = some.places.copy()
        back[:, 1][back[:, 1, 0] > 8] = places[0, 1]
        return some._replace(places=back)

    pursuit: Any = SimpleNamespace(xp=np, problem=problem, unresolved=unresolved, cost=cost, refined=refined)
    expected, where_it_is = behind.copy(), behind.copy()
    for t, user, rank in np.ndindex(behind.shape):
        if behind[t, user, rank] >= 30:
            continue
        for exchange in (False, True):
            start = places[t : t + 1].copy()
            start[0, user] = peaks[t, user, rank]
            for k in (2, 3) if exchange else ():
                if abs(places[t, k, 1] - peaks[t, user, rank, 1]) < 0.2:
                    start[0, k] = places[t, user]
            fit = refined(None, paths._replace(places=start))
            if not unresolved(fit.places[0, user], places[t, user]):
                after = (cost(None, fit) - cost(None, paths)[t])[0] / variance[t]
                expected[t, user, rank] = min(expected[t, user, rank], after)
                if not exchange:
                    where_it_is[t, user, rank] = min(where_it_is[t, user, rank], after)
    assert (expected < behind).sum() > 3
    assert [tuple(one) for one in np.argwhere(expected < where_it_is)] == [(0, 0, 0), (1, 1, 1)]
    of_users: Any = SimpleNamespace(places=peaks)
    np.testing.assert_allclose(confidence._refitted(pursuit, trials_, paths, of_users, behind.copy()), expected)
    problem.n_scatterers = 0
    np.testing.assert_array_equal(confidence._refitted(pursuit, trials_, paths, of_users, behind), behind)
