"""Places sorted into groups that look alike, so that a bound given the group sees most of what is mistaken for what.

Who is told in which of some groups of places the user is has fewer places left, and a bound for whoever is told holds
for all, whatever the groups. Places of one window of the area are left with their neighbours alone; places that look
alike are left with their rivals as well, wherever these are.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

Array = Any


def like_groups(seen: np.ndarray, depth: int) -> np.ndarray:
    """Indices of places, (2^depth, N // 2^depth): halves of halves along the direction in which each varies most.

    seen: coordinates of what is expected at a place, (N, K), in which distance says how well places are told apart; N
    a multiple of 2^depth.
    """
    groups = np.arange(len(seen))[None]
    for _ in range(depth):
        groups = np.concatenate([_halves(seen, one) for one in groups])
    return groups


def _halves(seen: np.ndarray, group: np.ndarray) -> np.ndarray:
    apart = seen[group] - np.mean(seen[group], axis=0)
    along = np.linalg.eigh(apart.T @ apart)[1][:, -1]
    return np.asarray(group[np.argsort(apart @ along, kind="stable")]).reshape(2, -1)


def mistaken(seen: Array, weight: Array, places: Array) -> Array:
    """About what a group's bound is where few of its places look alike: ½ Σ (θ_g − θ_h)² B_gh²/(w_g + w_h), (C,).

    seen: (G, K), with −8 log of the overlap about the squared distance; weight: (G,); places: (C, G).
    """
    xp = array_namespace(seen, weight, places)
    square = xp.sum(seen * seen, axis=-1)
    distance = xp.clip(square[:, None] + square - 2 * xp.matmul(seen, seen.T), 0.0, None)
    share = xp.exp(-distance / 4) * weight[:, None] * weight / (weight[:, None] + weight)
    total = xp.sum(share, axis=-1)
    middle = xp.matmul(places, share)
    return xp.sum(places * places * total - places * middle, axis=-1)
