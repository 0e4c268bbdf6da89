"""How far a fit may go: the view, and what the surface cannot tell from its edge."""

import math

import numpy as np

from engine.numerics.candidates import CandidateGrid, FieldOfView
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.resolution import beam_widths, inverse_range_step_per_m

BEYOND_BEAMS = 0.6
"""Of a beam's width: how far outside the view a fit may go; what lies at its edge is estimated on both sides of it."""
RANGE_LOSS = 0.05
"""Of a wave's power: a step of inverse range is what costs this much."""
LEAST_TURN = 0.2
"""Of sin θ and cos φ: a beam that looks along the surface is no wider than so."""


def fit_bounds(surface: UniformPlanarArray, view: FieldOfView) -> np.ndarray:
    """Lowest and highest κ, θ, φ of a fit, (2, 3): the view, and what the surface cannot tell from its edge.

    In κ from 0, a plane wave, to a step of inverse range past the nearest range, but not to within the surface's edge.
    """
    width_y, width_z = (BEYOND_BEAMS * width for width in beam_widths(surface))
    nearest = 1 / view.range_min_m
    step_per_m = inverse_range_step_per_m(surface, RANGE_LOSS)
    beyond_edge = max(nearest, min(2 * nearest, 0.95 * 2 / surface.aperture_m))
    most = min(nearest + step_per_m, beyond_edge)

    def angle(edge: float, turn: float, width: float, limit: float) -> float:
        """The edge moved outwards by a width in direction cosines."""
        moved = edge + math.copysign(width / max(abs(turn), LEAST_TURN), limit)
        return max(edge, min(moved, limit)) if limit > 0 else min(edge, max(moved, limit))

    polar = [
        angle(view.polar_min_rad - math.pi, math.sin(view.polar_min_rad), width_z, -math.pi) + math.pi,
        angle(view.polar_max_rad, math.sin(view.polar_max_rad), width_z, math.pi),
    ]
    azimuth = [
        angle(view.azimuth_min_rad, math.cos(view.azimuth_min_rad), width_y, -math.pi / 2),
        angle(view.azimuth_max_rad, math.cos(view.azimuth_max_rad), width_y, math.pi / 2),
    ]
    return np.array([[0.0, polar[0], azimuth[0]], [most, polar[1], azimuth[1]]])


def cell_in_beams(surface: UniformPlanarArray, grid: CandidateGrid) -> float:
    """The side of a cell over the beam's width, the geometric mean of the two, in the middle of the view."""
    width_y, width_z = beam_widths(surface)
    polar, azimuth = grid.polar_rad, grid.azimuth_rad
    middle = float(np.sin(polar).mean())
    steps = [
        (part[-1] - part[0]) / (len(part) - 1) if len(part) > 1 else width
        for part, width in ((polar, width_z), (azimuth, width_y))
    ]
    return math.sqrt(middle * steps[0] / width_z * middle * float(np.cos(azimuth).mean()) * steps[1] / width_y)
