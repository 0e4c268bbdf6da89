"""Channels of an array to many places, as a tracer's, in compiled loops: users, candidates, what searches look at.

What is left out is nothing but time: all chains of planes, and all edges (`engine.channels.quick_edges`), are tried for
each place, the same ray tests say whether anything stands in the way, and the same strongest paths are kept. So an edge
of a shadow is where the tracer has it. The part of a response that is no phase is a polynomial along the array, see
`engine.channels.specular_cpu`. In the campus a place costs 18 µs, of the tracer 700, with 20 paths, those over edges
among them, 100 and 4300, and channels differ by 6e-8 at most (2000 and 400 users).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.channels.quick_edges import EdgesKept, QuickEdges, lagrange
from engine.channels.specular import SpecularPaths
from engine.channels.strongest import ranked
from engine.channels.tracing import TracedChannel, Tracer

Channels = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Places (n, 3) → h (n, N), and the number of paths (n,)"""

_KNOWN = {"surroundings", "array", "array_height_m", "pattern", "max_depth", "max_paths", "samples", "diffraction"}
_PRECISION = 1e-7  # of a response: expected powers are kept in single precision
_AT_ONCE = 2000
_BOX_MARGIN_M = 1e-3  # planes' boxes have no thickness


def is_known(channel: TracedChannel) -> bool:
    """Whether all of a channel's paths are of a kind that is known here.

    A field that is not known here may stand for others, and is taken to.
    """
    return {field.name for field in dataclasses.fields(channel)} <= _KNOWN


def channels_of(tracer: Tracer, nearest_m: float) -> Channels:
    """To places none of which is nearer than that. The tracer's, where it may have paths that are not known here."""
    return QuickChannels(tracer, nearest_m).channels if is_known(tracer.channel) else tracer.channels


class _Reflected(NamedTuple):
    """P paths over planes, or none."""

    place: np.ndarray
    """(P,)"""
    chain: np.ndarray
    """(P,)"""
    strength: np.ndarray
    """|gain| for an element at the array's centre, (P,)"""

    def take(self, which: np.ndarray) -> "_Reflected":
        return _Reflected(*(part[which] for part in self))


class QuickChannels:
    """Of a tracer whose channel `is_known`. nearest_m: distance of the nearest place from the array's centre."""

    def __init__(self, tracer: Tracer, nearest_m: float) -> None:
        self._channel, self._chains = tracer.channel, tracer.chains()
        channel, chains = self._channel, self._chains
        self._source_m = np.array([0.0, 0.0, channel.array_height_m])
        self._depth = np.count_nonzero(chains.planes >= 0, axis=1)
        self._images_m = _source_images_m(self._source_m, chains.planes, chains.normal, chains.offset_m)
        self._box = chains.low_m - _BOX_MARGIN_M, chains.high_m + _BOX_MARGIN_M
        self._along_m = np.ascontiguousarray(channel.array.positions_m(np), dtype=float)
        self._node_m = _nodes_m(self._along_m, nearest_m)
        self._weights = lagrange(self._node_m, self._along_m)
        self._edges = QuickEdges(tracer, tracer.edges, self._along_m) if tracer.edges is not None else None

    def channels(self, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """h to places (n, 3): (n, N), and the number of paths (n,), as `Tracer.channels`.

        A place's bits do not depend on which others are asked for; so many at once bound the memory.
        """
        position_m = np.array(position_m, dtype=float)  # writable: loops are compiled anew for what is not
        pieces = [position_m[start : start + _AT_ONCE] for start in range(0, max(len(position_m), 1), _AT_ONCE)]
        h, paths = zip(*map(self._some, pieces), strict=True)
        return np.concatenate(h), np.concatenate(paths)

    def _some(self, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from engine.channels.specular_cpu import add_paths

        n = len(position_m)
        found = self._reflected(position_m)
        kept, over_edges = self._strongest(position_m, found)
        h = np.zeros((2, n, len(self._along_m)))
        add_paths(position_m, kept.place, kept.chain, *self._planes(), self._node_m, self._weights, h[0], h[1])
        paths = np.bincount(kept.place, minlength=n)
        if self._edges is not None and over_edges is not None:
            reflected = np.zeros((n, len(self._chains.planes)), dtype=bool)
            reflected[found.place, found.chain] = True
            largest = np.zeros(n)
            for one in (kept, over_edges):
                np.maximum.at(largest, one.place, one.strength)
            self._edges.add(position_m, over_edges, reflected, largest, h)
            paths += np.bincount(over_edges.place, minlength=n)
        return h[0] + 1j * h[1], paths

    def _planes(self) -> tuple[object, ...]:
        """What responses follow from beside places and chains."""
        channel, chains = self._channel, self._chains
        return (
            chains.planes, self._depth, chains.normal, chains.offset_m, chains.permittivity, channel.array_height_m,
            channel.array.wavelength_m, channel.pattern == "tr38901", self._along_m,
        )  # fmt: skip

    def _reflected(self, position_m: np.ndarray) -> "_Reflected":
        """All that have a free way."""
        from engine.channels.specular_cpu import strengths

        of_place, of_chain = self._clear(position_m)
        strength = np.empty(len(of_place))
        strengths(position_m, of_place, of_chain, *self._planes()[:-1], strength)
        return _Reflected(of_place, of_chain, strength)

    def _strongest(self, position_m: np.ndarray, found: "_Reflected") -> tuple["_Reflected", EdgesKept | None]:
        """Those that are kept, over planes and over edges."""
        most = self._channel.max_paths
        if self._edges is None:
            return found.take(ranked(found.place, found.strength, most)), None
        over_edges = self._edges.strongest(position_m, found.place, found.strength)
        place, strength = (np.concatenate([getattr(one, part) for one in (found, over_edges)])
                           for part in ("place", "strength"))  # fmt: skip
        kept, n = ranked(place, strength, most), len(found.place)
        return found.take(kept[kept < n]), over_edges.take(kept[kept >= n] - n)

    def _clear(self, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chains = self._chains
        of_place, of_chain, points_m = self._possible(position_m)
        planes = chains.planes[of_chain]
        paths = SpecularPaths(
            position_m[of_place], chains.normal[planes], chains.offset_m[planes], chains.permittivity[planes]
        )
        clear = chains.is_clear(self._source_m, points_m, planes, paths)
        return of_place[clear], of_chain[clear]

    def _possible(self, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from engine.channels.specular_cpu import possible

        chains = self._chains
        room = 16 * len(position_m)
        while True:
            found = (
                np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64),
                np.zeros((room, chains.planes.shape[1], 3)),
            )  # fmt: skip
            count = possible(
                position_m, self._images_m, chains.planes, self._depth, chains.normal, chains.offset_m, *self._box,
                *found,
            )  # fmt: skip
            if count <= room:
                return found[0][:count], found[1][:count], found[2][:count]
            room = count


def _source_images_m(source_m: np.ndarray, planes: np.ndarray, normal: np.ndarray, offset_m: np.ndarray) -> np.ndarray:
    """The source mirrored at the first 0, 1, …, D planes of each chain: (C, D + 1, 3)."""
    images = [np.broadcast_to(source_m, (len(planes), 3))]
    for plane in planes.T:
        beyond = np.sum(images[-1] * normal[plane], axis=-1) - offset_m[plane]
        images.append(images[-1] - 2 * beyond[:, None] * normal[plane])
    return np.stack(images, axis=1)


def _nodes_m(along_m: np.ndarray, nearest_m: float) -> np.ndarray:
    """Places of the array between which what is smooth in a response is a polynomial: Chebyshev's, with both ends.

    1/L and the angles seen from a place at a distance d are analytic along an array of half length a within the ellipse
    through y = ±d or a larger one, so that a polynomial of degree M is off by some ϱ^−M with ϱ = d/a + √((d/a)² − 1)
    (Trefethen, Approximation Theory and Approximation Practice, Theorem 8.2). An array as near as that, or of few
    elements, has them all as nodes.
    """
    half = float(np.max(np.abs(along_m)))
    ratio = nearest_m / half
    if ratio <= 1:
        return along_m
    degree = math.ceil(-math.log(_PRECISION) / math.acosh(ratio))
    if degree + 1 >= len(along_m):
        return along_m
    return half * np.cos(np.pi * np.arange(degree + 1) / degree)
