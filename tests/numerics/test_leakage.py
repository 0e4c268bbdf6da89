"""Leakage and its gradient: explicit sums, SciPy's Fresnel integrals, automatic and finite differences."""

import cmath
import math
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
import scipy.special
from autograd.extend import defvjp, primitive

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import leakage
from engine.numerics.leakage_names import model_named, model_names

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(n_elements=100, spacing_m=WAVELENGTH_M / 2, wavelength_m=WAVELENGTH_M)
MODELS = [name for name in model_names() if not model_named(name).two_sided]
"""Those of plane waves toward sensors; `test_two_sided` has the others."""
LOW_RAD, HIGH_RAD = math.pi / 6, 5 * math.pi / 6


def oracle_sum(wave: str, d: float, phi: float, theta: float) -> float:
    """Eq. (9) with the waves of Eqs. (1), (3), (5), one element after the other."""
    n_elements, k = ARRAY.n_elements, 2 * math.pi / WAVELENGTH_M
    total = 0j
    for n in range(1, n_elements + 1):
        x = (n - (n_elements + 1) / 2) * ARRAY.spacing_m
        if wave == "spherical":
            path = math.sqrt(d * d + x * x - 2 * d * x * math.cos(phi)) - d
        else:
            path = x * x * math.sin(phi) ** 2 / (2 * d) - x * math.cos(phi)
        total += cmath.exp(-1j * k * x * math.cos(theta)) * cmath.exp(-1j * k * path)
    return abs(total) ** 2 / n_elements


@primitive
def fresnel_c(x: Any) -> Any:
    return scipy.special.fresnel(x)[1]


@primitive
def fresnel_s(x: Any) -> Any:
    return scipy.special.fresnel(x)[0]


defvjp(fresnel_c, lambda _, x: lambda g: g * np.cos(np.pi * x**2 / 2))
defvjp(fresnel_s, lambda _, x: lambda g: g * np.sin(np.pi * x**2 / 2))


def oracle_closed(d: Any, phi: Any, theta: Any) -> Any:
    """The quadratic phase integrated over the aperture NΔ."""
    n, u, s = ARRAY.n_elements, anp.cos(theta) - anp.cos(phi), anp.abs(anp.sin(phi))
    t = n * ARRAY.spacing_m / 2 * s * anp.sqrt(2 / (WAVELENGTH_M * d))
    tau = u / s * anp.sqrt(2 * d / WAVELENGTH_M)
    c = fresnel_c(t - tau) + fresnel_c(t + tau)
    sine = fresnel_s(t - tau) + fresnel_s(t + tau)
    return n / (4 * t**2) * (c**2 + sine**2)


def oracle_printed(d: Any, phi: Any, theta: Any) -> Any:
    """Eq. (10), with the paper's own β₁ and β₂."""
    n = ARRAY.n_elements
    beta_1 = n / 2 * anp.sqrt(8 / (d * WAVELENGTH_M)) * ARRAY.spacing_m
    beta_2 = (anp.cos(theta) - anp.cos(phi)) * anp.sqrt(8 * d / WAVELENGTH_M)
    c = fresnel_c(beta_1 - beta_2) + fresnel_c(beta_1 + beta_2)
    s = fresnel_s(beta_1 - beta_2) + fresnel_s(beta_1 + beta_2)
    return n / (4 * beta_1**2) * (c**2 + s**2)


def differentiable_sum(wave: str) -> Any:
    x, k = ARRAY.positions_m(np), 2 * math.pi / WAVELENGTH_M

    def g(d: Any, phi: Any, theta: Any) -> Any:
        if wave == "spherical":
            path = anp.sqrt(d**2 + x**2 - 2 * d * x * anp.cos(phi)) - d
        else:
            path = x**2 * anp.sin(phi) ** 2 / (2 * d) - x * anp.cos(phi)
        phase = -k * (x * anp.cos(theta) + path)
        return (anp.sum(anp.cos(phase)) ** 2 + anp.sum(anp.sin(phase)) ** 2) / ARRAY.n_elements

    return g


ORACLES = {
    "spherical": differentiable_sum("spherical"),
    "fresnel_sum": differentiable_sum("fresnel"),
    "fresnel_closed": oracle_closed,
    "as_printed": oracle_printed,
}


def scene(size: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users and sensors in the sector [π/6, 5π/6], users at 2 to 12 m."""
    random = np.random.default_rng(seed)
    phi, theta = random.uniform(LOW_RAD, HIGH_RAD, (2, size))
    return random.uniform(2, 12, size), phi, theta


def one_to_one(model: Any, d: np.ndarray, phi: np.ndarray, theta: np.ndarray) -> Any:
    return leakage(
        model_named(model), ARRAY, range_m=d[:, None], angle_rad=phi[:, None], sensor_angle_rad=theta[:, None]
    )


def relative_error(approximate: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(approximate - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("wave", ["spherical", "fresnel_sum"])
def test_sums_agree_with_the_equations_element_by_element(wave: Any, given: Any, host: Any) -> None:
    d, phi, theta = scene(40)
    table = leakage(model_named(wave), ARRAY, range_m=given(d), angle_rad=given(phi), sensor_angle_rad=given(theta))
    exact = [[oracle_sum(wave, d[p], phi[p], angle) for angle in theta] for p in range(d.size)]
    # 100 phasors whose phases of up to 150 rad carry 3e-14 each: |F|²/N of up to 100.
    np.testing.assert_allclose(host(table.value), exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("model", ["fresnel_closed", "as_printed"])
def test_closed_forms_agree_with_scipy(model: Any, given: Any, host: Any) -> None:
    d, phi, theta = scene(300)
    table = leakage(model_named(model), ARRAY, range_m=given(d), angle_rad=given(phi), sensor_angle_rad=given(theta))
    exact = ORACLES[model](d[:, None], phi[:, None], theta[None, :])
    np.testing.assert_allclose(host(table.value), exact, rtol=0, atol=1e-11)


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    """Each model's leakage at the same 20 000 triples; relative L2 errors spread by 4 % between seeds."""
    return {model: one_to_one(model, *scene(20_000, seed=0)).value[:, 0, 0] for model in MODELS}


def test_integral_differs_from_the_quadratic_sum_by_a_thousandth(values: dict[str, np.ndarray]) -> None:
    assert relative_error(values["fresnel_closed"], values["fresnel_sum"]) == pytest.approx(1.05e-3, rel=0.15)


def test_quadratic_phase_differs_from_the_wave_by_six_percent(values: dict[str, np.ndarray]) -> None:
    assert relative_error(values["fresnel_sum"], values["spherical"]) == pytest.approx(6.5e-2, rel=0.15)


def test_equation_10_as_printed_is_another_function(values: dict[str, np.ndarray]) -> None:
    printed, exact = values["as_printed"], values["spherical"]
    assert relative_error(printed, exact) == pytest.approx(0.86, abs=0.03)
    assert np.corrcoef(printed, exact)[0, 1] == pytest.approx(0.74, abs=0.03)
    assert printed.mean() / exact.mean() == pytest.approx(0.24, abs=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_a_distant_user_gets_the_whole_array_gain(model: Any) -> None:
    phi = np.linspace(0.3, 2.8, 20)
    table = one_to_one(model, np.full_like(phi, 1e6), phi, phi)
    np.testing.assert_allclose(table.value, ARRAY.n_elements, rtol=1e-6)


def gradient(table: Any) -> np.ndarray:
    return np.stack([table.by_range_per_m[:, 0, 0], table.by_angle_per_rad[:, 0, 0]], axis=-1)


def automatic_gradient(model: str, d: np.ndarray, phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    partial = [autograd.grad(ORACLES[model], part) for part in (0, 1)]
    return np.array([[by(*triple) for by in partial] for triple in zip(d, phi, theta, strict=True)])


@pytest.mark.parametrize("model", MODELS)
def test_gradient_agrees_with_automatic_differentiation(model: Any) -> None:
    triples = scene(200)
    exact = automatic_gradient(model, *triples)
    error = np.abs(gradient(one_to_one(model, *triples)) - exact)
    assert np.all(np.max(error, axis=0) < 1e-12 * np.max(np.abs(exact), axis=0))


@pytest.mark.parametrize("model", MODELS)
def test_gradient_agrees_with_central_differences(model: Any) -> None:
    d, phi, theta = scene(200)
    ours, step = gradient(one_to_one(model, d, phi, theta)), 1e-6

    def moved(by: float, part: int) -> np.ndarray:
        return one_to_one(model, d + by * (part == 0), phi + by * (part == 1), theta).value[:, 0, 0]

    differences = np.stack([(moved(step, part) - moved(-step, part)) / (2 * step) for part in (0, 1)], axis=-1)
    # g is band-limited in the angle to 2πNΔ/λ = 314, as_printed to 628: (step · 628)²/6 = 7e-8 of a derivative.
    error = np.max(np.abs(ours - differences), axis=0) / np.max(np.abs(ours), axis=0)
    assert np.all(error < 2e-7)


def test_gradient_of_another_model_is_noticed() -> None:
    triples = scene(200)
    exact = automatic_gradient("fresnel_sum", *triples)
    error = np.abs(gradient(one_to_one("fresnel_closed", *triples)) - exact)
    assert np.all(np.max(error, axis=0) > 1e-4 * np.max(np.abs(exact), axis=0))


@pytest.mark.parametrize("model", MODELS)
def test_points_and_sensors_broadcast_on_every_namespace(model: Any, given: Any, host: Any) -> None:
    random = np.random.default_rng(2)
    d, phi = random.uniform(2, 12, (1, 3)), random.uniform(LOW_RAD, HIGH_RAD, (5, 1))
    theta = random.uniform(LOW_RAD, HIGH_RAD, (5, 4))
    table = leakage(model_named(model), ARRAY, range_m=given(d), angle_rad=given(phi), sensor_angle_rad=given(theta))
    for part in range(3):
        ours = host(table[part])
        assert ours.shape == (5, 3, 4)
        for b, p, k in np.ndindex(ours.shape):
            alone = one_to_one(model, d[:, p], phi[b], theta[b, k : k + 1])[part][0, 0, 0]
            assert ours[b, p, k] == pytest.approx(alone, rel=1e-9, abs=1e-9)
