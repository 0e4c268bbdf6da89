"""Every pair of estimators, or of any other dimension's values, realization by realization."""

import re
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError
from engine.intervals import binomial_interval, student_quantile, symmetric_interval
from engine.summary import check_summable, read_in_parts

if TYPE_CHECKING:
    import xarray

OTHER = "other"
_WORDS = {
    "ratio": "ratio of the means of {}",
    "difference": "mean difference of {}",
    "smaller": "share of the realizations that differ whose {} is the smaller",
    "count": "realizations in which both have {}",
    "excluded": "realizations in which one alone has {}",
}


def compare(
    variable: "xarray.DataArray",
    over: str = "estimator",
    *,
    level: float = 0.95,
    complete: "xarray.DataArray | None" = None,
) -> "xarray.Dataset":
    """Every value along `over` against every other one, on the same realizations.

    variable: real, with the dimensions `realization` and `over`; read in parts when it is lazy. complete: the store's
    mask, for whole numbers, which have no NaN. Estimators share their realizations' draws: the interval of a difference
    is narrower than those of its two sides suggest.

    Returns a dataset over `over`, `other` and the remaining dimensions, with
    - `ratio`: the mean over the other's mean; Fieller's interval (J. R. Stat. Soc. B 16 (1954)), which holds 1 wherever
      that of `difference` holds 0, and has no upper end where the other's mean may be 0;
    - `difference`: the mean of the differences; Student's t;
    - `smaller`: of the realizations that differ, the share whose value is below the other's; Clopper-Pearson, exact
      for any distribution. It says who is better for most, and nothing of who is lost;
    - `count`, `excluded`: realizations in which both are finite, which alone are compared, and in which one is;
    the first three with `_low` and `_high`.
    Raises InputError where a dimension is missing, for complex values, and for a level that is no probability.

    Ratio and difference rest on the central limit theorem, as the means of `summarize` do: few lost users can carry
    them. Every interval is for itself: of a hundred, five are wrong.
    """
    import xarray

    check_summable(variable, level)
    if over == "realization" or over not in variable.dims:
        others = [str(dim) for dim in variable.dims if dim != "realization"]
        raise InputError(f"over: given {over!r}, needed a dimension of {variable.name}: {', '.join(others) or 'none'}")
    dims = [str(dim) for dim in variable.dims if dim not in ("realization", over)]
    names = variable.sizes[over]
    shape = (names, names, *(variable.sizes[dim] for dim in dims))
    whole: dict[str, np.ndarray] = {}
    for region, values in read_in_parts(variable, (over, "realization"), complete):
        for i, j in np.ndindex(names, names):
            for name, part in _compared(values[i], values[j], level).items():
                here = whole.setdefault(name, np.empty(shape, part.dtype))
                here[(i, j, *(region[dim] for dim in dims))] = part
    described = {name: ((over, OTHER, *dims), part, _attributes(variable, name)) for name, part in whole.items()}
    kept = {name: values for name, values in variable.coords.items() if not {"realization", over} & set(values.dims)}
    if over in variable.coords:
        kept |= {over: variable[over], OTHER: (OTHER, variable[over].values, variable[over].attrs)}
    return xarray.Dataset(described, kept, {"level": level, "variable": str(variable.name or "")})


def _compared(mine: np.ndarray, theirs: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """mine, theirs: (realization, ...). Every statistic, of shape (...)."""
    finite = np.isfinite(mine), np.isfinite(theirs)
    both = finite[0] & finite[1]
    count = both.sum(axis=0)
    a, b = (np.where(both, values, 0.0) for values in (mine, theirs))
    parts = {"count": count, "excluded": (finite[0] | finite[1]).sum(axis=0) - count}
    t = student_quantile(level, count)
    total = np.where(count > 0, count, np.nan)
    free = np.where(count > 1, count * (count - 1.0), np.nan)
    mean_a, mean_b = (values.sum(axis=0) / total for values in (a, b))
    off_a, off_b = (np.where(both, values - mean, 0.0) for values, mean in ((a, mean_a), (b, mean_b)))
    spread = [(one * other).sum(axis=0) / free for one, other in ((off_a, off_a), (off_a, off_b), (off_b, off_b))]
    apart = np.sqrt(((off_a - off_b) ** 2).sum(axis=0) / free)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts["ratio"] = mean_a / mean_b
        reach = np.where(count > 1, t * apart, np.inf)
    parts["difference"] = mean_a - mean_b
    parts["difference_low"], parts["difference_high"] = symmetric_interval(parts["difference"], reach)
    signed = np.asarray((np.minimum(a, b) < 0).any(axis=0))
    parts["ratio_low"], parts["ratio_high"] = _fieller(mean_a, mean_b, spread, t, signed)
    less, more = ((both & unequal).sum(axis=0) for unequal in (mine < theirs, mine > theirs))
    unequal = less + more
    parts["smaller"] = less / np.where(unequal > 0, unequal, np.nan)
    low, high = binomial_interval(less, np.maximum(unequal, 1), level)
    parts["smaller_low"], parts["smaller_high"] = np.where(unequal > 0, low, 0.0), np.where(unequal > 0, high, 1.0)
    return parts


def _fieller(
    over: np.ndarray, under: np.ndarray, spread: list[np.ndarray], t: np.ndarray, signed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the ratios r at which the mean of a − r·b is within t standard errors of 0.

    over, under: means. spread: variances and covariance of the means, (aa, ab, bb). signed: whether values may be
    negative, and ratios with them. The ratios are those between two roots; or all but those between them, where `under`
    may be 0, of which then only what is above both is told, where no other can be.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        square, product, constant = (
            m - t**2 * s for m, s in zip((under**2, over * under, over**2), reversed(spread), strict=True)
        )
        inside = product**2 - square * constant
        root = np.sqrt(np.maximum(inside, 0.0))
        first, last = np.sort(np.stack([(product - root) / square, (product + root) / square]), axis=0)
    between = square > 0
    above = (square < 0) & (inside > 0) & (first < 0) & ~signed
    lowest = np.where(signed, -np.inf, 0.0)
    low = np.where(between, np.maximum(first, lowest), np.where(above, last, lowest))
    return low, np.where(between, last, np.inf)


def _attributes(variable: "xarray.DataArray", name: str) -> dict[str, str]:
    quantity = str(variable.attrs.get("long_name") or (variable.name or "value"))
    statistic = re.sub("_(low|high)$", "", name)
    end = {"low": ", lower end of the interval", "high": ", upper end of the interval"}.get(name.rpartition("_")[2], "")
    unit = str(variable.attrs.get("units", "")) if statistic == "difference" else "1"
    return {"long_name": _WORDS[statistic].format(quantity) + end} | ({"units": unit} if unit else {})
