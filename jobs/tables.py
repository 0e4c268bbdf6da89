"""Results as tables: mean ± standard error."""

import itertools
from collections.abc import Iterator

import numpy as np
import xarray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.summary import summarize
from engine.sweep import TextTable

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


def print_tables(results: xarray.Dataset, names: tuple[str, ...]) -> None:
    """One table for each variable and value of its last dimension: rows the first axis, columns the next one."""
    console = _console()
    for name in names or tuple(map(str, results.data_vars)):
        if name in results and "realization" in results[name].dims and results[name].dtype.kind == "f":
            for table in _tables(results[name]):
                console.print(table)


def _tables(variable: xarray.DataArray) -> Iterator[Table]:
    summary = summarize(variable)
    rows, columns, *rest = [*map(str, summary["mean"].dims), "", ""][: max(2, summary["mean"].ndim)]
    rest = [name for name in rest if name]
    for indices in itertools.product(*(range(summary.sizes[name]) for name in rest)):
        here = summary.isel(dict(zip(rest, indices, strict=True)))
        where = "".join(f", {_label(summary, name, i)}" for name, i in zip(rest, indices, strict=True))
        unit = variable.attrs.get("units")
        title = f"{variable.attrs.get('long_name', variable.name)}{f' ({unit})' if unit else ''}{where}"
        table = _table(title)
        table.add_column(rows or "", justify="right")
        for j in range(summary.sizes[columns] if columns else 1):
            label = _label(summary, columns, j) if columns else "mean ± standard error"
            table.add_column(label, justify="right", no_wrap=True)
        for i in range(summary.sizes[rows] if rows else 1):
            line = here.isel({rows: i}) if rows else here
            cells = [line.isel({columns: j}) for j in range(line.sizes[columns])] if columns else [line]
            table.add_row(_value(summary, rows, i) if rows else "", *map(_cell, cells))
        yield table


def _label(summary: xarray.Dataset, name: str, index: int) -> str:
    unit = summary[name].attrs.get("units") if name in summary.coords else None
    value = _value(summary, name, index)
    return f"{value} {unit}" if unit else f"{name} {value}"


def _value(summary: xarray.Dataset, name: str, index: int) -> str:
    if name not in summary.coords:
        return str(index)
    value = summary[name].values[index]
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _cell(cell: xarray.Dataset) -> str:
    """
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
