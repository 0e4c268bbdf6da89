"""Paths over the edges of buildings: every edge is tried for every place, and rays say which ones exist.

A path is diffracted once, and may be reflected at the ground before and after; reflections at walls beside a
diffraction, and second diffractions, are left out (docs/multipath.md says what that leaves out).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.channels.diffraction import DiffractedPaths, Edges, Planes, unfolded
from engine.channels.utd import boundary_offsets_rad
from engine.channels.wedges import Wedges

FirstMet = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Origins (n, 3) and directions (n, 3) → the plane that is met first, −1 for none, and how far away (m)."""
EDGE = -2
"""Stands in a path's chain of planes for its edge."""
OFF_EDGE_M = 1e-3  # single precision places a point 100 m away to 1e-5 m
TOLERANCE_M = 1e-4
_SAME_PLANE, _SAME_PLANE_M = 1e-9, 1e-6  # rounding; footprints lie on a lattice of 1e-3 m


class EdgePaths(NamedTuple):
    """P paths, and how each was found."""

    place: np.ndarray
    """(P,)"""
    paths: DiffractedPaths
    points_m: np.ndarray
    """of reflections and edge in their order, the last one repeated, (P, 3, 3)"""
    chain: np.ndarray
    """plane of each, `EDGE`, or −1 for none, (P, 3)"""

    def take(self, which: np.ndarray) -> "EdgePaths":
        return EdgePaths(self.place[which], self.paths.take(which), self.points_m[which], self.chain[which])


class Ground(NamedTuple):
    """What reflects beside an edge."""

    plane: int
    """among the caller's"""
    height_m: float
    permittivity: complex


class EdgeSearch:
    """The edges of one scene. Planes are numbered as the caller's: their normals (M, 3) and offsets (M,), the
    permittivity behind each; `ground` is one of them, if there is any."""

    def __init__(
        self,
        wedges: Wedges,
        permittivity: np.ndarray,
        planes: tuple[np.ndarray, np.ndarray, np.ndarray],
        ground: int | None,
        chains: np.ndarray,
    ) -> None:
        """permittivity: η of each material; chains: of planes that reflected paths may have, (C, D), −1 for none; D is
        the most that happens to any path, reflections and diffraction together."""
        self.wedges, self.permittivity = wedges, permittivity[wedges.material]
        self._normal, self._offset_m, self._plane_permittivity = planes
        beside: list[tuple[int, ...]] = [()] if ground is None else [(), (ground,)]
        ways = ((before, after) for before in beside for after in beside)
        self.ways = [(before, after) for before, after in ways if len(before) + len(after) < chains.shape[1]]
        self.ending = [self._chains_that_end(before, after, chains) for before, after in self.ways]
        self.ground = None if ground is None else self._flat(ground)
        outward = wedges.normal.sum(axis=1)
        self.outward = outward / np.linalg.norm(outward, axis=-1, keepdims=True)

    def _flat(self, ground: int) -> Ground:
        return Ground(
            ground, float(self._offset_m[ground] / self._normal[ground, 2]), complex(self._plane_permittivity[ground])
        )

    def __len__(self) -> int:
        """Candidates of a place."""
        return len(self.wedges.length_m) * len(self.ways)

    def find(
        self, position_m: np.ndarray, source_m: np.ndarray, first_met: FirstMet, reflected: np.ndarray
    ) -> EdgePaths:
        """All paths from a source (3,) to places (n, 3); reflected: which chains the places have paths of, (n, C)."""
        found = [self._of_way(position_m, source_m, first_met, number, reflected) for number in range(len(self.ways))]
        return EdgePaths(
            np.concatenate([one.place for one in found]),
            _joined([one.paths for one in found]),
            np.concatenate([one.points_m for one in found]),
            np.concatenate([one.chain for one in found]),
        )

    def _of_way(
        self,
        position_m: np.ndarray,
        source_m: np.ndarray,
        first_met: FirstMet,
        number: int,
        reflected: np.ndarray,
    ) -> EdgePaths:
        """Those that are reflected at the planes of one way before and after the edge."""
        edges, (before, after) = len(self.wedges.length_m), self.ways[number]
        place, wedge = np.repeat(np.arange(len(position_m)), edges), np.tile(np.arange(edges), len(position_m))
        paths = self._paths(position_m[place], wedge, before, after)
        seen = unfolded(paths, source_m[None])
        at, incident, diffracted = (part[:, 0] for part in (seen.along_m, seen.incident_rad, seen.diffracted_rad))
        exterior = paths.edge.exterior_rad
        possible = (at > 0) & (at < self.wedges.length_m[wedge]) & (incident < exterior) & (diffracted < exterior)
        place, wedge, paths = place[possible], wedge[possible], paths.take(possible)
        point_m = seen.point_m[possible, 0]
        clear, vertices, chain = self._tested(position_m[place], source_m, point_m, wedge, number, first_met)
        paths, place, wedge = paths.take(clear), place[clear], wedge[clear]
        lit = boundary_offsets_rad(exterior[possible][clear], incident[possible][clear], diffracted[possible][clear])
        ending = self.ending[number][wedge]
        there = (ending >= 0) & reflected[place[:, None], ending]
        side = np.where(lit.T < 0, -1, np.where(there, 1, 0))
        return EdgePaths(place, paths._replace(side=side), vertices[clear], chain[clear])

    def _paths(
        self, target_m: np.ndarray, wedge: np.ndarray, before: tuple[int, ...], after: tuple[int, ...]
    ) -> DiffractedPaths:
        """Of P targets (P, 3) and edges (P,)."""
        wedges = self.wedges
        edge = Edges(
            wedges.origin_m[wedge],
            wedges.along[wedge],
            wedges.normal[wedge, 0],
            wedges.exterior_rad[wedge],
            self.permittivity[wedge],
        )
        none = np.zeros((len(wedge), 4))
        return DiffractedPaths(target_m, self._planes(before, len(wedge)), edge, self._planes(after, len(wedge)), none)

    def _planes(self, chain: tuple[int, ...], n: int) -> Planes:
        """The same for n paths, in one column, used or not."""
        if not chain:
            return Planes(np.zeros((n, 1, 3)), np.zeros((n, 1)), np.ones((n, 1), dtype=complex))
        (plane,) = chain
        return Planes(
            np.tile(self._normal[plane], (n, 1, 1)),
            np.full((n, 1), self._offset_m[plane]),
            np.full((n, 1), self._plane_permittivity[plane]),
        )

    def _tested(
        self,
        target_m: np.ndarray,
        source_m: np.ndarray,
        point_m: np.ndarray,
        wedge: np.ndarray,
        number: int,
        first_met: FirstMet,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whether paths of one way are clear (P,), their points (P, 3, 3) and their chain (P, 3)."""
        vertices, chain = self._vertices(target_m, point_m, source_m, number)
        clear = self._is_clear(source_m, vertices, chain, target_m, self.outward[wedge], first_met)
        return clear, vertices, chain

    def _vertices(
        self, target_m: np.ndarray, point_m: np.ndarray, source_m: np.ndarray, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points of reflections and edge (P, 3, 3), the last one repeated, and their chain (P, 3)."""
        before, after = self.ways[number]
        points, chain = [], []
        for plane in before:
            points.append(self._met(np.broadcast_to(source_m, point_m.shape), point_m, plane))
            chain.append(plane)
        points.append(point_m)
        chain.append(EDGE)
        for plane in after:
            points.append(self._met(point_m, target_m, plane))
            chain.append(plane)
        short = 3 - len(chain)
        return np.stack(points + [points[-1]] * short, axis=1), np.tile(chain + [-1] * short, (len(point_m), 1))

    def _met(self, here_m: np.ndarray, there_m: np.ndarray, plane: int) -> np.ndarray:
        """Where a plane reflects what goes from here to there, both on its outside."""
        normal = self._normal[plane]
        here, there = (np.abs(end @ normal - self._offset_m[plane]) for end in (here_m, there_m))
        share = here / np.maximum(here + there, np.finfo(float).tiny)
        foot = [end - (end @ normal - self._offset_m[plane])[:, None] * normal for end in (here_m, there_m)]
        return foot[0] + share[:, None] * (foot[1] - foot[0])

    def _is_clear(
        self,
        source_m: np.ndarray,
        points_m: np.ndarray,
        chain: np.ndarray,
        target_m: np.ndarray,
        outward: np.ndarray,
        first_met: FirstMet,
    ) -> np.ndarray:
        """Whether each leg ends where it should: (P,). Rays pass an edge just outside of it."""
        here = np.broadcast_to(source_m, target_m.shape).copy()
        clear = np.ones(len(here), dtype=bool)
        for i in range(chain.shape[1]):
            at_edge = chain[:, i] == EDGE
            off = np.where(at_edge[:, None], outward, self._normal[chain[:, i]] * self._upward(chain[:, i])[:, None])
            beside = points_m[:, i] + OFF_EDGE_M * off
            (left,) = np.nonzero(clear & (chain[:, i] != -1))
            to = np.where(at_edge[left, None], beside[left], points_m[left, i])
            leg = to - here[left]
            met, distance_m = first_met(here[left], leg)
            free = (met < 0) | (distance_m > np.linalg.norm(leg, axis=-1) - TOLERANCE_M)
            clear[left] = np.where(at_edge[left], free, met == chain[left, i])
            here[left] = beside[left]
        (left,) = np.nonzero(clear)
        leg = target_m[left] - here[left]
        met, distance_m = first_met(here[left], leg)
        clear[left] = (met < 0) | (distance_m > np.linalg.norm(leg, axis=-1) - OFF_EDGE_M)
        return clear

    def _upward(self, plane: np.ndarray) -> np.ndarray:
        """The ground's normal may be stored either way: ±1 for up."""
        return np.where(self._normal[plane, 2] < 0, -1.0, 1.0)

    def _chains_that_end(self, before: tuple[int, ...], after: tuple[int, ...], chains: np.ndarray) -> np.ndarray:
        """The chain of planes whose wave ends at the boundary that each of an edge's terms mends, (W, 4), −1 for none:
        the wave that passes the edge, twice, and those that its faces n and 0 reflect."""
        number = {tuple(plane for plane in chain if plane >= 0): i for i, chain in enumerate(chains.tolist())}
        passing = np.full(len(self.wedges.length_m), number.get((*before, *after), -1))
        of_face = [
            np.array([number.get((*before, plane, *after), -1) for plane in planes.tolist()], dtype=int)
            for planes in (self._planes_of_face(1), self._planes_of_face(0))
        ]
        return np.stack([passing, passing, *of_face], axis=1)

    def _planes_of_face(self, face: int) -> np.ndarray:
        """The caller's plane that each edge's face lies in, (W,); −1 where there is none."""
        wedges = self.wedges
        normal = wedges.normal[:, face]
        turned = normal @ self._normal.T
        offset_m = np.sum(normal * wedges.origin_m, axis=-1)[:, None] - np.sign(turned) * self._offset_m
        same = (np.abs(turned) > 1 - _SAME_PLANE) & (np.abs(offset_m) < _SAME_PLANE_M)
        same &= self._plane_permittivity == self.permittivity[:, None]
        return np.where(same.any(axis=1), np.argmax(same, axis=1), -1)


def _joined(found: list[DiffractedPaths]) -> DiffractedPaths:
    planes = [[getattr(one, name) for one in found] for name in ("before", "after")]
    before, after = (Planes(*map(np.concatenate, zip(*parts, strict=True))) for parts in planes)
    edge = Edges(*map(np.concatenate, zip(*(one.edge for one in found), strict=True)))
    target_m, side = (np.concatenate([getattr(one, name) for one in found]) for name in ("target_m", "side"))
    return DiffractedPaths(target_m, before, edge, after, side)
