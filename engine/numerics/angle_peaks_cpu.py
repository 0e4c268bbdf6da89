"""The angles of most mass among their neighbours, on a CPU. Imports numba.

Comparisons alone: equal bit for bit to any other way of finding them.
"""

from typing import Any

from engine.numerics.compiled import compiled


def _most_plain(mass: Any, found: Any) -> None:
    """found (n, P): angles with at least the mass (n, angles) of the one before and more than the one behind, the most
    first, and the first of equals first; −1 where there are fewer. Beyond the ends is no mass."""
    n_angles, most = mass.shape[1], found.shape[1]
    for i in range(mass.shape[0]):
        found[i, :] = -1
        for j in range(n_angles):
            here = mass[i, j]
            before, behind = mass[i, j - 1] if j > 0 else 0.0, mass[i, j + 1] if j + 1 < n_angles else 0.0
            if not (here >= before and here > behind):
                continue
            at = most
            while at > 0 and (found[i, at - 1] < 0 or here > mass[i, found[i, at - 1]]):
                at -= 1
            for later in range(most - 1, at, -1):
                found[i, later] = found[i, later - 1]
            if at < most:
                found[i, at] = j


most = compiled(_most_plain)
