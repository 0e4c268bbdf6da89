"""A figure for any store: the mean of each variable, with its interval, against the first axis."""

import itertools
import json
import textwrap
from typing import Any

import numpy as np
import xarray

from engine.summary import summarize

_MOST_LINES = 12


def means_against_first_axis(results: xarray.Dataset) -> Any:
    """One panel per variable, one line per combination of its other dimensions, 95 % intervals shaded."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    names = [
        str(name)
        for name in json.loads(results.attrs["highlights"]) or results.data_vars
        if "realization" in results[name].dims and results[name].dtype.kind == "f"
    ]
    figure = Figure(figsize=(8.5, 3.8 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=True):
        variable, summary = results[name], summarize(results[name])
        dims = [str(dim) for dim in summary["mean"].dims]
        x_name, rest = (dims[0], dims[1:]) if dims else ("", [])
        combinations = list(itertools.product(*(range(summary.sizes[dim]) for dim in rest)))[:_MOST_LINES]
        for i, indices in enumerate(combinations):
            line = summary.isel(dict(zip(rest, indices, strict=True)))
            x = np.atleast_1d(line[x_name].values) if x_name in line.coords else np.arange(line["mean"].size)
            x = x if x.dtype.kind in "iuf" else np.array([str(value) for value in x])
            mean = np.atleast_1d(line["mean"].values)
            low, high = (np.atleast_1d(line[end].values) for end in ("mean_low", "mean_high"))
            values = (
                summary[dim].values[k] if dim in summary.coords else k for dim, k in zip(rest, indices, strict=True)
            )
            label = ", ".join(f"{dim} {value}" for dim, value in zip(rest, values, strict=True))
            colour = colormaps["viridis"](0.9 * i / max(1, len(combinations) - 1))
            panel.plot(x, mean, "o-", ms=3, color=colour, label=label)
            panel.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
        if np.all(summary["mean"].values[np.isfinite(summary["mean"].values)] > 0):
            panel.set_yscale("log")
        unit = variable.attrs.get("units")
        label = f"{variable.attrs.get('long_name', name)}{f' ({unit})' if unit else ''}"
        panel.set(xlabel=x_name, ylabel=textwrap.fill(label, 40))
        panel.grid(alpha=0.3)
        if rest:
            panel.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure
