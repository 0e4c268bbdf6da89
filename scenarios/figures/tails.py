"""Means that few realizations carry, or may: their intervals cover less often than they say, and tables mark them."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray

    from engine.sweep import TextTable

LARGEST, MOST = 0.01, 0.15
"""The share of realizations with the largest values, and the share of the mean that these may have unmarked: values of
an exponential distribution have 6 %, where one of a hundred is lost at a hundred times the rest 50 %."""
FEWEST = 300
"""Realizations below which one in a hundred may not have occurred, by more than 5 %: 0.99³⁰⁰ = 0.049"""
MARK = "†"
MEANING = (
    f"{MARK}: one in a hundred realizations has more than {100 * MOST:.0f} % of this mean, or may not have occurred "
    f"yet (fewer than {FEWEST}); its interval covers less than 95 %"
)


def rests_on_few(samples: "xarray.DataArray", *, unseen: bool = True) -> "xarray.DataArray":
    """Whether a mean over `realization` should be marked. samples: not negative, NaN where there is none.

    unseen: whether what has not occurred may be missing from it, unlike from expected errors.
    """
    values = samples.transpose(..., "realization")
    known = np.sort(np.nan_to_num(np.where(np.isfinite(values.values), values.values, 0.0)), axis=-1)
    counts = np.isfinite(values.values).sum(axis=-1)
    top = np.maximum(1, np.ceil(LARGEST * counts)).astype(int)
    sums = np.cumsum(known[..., ::-1], axis=-1)
    largest = np.take_along_axis(sums, np.minimum(top, known.shape[-1])[..., None] - 1, axis=-1)[..., 0]
    marked = largest > MOST * sums[..., -1]
    if unseen:
        marked = marked | (counts < FEWEST)
    return values.isel(realization=0, drop=True).copy(data=marked)


def mark(carried: bool) -> str:
    """What stands behind a mean."""
    return f" {MARK}" if carried else ""


def explained(tables: "list[TextTable]") -> "list[TextTable]":
    """The tables, with what the mark means in the title of each that has one."""
    return [
        table._replace(title=f"{table.title}. {MEANING}")
        if any(MARK in cell for row in table.rows for cell in row)
        else table
        for table in tables
    ]
