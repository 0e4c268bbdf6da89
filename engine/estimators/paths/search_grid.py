"""The grid that a search for paths starts from: what beams receive from it, and what the surface resolves of it."""

import math
from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.paths.fit_bounds import RANGE_LOSS, cell_in_beams, fit_bounds
from engine.estimators.paths.lattice_peaks import highest_peaks_of_arrays
from engine.estimators.paths.problem import PathProblem
from engine.estimators.paths.trials import Rows, power
from engine.numerics.candidates import CandidateGrid
from engine.numerics.dictionary import Dictionary
from engine.numerics.resolution import beam_widths, inverse_range_step_per_m

Array = Any

LEAST_START = 0.02
"""Of a step of inverse range: κ where a fit starts at least, as at κ = 0 the bound might hold it."""
UNRESOLVED_BEAMS = 0.75
"""Of a beam's width: directions nearer than this are not told apart."""


class SearchGrid:
    """Candidates κ, θ, φ on a lattice of directions and inverse ranges, prepared for one problem."""

    def __init__(self, problem: PathProblem, grid: CandidateGrid, xp: Any) -> None:
        self.problem, self.xp = problem, xp
        self._dictionary = Dictionary(problem.surface, grid, xp)
        places = np.stack(grid.candidates(), axis=-1)
        step_per_m = inverse_range_step_per_m(problem.surface, RANGE_LOSS)
        self.range_step_per_m = step_per_m
        places[:, 0] = np.maximum(places[:, 0], min(LEAST_START * step_per_m, 0.5 / problem.view.range_min_m))
        self._candidates = xp.asarray(places)
        self.lattice = grid.allowed.shape
        self._position = None if grid.allowed.all() else xp.asarray(np.flatnonzero(grid.allowed))
        self._number = np.where(grid.allowed, np.cumsum(grid.allowed).reshape(grid.allowed.shape) - 1, -1)
        self._padded = xp.asarray(np.pad(self._number, ((1, 1), (1, 1), (0, 0)), constant_values=-1))
        self._polar, self._azimuth = (xp.asarray(part) for part in np.nonzero(grid.allowed)[:2])
        self.cell_beams = cell_in_beams(problem.surface, grid)
        self._beams = beam_widths(problem.surface)
        self.bounds = xp.asarray(fit_bounds(problem.surface, problem.view))
        self.level_per_m = float(self.bounds[1, 0]) / self.lattice[-1]

    def rows(self, beams: Array) -> Rows:
        """Of beams complex (G, C, N)."""
        value = self._dictionary.rows(beams)
        return Rows(value, self.xp.sum(power(value), axis=1))

    def more_rows(self, rows: Rows | None, beams: Array) -> Rows:
        """With those of further beams (G, C', N)."""
        further = self.rows(beams)
        if rows is None:
            return further
        return Rows(self.xp.concat([rows.value, further.value], axis=1), rows.energy + further.energy)

    def candidates(self, scores: Array) -> Array:
        """κ, θ, φ of the highest score, (..., M) → (..., 3)."""
        return self._candidates[self.xp.argmax(scores, axis=-1)]

    def peaks(self, scores: Array, n: int) -> tuple[Array, Array]:
        """The n highest of the candidates whose neighbours in angles and range are all lower: (..., M) → (..., n).

        Indices and scores, highest first; 0 where there are no more.
        """
        if is_numpy_namespace(self.xp):
            from engine.numerics.lattice_peaks_cpu import highest_peaks  # numba takes a while to import

            return highest_peaks(scores, self._number, n)
        return self.peaks_of_arrays(scores, n)

    def peaks_of_arrays(self, scores: Array, n: int) -> tuple[Array, Array]:
        return highest_peaks_of_arrays(self.xp, scores, self.lattice, self._position, n)

    def around(self, index: Array) -> Array:
        """Candidates in the same and the eight next directions, at each range of the grid, (...) → (..., 9R).

        −1: not in view.
        """
        polar, azimuth = self._polar[index], self._azimuth[index]
        directions = [(polar + i, azimuth + j) for i in range(3) for j in range(3)]
        return self.xp.concat([self._padded[i, j] for i, j in directions], axis=-1)

    @property
    def all_places(self) -> Array:
        """κ, θ, φ of every candidate, (M, 3)."""
        return self._candidates

    def places(self, index: Array) -> Array:
        """κ, θ, φ of candidates, (...) → (..., 3)."""
        return self._candidates[index]

    def rooms(self, height: Array) -> Array:
        """How many peaks of the likelihood, so many nats high, the grid has room for."""
        return self.xp.maximum(self.all_places.shape[0] / self.cells_of_a_peak(height), self.xp.ones_like(height))

    def cells_of_a_peak(self, height: Array) -> Array:
        """The volume of a peak of the likelihood, so many nats high, in cells of the grid.

        Along a direction cosine a lobe is 1 − (πx)²/3 of its height x beams from its top; along κ a step costs a share.
        """
        xp = self.xp
        height = xp.maximum(height, xp.ones_like(height))
        return 3 / (math.pi * height) / self.cell_beams**2 * self.range_width_per_m(height) / self.level_per_m

    def range_width_per_m(self, height: Array) -> Array:
        """Of a peak so many nats high along κ, at most all there is."""
        widths = self.range_step_per_m * self.xp.sqrt(math.pi / (RANGE_LOSS * self.xp.clip(height, 1.0, None)))
        return self.xp.clip(widths, None, float(self.bounds[1, 0]))

    def unresolved(self, places: Array, others: Array) -> Array:
        """Whether direction cosines are within most of a beam of each other; κ, θ, φ (..., 3) each."""
        (y, z), (other_y, other_z) = self._along_surface(places), self._along_surface(others)
        width_y, width_z = self._beams
        return ((y - other_y) / width_y) ** 2 + ((z - other_z) / width_z) ** 2 < UNRESOLVED_BEAMS**2

    def _along_surface(self, places: Array) -> tuple[Array, Array]:
        polar, azimuth = places[..., 1], places[..., 2]
        return self.xp.sin(polar) * self.xp.sin(azimuth), self.xp.cos(polar)
