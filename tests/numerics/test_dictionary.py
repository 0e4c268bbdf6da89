"""Rows of a dictionary against the waves themselves, element by element."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import InputError
from engine.numerics.candidates import CandidateGrid, FieldOfView, field_grid, resolving_grid
from engine.numerics.dictionary import ERROR, TILE, Dictionary
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.wavefront import wave

LAB = FieldOfView(math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6, 0.5, 10.0)
WIDE = FieldOfView(math.pi / 6, 5 * math.pi / 6, -math.pi / 3, math.pi / 3, 0.5, 10.0)
TILTED = FieldOfView(0.9, 1.3, 0.1, 0.7, 0.7, 4.0)


def surface(n_y: int, n_z: int) -> UniformPlanarArray:
    return UniformPlanarArray(n_y, n_z, 0.005, SPEED_OF_LIGHT_M_PER_S / 28e9)


def beams(array: UniformPlanarArray, *shape: int) -> np.ndarray:
    return np.exp(2j * np.pi * np.random.default_rng(5).random((*shape, array.n_elements)))


def _levels(array: UniformPlanarArray, inverse_range_per_m: tuple[float, ...]) -> CandidateGrid:
    return resolving_grid(
        array, LAB, beam_share=0.4, range_loss=0.05, angle_step_rad=0.07, inverse_range_per_m=inverse_range_per_m
    )


def direct(array: UniformPlanarArray, grid: CandidateGrid, rows: np.ndarray) -> np.ndarray:
    return rows @ wave(array, *grid.candidates()).T


@pytest.mark.parametrize("model", ["hybrid", "nf", "ff"])
@pytest.mark.parametrize(("n_y", "n_z", "view"), [(9, 6, WIDE), (8, 11, TILTED), (1, 7, WIDE), (2, 1, TILTED)])
def test_rows_are_products_with_waves(n_y: int, n_z: int, view: FieldOfView, model: Any, xp: Any, host: Any) -> None:
    array = surface(n_y, n_z)
    grid = field_grid(array, view, model, angle_step_rad=0.12, range_step_m=0.5)
    given = beams(array, 2, 3)
    rows = host(Dictionary(array, grid, xp).rows(xp.asarray(given)))
    assert rows.shape == (2, 3, grid.size)
    np.testing.assert_allclose(rows, direct(array, grid, given), atol=20 * ERROR * math.sqrt(array.n_elements), rtol=0)


@pytest.mark.parametrize(
    ("n_y", "n_z", "carrier_hz", "spacing", "view", "nearest_m"),
    [
        (25, 25, 28e9, 0.467, LAB, 0.5),
        (19, 19, 73e9, 0.467, WIDE, 0.12),
        (2, 40, 28e9, 0.467, LAB, 0.52),  # 1e-6 before the number of nodes followed the aperture
        (5, 3, 43e9, 0.385, LAB, 0.013),
        (40, 10, 7.8e9, 0.438, WIDE, 1.74),
        (13, 37, 13e9, 0.387, TILTED, 0.81),
    ],
)
def test_a_rows_error_is_as_promised_for_any_surface(
    n_y: int, n_z: int, carrier_hz: float, spacing: float, view: FieldOfView, nearest_m: float
) -> None:
    """Root mean square over beams, the worst candidate of all levels from the nearest range on: at most ERROR."""
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / carrier_hz
    array = UniformPlanarArray(n_y, n_z, spacing * wavelength_m, wavelength_m)
    view = replace(view, range_min_m=nearest_m, range_max_m=2 * array.rayleigh_range_m)
    step_m = (view.range_max_m - view.range_min_m) / 12
    grid = field_grid(array, view, "hybrid", angle_step_rad=0.11, range_step_m=step_m)
    given = beams(array, 32)
    some = np.random.default_rng(1).choice(grid.size, min(grid.size, 600), replace=False)
    exact = given @ wave(array, *(part[some] for part in grid.candidates())).T

    def worst(dictionary: Dictionary) -> float:
        error = np.abs(dictionary.rows(given)[:, some] - exact) / math.sqrt(array.n_elements)
        return float(np.sqrt((error**2).mean(axis=0)).max())

    assert worst(Dictionary(array, grid, np)) < ERROR
    assert worst(Dictionary(array, grid, np, error=1e-3)) > 1e-5


def test_levels_are_exact_where_all_are_kept() -> None:
    array = surface(15, 15)
    grid = _levels(array, (0.0, 0.2, 0.5, 1.0, 1.8))
    given = beams(array, 4)
    np.testing.assert_allclose(
        Dictionary(array, grid, np).rows(given), direct(array, grid, given), atol=20 * ERROR * 15, rtol=0
    )


def test_a_row_does_not_depend_on_the_batch() -> None:
    array = surface(25, 25)
    dictionary = Dictionary(array, _levels(array, (0.0, 0.5, 1.8)), np)
    given = beams(array, 2 * TILE + 3)
    rows = dictionary.rows(given)
    for first, count in ((0, 1), (7, 1), (TILE - 1, 2), (5, TILE), (3, 2 * TILE), (2 * TILE, 3)):
        np.testing.assert_array_equal(dictionary.rows(given[first : first + count]), rows[first : first + count])
    np.testing.assert_array_equal(dictionary.rows(given[::-1]), rows[::-1])


@pytest.mark.parametrize("kernels", ["Haswell", "Sandybridge", "Nehalem"])
def test_a_row_does_not_depend_on_the_batch_whatever_kernels_blas_has(kernels: str) -> None:
    """Those of an older CPU, which a newer one has as well; a row's place in a tile is another in a batch turned round.

    Of the first, rows of a product differ by their place: three are taken at a time, and a tile ends in one.
    """
    statement = f"import test_dictionary as t; t.{test_a_row_does_not_depend_on_the_batch.__name__}()"
    path = os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    )
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels, "PYTHONPATH": path}
    found = subprocess.run([sys.executable, "-c", statement], env=environment, capture_output=True, text=True)
    assert not found.returncode, found.stderr


def test_sums_of_beams_may_be_taken_over_coefficients() -> None:
    array = surface(10, 10)
    dictionary = Dictionary(array, field_grid(array, WIDE, "hybrid", angle_step_rad=0.1, range_step_m=0.5), np)
    given, weights = beams(array, 5), np.arange(5) - 2.5j
    summed = dictionary.expand(weights @ dictionary.compress(given))
    np.testing.assert_allclose(summed, weights @ dictionary.rows(given), atol=1e-11, rtol=0)


@pytest.mark.parametrize(("model", "error"), [("hybrid", ERROR), ("nf", 1e-12), ("ff", ERROR)])
def test_scores_are_those_of_rows(model: Any, error: float, xp: Any, host: Any) -> None:
    """Sums of squares on the lattice, and the place where weighted sums over users are highest."""
    array = surface(29, 5)
    grid = field_grid(array, WIDE, model, angle_step_rad=0.23, range_step_m=0.5)
    dictionary = Dictionary(array, grid, xp, error=error)
    assert (dictionary.lattice[2] % 8, error < ERROR) == (0, dictionary.n_levels > 8)
    coefficients = dictionary.compress(xp.asarray(beams(array, 6)))
    squares = np.abs(host(dictionary.expand(coefficients))) ** 2
    allowed = host(dictionary.allowed)
    places = [host(part) for part in dictionary.places(xp.asarray(np.flatnonzero(allowed)))]
    # The lattice has the azimuths last, the candidates have the levels last.
    polar, level, azimuth = allowed.nonzero()
    order = np.lexsort((level, azimuth, polar))
    for part, candidates in zip(places, grid.candidates(), strict=True):
        np.testing.assert_array_equal(part[order], candidates)
    power = host(dictionary.power(coefficients))
    np.testing.assert_allclose(power[allowed][order], squares.sum(axis=0), rtol=1e-9, atol=1e-9)
    weight = np.where(allowed, np.random.default_rng(2).random(allowed.shape), 0.0)
    best = dictionary.strongest(xp.reshape(coefficients, (3, 2, -1)), xp.asarray(weight))
    expected = (squares.reshape(3, 2, -1).sum(axis=1) * weight[allowed][order]).argmax(axis=-1)
    for part, candidates in zip(dictionary.places(best), grid.candidates(), strict=True):
        np.testing.assert_array_equal(host(part), candidates[expected])


def test_a_candidate_on_the_surface_is_one_clear_line() -> None:
    view = FieldOfView(1.0, 2.0, -0.5, 0.5, 0.05, 1.0)
    grid = field_grid(surface(25, 25), view, "nf", angle_step_rad=0.2, range_step_m=0.25)
    with pytest.raises(InputError, match=r"0\.05 m .*needed at least 0\.127 m") as raised:
        Dictionary(surface(25, 25), grid, np)
    assert "\n" not in str(raised.value)
