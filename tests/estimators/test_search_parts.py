"""Parts of the searches against plain loops, dense grids and integrals: steps, ranks, ridges, sums."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.estimators.likelihood import Local
from engine.estimators.peaks import _starts, damped_step, repeated
from engine.estimators.posterior_spread import _closing_in, _distances, _on_ridges, _slips_through
from engine.estimators.problem import Problem
from engine.estimators.ridges import Lines, _newton, _point
from engine.estimators.rivals import _expected, _half_a_cell, _highest_nearby, _in_order, _known, _Places, _rank
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.pattern import SearchGrid

GRID = SearchGrid(2.0, 5.0, 1.0, 2.0, n_ranges=40, n_angles=50)
ARRAY = UniformLinearArray(8, 0.01, 0.02)
CELL_M, CELL_RAD = 0.3, 0.02


def celled() -> Any:
    """A grid with cells of one size."""
    bounds = {name: getattr(GRID, name) for name in ("range_min_m", "range_max_m", "angle_min_rad", "angle_max_rad")}
    return SimpleNamespace(
        cell=lambda range_m, _: (np.full_like(range_m, CELL_M), np.full_like(range_m, CELL_RAD)), **bounds
    )


def places(shape: tuple[int, ...], seed: int, slope: float = 1.0) -> Local:
    """Of random likelihoods, with slopes of about so many deviations and information of any correlation."""
    random = np.random.default_rng(seed)
    rr, aa = 10 ** random.uniform(-1, 3, shape), 10 ** random.uniform(2, 6, shape)
    ra = random.uniform(-0.95, 0.95, shape) * np.sqrt(rr * aa)
    by_range, by_angle = slope * random.standard_normal((2, *shape)) * np.sqrt([rr, aa])
    at = random.uniform(2.5, 4.5, shape), random.uniform(1.2, 1.8, shape)
    return Local(*at, 10 * random.standard_normal(shape), by_range, by_angle, rr, ra, aa)


def one_of(at: Local, *index: int) -> Local:
    return Local(*(part[index] for part in at))


def test_damped_steps_solve_their_equations() -> None:
    at, damping = places((9,), 1), 10 ** np.linspace(-3, 2, 9)
    steps = np.stack(damped_step(np, at, damping, GRID))
    for i in range(9):
        here = one_of(at, i)
        information = np.array([[here.range_range, here.range_angle], [here.range_angle, here.angle_angle]])
        damped = information + damping[i] * np.diag(np.diag(information))
        assert np.allclose(damped @ steps[:, i], [here.by_range, here.by_angle])


@pytest.mark.parametrize(("end", "sign"), [("min", -1.0), ("max", 1.0)])
def test_steps_go_along_the_border_that_is_in_the_way(end: str, sign: float) -> None:
    at, none = places((2,), 2), np.zeros(2)
    at = at._replace(by_range=sign * np.abs(at.by_range), by_angle=sign * np.abs(at.by_angle))
    range_m, angle_rad = (np.full(2, getattr(GRID, name)) for name in (f"range_{end}_m", f"angle_{end}_rad"))
    step_m, step_rad = damped_step(np, at._replace(range_m=range_m), none, GRID)
    assert np.all(step_m == 0)
    assert np.allclose(step_rad, at.by_angle / at.angle_angle)
    step_m, step_rad = damped_step(np, at._replace(angle_rad=angle_rad), none, GRID)
    assert np.all(step_rad == 0)
    assert np.allclose(step_m, at.by_range / at.range_range)
    inward = at._replace(range_m=range_m, by_range=-at.by_range)
    assert np.array_equal(
        damped_step(np, inward, none, GRID), damped_step(np, inward._replace(range_m=none + 3), none, GRID)
    )
    assert np.all(np.stack(damped_step(np, at._replace(range_range=none, range_angle=none), none, GRID)) == 0)


def test_repeated_are_peaks_near_one_before_them() -> None:
    random = np.random.default_rng(1)
    peaks = Local(*(np.repeat(part, 7, axis=-1) for part in places((3, 2, 1), 3)))
    peaks.range_m[:] += 0.15 * random.standard_normal((3, 2, 7)) / np.sqrt(peaks.range_range)
    peaks.angle_rad[:] += 0.15 * random.standard_normal((3, 2, 7)) / np.sqrt(peaks.angle_angle)
    peaks.range_angle[:] *= random.uniform(0.5, 1.0, (3, 2, 7))
    found = repeated(np, peaks)
    for b, m, p in np.ndindex(found.shape):
        here = one_of(peaks, b, m, p)
        information = np.array([[here.range_range, here.range_angle], [here.range_angle, here.angle_angle]])
        away = [
            np.array([here.range_m - peaks.range_m[b, m, q], here.angle_rad - peaks.angle_rad[b, m, q]])
            for q in range(p)
        ]
        assert found[b, m, p] == any(off @ information @ off < 0.05 for off in away)
    assert 0.2 < found.mean() < 0.8


def test_what_is_expected_beside_a_place_is_the_highest_of_a_dense_grid() -> None:
    for slope in (0.1, 1.0, 30.0):
        at = places((30,), 4, slope)
        off_m, off_rad = np.meshgrid(np.linspace(-CELL_M, CELL_M, 401), np.linspace(-CELL_RAD, CELL_RAD, 401))
        found = _expected(celled(), at)
        for i in range(30):
            here = one_of(at, i)
            gain = here.by_range * off_m + here.by_angle * off_rad - here.range_angle * off_m * off_rad
            gain -= 0.5 * (here.range_range * off_m**2 + here.angle_angle * off_rad**2)
            # A step of the dense grid costs that much at the top.
            near = (math.sqrt(here.range_range) * CELL_M + math.sqrt(here.angle_angle) * CELL_RAD) / 400
            assert gain.max() - 1e-9 <= found[i] <= gain.max() + near**2 + 1e-9


def test_half_a_cell_is_the_most_of_its_corners_whatever_the_correlation() -> None:
    at = places((20,), 5)
    found = _half_a_cell(celled(), at)
    at = at._replace(range_angle=np.sqrt(at.range_range * at.angle_angle))
    corner = np.array([CELL_M / 2, CELL_RAD / 2])
    for i in range(20):
        here = one_of(at, i)
        information = np.array([[here.range_range, here.range_angle], [here.range_angle, here.angle_angle]])
        assert found[i] == pytest.approx(0.5 * corner @ information @ corner)


def listed(seed: int, n_ranges: int, n_angles: int) -> tuple[_Places, np.ndarray]:
    """Half of the candidates of four observations, and heights with ties."""
    random = np.random.default_rng(seed)
    b, m, candidate = np.nonzero(random.random((2, 2, n_ranges * n_angles)) < 0.5)
    height = random.integers(0, 12, len(b)).astype(float)
    return _Places(b, m, candidate, *np.zeros((2, len(b)))), height


def test_highest_nearby_and_ranks_are_those_of_loops() -> None:
    n_ranges = 5
    where, height = listed(6, n_ranges, 7)
    nearby, rank = _highest_nearby(where, height, n_ranges), _rank(where.b, where.m, height)
    for i, candidate in enumerate(where.candidate):
        mine = [j for j in range(len(height)) if where.b[j] == where.b[i] and where.m[j] == where.m[i]]
        rows, columns = where.candidate // n_ranges, where.candidate % n_ranges
        apart = np.maximum(abs(rows - candidate // n_ranges), abs(columns - candidate % n_ranges))
        assert nearby[i] == all(height[j] <= height[i] for j in mine if apart[j] <= 1)
        assert rank[i] == sorted(mine, key=lambda j: (-height[j], j)).index(i)
    assert 0.05 < nearby.mean() < 0.5


def test_peaks_stand_in_order_each_with_its_own_place() -> None:
    peaks, random = places((3, 2, 9), 11), np.random.default_rng(12)
    peaks = peaks._replace(range_range=peaks.range_range * 1e9, range_angle=0 * peaks.range_angle)  # none repeated
    peaks.value[random.random((3, 2, 9)) < 0.4] = -math.inf
    found = _in_order(peaks)
    assert found.value.shape[-1] == np.isfinite(peaks.value).sum(axis=-1).max()
    for b, m in np.ndindex(3, 2):
        finite = np.isfinite(peaks.value[b, m])
        expected = sorted(zip(-peaks.value[b, m][finite], peaks.range_m[b, m][finite], strict=True))
        some = np.isfinite(found.value[b, m])
        assert list(zip(-found.value[b, m][some], found.range_m[b, m][some], strict=True)) == expected
        assert not some[len(expected) :].any()


def test_known_are_places_that_a_step_leads_to_a_peak() -> None:
    at = places((1,), 7, slope=0.0)
    deviation_m = 1 / math.sqrt(at.range_range[0])
    found = Local(*(np.broadcast_to(part, (1, 1, 30)).copy() for part in at))
    found.range_m[0, 0, 1:] = 99.0
    one = np.zeros(1, dtype=int)

    def known(off: float, above: float) -> bool:
        there = at._replace(range_m=at.range_m + off * deviation_m)
        return bool(_known(found, one, one, there, at.value + above, celled())[0])

    assert known(0.99, 0.09)
    assert known(-0.99, -5.0)
    assert not known(1.01, 0.0)
    assert not known(0.5, 0.11)
    turned = at._replace(angle_rad=at.angle_rad + 0.99 / np.sqrt(at.angle_angle))
    assert _known(found, one, one, turned, at.value, celled())[0]
    stepped = at._replace(range_m=at.range_m + 3 * deviation_m, by_range=-3 * deviation_m * at.range_range)
    stepped = stepped._replace(by_angle=-3 * deviation_m * at.range_angle)  # scoring leads back
    assert _known(found, one, one, stepped, at.value, celled())[0]
    found.value[..., -24:] = math.inf  # rivals' own places are not looked at
    found.range_m[...] = 99.0
    found.range_m[..., -24:] = at.range_m[0]
    assert not known(0.0, 0.0)


def a_line(mean_m: float, deviation_m: float, level: float) -> Lines:
    range_m = mean_m + np.linspace(-8, 8, 97) * deviation_m
    log_mass = level - 0.5 * ((range_m - mean_m) / deviation_m) ** 2
    angle_rad = 1.5 + 0.1 * (range_m - mean_m)
    return Lines(*(part[None] for part in (range_m, angle_rad, log_mass, 0 * range_m + 0.1, 0 * range_m + 1e-3)))


@pytest.mark.parametrize("level", [0.0, -900.0, 900.0])
def test_sums_along_a_line_are_a_gaussians(level: float) -> None:
    line = a_line(3.0, 0.05, level)
    nothing = line._replace(log_mass=np.full_like(line.log_mass, -math.inf))
    log_total, mean, variance = Lines(*(np.concatenate(pair) for pair in zip(line, nothing, strict=True))).sums(np)
    assert log_total[0] == pytest.approx(level + math.log(0.05 * math.sqrt(2 * math.pi)), abs=1e-6)
    assert np.allclose(mean[0], [3.0, 1.5], atol=1e-9)
    assert np.allclose(variance[0], [0.05**2, (0.1 * 0.05) ** 2 + 1e-6], rtol=1e-6)
    assert log_total[1] == -math.inf


def test_angles_of_a_line_reach_four_deviations_beyond_what_matters() -> None:
    line = a_line(3.0, 0.05, 5.0)
    some = 0.5 * ((line.range_m - 3) / 0.05) ** 2 < 16
    for least, reach in ((0.0, 4e-3), (0.02, 0.02)):
        low, high = line.angles(np, np.array([least]))
        assert low[0] == pytest.approx(line.angle_rad[some].min() - reach)
        assert high[0] == pytest.approx(line.angle_rad[some].max() + reach)


def test_points_of_a_line_hold_the_integral_over_the_angle() -> None:
    at = places((4, 1, 1), 8, slope=0.7)
    problem = SimpleNamespace(log_range_prior=lambda _, range_m: 0.3 * range_m)
    likelihood: Any = SimpleNamespace(problem=problem)
    found = _point(np, likelihood, at, np.full(4, 2.0))
    for i in range(4):
        here = one_of(at, i, 0, 0)
        x = np.linspace(-12, 12, 4001) / math.sqrt(here.angle_angle)
        density = np.exp(here.value + here.by_angle * x - here.angle_angle * x * x / 2)
        integral = np.sum(density) * (x[1] - x[0])
        assert found.log_mass[i] == pytest.approx(math.log(integral) + 0.3 * here.range_m - 2.0)
        assert found.angle_rad[i] == pytest.approx(here.angle_rad + np.sum(density * x) / np.sum(density))
        assert found.deviation_rad[i] == pytest.approx(here.angle_angle**-0.5)
        assert found.slope[i] == pytest.approx(-here.range_angle / here.angle_angle)
    flat = at._replace(angle_angle=np.zeros((4, 1, 1)))
    assert np.all(_point(np, likelihood, flat, np.zeros(4)).log_mass == -math.inf)
    far = at._replace(by_angle=50 * np.sqrt(at.angle_angle))
    assert np.allclose(_newton(np, far), 3 / np.sqrt(at.angle_angle))  # at most three deviations
    assert np.all(_newton(np, far._replace(angle_angle=-at.angle_angle)) == 0)


class Gaussian:
    """A likelihood of Gaussian shape, in place of one of powers."""

    def __init__(self, mean: tuple[float, float], information: tuple[float, float, float], grid: SearchGrid) -> None:
        self.mean, self.information = mean, information
        self.problem = SimpleNamespace(grid=grid, log_range_prior=lambda _, range_m: np.zeros_like(range_m))

    def at(self, _: Any, range_m: np.ndarray, angle_rad: np.ndarray) -> Any:
        r, a = range_m - self.mean[0], angle_rad - self.mean[1]
        rr, ra, aa = self.information
        return SimpleNamespace(value=700 - 0.5 * (rr * r * r + 2 * ra * r * a + aa * a * a))

    def peaks(self) -> Local:
        parts = (*self.mean, 700.0, 0.0, 0.0, *self.information)
        return Local(*(np.array([part]) for part in parts))

    def distances(self, centre: np.ndarray) -> np.ndarray:
        rr, ra, aa = self.information
        covariance = np.linalg.inv(np.array([[rr, ra], [ra, aa]]))
        return np.asarray(np.sqrt(np.diag(covariance) + (np.array(self.mean) - centre) ** 2))


@pytest.mark.parametrize("scale", [1.0, 4.0, 100.0])
def test_distances_are_those_of_a_gaussian(scale: float) -> None:
    """Along the ridge; and by a grid that closes in, where it does not slip through."""
    likelihood: Any = Gaussian((3.3, 1.6), (60 * scale**2, 100 * scale**2, 1500 * scale**2), GRID)
    centre = np.array([3.3 + 0.02, 1.6 - 0.003])
    expected = likelihood.distances(centre)
    ridge = _on_ridges(likelihood, likelihood.peaks())
    assert np.allclose(_distances(likelihood, *ridge, centre), expected, rtol=0.002)
    if scale < 100:
        closer = _distances(likelihood, *_closing_in(likelihood), centre)
        assert np.allclose(closer, expected, rtol=0.01)
    assert _slips_through(GRID, likelihood.peaks()) == (scale > 1)
    round_peak = Gaussian((3.3, 1.6), (60.0, 0.0, 1500.0), GRID).peaks()
    wide, narrow_m, narrow_rad = (round_peak._replace(**part) for part in (
        {}, {"range_range": np.array([180.0])}, {"angle_angle": np.array([2500.0])},
    ))  # fmt: skip
    assert [_slips_through(GRID, one) for one in (wide, narrow_m, narrow_rad)] == [False, True, True]
    singular = narrow_m._replace(range_angle=np.sqrt(180.0 * 1500.0) * np.ones(1) * (1 + 1e-9))
    assert not _slips_through(GRID, singular)


def test_ridges_end_where_the_area_does() -> None:
    likelihood: Any = Gaussian((4.99, 1.003), (60e2, 0.0, 9e5), GRID)
    range_m, angle_rad, area = _on_ridges(likelihood, likelihood.peaks())
    assert range_m.max() == 5.0
    assert angle_rad.min() == 1.0
    x = np.linspace(-8, 8, 160_001)  # each coordinate's Gaussian cut at the area's end
    for places_of, end, mean, information in ((range_m, 5.0, 4.99, 60e2), (angle_rad, 1.0, 1.003, 9e5)):
        at = mean + x / math.sqrt(information)
        inside = at <= end if end > mean else at >= end
        mass = np.exp(-0.5 * x * x) * inside
        expected = math.sqrt(np.sum(mass * (at - mean) ** 2) / np.sum(mass))
        found = _distances(likelihood, range_m, angle_rad, area, np.array([4.99, 1.003]))
        assert found[0 if places_of is range_m else 1] == pytest.approx(expected, rel=0.03)


def test_a_place_without_any_mass_has_no_distance() -> None:
    likelihood: Any = Gaussian((3.0, 1.5), (1.0, 0.0, 1.0), GRID)
    likelihood.problem.log_range_prior = lambda _, range_m: np.full_like(range_m, -math.inf)
    one = np.array([3.0]), np.array([1.5]), np.array([1.0])
    assert np.all(np.isnan(_distances(likelihood, *one, np.zeros(2))))


def test_climbs_start_at_the_likeliest_candidate_and_at_every_other_peak() -> None:
    angles, mass = GRID.angles_rad(), np.random.default_rng(9).uniform(0.5, 2.0, (1, 1, 50))
    peaks = np.array([[[7, 0, 49, 3, -1]]])
    surface: Any = SimpleNamespace(
        likely=np.array([[3 * 40 + 11]]), peaks=peaks, angle_mass=mass, angle_range_m=mass * np.linspace(2, 5, 50)
    )
    problem: Any = SimpleNamespace(grid=GRID, places=Problem(ARRAY, GRID, (1.0,), (1,)).places)
    batch: Any = SimpleNamespace(workbench=SimpleNamespace(xp=np, problem=problem))
    range_m, angle_rad, some = (part[0, 0] for part in _starts(batch, surface))
    assert some.tolist() == [True, True, True, True, False, False]  # the fourth is the likeliest candidate's own
    assert angle_rad[some] == pytest.approx(angles[[3, 7, 0, 49]])
    assert range_m[some] == pytest.approx([GRID.ranges_m()[11], *np.linspace(2, 5, 50)[[7, 0, 49]]])
