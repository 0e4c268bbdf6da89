"""What a figure of any store shows: one statistic of one variable, with its interval, bounds and a blind guess."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray

from engine import InputError, Scenario
from engine.scenario import suggestion
from engine.summary import summarize
from engine.sweep import scenario_of
from jobs.show.statistics import is_level
from jobs.show.tables import most_missing
from jobs.show.typography import pretty_unit
from scenarios.figures.tails import rests_on_few

STATISTICS = {
    "mean": "mean",
    "median": "median",
    "rmse": "root of the mean",
    "standard_deviation": "standard deviation",
}
_SQUARED_ERRORS = re.compile(r"(?:expected_)?squared_error_(\w+2)")
_SMALL_WORDS = ("the", "a", "an", "on", "of", "in")
_BOUND = re.compile(r"\b(bound|least)\b")


class Metric(NamedTuple):
    """A statistic of a variable."""

    statistic: str
    variable: str


class Curve(NamedTuple):
    """Values without an interval that stand beside a metric: a bound, or a blind guess."""

    text: str
    values: xarray.DataArray
    is_bound: bool


def metric(text: str, results: xarray.Dataset) -> Metric:
    """`VARIABLE` for its mean, `STATISTIC:VARIABLE`, or `rmse_range_m` for that of `squared_error_range_m2`, as targets
    have it. Raises InputError."""
    statistic, colon, name = text.rpartition(":")
    if colon and statistic not in STATISTICS:
        raise InputError(f"--metric: no statistic {statistic!r}; {suggestion(statistic, list(STATISTICS))}")
    names = variables(results)
    short = {f"rmse_{long.removeprefix('squared_error_')[:-1]}": long for long in names if _is_squared_error(long)}
    if not colon and name in short and name not in names:
        return Metric("rmse", short[name])
    if name not in names:
        raise InputError(f"--metric: no variable {name!r}; {suggestion(name, names if colon else [*names, *short])}")
    return Metric(statistic or "mean", name)


def usual_metrics(results: xarray.Dataset) -> list[Metric]:
    """Means, of decibels medians, of what the sweep highlights; else of squared errors; else of all real numbers."""
    names = [name for name in json.loads(results.attrs["highlights"]) if name in variables(results)]
    real = [name for name in variables(results) if results[name].dtype.kind == "f"]
    chosen = names or list(filter(_is_squared_error, real)) or real
    return [Metric("median" if is_level(results[name]) else "mean", name) for name in chosen]


def variables(results: xarray.Dataset) -> list[str]:
    """Those with a number for each realization."""
    return [
        str(name)
        for name, values in results.data_vars.items()
        if "realization" in values.dims and name != "complete" and values.dtype.kind in "fiub"
    ]


def measured(results: xarray.Dataset, metric: Metric) -> xarray.Dataset:
    """`value`, `low`, `high`, `count` and `carried` over the variable's other dimensions; attributes `text` and
    `missing`, how many stored realizations at most have no number. carried: whether few realizations make the mean."""
    statistic, name = metric
    complete = results.complete if "complete" in results else None
    whole = summarize(results[name], quantiles=(), complete=complete)
    ends = {statistic: "value", f"{statistic}_low": "low", f"{statistic}_high": "high"}
    unit = pretty_unit(str(whole[statistic].attrs.get("units", "")))
    text = f"{STATISTICS[statistic]} of the {results[name].attrs.get('long_name') or name.replace('_', ' ')}"
    found = whole[["count", *ends]].rename(ends)
    found["carried"] = _carried(results, metric)
    missing = most_missing(results, whole["count"])
    return found.assign_attrs(text=text + (f" ({unit})" if unit and unit != "1" else ""), missing=missing)


def _carried(results: xarray.Dataset, metric: Metric) -> xarray.DataArray:
    values = results[metric.variable]
    values = values.where(results.complete) if "complete" in results else values
    if metric.statistic in ("mean", "rmse") and values.size and not bool((values < 0).any()):
        return rests_on_few(values, unseen=False)
    return xarray.zeros_like(values.isel(realization=slice(1)).any("realization"))


def in_common(curves: Sequence[Sequence[Curve]]) -> list[list[Curve]]:
    """The same curves of several metrics by what their descriptions have in common, so that one legend does for all:
    "Bayesian bound" where these are of the range and of the angle."""
    if len({tuple(one.is_bound for one in those) for those in curves}) != 1:
        return [list(those) for those in curves]
    texts = [_beginning([one.text for one in same]) for same in zip(*curves, strict=True)]
    if not all(texts):
        return [list(those) for those in curves]
    return [[one._replace(text=text) for one, text in zip(those, texts, strict=True)] for those in curves]


def _beginning(texts: Sequence[str]) -> str:
    """What texts begin with, without the small words at its end; nothing where they have less than two words in common.

    >>> _beginning(["Bayesian bound on the range", "Bayesian bound on the angle"]), _beginning(["blind guess"] * 2)
    ('Bayesian bound', 'blind guess')
    >>> _beginning(["variance, least there is, range", "variance, least there is, angle"]), _beginning(["a bound", "a"])
    ('variance, least there is', '')
    """
    if len(set(texts)) == 1:
        return texts[0]
    words = [
        same[0]
        for same in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*map(str.split, texts), strict=False))
    ]
    while words and words[-1] in _SMALL_WORDS:
        words.pop()
    return " ".join(words).rstrip(",;:") if len(words) > 1 else ""


def beside(results: xarray.Dataset, metric: Metric) -> list[Curve]:
    """Bounds on the squared errors of a metric, and what a blind guess would have, where they are known.

    A bound on `squared_error_range_m2` is a stored variable `…_range_m2` of the same unit whose description says that
    it is a bound, or the least there is: its mean bounds the mean of the errors. The blind guess is the scenario's.
    """
    statistic, name = metric
    if statistic not in ("mean", "rmse"):
        return []
    means = [(str(results[other].attrs["long_name"]), _mean(results[other]), True) for other in _bounds(results, name)]
    means += [("blind guess", guess, False) for guess in _blind(results, name)]
    return [Curve(text, values**0.5 if statistic == "rmse" else values, known) for text, values, known in means]


def _mean(variable: xarray.DataArray) -> xarray.DataArray:
    return summarize(variable, quantiles=())["mean"]


def _is_squared_error(name: str) -> bool:
    return name.startswith("squared_error_") and bool(_SQUARED_ERRORS.fullmatch(name))


def _bounds(results: xarray.Dataset, name: str) -> Iterable[str]:
    found = _SQUARED_ERRORS.fullmatch(name)
    if not found:
        return []
    unit = results[name].attrs.get("units")
    return [
        other
        for other in variables(results)
        if other.endswith(f"_{found[1]}")
        and not _SQUARED_ERRORS.fullmatch(other)
        and results[other].attrs.get("units") == unit
        and _BOUND.search(str(results[other].attrs.get("long_name", "")))
        and set(results[other].dims) <= set(results[name].dims)
    ]


def _blind(results: xarray.Dataset, name: str) -> Iterator[xarray.DataArray]:
    """Over the axes of the sweep along which it varies; nothing where the scenario's class is not to be had."""
    try:
        scenario = scenario_of(results, Scenario)
    except InputError:
        return
    if name not in scenario.blind_guess():
        return
    axes = {axis: results[axis].values.tolist() for axis in json.loads(results.attrs["axes"]) if axis in results.dims}
    points = itertools.product(*axes.values())
    guesses = [scenario.replace(**dict(zip(axes, point, strict=True))).blind_guess()[name] for point in points]
    found = xarray.DataArray(np.reshape(guesses, [len(values) for values in axes.values()]), axes, list(axes))
    for axis in axes:
        if (found == found.isel({axis: 0})).all():
            found = found.isel({axis: 0}, drop=True)
    yield found
