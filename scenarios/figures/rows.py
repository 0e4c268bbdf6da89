"""What stored errors come to: one record for every estimator at every point, the same for all families.

Figures draw these, tables print them, claims are judged by them; none computes a statistic of its own.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from scenarios.figures.tails import mark, rests_on_few

if TYPE_CHECKING:
    import xarray

    AnyValues = TypeVar("AnyValues", xarray.Dataset, xarray.DataArray)

SQUARED_ERRORS = {"range": "squared_error_range_m2", "angle": "squared_error_angle_rad2"}
"""quantity → the variable of its squared errors, in every family"""
_ENDS = ("", "_low", "_high")


class Quantity(NamedTuple):
    """What is estimated, where its squared errors are stored, and what they are measured by."""

    name: str
    unit: str
    """of an error"""
    error: str
    """variable of squared errors, over realizations and estimators"""
    bound: str | None = None
    """variable of a bound on them"""
    blind: float = np.nan
    """mean squared error of a guess that has seen nothing"""
    lost_by: str | None = None
    """variable that is larger than `lost_above` where a user is lost; without it that is unknown"""
    lost_above: float = np.nan
    expected: str | None = None
    """variable of expected squared errors given what was observed, of which the mean is taken where they are stored"""
    limit: str | None = None
    """variable of the least of them, where it is stored"""
    floor: str | None = None
    """variable of a lower bound on that, where it is stored"""
    lost_stated: str | None = None
    """variable of the probability that a user is lost, as the estimator states it, where it is stored"""


class Interval(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def root(self) -> "Interval":
        return Interval(*(float(np.sqrt(end)) for end in self))


class Row(NamedTuple):
    """One estimator at one point, over one group of users. Squares are in `unit`²; what is unknown is NaN."""

    point: dict[str, Any]
    """the value along each axis and dimension of the results"""
    estimator: str
    group: str
    """which users: empty for all"""
    quantity: str
    unit: str
    samples: int
    """independent ones"""
    mse: Interval
    median: float
    """of the squared errors"""
    lost: Interval
    """share of lost users"""
    found_mse: Interval
    """of users that are not lost"""
    bound: float
    """mean of the bound on the squared error"""
    blind: float
    """mean squared error of a guess that has seen nothing"""
    excluded: int = 0
    """samples without an estimate, whose errors are in none of the numbers"""
    limit: float = np.nan
    """mean of the least possible expected squared error"""
    floor: float = np.nan
    """mean of a lower bound on that"""
    lost_stated: float = np.nan
    """share of lost users that the estimator itself expects"""
    carried: bool = False
    """whether few realizations carry the mean of the squared errors, or may (`scenarios.figures.tails`)"""

    @property
    def rmse(self) -> Interval:
        return self.mse.root()

    @property
    def found(self) -> Interval:
        """RMSE of users that are not lost"""
        return self.found_mse.root()

    @property
    def root_median(self) -> float:
        return float(np.sqrt(self.median))

    @property
    def root_bound(self) -> float:
        return float(np.sqrt(self.bound))


def of_those_asked(rows: Sequence[Row]) -> list[Row]:
    """The rows of whoever has an estimate at some point, of its users and its quantity; all if nobody has any.

    A point where such a one has none keeps its row, which says so: it would be missing unseen.
    """
    asked = {_asked(row) for row in rows if row.samples}
    return [row for row in rows if _asked(row) in asked] if asked else list(rows)


def _asked(row: Row) -> tuple[str, str, str]:
    return row.estimator, row.group, row.quantity


def mean_text(row: Row) -> str:
    """The mean squared error with the factor of its 95 % interval, marked where few realizations carry it."""
    if not row.samples:
        return "none"
    factor = f" ×÷ {row.mse.high / row.mse.value:.2f}" if row.mse.value else ""
    return f"{row.mse.value:.2g}{factor}{mark(row.carried)}"


def number_text(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "–"


def share_text(share: Interval) -> str:
    """A share in per cent with its 95 % interval; a dash where none is known."""
    if not np.isfinite(share.value):
        return "–"
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f}–{100 * share.high:.1f})"


def rows_of(
    results: "xarray.Dataset",
    quantities: Sequence[Quantity],
    *,
    group: str = "",
    order: tuple[str, ...] = (),
    pool: tuple[str, ...] = (),
    average: tuple[str, ...] = (),
) -> list[Row]:
    """Every estimator at every point, for each quantity.

    group: which users the results are of. order: dimensions in the order in which points are to come; those left out
    come last, as they are stored. pool: dimensions of further realizations, which count as independent. average:
    dimensions that share what a realization draws, over which its squared errors are averaged into one sample; medians
    and losses are of the single ones.
    """
    return [row for one in quantities for row in _rows(results, one, group, order, pool, average)]


def _rows(
    results: "xarray.Dataset",
    quantity: Quantity,
    group: str,
    order: tuple[str, ...],
    pool: tuple[str, ...],
    average: tuple[str, ...],
) -> Iterator[Row]:
    statistics = _statistics(results, quantity, pool, average)
    like = statistics["mse"].transpose(*order, ...)
    columns = {name: one.broadcast_like(like).transpose(*like.dims).values for name, one in statistics.items()}
    labels = {str(dim): like[dim].values.tolist() for dim in like.dims}
    for where in np.ndindex(like.shape):
        point = {dim: labels[dim][i] for dim, i in zip(labels, where, strict=True)}
        yield _row(quantity, group, point, {name: values[where].item() for name, values in columns.items()})


def _row(quantity: Quantity, group: str, point: dict[str, Any], here: dict[str, Any]) -> Row:
    def interval(name: str) -> Interval:
        return Interval(*(here[end] for end in _ends(name)))

    return Row(
        estimator=str(point.pop("estimator")),
        point=point,
        group=group,
        quantity=quantity.name,
        unit=quantity.unit,
        samples=here["samples"],
        excluded=here["excluded"],
        mse=interval("mse"),
        median=here["median"],
        lost=interval("lost"),
        found_mse=interval("found_mse"),
        bound=here["bound"],
        blind=quantity.blind,
        limit=here["limit"],
        floor=here["floor"],
        lost_stated=here["lost_stated"],
        carried=bool(here["carried"]),
    )


def _statistics(
    results: "xarray.Dataset", quantity: Quantity, pool: tuple[str, ...], average: tuple[str, ...]
) -> dict[str, "xarray.DataArray"]:
    """The numbers of the rows, over the results' other dimensions or some of them."""
    from engine.summary import summarize

    single = pooled(results[quantity.error], *pool, *average)
    of_errors = summarize(single, quantiles=())
    of_samples, samples = of_errors, errors_of(results, quantity)
    if average:
        samples = samples.mean(average, skipna=False, keep_attrs=True)
    if average or quantity.expected in results:
        of_samples = summarize(pooled(samples, *pool), quantiles=())
    unknown = of_errors["mean"] * np.nan
    found = dict.fromkeys(["bound", "limit", "floor", "lost_stated", *_ends("lost"), *_ends("found_mse")], unknown)
    found |= {"samples": of_samples["count"], "median": of_errors["median"]} | _interval("mse", of_samples, "mean")
    found["carried"] = rests_on_few(pooled(samples, *pool), unseen=quantity.expected not in results)
    found["excluded"] = _excluded(results, results[quantity.error], pool, average)
    for name, variable in _means_of(quantity):
        if variable is not None and variable in results:
            found[name] = summarize(pooled(results[variable], *pool, *average), quantiles=())["mean"]
    if quantity.lost_by is not None:
        judged = pooled(results[quantity.lost_by], *pool, *average)
        found |= _interval("lost", summarize(judged, quantiles=(), above=quantity.lost_above), "outlier_rate")
        kept = single.where(~(judged > quantity.lost_above))
        found |= _interval("found_mse", summarize(kept, quantiles=()), "mean")
    return found


def _means_of(quantity: Quantity) -> tuple[tuple[str, str | None], ...]:
    """The numbers of a row that are means of one variable each."""
    names = ("bound", "limit", "floor", "lost_stated")
    return tuple((name, getattr(quantity, name)) for name in names)


def errors_of(results: "xarray.Dataset", quantity: Quantity) -> "xarray.DataArray":
    """What a mean squared error is the mean of: expected squared errors, and plain ones where those are not stored.

    Both have the same mean, but the expected ones vary less (Rao, Blackwell).
    """
    plain = results[quantity.error]
    if quantity.expected is None or quantity.expected not in results:
        return plain
    return results[quantity.expected].fillna(plain)


def _excluded(
    results: "xarray.Dataset", errors: "xarray.DataArray", pool: tuple[str, ...], average: tuple[str, ...]
) -> "xarray.DataArray":
    """How many samples are stored that have no error."""
    finite = errors < np.inf  # squares; NaN where there is none
    missing = ~finite & (results["complete"] == 1) if "complete" in results else ~finite
    whole = missing.any([dim for dim in average if dim in missing.dims])  # as the mean over these is none
    return pooled(whole, *pool).sum("realization")


def _ends(name: str) -> list[str]:
    return [f"{name}{end}" for end in _ENDS]


def _interval(name: str, summary: "xarray.Dataset", statistic: str) -> dict[str, "xarray.DataArray"]:
    return {ours: summary[theirs] for ours, theirs in zip(_ends(name), _ends(statistic), strict=True)}


def pooled(values: "AnyValues", *dims: str) -> "AnyValues":
    """The values along these dimensions, where there are such, as further realizations."""
    here: list[str] = [dim for dim in dims if dim in values.dims]
    if not here:
        return values
    samples = ["realization", *here]
    bare = values.reset_coords(drop=True).drop_vars(samples, errors="ignore")
    return bare.stack(pooled=samples, create_index=False).rename(pooled="realization")
