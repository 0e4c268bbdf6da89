"""Whether a column's numbers have a decimal point or a decimal comma; a sign between thousands is never guessed.

1,234 is 1.234 or 1234. It is a decimal where something says so: another number of the column, or another column of the
file, with a comma that parts no thousands; or a quantity that cannot be 1000 or more, as an angle in degrees or a power
in dBm. Else it is refused, until the user says which.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from engine import InputError
from jobs.cli.measurements.missing import OF_INSTRUMENTS

NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_PERHAPS_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


class Numbers(NamedTuple):
    """A column's cells, and whether its quantity is always below 1000."""

    cells: Sequence[str]
    is_small: bool


class _Signs(NamedTuple):
    """Rows of a column whose number has a comma, or a point; and whether one of these cannot part thousands."""

    comma: int | None
    point: int | None
    is_decimal: bool


def decimal_signs(
    columns: Sequence[Numbers], stated: str | None, refusal: Callable[[int, int, str], InputError]
) -> list[str]:
    """ "," or "." of each column.

    stated: what the user says of the file, if anything. refusal: (column, row, what was needed) → the error to raise.
    """
    found = [_signs(column) for column in columns]
    by_comma = any(one.comma is not None and one.is_decimal for one in found)
    return [
        _sign(column, signs, stated, by_comma, partial(refusal, which))
        for which, (column, signs) in enumerate(zip(columns, found, strict=True))
    ]


def _signs(column: Numbers) -> _Signs:
    if not any("," in cell for cell in column.cells):
        point = next((row for row, cell in enumerate(column.cells) if "." in cell and _is_number(cell.strip())), None)
        return _Signs(None, point, column.is_small or any(map(_is_decimal, column.cells)))
    numbers = [(row, text) for row, cell in enumerate(column.cells) if _is_number(text := cell.strip())]
    comma = next((row for row, text in numbers if "," in text), None)
    point = next((row for row, text in numbers if "." in text), None)
    return _Signs(comma, point, column.is_small or any(_is_decimal(text) for _, text in numbers))


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None and not OF_INSTRUMENTS.fullmatch(text)


def _is_decimal(cell: str) -> bool:
    text = cell.strip()
    return ("," in text or "." in text) and not _PERHAPS_THOUSANDS.fullmatch(text) and _is_number(text)


def _sign(
    column: Numbers, signs: _Signs, stated: str | None, by_comma: bool, refusal: Callable[[int, str], InputError]
) -> str:
    comma, point, is_decimal = signs
    if comma is not None and point is not None:
        other = column.cells[point].strip()
        raise refusal(comma, f"needed one decimal sign, as {other!r} in the same column has a point")
    row = point if comma is None else comma
    if row is None:
        return "."
    sign, other = (".", ",") if comma is None else (",", ".")
    if stated == other:
        raise refusal(row, f"needed numbers with the decimal sign {stated!r} and none between thousands")
    doubtful = not is_decimal and (not by_comma if sign == "," else by_comma)
    if doubtful and stated is None:
        raise refusal(row, "needed to know whether that is a decimal sign or one between thousands: --decimal")
    return sign
