"""The highest peaks of scores on a lattice, on any array namespace; `engine.numerics.lattice_peaks_cpu` is faster."""

import math
from typing import Any

Array = Any


def highest_peaks_of_arrays(
    xp: Any, scores: Array, lattice: tuple[int, ...], position: Array | None, n: int
) -> tuple[Array, Array]:
    """The n highest of the candidates whose neighbours on a lattice of three axes are all lower: (..., M) → (..., n).

    position (M,): of the candidates on the flat lattice, where some of its places are none. Indices and scores, highest
    first; 0 where there are no more.
    """
    whole = scores
    if position is not None:  # what is left out of the lattice is no neighbour
        whole = xp.zeros((*scores.shape[:-1], math.prod(lattice)))
        whole[..., position] = scores
    whole = xp.reshape(whole, (*scores.shape[:-1], *lattice))
    highest = xp.ones(whole.shape, dtype=xp.bool)
    for axis in range(-3, 0):
        size = whole.shape[axis]
        low = (..., slice(0, size - 1), *(slice(None),) * (-axis - 1))
        high = (..., slice(1, size), *(slice(None),) * (-axis - 1))
        highest[low] &= whole[low] >= whole[high]
        highest[high] &= whole[high] > whole[low]
    highest = xp.reshape(highest, (*scores.shape[:-1], -1))
    highest = highest if position is None else highest[..., position]
    left = xp.where(highest, scores, xp.zeros_like(scores))
    found, values = [], []
    numbers = xp.arange(scores.shape[-1])
    for rank in range(n):
        best = xp.argmax(left, axis=-1)
        found.append(best)
        values.append(xp.max(left, axis=-1))
        if rank + 1 < n:
            left = xp.where(numbers == best[..., None], xp.zeros_like(left), left)
    return xp.stack(found, axis=-1), xp.stack(values, axis=-1)
