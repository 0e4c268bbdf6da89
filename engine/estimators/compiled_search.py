"""Searches from place to place in compiled loops, where a likelihood has what these know."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.likelihood import Likelihood, Local

if TYPE_CHECKING:
    from engine.numerics.place_cpu import Area, Heard, Optics, Tables


class Loops(NamedTuple):
    """What `engine.numerics.climb_cpu` and `trace_cpu` take of n searches."""

    heard: "Heard"
    optics: "Optics"
    kept: "Tables"
    area: "Area"


def loops_of(xp: Any, likelihood: Likelihood) -> Loops | None:
    """Of n realizations of one observation; None on another device and for models whose loops need arrays."""
    if not is_numpy_namespace(xp) or likelihood.constant is None or likelihood.sensor_cosine is None:
        return None
    from engine.numerics.place_cpu import Area, Heard, optics_of, tables

    problem, (n_snapshots,) = likelihood.problem, likelihood.n_snapshots
    optics, grid = optics_of(likelihood.model, problem.array), problem.grid
    if optics is None:
        return None
    statistic, per_leakage = likelihood.statistic[:, 0, :], likelihood.per_leakage[:, 0, :]
    constant = np.ascontiguousarray(likelihood.constant[:, 0])
    return Loops(
        Heard(statistic, per_leakage, likelihood.sensor_cosine, constant, float(n_snapshots)),
        optics,
        tables(n_snapshots),
        Area(
            float(grid.range_min_m),
            float(grid.range_max_m),
            float(grid.angle_min_rad),
            float(grid.angle_max_rad),
            float(problem.range_alpha),
            float(problem.range_beta),
        ),
    )


def places(at: Local) -> np.ndarray:
    """Places (n, 1, 1) as the loops take them: (8, n)."""
    return np.stack([part[:, 0, 0] for part in at])


def local(out: np.ndarray) -> Local:
    """Places (8, n) as (n, 1, 1)."""
    return Local(*(part[:, None, None] for part in out))
