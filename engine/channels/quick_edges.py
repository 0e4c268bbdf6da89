"""Paths over edges to many places, as a tracer's, in compiled loops: what `engine.channels.quick` adds to reflections.

All edges are tried for each place, and the strongest that it may have are tested by the tracer's rays, in the order of
their strength and as long as one of those that are left could be among the `max_paths` that are kept.
"""

from typing import NamedTuple

import numpy as np

from engine.channels.edge_paths import OFF_EDGE_M, TOLERANCE_M, EdgeSearch
from engine.channels.specular import PATTERNS, Pattern
from engine.channels.tracing import Tracer
from engine.channels.wedges import Wedges

_DEGREE = 16  # of the finest polynomial along the array, beyond which every element is computed
_PRECISION = 1e-7  # of one path's gains, over the strongest path's of its place
_AHEAD = 1.3  # times as many are tested as are missing
_ROOM, _MORE = 1.3, 4  # times the paths that are kept are listed; and so many times as many where those were too few


class EdgesKept(NamedTuple):
    """P paths."""

    place: np.ndarray
    """(P,)"""
    wedge: np.ndarray
    """(P,)"""
    way: np.ndarray
    """(P,)"""
    strength: np.ndarray
    """|gain| for an element at the array's centre, (P,)"""

    def take(self, which: np.ndarray) -> "EdgesKept":
        return EdgesKept(*(part[which] for part in self))


class QuickEdges:
    """Of a tracer whose channel diffracts at edges; along_m: the elements' y, (N,)."""

    def __init__(self, tracer: Tracer, search: EdgeSearch, along_m: np.ndarray) -> None:
        from engine.channels.utd_cpu import transition_table

        self._channel, self._search, self._first_met = tracer.channel, search, tracer.first_met
        self._along_m, (self._cosines, self._weights) = along_m, _nested(along_m)
        self._table = transition_table()
        self._ways = np.array([[bool(before), bool(after)] for before, after in search.ways])
        self._ground = (0.0, 1.0 + 0.0j) if search.ground is None else search.ground[1:]
        self._centre_m = np.array([0.0, 0.0, self._channel.array_height_m])
        first = self._likely_first(search.wedges)
        self._wedges = wedges = Wedges(*(np.ascontiguousarray(part[first]) for part in search.wedges))
        self._outward, self._permittivity = search.outward[first], search.permittivity[first]
        self._ending = np.stack(search.ending)[:, first]
        tangent = np.cross(wedges.normal[:, 0], wedges.along)
        self._frame = np.ascontiguousarray(np.stack([tangent, wedges.normal[:, 0], wedges.along], axis=1))
        origin = np.einsum("wij,wj->wi", self._frame, wedges.origin_m)[..., None]
        self._axes = np.ascontiguousarray(np.concatenate([self._frame, origin], axis=-1).transpose(1, 2, 0))
        self._seen = self._array_seen()

    def _likely_first(self, wedges: Wedges) -> np.ndarray:
        """Edges in an order in which the strongest paths come early, so that bounds leave out more of the others."""
        ends = _ends_m(wedges) - self._centre_m
        distance = np.min(np.linalg.norm(ends, axis=-1), axis=1)
        return np.argsort(-largest_amplitude(ends, self._channel.pattern) / distance, kind="stable")

    def _array_seen(self) -> np.ndarray:
        """Of every edge, the array's centre and its image in the ground: where it stands about the edge, at which
        azimuth and distance, and the largest amplitude that an element there sends towards it, (2, 6, W)."""
        wedges, centre = self._wedges, self._centre_m
        image = centre * (1, 1, -1) + (0, 0, 2 * self._ground[0])
        seen = np.empty((2, 6, len(wedges.length_m)))
        for number, end in enumerate((centre, image)):
            about = np.einsum("wij,wj->wi", self._frame, end - wedges.origin_m)
            seen[number, :3] = about.T
            seen[number, 3] = np.arctan2(about[:, 1], about[:, 0]) % (2 * np.pi)
            seen[number, 4] = np.hypot(about[:, 0], about[:, 1])
            seen[number, 5] = largest_amplitude(_ends_m(wedges) - end, self._channel.pattern)
        return seen

    def strongest(self, position_m: np.ndarray, place: np.ndarray, strength: np.ndarray) -> EdgesKept:
        """Clear paths over edges to places (n, 3), all that are among the `max_paths` strongest with those that are
        reflected: place, strength (P,)."""
        left, room, found = np.arange(len(position_m)), int(_ROOM * self._channel.max_paths) + 2, []
        number = np.empty(len(position_m), dtype=np.int64)  # of a place among those that are left
        while True:
            number[:] = -1
            number[left] = np.arange(len(left))
            of_left = number[place] >= 0
            one, short = self._of_some(
                position_m[left], number[place[of_left]], strength[of_left], min(room, len(self._search))
            )
            done = ~short[one.place]
            found.append(EdgesKept(left[one.place[done]], *(part[done] for part in one[1:])))
            left, room = left[short], _MORE * room
            if not len(left):
                return EdgesKept(*map(np.concatenate, zip(*found, strict=True)))

    def _of_some(
        self, position_m: np.ndarray, place: np.ndarray, strength: np.ndarray, room: int
    ) -> tuple[EdgesKept, np.ndarray]:
        """The same of the `room` strongest that each place may have, and where others could be among those that are
        kept (n,)."""
        n, most, rank = len(position_m), self._channel.max_paths, np.arange(room)
        wedge, way, size, at_m, count, total = self._candidates(position_m, room)
        size[rank >= count[:, None]] = 0.0
        next_size = np.column_stack([size, np.where(total > count, size[:, -1], 0.0)])
        tested, clear = np.zeros(n, dtype=np.int64), np.zeros((n, room), dtype=bool)
        while True:
            bound = next_size[np.arange(n), tested]  # on all that are not tested
            above = np.bincount(place[strength >= bound[place]], minlength=n) + clear.sum(axis=1)
            missing = np.where(bound > 0, np.maximum(most - above, 0), 0)
            upto = np.minimum(tested + np.ceil(_AHEAD * missing).astype(np.int64), count)
            now = (rank >= tested[:, None]) & (rank < upto[:, None])
            if not np.any(now):
                break
            clear[now] = self._clear(position_m, np.nonzero(now)[0], wedge[now], way[now], at_m[now])
            tested = upto
        return EdgesKept(np.nonzero(clear)[0], wedge[clear], way[clear], size[clear]), missing > 0

    def _candidates(self, position_m: np.ndarray, room: int) -> tuple[np.ndarray, ...]:
        """The strongest that each place may have: edge, way, strength, and place on the edge (n, room), how many (n,),
        and of how many (n,)."""
        from engine.channels.edge_candidates_cpu import candidates

        n = len(position_m)
        wedge, way = (np.empty((n, room), dtype=np.int64) for _ in range(2))
        size, at_m = np.empty((n, room)), np.empty((n, room))
        count, total = (np.empty(n, dtype=np.int64) for _ in range(2))
        candidates(
            position_m, self._seen, self._ways, self._axes, *self._edges(), self._wedges.length_m, *self._waves(),
            wedge, way, size, at_m, count, total,
        )  # fmt: skip
        return wedge, way, size, at_m, count, total

    def _clear(
        self, position_m: np.ndarray, place: np.ndarray, wedge: np.ndarray, way: np.ndarray, at_m: np.ndarray
    ) -> np.ndarray:
        """Whether nothing stands in the way of paths (P,), by the tests of `EdgeSearch`, all legs at once."""
        from engine.channels.edge_candidates_cpu import legs

        wedges, ground = self._wedges, self._search.ground
        point_m = wedges.origin_m[wedge] + at_m[:, None] * wedges.along[wedge]
        room = 4 * len(place)
        from_m, leg_m, slack_m = np.empty((room, 3)), np.empty((room, 3)), np.empty(room)
        of_path = np.empty(room, dtype=np.int64)
        count = legs(
            position_m, self._centre_m, place, point_m, self._outward[wedge], *self._beside(way), self._ground[0],
            OFF_EDGE_M, TOLERANCE_M, from_m, leg_m, slack_m, of_path,
        )  # fmt: skip
        from_m, leg_m, slack_m, of_path = from_m[:count], leg_m[:count], slack_m[:count], of_path[:count]
        met, distance_m = self._first_met(from_m, leg_m)
        free = (met < 0) | (distance_m > np.linalg.norm(leg_m, axis=-1) - slack_m)
        stopped = ~np.where(slack_m < 0, met == (-1 if ground is None else ground.plane), free)
        return np.bincount(of_path[stopped], minlength=len(place)) == 0

    def _beside(self, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether the ground is met before the edge, and after it, (P,) each."""
        return np.ascontiguousarray(self._ways[way, 0]), np.ascontiguousarray(self._ways[way, 1])

    def add(
        self, position_m: np.ndarray, kept: EdgesKept, reflected: np.ndarray, largest: np.ndarray, h: np.ndarray
    ) -> None:
        """Adds responses to h, real and imaginary part (2, n, N). reflected: which chains the places have paths of,
        (n, C); largest: strength of each place's strongest path, (n,)."""
        from engine.channels.edge_sum_cpu import add_edge_paths

        if not len(kept.place):
            return
        ending = self._ending[kept.way, kept.wedge]
        there = (ending >= 0) & reflected[kept.place[:, None], ending]
        add_edge_paths(
            position_m, self._seen, kept.place, kept.wedge, *self._beside(kept.way), there,
            self._wedges.origin_m, *self._edges(), *self._waves(),
            self._along_m, self._cosines, self._weights, _PRECISION * largest, h[0], h[1],
        )  # fmt: skip

    def _edges(self) -> tuple[np.ndarray, ...]:
        return self._frame, self._wedges.exterior_rad, self._permittivity

    def _waves(self) -> tuple[object, ...]:
        channel = self._channel
        return *self._ground, channel.array.wavelength_m, channel.pattern == "tr38901", self._table


def _ends_m(wedges: Wedges) -> np.ndarray:
    """(W, 2, 3)."""
    return np.stack([wedges.origin_m, wedges.origin_m + wedges.length_m[:, None] * wedges.along], axis=1)


def largest_amplitude(ends_m: np.ndarray, pattern: Pattern) -> np.ndarray:
    """With which an element at the origin sends towards straight lines between ends (W, 2, 3), or their images in the
    ground: (W,).

    Patterns fall with the angles from the front, of which that in the plane is largest at one end or ahead, and that
    above it where the line is lowest, were it as far away as its farther end.
    """
    x, y, z = np.moveaxis(ends_m, -1, 0)
    azimuth = np.min(np.abs(np.arctan2(y, x)), axis=1)
    crosses = (y[:, 0] * y[:, 1] <= 0) & ((x[:, 0] > 0) | (x[:, 1] > 0))
    flat = np.max(np.hypot(x, y), axis=1)
    rise = np.where(z[:, 0] * z[:, 1] <= 0, 0.0, np.min(np.abs(z), axis=1))
    azimuth, elevation = np.where(crosses, 0.0, azimuth), np.arctan2(rise, flat)
    towards = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    return PATTERNS[pattern](towards.T) * (1 + 1e-9)


def _nested(along_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev's places of −1 … 1, both ends included, and Lagrange's polynomials at the elements of every fourth of
    them, every second, and all: (M,), (3, M, N)."""
    cosines = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    weights = np.zeros((3, _DEGREE + 1, len(along_m)))
    middle, half = (along_m[-1] + along_m[0]) / 2, (along_m[-1] - along_m[0]) / 2
    for level, step in enumerate((4, 2, 1)):
        weights[level, ::step] = lagrange(cosines[::step], (along_m - middle) / (half or 1.0))
    return cosines, weights


def lagrange(node_m: np.ndarray, at_m: np.ndarray) -> np.ndarray:
    """Lagrange's polynomials of the nodes at places: (M, N)."""
    if node_m is at_m:
        return np.eye(len(at_m))
    apart = node_m[:, None] - node_m
    np.fill_diagonal(apart, 1.0)
    away = at_m - node_m[:, None]
    return np.stack([
        np.prod(np.delete(away, j, axis=0) / np.delete(apart[j], j)[:, None], axis=0) for j in range(len(node_m))
    ])  # fmt: skip
