"""Summaries over the realizations of stored variables, each with its interval."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import InputError
from engine.intervals import (
    binomial_interval,
    log_interval,
    order_statistics,
    student_quantile,
    symmetric_interval,
)

if TYPE_CHECKING:
    import xarray

_SLAB_BYTES = 2**25  # of values in memory at once; the temporaries are a few times that
_SQUARE = re.compile(r"([A-Za-z]+)2")

Parts = dict[str, np.ndarray]


def summarize(
    variable: "xarray.DataArray",
    *,
    level: float = 0.95,
    quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
    above: float | None = None,
    squared: bool | None = None,
    complete: "xarray.DataArray | None" = None,
) -> "xarray.Dataset":
    """Every summary of one value per realization, with its interval at `level`.

    variable: real, has the dimension `realization`; read in parts when it is lazy. What is not finite is left out:
    NaN marks what is not stored. quantiles: probabilities between 0 and 1. above: values larger than this, in the
    variable's unit, count as outliers. squared: whether the values are squared errors already; None, if their unit is
    a square (`m2`). complete: the store's mask, for whole numbers, which have no NaN.

    Returns a dataset with the other dimensions, their coordinates, units, and
    - `count`, `excluded`: realizations used and left out;
    - `mean`, with `standard_error` (NaN below two values), Student's t; where no value is negative, on its logarithm;
    - `mse`, `rmse`: mean of the squared errors and its root, the delta method on the logarithm;
    - `standard_deviation`: delta method on the logarithm, with the sample's own fourth moment;
    - `median`, and `quantiles` along `probability`: exact order-statistic intervals, infinite where there are too few
      values for an end;
    - `outlier_rate`, if `above` is given: exact Clopper-Pearson interval;
    each `x` with `x_low` and `x_high`.
    Raises InputError for a variable without realizations or of complex values, and for numbers out of range.

    The intervals of the mean, MSE, RMSE and standard deviation rest on the central limit theorem, and cannot be
    trusted where few realizations make the sum, as lost users do: of 1000 realizations of which one in a thousand has
    a hundredfold error, a 95 % interval holds the mean less than 70 % of the time, and is too low (measured in the
    tests). Those of median, quantiles and outlier rate hold for any distribution and any count: report them beside
    such a mean. Realizations are independent; points of one sweep may share draws, so that differences between points
    are known better than their intervals say.
    """
    import xarray

    check_summable(variable, level)
    _check(quantiles, above)
    units = str(variable.attrs.get("units", ""))
    is_squared = bool(_SQUARE.fullmatch(units)) if squared is None else squared
    dims = [str(dim) for dim in variable.dims if dim != "realization"]
    whole: Parts = {}
    for region, values in read_in_parts(variable, ("realization",), complete):
        for name, part in _summaries(values, level, tuple(quantiles), above, is_squared).items():
            if name not in whole:
                whole[name] = np.empty((*(variable.sizes[dim] for dim in dims), *part.shape[len(dims) :]), part.dtype)
            whole[name][tuple(region[dim] for dim in dims)] = part
    described = {}
    for name, values in whole.items():
        statistic = re.sub("_(low|high)$", "", name)
        own = (*dims, "probability") if statistic == "quantiles" else tuple(dims)
        described[name] = (own, values, _attributes(variable, name, units, is_squared, above))
    coordinates: dict[Any, Any] = {
        name: values for name, values in variable.coords.items() if "realization" not in values.dims
    }
    if len(quantiles):
        coordinates["probability"] = ("probability", np.asarray(quantiles, float), {"long_name": "probability"})
    return xarray.Dataset(described, coordinates, {"level": level, "variable": str(variable.name or "")})


def check_summable(variable: "xarray.DataArray", level: float) -> None:
    """Raise InputError for what has no realizations or no real numbers, or for a level that is no probability."""
    if "realization" not in variable.dims:
        raise InputError(f"{variable.name} has the dimensions {variable.dims}: needed 'realization' among them")
    if variable.dtype.kind not in "fiub":
        raise InputError(f"{variable.name} holds {variable.dtype}: needed real numbers, take abs() or a part of it")
    if not 0 < level < 1:
        raise InputError(f"level: given {level!r}, needed a number between 0 and 1")


def _check(quantiles: Sequence[float], above: float | None) -> None:
    for probability in quantiles:
        if not 0 < probability < 1:
            raise InputError(f"quantiles: given {probability!r}, needed probabilities between 0 and 1")
    if above is not None and not np.isfinite(above):
        raise InputError(f"above: given {above!r}, needed a finite threshold")


def read_in_parts(
    variable: "xarray.DataArray", first: Sequence[str], complete: "xarray.DataArray | None" = None
) -> Iterator[tuple[dict[str, slice], np.ndarray]]:
    """Regions of bounded size that together cover all but the dimensions `first`, which are whole, and their values.

    The values' first axes are those dimensions, the others in the variable's order. NaN is where `complete`, the
    store's mask, says that nothing is stored.
    """
    dims = [str(dim) for dim in variable.dims if dim not in first]
    axes = [variable.get_axis_num(dim) for dim in (*first, *dims)]
    for region in _regions(variable, dims):
        part = variable.isel(region)
        values = np.asarray(part.values, float)
        if complete is not None:
            stored = complete.isel({dim: one for dim, one in region.items() if dim in complete.dims})
            values = np.where(stored.broadcast_like(part).transpose(*part.dims).values, values, np.nan)
        yield region, values.transpose(axes)


def _regions(variable: "xarray.DataArray", dims: list[str]) -> Iterator[dict[str, slice]]:
    together = math.prod(size for dim, size in variable.sizes.items() if dim not in dims)
    room = max(1, _SLAB_BYTES // max(1, 8 * together))
    pieces = []
    for dim in reversed(dims):
        width = max(1, min(variable.sizes[dim], room))
        room = max(1, room // width)
        pieces.append([slice(start, start + width) for start in range(0, variable.sizes[dim], width)])
    for parts in itertools.product(*reversed(pieces)):
        yield dict(zip(dims, parts, strict=True))


def _summaries(
    values: np.ndarray, level: float, quantiles: tuple[float, ...], above: float | None, squared: bool
) -> Parts:
    """values: (realization, ...). Everything, of shape (...); what belongs to `quantiles` with one more axis."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    ordered = np.sort(np.where(finite, values, np.inf), axis=0)  # what is left out comes last
    parts: Parts = {"count": count, "excluded": len(values) - count}
    t = student_quantile(level, count)
    mean, error, spread = _moments(values, finite, count)
    parts["mean"], parts["standard_error"] = mean, error
    non_negative = np.where(finite, values, 0.0).min(axis=0, initial=0.0) >= 0
    ends = zip(log_interval(mean, t * error), symmetric_interval(mean, t * error), strict=True)
    parts["mean_low"], parts["mean_high"] = (np.where(non_negative, *pair) for pair in ends)
    mse, mse_error = (mean, error) if squared else _moments(values * values, finite, count)[:2]
    _add(parts, "mse", mse, log_interval(mse, t * mse_error))
    with np.errstate(invalid="ignore"):  # negative where 'squared' errors are none
        _add(parts, "rmse", np.sqrt(mse), (np.sqrt(parts["mse_low"]), np.sqrt(parts["mse_high"])))
    _, variance_error, _ = _moments((values - mean) ** 2, finite, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        _add(parts, "standard_deviation", spread, log_interval(spread, t * variance_error / (2 * spread)))
    _add(parts, "median", *_quantile(ordered, count, 0.5, level))
    found = [_quantile(ordered, count, probability, level) for probability in quantiles]
    if found:
        low, high = (np.stack([ends[i] for _, ends in found], axis=-1) for i in (0, 1))
        _add(parts, "quantiles", np.stack([value for value, _ in found], axis=-1), (low, high))
    if above is not None:
        events = (finite & (values > above)).sum(axis=0)
        rate = np.where(count > 0, events / np.maximum(count, 1), np.nan)
        low, high = binomial_interval(events, np.maximum(count, 1), level)
        _add(parts, "outlier_rate", rate, (np.where(count > 0, low, 0.0), np.where(count > 0, high, 1.0)))
    return parts


def _add(parts: Parts, name: str, value: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> None:
    parts[name], parts[f"{name}_low"], parts[f"{name}_high"] = value, *ends


def _moments(values: np.ndarray, finite: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, its standard error and the standard deviation of the finite values; NaN where too few."""
    kept = np.where(finite, values, 0.0)
    mean = kept.sum(axis=0) / np.where(count > 0, count, np.nan)
    squares = (np.where(finite, kept - mean, 0.0) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / np.where(count > 1, count - 1, np.nan))
    return mean, deviation / np.sqrt(np.maximum(count, 1)), deviation


def _quantile(
    ordered: np.ndarray, count: np.ndarray, probability: float, level: float
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The quantile, linear between order statistics, and its ends. ordered: (realization, ...), the first `count`."""

    def at(index: np.ndarray) -> np.ndarray:
        inside = np.clip(index, 0, np.maximum(count - 1, 0)).astype(int)
        return np.take_along_axis(ordered, inside[None], axis=0)[0]

    if not len(ordered):
        nothing, least, most = (np.full(count.shape, end) for end in (np.nan, -np.inf, np.inf))
        return nothing, (least, most)
    position = probability * (count - 1)
    lower = np.floor(position)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ where nothing is stored
        value = at(lower) + (position - lower) * (at(lower + 1) - at(lower))
    low, high = order_statistics(count, probability, level)
    ends = np.where(low > 0, at(low - 1), -np.inf), np.where(high <= count, at(high - 1), np.inf)
    return np.where(count > 0, value, np.nan), ends


def _attributes(
    variable: "xarray.DataArray", name: str, units: str, squared: bool, above: float | None
) -> dict[str, str]:
    """What a summary is called, and its unit: the RMSE of squared errors in m2 is in m."""
    quantity = variable.attrs.get("long_name") or str(variable.name or "value").replace("_", " ")
    statistic, _, end = name.rpartition("_") if name.endswith(("_low", "_high")) else (name, "", "")
    root, square = _SQUARE.sub(r"\1", units) if _SQUARE.fullmatch(units) else f"sqrt({units})", f"{units}2"
    root, square = (root, square) if units else ("", "")
    text, unit = {
        "count": ("realizations used", "1"),
        "excluded": ("realizations left out", "1"),
        "mse": (f"mean {quantity}" if squared else f"mean square of {quantity}", units if squared else square),
        "rmse": (f"root of the mean {quantity if squared else 'square of ' + quantity}", root if squared else units),
        "outlier_rate": (f"fraction of realizations with {quantity} above {above} {units}".rstrip(), "1"),
    }.get(statistic, (f"{statistic.replace('_', ' ')} of {quantity}", units))
    text += {"low": ", lower end of the interval", "high": ", upper end of the interval", "": ""}[end]
    return {"long_name": text} | ({"units": unit} if unit else {})
