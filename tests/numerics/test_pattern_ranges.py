"""The pattern table over sensors' ranges: bounded errors for sensors at any distance that a table serves."""

from dataclasses import replace

import numpy as np
import pytest

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import LeakageModel, leakage
from engine.numerics.leakage_models.two_sided import TWO_SIDED
from engine.numerics.leakage_names import model_named, model_names
from engine.numerics.pattern import SearchGrid, error_bound, ranged_error_bound, tabulate
from engine.numerics.pattern_ranges import SensorRanges, sensor_ranges

MODELS = [model for name in model_names() if (model := model_named(name)).two_sided]
GRID = SearchGrid(2.0, 12.0, np.pi / 6, 5 * np.pi / 6, n_ranges=10, n_angles=19)


def _array(n_elements: int, spacing: float = 0.5) -> UniformLinearArray:
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / 15e9
    return UniformLinearArray(n_elements, spacing * wavelength_m, wavelength_m)


def _errors(model: LeakageModel, array: UniformLinearArray, ranges: SensorRanges) -> np.ndarray:
    """At 200 sensors: some along the axis and straight ahead, some at either end of the ranges, the others anywhere."""
    random = np.random.default_rng(1)
    angles = np.concatenate([[0.0, np.pi, np.pi / 2], random.uniform(0, np.pi, 197)])
    inverse = random.uniform(ranges.low_per_m, ranges.high_per_m, 200)
    inverse[:50], inverse[50:100] = ranges.low_per_m, ranges.high_per_m
    for part in (angles, inverse):
        part.setflags(write=False)
    range_m, angle_rad = GRID.candidates()
    exact = leakage(
        model,
        array,
        range_m=range_m,
        angle_rad=angle_rad,
        sensor_angle_rad=angles,
        sensor_inverse_range_per_m=inverse,
    ).value.T
    return tabulate(model, array, GRID, ranges).interpolate(angles, inverse)[:, : GRID.size] - exact


CASES = [
    (100, 0.5, 100.0, 150.0, 2.5e-2, 2),
    (100, 0.5, 100.0, 150.0, 1e-3, 3),
    (100, 0.5, 20.0, 30.0, 1e-3, 4),
    (64, 0.5, 3.0, np.inf, 1e-3, 10),
    (16, 0.5, 2.0, 100.0, 1e-4, 4),
    (33, 1.0, 8.0, 200.0, 1e-3, 6),
    (100, 0.5, 120.0, 120.0, 1e-3, 1),
]


@pytest.mark.parametrize(
    ("model", "n_elements", "spacing", "nearest_m", "farthest_m", "tolerance", "orders"),
    [(model, *case) for model in MODELS for case in (CASES if model is TWO_SIDED else CASES[::4])],
    ids=lambda part: getattr(part, "name", str(part)),
)
def test_error_is_bounded(
    model: LeakageModel,
    n_elements: int,
    spacing: float,
    nearest_m: float,
    farthest_m: float,
    tolerance: float,
    orders: int,
) -> None:
    array = _array(n_elements, spacing)
    ranges = sensor_ranges(array, 1 / farthest_m, 1 / nearest_m, tolerance)
    assert ranges is not None
    assert ranges.orders == orders
    errors = np.abs(_errors(model, array, ranges))
    bound = ranged_error_bound(n_elements, ranges)
    assert errors.max() <= bound
    assert bound <= tolerance + 6 * error_bound(n_elements) + (5e-3 if orders == 2 else 0)
    typical = 0.03 if orders == 2 else 0.1  # which slack is derived from
    assert np.sqrt(np.mean(errors**2)) <= typical * bound


def test_an_order_less_is_noticed() -> None:
    array = _array(100)
    ranges = sensor_ranges(array, 1 / 30, 1 / 20, 1e-3)
    assert ranges is not None
    fewer = replace(ranges, orders=ranges.orders - 1)
    assert np.abs(_errors(TWO_SIDED, array, fewer)).max() > ranged_error_bound(100, ranges)


def test_sensors_within_some_apertures_have_no_table() -> None:
    array = _array(100)
    assert sensor_ranges(array, 0.01, 1 / 1.9, 1e-3) is None
    assert sensor_ranges(_array(1000), 1 / 1000, 1 / 25, 1e-3) is None


def test_an_interval_holds_its_ends() -> None:
    ranges = sensor_ranges(_array(100), 1 / 150, 1 / 100, 1e-3)
    assert ranges is not None
    assert ranges.holds(1 / np.array([100.0, 150.0]))
    assert not ranges.holds(1 / np.array([99.9, 120.0]))
