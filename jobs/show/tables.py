"""Results as tables: mean ± standard error."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.summary import summarize
from engine.sweep import TextTable
from jobs.show.typography import pretty_unit

if TYPE_CHECKING:
    import xarray

_WIDTH = 130  # of a file or a pipe, which has none


def print_report(tables: list[TextTable]) -> None:
    """The tables of a sweep that has its own."""
    console = _console()
    for text in tables:
        table = _table(text.title)
        for heading in text.headings:
            table.add_column(heading, overflow="fold")
        for row in text.rows:
            table.add_row(*map(escape, row))
        console.print(table)


def _table(title: str) -> Table:
    return Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def print_tables(results: "xarray.Dataset", names: tuple[str, ...]) -> None:
    """The means of each variable, all of them if no names are given."""
    console = _console()
    for name in tabulated(results, names):
        variable = results[name]
        summary = summarize(variable, quantiles=())[["mean", "standard_error", "count"]]
        for pivot in pivots(variable, summary):
            table = _table(f"{pivot.title}; {_counted(summary)}{without_number(results, summary['count'])}")
            table.add_column(pivot.corner, justify="right")
            for heading in pivot.columns:
                table.add_column(heading or "mean ± standard error", justify="right", no_wrap=True)
            for label, cells in pivot.rows:
                table.add_row(label, *map(_cell, cells))
            console.print(table)


def _counted(summary: "xarray.Dataset") -> str:
    """What the numbers of a table are, and of how many realizations."""
    least, most = (int(end) for end in (summary["count"].min(), summary["count"].max()))
    if most < 2:
        return "of one realization, which has no standard error" if most else "of no realization"
    return f"mean ± standard error of {least if least == most else f'{least} to {most}'} realizations"


def without_number(results: "xarray.Dataset", count: "xarray.DataArray") -> str:
    """What to say where stored realizations have no number, and are left out of means; nothing where all have.

    count: how many there are at each point.
    """
    missing = most_missing(results, count)
    return f"; {left_out(missing)}" if missing else ""


def left_out(missing: int) -> str:
    return f"up to {missing} realizations a point have no number and are left out"


def most_missing(results: "xarray.Dataset", count: "xarray.DataArray") -> int:
    stored = results.complete.sum("realization") if "complete" in results else results.sizes["realization"]
    return max(0, int((stored - count).max())) if count.size else 0


def tabulated(results: "xarray.Dataset", names: Iterable[str]) -> list[str]:
    """Those of the named variables, all if none is named, that have a number for each realization."""
    return [
        str(name)
        for name in names or results.data_vars
        if name in results and "realization" in results[name].dims and results[name].dtype.kind == "f"
    ]


class Pivot(NamedTuple):
    """A table of summaries: one row for each value of the first axis, one column for each of the next."""

    title: str
    corner: str
    columns: list[str]
    """one empty heading where there is no second axis"""
    rows: list[tuple[str, list["xarray.Dataset"]]]


def pivots(variable: "xarray.DataArray", summary: "xarray.Dataset") -> Iterator[Pivot]:
    """Tables of a variable's summary, one for each combination of values along its further dimensions."""
    rows, columns, *rest = [*map(str, summary["mean"].dims), "", ""][: max(2, summary["mean"].ndim)]
    rest = [name for name in rest if name]
    unit = pretty_unit(variable.attrs.get("units", ""))
    title = f"{variable.attrs.get('long_name', variable.name)}{f' ({unit})' if unit else ''}"
    for indices in itertools.product(*(range(summary.sizes[name]) for name in rest)):
        here = summary.isel(dict(zip(rest, indices, strict=True)))
        where = "".join(f", {_label(summary, name, i)}" for name, i in zip(rest, indices, strict=True))
        headings = [_label(summary, columns, j) for j in range(summary.sizes[columns])] if columns else [""]
        lines = []
        for i in range(summary.sizes[rows] if rows else 1):
            line = here.isel({rows: i}) if rows else here
            cells = [line.isel({columns: j}) for j in range(line.sizes[columns])] if columns else [line]
            lines.append((_value(summary, rows, i) if rows else "", cells))
        yield Pivot(title + where, rows, headings, lines)


def _label(summary: "xarray.Dataset", name: str, index: int) -> str:
    unit = summary[name].attrs.get("units") if name in summary.coords else None
    value = _value(summary, name, index)
    return f"{value} {unit}" if unit else f"{name} {value}"


def _value(summary: "xarray.Dataset", name: str, index: int) -> str:
    if name not in summary.coords:
        return str(index)
    value = summary[name].values[index]
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _cell(cell: "xarray.Dataset") -> str:
    """
    >>> import xarray
    >>> _cell(xarray.Dataset({"mean": 1.2345, "standard_error": 0.0123, "count": 9}))
    '1.23 ± 0.01'
    >>> _cell(xarray.Dataset({"mean": 1.2345e-5, "standard_error": 1.23e-6, "count": 9}))
    '1.23e-5 ± 1e-6'
    """
    if not int(cell["count"]):
        return "–"
    mean, error = float(cell["mean"]), float(cell["standard_error"])
    text = f"{mean:.3g} ± {error:.1g}" if np.isfinite(error) else f"{mean:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e")
