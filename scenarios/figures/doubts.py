"""What estimators say against their own estimates, and who has none: a table, and words for a figure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.estimators.doubt import SELF_CHECK, Doubt
from engine.sweep import TextTable
from scenarios.figures.rows import pooled
from scenarios.figures.style import label

if TYPE_CHECKING:
    import xarray

    from scenarios.figures.rows import Row

KINDS = {
    Doubt.RIVAL: ("rival", "another place is nearly as likely"),
    Doubt.EDGE: ("edge", "at the end of the users' area"),
    Doubt.UNFINISHED: ("no peak", "the climb did not end"),
    Doubt.UNSEEN: ("list full", "more places to look at than could be, or too low a likelihood for a true place"),
}
"""heading of a column, and what it means"""


class Doubts(NamedTuple):
    """Of one estimator at one point: how many estimates there are, and how many of them have which flag."""

    point: tuple[float, ...]
    estimator: str
    estimates: int
    excluded: int
    """how many more there should be, which are not finite"""
    of_kind: dict[Doubt, int]
    doubtful: int
    """with any flag"""
    checked: int
    """of an estimator that checks itself"""


def doubts_of(results: "xarray.Dataset", order: Sequence[str], pool: Sequence[str] = ()) -> list[Doubts]:
    """Every estimator at every point of the axes `order`; none of results that hold no flags.

    pool: dimensions of further estimates at a point.
    """
    if SELF_CHECK not in results:
        return []
    check, stored = results[SELF_CHECK], results["complete"] == 1
    check, stored = (pooled(one.broadcast_like(check), *pool) for one in (check, stored))
    last = ("estimator", "realization")
    others = [dim for dim in check.dims if dim not in (*order, *last)]
    check, stored = (one.transpose(*order, *others, *last) for one in (check, stored))
    flags = check.fillna(int(Doubt.UNCHECKED)).astype(int).values
    found = []
    for where in np.ndindex(flags.shape[:-1]):
        every = flags[where][stored.values[where]]
        here = every[(every & Doubt.NOT_FINITE) == 0]
        point = tuple(check[name].values[i].item() for name, i in zip(order, where, strict=False))
        name = str(check.estimator.values[where[-1]])
        counts = {kind: int(np.count_nonzero(here & kind)) for kind in KINDS}
        doubtful = int(np.count_nonzero(here & ~Doubt.UNCHECKED))
        checked = int(np.count_nonzero((here & Doubt.UNCHECKED) == 0))
        found.append(Doubts(point, name, len(here), len(every) - len(here), counts, doubtful, checked))
    return found


def doubt_tables(found: Iterable[Doubts], headings: Sequence[str]) -> list[TextTable]:
    """One table of the estimators that check themselves, if any does; headings: of the axes.

    What no estimator says at any point has no column.
    """
    rows = [one for one in found if one.checked]
    if not rows:
        return []
    kinds = [kind for kind in KINDS if any(one.of_kind[kind] for one in rows)]
    lines = [
        (
            *(f"{value:g}" for value in one.point),
            label(one.estimator),
            f"{one.estimates}",
            f"{one.excluded}",
            *(f"{one.of_kind[kind]}" for kind in kinds),
            f"{one.doubtful} ({_percent(one.doubtful, one.estimates)})",
        )
        for one in rows
    ]
    meanings = (": ".join(KINDS[kind]) for kind in kinds)
    title = "; ".join(["Estimates that may be wrong, by their own check", *meanings])
    columns = ("estimator", "estimates", "excluded", *(KINDS[kind][0] for kind in kinds), "any")
    return [TextTable(title, (*headings, *columns), lines)]


def doubt_words(found: Sequence[Doubts]) -> list[str]:
    """What a figure says of its estimates: how many, of all its points, are in doubt by their own check."""
    totals: dict[str, tuple[int, int]] = {}
    for one in found:
        if one.checked:
            doubtful, estimates = totals.get(one.estimator, (0, 0))
            totals[one.estimator] = doubtful + one.doubtful, estimates + one.estimates
    if not totals:
        return []
    parts = (f"{label(name)} {_percent(*counts)}" for name, counts in totals.items())
    return [f"in doubt by their own check: {', '.join(parts)}"]


def excluded_words(excluded: Iterable[tuple[str, int]]) -> str:
    """What a figure says of estimates that are not finite; (estimator, how many) at each point."""
    totals: dict[str, int] = {}
    for name, count in excluded:
        totals[name] = totals.get(name, 0) + count
    some = [f"{count} of {label(name)}" for name, count in totals.items() if count]
    return f"excluded, not finite: {', '.join(some) if some else 'none'}"


def absent_words(results: "xarray.Dataset", rows: Iterable["Row"]) -> list[str]:
    """What a figure says of estimators that have no estimate: at no point, and hence no curve, or not at some.

    rows: the figure's own, of one quantity.
    """
    at: dict[str, list[bool]] = {}
    for row in rows:
        at.setdefault(row.estimator, []).append(row.samples > 0)
    absent = [label(name) for name in map(str, results.estimator.values) if not any(at.get(name, ()))]
    partly = [
        f"{label(name)} at {there.count(False)} of {len(there)} points"
        for name, there in at.items()
        if any(there) and not all(there)
    ]
    words = [f"without estimates, not drawn: {', '.join(absent)}"] if absent else []
    return words + ([f"no estimate: {', '.join(partly)}"] if partly else [])


def _percent(part: int, whole: int) -> str:
    """Some are never none, nor all."""
    share = 100 * part / whole
    return f"{share:.0f} %" if part in (0, whole) or 1 <= share <= 99 else "< 1 %" if share < 1 else "> 99 %"
