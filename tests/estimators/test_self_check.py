"""What estimators know against their own estimates."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from random_scenes import model_of, random_scene

from engine.estimators import (
    Estimates,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Problem,
    Workbench,
    rivals,
)
from engine.estimators.doubt import Doubt, in_words
from engine.estimators.likelihood import Local
from engine.estimators.posterior import Posterior
from engine.estimators.rivals import Searched
from engine.estimators.self_check import _HEAPED, _at_an_end, of_peaks
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage_names import model_named
from engine.numerics.pattern import SearchGrid


def _checks(problem: Problem, seen: Observations, model: object) -> dict[str, np.ndarray]:
    workbench = Workbench(problem, np)
    batch = workbench.batch(seen)
    found = {}
    for kind in (LeastSquares, MaximumLikelihood, PosteriorMean):
        estimator = kind(leakage=model)
        found[estimator.name] = estimator.self_check(batch, estimator.prepare(workbench)(batch))[:, 0, 0]
    return found


def test_sound_where_much_is_heard_and_in_doubt_where_nothing_is() -> None:
    scene = random_scene(30, 12)
    loud = _checks(scene.problem, scene.seen, model_of(scene))
    assert np.all(loud["least_squares"] == Doubt.UNCHECKED)
    assert np.mean(loud["maximum_likelihood"] == 0) > 0.9
    noise = np.random.default_rng(1).chisquare(2 * scene.problem.n_snapshots[0], scene.seen.statistic.shape)
    array = scene.problem.array
    faint = Problem(array, scene.problem.grid, (1e-3,), scene.problem.n_snapshots)
    nothing = _checks(faint, scene.seen._replace(statistic=noise), model_of(scene))
    assert np.all(nothing["maximum_likelihood"] > 0)


def test_users_beyond_the_area_are_said_to_be_at_its_edge() -> None:
    scene = random_scene(30, 12)
    grid = scene.problem.grid
    narrower = SearchGrid(grid.range_min_m, grid.range_max_m, grid.angle_min_rad, grid.angle_min_rad + 0.2)
    elsewhere = scene.user_rad > narrower.angle_max_rad + 0.1
    assert elsewhere.sum() > 5
    problem = Problem(scene.problem.array, narrower, scene.problem.snr, scene.problem.n_snapshots)
    found = _checks(problem, scene.seen, model_of(scene))
    assert np.mean(found["maximum_likelihood"][elsewhere] > 0) > 0.4


def test_flags_in_words() -> None:
    assert in_words(0) == ""
    assert in_words(int(Doubt.NOT_FINITE)) == "no estimate"


def _held(shares: list[float], away_in_deviations: list[float], end: str) -> tuple[Posterior, tuple[np.ndarray, ...]]:
    """A posterior over three angles of an area from 2 to 5 m, whose ranges have deviation 0.1 m at each of them."""
    mass, away = np.array([[shares]]), 0.1 * np.array([[away_in_deviations]])
    range_m = 2 + away if end == "min" else 5 - away
    about = np.array([[2.2]]), np.array([[1.5]])
    square = mass * (0.1**2 + (range_m - about[0][..., None]) ** 2)
    return Posterior(mass, mass * range_m, mass * 1.5, square, mass), about


@pytest.mark.parametrize("end", ["min", "max"])
def test_posteriors_heaped_against_an_end_of_the_ranges_are_at_the_edge(end: str) -> None:
    """Where the prior ends there, and does not fall to nothing as a Beta's does."""
    grid = SearchGrid(2.0, 5.0, 1.0, 2.0)

    def at_an_end(shares: list[float], away: list[float], alpha: float = 1.0, beta: float = 1.0) -> bool:
        problem = Problem(UniformLinearArray(8, 0.01, 0.02), grid, (1.0,), (1,), alpha, beta)
        return bool(_at_an_end(np, problem, *_held(shares, away, end))[0, 0])

    assert at_an_end([0.0, 3.0, 0.0], [9, 1.1, 9])
    assert not at_an_end([0.0, 3.0, 0.0], [9, 1.3, 9])
    assert at_an_end([0.04, 0.92, 0.04], [9, 0.2, 9])
    assert at_an_end([0.03, 0.94, 0.03], [9, 9, 9])  # the ends of the angles
    assert not at_an_end([0.02, 0.96, 0.02], [9, 9, 9])
    there, elsewhere = (3.0, 1.0) if end == "min" else (1.0, 3.0), (1.0, 3.0) if end == "min" else (3.0, 1.0)
    assert not at_an_end([0.0, 3.0, 0.0], [9, 1.1, 9], *there)
    assert at_an_end([0.0, 3.0, 0.0], [9, 1.1, 9], *elsewhere)


def test_heaped_is_what_a_cut_normal_law_is() -> None:
    """Its top one deviation beyond the end, by quadrature."""
    x = np.linspace(1, 12, 200_001)
    mass = np.exp(-(x**2) / 2)
    mean = np.sum(mass * x) / np.sum(mass)
    deviation = np.sqrt(np.sum(mass * (x - mean) ** 2) / np.sum(mass))
    assert (mean - 1) / deviation == pytest.approx(_HEAPED, rel=1e-4)


def test_the_posterior_mean_knows_of_rivals() -> None:
    scene = random_scene(7, 12, most_elements=64)
    found = _checks(scene.problem, scene.seen, model_of(scene))
    assert np.array_equal(found["posterior_mean"] & Doubt.RIVAL, found["maximum_likelihood"] & Doubt.RIVAL)
    assert 4 < np.count_nonzero(found["posterior_mean"] & Doubt.RIVAL) < 12


def _flags(*, below: float = 9.0, gain: float = 0.0, unseen: bool = False, at: tuple[float, float] = (3.0, 1.5)) -> int:
    """Of a search that found two peaks, the second so much lower, the first still to rise by a step's gain."""
    grid = SearchGrid(2.0, 5.0, 1.0, 2.0)
    n_parts = len(Local._fields)
    peaks = Local(*np.zeros((n_parts, 1, 1, 2)))._replace(value=np.array([[[70.0, 70.0 - below]]]))
    peaks.range_m[:], peaks.angle_rad[:] = at
    peaks.range_range[:], peaks.angle_angle[:] = 4.0, 9.0  # of both halves, as a step divides by them
    peaks.by_range[..., 0], peaks.by_angle[..., 0] = math.sqrt(4.0 * gain / 2), -math.sqrt(9.0 * gain / 2)
    batch: Any = SimpleNamespace(
        once=lambda *_: Searched(peaks, np.array([[unseen]])),
        workbench=SimpleNamespace(problem=SimpleNamespace(grid=grid)),
    )
    estimates = Estimates(peaks.range_m[..., :1], peaks.angle_rad[..., :1])
    return int(of_peaks(batch, model_named("spherical"), estimates)[0, 0, 0])


def test_what_a_search_says_of_its_highest_peak() -> None:
    """A rival is a twentieth as likely, e^-3; a step is expected to add a tenth of log-likelihood."""
    assert _flags() == 0
    assert _flags(below=2.99) == Doubt.RIVAL
    assert _flags(below=3.01) == 0
    assert _flags(gain=0.09) == 0
    assert _flags(gain=0.11) == Doubt.UNFINISHED
    assert _flags(unseen=True) == Doubt.UNSEEN
    assert _flags(below=1.0, gain=1.0, unseen=True) == Doubt.RIVAL | Doubt.UNFINISHED | Doubt.UNSEEN
    for at in ((2.0, 1.5), (5.0, 1.5), (3.0, 1.0), (3.0, 2.0)):
        assert _flags(at=at) == Doubt.EDGE
    assert _flags(at=(math.nan, 1.5)) & Doubt.NOT_FINITE


def test_lists_that_are_full_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room for more than one climb in a round, places are left out beside which higher peaks may stand."""
    scene = random_scene(252, 10)
    whole = _checks(scene.problem, scene.seen, model_of(scene))
    assert not np.any(whole["maximum_likelihood"] & Doubt.UNSEEN)
    monkeypatch.setattr(rivals, "_ROUNDS", ((1, 3), (1, 8)))
    monkeypatch.setattr(rivals, "_MORE_OF_ONE_SENSOR", 0)
    poor = _checks(scene.problem, scene.seen, model_of(scene))
    for name in ("maximum_likelihood", "posterior_mean"):
        assert np.any(poor[name] & Doubt.UNSEEN), poor[name]


def test_a_full_look_far_below_the_highest_says_so() -> None:
    """More ridges above a level than are listed: the highest of them are, and it is said."""
    from engine.numerics import search_cpu

    scene = random_scene(252, 3)
    workbench = Workbench(scene.problem, np).resolving()
    look = workbench.batch(scene.seen).ridges(model_of(scene))
    rows, needed = np.arange(3), np.full(3, -1e9)
    many, full = look(rows, 0, needed)
    assert not full.any()
    n_listed = int(np.count_nonzero(many[0] >= 0))
    room, search_cpu.MANY_MAXIMA = search_cpu.MANY_MAXIMA, n_listed // 2
    try:
        fewer, full = look(rows, 0, needed)
    finally:
        search_cpu.MANY_MAXIMA = room
    assert full[0]
    assert set(fewer[0][fewer[0] >= 0]) < set(many[0])


def _tabulated(expected: np.ndarray, at: int, snr: float, louder: float = 1.0) -> dict[str, int]:
    """Checks of both searches on a grid of 5 angles × 4 ranges of a user at candidate `at`, as loud as can be.

    louder: one sensor than the table says."""
    grid = SearchGrid(2.0, 5.0, 1.0, 2.0, n_ranges=4, n_angles=5)
    problem = Problem(UniformLinearArray(8, 0.01, 0.02), grid, (snr,), (4,))
    workbench = Workbench(problem, np, {"ray_traced": expected})
    power = expected[at].copy()
    power[2] *= louder
    statistic = 8 * (1 + snr * power)
    n_sensors = expected.shape[1]
    seen = Observations(statistic[None, None, None], np.full((1, n_sensors), 99.0), np.full((1, n_sensors), 1.0))
    batch = workbench.batch(seen)
    kinds = MaximumLikelihood(leakage="ray_traced", steps=0), PosteriorMean(leakage="ray_traced", off_grid=False)
    return {one.name: int(one.self_check(batch, one.prepare(workbench)(batch))[0, 0, 0]) for one in kinds}


def test_searches_of_a_table_check_themselves() -> None:
    expected = np.random.default_rng(3).uniform(0.1, 1.0, (20, 6))
    both = ("maximum_likelihood", "posterior_mean")
    assert _tabulated(expected, 9, 1e3) == dict.fromkeys(both, 0)
    corner = _tabulated(expected, 0, 1e3)
    assert all(corner[name] == Doubt.EDGE for name in both)
    end_of_ranges = _tabulated(expected, 7, 1e3)  # at the longest range, in between the angles
    assert end_of_ranges["maximum_likelihood"] == Doubt.EDGE
    expected[17] = expected[9]  # another place with the same powers, apart from the first
    assert all(_tabulated(expected, 9, 1e3)[name] & Doubt.RIVAL for name in both)
    expected[17], expected[10] = expected[16], expected[9]  # beside it: the same place
    assert all(not _tabulated(expected, 9, 1e3)[name] & Doubt.RIVAL for name in both)


def test_what_no_candidate_of_a_table_explains_is_said() -> None:
    """A sensor's power has a relative deviation of some 0.3; a true place misses the data by χ² with six degrees of
    freedom, above 22.5 once in a thousand."""
    expected = np.random.default_rng(3).uniform(0.4, 1.0, (20, 6))
    for louder, doubted in ((1.5, False), (4.0, True)):
        assert all(bool(flags & Doubt.UNSEEN) == doubted for flags in _tabulated(expected, 9, 10.0, louder).values())
