"""The strongest paths to places, reflected and diffracted ones in one order."""

from typing import NamedTuple

import numpy as np

from engine.channels.diffraction import diffracted_responses
from engine.channels.edge_paths import EDGE, EdgePaths
from engine.channels.specular import Pattern, SpecularPaths, path_responses, reflection_points_m

NONE, SPECULAR, DIFFRACTION = 0, 1, 8
"""Interactions of a path, as Sionna RT numbers them."""


class StrongestPaths(NamedTuple):
    """P paths, one place after the other, the strongest first."""

    place: np.ndarray
    """(P,)"""
    gain: np.ndarray
    """of an element at the source, (P,) complex"""
    specular: SpecularPaths
    """those that are not diffracted, in their order"""
    diffracted: EdgePaths | None
    """the others, in theirs; None where there are none"""
    is_diffracted: np.ndarray
    """(P,)"""

    def responses(self, element_m: np.ndarray, wavelength_m: float, pattern: Pattern) -> np.ndarray:
        """Complex gain from each element (N, 3), (P, N)."""
        reflected = path_responses(self.specular, element_m, wavelength_m, pattern)
        if self.diffracted is None:
            return reflected
        found = np.empty((len(self.place), len(element_m)), dtype=complex)
        found[~self.is_diffracted] = reflected
        found[self.is_diffracted] = diffracted_responses(self.diffracted.paths, element_m, wavelength_m, pattern)
        return found

    def vertices_m(self, source_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a path changes its direction, (P, D, 3), and how, (P, D); without a change, a point is the last one."""
        reflected, _ = reflection_points_m(self.specular, source_m)
        depth = reflected.shape[1]
        points, kind = np.empty((len(self.place), depth, 3)), np.zeros((len(self.place), depth), dtype=np.int8)
        points[~self.is_diffracted] = reflected
        kind[~self.is_diffracted] = np.where(np.any(self.specular.normal != 0, axis=-1), SPECULAR, NONE)
        if self.diffracted is not None:
            column = np.minimum(np.arange(depth), self.diffracted.chain.shape[1] - 1)
            points[self.is_diffracted] = self.diffracted.points_m[:, column]
            chain = np.where(np.arange(depth) < self.diffracted.chain.shape[1], self.diffracted.chain[:, column], -1)
            of_chain = np.where(chain == EDGE, DIFFRACTION, np.where(chain >= 0, SPECULAR, NONE))
            kind[self.is_diffracted] = of_chain
        return points, kind


def strongest_of(
    place: np.ndarray,
    specular: SpecularPaths,
    diffracted: EdgePaths | None,
    *,
    most: int,
    source_m: np.ndarray,
    wavelength_m: float,
    pattern: Pattern,
) -> StrongestPaths:
    """At most `most` paths of each place, by their gain for an element at the source (3,). place: of the specular."""
    gain = path_responses(specular, source_m[None], wavelength_m, pattern)[:, 0]
    n = len(gain)
    if diffracted is not None:
        others = diffracted_responses(diffracted.paths, source_m[None], wavelength_m, pattern)[:, 0]
        place, gain = np.concatenate([place, diffracted.place]), np.concatenate([gain, others])
    kept = ranked(place, np.abs(gain), most)
    is_diffracted = kept >= n
    reflected = SpecularPaths(*(part[kept[~is_diffracted]] for part in specular))
    over_edges = diffracted.take(kept[is_diffracted] - n) if diffracted is not None and is_diffracted.any() else None
    return StrongestPaths(place[kept], gain[kept], reflected, over_edges, is_diffracted)


def ranked(place: np.ndarray, strength: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most `most` of the paths to each place, the strongest first: place, strength (P,)."""
    order = np.lexsort((-strength, place))
    sorted_place = place[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_place, sorted_place)
    return order[rank < most]
