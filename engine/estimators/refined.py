"""Off the grid of a table: candidates are halved where the likelihood is, and each is looked up exactly, on demand.

Under multipath the likelihood of well-heard powers is a comb along the range, of teeth half a wavelength apart or less
and a hundredth of a wavelength wide, as paths of different lengths beat: no table can hold that. What a grid's
candidate says of its cell is a sample. So the grid's cells are cut to an eighth of what the aperture resolves, and then
halved along both axes, `beam` of them at a time, until they are small and siblings agree. Which ones: all of much mass,
and of the others a sample whose weights make up for those that were not drawn (Fearnhead, Clifford, J. R. Stat. Soc. B
65, 2003, Section 3), so that sums over a broad posterior stay right where more cells matter than are halved. Nothing is
interpolated: where a shadow's edge crosses a cell, its children lie on one side or the other.

It is a search, not a bound: a peak none of whose cells was among the likeliest `beam` at some level is lost. How often
is measured in docs/multipath.md.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import Field

from engine.errors import InputError
from engine.estimators.assumed_leakage import AnyAssumedLeakage, AssumedLeakage
from engine.estimators.estimator import Estimator
from engine.estimators.problem import Estimates, Problem
from engine.estimators.workbench import Batch, Workbench

_RANGE_WAVELENGTHS = 1 / 32  # teeth of a comb are λ/2 apart: 16 samples of each
_ANGLE_BEAMWIDTHS = 1 / 64  # of λ/D, what an aperture of D resolves
_ROOT_BEAMWIDTHS = 1 / 8  # of the cells that a search begins with, at most
_AT_ONCE = 2000
_AGREE = 0.5
"""Log-likelihoods of siblings that differ by no more belong to a cell that is small enough."""
_MATTERS = 1e-3  # of the largest mass
_MOST_LEVELS = 16
_FEWER = 4
"""Where cells are small along one axis and few have the mass, a quarter of them tells as much: of 60 users with 256 and
64 the same two lost mass, against 1024, as with 256 throughout."""
_GOLDEN = (math.sqrt(5) - 1) / 2

Exact = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Ranges (m) and angles (rad) of n places → expected power over P_t at each sensor, (n, K); NaN where nobody can be.
What it says of a place does not depend on the others that it is asked about."""


class Leaves(NamedTuple):
    """n small cells of range and angle: (n,) each."""

    range_m: np.ndarray
    """of the middle, where the likelihood was looked at"""
    angle_rad: np.ndarray
    log_likelihood: np.ndarray
    log_mass: np.ndarray
    """of the posterior, up to a constant; with that of the cells that it stands for"""


class _Cells(NamedTuple):
    """Rectangles, (n,) each."""

    low_m: np.ndarray
    high_m: np.ndarray
    low_rad: np.ndarray
    high_rad: np.ndarray

    def taken(self, which: np.ndarray) -> "_Cells":
        return _Cells(*(part[which] for part in self))

    def middle(self) -> tuple[np.ndarray, np.ndarray]:
        return (self.low_m + self.high_m) / 2, (self.low_rad + self.high_rad) / 2

    def halved(self, along_range: bool, along_angle: bool) -> "_Cells":
        """Children of all, those of one cell n apart."""
        middle_m, middle_rad = self.middle()
        ranges = [(self.low_m, middle_m), (middle_m, self.high_m)] if along_range else [(self.low_m, self.high_m)]
        angles = [(self.low_rad, middle_rad), (middle_rad, self.high_rad)] if along_angle else [
            (self.low_rad, self.high_rad)
        ]  # fmt: skip
        children = [(*r, *a) for r in ranges for a in angles]
        return _Cells(*(np.concatenate([child[i] for child in children]) for i in range(4)))

    def cut(self, parts: int) -> "_Cells":
        """Each into parts of one width along the angle, one after the other."""
        share = np.arange(parts + 1) / parts
        edges = self.low_rad[:, None] + share * (self.high_rad - self.low_rad)[:, None]
        along = np.repeat(self.low_m, parts), np.repeat(self.high_m, parts)
        return _Cells(*along, edges[:, :-1].ravel(), edges[:, 1:].ravel())

    def log_area(self) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log((self.high_m - self.low_m) * (self.high_rad - self.low_rad))


class Roots(NamedTuple):
    """Where searches begin."""

    cells: _Cells
    power: np.ndarray
    """in the middle of each, (n, K), single precision"""


def roots(problem: Problem, exact: Exact, table: np.ndarray) -> Roots:
    """The cells of a table (candidates, K), cut along the angle where they are wider than a part of a beam.

    So a search depends little on the table's grid. What is cut is looked up: 10⁵ places, once for all observations.
    """
    cells = _roots(problem)
    parts = math.ceil(float(np.max(cells.high_rad - cells.low_rad)) / _root_rad(problem))
    if parts <= 1:
        return Roots(cells, table.astype(np.float32))
    cells = cells.cut(parts)
    middles = zip(*(np.array_split(part, -(-len(part) // _AT_ONCE)) for part in cells.middle()), strict=True)
    return Roots(cells, np.concatenate([exact(*some).astype(np.float32) for some in middles]))


def refined(
    problem: Problem, exact: Exact, begin: Roots, statistic: np.ndarray, observation: tuple[float, int], beam: int
) -> Leaves:
    """The posterior of one observation: S (K,), its (P_t/σ², L), and where to begin."""
    from engine.numerics.powers_likelihood_cpu import powers_log_likelihood

    snr, n_snapshots = observation

    def value(power: np.ndarray) -> np.ndarray:
        return powers_log_likelihood(power, statistic=statistic, snr=snr, n_snapshots=n_snapshots)

    def mass(cells: _Cells, looked: np.ndarray, log_weight: np.ndarray) -> np.ndarray:
        return looked + log_weight + _log_prior(problem, cells)

    cells, looked = begin.cells, value(begin.power)
    log_weight = np.zeros(len(looked))
    finest = _finest(problem)
    settled: list[Leaves] = []
    for _ in range(_MOST_LEVELS):
        wide = np.max(cells.high_m - cells.low_m) > finest[0], np.max(cells.high_rad - cells.low_rad) > finest[1]
        small = not any(wide)
        log_mass = mass(cells, looked, log_weight)
        kept, more = _drawn(log_mass, beam if all(wide) else _enough(log_mass, beam))
        cells, log_weight = cells.taken(kept), log_weight[kept] + more
        cells = cells.halved(*((True, True) if small else wide))
        looked = value(exact(*cells.middle()))
        log_weight = np.tile(log_weight, len(looked) // len(kept))
        if small:
            done = _settled(looked, mass(cells, looked, log_weight), len(kept), settled)
            settled.append(Leaves(*cells.taken(done).middle(), looked[done], mass(cells, looked, log_weight)[done]))
            cells, looked, log_weight = cells.taken(~done), looked[~done], log_weight[~done]
            if not len(looked):
                break
    settled.append(Leaves(*cells.middle(), looked, mass(cells, looked, log_weight)))
    return Leaves(*(np.concatenate(part) for part in zip(*settled, strict=True)))


def _log_prior(problem: Problem, cells: _Cells) -> np.ndarray:
    """Logarithm of the prior's mass of cells, up to a constant."""
    return problem.log_range_prior(np, cells.middle()[0]) + cells.log_area()


def _enough(log_mass: np.ndarray, beam: int) -> int:
    """Of cells that are small along one axis: a part of them, or as many as matter."""
    matter = np.count_nonzero(log_mass > np.max(log_mass) + math.log(_MATTERS))
    return max(-(-beam // _FEWER), min(beam, int(matter)))


def _drawn(log_mass: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which cells go on, at most `count` of them, and by how much the logarithm of their weight grows.

    Masses above a threshold go on as they are; of the others, in their order, one for each threshold that they add up
    to, which then weighs as much: which one, by the golden ratio's multiples, in no step with the grid.
    """
    some = np.flatnonzero(np.isfinite(log_mass))
    if len(some) <= count:
        return (some, np.zeros(len(some))) if len(some) else (np.arange(1), np.zeros(1))
    order = some[np.argsort(-log_mass[some], kind="stable")]
    falling = log_mass[order]
    # Of the first k kept as they are, the rest r_k adds up to count − k thresholds: r_k/(count − k).
    rest = np.logaddexp.accumulate(falling[::-1])[::-1][:count]
    threshold = rest - np.log(count - np.arange(count))
    light = np.flatnonzero(falling[:count] <= threshold)
    heavy = int(light[0]) if len(light) else count - 1
    at = float(threshold[heavy])
    others = np.sort(order[heavy:])
    sums = np.cumsum(np.exp(log_mass[others] - at))
    number = np.arange(round(float(sums[-1])))
    points = (number + (number + 1) * _GOLDEN % 1) * (sums[-1] / len(number))
    chosen, times = np.unique(np.minimum(np.searchsorted(sums, points), len(others) - 1), return_counts=True)
    chosen = others[chosen]
    return np.concatenate([order[:heavy], chosen]), np.concatenate(
        [np.zeros(heavy), at + np.log(times) - log_mass[chosen]]
    )


def _roots(problem: Problem) -> _Cells:
    """The candidates' cells: halfway to their neighbours, and to the area's ends."""
    ends = []
    for nodes in (problem.grid.ranges_m(), problem.grid.angles_rad()):
        middles = (nodes[1:] + nodes[:-1]) / 2
        ends.append((np.append(nodes[0], middles), np.append(middles, nodes[-1])))
    n_angles, n_ranges = problem.grid.n_angles, problem.grid.n_ranges
    low_m, high_m = (np.tile(end, n_angles) for end in ends[0])
    low_rad, high_rad = (np.repeat(end, n_ranges) for end in ends[1])
    return _Cells(low_m, high_m, low_rad, high_rad)


def _root_rad(problem: Problem) -> float:
    return _ROOT_BEAMWIDTHS * problem.array.wavelength_m / problem.array.aperture_m


def _finest(problem: Problem) -> tuple[float, float]:
    """Range (m) and angle (rad) that cells are halved down to, at least."""
    array = problem.array
    return _RANGE_WAVELENGTHS * array.wavelength_m, _ANGLE_BEAMWIDTHS * array.wavelength_m / array.aperture_m


def _settled(looked: np.ndarray, log_mass: np.ndarray, n_parents: int, before: list[Leaves]) -> np.ndarray:
    """Which cells, all `n_parents` parents' children, need not be halved: (n,).

    Those as likely as their siblings, and families too light to matter beside all that is known.
    """
    likely, mass = looked.reshape(-1, n_parents), log_mass.reshape(-1, n_parents)
    top = max(float(np.max(part)) for part in (mass, *(leaves.log_mass for leaves in before)) if part.size)
    if not math.isfinite(top):
        return np.ones(len(looked), dtype=bool)
    with np.errstate(invalid="ignore"):
        apart = np.max(likely, axis=0) - np.min(likely, axis=0)
    matters = np.max(mass, axis=0) > top + math.log(_MATTERS)
    done = ~matters | (apart <= _AGREE) | ~np.isfinite(apart)  # beside where nobody can be, one side is always −∞
    return np.tile(done, len(likely))


class _Refined(Estimator):
    """What the two below share."""

    leakage: AnyAssumedLeakage = Field("ray_traced", description="table that the estimator begins with")
    beam: int = Field(
        256, ge=16, le=100_000, description="cells that are halved at each level, until they are small along one axis"
    )

    def _search(self, workbench: Workbench) -> Callable[[Batch], list[Leaves]]:
        if self.leakage not in workbench.exact:
            raise InputError(
                f"{self.name} asks for the leakage {self.leakage!r} off the grid, which is known on the grid alone: "
                f"choose leakage='ray_traced' in a scenario with surroundings"
            )

        def search(batch: Batch) -> list[Leaves]:
            found: list[Leaves] = batch.once(_of_batch, self.leakage, self.beam)
            return found

        return search


def _begin(workbench: Workbench, assumed: AssumedLeakage) -> Roots:
    return roots(workbench.problem, workbench.exact[assumed], workbench.expected(assumed))


def _of_batch(batch: Batch, assumed: AssumedLeakage, beam: int) -> list[Leaves]:
    """Of every observation of every realization, one after the other."""
    workbench = batch.workbench
    statistic = batch.observations.statistic
    flat = statistic.reshape(statistic.shape[0], -1, statistic.shape[-1])
    exact, begin = workbench.exact[assumed], workbench.once(_begin, assumed)
    return [
        refined(workbench.problem, exact, begin, flat[b, m], observation, beam)
        for b in range(len(flat))
        for m, observation in enumerate(workbench.problem.observations())
    ]


def _shaped(batch: Batch, places: list[tuple[float, float]]) -> Estimates:
    shape = batch.observations.statistic.shape[:3]
    ranges, angles = np.array(places).T
    return Estimates(ranges.reshape(shape), angles.reshape(shape))


class RefinedPosteriorMean(_Refined):
    """The mean of the posterior over small cells that a table's were halved to."""

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        search = self._search(workbench)

        def mean(leaves: Leaves) -> tuple[float, float]:
            top = np.max(leaves.log_mass)
            if not math.isfinite(top):
                return math.nan, math.nan
            mass = np.exp(leaves.log_mass - top)
            total = mass.sum()
            return float(mass @ leaves.range_m / total), float(mass @ leaves.angle_rad / total)

        def estimate(batch: Batch) -> Estimates:
            return _shaped(batch, [mean(leaves) for leaves in search(batch)])

        return estimate


class RefinedMaximumLikelihood(_Refined):
    """The likeliest of the small cells that a table's were halved to."""

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        search = self._search(workbench)

        def likeliest(leaves: Leaves) -> tuple[float, float]:
            best = int(np.argmax(leaves.log_likelihood))
            return float(leaves.range_m[best]), float(leaves.angle_rad[best])

        def estimate(batch: Batch) -> Estimates:
            return _shaped(batch, [likeliest(leaves) for leaves in search(batch)])

        return estimate
