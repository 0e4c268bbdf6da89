"""Statistics over realizations of stored variables."""

import numpy as np
import xarray


def summarize(variable: xarray.DataArray) -> xarray.Dataset:
    """Mean over the realizations with its standard error, and how many finite values they rest on.

    variable: has the dimension `realization`; NaN marks what is not stored.
    Returns `mean`, `standard_error` (NaN below two values) and `count`, without that dimension. Realizations are
    independent; points of one sweep may share draws, so that differences between points are known better than this.
    """
    finite = variable.where(np.isfinite(variable))
    count = finite.count("realization")
    error = finite.std("realization", ddof=1) / np.sqrt(count.where(count > 1))
    return xarray.Dataset({"mean": finite.mean("realization"), "standard_error": error, "count": count})
