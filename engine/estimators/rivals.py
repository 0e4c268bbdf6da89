"""The peaks that may be the highest of a likelihood: all that the grid leaves in doubt, each climbed.

How much lower a candidate of the grid is than the peak beside it grows with the signal: half a cell off, the log of the
likelihood is ½δᵀJδ lower, J the information, which grows as SNR · L · K while the cells stay. From some signal on
a wrong peak has the highest candidate. So the search follows what the data resolve: candidates lower than the best peak
by what half a cell there costs are looked at as well, by a second pass over the grid if they are beyond the first
one's reach; a Newton step says how high the peak is that each may stand beside, and the highest of these are climbed,
fewer and fewer of them in rounds.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.ascent import ascend
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.misfit import may_hide
from engine.estimators.peaks import STEPS, climb, climbed, damped_step, in_order, likelihood_of, repeated
from engine.estimators.problem import Observations
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel
from engine.numerics.pattern import ResolvingGrid

RIVALS = 24
"""Peaks that are kept beside those of `climbed`."""
_WITHIN_REACH = 20.0
"""Below the highest peak, in log-likelihood: what the first pass lists."""
_DOUBT, _DOUBT_OF_ONE_SENSOR = 2.0, 40.0
"""Times what half a cell at the highest peak costs: elsewhere the information may be that much larger, the more so the
fewer sensors it is a sum over."""
_AS_HIGH = 0.5
_NEARLY = 0.1
_BOTTOMLESS = 1e30
_AT_A_PEAK, _AS_HIGH_AS_A_PEAK = 1.0, 0.1
_CROWDED, _LATER = 200.0, 1e9
"""Half a cell that costs more, 20 deviations and more across, may hold several peaks: neighbours are climbed as well,
if there is room for them. At the points of Fig. 3 it costs 30 at most, in the median."""
_ROUNDS = ((64, 3), (RIVALS, 8))
_MORE_OF_ONE_SENSOR = 1000
"""How many of an observation's candidates are climbed, and by how many steps more; with few sensors, so many over
their number, as there are more places that explain them and each costs less."""
_ON = 24
_WORTH_GOING_ON, _WORTH_ANOTHER = 1e-3, 1e-5
"""Of log-likelihood, what a step of scoring is expected to add; what another step of Newton's is."""


class _Places(NamedTuple):
    """Candidates of some observations, (n,) each, in the order of b, m and candidate."""

    b: np.ndarray
    m: np.ndarray
    candidate: np.ndarray
    range_m: np.ndarray
    angle_rad: np.ndarray


class Searched(NamedTuple):
    """What a search for the highest peak comes to."""

    peaks: Local
    """see `rivals`"""
    unseen: Any
    """whether places were left out, for want of room in a list, that may stand beside a higher peak, (B, M)"""


def rivals(batch: Batch, model: LeakageModel, steps: int = STEPS) -> Local:
    """Peaks (B, M, at most 1 + PEAKS + RIVALS), as `climbed` returns them, among which the highest is."""
    peaks: Local = batch.once(searched, model, steps).peaks
    return peaks


def searched(batch: Batch, model: LeakageModel, steps: int = STEPS) -> Searched:
    """The peaks, and where some may be missing."""
    xp = batch.workbench.xp
    device = batch.once(climbed, model, steps)
    peaks = Local(*(on_host(xp, part).copy() for part in device))
    likelihood = likelihood_on_host(batch, model)
    found = _with_room(peaks)
    places, full = _doubtful(batch, model, peaks)
    left_out = np.full(full.shape, -np.inf)
    _climb_all(likelihood, places, found, left_out)
    hidden = may_hide(likelihood, np.max(found.value, axis=-1))
    if hidden.any():
        places, full_again = _everywhere(batch, model, hidden)
        found, full = _with_room(found), full | full_again
        _climb_all(likelihood, places, found, left_out)
    found = _in_order(found)
    _climb_on(likelihood, found)
    found = _in_order(found)
    unseen = full | (left_out > found.value[..., 0]) | may_hide(likelihood, found.value[..., 0])
    return Searched(found if is_numpy_namespace(xp) else Local(*map(xp.asarray, found)), xp.asarray(unseen))


def likelihood_on_host(batch: Batch, model: LeakageModel) -> Likelihood:
    """Of a batch's observations, wherever these are."""
    if is_numpy_namespace(batch.workbench.xp):
        known: Likelihood = batch.once(likelihood_of, model)
        return known
    seen = Observations(*(on_host(batch.workbench.xp, part) for part in batch.observations))
    return Likelihood.of(np, batch.workbench.problem, model, seen)


def _with_room(peaks: Local) -> Local:
    """RIVALS places more, with nothing in them."""
    more = Local(*(np.repeat(part[..., :1], RIVALS, axis=-1) for part in peaks))
    more.value[:] = -np.inf
    return Local(*(np.concatenate(pair, axis=-1) for pair in zip(peaks, more, strict=True)))


def _in_order(found: Local) -> Local:
    """The highest first; the likelihood of those at the place of one before them is −∞."""
    order = np.argsort(-found.value, axis=-1, kind="stable")
    kept = int(np.isfinite(found.value).sum(axis=-1).max())  # of most observations there are few
    found = in_order(np, found, order[..., :kept])
    found.value[repeated(np, found)] = -np.inf
    return found


def on_host(xp: Any, part: Any) -> np.ndarray:
    return np.asarray(part) if is_numpy_namespace(xp) else xp.asnumpy(part)


def _doubtful(batch: Batch, model: LeakageModel, peaks: Local) -> tuple[_Places, np.ndarray]:
    """Candidates that may stand beside a peak higher than those that were climbed; where there are more of these than
    are listed, (B, M): for the first pass, where each of its list is lower than the highest peak by no more than half a
    cell costs (at most 2 % of users at a point of Fig. 3)."""
    xp, problem, ridges = batch.workbench.xp, batch.workbench.problem, batch.ridges(model)
    grid: ResolvingGrid = problem.grid  # type: ignore[assignment]
    surface = batch.likelihood(model)
    maxima, value = on_host(xp, surface.maxima), on_host(xp, surface.maxima_value)
    doubt = _DOUBT + _DOUBT_OF_ONE_SENSOR / batch.observations.statistic.shape[-1]
    half = _half_a_cell(grid, Local(*(part[..., 0] for part in peaks)))
    reach = doubt * half
    b, m, i = np.nonzero(value > (peaks.value[..., 0] - reach - _AS_HIGH)[..., None])
    full = np.all(value > (peaks.value[..., 0] - half)[..., None], axis=-1) & (reach <= _WITHIN_REACH)
    parts = [np.column_stack([b, m, maxima[b, m, i]])]
    for one in range(reach.shape[1]):
        (rows,) = np.nonzero(reach[:, one] > _WITHIN_REACH)
        if len(rows):
            many, full[rows, one] = ridges(rows, one, peaks.value[rows, one, 0] - reach[rows, one])
            at, which = np.nonzero(many >= 0)
            parts.append(np.column_stack([rows[at], np.full(len(at), one), many[at, which]]))
    b, m, candidate = np.unique(np.concatenate(parts), axis=0).T
    return _Places(b, m, candidate, *problem.places(np, candidate)), full


def _everywhere(batch: Batch, model: LeakageModel, which: np.ndarray) -> tuple[_Places, np.ndarray]:
    """As `_doubtful`, of some observations (B, M): candidates on ridges of any height."""
    problem, ridges = batch.workbench.problem, batch.ridges(model)
    full, parts = np.zeros(which.shape, dtype=bool), []
    for one in np.flatnonzero(which.any(axis=0)):
        (rows,) = np.nonzero(which[:, one])
        many, full[rows, one] = ridges(rows, int(one), np.full(len(rows), -_BOTTOMLESS))
        at, which_one = np.nonzero(many >= 0)
        parts.append(np.column_stack([rows[at], np.full(len(at), one), many[at, which_one]]))
    b, m, candidate = np.unique(np.concatenate(parts), axis=0).T
    return _Places(b, m, candidate, *problem.places(np, candidate)), full


def _half_a_cell(grid: ResolvingGrid, at: Local) -> np.ndarray:
    """½δᵀJδ, the most of all corners δ of a cell around a place."""
    cell_m, cell_rad = grid.cell(at.range_m, at.angle_rad)
    ends = (np.sqrt(at.range_range) * cell_m + np.sqrt(at.angle_angle) * cell_rad) / 2
    return 0.5 * ends * ends


def _climb_all(likelihood: Likelihood, places: _Places, found: Local, left_out: np.ndarray) -> None:
    """`_climb_the_highest` of observations of every L."""
    for n in sorted(set(likelihood.n_snapshots)):
        here = likelihood.with_snapshots(np, n)[places.m]
        _climb_the_highest(likelihood, n, _Places(*(part[here] for part in places)), found, left_out)


def _climb_the_highest(likelihood: Likelihood, n: int, places: _Places, found: Local, left_out: np.ndarray) -> None:
    """Of observations with this L: climbs from the places, what is found into places 1 + PEAKS … of `found`, and into
    left_out (B, M) the most that is expected, or was reached, beside places that the rounds have no room for."""
    if not len(places.b):
        return
    grid: ResolvingGrid = likelihood.problem.grid  # type: ignore[assignment]
    b, m = places.b, places.m
    at = likelihood.each(b, m, n).at(np, places.range_m[:, None, None], places.angle_rad[:, None, None])
    at = Local(*(part[:, 0, 0] for part in at))
    height = at.value + _expected(grid, at)
    half = _half_a_cell(grid, at)
    keep = (height > found.value[b, m, 0] - _AS_HIGH - _DOUBT * half) & ~_known(found, b, m, at, height, grid)
    alone = _highest_nearby(places, height, grid.n_ranges)
    keep &= alone | (half > _CROWDED)
    order = np.where(alone, height, height - _LATER)
    more = _MORE_OF_ONE_SENSOR // likelihood.statistic.shape[-1]
    for most, steps in _ROUNDS:
        most = max(most, more) if steps == _ROUNDS[0][1] else max(most, more // 2)
        room = _rank(b, m, np.where(keep, order, -np.inf)) < most
        np.maximum.at(left_out, (b[keep & ~room], m[keep & ~room]), height[keep & ~room])
        keep &= room
        b, m, at, height = b[keep], m[keep], Local(*(part[keep] for part in at)), height[keep]
        if not len(b):
            return
        ends = climb(np, likelihood.each(b, m, n), grid, at.range_m, at.angle_rad, steps)
        at = Local(*(part[:, 0, 0] for part in ends))
        height, order, keep = at.value, at.value, np.ones(len(b), dtype=bool)
        rank = _rank(b, m, height)
        here = rank < RIVALS
        first = found.value.shape[-1] - RIVALS
        for whole, part in zip(found, at, strict=True):
            whole[b[here], m[here], first + rank[here]] = part[here]


def _climb_on(likelihood: Likelihood, found: Local) -> None:
    """What is, or is expected to be, as high as any peak of its observation, where its climb has not ended."""
    grid: ResolvingGrid = likelihood.problem.grid  # type: ignore[assignment]
    step_m, step_rad = damped_step(np, found, np.full_like(found.value, 1e-3), grid)
    more = np.abs(step_m * found.by_range) + np.abs(step_rad * found.by_angle)
    lowest = np.max(found.value, axis=-1, keepdims=True) - _NEARLY
    going = (found.value + more > lowest) & (more > _WORTH_GOING_ON)
    for n in sorted(set(likelihood.n_snapshots)):
        b, m, p = np.nonzero(going & likelihood.with_snapshots(np, n)[:, None])
        if len(b):
            starts = Local(*(part[b, m, p][:, None, None] for part in found))
            ends = ascend(likelihood.each(b, m, n), grid, starts, _ON, _WORTH_ANOTHER)
            for whole, part in zip(found, ends, strict=True):
                whole[b, m, p] = part[:, 0, 0]


def _expected(grid: ResolvingGrid, at: Local) -> np.ndarray:
    """How much higher than a place the likelihood is expected to be a cell around it at most: ∇lᵀδ − ½δᵀJδ, (n,)."""
    cell_m, cell_rad = grid.cell(at.range_m, at.angle_rad)
    a, b, c = at.range_range, at.range_angle, at.angle_angle

    def gain(step_m: np.ndarray, step_rad: np.ndarray) -> np.ndarray:
        linear = at.by_range * step_m + at.by_angle * step_rad
        return linear - 0.5 * (a * step_m**2 + c * step_rad**2) - b * step_m * step_rad

    free_m, free_rad = damped_step(np, at, np.full_like(at.value, 1e-9), grid)
    inside = (np.abs(free_m) <= cell_m) & (np.abs(free_rad) <= cell_rad)
    most = np.where(inside, gain(free_m, free_rad), 0.0)
    for side in (-1, 0, 1):  # the quadratic is highest there, or on an edge
        step_m, step_rad = side * cell_m, side * cell_rad
        beside_rad = _clipped(at.by_angle - b * step_m, c, cell_rad)
        beside_m = _clipped(at.by_range - b * step_rad, a, cell_m)
        most = np.maximum(most, np.maximum(gain(step_m, beside_rad), gain(beside_m, step_rad)))
    return most


def _clipped(slope: np.ndarray, information: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The best step along one axis, at most a cell."""
    some = information > 0
    return np.clip(np.where(some, slope / np.where(some, information, 1.0), 0.0), -cell, cell)


def _known(
    found: Local, b: np.ndarray, m: np.ndarray, at: Local, height: np.ndarray, grid: ResolvingGrid
) -> np.ndarray:
    """Which places a step of scoring leads to a peak that was climbed already: within `_AT_A_PEAK` deviations of one,
    and not above it."""
    step_m, step_rad = damped_step(np, at, np.full_like(at.value, 1e-3), grid)
    known = np.zeros(len(b), dtype=bool)
    for p in range(found.value.shape[-1] - RIVALS):
        peak = Local(*(part[b, m, p] for part in found))
        away_m, away_rad = at.range_m + step_m - peak.range_m, at.angle_rad + step_rad - peak.angle_rad
        squared = peak.range_range * away_m**2 + peak.angle_angle * away_rad**2
        squared += 2 * peak.range_angle * away_m * away_rad
        known |= (squared < _AT_A_PEAK**2) & (height < peak.value + _AS_HIGH_AS_A_PEAK)
    return known


def _highest_nearby(places: _Places, height: np.ndarray, n_ranges: int) -> np.ndarray:
    """Which are the highest of their neighbours on the grid that are among the places."""
    one = (places.b * (places.m.max() + 1) + places.m) * (4 * places.candidate.max() + 4 * n_ranges)
    key = one + places.candidate
    order = np.argsort(key, kind="stable")
    ascending, highest = key[order], np.ones(len(key), dtype=bool)
    for row in (-1, 0, 1):
        for side in (-1, 0, 1):
            if not row and not side:
                continue
            beside = places.candidate % n_ranges + side
            at = np.minimum(np.searchsorted(ascending, key + row * n_ranges + side), len(key) - 1)
            there = (ascending[at] == key + row * n_ranges + side) & (beside >= 0) & (beside < n_ranges)
            highest &= ~(there & (height[order[at]] > height))
    return highest


def _rank(b: np.ndarray, m: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Place of each among those of its observation (b, m), the highest first."""
    order = np.lexsort((-height, m, b))
    new = np.ones(len(b), dtype=bool)
    new[1:] = (b[order][1:] != b[order][:-1]) | (m[order][1:] != m[order][:-1])
    starts = np.flatnonzero(new)
    rank = np.empty(len(b), dtype=int)
    rank[order] = np.arange(len(b)) - starts[np.cumsum(new) - 1]
    return rank
