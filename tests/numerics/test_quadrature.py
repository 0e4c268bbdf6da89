"""Expectations over the range: exact moments, and as many nodes as the leakage needs."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray, path_gain
from engine.numerics.information import bayesian_bound, expected_information
from engine.numerics.leakage import leakage
from engine.numerics.leakage_names import model_named
from engine.numerics.quadrature import beta_nodes, nodes_needed

PRIORS = [(2.0, 2.0), (3.0, 3.0), (2.5, 4.25), (1.0, 1.0), (0.7, 5.3)]


@pytest.mark.parametrize(("alpha", "beta"), PRIORS)
def test_moments_of_the_beta_distribution(alpha: float, beta: float) -> None:
    low, high = 2.0, 12.0
    d, weights = beta_nodes(low, high, alpha, beta, n_nodes=30)
    assert np.all((low < d) & (d < high))
    for function in (lambda r: r, lambda r: r**2, lambda r: (r - 5) ** 3, lambda r: 1 / r, np.log):
        exact = scipy.stats.beta(alpha, beta, low, high - low).expect(function, epsabs=0, epsrel=1e-11)
        assert weights @ function(d) == pytest.approx(exact, rel=1e-9)


def test_swapped_shape_parameters_are_noticed() -> None:
    d, weights = beta_nodes(2.0, 12.0, 4.25, 2.5, n_nodes=30)
    assert weights @ d != pytest.approx(scipy.stats.beta(2.5, 4.25, 2, 10).mean(), rel=0.1)


DEFAULT = {
    "n_elements": 100,
    "carrier_hz": 15e9,
    "low": 2.0,
    "high": 12.0,
    "model": "fresnel_closed",
    "prior": (2, 2),
}


def array_of(scene: dict[str, Any]) -> UniformLinearArray:
    wavelength = SPEED_OF_LIGHT_M_PER_S / scene["carrier_hz"]
    return UniformLinearArray(scene["n_elements"], wavelength / 2, wavelength)


def bounds(scene: dict[str, Any], n_nodes: int) -> np.ndarray:
    """Bounds of 100 realizations with 20 sensors at σ² of −65, −85 and −100 dBm, L of 1 and 50."""
    random, array, size = np.random.default_rng(3), array_of(scene), 100
    phi, theta = random.uniform(np.pi / 6, 5 * np.pi / 6, (size, 1)), random.uniform(0, np.pi, (size, 20))
    gain = path_gain(random.uniform(100, 150, (size, 20)), array.wavelength_m)
    d, weights = beta_nodes(scene["low"], scene["high"], *scene["prior"], n_nodes=n_nodes)
    snr = 10 ** ((23 - np.array([-65.0, -85.0, -100.0])) / 10)
    model, matrices = model_named(scene["model"]), []
    for here in np.array_split(np.arange(size), 10):
        table = leakage(model, array, range_m=d[None, :], angle_rad=phi[here], sensor_angle_rad=theta[here])
        matrices.append(expected_information(table, gain[here], weights, snr))
    information = np.concatenate(matrices)[:, :, None, :] * np.array([1.0, 50.0])[:, None]
    return np.stack(bayesian_bound(information, 0.0185))


def errors(scene: dict[str, Any], n_nodes: int, converged: np.ndarray) -> tuple[float, float]:
    """Largest relative error of a bound, and of the bound's mean over the realizations."""
    here = bounds(scene, n_nodes)
    of_the_mean = here.mean(axis=1) / converged.mean(axis=1) - 1
    return float(np.max(np.abs(here / converged - 1))), float(np.max(np.abs(of_the_mean)))


def needed(scene: dict[str, Any]) -> int:
    return nodes_needed(array_of(scene), scene["low"], scene["high"], model=model_named(scene["model"]))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"n_elements": 25},
        {"n_elements": 50},
        {"n_elements": 200},
        {"carrier_hz": 30e9},
        {"low": 1.0, "high": 30.0},
        {"low": 1.0, "high": 30.0, "n_elements": 25},
        {"low": 0.5, "high": 50.0, "n_elements": 25},
        {"low": 5.0, "high": 6.0},
        {"prior": (3, 3)},
        {"prior": (1.2, 4.5)},
        {"model": "spherical"},
        {"model": "fresnel_sum"},
        {"model": "as_printed"},
    ],
    ids=str,
)
def test_nodes_needed_are_enough(change: dict[str, Any]) -> None:
    scene = {**DEFAULT, **change}
    n_nodes = needed(scene)
    worst, of_the_mean = errors(scene, n_nodes, bounds(scene, 4 * n_nodes))
    assert worst < 5e-5
    assert of_the_mean < 1e-6


@pytest.mark.parametrize(
    "change", [{}, {"n_elements": 200}, {"low": 1.0, "high": 30.0}, {"model": "as_printed"}], ids=str
)
def test_two_thirds_of_the_nodes_are_not_enough(change: dict[str, Any]) -> None:
    scene = {**DEFAULT, **change}
    worst, of_the_mean = errors(scene, 2 * needed(scene) // 3, bounds(scene, 4 * needed(scene)))
    assert worst > 5e-5 or of_the_mean > 1e-6


def test_the_default_scene_is_cheap_and_the_printed_leakage_is_not() -> None:
    assert needed(DEFAULT) == 30
    printed = {**DEFAULT, "model": "as_printed"}
    assert errors(printed, 30, bounds(printed, 4 * needed(printed)))[0] > 0.1
