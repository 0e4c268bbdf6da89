"""Family A's bound that holds: Weiss-Weinstein on range and angle, given each realization's sensors.

No Monte Carlo: sums over lattices of places, `engine.numerics.weiss_weinstein`. A lattice of few places over all of the
prior sees every ambiguity and no fine error; one in a small window of it the reverse. Windows are tried from large to
small, and each block of realizations takes the one of the highest mean: chosen for each realization, the highest of
sums over few windows would lie above what they converge to.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.numerics.bhattacharyya import stabilised
from engine.numerics.geometry import path_gain
from engine.numerics.prior_lattice import Lattice, PlacePrior, Window, lattices
from engine.numerics.weiss_weinstein import weiss_weinstein
from engine.scenario import Variables
from scenarios.leakage.scene import Geometry, LeakageScene

_WIDE = (
    ((Window(),), (Window(1, 4, at_ranges=4, n_ranges=4),)),
    ((Window(4, at_angles=4, n_ranges=16),), (Window(16, at_angles=16, n_ranges=20, range_power=0.25),)),
)
"""Chains of steps of windows. The first gives the angle at −65 to −85 dBm, the second the range."""
_NARROW = tuple(
    tuple(
        Window(4**i, 4**j, at_angles=4, at_ranges=min(4, 4**j), n_ranges=24, range_power=-1.0)
        for j in (i - 4, i - 3)
        if j >= 0
    )
    for i in range(3, 15)
)
"""With less noise: one after the other until none is better. Of their positions, which are many, only some are looked
at: a quadrature over the prior. The wider in range are higher by a seventh at K = 40, L = 50, −85 dBm."""
_ALIKE = 6.0
"""The narrow ones are tried where fewer of a lattice's places look alike, in the mean."""

_TOLD_APART = 2.0
"""Steps of windows go on while so few places look alike: their bounds are next to nothing, in no order."""

OneBlock = tuple[np.ndarray, np.ndarray]
_Chains = Sequence[Sequence[Sequence[list[Lattice]]]]


def prepare_weiss_weinstein(scene: LeakageScene, xp: Any, nodes: int) -> Callable[[Geometry], tuple[Any, Any]]:
    """geometry → bounds on range (m²) and angle (rad²) for whoever sees the sums S, (B, S, L) each; on the host."""
    beta = scene.user_range_draw == "beta"
    prior = PlacePrior(
        scene.user_range_min_m, scene.user_range_max_m, scene.user_angle_min_rad, scene.user_angle_max_rad,
        scene.prior_alpha if beta else 1.0, scene.prior_beta if beta else 1.0,
    )  # fmt: skip
    chains = [[[list(lattices(prior, one, nodes)) for one in step] for step in chain] for chain in (*_WIDE, _NARROW)]
    host = np.asarray if is_numpy_namespace(xp) else xp.asnumpy

    def bound(geometry: Geometry) -> tuple[Any, Any]:
        sensors = host(geometry.sensor_range_m), host(geometry.sensor_angle_rad)
        shape = len(sensors[0]), len(scene.noise_dbm), len(scene.n_snapshots)
        found = np.empty((2, *shape))
        for s, snr in enumerate(scene.snr()):
            for i, n in enumerate(scene.n_snapshots):
                found[:, :, s, i] = _highest(scene, chains, sensors, float(snr), n)
        return xp.asarray(found[0]), xp.asarray(found[1])

    return bound


def _highest(scene: LeakageScene, chains: _Chains, sensors: OneBlock, snr: float, n_snapshots: int) -> np.ndarray:
    """Of each quantity the bound of the window with the highest mean over the block: (2, B)."""
    best = np.zeros((2, len(sensors[0])))
    for number, chain in enumerate(chains):
        reached = np.zeros(2)
        for step in chain:
            means = np.zeros(2)
            for window in step:
                *tried, alike = np.mean([_of_lattice(scene, one, sensors, snr, n_snapshots) for one in window], axis=0)
                means = np.maximum(means, np.mean(tried, axis=-1))
                best = np.where((np.mean(tried, axis=-1) > best.mean(axis=-1))[:, None], tried, best)
            if np.all(means < reached) and np.mean(alike) > _TOLD_APART:
                break
            reached = np.maximum(reached, means)
        if number and np.mean(alike) > _ALIKE:
            break
    return best


def _of_lattice(scene: LeakageScene, lattice: Lattice, sensors: OneBlock, snr: float, n_snapshots: int) -> np.ndarray:
    """Bounds on range and angle of a user at one of the lattice's places, and how many places look alike: (3, B)."""
    from engine.numerics.bhattacharyya_cpu import summed_exponents
    from engine.numerics.leakage_cpu import compiled_leakage

    array, places = scene.array(), np.stack([lattice.range_m, lattice.angle_rad])
    root = np.sqrt(lattice.weight)
    found = []
    for range_m, angle_rad in zip(*sensors, strict=True):
        g = compiled_leakage(
            scene.leakage, array, range_m=lattice.range_m[None], angle_rad=lattice.angle_rad[None],
            sensor_angle_rad=angle_rad[None], sensor_inverse_range_per_m=1 / range_m[None],
        ).value[0]  # fmt: skip
        noncentrality = 2 * n_snapshots * snr * path_gain(range_m, array.wavelength_m) * g
        overlap = np.exp(-summed_exponents(stabilised(noncentrality, n_snapshots), n_snapshots))
        bounds = weiss_weinstein(root[:, None] * root * overlap, places)
        found.append([*bounds, np.mean(np.sum(overlap * overlap, axis=-1))])
    return np.array(found).T


def described_weiss_weinstein(bound_range: Any, bound_angle: Any) -> Variables:
    """The bounds on range and angle, (B, S, L) each, as variables."""
    dims, text = ("realization", "noise_dbm", "n_snapshots"), "Weiss-Weinstein bound on the"
    return {
        "weiss_weinstein_range_m2": (dims, bound_range, {"units": "m2", "long_name": f"{text} range"}),
        "weiss_weinstein_angle_rad2": (dims, bound_angle, {"units": "rad2", "long_name": f"{text} angle"}),
    }
