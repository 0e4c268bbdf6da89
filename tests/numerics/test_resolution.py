"""Grids that follow from aperture, wavelength and view: no place in view is missed, on surfaces of any shape."""

import math

import numpy as np
import pytest

from engine.numerics.candidates import FieldOfView, resolving_grid
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.resolution import beam_widths, coherence, inverse_range_levels, inverse_range_step_per_m
from engine.numerics.wavefront import wave

LAB = (math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6)
WIDE = (math.pi / 6, 5 * math.pi / 6, -math.pi / 3, math.pi / 3)
TILTED = (0.6, 1.2, 0.2, 1.0)
AHEAD = np.array([math.pi / 2]), np.array([0.0])


def surface(n_y: int, n_z: int, carrier_hz: float = 28e9, spacing: float = 0.467) -> UniformPlanarArray:
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / carrier_hz
    return UniformPlanarArray(n_y, n_z, spacing * wavelength_m, wavelength_m)


@pytest.mark.parametrize(
    ("array", "angles", "nearest"),
    [
        (surface(25, 25), LAB, 0.5),
        (surface(24, 24, 60e9, 0.25), LAB, 0.1),
        (surface(40, 6, 5e9, 0.4), WIDE, 3.0),
        (surface(3, 31, 90e9, 0.5), WIDE, 0.12),
        (surface(14, 20, 12e9, 0.3), TILTED, 0.4),
    ],
)
def test_every_place_in_view_keeps_most_of_its_power_at_a_candidate(
    array: UniformPlanarArray, angles: tuple[float, float, float, float], nearest: float
) -> None:
    """At least 0.6 of it, as the search assumes; sinc² at 0.2 of a beam, twice, times 0.95 is 0.73."""
    view = FieldOfView(*angles, nearest, 20 * nearest)
    grid = resolving_grid(array, view, beam_share=0.4, range_loss=0.05)
    atoms = wave(array, *grid.candidates())
    rng = np.random.default_rng(4)
    polar, azimuth = rng.uniform(*angles[:2], 300), rng.uniform(*angles[2:], 300)
    kappa = rng.uniform(0, 1 / nearest, 300)
    kappa[:20], polar[20:40], azimuth[40:60] = 1 / nearest, angles[0], angles[3]
    power = np.abs(wave(array, kappa, polar, azimuth) @ atoms.conj().T / array.n_elements) ** 2
    assert power.max(axis=-1).min() > 0.6
    assert power.max(axis=-1).min() < 0.9  # no finer than needed by far
    coarse = resolving_grid(array, view, beam_share=0.8, range_loss=0.4)
    assert coarse.size < grid.size
    power = np.abs(wave(array, kappa, polar, azimuth) @ wave(array, *coarse.candidates()).conj().T) ** 2
    assert power.max(axis=-1).min() < 0.6 * array.n_elements**2


def test_given_cells_and_levels_are_taken() -> None:
    grid = resolving_grid(
        surface(9, 9), FieldOfView(*LAB, 0.2, 3.0), beam_share=0.4, range_loss=0.05, angle_step_rad=0.1,
        inverse_range_per_m=(0.0, 2.5),
    )  # fmt: skip
    assert grid.inverse_range_per_m.tolist() == [0.0, 2.5]
    assert len(grid.polar_rad) == len(grid.azimuth_rad) == 11  # 1.047 rad in cells of at most 0.1
    assert grid.polar_rad[0] == pytest.approx(math.pi / 3 + math.pi / 66)


def test_a_beam_ends_one_width_from_its_top() -> None:
    array = surface(20, 11, 40e9, 0.3)
    for width, polar, azimuth in zip(
        beam_widths(array), (0.0, 1.0), (1.0, 0.0), strict=True
    ):  # along y by the azimuth, along z by the polar angle, from straight ahead
        turned = np.array([math.acos(width * polar)]), np.array([math.asin(width * azimuth)])
        overlap = wave(array, np.zeros(1), *turned) @ wave(array, np.zeros(1), *AHEAD).conj().T / array.n_elements
        assert abs(overlap[0, 0]) < 1e-12


def test_levels_and_steps_cost_what_is_allowed() -> None:
    array = surface(30, 12, 60e9, 0.5)
    levels = inverse_range_levels(array, 6.0, *AHEAD, loss=0.1)
    kappa = np.linspace(0, 6.0, 400)
    whole = wave(array, kappa, np.full(400, math.pi / 2), np.zeros(400))
    at_levels = wave(array, levels, np.full(len(levels), math.pi / 2), np.zeros(len(levels)))
    kept = (np.abs(whole @ at_levels.conj().T / array.n_elements) ** 2).max(axis=-1)
    assert 0.88 < kept.min() < 0.92
    assert levels[0] == 0
    assert np.all(np.diff(levels) > 0)
    for other in (array, surface(14, 14, 60e9, 0.5), surface(9, 23, 5e9, 0.3)):
        step = inverse_range_step_per_m(other, 0.1)
        assert coherence(other, 0.0, step, *AHEAD) == pytest.approx(0.9, abs=1e-6)
        one = wave(other, np.array([0.0, step]), np.full(2, math.pi / 2), np.zeros(2))
        assert abs(one[0] @ one[1].conj() / other.n_elements) ** 2 == pytest.approx(0.9, abs=0.01)
