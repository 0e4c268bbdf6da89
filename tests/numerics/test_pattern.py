"""The pattern table: bounded interpolation error for every model, at any sensor."""

import numpy as np
import pytest

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_names import model_named, model_names
from engine.numerics.pattern import SearchGrid, error_bound, resolving, subset, tabulate

MODELS = [model for name in model_names() if not (model := model_named(name)).two_sided]
"""Those of plane waves toward sensors; `test_pattern_ranges` has the others."""


def _array(n_elements: int = 100, spacing: float = 0.5) -> UniformLinearArray:
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / 15e9
    return UniformLinearArray(n_elements, spacing * wavelength_m, wavelength_m)


GRID = SearchGrid(2.0, 12.0, np.pi / 6, 5 * np.pi / 6, n_ranges=10, n_angles=37)


def _errors(model: LeakageModel, array: UniformLinearArray, grid: SearchGrid) -> np.ndarray:
    angles = np.concatenate([[0.0, np.pi, np.pi / 2], np.random.default_rng(1).uniform(0, np.pi, 200)])
    angles.setflags(write=False)
    table = tabulate(model, array, grid)
    ranges_m, angles_rad = grid.candidates()
    exact = leakage(model, array, range_m=ranges_m, angle_rad=angles_rad, sensor_angle_rad=angles).value.T
    return table.interpolate(angles)[:, : grid.size] - exact


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_error_is_bounded(model: LeakageModel) -> None:
    errors = np.abs(_errors(model, _array(), GRID))
    assert errors.max() <= error_bound(100)
    assert np.sqrt(np.mean(errors**2)) <= 0.05 * error_bound(100)  # typical errors, which slack is derived from


@pytest.mark.parametrize(("n_elements", "spacing"), [(2, 0.5), (33, 0.25), (64, 1.0)])
def test_bound_holds_for_other_arrays(n_elements: int, spacing: float) -> None:
    errors = np.abs(_errors(SPHERICAL, _array(n_elements, spacing), GRID))
    assert errors.max() <= error_bound(n_elements)


def test_focus_far_away_is_the_worst_case() -> None:
    """A nearly plane wave has the widest autocorrelation: the bound is within a factor of four of its error."""
    grid = SearchGrid(4000.0, 5000.0, np.pi / 3, 2 * np.pi / 3, n_ranges=2, n_angles=9)
    errors = np.abs(_errors(SPHERICAL, _array(), grid))
    assert error_bound(100) / 4 < errors.max() <= error_bound(100)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_band_of_the_pattern(model: LeakageModel) -> None:
    """The spectrum over u ends at the band: what lies beyond is the leakage of the window alone."""
    array = _array()
    band = model.bandwidth_rad(array)
    n = 1 << 14
    u = np.linspace(-8, 8, n, endpoint=False)
    window = np.blackman(n)
    g = model.table(array, range_m=np.array([3.0]), angle_rad=np.array([1.2]), cosine=u).value[0]
    spectrum = np.abs(np.fft.rfft(g * window))
    omega = 2 * np.pi * np.arange(len(spectrum)) / 16
    assert spectrum[omega > 1.02 * band + 5].max() < 2e-4 * spectrum.max()
    assert spectrum[(omega > 0.85 * band) & (omega < 0.98 * band)].max() > 1e-6 * spectrum.max()


def test_subset_holds_the_same_columns() -> None:
    table = tabulate(SPHERICAL, _array(), GRID)
    columns = np.array([20, 23, 26, 110, 113, 116])
    angles = np.array([0.7, 1.5])
    chosen = subset(table, columns, 3)
    assert np.array_equal(chosen.interpolate(angles)[:, :6], table.interpolate(angles)[:, columns])


def test_a_resolving_grid_covers_the_rectangle_as_finely_as_patterns_ask() -> None:
    grid = resolving(_array(), GRID)
    ranges_m, angles_rad = grid.ranges_m(), grid.angles_rad()
    assert (ranges_m[0], ranges_m[-1]) == pytest.approx((2.0, 12.0))
    assert (angles_rad[0], angles_rad[-1]) == pytest.approx((np.pi / 6, 5 * np.pi / 6))
    assert ranges_m.min() >= 2.0
    assert angles_rad.max() <= 5 * np.pi / 6
    cell_m, cell_rad = grid.cell((ranges_m[1:] * ranges_m[:-1]) ** 0.5, (angles_rad[1:] + angles_rad[:-1]) / 2)
    assert np.allclose(np.diff(ranges_m), cell_m, rtol=1e-2)
    assert np.allclose(np.diff(angles_rad), cell_rad, rtol=1e-2)
    nyquist_u = np.pi / FRESNEL_CLOSED.bandwidth_rad(_array())
    assert np.max(np.diff(np.sort(np.cos(angles_rad)))) < nyquist_u / 3.9
    finer, long = resolving(_array(), GRID, 2.0), resolving(_array(1000), GRID)
    assert finer.n_angles == pytest.approx(2 * grid.n_angles, abs=1)
    assert finer.n_ranges == 2 * grid.n_ranges
    assert grid.size < long.size <= 61_000
