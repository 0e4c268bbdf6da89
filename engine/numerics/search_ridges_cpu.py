"""The ridges of likelihoods over the grid on a CPU, however far below the highest. Imports numba."""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.search import GROUP
from engine.numerics.search_likelihood_cpu import NEGLIGIBLE, summed
from engine.numerics.search_tiles_cpu import list_ridges


def _ridges_plain(slabs: Any, shape: Any, sensors: Any, inputs: Any, needed: Any, maxima: Any, full: Any) -> None:
    """The highest of the ridges' candidates above `needed` (B, M) into `maxima`, (B, M, P); where there were more, full
    (B, M) says so. Other arguments as `search_likelihood_cpu.likelihood` has them."""
    n_slabs, _, width = slabs.shape
    size, n_observations, _ = inputs.scale.shape
    n_angles, n_ranges, angles_per_slab = shape
    best = needed + NEGLIGIBLE
    tile = np.empty((GROUP, width), np.float32)
    total = np.empty((n_observations, width), np.float32)
    product = np.empty(width, np.float32)
    active = np.empty(n_observations, np.bool_)
    count, lowest = np.zeros(needed.shape, np.int64), needed.copy()
    for s in range(n_slabs):
        start = s * angles_per_slab
        used = (min(start + angles_per_slab, n_angles) - start) * n_ranges
        for b in range(size):
            low, high = summed(slabs[s], used, sensors, inputs, b, best, tile, product, total, active)
            for m in range(n_observations):
                if active[m]:
                    total[m, :low] = -np.inf
                    total[m, high:] = -np.inf
                    count[b, m], lowest[b, m] = list_ridges(
                        total[m, :used], n_ranges, start * n_ranges, lowest[b, m], count[b, m],
                        maxima.at[b, m], maxima.score[b, m],
                    )  # fmt: skip
    for b in range(size):
        for m in range(n_observations):
            maxima.at[b, m, count[b, m] :] = -1
            full[b, m] = lowest[b, m] > needed[b, m]


ridges = compiled(_ridges_plain)
