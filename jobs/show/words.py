"""Dimensions and their values in words: what an axis, a legend or a panel says of them."""

import re
from typing import Any

import numpy as np
import xarray

from jobs.show.typography import plain, pretty_unit
from scenarios.figures.style import SYMBOLS, label

_LONGEST = 48
"""letters of a name in a legend; what stores and modules call things may be any text"""
_SYMBOL_AT_THE_END = re.compile(r"(?<= )[A-Za-zα-ωΑ-Ω]['²]?$")


def said(results: xarray.Dataset, dim: str, index: int) -> str:
    """A value along a dimension, with its symbol or name and its unit: "σ² = −65 dBm", "L = 50", "least squares"."""
    if dim not in results.coords:
        return f"{label(dim)} {index}"
    value = results[dim].values[index].item()
    if isinstance(value, str):
        return tame(label(value))
    unit = _unit(results[dim])
    symbol = _symbol(results, dim)
    name = f"{symbol} =" if symbol else tame(_name(results, dim))
    return f"{name} {number(value)}{f' {unit}' if unit else ''}"


def axis_title(results: xarray.Dataset, dim: str) -> str:
    """What an axis along a dimension is called, with symbol and unit: "noise power σ² (dBm)"."""
    name, symbol = _name(results, dim), _symbol(results, dim)
    named = name if not symbol or name.endswith(symbol) else f"{name} {symbol}"
    unit = _unit(results[dim]) if dim in results.coords else ""
    return tame(named) + (f" ({unit})" if unit else "")


def tame(text: str, longest: int = _LONGEST) -> str:
    """A text of anybody's as a figure shows it: shortened, and no mathematics for Matplotlib to set."""
    text = " ".join(text.split())
    return (text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…").replace("$", r"\$")


def number(value: Any) -> str:
    """
    >>> number(-65.0), number(28e9), number(0.1 + 0.2), number(True)
    ('−65', '2.8×10¹⁰', '0.3', 'yes')
    """
    return plain(float(f"{value:.6g}")) if isinstance(value, float) else plain(value).replace("-", "−")


def _name(results: xarray.Dataset, dim: str) -> str:
    attributes = results[dim].attrs if dim in results.coords else {}
    return str(attributes.get("long_name") or label(dim))


def _symbol(results: xarray.Dataset, dim: str) -> str:
    """The papers' symbol, or the letter that a description ends with: "number of sensors K"."""
    found = _SYMBOL_AT_THE_END.search(_name(results, dim))
    return SYMBOLS.get(dim) or (found.group() if found else "")


def _unit(values: xarray.DataArray) -> str:
    unit = str(values.attrs.get("units", ""))
    return tame(pretty_unit(unit)) if unit != "1" else ""


def is_text(results: xarray.Dataset, dim: str) -> bool:
    """Whether a dimension's values are names, which have no order and no distance."""
    return dim in results.coords and results[dim].dtype.kind not in "iuf"


def is_index(results: xarray.Dataset, dim: str) -> bool:
    """Whether a dimension's values only count things: no coordinate, or 0, 1, 2 … without a unit."""
    if dim not in results.coords:
        return True
    values = results[dim].values
    return (
        values.dtype.kind in "iu" and not _unit(results[dim]) and bool(np.array_equal(values, np.arange(len(values))))
    )
