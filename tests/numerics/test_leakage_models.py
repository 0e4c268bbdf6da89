"""A leakage model that somebody brings: the same demands as on those of the package, shown on `own_model`."""

import cmath
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from own_model import QUARTIC, TAPERED

from engine import InputError
from engine.numerics.element_sum import element_bandwidth_rad
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.leakage_cpu import compiled_leakage
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_names import model_named, model_names
from engine.numerics.pattern import SearchGrid, error_bound, tabulate
from engine.numerics.quadrature import nodes_needed

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 15e9
ARRAY = UniformLinearArray(60, WAVELENGTH_M / 2, WAVELENGTH_M)
MODELS = pytest.mark.parametrize("model", [QUARTIC, TAPERED], ids=lambda model: model.name)


def oracle(model: LeakageModel, d: float, phi: float, theta: float) -> float:
    """One element after the other."""
    n_elements, c, total = ARRAY.n_elements, math.cos(phi), 0j
    for n in range(n_elements):
        x, amplitude = (n - (n_elements - 1) / 2) * ARRAY.spacing_m, 1.0
        if model is QUARTIC:
            e = x / d
            series = -c * e + (1 - c**2) / 2 * e**2 + c * (1 - c**2) / 2 * e**3 + (6 * c**2 - 5 * c**4 - 1) / 8 * e**4
            path = d * series
        else:
            path = math.sqrt(d * d + x * x - 2 * d * x * c) - d
            amplitude = math.exp(-2 * (x / ((n_elements - 1) * ARRAY.spacing_m)) ** 2)
        total += amplitude * cmath.exp(-2j * math.pi / WAVELENGTH_M * (x * math.cos(theta) + path))
    return abs(total) ** 2 / n_elements


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return random.uniform(2, 12, (3, 6)), random.uniform(0.5, 2.6, (3, 6)), random.uniform(0.5, 2.6, (3, 5))


@MODELS
def test_a_model_agrees_with_loops_on_every_namespace(model: LeakageModel, given: Any, host: Any) -> None:
    d, phi, theta = scene()
    table = leakage(model, ARRAY, range_m=given(d), angle_rad=given(phi), sensor_angle_rad=given(theta))
    step = 1e-5

    def slope(b: int, p: int, k: int, by_m: float, by_rad: float) -> float:
        ends = (oracle(model, d[b, p] + s * by_m, phi[b, p] + s * by_rad, theta[b, k]) for s in (1, -1))
        high, low = ends
        return (high - low) / (2 * step)

    for b, p, k in np.ndindex(3, 6, 5):
        assert host(table.value)[b, p, k] == pytest.approx(oracle(model, d[b, p], phi[b, p], theta[b, k]), abs=1e-10)
        assert host(table.by_range_per_m)[b, p, k] == pytest.approx(slope(b, p, k, step, 0), abs=1e-5)
        assert host(table.by_angle_per_rad)[b, p, k] == pytest.approx(slope(b, p, k, 0, step), abs=1e-3)


def test_the_oracle_tells_models_apart() -> None:
    assert abs(oracle(QUARTIC, 2.0, 1.0, 1.1) - oracle(TAPERED, 2.0, 1.0, 1.1)) > 0.01


@MODELS
def test_loops_and_arrays_agree(model: LeakageModel) -> None:
    d, phi, theta = scene()
    for part in (d, phi, theta):
        part.setflags(write=False)
    at = {"range_m": d, "angle_rad": phi, "sensor_angle_rad": theta}
    for ours, theirs in zip(compiled_leakage(model, ARRAY, **at), leakage(model, ARRAY, **at), strict=True):
        assert np.max(np.abs(ours - theirs)) < 1e-12 * np.max(np.abs(theirs))
        assert ours.flags.writeable
        assert ours.flags.c_contiguous


GRID = SearchGrid(2.0, 12.0, np.pi / 6, 5 * np.pi / 6, n_ranges=10, n_angles=19)


def _error(model: LeakageModel) -> float:
    angles = np.random.default_rng(1).uniform(0, np.pi, 100)
    ranges_m, angles_rad = GRID.candidates()
    exact = leakage(model, ARRAY, range_m=ranges_m, angle_rad=angles_rad, sensor_angle_rad=angles).value.T
    return float(np.abs(tabulate(model, ARRAY, GRID).interpolate(angles)[:, : GRID.size] - exact).max())


@MODELS
def test_the_search_interpolates_within_its_bound(model: LeakageModel) -> None:
    assert _error(model) <= error_bound(ARRAY.n_elements)


def test_a_wrong_bandwidth_is_noticed() -> None:
    narrow = replace(QUARTIC, bandwidth_rad=lambda array: 0.5 * element_bandwidth_rad(array))
    assert _error(narrow) > 100 * error_bound(ARRAY.n_elements)


def test_nodes_grow_with_the_phase_at_the_edge() -> None:
    one, four = (nodes_needed(ARRAY, 2.0, 12.0, model=replace(QUARTIC, aperture_phase=a)) for a in (1.0, 4.0))
    rest = 5 * math.sqrt(12 / 2)
    assert four - rest == pytest.approx(4 * (one - rest), abs=5)
    with pytest.raises(InputError, match="'own_model:QUARTIC': aperture_phase is 0, needed above 0"):
        replace(QUARTIC, aperture_phase=0.0)


def test_every_file_of_the_package_holds_its_model() -> None:
    assert set(model_names()) >= {"spherical", "fresnel_sum", "fresnel_closed", "as_printed"}
    for name in model_names():
        assert model_named(name).name == name
    assert model_named("spherical") is SPHERICAL
