"""Fig. 1's range bound by the script that a researcher would write: what speed is measured against.

A loop over ranges and sensors, Fresnel integrals of SciPy, difference quotients for gradients, and one quadrature for
each information about a noncentrality.
"""

import math

import numpy as np
from scipy.integrate import quad
from scipy.special import fresnel, ive

from engine.numerics.geometry import UniformLinearArray
from scenarios.leakage import LeakageBound
from scenarios.leakage.scene import Geometry

_NODES = 32
_STEP = 1e-6  # of a difference quotient, in m and rad


def literal_bound(scenario: LeakageBound, drawn: Geometry, realization: int) -> np.ndarray:
    """Range bounds of one realization, (noise, snapshots) in m²."""
    array, snr = scenario.array(), scenario.snr()
    phi = float(drawn.user_angle_rad[realization])
    matrix = np.zeros((len(snr), 2, 2))
    for d, weight in zip(*_ranges(scenario), strict=True):
        sensors = zip(drawn.sensor_angle_rad[realization], drawn.sensor_range_m[realization], strict=True)
        for theta, sensor_range in sensors:
            value = _leakage(array, d, phi, theta)
            gradient = _gradient(array, d, phi, theta)
            beta = (array.wavelength_m / (4 * math.pi * sensor_range)) ** 2
            for j, ratio in enumerate(snr):
                scale = 2 * ratio * beta
                matrix[j] += weight * _information(scale * value) * np.outer(gradient, gradient) * scale**2
    prior = np.diag([scenario.prior_information_per_m2(), 0.0])
    inverses = np.linalg.inv(matrix[:, None] * np.array(scenario.n_snapshots)[:, None, None] + prior)
    return inverses[..., 0, 0]


def _ranges(scenario: LeakageBound) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an expectation over the user's range, Beta(2, 2) between its ends."""
    low, high = scenario.user_range_min_m, scenario.user_range_max_m
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    ranges = low + (high - low) * (x + 1) / 2
    weights = weights * (ranges - low) * (high - ranges)
    return ranges, weights / weights.sum()


def _leakage(array: UniformLinearArray, d: float, phi: float, theta: float) -> float:
    """g at a place (d, φ) toward θ, the closed form."""
    s, u = math.sin(phi), math.cos(theta) - math.cos(phi)
    t = array.n_elements * array.spacing_m / 2 * s * math.sqrt(2 / (array.wavelength_m * d))
    tau = u / s * math.sqrt(2 * d / array.wavelength_m)
    (s_low, s_high), (c_low, c_high) = fresnel([t - tau, t + tau])
    return array.n_elements / (4 * t * t) * ((c_low + c_high) ** 2 + (s_low + s_high) ** 2)


def _gradient(array: UniformLinearArray, d: float, phi: float, theta: float) -> np.ndarray:
    """∂g/∂d and ∂g/∂φ, (2,)."""
    by_range = _leakage(array, d + _STEP, phi, theta) - _leakage(array, d - _STEP, phi, theta)
    by_angle = _leakage(array, d, phi + _STEP, theta) - _leakage(array, d, phi - _STEP, theta)
    return np.array([by_range, by_angle]) / (2 * _STEP)


def _information(rho: float) -> float:
    """J₂(ρ), Eq. (16), by quadrature in r = √z."""

    def integrand(r: float) -> float:
        bessel = ive(0, math.sqrt(rho) * r)
        score = -0.5 + 0.5 * r / math.sqrt(rho) * ive(1, math.sqrt(rho) * r) / bessel
        return r * math.exp(-((r - math.sqrt(rho)) ** 2) / 2) * bessel * score**2

    middle = math.sqrt(rho)
    return quad(integrand, max(0.0, middle - 9), middle + 9)[0]
