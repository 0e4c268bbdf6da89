"""How wide a posterior is."""

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.likelihood import Likelihood
from engine.estimators.problem import Estimates, Observations, trapezoid
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel

_NEGLIGIBLE = 1e-10
_ROUNDS = 12
_RESOLVED_CELLS = 3.0


def spread(batch: Batch, model: LeakageModel, estimates: Estimates) -> Estimates:
    """Roots of the posterior's mean squared distances from estimates (B, S, L), on the host and one after the other.

    On the batch's grid, then on uniform ones of that size, which close in on where the mass is until the mass is three
    cells wide.
    """
    xp, problem = batch.workbench.xp, batch.workbench.problem
    host = np.asarray if is_numpy_namespace(xp) else xp.asnumpy
    seen = Observations(*map(host, batch.observations))
    centre = np.stack([host(part) for part in estimates], axis=-1).reshape(seen.statistic.shape[0], -1, 2)
    whole = Likelihood.of(np, problem, model, seen)
    found = np.empty_like(centre)
    for b, m in np.ndindex(centre.shape[:2]):
        one = whole.each(np.array([b]), np.array([m]), whole.n_snapshots[m])
        found[b, m] = _of_one(one, centre[b, m])
    shape = seen.statistic.shape[:3]
    return Estimates(*(xp.asarray(np.ascontiguousarray(found[..., i]).reshape(shape)) for i in (0, 1)))


def _of_one(likelihood: Likelihood, centre: np.ndarray) -> np.ndarray:
    grid = likelihood.problem.grid
    axes = [grid.ranges_m(), grid.angles_rad()]
    low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
    counts = (grid.n_ranges, grid.n_angles)
    for _ in range(_ROUNDS):
        range_m, angle_rad = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
        value = likelihood.at(np, range_m[None, None], angle_rad[None, None]).value[0, 0]
        value = value + likelihood.problem.log_range_prior(np, range_m)
        mass = np.exp(value - value.max()) * np.multiply.outer(*map(trapezoid, axes)).ravel()
        mass /= mass.sum()
        squared = np.array([mass @ (range_m - centre[0]) ** 2, mass @ (angle_rad - centre[1]) ** 2])
        mean = np.array([mass @ range_m, mass @ angle_rad])
        width = np.sqrt(np.array([mass @ (range_m - mean[0]) ** 2, mass @ (angle_rad - mean[1]) ** 2]))
        cell = np.array([np.diff(axis).max() for axis in axes])
        if np.all(width > _RESOLVED_CELLS * cell):
            break
        places = np.stack([range_m, angle_rad])[:, mass > _NEGLIGIBLE]
        closer_low, closer_high = (
            np.maximum(low, places.min(axis=1) - cell),
            np.minimum(high, places.max(axis=1) + cell),
        )
        if np.all(closer_high - closer_low > 0.9 * (high - low)):  # several narrow peaks, apart: as good as it gets
            break
        low, high = closer_low, closer_high
        axes = [np.linspace(*ends) for ends in zip(low, high, counts, strict=True)]
    return np.sqrt(squared)
