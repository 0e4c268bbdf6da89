"""The posterior over the user's area by cells that halve where the powers ask for it: all peaks, at any noise.

Cells begin as small as the array's pattern demands. What a cell can hold at most is known from how much the pattern can
change within it: each sensor alone is given what would suit it best. A cell that can hold nothing is dropped, one
that is small against what the likelihood resolves there is done, the others are halved. Gain and noise, where unknown,
are further sides of a cell; the plane's cells stay apart, each with cells of gain and noise of its own.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scenarios.leakage.answer.climb import Ends, climb
from scenarios.leakage.answer.lattice import PHASE_RAD, Rectangles, envelope, phases, resolving_cells
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior

_WIDTH = 0.5
"""Half a cell's side in deviations, those that the information at its place allows were all else known."""
_FINE_WIDTH = 0.2
"""In the region of highest density, whose edge is to be smooth."""
_NUISANCE_WIDTH = 0.7
"""Of gain and noise: sums over steps of 1.4 deviations are right to 1e-4."""
_SIDES = 20
"""Of the area in range and in angle, at least, where there is mass: prior and region are to be resolved as well."""
_NOTHING, _LITTLE = 18.0, 11.0
"""Below the posterior's whole mass, in logarithms: what is dropped, and what is not halved any more."""
_FINE_SHARE = 0.995
_BLOCK = 4096
_STARTS, _STEPS = 16, 25
_FIRST_DB = 2.0
MOST_CELLS = 1_000_000
"""Evaluated, and four times as many where gain or noise is unknown; beyond, the answer says that it is unfinished."""


class _Looked(NamedTuple):
    """m cells: their rectangle's row, gain and noise at the centre and half widths (m, 2), and what the compiled loop
    says of them (m, 10)."""

    node: np.ndarray
    nuisance: np.ndarray
    half: np.ndarray
    sums: np.ndarray

    def of(self, rows: np.ndarray) -> "_Looked":
        return _Looked(*(part[rows] for part in self))


@dataclass
class _Front:
    """Rectangles, their tables (3, n, K), envelopes (n, K), and the cells that stand on them."""

    rectangles: Rectangles
    table: np.ndarray
    envelope: np.ndarray
    cells: _Looked


class Cells(NamedTuple):
    """n rectangles of places that do not overlap, and hold all mass but what is negligible."""

    rectangles: Rectangles
    log_mass: np.ndarray
    """of likelihood times prior, (n,): their sum is the evidence"""
    nuisance: np.ndarray
    """mean gain and noise given the place, (n, 2)"""
    nuisance_square: np.ndarray
    """their mean squares, (n, 2)"""
    flat: np.ndarray
    """whether mass is spread over a cell in 1/d and in cos φ, rather than over many cells, 0 to 1 (n, 2)"""


class Quadrature(NamedTuple):
    """What is known of a posterior."""

    cells: Cells
    peak: Ends
    """the likeliest place, gain and noise: arrays of length 1"""
    finished: bool
    """else too many cells would have been needed"""
    evaluated: int


def quadrature(powers: Powers, prior: Prior, fineness: float = 1.0, most_cells: int = MOST_CELLS) -> Quadrature:
    """fineness: 2 halves all cells' sides; numbers should not move. most_cells: to be evaluated."""
    work = _Work(powers, prior, fineness, most_cells)
    whole = resolving_cells(powers, prior, PHASE_RAD / fineness)
    fronts = []
    for first in range(0, len(whole.place), _BLOCK):
        front = work.entered(whole.of(np.arange(first, min(first + _BLOCK, len(whole.place)))))
        work.climb_from(front.rectangles, front.cells)
        fronts.append(work.without_nothing(front))
    done = [part for front in fronts for part in work.refined(front, _WIDTH / fineness)]
    rectangles, looked = _joined(done)
    chosen = work.dense(rectangles, looked)
    fine = work.refined(work.again(rectangles, looked, chosen), _FINE_WIDTH / fineness)
    work.climb_from(rectangles, looked)
    rest = rectangles.of(np.flatnonzero(~chosen)), _renumbered(looked, ~chosen)
    rectangles, looked = _joined([rest, *fine])
    return Quadrature(work.summed(rectangles, looked), work.peak, work.finished, work.evaluated)


def _joined(parts: list[tuple[Rectangles, _Looked]]) -> tuple[Rectangles, _Looked]:
    starts = np.cumsum([0, *(len(rectangles.place) for rectangles, _ in parts)])
    moved = [looked._replace(node=looked.node + start) for (_, looked), start in zip(parts, starts, strict=False)]
    return (
        Rectangles(*(np.concatenate(sides) for sides in zip(*(rectangles for rectangles, _ in parts), strict=True))),
        _Looked(*(np.concatenate(sides) for sides in zip(*moved, strict=True))),
    )


def _renumbered(looked: _Looked, kept: np.ndarray) -> _Looked:
    """Cells on the rectangles that are kept (n,), whose rows close up."""
    row = np.cumsum(kept) - 1
    here = looked.of(np.flatnonzero(kept[looked.node]))
    return here._replace(node=row[here.node])


class _Work:
    """One posterior in the making."""

    def __init__(self, powers: Powers, prior: Prior, fineness: float, most_cells: int) -> None:
        self.powers, self.prior, self.fineness, self.most_cells = powers, prior, fineness, most_cells
        self.reference = -np.inf
        self.evaluated = 0
        self.finished = True
        self.peak: Ends

    def entered(self, rectangles: Rectangles) -> _Front:
        """Rectangles, each with the coarse cells of gain and noise."""
        first = self._first_nuisance()
        count, n = len(first[0]), len(rectangles.place)
        table = self.powers.table(rectangles.place)
        height = envelope(self.powers, rectangles, table, phases(self.powers, rectangles))
        node = np.repeat(np.arange(n), count)
        nuisance, half = (np.tile(part, (n, 1)) for part in first)
        front = _Front(rectangles, table, height, _Looked(node, nuisance, half, np.empty((0, 10))))
        return replace(front, cells=self.looked_at(front, node, nuisance, half))

    def _first_nuisance(self) -> tuple[np.ndarray, np.ndarray]:
        axes, halves = [], []
        for known in (self.prior.gain, self.prior.noise):
            count = max(1, int(np.ceil((known.high_db - known.low_db) / _FIRST_DB)))
            edges = np.linspace(known.middle - known.half, known.middle + known.half, count + 1)
            axes.append((edges[:-1] + edges[1:]) / 2)
            halves.append(known.half / count)
        nuisance = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
        return nuisance, np.tile(np.array(halves), (len(nuisance), 1))

    def looked_at(self, front: _Front, node: np.ndarray, nuisance: np.ndarray, half: np.ndarray) -> _Looked:
        from engine.numerics.cells_cpu import cells

        reach = phases(self.powers, front.rectangles)
        powers = self.powers
        sums = cells(
            node, nuisance, half, front.table, reach, front.envelope, powers.statistic, powers.unit, powers.kinds
        )
        more = self.prior.log_nuisance_density(nuisance)
        sums[:, 0] += more
        sums[:, 1] += more + self._rise(nuisance, half)
        for i, known in enumerate((self.prior.gain, self.prior.noise)):
            information = known.slope_and_information(nuisance[:, i])[1]
            sums[:, 8 + i] += information
            sums[:, 4 + i] += information * half[:, i] ** 2
        self.evaluated += len(node)
        return _Looked(node, nuisance, half, sums)

    def _rise(self, nuisance: np.ndarray, half: np.ndarray) -> np.ndarray:
        """The most that the priors of gain and noise rise by within a cell."""
        total = np.zeros(len(nuisance))
        for i, known in enumerate((self.prior.gain, self.prior.noise)):
            slope, _ = known.slope_and_information(nuisance[:, i])
            total += np.abs(slope) * half[:, i]
        return total

    def climb_from(self, rectangles: Rectangles, cells: _Looked) -> None:
        """Peaks near the best cells: how high the posterior is at least."""
        best = [np.argsort(-cells.sums[:, i], kind="stable")[:_STARTS] for i in (0, 1)]
        rows = np.unique(np.concatenate(best))
        starts = np.column_stack([rectangles.place[cells.node[rows]], cells.nuisance[rows]])
        ends = climb(self.powers, self.prior, starts, _STEPS)
        top = int(np.argmax(ends.height))
        if not hasattr(self, "peak") or ends.height[top] > self.peak.height[0]:
            self.peak = ends.of(top)
        self.reference = max(self.reference, float(np.max(self._laplace(ends))) - 2.0)

    def _laplace(self, ends: Ends) -> np.ndarray:
        """Logarithm of the mass under each peak, were it a normal one inside the area."""
        free = self.prior.free
        inner = ends.information[:, free][:, :, free]
        width = (self.prior.high - self.prior.low)[free]
        diagonal = np.einsum("nii->ni", inner)
        inner = inner + np.einsum("ni,ij->nij", 1e-9 * diagonal + 12 / width**2, np.eye(len(width)))
        log_volume = 0.5 * (len(width) * np.log(2 * np.pi) - np.linalg.slogdet(inner)[1])
        return np.asarray(ends.height + self._log_density(ends.at[:, :2]) + np.minimum(log_volume, np.log(width).sum()))

    def _log_density(self, place: np.ndarray) -> np.ndarray:
        """Prior density in 1/d and cos φ."""
        curvature, cosine = place[:, 0], place[:, 1]
        sine = np.sqrt(np.maximum(1 - cosine**2, 1e-12))
        return self.prior.log_range_density(1 / curvature) - 2 * np.log(curvature) - np.log(sine)

    def log_sizes(self, rectangles: Rectangles, looked: _Looked) -> np.ndarray:
        """Logarithm of the prior's share of each cell, but for the density of gain and noise, which sums hold: (m,)."""
        range_m, angle_rad = rectangles.sides()
        of_place = np.log(range_m) + np.log(angle_rad) + self.prior.log_range_density(1 / rectangles.place[:, 0])
        sides = np.where(self.prior.free[2:], 2 * looked.half, 1.0)
        return np.asarray(of_place[looked.node] + np.log(sides).sum(axis=1))

    def without_nothing(self, front: _Front) -> _Front:
        """Without cells that can hold nothing, and rectangles without cells."""
        cells = front.cells
        at_most = cells.sums[:, 1] + self.log_sizes(front.rectangles, cells)
        cells = cells.of(np.flatnonzero(at_most > self.reference - _NOTHING))
        kept = np.zeros(len(front.rectangles.place), dtype=bool)
        kept[cells.node] = True
        rows = np.flatnonzero(kept)
        return _Front(front.rectangles.of(rows), front.table[:, rows], front.envelope[rows], _renumbered(cells, kept))

    def refined(self, front: _Front, width: float) -> list[tuple[Rectangles, _Looked]]:
        """Until every cell is done: rectangles and their cells."""
        done = []
        limit = np.array([*[width] * 2, *[_NUISANCE_WIDTH / self.fineness] * 2])
        while True:
            front = self.without_nothing(front)
            n = len(front.rectangles.place)
            if not n:
                break
            if self.evaluated > self.most_cells * (1 if self.prior.gain.known and self.prior.noise.known else 4):
                self.finished = False
                done.append((front.rectangles, front.cells))
                break
            across, ready = self._halving(front, limit)
            by_place = np.full(n, -1)
            looseness = np.zeros((n, 2))
            for i in (0, 1):
                asks = ~ready & (across == i)
                np.maximum.at(looseness[:, i], front.cells.node[asks], front.cells.sums[asks, 2 + i])
            asked = looseness.max(axis=1) > 0
            by_place[asked] = np.argmax(looseness[asked], axis=1)
            waiting = np.zeros(n, dtype=bool)
            waiting[front.cells.node[~ready]] = True
            finished = ~waiting
            done.append((front.rectangles.of(np.flatnonzero(finished)), _renumbered(front.cells, finished)))
            front = self._halved(front, finished, by_place, across, ready)
        return done

    def _halving(self, front: _Front, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Across which coordinate each cell is to be halved (m,), and which need not be."""
        cells = front.cells
        half = np.column_stack([front.rectangles.half[cells.node], cells.half])
        width = half * np.sqrt(cells.sums[:, 6:10])
        width[:, :2] = np.maximum(width[:, :2], limit[:2] * self._coarseness(front.rectangles)[cells.node])
        log_size = self.log_sizes(front.rectangles, cells)
        known = np.all(width <= limit, axis=1)
        if known.any():
            self.reference = max(self.reference, float(np.max((cells.sums[:, 0] + log_size)[known])))
        little = cells.sums[:, 1] + log_size < self.reference - _LITTLE
        open_ = (width > limit) & self.prior.free
        ready = little | ~open_.any(axis=1)
        looseness = np.where(open_, np.maximum(cells.sums[:, 2:6], 1e-30 * width), -1.0)
        return np.argmax(looseness, axis=1), ready

    def _coarseness(self, rectangles: Rectangles) -> np.ndarray:
        """Sides over the longest that there should be, (n, 2)."""
        prior, most = self.prior, _SIDES * self.fineness
        range_m, angle_rad = rectangles.sides()
        longest = (prior.range_max_m - prior.range_min_m) / most, (prior.angle_max_rad - prior.angle_min_rad) / most
        return np.stack([range_m / longest[0], angle_rad / longest[1]], axis=1)

    def _halved(
        self, front: _Front, finished: np.ndarray, by_place: np.ndarray, across: np.ndarray, ready: np.ndarray
    ) -> _Front:
        """Rectangles that a cell asks to halve, with all their cells; of the others, the cells that ask."""
        cells = front.cells
        stay, split = np.flatnonzero(~finished & (by_place < 0)), np.flatnonzero(by_place >= 0)
        children = front.rectangles.of(split).halved(by_place[split])
        rectangles = Rectangles(
            *(np.concatenate(pair) for pair in zip(front.rectangles.of(stay), children, strict=True))
        )
        table = np.concatenate([front.table[:, stay], self.powers.table(children.place)], axis=1)
        height = np.concatenate([front.envelope[stay], front.envelope[split], front.envelope[split]])
        new = _Front(rectangles, table, height, cells)
        row = np.full(len(by_place), -1)
        row[stay], row[split] = np.arange(len(stay)), len(stay) + np.arange(len(split))
        moved = cells._replace(node=row[cells.node])
        staying = (by_place[cells.node] < 0) & ~finished[cells.node]
        kept = moved.of(np.flatnonzero(staying & ready))
        below = moved.of(np.flatnonzero(by_place[cells.node] >= 0))
        parts = [(below.node + i * len(split), below.nuisance, below.half) for i in (0, 1)]
        asking = np.flatnonzero(staying & ~ready)
        parts += _halves(moved.of(asking), across[asking] - 2)
        fresh = self.looked_at(new, *(np.concatenate(sides) for sides in zip(*parts, strict=True)))
        return replace(new, cells=_Looked(*(np.concatenate(pair) for pair in zip(kept, fresh, strict=True))))

    def dense(self, rectangles: Rectangles, looked: _Looked) -> np.ndarray:
        """Which rectangles are of highest density, together of nearly all mass: (n,)."""
        held = self.summed(rectangles, looked)
        mass = np.exp(held.log_mass - held.log_mass.max())
        order = np.argsort(-(held.log_mass - np.log(rectangles.sides()).sum(axis=0)))
        inside = np.cumsum(mass[order]) <= _FINE_SHARE * mass.sum()
        inside[0] = True
        chosen = np.zeros(len(order), dtype=bool)
        chosen[order] = inside
        return chosen

    def again(self, rectangles: Rectangles, looked: _Looked, chosen: np.ndarray) -> _Front:
        """Rectangles that were done, to be refined further."""
        here = rectangles.of(np.flatnonzero(chosen))
        table = self.powers.table(here.place)
        height = envelope(self.powers, here, table, phases(self.powers, here))
        return _Front(here, table, height, _renumbered(looked, chosen))

    def summed(self, rectangles: Rectangles, looked: _Looked) -> Cells:
        """Over gain and noise."""
        log_mass = looked.sums[:, 0] + self.log_sizes(rectangles, looked)
        n = len(rectangles.place)
        top = np.full(n, -np.inf)
        np.maximum.at(top, looked.node, log_mass)
        weight = np.exp(log_mass - top[looked.node])
        total = np.bincount(looked.node, weight, n)
        means, squares, flat = (np.empty((n, 2)) for _ in range(3))
        for i in (0, 1):
            means[:, i] = np.bincount(looked.node, weight * looked.nuisance[:, i], n) / total
            inner = looked.half[:, i] ** 2 / 3 * _flatness(looked.half[:, i], looked.sums[:, 8 + i])
            square = looked.nuisance[:, i] ** 2 + inner
            squares[:, i] = np.bincount(looked.node, weight * square, n) / total
            information = np.bincount(looked.node, weight * looked.sums[:, 6 + i], n) / total
            flat[:, i] = _flatness(rectangles.half[:, i], information)
        return Cells(rectangles, top + np.log(total), means, squares, flat)


def _flatness(half: np.ndarray, information: np.ndarray) -> np.ndarray:
    """1 where a density hardly changes over a cell, whose own variance then counts; 0 where the density falls off over
    a few cells, whose sum by their centres has the right variance as it is."""
    return np.asarray(np.clip((0.6 - half * np.sqrt(information)) / 0.3, 0.0, 1.0))


def _halves(cells: _Looked, by: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rows = np.arange(len(by))
    half = cells.half.copy()
    half[rows, by] /= 2
    aside = np.zeros_like(half)
    aside[rows, by] = half[rows, by]
    return [(cells.node, cells.nuisance + side * aside, half) for side in (-1, 1)]
