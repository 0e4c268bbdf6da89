"""Candidate places in front of a planar array: directions on a uniform grid, ranges at levels of κ = 1/r."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.resolution import beam_widths, inverse_range_levels
from engine.numerics.wavefront import near_field_range_m

FieldModel = Literal["hybrid", "nf", "ff"]


@dataclass(frozen=True)
class FieldOfView:
    """Where users and scatterers may be: an interval of each spherical coordinate."""

    polar_min_rad: float
    polar_max_rad: float
    azimuth_min_rad: float
    azimuth_max_rad: float
    range_min_m: float
    range_max_m: float


class Candidates(NamedTuple):
    """M places, (M,) each; κ = 0 is a plane wave."""

    inverse_range_per_m: np.ndarray
    polar_rad: np.ndarray
    azimuth_rad: np.ndarray


@dataclass(frozen=True)
class CandidateGrid:
    """Directions at the centres of round(range/step) cells a side, times levels of inverse range, some left out.

    polar_rad (P,), azimuth_rad (Q,), inverse_range_per_m (R,): the levels. allowed (P, Q, R): which combinations are
    candidates; they are numbered in that order, the range changing fastest.
    """

    polar_rad: np.ndarray
    azimuth_rad: np.ndarray
    inverse_range_per_m: np.ndarray
    allowed: np.ndarray

    @property
    def size(self) -> int:
        return int(self.allowed.sum())

    def candidates(self) -> Candidates:
        """Every candidate, in order."""
        polar, azimuth, level = np.nonzero(self.allowed)
        return Candidates(self.inverse_range_per_m[level], self.polar_rad[polar], self.azimuth_rad[azimuth])


def field_grid(
    array: UniformPlanarArray, view: FieldOfView, model: FieldModel, *, angle_step_rad: float, range_step_m: float
) -> CandidateGrid:
    """The dictionaries of Cao et al., Eqs. (11) to (13): uniform steps in both angles and in range.

    model: `nf`, spherical waves at every range of the view; `ff`, one plane wave a direction; `hybrid`, plane waves
    and the spherical ones whose departure from a plane wave exceeds π/8, Eq. (5).
    """
    polar = _cell_centres(view.polar_min_rad, view.polar_max_rad, angle_step_rad)
    azimuth = _cell_centres(view.azimuth_min_rad, view.azimuth_max_rad, angle_step_rad)
    steps = math.floor((view.range_max_m - view.range_min_m) / range_step_m + 1e-9)
    ranges = view.range_min_m + range_step_m * np.arange(steps + 1)
    shape = (len(polar), len(azimuth))
    if model == "ff":
        return CandidateGrid(polar, azimuth, np.zeros(1), np.ones((*shape, 1), dtype=bool))
    if model == "nf":
        return CandidateGrid(polar, azimuth, 1 / ranges, np.ones((*shape, len(ranges)), dtype=bool))
    ends = near_field_range_m(array, *np.broadcast_arrays(polar[:, None], azimuth[None, :]))
    allowed = np.concatenate([np.ones((*shape, 1), dtype=bool), ranges < ends[..., None]], axis=-1)
    return CandidateGrid(polar, azimuth, np.concatenate([[0.0], 1 / ranges]), allowed)


def resolving_grid(
    array: UniformPlanarArray,
    view: FieldOfView,
    *,
    beam_share: float,
    range_loss: float,
    angle_step_rad: float | None = None,
    inverse_range_per_m: tuple[float, ...] | None = None,
) -> CandidateGrid:
    """The coarsest grid on which no place in view is missed, by the aperture, the wavelength and the view alone.

    Cells are at most `beam_share` of the beam, λ/(n d) along each side, wide in both direction cosines, and levels of
    inverse range so close that a wave between two of them loses at most `range_loss` of its power. angle_step_rad,
    inverse_range_per_m: cells and levels that are given instead.
    """
    width_y, width_z = beam_widths(array)
    if angle_step_rad is None:
        polar = np.linspace(view.polar_min_rad, view.polar_max_rad, 65)
        azimuth = np.linspace(view.azimuth_min_rad, view.azimuth_max_rad, 65)
        sine = float(np.sin(polar).max())
        # A row of one polar angle ends where the next one does to within a beam: what lies at the edge is seen.
        slanted = float(np.abs(np.cos(polar)).max() * np.abs(np.sin(azimuth)).max())
        step_polar = beam_share * min(width_z / sine, 2 * width_y / max(slanted, 1e-9))
        step_azimuth = beam_share * width_y / (sine * float(np.cos(azimuth).max()))
    else:
        step_polar = step_azimuth = angle_step_rad
    if inverse_range_per_m is None:
        directions = [
            part.reshape(-1)
            for part in np.meshgrid(
                [view.polar_min_rad, (view.polar_min_rad + view.polar_max_rad) / 2, view.polar_max_rad],
                [view.azimuth_min_rad, (view.azimuth_min_rad + view.azimuth_max_rad) / 2, view.azimuth_max_rad],
                indexing="ij",
            )
        ]
        levels = inverse_range_levels(array, 1 / view.range_min_m, *directions, loss=range_loss)
    else:
        levels = np.asarray(inverse_range_per_m, dtype=float)
    polar = _cell_centres(view.polar_min_rad, view.polar_max_rad, step_polar, at_most=True)
    azimuth = _cell_centres(view.azimuth_min_rad, view.azimuth_max_rad, step_azimuth, at_most=True)
    return CandidateGrid(polar, azimuth, levels, np.ones((len(polar), len(azimuth), len(levels)), dtype=bool))


def _cell_centres(low: float, high: float, step: float, *, at_most: bool = False) -> np.ndarray:
    cells = (high - low) / step
    n = max(1, math.ceil(cells - 1e-9) if at_most else round(cells))
    return low + (high - low) * (np.arange(n) + 0.5) / n
