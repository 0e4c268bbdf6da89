"""The misspecified bound of plane waves: against a numerical search of the divergence, differences, and noisy fits."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_fit import fit_paths
from engine.numerics.path_information import Paths, path_covariance
from engine.numerics.plane_wave_bound import PlaneWaveBound, plane_wave_bound
from engine.numerics.wavefront import wave

SURFACE = UniformPlanarArray(12, 9, 0.005, 0.0107)


def received(beams: np.ndarray, kappa: float, polar: float, azimuth: float) -> np.ndarray:
    """What the beams (C, N) receive of a wave from 1/κ, element by element."""
    total = np.zeros(len(beams), dtype=complex)
    k = 2 * math.pi / SURFACE.wavelength_m
    u = (math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar))
    n = 0
    for i in range(SURFACE.n_y):
        for j in range(SURFACE.n_z):
            y, z = (i - (SURFACE.n_y - 1) / 2) * 0.005, (j - (SURFACE.n_z - 1) / 2) * 0.005
            if kappa:
                r = 1 / kappa
                lag = math.dist((r * u[0], r * u[1], r * u[2]), (0, y, z)) - r
            else:
                lag = -(y * u[1] + z * u[2])
            total += beams[:, n] * np.exp(-1j * k * lag)
            n += 1
    return total


def scene(seed: int, kappa: float) -> tuple[np.ndarray, tuple[float, float, float], complex]:
    random = np.random.default_rng(seed)
    beams = np.exp(2j * np.pi * random.random((7, SURFACE.n_elements)))
    return beams, (kappa, random.uniform(1.2, 1.9), random.uniform(-0.4, 0.4)), np.exp(2j * np.pi * random.random())


def bound_of(beams: np.ndarray, place: tuple[float, float, float], gain: complex) -> PlaneWaveBound:
    kappa, polar, azimuth = (np.array([[value]]) for value in place)
    return plane_wave_bound(
        SURFACE, beams[None], inverse_range_per_m=kappa, polar_rad=polar, azimuth_rad=azimuth, gain=np.array([[gain]])
    )


@pytest.mark.parametrize(("seed", "kappa"), [(0, 2.0), (1, 4.0), (2, 0.5), (3, 5.0)])
def test_against_a_search_of_the_divergence_and_differences(seed: int, kappa: float) -> None:
    """Pseudo-true: the least ‖m − μ‖²/σ², by simplex from nine starts. A and B: by central differences."""
    beams, (kappa, polar, azimuth), gain = scene(seed, kappa)
    true = gain * received(beams, kappa, polar, azimuth)

    def divergence(x: np.ndarray) -> float:
        left = true - (x[2] + 1j * x[3]) * received(beams, 0.0, x[0], x[1])
        return float(np.sum(np.abs(left) ** 2))

    def best_gain(direction: np.ndarray) -> float:
        b = received(beams, 0.0, *direction)
        return divergence(np.array([*direction, (g := np.vdot(b, true) / np.vdot(b, b)).real, g.imag]))

    starts = [(polar + dt, azimuth + dp) for dt in (-0.05, 0, 0.05) for dp in (-0.05, 0, 0.05)]
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 400}
    found = min((minimize(best_gain, s, method="Nelder-Mead", options=options) for s in starts), key=lambda r: r.fun)
    b = received(beams, 0.0, *found.x)
    g = np.vdot(b, true) / np.vdot(b, b)
    x = np.array([*found.x, g.real, g.imag])
    step = np.array([1e-4, 1e-4, 1e-3, 1e-3])
    hessian, slopes = np.zeros((4, 4)), []
    for i in range(4):
        ei = np.eye(4)[i] * step
        ahead, behind = ((x + s * ei)[2:] @ [1, 1j] * received(beams, 0.0, *(x + s * ei)[:2]) for s in (1, -1))
        slopes.append((ahead - behind) / (2 * step[i]))
        for j in range(4):
            ej = np.eye(4)[j] * step
            hessian[i, j] = (
                divergence(x + ei + ej) - divergence(x + ei - ej) - divergence(x - ei + ej) + divergence(x - ei - ej)
            ) / (4 * step[i] * step[j])
    score = 2 * np.real(np.conj(slopes) @ np.transpose(slopes))
    sandwich = np.linalg.inv(hessian) @ score @ np.linalg.inv(hessian)
    ours = bound_of(beams, (kappa, polar, azimuth), gain)
    np.testing.assert_allclose(ours.bias_rad[0, 0], found.x - [polar, azimuth], atol=2e-7)
    np.testing.assert_allclose(ours.covariance_rad2[0, 0], sandwich[:2, :2], rtol=2e-4, atol=1e-9)


def test_a_plane_wave_has_no_bias_and_the_ordinary_bound() -> None:
    beams, (_, polar, azimuth), gain = scene(4, 0.0)
    ours = bound_of(beams, (0.0, polar, azimuth), gain)
    none = np.zeros((1, 0))
    paths = Paths(*(np.array([[v]]) for v in (0.0, polar, azimuth, gain)), none, none, none, np.zeros((1, 1, 0)) + 0j)
    bound = path_covariance(SURFACE, paths, beams[None], np.ones(1), variant="gain", far=np.array([[True]]))
    np.testing.assert_allclose(ours.bias_rad, 0, atol=1e-12)
    np.testing.assert_allclose(ours.covariance_rad2, bound[..., 1:, 1:], rtol=1e-9)


def test_plane_fits_of_noisy_spherical_waves_scatter_as_it_says() -> None:
    """Mean and covariance of 4000 fits within 5 standard errors; the bound of a right model is far outside."""
    beams, place, gain = scene(5, 6.0)
    variance, n, random = 0.05, 4000, np.random.default_rng(6)
    ours = bound_of(beams, place, gain)
    noise = random.standard_normal((2, n, 1, len(beams))) * math.sqrt(variance / 2)
    samples = gain * received(beams, *place) + noise[0] + 1j * noise[1]
    bounds = np.array([[0, 0.1, -1.5], [0, 3.0, 1.5]])
    pseudo_true = np.array(place[1:]) + ours.bias_rad[0, 0]
    start = np.tile([0.0, *pseudo_true], (n, 1, 1))
    fit = fit_paths(SURFACE, beams[None], np.zeros(n, dtype=int), samples, start, bounds, tolerance=1e-10)
    error = fit.places[:, 0, 1:] - np.array(place[1:])
    covariance = variance * ours.covariance_rad2[0, 0]
    deviation = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(error.mean(axis=0) - ours.bias_rad[0, 0]) < 5 * deviation / math.sqrt(n))
    spread = np.cov(error.T) / deviation / deviation[:, None]
    np.testing.assert_allclose(spread, covariance / deviation / deviation[:, None], atol=5 * math.sqrt(2 / n))
    assert np.all(np.abs(ours.bias_rad[0, 0]) > 5 * deviation / math.sqrt(n))  # the test would see no bias


def test_a_user_does_not_depend_on_the_others() -> None:
    random = np.random.default_rng(8)
    beams = np.exp(2j * np.pi * random.random((2, 8, SURFACE.n_elements)))
    places = {
        "inverse_range_per_m": random.uniform(0.5, 4, (2, 3)), "polar_rad": random.uniform(1.2, 1.9, (2, 3)),
        "azimuth_rad": random.uniform(-0.4, 0.4, (2, 3)), "gain": np.exp(2j * np.pi * random.random((2, 3))),
    }  # fmt: skip
    whole = plane_wave_bound(SURFACE, beams, **places)
    alone = plane_wave_bound(SURFACE, beams[1:], **{name: part[1:, 2:] for name, part in places.items()})
    np.testing.assert_allclose(alone.bias_rad[0, 0], whole.bias_rad[1, 2], rtol=1e-9)
    np.testing.assert_allclose(alone.covariance_rad2[0, 0], whole.covariance_rad2[1, 2], rtol=1e-9)


def test_pseudo_true_is_the_best_of_a_fine_grid_also_where_several_lobes_compete() -> None:
    """Users as near as the Fresnel limit allows, 30 × 10 elements: from the true direction one in seven is missed."""
    surface, random = UniformPlanarArray(30, 10, 0.005, 0.0107), np.random.default_rng(0)
    beams = np.exp(2j * np.pi * random.random((1, 15, surface.n_elements)))
    near, n = surface.fresnel_range_m, 24
    kappa, polar, azimuth = (
        random.uniform(*ends, (1, n)) for ends in ((0.5 / near, 1 / near), (1.1, 2.0), (-0.5, 0.5))
    )
    places = {"inverse_range_per_m": kappa, "polar_rad": polar, "azimuth_rad": azimuth}
    ours = plane_wave_bound(surface, beams, **places, gain=np.ones((1, n)) + 0j)
    true = wave(surface, kappa[0], polar[0], azimuth[0]) @ beams[0].T
    d_polar, d_azimuth = (part.ravel() for part in np.meshgrid(np.linspace(-0.3, 0.3, 61), np.linspace(-0.2, 0.2, 81)))
    for user in range(n):

        def left(theta: np.ndarray, phi: np.ndarray, y: np.ndarray = true[user]) -> np.ndarray:
            b = wave(surface, np.zeros_like(theta), theta, phi) @ beams[0].T
            return np.sum(np.abs(y) ** 2) - np.abs(b.conj() @ y) ** 2 / np.sum(np.abs(b) ** 2, axis=1)

        found = polar[0, user] + ours.bias_rad[0, user, :1], azimuth[0, user] + ours.bias_rad[0, user, 1:]
        assert left(*found)[0] <= left(polar[0, user] + d_polar, azimuth[0, user] + d_azimuth).min() * (1 + 1e-9)
