"""log I_ν against mpmath's arbitrary precision."""

import array_api_strict
import mpmath
import numpy as np
import pytest

from engine.numerics.bessel import bessel_slope, log_bessel_reduced, log_bessel_scaled

ORDERS = (0, 1, 2, 5, 19, 20, 21, 49, 199, 999)
ARGUMENTS = (1e-8, 1e-3, 0.5, 1.0, 3.0, 10.0, 49.0, 333.3, 1e3, 1e4, 1e6, 1e8)


def _oracle(order: int, x: float) -> tuple[float, float, float]:
    """log I_ν − x, its reduced form, and I_{ν+1}/(x I_ν)."""
    with mpmath.workdps(40):
        point = mpmath.mpf(x)
        log_i = mpmath.log(mpmath.besseli(order, point)) - point
        reduced = log_i + mpmath.loggamma(order + 1) - order * mpmath.log(point / 2)
        slope = mpmath.besseli(order + 1, point) / mpmath.besseli(order, point) / point
        return float(log_i), float(reduced), float(slope)


@pytest.mark.parametrize("order", ORDERS)
def test_against_mpmath_over_sixteen_decades(order: int) -> None:
    x = np.array(ARGUMENTS)
    x.setflags(write=False)
    log_i, reduced, slope = np.array([_oracle(order, value) for value in ARGUMENTS]).T
    assert np.all(np.abs(log_bessel_reduced(order, x) - reduced) <= 2e-13 * (1 + np.abs(reduced)))
    assert np.all(np.abs(log_bessel_scaled(order, x) - log_i) <= 2e-13 * (1 + np.abs(log_i)))
    assert np.all(np.abs(bessel_slope(order, x) / slope - 1) <= 3e-12)


@pytest.mark.parametrize("order", [0, 1, 49, 999])
def test_at_zero(order: int) -> None:
    zero = np.zeros(1)
    assert abs(log_bessel_reduced(order, zero)[0]) < 1e-12
    assert log_bessel_scaled(order, zero)[0] == pytest.approx(0.0 if order == 0 else -np.inf, abs=1e-12)
    assert bessel_slope(order, zero)[0] == pytest.approx(1 / (2 * order + 2), rel=1e-12)


def test_any_namespace() -> None:
    x = array_api_strict.asarray([0.0, 1.0, 1e5])
    assert np.allclose(np.asarray(log_bessel_reduced(3, x)), log_bessel_reduced(3, np.asarray(x)), rtol=1e-14)
    assert np.allclose(np.asarray(log_bessel_scaled(3, x)), log_bessel_scaled(3, np.asarray(x)), rtol=1e-14)
