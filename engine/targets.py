"""What is wanted of a run: the precision of a metric."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from engine.errors import InputError
from engine.moments import Moments
from engine.scenario import suggestion

_TEXT = re.compile(r"(?P<metric>[^:\[\]=]+(?::[^:\[\]=]+)?(?:\[[^\[\]]*\])?)(?P<options>(?::[^:=]+=[^:=]*)*)")
_METRIC = re.compile(r"(?:(?P<statistic>\w+):)?(?P<name>\w+)(?:\[(?P<selection>[^\[\]]*)\])?")
_SQUARED_UNIT = re.compile(r"[A-Za-z]+2")
_LARGEST_REL = 0.5


@dataclass(frozen=True)
class Target:
    """The half width that an interval shall have, at a level.

    metric: a variable's name for its mean; `rmse:NAME` for the root of the mean of a variable of squared errors;
    `rmse_range_m` for short, of `squared_error_range_m2`. It must hold for every element of the variable, or for those
    that a selection leaves: `rmse_range_m[estimator=least_squares,noise_dbm=-85]`. An axis of the sweep may be
    selected too; points outside have no target and run to their budget.
    rel: half width over the value, at most 0.5; or abs: half width in the metric's unit. level: of the interval.
    least: realizations before the first look at the interval. An error that comes once in n realizations may not have
    come before a few n, and nothing in the data warns of it: with 400, what one realization in a hundred does is seen
    with a probability of 99 %. Raise it where rarer errors could make the mean; lower it where each takes minutes.

    The interval is the one that `summarize` gives: Student's t, on the logarithm for what cannot be negative. When a
    run stops is described in `engine.execution.plan`.
    """

    metric: str
    rel: float | None = None
    abs: float | None = None
    level: float = 0.95
    least: int = 400

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not _METRIC.fullmatch(self.metric):
            raise InputError(f"target: given {self.metric!r}, needed NAME, rmse:NAME or NAME[DIMENSION=VALUE,…]")
        if (self.rel is None) == (self.abs is None):
            raise InputError(f"target {self.metric}: needed either rel=… or abs=…, the half width of the interval")
        limits = {"rel": (0, _LARGEST_REL, "≤ "), "abs": (0, math.inf, ""), "level": (0, 1, "")}
        for name, (low, high, equal) in limits.items():
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and (low < value < high or (equal and value == high))):
                needed = f"a number above 0 and {equal or 'below '}{high:g}"
                raise InputError(f"target {self.metric}: given {name}={value!r}, needed {needed}")
        if isinstance(self.least, bool) or not isinstance(self.least, int) or self.least < 2:
            raise InputError(f"target {self.metric}: given least={self.least!r}, needed a whole number of at least 2")

    @classmethod
    def parse(cls, text: "str | Target") -> Self:
        """`METRIC:rel=0.05:level=0.95:least=400`, or `abs=` for `rel=`; only one of these two is required.

        >>> Target.parse("rmse_range_m:rel=0.05")
        Target(metric='rmse_range_m', rel=0.05, abs=None, level=0.95, least=400)
        """
        if isinstance(text, cls):
            return text
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise InputError(f"target: given {text!r}, needed METRIC:rel=… or METRIC:abs=…, then :level=… if not 0.95")
        options: dict[str, Any] = {}
        for option in match["options"].split(":")[1:]:
            name, _, value = option.partition("=")
            if name not in (known := ["rel", "abs", "level", "least"]):
                raise InputError(f"target {match['metric']}: no option {name!r}; {suggestion(name, known)}")
            if name in options:
                raise InputError(f"target {match['metric']}: {name} is given twice")
            try:
                options[name] = int(value) if name == "least" else float(value)
            except ValueError:
                raise InputError(f"target {match['metric']}: given {name}={value}, needed a number") from None
        return cls(match["metric"], **options)

    def __str__(self) -> str:
        """The text that `parse` reads.

        >>> str(Target("peak", abs=0.1, least=500))
        'peak:abs=0.1:level=0.95:least=500'
        """
        size = f"rel={self.rel!r}" if self.rel is not None else f"abs={self.abs!r}"
        least = f":least={self.least}" if self.least != type(self).least else ""
        return f"{self.metric}:{size}:level={self.level!r}{least}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Layout(NamedTuple):
    """What a target must know of a variable; `dims` and `shape` are its own, beside axes and `realization`."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    units: str
    in_receipts: bool


@dataclass(frozen=True)
class Aim:
    """A target, resolved: which numbers of a receipt's moments it is about, and at which points."""

    target: Target
    variable: str
    is_root: bool
    index: tuple[Any, ...]
    at: Mapping[int, int]
    """Position of an axis → the only index along it; empty: everywhere."""

    def concerns(self, point: tuple[int, ...]) -> bool:
        return all(point[axis] == index for axis, index in self.at.items())

    def excess(self, moments: Moments) -> float:
        """The largest half width over the wanted one: at most 1 where the target holds.

        moments: of the variable's own shape. Infinite where there is nothing to go by: below two values, and where
        all of them are equal, which is what rare events look like before they occur.
        """
        return float(self.excesses(moments)[self.index].max())

    def excesses(self, moments: Moments) -> np.ndarray:
        """The same for every element of the moments, selected or not."""
        from engine.intervals import student_quantile

        error, value = moments.standard_error, moments.mean
        reach = student_quantile(self.target.level, moments.count) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.is_root:
                value = np.sqrt(value)
                reach = reach / (2 * value)
            ratio = reach / (self.target.abs if self.target.abs is not None else self.target.rel * np.abs(value))
        return np.where((error > 0) & np.isfinite(ratio), ratio, np.inf)


def resolve(
    target: Target, variables: Mapping[str, Layout], axes: Mapping[str, tuple[Any, ...]], own: Mapping[str, np.ndarray]
) -> Aim:
    """Find what a target names. axes: the sweep's; own: values along the output's own dimensions.

    Raises InputError for a metric, dimension or value that there is not.
    """
    match = _METRIC.fullmatch(target.metric)
    assert match  # checked at construction
    name, is_root = _variable(match["statistic"], match["name"], variables)
    layout = variables[name]
    if not layout.in_receipts:
        raise InputError(
            f"target {target.metric}: {name} holds too many numbers a realization, or none that are real, for its "
            f"progress to be followed: store a smaller variable to aim at"
        )
    index: list[Any] = [slice(None)] * len(layout.dims)
    at: dict[int, int] = {}
    for part in filter(None, (match["selection"] or "").split(",")):
        dim, equals, value = (text.strip() for text in part.partition("="))
        if not equals or not value:
            raise InputError(f"target {target.metric}: given [{part}], needed DIMENSION=VALUE")
        if dim in axes:
            at[list(axes).index(dim)] = _position(target, dim, value, axes[dim])
        elif dim in layout.dims:
            position = layout.dims.index(dim)
            values = own[dim].tolist() if dim in own else range(layout.shape[position])
            index[position] = _position(target, dim, value, values)
        else:
            known = [*axes, *layout.dims]
            raise InputError(f"target {target.metric}: {name} has no dimension {dim!r}; {suggestion(dim, known)}")
    return Aim(target, name, is_root, tuple(index), at)


def _variable(statistic: str | None, name: str, variables: Mapping[str, Layout]) -> tuple[str, bool]:
    """The variable that a metric is about, and whether the root of its mean is meant."""
    short = {f"rmse_{long[14:-1]}": long for long in variables if re.fullmatch(r"squared_error_\w+2", long)}
    if statistic not in (None, "mean", "rmse"):
        raise InputError(f"target {statistic}:{name}: no statistic {statistic!r} to aim at; choose 'mean' or 'rmse'")
    if statistic is None and name not in variables and name in short:
        return short[name], True
    if name not in variables:
        raise InputError(f"target: no variable {name!r}; {suggestion(name, [*variables, *short])}")
    if statistic == "rmse" and not _SQUARED_UNIT.fullmatch(variables[name].units):
        raise InputError(
            f"target rmse:{name}: given a variable in {variables[name].units or 'no unit'}, needed squared errors, in "
            f"a squared unit as m2"
        )
    return name, statistic == "rmse"


def _position(target: Target, dim: str, text: str, values: Any) -> int:
    for position, value in enumerate(values):
        if str(value) == text or (isinstance(value, int | float) and _as_float(text) == value):
            return position
    raise InputError(f"target {target.metric}: given {dim}={text}, needed one of {', '.join(map(str, values))}")


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
