"""A building's footprint as a path of matplotlib, holes left open."""

from typing import TYPE_CHECKING

import numpy as np

from engine.channels.surroundings import Building, Ring

if TYPE_CHECKING:
    from matplotlib.path import Path


def outline(building: Building) -> "Path":
    """Rings one after the other, each closed."""
    from matplotlib.path import Path

    rings = [building.footprint, *(_against(hole, building.footprint) for hole in building.holes)]
    points = [point for ring in rings for point in (*ring, ring[0])]
    codes = [code for ring in rings for code in (Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY)]
    return Path(points, codes)


def _against(hole: Ring, outer: Ring) -> Ring:
    """A hole's corners in the other sense than the outer ring's, so that it is left open."""
    return hole[::-1] if _is_clockwise(hole) == _is_clockwise(outer) else hole


def _is_clockwise(ring: Ring) -> bool:
    x, y = np.array(ring).T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) < 0
