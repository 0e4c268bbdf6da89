"""Cells as numbers, NaN where nothing was measured."""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine import InputError
from jobs.cli.measurements.decimals import NUMBER
from jobs.cli.measurements.missing import Stated
from jobs.cli.measurements.units import Unit, unit_of

_PLAIN = frozenset("0123456789+-.eE ")
_WITH_UNIT = re.compile(rf"({NUMBER.pattern})\s*([^\d\s.,+-].*)")
Refusal = Callable[[int, str], InputError]
"""(row, what was needed) → the error to raise"""


class Parsed(NamedTuple):
    """Numbers, and the rows in which something stands for none, by what that is."""

    values: np.ndarray
    absent: dict[str, list[int]]


def numbers(cells: Sequence[str] | np.ndarray, sign: str, missing: Stated, refusal: Refusal) -> Parsed:
    """Every cell as a float. Raises what `refusal` gives for text that is no number, and for infinite ones."""
    if isinstance(cells, np.ndarray):
        return _checked(np.array(cells, dtype=float), {}, missing, refusal)
    point = cells if sign == "." else [cell.replace(",", ".") for cell in cells]
    values = _plain(point)
    if values is not None:
        return _checked(values, {}, missing, refusal)
    return _checked(*_mixed(cells, sign, missing, refusal), missing, refusal)


def _plain(cells: Sequence[str]) -> np.ndarray | None:
    """Cells that are numbers all, which is nearly every file's case; and quick."""
    if not set("".join(cells)) <= _PLAIN:
        return None
    try:
        return np.array(list(map(float, cells)))
    except ValueError:
        return None


def _mixed(
    cells: Sequence[str], sign: str, missing: Stated, refusal: Refusal
) -> tuple[np.ndarray, dict[str, list[int]]]:
    values, absent = np.full(len(cells), math.nan), dict[str, list[int]]()
    other = "," if sign == "." else "."
    for row, cell in enumerate(cells):
        text = cell.strip()
        if missing.is_missing(text):
            absent.setdefault(text, []).append(row)
        elif NUMBER.fullmatch(text) and other not in text:
            values[row] = float(text.replace(sign, "."))
        elif text[:1] == "–" and NUMBER.fullmatch(text[1:]) and other not in text:
            values[row] = -float(text[1:].replace(sign, "."))
        else:
            thousands = re.fullmatch(r"[+-]?\d{1,3}([., '\u00a0\u2009\u202f]\d{3})+([.,]\d*)?", text)
            raise refusal(row, f"needed a number{' without a sign between thousands' if thousands else ', or nothing'}")
    return values, absent


def _checked(values: np.ndarray, absent: dict[str, list[int]], missing: Stated, refusal: Refusal) -> Parsed:
    already = np.zeros(len(values), dtype=bool)
    already[[row for rows in absent.values() for row in rows]] = True
    gone = missing.are_missing(values)
    absent = dict(absent)
    for row in np.flatnonzero(gone):
        absent.setdefault(f"{values[row]:g}", []).append(int(row))
    if len(unsaid := np.flatnonzero(np.isnan(values) & ~already)):
        absent.setdefault("NaN", []).extend(unsaid.tolist())
    values = np.where(gone, math.nan, values)
    for row in np.flatnonzero(np.isinf(values)):
        raise refusal(int(row), "needed a finite number; what was not heard may be empty, or stated: --not-heard")
    return Parsed(values, absent)


def without_units(cells: Sequence[str], missing: Stated) -> tuple[Sequence[str], Unit | None]:
    """Numbers that each carry the same unit, "-84.6 dBm", without it, and the unit; else the cells as they are.

    >>> without_units(["1.5 km", "n/a", "2km"], Stated())
    (['1.5', 'n/a', '2'], Unit(name='km', kind='length', factor=1000.0, is_decibel=False))
    """
    first = next((cell.strip() for cell in cells if not missing.is_missing(cell.strip())), "")
    match = _WITH_UNIT.fullmatch(first)
    unit, bare = unit_of(match[5]) if match else None, []
    if unit is None:
        return cells, None
    for cell in map(str.strip, cells):
        match = _WITH_UNIT.fullmatch(cell)
        if not missing.is_missing(cell) and (match is None or unit_of(match[5]) != unit):
            return cells, None  # the first cell is then refused
        bare.append(match[1] if match else cell)
    return bare, unit
