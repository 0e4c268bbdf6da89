"""Stores of one sweep as one data set: other seeds are further realizations, other values of an axis further points.

A realization is known by its seed, its point and its number. Stores that both hold one would count it twice, and are
refused; so are stores whose sweeps differ in more than seed and axes. Made from opened results alone.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray

from engine.errors import InputError
from engine.store.metadata import COMPLETE, STOP_REALIZATIONS, STOP_REASON
from engine.store.results import open_results

_OF_THE_NUMBERS = ("scenario_class", "code_version", "block")
_OF_A_PART = ("seed", "axes", "realizations", "commit", "created", "fingerprint", "backend", "device", "versions")
_OF_ONE_STORE = (
    "nearfield_format",
    "seed",
    "axes",
    "realizations",
    "chunk",
    "created",
    "fingerprint",
    "coordinate_checksums",
)
_PRESENTED = ("name", "about", "highlights", "scenario")
"""What names and presents the sweep, as the first store has it."""


class _Part(NamedTuple):
    """One store's results."""

    path: str
    results: xarray.Dataset
    fields: dict[str, Any]
    """of the scenario, an axis' own among them, which says nothing"""
    axes: dict[str, list[Any]]
    seed: int

    def along(self, axis: str) -> list[Any]:
        """The values along an axis; a field that is none here has one."""
        return self.axes.get(axis, [self.fields.get(axis)])

    def positions(self, values: Mapping[str, list[Any]]) -> tuple[np.ndarray, ...]:
        """Where values of each axis are, as an index of arrays over the axes."""
        return np.ix_(*([self.along(axis).index(value) for value in wanted] for axis, wanted in values.items()))


def merge(paths: Sequence[str | os.PathLike[str]]) -> xarray.Dataset:
    """The results of several stores as one data set, in memory.

    paths: of two or more stores of one sweep, with the same fields but for seed and axes; a field that is an axis of
    one may be set to a value in another. Along `realization` come those of the first seed, then of the next: the
    coordinates `seed` and `index_in_store` say whose each is; `replay` takes the latter.
    Points are every combination of the axes' values. What no store holds is not `complete`, and NaN where it is no
    whole number, so that counts may differ between points and seeds: `summarize(merged.x, complete=merged.complete)`
    is over what there is. The attribute `parts` lists seed, axes, commit and the rest of each store.

    Raises InputError for fewer than two stores, fields that differ, and realizations that two stores hold.
    """
    if len(paths) < 2:
        raise InputError(f"merge: given {len(paths)} stores, needed two or more")
    parts = [_part(path) for path in paths]
    names = list(dict.fromkeys(itertools.chain.from_iterable(part.axes for part in parts)))
    for part in parts[1:]:
        _require_same(parts[0], part, names)
    axes = {name: _union([part.along(name) for part in parts]) for name in names}
    slots = _Slots.all_of(parts)
    for one, other in itertools.combinations(parts, 2):
        _require_apart(one, other, names)
    variables = {
        name: _merged(parts, str(name), axes, slots) if "realization" in values.dims else values.variable
        for name, values in parts[0].results.data_vars.items()
    }
    return xarray.Dataset(variables, _coordinates(parts, axes, slots), _attributes(parts, axes))


def _part(path: str | os.PathLike[str]) -> _Part:
    results = open_results(path).drop_vars([STOP_REASON, STOP_REALIZATIONS], errors="ignore")
    attributes = results.attrs
    fields, axes = json.loads(attributes["scenario"]), json.loads(attributes["axes"])
    return _Part(str(path), results, fields, axes, int(attributes["seed"]))


class _Slots(NamedTuple):
    """Where each seed's realizations are along the merged dimension."""

    start: dict[int, int]
    length: dict[int, int]

    @classmethod
    def all_of(cls, parts: Sequence[_Part]) -> "_Slots":
        length = dict.fromkeys((part.seed for part in parts), 0)
        for part in parts:
            length[part.seed] = max(length[part.seed], part.results.sizes["realization"])
        starts = itertools.accumulate(length.values(), initial=0)
        return cls(dict(zip(length, starts, strict=False)), length)

    def of(self, part: _Part) -> slice:
        start = self.start[part.seed]
        return slice(start, start + part.results.sizes["realization"])

    @property
    def total(self) -> int:
        return sum(self.length.values())


def _union(values: Sequence[list[Any]]) -> list[Any]:
    """Every value once; numbers in order, names as they come."""
    every = list(dict.fromkeys(itertools.chain.from_iterable(values)))
    numbers = all(isinstance(value, int | float) for value in every)
    return sorted(every) if numbers else every


def _require_same(first: _Part, other: _Part, axes: Sequence[str]) -> None:
    """Refuse stores of two sweeps, with every field that differs."""
    pairs = {name: (first.results.attrs[name], other.results.attrs[name]) for name in _OF_THE_NUMBERS}
    names = dict.fromkeys((*first.fields, *other.fields))
    pairs |= {name: (first.fields.get(name), other.fields.get(name)) for name in names if name not in axes}
    told = [f"{name} ({mine} and {theirs})" for name, (mine, theirs) in pairs.items() if mine != theirs]
    if not told and (mine := set(first.results.data_vars)) != (theirs := set(other.results.data_vars)):
        told = [f"variables ({', '.join(sorted(map(str, mine ^ theirs)))} in one alone)"]
    if told:
        raise InputError(
            f"{first.path} and {other.path} hold different sweeps: {', '.join(told)}; needed the same but for seed and "
            f"axes"
        )
    for name, values in first.results.variables.items():
        if {"realization", *axes} & set(values.dims):
            continue
        if name not in other.results.variables or not values.equals(other.results[name].variable):
            raise InputError(f"{first.path} and {other.path} differ in the values of {name}: one of them was changed")


def _require_apart(one: _Part, other: _Part, axes: Sequence[str]) -> None:
    """Refuse stores that hold realizations of the same seed at the same point, or of seeds that draw the same."""
    shared = {axis: [value for value in one.along(axis) if value in other.along(axis)] for axis in axes}
    held, also = (_values(part, COMPLETE, shared).astype(bool) for part in (one, other))
    number = min(held.shape[len(axes)], also.shape[len(axes)])
    both = held[..., :number] & also[..., :number]
    if one.seed != other.seed:
        _require_other_draws(one, other, shared, both)
    elif both.any():
        *point, index = np.argwhere(both)[0]
        where = [f"{axis}={shared[axis][i]}" for axis, i in zip(axes, point, strict=True)]
        raise InputError(
            f"{one.path} and {other.path} both hold {both.sum()} realizations of seed {one.seed}, the first of them "
            f"number {index}{' at ' + ', '.join(where) if where else ''}: merged they would count twice; run one with "
            f"another --seed"
        )


def _require_other_draws(one: _Part, other: _Part, shared: Mapping[str, list[Any]], both: np.ndarray) -> None:
    """A scenario may draw nothing from its seed: all its numbers are then those that the other store has."""
    names = [
        str(name)
        for name, values in one.results.data_vars.items()
        if "realization" in values.dims and values.dtype.kind == "f"
    ]
    number = both.shape[-1]

    def drawn(part: _Part, name: str) -> np.ndarray:
        values = _values(part, name, shared)
        return values[(slice(None),) * len(shared) + (slice(number),)][both]

    if both.sum() > 1 and names and all(np.array_equal(drawn(one, n), drawn(other, n), equal_nan=True) for n in names):
        raise InputError(
            f"{one.path} and {other.path} hold the same numbers for seeds {one.seed} and {other.seed}: this scenario "
            f"draws nothing from its seed, and merged its realizations would count twice"
        )


def _values(part: _Part, name: str, at: Mapping[str, list[Any]]) -> np.ndarray:
    """A variable of a store at these values of the axes, (…, realization, own dimensions)."""
    return _over(part, name, at)[part.positions(at)]


def _over(part: _Part, name: str, axes: Iterable[str]) -> np.ndarray:
    """A variable of a store over all axes, realizations, and its own dimensions."""
    values = part.results[name]
    return values.expand_dims([axis for axis in axes if axis not in values.dims]).transpose(
        *axes, "realization", ...
    ).values  # fmt: skip


def _merged(parts: Sequence[_Part], name: str, axes: Mapping[str, list[Any]], slots: _Slots) -> xarray.Variable:
    """A variable of every store over all points and realizations."""
    first = parts[0].results[name]
    own = {str(dim): size for dim, size in first.sizes.items() if dim not in axes and dim != "realization"}
    dtype = np.result_type(*(part.results[name].dtype for part in parts))
    shape = (*map(len, axes.values()), slots.total, *own.values())
    whole = np.full(shape, np.nan if dtype.kind in "fc" else 0, dtype)
    for part in parts:
        places = ([values.index(value) for value in part.along(axis)] for axis, values in axes.items())
        there: tuple[Any, ...] = (*np.ix_(*places), slots.of(part))
        stored = _over(part, COMPLETE, axes).astype(bool)
        stored = stored.reshape(stored.shape + (1,) * len(own))
        whole[there] = np.where(stored, _over(part, name, axes), whole[there])
    return xarray.Variable((*axes, "realization", *own), whole, first.attrs)


def _coordinates(parts: Sequence[_Part], axes: Mapping[str, list[Any]], slots: _Slots) -> dict[str, Any]:
    first = parts[0].results
    own = {
        str(name): values.variable
        for name, values in first.coords.items()
        if name not in axes and name != "realization"
    }
    described = {
        axis: next((part.results[axis].attrs for part in parts if axis in part.results.coords), {}) for axis in axes
    }
    seeds = np.concatenate([np.full(length, seed) for seed, length in slots.length.items()])
    numbers = np.concatenate([np.arange(length) for length in slots.length.values()])
    along = {
        "realization": (np.arange(slots.total), first["realization"].attrs),
        "seed": (seeds, {"long_name": "seed of the store that holds the realization"}),
        "index_in_store": (numbers, {"long_name": "number of the realization in its store"}),
    }
    return {
        **own,
        **{axis: (axis, np.asarray(values), described[axis]) for axis, values in axes.items()},
        **{name: ("realization", values, text) for name, (values, text) in along.items()},
    }


def _attributes(parts: Sequence[_Part], axes: Mapping[str, list[Any]]) -> dict[str, Any]:
    """What all stores say, and the rest of each as `parts`, a JSON text."""
    told = [{"path": part.path} | {name: part.results.attrs[name] for name in _OF_A_PART} for part in parts]
    common = parts[0].results.attrs
    same = {
        name: common[name] for name in common if all(part.results.attrs.get(name) == common[name] for part in parts)
    }
    kept = {name: value for name, value in same.items() if name not in _OF_ONE_STORE}
    text = {name: common[name] for name in _PRESENTED}
    return kept | text | {"axes": json.dumps(dict(axes)), "parts": json.dumps(told)}
