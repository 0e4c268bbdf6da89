"""A grid's error in two parts, Eq. (49) of Cao et al. (arXiv 2501.17868): mismatch and misjudgment.

‖p̂ − p‖ ≤ ‖p − p^g‖ + ‖p̂ − p^g‖: how far a user is from the grid's place next to it, which no estimator on the grid
mends, and how far the estimate is from that place, which more cycles are to bring to zero, Eq. (54).
"""

from typing import Any

import numpy as np

from engine.numerics.candidates import CandidateGrid

Array = Any

ATTRIBUTES = {
    "squared_mismatch_angle_rad2": {
        "units": "rad2", "long_name": "squared distance of an angle from the grid's next place, mean of the two"},
    "squared_misjudgment_angle_rad2": {
        "units": "rad2", "long_name": "squared distance of an estimated angle from the grid's place next to the user, "
        "mean of the two"},
    "squared_mismatch_range_m2": {
        "units": "m2", "long_name": "squared distance of the range from the grid's next one"},
    "squared_misjudgment_range_m2": {
        "units": "m2", "long_name": "squared distance of the estimated range from the grid's next to the user"},
}  # fmt: skip


def nearest_place(xp: Any, grid: CandidateGrid, places: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """The candidate next to each place (range, θ, φ), any one shape: angle by angle, and of that direction's ranges.

    The range is NaN where a direction has plane waves only.
    """
    range_m, polar, azimuth = places
    index_polar, index_azimuth = (
        xp.argmin(xp.abs(part[..., None] - xp.asarray(of_grid)), axis=-1)
        for part, of_grid in ((polar, grid.polar_rad), (azimuth, grid.azimuth_rad))
    )
    spherical = grid.inverse_range_per_m > 0
    if not spherical.any():
        nearest = xp.full_like(range_m, xp.nan)
    else:
        ranges = xp.asarray(1 / grid.inverse_range_per_m[spherical])
        allowed = xp.reshape(xp.asarray(grid.allowed[..., spherical]), (-1, ranges.shape[0]))
        row = xp.reshape(index_polar * len(grid.azimuth_rad) + index_azimuth, (-1,))
        here = xp.reshape(xp.take(allowed, row, axis=0), (*range_m.shape, ranges.shape[0]))
        apart = xp.where(here, xp.abs(range_m[..., None] - ranges), xp.asarray(np.inf))
        nearest = xp.reshape(xp.take(ranges, xp.reshape(xp.argmin(apart, axis=-1), (-1,))), range_m.shape)
        nearest = xp.where(xp.any(here, axis=-1), nearest, xp.full_like(range_m, xp.nan))
    flat = (xp.reshape(part, (-1,)) for part in (index_polar, index_azimuth))
    of_grid = (xp.asarray(part) for part in (grid.polar_rad, grid.azimuth_rad))
    angles = (xp.reshape(xp.take(part, index), polar.shape) for part, index in zip(of_grid, flat, strict=True))
    return nearest, *angles


def error_parts(
    xp: Any,
    grid: CandidateGrid | None,
    truth: tuple[Array, Array, Array],
    estimate: tuple[Array, Array, Array],
    plane: Array,
) -> dict[str, Array]:
    """The four variables, (B, S, R, L); NaN of an estimator that is on no grid, and of the range of a plane wave.

    truth: (range, θ, φ), (B, L) each; estimate: (B, S, R, L). plane: which users' waves are, (B, L).
    """
    if grid is None:
        nothing = xp.full_like(estimate[0], xp.nan)
        return dict.fromkeys(ATTRIBUTES, nothing)
    nearest = nearest_place(xp, grid, truth)
    mismatch = [(a - b) ** 2 for a, b in zip(truth, nearest, strict=True)]
    misjudgment = [(a - b[:, None, None, :]) ** 2 for a, b in zip(estimate, nearest, strict=True)]
    no_range = xp.where(plane, xp.full_like(mismatch[0], xp.nan), xp.zeros_like(mismatch[0]))
    shape = misjudgment[0].shape
    return {
        "squared_mismatch_angle_rad2": xp.broadcast_to(((mismatch[1] + mismatch[2]) / 2)[:, None, None, :], shape),
        "squared_misjudgment_angle_rad2": (misjudgment[1] + misjudgment[2]) / 2,
        "squared_mismatch_range_m2": xp.broadcast_to((mismatch[0] + no_range)[:, None, None, :], shape),
        "squared_misjudgment_range_m2": misjudgment[0] + no_range[:, None, None, :],
    }
