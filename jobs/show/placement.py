"""Which dimension of a store goes where in a figure: along x, told apart by colour and marker, or by panel."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import xarray

from engine import InputError
from engine.scenario import suggestion
from jobs.show.typography import listed
from jobs.show.words import is_index, is_text

_MOST_HUES, _MOST_PANELS, _MOST_PANELS_ASKED = 12, 12, 60


class Asked(NamedTuple):
    """What the user wants where; empty for what is left to the rule."""

    x: str = ""
    hue: str = ""
    panel: Sequence[str] = ()


class Placement(NamedTuple):
    """Every dimension of more than one value, and where it is."""

    x: str
    """empty where there is but one point"""
    hue: str
    panels: tuple[str, ...]
    fixed: tuple[str, ...]
    """dimensions for which there is no room: their first value alone is shown"""


def place(values: xarray.DataArray, results: xarray.Dataset, asked: Asked) -> Placement:
    """The rule: on x the numeric dimension of most values, one that only counts things last, names only where there is
    no number; colours for names before numbers, for most values first; panels for the rest, as long as they are few.

    Raises InputError for a dimension that is asked for and that there is not, or that is asked for twice.
    """
    left = [str(dim) for dim in values.dims if values.sizes[dim] > 1]
    _require(values, left, asked)
    sizes = {dim: values.sizes[dim] for dim in left}

    def take(dim: str) -> str:
        if dim:
            left.remove(dim)
        return dim

    def free() -> list[str]:
        return [dim for dim in left if dim not in asked.panel]

    along = [dim for dim in free() if dim != asked.hue]
    x = take(asked.x or _first(along, lambda dim: _rank_on_x(results, dim, sizes[dim])))
    coloured = [dim for dim in free() if sizes[dim] <= _MOST_HUES]
    hue = take(asked.hue or _first(coloured, lambda dim: (not is_text(results, dim), -sizes[dim])))
    fixed = []
    while math.prod(sizes[dim] for dim in left) > _MOST_PANELS and (extra := free()):
        fixed.append(take(max(extra, key=lambda dim: (is_index(results, dim), sizes[dim]))))
    if not x:  # what has nothing to be drawn against is a distribution, one a panel
        left, hue = [*filter(None, [hue]), *left], ""
    if (panels := math.prod(sizes[dim] for dim in left)) > _MOST_PANELS_ASKED:
        raise InputError(
            f"--panel: given {panels} panels, needed at most {_MOST_PANELS_ASKED}: --point chooses a value"
        )
    return Placement(x, hue, tuple(left), tuple(fixed))


def _rank_on_x(results: xarray.Dataset, dim: str, size: int) -> tuple[bool, bool, int, bool]:
    has_unit = dim in results.coords and "units" in results[dim].attrs
    return is_text(results, dim), is_index(results, dim), -size, not has_unit


def _first(dims: list[str], key: Callable[[str], Any]) -> str:
    return min(dims, key=key) if dims else ""


def _require(values: xarray.DataArray, left: list[str], asked: Asked) -> None:
    seen: dict[str, str] = {}
    wanted = [("--x", asked.x), ("--hue", asked.hue), *(("--panel", dim) for dim in asked.panel)]
    for option, dim in wanted:
        if not dim:
            continue
        if dim in seen:
            raise InputError(f"{option}: {dim} is {seen[dim]} already: a dimension goes to one place")
        seen[dim] = option
        if dim in left:
            continue
        if dim in values.dims:
            raise InputError(f"{option}: {dim} has one value here, nothing varies along it; {_choice(dim, left)}")
        raise InputError(f"{option}: {values.name} has no dimension {dim!r}; {_choice(dim, left)}")


def _choice(dim: str, left: list[str]) -> str:
    return suggestion(dim, left) if left else "it is one number, without dimensions"


def at_point(results: xarray.Dataset, point: Mapping[str, str]) -> xarray.Dataset:
    """The results at these values, each a dimension's own text: every dimension stays, with one value. Raises
    InputError."""
    dims = [str(dim) for dim in results.dims if dim != "realization"]
    for dim, text in point.items():
        if dim not in dims:
            raise InputError(f"--point: there is no dimension {dim!r}; {suggestion(dim, dims)}")
        values = results[dim].values.tolist() if dim in results.coords else list(range(results.sizes[dim]))
        found = [i for i, value in enumerate(values) if _is(value, text)]
        if not found:
            raise InputError(f"--point: given {dim}={text}, needed one of {listed(values)}")
        results = results.isel({dim: found[:1]})
    return results


def _is(value: object, text: str) -> bool:
    if str(value) == text:
        return True
    try:
        return isinstance(value, int | float) and float(text) == value
    except ValueError:
        return False
