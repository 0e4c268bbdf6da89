"""Whether latitudes may come first in a file whose numbers alone do not say so: buildings have right angles."""

from collections.abc import Sequence

import numpy as np

_LEAST_BUILDINGS = 3
_SKEWED, _SQUARER = 0.12, 0.4
"""Mean |cos| of the corners from which buildings look skewed, and the share of it that is left where they are read the
other way round."""


def looks_exchanged(rings: Sequence[np.ndarray]) -> bool:
    """Of outer rings (n, 2) as a file has them, longitude and latitude in degrees: whether their corners are right
    angles only with latitude first. Buildings along the axes have right angles either way, and say nothing."""
    if len(rings) < _LEAST_BUILDINGS:
        return False
    as_read = float(np.mean([_skew(ring) for ring in rings]))
    exchanged = float(np.mean([_skew(ring[:, ::-1]) for ring in rings]))
    return as_read > _SKEWED and exchanged < _SQUARER * as_read


def _skew(ring: np.ndarray) -> float:
    """Mean |cos| of the angles between edges that follow each other, by their lengths."""
    edges = np.diff(np.concatenate([ring, ring[:2]]), axis=0)
    edges = edges * [np.cos(np.radians(np.clip(ring[0, 1], -89.0, 89.0))), 1.0]
    length = np.hypot(*edges.T)
    edges, length = edges[length > 0], length[length > 0]
    if len(edges) < 2:
        return 0.0
    pairs = length[1:] * length[:-1]
    return float(np.sum(np.abs(np.sum(edges[1:] * edges[:-1], axis=1))) / np.sum(pairs))
