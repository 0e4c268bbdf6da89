"""The Weiss-Weinstein bound of a lattice: against the best of all test points, the least error, and its limits."""

import math
from typing import Any

import numpy as np
import pytest

from engine.numerics.prior_lattice import PlacePrior, Window, lattices
from engine.numerics.weiss_weinstein import weiss_weinstein


def discrete(places: int, outcomes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w (G,), p(x|g) (G, X), θ (2, G), all random."""
    random = np.random.default_rng(seed)
    density = random.dirichlet(np.full(outcomes, 0.5), places)
    return random.dirichlet(np.full(places, 2.0)), density, random.normal(size=(2, places))


def overlap(weight: np.ndarray, density: np.ndarray) -> np.ndarray:
    root = np.sqrt(weight[:, None] * density)
    return np.asarray(root @ root.T)


def least_error(weight: np.ndarray, density: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Expected variance of the posterior, by Bayes' rule."""
    joint = weight[:, None] * density
    evidence = joint.sum(axis=0)
    means = places @ joint / evidence
    return np.asarray(places**2 @ weight - means**2 @ evidence)


def best_of_all_test_points(weight: np.ndarray, density: np.ndarray, place: np.ndarray) -> float:
    """max E[θψ]²/E[ψ²] over every sum of functions √(p(x, h)/p(x, g)) at g less √(p(x, g)/p(x, h)) at h, as a table."""
    joint, pairs = weight[:, None] * density, [(g, h) for g in range(len(weight)) for h in range(g)]
    functions = np.zeros((len(pairs), *joint.shape))
    for i, (g, h) in enumerate(pairs):
        functions[i, g], functions[i, h] = np.sqrt(joint[h] / joint[g]), -np.sqrt(joint[g] / joint[h])
    assert np.allclose(np.sum(functions * joint, axis=1), 0)  # no mean over the posterior, whatever the data
    gram = np.einsum("igx,jgx,gx->ij", functions, functions, joint)
    with_place = np.einsum("igx,gx,g->i", functions, joint, place)
    return float(with_place @ np.linalg.pinv(gram, rcond=1e-12) @ with_place)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_best_of_all_test_points_and_below_the_least_error(seed: int) -> None:
    weight, density, places = discrete(5, 9, seed)
    found = weiss_weinstein(overlap(weight, density), places)
    for one, place in zip(found, places, strict=True):
        assert one == pytest.approx(best_of_all_test_points(weight, density, place), rel=1e-6)
    least = least_error(weight, density, places)
    assert np.all(found <= least * (1 + 1e-12))
    assert np.all(found > 0.4 * least)
    assert np.all(weiss_weinstein(overlap(weight, density**0.5), places) > least)  # the test can fail: not densities


def test_it_says_the_prior_where_data_say_nothing_and_nothing_where_they_say_all() -> None:
    weight, _, places = discrete(6, 3, 1)
    same, apart = np.ones((6, 1)), np.eye(6)
    variance = places**2 @ weight - (places @ weight) ** 2
    assert np.allclose(weiss_weinstein(overlap(weight, same), places), variance)
    assert np.allclose(weiss_weinstein(overlap(weight, apart), places), 0)


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_it_is_the_variance_of_gaussian_errors(deviation: float) -> None:
    """Uniform θ on [0, 1] seen in Gaussian noise: E of the least error by quadrature, whatever the lattice's offset."""
    n = 240
    for offset in (0.2, 0.5):
        theta = (np.arange(n) + offset) / n
        gram = np.exp(-((theta[:, None] - theta) ** 2) / (8 * deviation**2)) / n
        x = np.linspace(-6 * deviation, 1 + 6 * deviation, 4001)
        density = np.exp(-((x - theta[:, None]) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
        least = least_error(np.full(n, 1 / n), density * (x[1] - x[0]), theta[None])[0]
        found = weiss_weinstein(gram, theta[None])[0]
        assert 0.93 * least < found <= least
        if deviation == 0.02:
            assert found == pytest.approx(deviation**2, rel=0.1)


def test_any_namespace_and_leading_axes(given: Any, host: Any) -> None:
    several = [discrete(4, 6, seed) for seed in range(3)]
    grams = np.stack([overlap(weight, density) for weight, density, _ in several])
    places = np.stack([one for *_, one in several])
    found = host(weiss_weinstein(given(grams), given(places)))
    assert np.allclose(found, [weiss_weinstein(*pair) for pair in zip(grams, places, strict=True)])


def test_lattices_hold_the_prior() -> None:
    prior = PlacePrior(2.0, 12.0, 0.5, 2.5, alpha=2.0, beta=3.0)
    ((range_m, angle_rad, weight),) = lattices(prior, Window(n_ranges=20, range_power=-1.0), 400)
    assert weight.sum() == pytest.approx(1)
    assert weight @ range_m == pytest.approx(2 + 10 * 0.4, rel=5e-3)  # the mean of Beta(2, 3)
    assert weight @ (range_m - 6) ** 2 == pytest.approx(100 * 0.04, rel=0.05)
    assert weight @ angle_rad == pytest.approx(1.5)
    assert weight @ (angle_rad - 1.5) ** 2 == pytest.approx(4 / 12, rel=0.005)
    narrow = list(lattices(prior, Window(10, 5, at_angles=3, at_ranges=2, n_ranges=5), 50))
    assert len(narrow) == 6
    for one in narrow:
        assert np.ptp(prior.range_below(one.range_m)) < 0.2
        assert np.ptp(one.angle_rad) < 0.1 * 2.0


def test_offsets_of_a_lattice_fill_the_square_evenly() -> None:
    """One in each sixteenth of it before three in any, as random ones seldom have, and the centre first."""
    prior, window = PlacePrior(0.0, 1.0, 0.0, 1.0), Window(n_ranges=1)
    found = [(one.range_m[0], 2 * one.angle_rad[0]) for one in lattices(prior, window, 2, 24)]
    assert found[0] == (0.5, 0.5)
    cells, counts = np.unique(np.floor(4 * np.array(found)), axis=0, return_counts=True)
    assert len(cells) == 16
    assert np.max(counts) <= 3
