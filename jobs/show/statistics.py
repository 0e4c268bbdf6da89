"""A report's tables of what was stored: mean, root of the mean and median of a variable, with intervals."""

from typing import NamedTuple

import xarray

from engine.summary import summarize
from jobs.show.grids import Grid
from jobs.show.tables import pivots, without_number
from jobs.show.typography import Estimate, estimate, pretty_unit, typeset

_STATISTICS = {"mean": "Mean", "rmse": "Root of the mean", "median": "Median"}


class Summary(NamedTuple):
    """The tables of one statistic of one variable."""

    title: str
    tables: list[Grid]


def summaries(results: xarray.Dataset, name: str) -> list[Summary]:
    """Mean and median of a variable, and the root of the mean of a squared one; of decibels the median alone."""
    variable = results[name]
    whole = summarize(variable, quantiles=())
    left_out = without_number(results, whole["count"])
    squared = whole["mse"].attrs.get("units") == variable.attrs.get("units") and "units" in variable.attrs
    made = []
    for statistic, word in _STATISTICS.items():
        if (statistic == "rmse" and not squared) or (statistic != "median" and is_level(variable)):
            continue
        described = variable.copy(deep=False)
        described.attrs["units"] = pretty_unit(whole[statistic].attrs.get("units", ""))
        described.attrs["long_name"] = f"{word} of the {variable.attrs.get('long_name', variable.name)}"
        columns = {statistic: "value", f"{statistic}_low": "low", f"{statistic}_high": "high"}
        summary = whole[["count", *columns]].rename(columns)
        summary["mean"] = summary["value"]
        tables = [
            Grid(
                typeset(pivot.title),
                [pivot.corner, *(typeset(heading) or word for heading in pivot.columns)],
                [[typeset(label) or "all", *map(_estimate, cells)] for label, cells in pivot.rows],
            )
            for pivot in pivots(described, summary)
        ]
        made.append(Summary(f"{described.attrs['long_name']}, with 95 % intervals{left_out}", tables))
    return made


def is_level(variable: xarray.DataArray) -> bool:
    """Whether values are logarithms, whose mean is that of no power."""
    return str(variable.attrs.get("units", "")).startswith("dB")


def _estimate(cell: xarray.Dataset) -> Estimate:
    return estimate(*(float(cell[name]) for name in ("value", "low", "high")))
