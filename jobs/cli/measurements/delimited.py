"""A table from text: headings, then as many cells in every row, each at its line."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine import InputError
from jobs.cli.measurements.decimals import NUMBER
from jobs.cli.measurements.dialect import damaged, is_comment
from jobs.cli.measurements.header import EXAMPLE, Header, header_of, shortened, stated_delimiter
from jobs.cli.measurements.missing import Stated
from jobs.cli.measurements.table import Table
from jobs.cli.measurements.text import text_of
from jobs.cli.measurements.units import unit_of


def delimited(path: Path, columns: Mapping[str, str]) -> Table:
    """The table of a text file. Raises InputError, in one line, for what is none."""
    lines = text_of(path).split("\n")
    if not any(map(str.strip, lines)):
        raise InputError(f"{path} is empty, needed a line of headings, as {EXAMPLE}, and a line for each sensor")
    header = header_of(str(path), lines, columns)
    rows, numbers, remarks = _rows(str(path), lines, header)
    units, remarks = ("",) * len(header.headings), [*_before(lines, header), *remarks, *_cut(lines, rows)]
    if rows and (units_row := _units(rows[0])):
        units, rows, numbers = units_row, rows[1:], numbers[1:]
    if not rows:
        commented = f" ({'; '.join(remarks)})" if remarks else ""
        raise InputError(f"{path}: given headings alone, needed a line for each sensor after them{commented}")
    return Table(
        str(path),
        header.headings,
        units,
        lambda wanted: [[row[i] for row in rows] for i in wanted],
        lambda row: f"line {numbers[row]}",
        tuple(remarks),
    )


def _rows(path: str, lines: list[str], header: Header) -> tuple[list[list[str]], list[int], list[str]]:
    """Cells of every row, as many as there are headings; the numbers of their lines; what was left out."""
    width, rows, numbers, again = len(header.headings), [], [], []
    number, headings = header.first, list(header.headings)
    try:
        for number, cells in _numbered(lines, header):
            if len(cells) != width:
                if not any(map(str.strip, cells)):
                    continue
                cells = _fitted(path, number, cells, header)
            elif not cells[0].strip() and not any(map(str.strip, cells)):
                continue
            if cells[0] == headings[0] and headings[0] and [cell.strip() for cell in cells] == headings:
                again.append(number)
                continue
            rows.append(cells)
            numbers.append(number)
    except csv.Error as error:
        raise damaged(path, number + 1, error) from None
    remarks = [f"left out: {_lines(again)}, the headings again"] if again else []
    return rows, numbers, [*remarks, *_out_commented(lines, header)]


def _numbered(lines: list[str], header: Header) -> Iterator[tuple[int, list[str]]]:
    return ((header.first + number, cells) for number, cells in header.dialect.rows(lines[header.first :]))


def _fitted(path: str, number: int, cells: list[str], header: Header) -> list[str]:
    """As many cells as headings, where only empty ones at the end are too many, or lack below no heading."""
    width, named = len(header.headings), len(shortened(header.headings))
    if named <= len(cells) < width:
        return cells + [""] * (width - len(cells))
    if len(cells) > width and not any(map(str.strip, cells[width:])):
        return cells[:width]
    hint = ""
    if header.dialect.delimiter == "," and len(cells) > width:
        hint = "; are commas decimal signs? then part columns by semicolons, or quote the numbers"
    raise InputError(
        f"{path}: line {number}: given {len(cells)} cells, needed {named}: {', '.join(header.headings[:named])}{hint}"
    )


def _out_commented(lines: list[str], header: Header) -> list[str]:
    """Rows behind a #: a sensor that somebody took out, or one whose name begins so. It is said."""
    numbers = [
        i + 1
        for i, line in enumerate(lines)
        if ("#" in line or "%" in line) and i >= header.first and is_comment(line) and _was_row(line, header)
    ]
    return [f"left out: {_lines(numbers)}, behind a # or %"] if numbers else []


def _was_row(line: str, header: Header) -> bool:
    cells = header.dialect.cells([line.strip().lstrip('"').lstrip("#%")])
    return len(cells) == len(header.headings) and sum(NUMBER.fullmatch(cell) is not None for cell in cells) > 1


def _before(lines: list[str], header: Header) -> list[str]:
    numbers = [i + 1 for i in range(header.line) if lines[i].strip() and not is_comment(lines[i])]
    numbers = numbers[1:] if numbers and stated_delimiter(lines)[1] else numbers
    return [f"left out: {_lines(numbers)}, before the headings"] if numbers else []


def _cut(lines: list[str], rows: list[list[str]]) -> list[str]:
    """A last line without an end, and fewer digits in its last cell than any other row has there."""
    if not lines[-1].strip() or len(rows) < 2:
        return []
    last = len(shortened(rows[-1])) - 1
    if len(rows[-1][last].strip()) >= min(len(row[last].strip()) for row in rows[:-1]):
        return []
    return [f"line {len(lines)} has no end, and fewer digits there than all others: is the file cut?"]


def _units(cells: Sequence[str]) -> tuple[str, ...] | None:
    """A row of units below the headings, where each cell is one, or empty."""
    texts = [cell.strip().strip("[](){}") for cell in cells]
    known = [unit_of(text) for text in texts]
    if not any(known) or any(not (unit or Stated().is_missing(text)) for text, unit in zip(texts, known, strict=True)):
        return None
    return tuple(texts)


def _lines(numbers: Sequence[int]) -> str:
    """
    >>> _lines([3]), _lines([3, 5]), _lines([1, 2, 3, 4, 5, 6, 7])
    ('line 3', 'lines 3, 5', 'lines 1, 2, 3, 4, 5 and 2 more')
    """
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"
