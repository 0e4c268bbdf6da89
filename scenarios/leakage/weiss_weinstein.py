"""Family A's bound that holds: Weiss-Weinstein on range and angle, given each realization's sensors.

No Monte Carlo: sums over lattices of places, `engine.numerics.weiss_weinstein`. Lattices over all of the prior go from
coarse to fine, the finer in ever more groups of places that look alike, of which one is told in which the user is: so
few places are left that their bound can be computed, and among them the ones that are mistaken for each other. What
rare mistakes of the far side of the area cost is seen as well as fine errors. The mean over a lattice's offsets is
that of a few where it is coarse, of one where it is fine; where no few would do, because all places are told apart, the
lattice is passed by.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.numerics.bhattacharyya import stabilised
from engine.numerics.geometry import path_gain
from engine.numerics.like_groups import like_groups, mistaken
from engine.numerics.prior_lattice import Lattice, PlacePrior, Window, lattices
from engine.numerics.weiss_weinstein import weiss_weinstein
from engine.scenario import Variables
from scenarios.leakage.scene import Geometry, LeakageScene

_PLACES = 300_000
"""Lattices have one group of places, two, four …, as long as they have no more places: 100 MB at K = 40."""
_CROWDED = 4
"""From here on ranges are as far apart as what the array tells of them, evenly in 1/d: many cells are needed else."""
_OFFSETS = (8, 8, 4, 4, 2, 2)
"""Of the coarsest lattices, and one of the others."""
_LOOKED_AT = 64
"""Groups whose bounds are summed, those of which the most is expected; of the others nothing is taken."""
_RESOLVED, _FIRST = 1.5, 8
"""A lattice counts where so many of a place's group look alike, in the mean of the first few groups: its offset matters
by 2 % then in the angle, 10 % in the range (K = 20, L = 50, −85 dBm); where fewer do, by up to fifty times."""
_ALIKE = 6.0
"""Small windows are tried where fewer places of the finest lattice look alike."""
_TOLD_APART = 2.0
"""Steps of windows go on while so few places look alike: their bounds are next to nothing, in no order."""
_LATTICES = 8
"""Of each window, at the least, at as many offsets and positions."""
_NARROW = tuple(
    tuple(
        Window(4**i, 4**j, at_angles=4, at_ranges=min(4, 4**j), n_ranges=24, range_power=-1.0)
        for j in (i - 4, i - 3)
        if j >= 0
    )
    for i in range(3, 15)
)
"""With very little noise: one after the other until none is better. Of their positions, which are many, only some are
looked at, to choose by."""
_POSITIONS = 16, 32
"""Of ranges and angles, at which the chosen window is looked at: a quadrature over the prior. Users differ by a hundred
times in what their error is, and 16 positions may be twice off in the mean: K = 70, L = 50, −85 dBm, 0.017 m² where the
limit is 0.0087 m²."""
_STANDARD_ERRORS = 2.0
"""by which the mean over positions is lowered: a bound has to hold"""


class _Narrow:
    """A small window: some lattices to choose it by, and others, if it is chosen, at more positions."""

    def __init__(self, prior: PlacePrior, window: Window, nodes: int) -> None:
        self.to_choose = list(lattices(prior, window, nodes, _LATTICES))
        self._of = prior, window, nodes

    @functools.cached_property
    def at_positions(self) -> tuple[int, list[Lattice]]:
        """One at each, angle after angle at one range after the other; and at how many angles."""
        prior, window, nodes = self._of
        n_ranges, n_angles = (
            min(most, parts) for most, parts in zip(_POSITIONS, (window.range_parts, window.angle_parts), strict=True)
        )
        return n_angles, list(lattices(prior, window._replace(at_ranges=n_ranges, at_angles=n_angles), nodes))


_Steps = Sequence[Sequence[_Narrow]]


class _Sensors(NamedTuple):
    """Of one realization, (K,) each."""

    range_m: np.ndarray
    angle_rad: np.ndarray


def prepare_weiss_weinstein(scene: LeakageScene, xp: Any, nodes: int) -> Callable[[Geometry], tuple[Any, Any]]:
    """geometry → bounds on range (m²) and angle (rad²) for whoever sees the sums S, (B, S, L) each; on the host."""
    beta = scene.user_range_draw == "beta"
    prior = PlacePrior(
        scene.user_range_min_m, scene.user_range_max_m, scene.user_angle_min_rad, scene.user_angle_max_rad,
        scene.prior_alpha if beta else 1.0, scene.prior_beta if beta else 1.0,
    )  # fmt: skip
    whole = [_over_all(prior, nodes, depth) for depth in range(1 + int(math.log2(_PLACES / nodes)))]
    narrow = [[_Narrow(prior, one, nodes) for one in step] for step in _NARROW]
    host = np.asarray if is_numpy_namespace(xp) else xp.asnumpy

    def bound(geometry: Geometry) -> tuple[Any, Any]:
        places = zip(host(geometry.sensor_range_m), host(geometry.sensor_angle_rad), strict=True)
        found = [_of_sensors(scene, whole, narrow, _Sensors(*one)) for one in places]
        return xp.asarray(np.array([one[0] for one in found])), xp.asarray(np.array([one[1] for one in found]))

    return bound


def _over_all(prior: PlacePrior, nodes: int, depth: int) -> list[Lattice]:
    """Lattices over all of the prior, of a multiple of 2^depth places each."""
    unit = 2 ** (depth // 2)
    n_ranges = unit * max(1, round(12 * 2 ** (0.3 * depth) / unit))
    n_angles = 2 ** (depth - depth // 2) * max(2, round(nodes * 2 ** (depth // 2) / n_ranges))
    window = Window(n_ranges=n_ranges, range_power=1.0 if depth < _CROWDED else -1.0)
    return list(lattices(prior, window, n_ranges * n_angles, _OFFSETS[depth] if depth < len(_OFFSETS) else 1))


def _of_sensors(scene: LeakageScene, whole: list[list[Lattice]], narrow: _Steps, sensors: _Sensors) -> np.ndarray:
    """Bounds on range and angle at every noise power and number of snapshots, (2, S, L)."""
    gain = path_gain(sensors.range_m, scene.array().wavelength_m)
    leaked = functools.cache(lambda depth, number: _leakage(scene, whole[depth][number], sensors))
    found = np.empty((2, len(scene.noise_dbm), len(scene.n_snapshots)))
    for s, snr in enumerate(scene.snr()):
        for i, n in enumerate(scene.n_snapshots):

            def seen(leakage: np.ndarray, n: int = n, per_snapshot: np.ndarray = 2 * snr * gain) -> np.ndarray:
                return np.asarray(stabilised(n * per_snapshot * leakage, n))

            best, alike = _finer_and_finer(whole, lambda *which: seen(leaked(*which)), n)
            if alike < _ALIKE:
                small = _smaller_and_smaller(narrow, lambda lattice: seen(_leakage(scene, lattice, sensors)), n)
                best = np.maximum(best, small)
            found[:, s, i] = best
    return found


def _leakage(scene: LeakageScene, lattice: Lattice, sensors: _Sensors) -> np.ndarray:
    """From a lattice's places to the sensors, (G, K)."""
    from engine.numerics.leakage_cpu import compiled_leakage

    table = compiled_leakage(
        scene.leakage, scene.array(), range_m=lattice.range_m[None], angle_rad=lattice.angle_rad[None],
        sensor_angle_rad=sensors.angle_rad[None], sensor_inverse_range_per_m=1 / sensors.range_m[None],
    )  # fmt: skip
    return np.asarray(table.value[0])


def _finer_and_finer(
    whole: list[list[Lattice]], seen: Callable[[int, int], np.ndarray], n: int
) -> tuple[np.ndarray, float]:
    """The highest of the bounds of lattices over all of the prior, (2,), and how many places of the last look alike."""
    best, alike = np.zeros(2), 0.0
    for depth, each in enumerate(whole):
        found = [bounds_in_groups(one, seen(depth, number), depth, n) for number, one in enumerate(each)]
        bounds, alike = np.mean([one for one, _ in found], axis=0), float(np.mean([one for _, one in found]))
        if alike >= _RESOLVED and np.all(bounds < best):
            break
        best = np.maximum(best, bounds)
    return best, alike


def bounds_in_groups(lattice: Lattice, seen: np.ndarray, depth: int, n_snapshots: int) -> tuple[np.ndarray, float]:
    """Bounds (2,) for whoever is told in which of 2^depth groups the user is, and how many places of one look alike.

    seen: t of `engine.numerics.bhattacharyya.stabilised` at the lattice's places, (G, K).
    """
    groups = like_groups(seen, depth)
    places = np.stack([lattice.range_m, lattice.angle_rad])
    expected = np.array([mistaken(seen[one], lattice.weight[one], places[:, one]) for one in groups])
    order = np.argsort(np.sum(expected / np.maximum(expected.sum(axis=0), 1e-300), axis=-1))[::-1]
    found: list[tuple[float, ...]] = []
    for number, one in enumerate(groups[order[:_LOOKED_AT]]):
        found.append((float(lattice.weight[one].sum()), *_of_places(lattice, seen, one, n_snapshots)))
        if number + 1 == min(_FIRST, len(groups)):
            alike = float(np.mean([each[-1] for each in found]))
            if alike < _RESOLVED:
                return np.zeros(2), alike
    weight, range_m2, angle_rad2, _ = np.array(found).T
    return np.array([weight @ range_m2, weight @ angle_rad2]), alike


def _of_places(lattice: Lattice, seen: np.ndarray, group: np.ndarray, n_snapshots: int) -> tuple[float, float, float]:
    """Bounds on range and angle of a user who is at one of the group's places, and how many of these look alike."""
    from engine.numerics.bhattacharyya_cpu import summed_exponents

    root = np.sqrt(lattice.weight[group] / lattice.weight[group].sum())
    overlap = np.exp(-summed_exponents(seen[group], n_snapshots))
    places = np.stack([lattice.range_m[group], lattice.angle_rad[group]])
    range_m2, angle_rad2 = weiss_weinstein(root[:, None] * root * overlap, places)
    return range_m2, angle_rad2, float(np.mean(np.sum(overlap * overlap, axis=-1)))


def _smaller_and_smaller(narrow: _Steps, seen: Callable[[Lattice], np.ndarray], n: int) -> np.ndarray:
    """Bounds of small windows, (2,): of the best by some of their lattices, what it gives at other positions.

    Chosen and read by the same lattices, the highest of windows short of converged is above what they converge to:
    0.29 m² in place of 0.07 m² at K = 20, L = 50, −85 dBm, before lattices over all of the prior were as fine.
    """
    windows, found, reached = [window for step in narrow for window in step], [], np.zeros(2)
    for step in narrow:
        means = np.zeros(2)
        for window in step:
            each = np.array([_alone(one, seen, n) for one in window.to_choose])
            found.append(each[:, :2].mean(axis=0))
            means = np.maximum(means, found[-1])
        if np.all(means < reached) and each[:, 2].mean() > _TOLD_APART:
            break
        reached = np.maximum(reached, means)
    bounds = np.zeros(2)
    best = np.argmax(found, axis=0)
    for number in set(best.tolist()):
        n_angles, chosen = windows[number].at_positions
        each = np.array([_alone(one, seen, n)[:2] for one in chosen]).reshape(-1, n_angles, 2)
        bounds = np.where(best == number, lowered(each), bounds)
    return bounds


def _alone(lattice: Lattice, seen: Callable[[Lattice], np.ndarray], n: int) -> tuple[float, float, float]:
    return _of_places(lattice, seen(lattice), np.arange(len(lattice.weight)), n)


def lowered(each: np.ndarray) -> np.ndarray:
    """Means over positions (ranges, angles, C) less some of their standard errors, not below zero, (C,).

    The error is that of means over pairs of neighbouring angles, by their differences: positions are even, and what
    changes slowly along them is no error of their mean.
    """
    pairs = each[:, : 2 * (each.shape[1] // 2)].reshape(-1, 2, each.shape[-1])
    error = np.sqrt(np.sum((pairs[:, 0] - pairs[:, 1]) ** 2, axis=0)) / (2 * len(pairs))
    return np.maximum(each.mean(axis=(0, 1)) - _STANDARD_ERRORS * error, 0.0)


def described_weiss_weinstein(bound_range: Any, bound_angle: Any) -> Variables:
    """The bounds on range and angle, (B, S, L) each, as variables."""
    dims, text = ("realization", "noise_dbm", "n_snapshots"), "Weiss-Weinstein bound on the"
    return {
        "weiss_weinstein_range_m2": (dims, bound_range, {"units": "m2", "long_name": f"{text} range"}),
        "weiss_weinstein_angle_rad2": (dims, bound_angle, {"units": "rad2", "long_name": f"{text} angle"}),
    }
