"""Family A's Weiss-Weinstein bound against one that shares no code, and the choice among windows."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from threadpoolctl import threadpool_limits

from engine import Streams
from engine.numerics.bhattacharyya import stabilised
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import leakage
from engine.numerics.like_groups import like_groups
from engine.numerics.prior_lattice import Lattice, PlacePrior, Window, lattices
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.scene import Geometry
from scenarios.leakage.weiss_weinstein import (
    _Narrow,
    _over_all,
    bounds_in_groups,
    lowered,
    prepare_weiss_weinstein,
)

SMALL = LeakageEstimation(
    n_elements=6, carrier_hz=28e9, n_sensors=3, leakage="spherical", user_range_min_m=0.05, user_range_max_m=0.3,
    sensor_range_min_m=5.0, sensor_range_max_m=9.0, noise_dbm=(-70.0,), n_snapshots=(2,),
)  # fmt: skip


def sensors(scene: LeakageEstimation) -> tuple[np.ndarray, np.ndarray]:
    drawn = scene.draw_geometry(Streams(4, 0), 1)
    return drawn.sensor_range_m[0], drawn.sensor_angle_rad[0]


def literal_leakage(scene: LeakageEstimation, range_m: float, angle_rad: float, at_rad: float) -> float:
    """|Σ e^{jk(r_n − d)} e^{jk x_n cos ψ}|²/N, waves spherical at the user and plane at the sensor."""
    wavelength_m = 299_792_458.0 / scene.carrier_hz
    total = 0j
    for n in range(scene.n_elements):
        x = (n - (scene.n_elements - 1) / 2) * scene.spacing_wavelengths * wavelength_m
        distance_m = math.sqrt(range_m**2 + x**2 - 2 * range_m * x * math.cos(angle_rad))
        phase = 2 * math.pi / wavelength_m * (distance_m - range_m + x * math.cos(at_rad))
        total += complex(math.cos(phase), math.sin(phase))
    return abs(total) ** 2 / scene.n_elements


def literal_bound(scene: LeakageEstimation, lattice: Lattice, groups: np.ndarray) -> np.ndarray:
    """The best of all test points in each group, meaned: densities on a fine axis, weights from linear equations."""
    wavelength_m, n = 299_792_458.0 / scene.carrier_hz, scene.n_snapshots[0]
    snr = 10 ** ((scene.transmit_dbm - scene.noise_dbm[0]) / 10)
    total = np.zeros(2)
    for group in groups:
        overlap = np.ones((len(group), len(group)))
        for sensor_m, sensor_rad in zip(*sensors(scene), strict=True):
            gain = (wavelength_m / (4 * math.pi * sensor_m)) ** 2
            powers = [
                2 * n * snr * gain * literal_leakage(scene, lattice.range_m[g], lattice.angle_rad[g], sensor_rad)
                for g in group
            ]
            r = np.linspace(1e-6, math.sqrt(max(powers)) + math.sqrt(2 * n) + 9, 6001)
            roots = [np.sqrt(2 * r * scipy.stats.ncx2.pdf(r * r, 2 * n, power)) for power in powers]
            for g, h in itertools.product(range(len(group)), repeat=2):
                overlap[g, h] *= np.trapezoid(roots[g] * roots[h], r)
        weight = lattice.weight[group] / lattice.weight[group].sum()
        b = np.sqrt(np.outer(weight, weight)) * overlap
        for q, place in enumerate((lattice.range_m[group], lattice.angle_rad[group])):
            c = np.diag(place) @ b - b @ np.diag(place)
            one = np.eye(len(group))
            k = np.linalg.lstsq(np.kron(b, one) + np.kron(one, b), c.ravel(), rcond=1e-13)[0]
            total[q] += lattice.weight[group].sum() * 0.5 * float(k @ c.ravel())
    return total


@pytest.mark.parametrize("depth", [0, 1])
def test_it_is_the_literal_one_on_a_small_scene(depth: int) -> None:
    angles = SMALL.user_angle_min_rad, SMALL.user_angle_max_rad
    (lattice,) = lattices(PlacePrior(0.05, 0.3, *angles), Window(n_ranges=4), 24)
    range_m, angle_rad = sensors(SMALL)
    g = leakage(
        SMALL.leakage, SMALL.array(), range_m=lattice.range_m[None], angle_rad=lattice.angle_rad[None],
        sensor_angle_rad=angle_rad[None], sensor_inverse_range_per_m=0 / range_m[None],
    ).value[0]  # fmt: skip
    seen = stabilised(2 * 2 * SMALL.snr()[0] * path_gain(range_m, SMALL.array().wavelength_m) * g, 2)
    found, alike = bounds_in_groups(lattice, seen, depth, 2)
    expected = literal_bound(SMALL, lattice, like_groups(seen, depth))
    assert 1.5 < alike < 12
    assert np.all(expected > 0.01 * np.array(SMALL.variance_of_draws()))
    assert np.all(expected < 0.85 * np.array(SMALL.variance_of_draws()))
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_lattice_of_places_that_are_told_apart_gives_nothing() -> None:
    """Its mean over offsets would be far from its value at a few."""
    (lattice,) = lattices(PlacePrior(0.05, 0.3, 0.5, 2.5), Window(n_ranges=4), 24)
    seen = 100 * np.random.default_rng(1).random((24, 3))
    found, alike = bounds_in_groups(lattice, seen, 1, 2)
    assert np.all(found == 0)
    assert alike == pytest.approx(1, abs=0.1)


def test_a_mean_over_positions_is_lowered_by_what_it_may_be_off() -> None:
    """Two standard errors of a mean; of what neighbours have in common, none, and nothing is below zero."""
    random = np.random.default_rng(2)
    each = random.exponential(size=(3000, 4, 10, 2)) * np.array([1.0, 3.0])
    found = np.array([lowered(one) for one in each])
    error = each.std(axis=(1, 2)).mean(axis=0) / math.sqrt(40)
    assert found.mean(axis=0) == pytest.approx([1 - 2 * error[0], 3 - 2 * error[1]], rel=0.05)
    assert np.all((found > [1.0, 3.0]).mean(axis=0) < 0.04)
    slowly = np.repeat(random.exponential(size=(4, 5, 1)), 2, axis=1)
    assert lowered(slowly) == pytest.approx(slowly.mean())
    assert (
        lowered(np.concatenate([slowly, slowly[:, :1] + 9], axis=1))
        == pytest.approx(  # an odd one out has no pair
            np.concatenate([slowly, slowly[:, :1] + 9], axis=1).mean()
        )
    )
    assert lowered(np.array([[[0.0], [1.0]]])) == 0


def test_a_chosen_window_is_looked_at_from_elsewhere() -> None:
    """At every range and angle once, in their order, wherever there are so many; the prior's share is the same."""
    prior = PlacePrior(2.0, 12.0, 0.5, 2.5)
    window = _Narrow(prior, Window(64, 4, at_angles=4, at_ranges=4, n_ranges=3, range_power=-1.0), 12)
    assert len(window.to_choose) == 16
    n_angles, each = window.at_positions
    assert (n_angles, len(each)) == (32, 4 * 32)
    nearest = np.array([one.range_m.min() for one in each]).reshape(4, 32)
    least = np.array([one.angle_rad.min() for one in each]).reshape(4, 32)
    assert np.all(nearest[1:].min(axis=1) > nearest[:-1].max(axis=1))
    assert np.all(np.diff(least, axis=1) > 0)
    assert not any(np.array_equal(a.angle_rad, b.angle_rad) for a in window.to_choose[1:] for b in each)


def test_realizations_do_not_depend_on_their_block() -> None:
    drawn = SMALL.draw_geometry(Streams(5, 0), 3)
    with threadpool_limits(1):
        bound = prepare_weiss_weinstein(SMALL, np, 24)
        together = np.array(bound(drawn))
        alone = [np.array(bound(Geometry(*(part[b : b + 1] for part in drawn)))) for b in range(3)]
    assert np.array_equal(together, np.concatenate(alone, axis=1))
    share = together / np.array(SMALL.variance_of_draws())[:, None, None, None]  # of range and angle, in this order
    assert np.all((share[0] > 0.7) & (share[0] < 1.01))
    assert np.all(share[1] < 0.01)


@pytest.mark.parametrize("nodes", [24, 300])
def test_lattices_have_twice_as_many_places_each(nodes: int) -> None:
    prior = PlacePrior(2.0, 12.0, 0.5, 2.5)
    for depth in range(9):
        first = _over_all(prior, nodes, depth)[0]
        assert len(first.weight) % 2**depth == 0
        assert len(first.weight) == pytest.approx(nodes * 2**depth, rel=0.3)
        assert first.weight.sum() == pytest.approx(1)
