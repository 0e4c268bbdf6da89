"""A table from text: the dialect and the line of headings that make sense together, then its rows."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from engine import InputError
from jobs.cli.measurements.columns import POSITIONS, asked_meanings, located_heading
from jobs.cli.measurements.decimals import NUMBER
from jobs.cli.measurements.dialect import DIALECTS, Dialect, damaged, is_comment
from jobs.cli.measurements.meaning import meaning
from jobs.cli.measurements.missing import Stated
from jobs.cli.measurements.table import Table
from jobs.cli.measurements.text import text_of
from jobs.cli.measurements.units import unit_of

_LOOKED_AT = 100
"""lines among which that of the headings is looked for: what instruments write before it is shorter"""
_HEADER = "range_m,angle_deg,power_dbm"


class _Header(NamedTuple):
    dialect: Dialect
    headings: tuple[str, ...]
    first: int
    """line from 0 with which the rows begin"""
    line: int
    """line from 0 of the headings themselves"""


def delimited(path: Path, columns: Mapping[str, str]) -> Table:
    """The table of a text file. Raises InputError, in one line, for what is none."""
    lines = text_of(path).split("\n")
    if not any(map(str.strip, lines)):
        raise InputError(f"{path} is empty, needed a line of headings, as {_HEADER}, and a line for each sensor")
    header = _header(str(path), lines, columns)
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


def _header(path: str, lines: list[str], columns: Mapping[str, str]) -> _Header:
    """The first line whose headings name a position and a power in some dialect; else the one that names most."""
    start, only = _stated_delimiter(lines)
    candidates = [i for i in range(start, min(len(lines), start + _LOOKED_AT)) if lines[i].strip()]
    best, most = None, (False, False, -1, -1)
    for i in candidates:
        if is_comment(lines[i]):
            continue
        for dialect in only or DIALECTS:
            cells = dialect.cells(lines[i : i + _LOOKED_AT])
            known = _known(cells, columns)
            is_whole = _is_whole(known)
            guess = (0, 0) if is_whole else (len(known), len(cells) if i == candidates[0] else 0)
            score = (is_whole, is_whole and _fits(dialect, lines[i : i + _LOOKED_AT]), *guess)
            if score > most:
                best, most = (dialect, cells, i), score
        if most[0]:
            break
    if not most[0] and (commented := _commented(lines, candidates, only or DIALECTS, columns)):
        return commented
    if best is None and (quoted := [i for i in candidates if not is_comment(lines[i])]):
        raise damaged(path, quoted[0] + 1, csv.Error("by none of the delimiters"))
    if best is None:
        raise InputError(f"{path}: given comments alone, needed a line of headings, as {_HEADER}")
    return _with_rows(path, lines, best, columns)


def _fits(dialect: Dialect, lines: list[str]) -> bool:
    """Whether the rows below headings have as many cells, but for empty ones at the end."""
    try:
        widths = [len(_shortened(cells)) for _, cells in dialect.rows(lines) if any(map(str.strip, cells))]
    except csv.Error:
        return False
    return len(widths) > 1 and max(widths[1:]) <= len(dialect.cells(lines)) and max(widths[1:]) * 2 > widths[0]


def _shortened(cells: Sequence[str]) -> list[str]:
    """Without empty cells at the end."""
    last = max((i for i, cell in enumerate(cells) if cell.strip()), default=-1)
    return list(cells[: last + 1])


def _with_rows(
    path: str, lines: list[str], best: tuple[Dialect, list[str], int], columns: Mapping[str, str]
) -> _Header:
    dialect, cells, line = best
    if _is_data(cells, columns):
        if not columns or not all(name.strip().isdecimal() for name in columns.values()):
            raise InputError(
                f"{path}: line {line + 1}: given numbers, needed headings first, as {_HEADER}; or their columns, as "
                f"--column range_m=1 --column angle_deg=2 --column power_dbm=3"
            )
        return _Header(dialect, ("",) * len(cells), line, line)
    try:
        used = next(number for number, _ in dialect.rows(lines[line:]))
    except csv.Error as error:
        raise damaged(path, line + 1, error) from None
    return _Header(dialect, tuple(cells), line + used, line)


def _known(cells: Sequence[str], columns: Mapping[str, str]) -> set[str]:
    """Quantities that these headings name, by themselves or by what the user says."""
    headings = tuple(cells)
    asked = {what.quantity for key, what in asked_meanings(columns).items() if located_heading(columns[key], headings)}
    return asked | {what.quantity for heading in headings if (what := meaning(heading))}


def _is_whole(known: set[str]) -> bool:
    return "power" in known and any(known >= set(pair) for pair in POSITIONS)


def _is_data(cells: Sequence[str], columns: Mapping[str, str]) -> bool:
    """Numbers, in those columns that the user names by number, or in most."""
    numbers = [NUMBER.fullmatch(cell) is not None for cell in cells]
    asked = [
        int(columns[key]) - 1
        for key, what in asked_meanings(columns).items()
        if columns[key].isdecimal() and columns[key] not in cells and what.quantity != "sensor"
    ]
    if asked:
        return all(numbers[i] or Stated().is_missing(cells[i]) for i in asked if i < len(cells))
    return 2 * sum(numbers) > len(cells) or (sum(numbers) >= 2 and not any(map(meaning, cells)))


def _commented(
    lines: list[str], candidates: list[int], dialects: Sequence[Dialect], columns: Mapping[str, str]
) -> _Header | None:
    """Headings behind a #, as numpy.savetxt writes them, right before numbers."""
    first = next((i for i in candidates if not is_comment(lines[i])), None)
    above = [i for i in candidates if first is not None and i < first]
    if not above or first is None:
        return None
    for dialect in dialects:
        cells = dialect.cells([lines[above[-1]].strip().lstrip("#%").strip(" ")])
        data = dialect.cells(lines[first:])
        if _is_whole(_known(cells, columns)) and len(cells) == len(data) and _is_data(data, {}):
            return _Header(dialect, tuple(cells), first, above[-1])
    return None


def _stated_delimiter(lines: list[str]) -> tuple[int, tuple[Dialect, ...]]:
    """Of a line sep=; as Excel writes and reads it, and the line after it."""
    first = lines[0].strip(" ").strip('"')
    if len(first) == 5 and first.casefold().startswith("sep="):
        return 1, (Dialect(first[4]),)
    return 0, ()


def _rows(path: str, lines: list[str], header: _Header) -> tuple[list[list[str]], list[int], list[str]]:
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


def _numbered(lines: list[str], header: _Header) -> Iterator[tuple[int, list[str]]]:
    return ((header.first + number, cells) for number, cells in header.dialect.rows(lines[header.first :]))


def _fitted(path: str, number: int, cells: list[str], header: _Header) -> list[str]:
    """As many cells as headings, where only empty ones at the end are too many, or lack below no heading."""
    width, named = len(header.headings), len(_shortened(header.headings))
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


def _out_commented(lines: list[str], header: _Header) -> list[str]:
    """Rows behind a #: a sensor that somebody took out, or one whose name begins so. It is said."""
    numbers = [
        i + 1
        for i, line in enumerate(lines)
        if ("#" in line or "%" in line) and i >= header.first and is_comment(line) and _was_row(line, header)
    ]
    return [f"left out: {_lines(numbers)}, behind a # or %"] if numbers else []


def _was_row(line: str, header: _Header) -> bool:
    cells = header.dialect.cells([line.strip().lstrip('"').lstrip("#%")])
    return len(cells) == len(header.headings) and sum(NUMBER.fullmatch(cell) is not None for cell in cells) > 1


def _before(lines: list[str], header: _Header) -> list[str]:
    numbers = [i + 1 for i in range(header.line) if lines[i].strip() and not is_comment(lines[i])]
    numbers = numbers[1:] if numbers and _stated_delimiter(lines)[1] else numbers
    return [f"left out: {_lines(numbers)}, before the headings"] if numbers else []


def _cut(lines: list[str], rows: list[list[str]]) -> list[str]:
    """A last line without an end, and fewer digits in its last cell than any other row has there."""
    if not lines[-1].strip() or len(rows) < 2:
        return []
    last = len(_shortened(rows[-1])) - 1
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
