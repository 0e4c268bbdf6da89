"""Estimators that leave a table's grid: held to brute force over a fine table, with a comb and a shadow's edge."""

import numpy as np
import pytest

from engine import InputError
from engine.estimators import Observations, PosteriorMean, Problem, Workbench
from engine.estimators.refined import (
    Leaves,
    RefinedMaximumLikelihood,
    RefinedPosteriorMean,
    _drawn,
    _enough,
    _settled,
    refined,
    roots,
)
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.pattern import SearchGrid

LAM = 0.02
ARRAY = UniformLinearArray(16, LAM / 2, LAM)
SENSORS = np.radians([50, 65, 80, 95, 110, 125])
EDGE_RAD = 1.4321


def power(range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """Two paths whose lengths differ by 1.6 d: beams of both beat along the range, and one ends at a shadow's edge."""
    away = np.cos(angle_rad)[:, None] - np.cos(SENSORS)
    first = np.exp(-((away / 0.15) ** 2)) * (1 + 2 / range_m[:, None])
    second = 0.4 * np.exp(-(((away + 0.3) / 0.2) ** 2)) * (angle_rad[:, None] < EDGE_RAD)
    beat = np.cos(2 * np.pi * 1.6 * range_m[:, None] / LAM)
    return first**2 + second**2 + 2 * first * second * beat


def problem(n_ranges: int, n_angles: int, snr: float = 40.0) -> Problem:
    return Problem(ARRAY, SearchGrid(2.0, 3.0, 1.2, 1.7, n_ranges, n_angles), (snr,), (20,))


def workbench(asked: Problem) -> Workbench:
    return Workbench(asked, np, {"ray_traced": power(*asked.grid.candidates())}, {"ray_traced": power})


def drawn(asked: Problem, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, Observations]:
    random = np.random.default_rng(seed)
    range_m, angle_rad = random.uniform(2.1, 2.9, count), random.uniform(1.25, 1.65, count)
    ((snr, n),) = asked.observations()
    statistic = random.noncentral_chisquare(2 * n, 2 * snr * n * power(range_m, angle_rad))
    places = (np.full((count, len(SENSORS)), 100.0), np.broadcast_to(SENSORS, (count, len(SENSORS))))
    return range_m, angle_rad, Observations(statistic[:, None, None], *places)


def log_density(statistic: np.ndarray, noncentrality: np.ndarray, n: int) -> np.ndarray:
    """Of noncentral χ² with 2n degrees of freedom, without its constants, by scipy's Bessel function of order n − 1."""
    from scipy.special import ive

    away = np.sqrt(statistic) - np.sqrt(noncentrality)
    bessel = np.log(ive(n - 1, np.sqrt(statistic * noncentrality)))
    return np.sum(bessel - away**2 / 2 - (n - 1) / 2 * np.log(noncentrality), axis=-1)


def by_brute_force(asked: Problem, statistic: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, standard deviation and highest log-likelihood over 2000 × 500 cells."""
    ((snr, n),) = asked.observations()
    ranges, angles = 2 + (np.arange(2000) + 0.5) / 2000, 1.2 + 0.5 * (np.arange(500) + 0.5) / 500
    value = np.stack([
        log_density(statistic, 2 * snr * n * power(ranges, np.full(2000, angle)), n) for angle in angles
    ])  # fmt: skip
    mass = np.exp(value - value.max()) / np.sum(np.exp(value - value.max()))
    mean = np.array([mass.sum(axis=0) @ ranges, mass.sum(axis=1) @ angles])
    second = np.array([mass.sum(axis=0) @ ranges**2, mass.sum(axis=1) @ angles**2])
    return mean, np.sqrt(second - mean**2), float(value.max())


@pytest.mark.parametrize(("n_ranges", "n_angles"), [(12, 10), (25, 30)])
def test_as_by_brute_force(n_ranges: int, n_angles: int) -> None:
    """Of a fine table, whichever grid it began with, where the posterior has some hundred teeth.

    To a fifth of the posterior's own spread: a sample of cells adds a twenty-fifth to a mean squared error at most.
    """
    asked = problem(n_ranges, n_angles)
    bench = workbench(asked)
    _, _, observations = drawn(asked, 3, seed=5)
    batch = bench.batch(observations)
    mean = RefinedPosteriorMean(beam=6400).prepare(bench)(batch)
    top = RefinedMaximumLikelihood(beam=6400).prepare(bench)(batch)
    for b in range(3):
        statistic = observations.statistic[b, 0, 0]
        expected, spread, best = by_brute_force(asked, statistic)
        assert abs(mean.range_m[b, 0, 0] - expected[0]) < 0.2 * spread[0]
        assert abs(mean.angle_rad[b, 0, 0] - expected[1]) < 0.2 * spread[1]
        found = np.array([top.range_m[b, 0, 0]]), np.array([top.angle_rad[b, 0, 0]])
        ((snr, n),) = asked.observations()
        assert log_density(statistic, 2 * snr * n * power(*found), n).item() > best - 0.5


def test_the_grid_is_left() -> None:
    """Users in the middle between candidates, well heard: all mass over a grid is at one candidate, and none of them is
    nearer than half a cell along either axis. Off the grid estimates are."""
    asked = problem(25, 30, snr=4e4)
    bench = workbench(asked)
    step_m, step_rad = 1 / 24, 0.5 / 29
    range_m, angle_rad = 2 + step_m * np.array([5.5, 12.5, 17.5]), 1.2 + step_rad * np.array([6.5, 15.5, 21.5])
    ((snr, n),) = asked.observations()
    statistic = np.random.default_rng(4).noncentral_chisquare(2 * n, 2 * snr * n * power(range_m, angle_rad))
    places = (np.full((3, len(SENSORS)), 100.0), np.broadcast_to(SENSORS, (3, len(SENSORS))))
    batch = bench.batch(Observations(statistic[:, None, None], *places))

    def cells_away(estimator: PosteriorMean | RefinedPosteriorMean) -> tuple[np.ndarray, np.ndarray]:
        found = estimator.prepare(bench)(batch)
        away = found.range_m[:, 0, 0] - range_m, found.angle_rad[:, 0, 0] - angle_rad
        return np.abs(away[0]) / step_m, np.abs(away[1]) / step_rad

    on = cells_away(PosteriorMean(leakage="ray_traced", off_grid=False))
    assert min(on[0].min(), on[1].min()) > 0.49
    off = cells_away(RefinedPosteriorMean(beam=6000))
    assert off[0].max() < 0.49
    assert off[1].max() < 0.1


def test_begins_with_cells_of_a_part_of_a_beam() -> None:
    """Of λ/D = 0.1333 rad an eighth: cells of 50 mrad are cut in three or four, of 10 mrad in none."""
    coarse, fine = problem(6, 11), problem(6, 51)
    begin = roots(coarse, power, power(*coarse.grid.candidates()))
    width = begin.cells.high_rad - begin.cells.low_rad
    assert len(width) == 6 * 11 * 4
    assert width.max() == pytest.approx(0.05 / 4)
    assert np.sum(width * (begin.cells.high_m - begin.cells.low_m)) == pytest.approx(0.5)
    assert begin.power == pytest.approx(power(*begin.cells.middle()), rel=1e-6)
    table = power(*fine.grid.candidates())
    as_it_was = roots(fine, power, table)
    assert as_it_was.power == pytest.approx(table, rel=1e-6)
    assert len(as_it_was.cells.low_m) == 6 * 51


def test_few_cells_stand_for_all() -> None:
    """Under a flat likelihood the weights of a hundred cells are the prior's mass, and spread as it is."""
    asked = problem(40, 30, snr=1e-9)
    ((snr, n),) = asked.observations()
    begin = roots(asked, power, power(*asked.grid.candidates()))
    leaves = refined(asked, power, begin, np.full(len(SENSORS), 2.0 * n), (snr, n), 100)
    area = np.exp(leaves.log_mass - leaves.log_likelihood)
    assert 320 < len(area) <= 400
    assert area.sum() == pytest.approx(1.0 * 0.5, rel=0.02)
    assert area @ leaves.range_m / area.sum() == pytest.approx(2.5, abs=4 * 0.029)  # of a hundred drawn
    assert area @ (leaves.range_m - 2.5) ** 2 / area.sum() == pytest.approx(1 / 12, rel=4 * 0.09)


def test_drawn_by_hand() -> None:
    """Masses 8, 4, 1, 1, 1, 1 and room for 4: the two large ones as they are, of the others two for all."""
    mass = np.array([1.0, 8.0, 1.0, 1.0, 4.0, 1.0, 0.0])
    with np.errstate(divide="ignore"):
        kept, more = _drawn(np.log(mass), 4)
    assert kept[:2].tolist() == [1, 4]
    assert set(kept[2:].tolist()) < {0, 2, 3, 5}
    assert np.exp(more[:2]) == pytest.approx([1, 1])
    assert (mass[kept] * np.exp(more)).sum() == pytest.approx(mass.sum())
    random = np.random.default_rng(0)
    for count in (5, 50, 500):
        log_mass = random.normal(0, 30, 300)
        kept, more = _drawn(log_mass, count)
        assert len(set(kept.tolist())) == len(kept) <= max(count, 5)
        top = log_mass.max()
        total = np.exp(log_mass - top).sum()
        assert np.exp(log_mass[kept] + more - top).sum() == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_enough_by_hand() -> None:
    """A quarter, but as many as have a thousandth of the largest mass, and no more than there may be."""
    one_heavy = np.log(np.r_[1.0, np.full(99, 1e-4)])
    assert _enough(one_heavy, 40) == 10
    assert _enough(np.zeros(100), 40) == 40
    assert _enough(np.log(np.r_[np.full(17, 2e-3), 1.0, np.full(80, 5e-4)]), 40) == 18
    assert _enough(np.full(5, -np.inf), 41) == 11


def test_settled_by_hand() -> None:
    """Two children each of five cells: alike, unlike, unlike and light, beside a wall, and light beside others."""
    first, second = [0.0, 0.0, -9.0, -np.inf, -2.0], [0.4, 0.6, -12.0, 0.0, -1.0]
    looked = np.array([*first, *second])
    none = [Leaves(*(np.zeros(0) for _ in range(4)))]
    assert _settled(looked, looked, 5, none).tolist() == 2 * [True, False, True, True, False]
    heavy = [Leaves(*(np.full(1, 7.0) for _ in range(4)))]
    assert _settled(looked, looked, 5, heavy).tolist() == 2 * [True, False, True, True, True]
    assert _settled(looked, looked + 8, 5, heavy).tolist() == 2 * [True, False, True, True, False]
    assert _settled(np.full(4, -np.inf), np.full(4, -np.inf), 2, none).all()


def test_an_edge_is_not_smoothed() -> None:
    """Users on both sides of the shadow's edge, 2 mrad from it: never put on the other one where that is unlikely."""
    asked = problem(25, 30, snr=4000.0)
    bench = workbench(asked)
    estimate = RefinedMaximumLikelihood(beam=400).prepare(bench)
    random = np.random.default_rng(2)
    ((snr, n),) = asked.observations()
    for side in (-2e-3, 2e-3):
        place = np.array([2.4]), np.array([EDGE_RAD + side])
        statistic = random.noncentral_chisquare(2 * n, 2 * snr * n * power(*place))
        seen = Observations(statistic[:, None, None], np.full((1, 6), 100.0), SENSORS[None])
        found = estimate(bench.batch(seen))
        assert np.sign(found.angle_rad.item() - EDGE_RAD) == np.sign(side)
        assert abs(found.angle_rad.item() - place[1][0]) < 1.5e-3


def test_places_where_nobody_can_be() -> None:
    """They have no mass; where nobody can be anywhere near, there is no estimate to be had of them."""

    def walled(range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
        return np.where((range_m > 2.5)[:, None], np.nan, power(range_m, angle_rad))

    asked = problem(25, 30)
    bench = Workbench(asked, np, {"ray_traced": walled(*asked.grid.candidates())}, {"ray_traced": walled})
    range_m, _, observations = drawn(asked, 6, seed=9)
    found = RefinedPosteriorMean(beam=200).prepare(bench)(bench.batch(observations))
    assert (found.range_m <= 2.5).all()
    assert (range_m > 2.5).any()


def test_what_has_no_exact_powers_is_refused() -> None:
    asked = problem(5, 5)
    bench = Workbench(asked, np, {"ray_traced": power(*asked.grid.candidates())})
    with pytest.raises(InputError, match="known on the grid alone"):
        RefinedPosteriorMean().prepare(bench)
    with pytest.raises(InputError, match="choose leakage='ray_traced'"):
        RefinedMaximumLikelihood(leakage="spherical").prepare(workbench(asked))
