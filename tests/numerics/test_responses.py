"""Geometry and array responses against Eqs. (1), (3), (5), written element by element."""

import cmath
import math
from typing import Any

import autograd
import autograd.numpy as anp
import mpmath
import numpy as np
import pytest

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray, path_gain
from engine.numerics.responses import (
    fresnel_path_difference,
    phasor,
    plane_response,
    spherical_path_difference,
)

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(n_elements=100, spacing_m=WAVELENGTH_M / 2, wavelength_m=WAVELENGTH_M)
RANGE_M = np.array([2.0, 3.7, 12.0])
ANGLE_RAD = np.array([0.6, math.pi / 2, 2.4])


def spherical(d: Any, phi: Any, x: Any) -> Any:
    return anp.sqrt(d**2 + x**2 - 2 * d * x * anp.cos(phi)) - d


def quadratic(d: Any, phi: Any, x: Any) -> Any:
    return x**2 * anp.sin(phi) ** 2 / (2 * d) - x * anp.cos(phi)


def test_table_1_of_the_paper() -> None:
    assert pytest.approx(0.019986, abs=5e-7) == WAVELENGTH_M
    assert ARRAY.rayleigh_range_m == pytest.approx(97.94, abs=0.005)
    assert 10 * math.log10(path_gain(100.0, WAVELENGTH_M)) == pytest.approx(-96, abs=0.05)
    gain = (WAVELENGTH_M / (4 * math.pi * 100)) ** 2
    assert path_gain(100.0, WAVELENGTH_M) == pytest.approx(gain, rel=1e-15)


def test_elements_are_centred(xp: Any, host: Any) -> None:
    expected = [(n - (ARRAY.n_elements + 1) / 2) * ARRAY.spacing_m for n in range(1, ARRAY.n_elements + 1)]
    np.testing.assert_allclose(host(ARRAY.positions_m(xp)), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("kernel", "oracle"), [(spherical_path_difference, spherical), (fresnel_path_difference, quadratic)]
)
def test_path_difference_and_its_derivatives(kernel: Any, oracle: Any, xp: Any, given: Any, host: Any) -> None:
    x = ARRAY.positions_m(np)
    delta, by_range, by_angle = kernel(given(RANGE_M), given(ANGLE_RAD), given(x))
    for i, (d, phi) in enumerate(zip(RANGE_M, ANGLE_RAD, strict=True)):
        for n in (0, 31, 50, 99):
            exact = [oracle(d, phi, x[n]), *(autograd.grad(oracle, part)(d, phi, x[n]) for part in (0, 1))]
            computed = [host(part)[i, n] for part in (delta, by_range, by_angle)]
            # The oracle subtracts two numbers of about d: 12 m has an ulp of 2e-15.
            np.testing.assert_allclose(computed, exact, rtol=0, atol=5e-15)


def test_path_difference_does_not_cancel_far_away() -> None:
    d, phi, x = 1e6, 1.1, 0.5
    with mpmath.workdps(40):
        exact = mpmath.sqrt(mpmath.mpf(d) ** 2 + x * x - 2 * mpmath.mpf(d) * x * mpmath.cos(phi)) - d
    delta, _, _ = spherical_path_difference(np.array(d), np.array(phi), np.array([x]))
    assert float(delta[0]) == pytest.approx(float(exact), rel=1e-15)
    assert spherical(d, phi, x) != pytest.approx(float(exact), rel=1e-12)  # as Eq. (1) reads


def test_responses_have_the_phases_of_equations_3_and_5(given: Any, host: Any) -> None:
    x, k = ARRAY.positions_m(np), 2 * math.pi / WAVELENGTH_M
    delta = np.stack([spherical(2.5, 1.0, x), quadratic(2.5, 1.0, x)])
    near = host(phasor(given(delta), ARRAY))
    far = host(plane_response(given(ANGLE_RAD), ARRAY))
    assert near.shape == (2, 100)
    assert far.shape == (3, 100)
    for n in (0, 40, 99):
        assert abs(near[0, n] - cmath.exp(-1j * k * delta[0, n])) < 1e-13
        for i, theta in enumerate(ANGLE_RAD):
            assert abs(far[i, n] - cmath.exp(1j * k * x[n] * math.cos(theta))) < 1e-13
