"""Statistics over realizations of stored variables."""

import numpy as np
import xarray

_QUANTILE = 1.959963984540054  # of the normal distribution at 0.975


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


def log_interval(mean: np.ndarray, standard_error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of means, any shape: ends (low, high).

    Of a positive mean by the delta method on its logarithm, so that it stays positive and reaches farther up than
    down, as heavy tails should make it; of another one symmetric.
    """
    positive = mean > 0
    reach = _QUANTILE * standard_error
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = np.exp(np.minimum(reach / np.abs(mean), 700.0))
        low = np.where(positive, mean / factor, mean - reach)
        high = np.where(positive, mean * factor, mean + reach)
    return low, high
