"""Estimators beside each other: a line for each pair at each point."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import InputError
from engine.comparison import OTHER
from engine.sweep import TextTable
from scenarios.figures.comparisons import verdict
from scenarios.figures.tails import mark

if TYPE_CHECKING:
    import xarray

_NUMBERS = (
    "ratio", "ratio_low", "ratio_high", "difference", "difference_low", "difference_high",
    "smaller", "smaller_low", "smaller_high", "count", "excluded", "carried",
)  # fmt: skip


class _Line(NamedTuple):
    point: tuple[str, ...]
    over: str
    under: str
    numbers: dict[str, float]


def pair_table(pairs: "xarray.Dataset", over: str) -> TextTable:
    """What `engine.compare` found, in words. A pair that has no realization in common has no line.

    pairs: beside what was found, `carried`, where a mean rests on few realizations; attributes quantity and level.
    """
    dims = _dims(pairs, over)
    shown = [i for i, dim in enumerate(dims) if pairs.sizes[dim] > 1]
    fixed = "".join(f", {dim} {_labels(pairs, dim)[0]}" for dim in dims if pairs.sizes[dim] == 1)
    return TextTable(
        f"{pairs.attrs['quantity']}{fixed}: ratios of means over the same realizations; lower or higher where the "
        f"paired {100 * pairs.attrs['level']:g} % interval says so, each for itself",
        (
            *(dims[i] for i in shown),
            f"{over}, one over another",
            "ratio",
            "interval",
            "",
            "smaller in",
            "of",
            "left out",
        ),
        [
            (*(line.point[i] for i in shown), f"{line.over} / {line.under}", *_words(line.numbers))
            for line in _lines(pairs, over)
        ],
    )


def written(pairs: Sequence["xarray.Dataset"], over: str, output: Path) -> int:
    """Every pair of several variables in one CSV file; the number of its lines."""
    dims = list(dict.fromkeys(dim for one in pairs for dim in _dims(one, over)))
    rows = [
        [one.attrs["variable"], *_placed(line.point, _dims(one, over), dims), line.over, line.under,
         *(f"{line.numbers[name]:.9g}" for name in _NUMBERS)]
        for one in pairs
        for line in _lines(one, over)
    ]  # fmt: skip
    try:
        with output.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["variable", *dims, over, OTHER, *_NUMBERS], *rows])
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None
    return len(rows)


def _dims(pairs: "xarray.Dataset", over: str) -> list[str]:
    return [str(dim) for dim in pairs.ratio.dims if dim not in (over, OTHER)]


def _placed(point: Sequence[str], own: Sequence[str], dims: Sequence[str]) -> list[str]:
    known = dict(zip(own, point, strict=True))
    return [known.get(dim, "") for dim in dims]


def _lines(pairs: "xarray.Dataset", over: str) -> Iterator[_Line]:
    dims = _dims(pairs, over)
    numbers = {name: pairs[name].transpose(*dims, over, OTHER).values for name in _NUMBERS}
    labels = {dim: _labels(pairs, dim) for dim in (*dims, over)}
    for where in np.ndindex(*(pairs.sizes[dim] for dim in dims)):
        point = tuple(labels[dim][i] for dim, i in zip(dims, where, strict=True))
        for i, j in itertools.combinations(range(pairs.sizes[over]), 2):
            found = {name: float(values[(*where, i, j)]) for name, values in numbers.items()}
            if found["count"]:
                yield _Line(point, labels[over][i], labels[over][j], found)


def _labels(pairs: "xarray.Dataset", dim: str) -> list[str]:
    values = pairs[dim].values if dim in pairs.coords else np.arange(pairs.sizes[dim])
    return [f"{value:g}" if isinstance(value, float | np.floating) else str(value) for value in values]


def _words(found: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{found['ratio']:.3g}{mark(bool(found['carried']))}",
        f"{found['ratio_low']:.3g} to {found['ratio_high']:.3g}",
        verdict(found["ratio_low"], found["ratio_high"]),
        "–" if np.isnan(found["smaller"]) else f"{100 * found['smaller']:.0f} %",
        f"{found['count']:.0f}",
        f"{found['excluded']:.0f}",
    )
