"""What a posterior of cells says: means, the region of highest density, and its parts."""

import math
from typing import NamedTuple

import numpy as np

from scenarios.leakage.answer.prior import LOG_PER_DB
from scenarios.leakage.answer.quadrature import Cells

_TOUCH = 1e-9
_ROWS = 1024


class Span(NamedTuple):
    """From the least to the most."""

    low: float
    high: float


class Extent(NamedTuple):
    """Of a set of places: range (m), angle (rad), x ahead of the array and y along it (m)."""

    range_m: Span
    angle_rad: Span
    x_m: Span
    y_m: Span


class Mode(NamedTuple):
    """A part of the region that hangs together."""

    share: float
    """of the posterior"""
    range_m: float
    """mean over the part"""
    angle_rad: float
    extent: Extent


class Plane(NamedTuple):
    """Cells of the area by their sides, and the posterior over them: n of each.

    density: of range and angle, 1/(m rad); inside: whether a cell belongs to the region of highest density.
    """

    range_low_m: np.ndarray
    range_high_m: np.ndarray
    angle_low_rad: np.ndarray
    angle_high_rad: np.ndarray
    mass: np.ndarray
    density: np.ndarray
    inside: np.ndarray

    def rows_at(self, range_m: float, angle_rad: float) -> np.ndarray:
        """Cells that hold a place: none outside the area and where the posterior is negligible."""
        there = (self.range_low_m <= range_m) & (range_m <= self.range_high_m)
        return np.flatnonzero(there & (self.angle_low_rad <= angle_rad) & (angle_rad <= self.angle_high_rad))

    def covers(self, range_m: float, angle_rad: float) -> bool:
        """Whether the region holds a place."""
        return bool(self.inside[self.rows_at(range_m, angle_rad)].any())


class Summary(NamedTuple):
    """Of a posterior: means and deviations of range, angle, x and y; region, its extent and parts; log evidence."""

    range_m: float
    angle_rad: float
    x_m: float
    y_m: float
    deviation_range_m: float
    deviation_angle_rad: float
    deviation_x_m: float
    deviation_y_m: float
    level: float
    extent: Extent
    modes: tuple[Mode, ...]
    plane: Plane
    log_evidence: float
    gain_db: tuple[float, float]
    """mean and deviation of the unknown gain; (its value, 0) where it is known"""
    noise_db: tuple[float, float]
    """the same of σ², over the one that is given"""

    def deviations_from(self, range_m: float, angle_rad: float) -> tuple[float, float]:
        """Roots of the posterior's mean squared distances from a place: m and rad."""
        return (
            math.hypot(self.deviation_range_m, self.range_m - range_m),
            math.hypot(self.deviation_angle_rad, self.angle_rad - angle_rad),
        )


def summary(cells: Cells, level: float = 0.95) -> Summary:
    log_evidence = float(np.logaddexp.reduce(cells.log_mass))
    plane = _plane(cells, np.exp(cells.log_mass - log_evidence), level)
    mass = plane.mass
    range_m, angle_rad = (plane.range_low_m + plane.range_high_m) / 2, (plane.angle_low_rad + plane.angle_high_rad) / 2
    by_m2 = cells.flat[:, 0] * (plane.range_high_m - plane.range_low_m) ** 2 / 12
    by_rad2 = cells.flat[:, 1] * (plane.angle_high_rad - plane.angle_low_rad) ** 2 / 12
    sine, cosine = np.sin(angle_rad), np.cos(angle_rad)
    places = range_m, angle_rad, range_m * sine, range_m * cosine
    inner = (
        by_m2, by_rad2,
        sine**2 * by_m2 + (range_m * cosine) ** 2 * by_rad2, cosine**2 * by_m2 + (range_m * sine) ** 2 * by_rad2,
    )  # fmt: skip
    inside = np.flatnonzero(plane.inside)
    means = [float(mass @ place) for place in places]
    squares = [mass @ ((place - mean) ** 2 + more) for place, mean, more in zip(places, means, inner, strict=True)]
    deviations = [math.sqrt(square) for square in squares]
    gain_db, noise_db = (_in_db(cells, mass, i) for i in (0, 1))
    return Summary(
        means[0], means[1], means[2], means[3], deviations[0], deviations[1], deviations[2], deviations[3],
        level, _extent(plane, inside), _modes(plane, inside, range_m, angle_rad), plane, log_evidence,
        gain_db, noise_db,
    )  # fmt: skip


def _in_db(cells: Cells, mass: np.ndarray, i: int) -> tuple[float, float]:
    mean = float(mass @ cells.nuisance[:, i])
    variance = float(mass @ cells.nuisance_square[:, i]) - mean**2
    return mean / LOG_PER_DB, math.sqrt(max(variance, 0.0)) / LOG_PER_DB


def _plane(cells: Cells, mass: np.ndarray, level: float) -> Plane:
    place, half = cells.rectangles
    low, high = place - half, np.minimum(place + half, [np.inf, 1.0])
    sides = 1 / high[:, 0], 1 / low[:, 0], np.arccos(high[:, 1]), np.arccos(np.maximum(low[:, 1], -1.0))
    density = mass / ((sides[1] - sides[0]) * (sides[3] - sides[2]))
    order = np.argsort(-density, kind="stable")
    inside = np.zeros(len(mass), dtype=bool)
    inside[order[: np.searchsorted(np.cumsum(mass[order]), level) + 1]] = True
    return Plane(*sides, mass, density, inside)


def _extent(plane: Plane, rows: np.ndarray) -> Extent:
    near, far = plane.range_low_m[rows], plane.range_high_m[rows]
    low, high = plane.angle_low_rad[rows], plane.angle_high_rad[rows]
    sines = np.sin(low), np.sin(high)
    most = np.where((low < math.pi / 2) & (high > math.pi / 2), 1.0, np.maximum(*sines))
    along = [r * np.cos(a) for r in (near, far) for a in (low, high)]
    return Extent(
        Span(float(near.min()), float(far.max())),
        Span(float(low.min()), float(high.max())),
        Span(float((near * np.minimum(*sines)).min()), float((far * most).max())),
        Span(float(np.min(along)), float(np.max(along))),
    )


def _modes(plane: Plane, rows: np.ndarray, range_m: np.ndarray, angle_rad: np.ndarray) -> tuple[Mode, ...]:
    """The region's parts, the heaviest first."""
    part = _parts(plane, rows)
    found = []
    for number in range(part.max() + 1):
        here = rows[part == number]
        mass = plane.mass[here]
        share = float(mass.sum())
        mean_m, mean_rad = (float(mass @ place[here]) / share for place in (range_m, angle_rad))
        found.append(Mode(share, mean_m, mean_rad, _extent(plane, here)))
    return tuple(sorted(found, key=lambda mode: -mode.share))


def _parts(plane: Plane, rows: np.ndarray) -> np.ndarray:
    """Number of the part that each of these cells belongs to: cells that share a side, or some of it, or a corner."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sides = [part[rows] for part in plane[:4]]
    first, second = [], []
    for start in range(0, len(rows), _ROWS):
        block = [part[start : start + _ROWS, None] for part in sides]
        apart = (block[0] > sides[1] * (1 + _TOUCH)) | (sides[0] > block[1] * (1 + _TOUCH))
        apart |= (block[2] > sides[3] + _TOUCH) | (sides[2] > block[3] + _TOUCH)
        touching = np.nonzero(~apart)
        first.append(touching[0] + start)
        second.append(touching[1])
    i, j = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(len(rows), len(rows)))
    return np.asarray(connected_components(graph, directed=False)[1])
