"""How near and far users are told apart: the shares of either that an estimate places in the near field."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.rows import Interval, pooled

if TYPE_CHECKING:
    import xarray

_FIELDS = ("near", "far")


class Share(NamedTuple):
    """Of one method's users of one field, at one value of a figure's horizontal axis."""

    x: float
    method: str
    field: str
    near: Interval
    """the share that is called near"""
    users: int


def shares_called_near(results: "xarray.Dataset", x: str) -> list[Share]:
    """By x, method and field, with 95 % intervals; of what else varies, the last value is taken.

    Users of one realization share their cycles, and are counted as independent, which they nearly are.
    """
    from engine.summary import summarize

    fields = results.user_field.values
    others = {str(dim): -1 for dim in results.labelled_near.dims if dim not in (x, "estimator", "realization", "user")}
    last = results.labelled_near.isel(others)
    found = []
    for field in _FIELDS:
        here = last.isel(user=np.flatnonzero(fields == field))
        if not here.sizes["user"]:
            continue
        summary = summarize(pooled(here, "user"), quantiles=(), above=0.5)
        for method in results.estimator.values.tolist():
            for value in results[x].values.tolist():
                at = summary.sel({"estimator": method, x: value})
                ends = (float(at[f"outlier_rate{end}"]) for end in ("", "_low", "_high"))
                found.append(Share(float(value), str(method), field, Interval(*ends), int(at["count"])))
    return [share for share in found if share.users]


def told_apart_table(results: "xarray.Dataset", x: str) -> TextTable:
    """A line for each method at each x."""
    shares = {(share.x, share.method, share.field): share for share in shares_called_near(results, x)}
    keys = sorted({key[:2] for key in shares})
    methods = [str(method) for method in results.estimator.values.tolist()]
    lines = [
        (f"{value:g}", method, *(_cell(shares.get((value, method, field))) for field in _FIELDS))
        for value, method in sorted(keys, key=lambda key: (key[0], methods.index(key[1])))
    ]
    headings = (x, "method", "of near users, called near", "of far users, called near")
    return TextTable("Near and far told apart: users whose estimate lies in the near field", headings, lines)


def _cell(share: Share | None) -> str:
    if share is None or not np.isfinite(share.near.value):
        return "–"
    value, low, high = (100 * end for end in share.near)
    return f"{value:.0f} % ({low:.0f}–{high:.0f})"
