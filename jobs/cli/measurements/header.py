"""The line of headings, and the dialect in which it makes sense: one with which the rows below agree."""

import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine import InputError
from jobs.cli.measurements.columns import POSITIONS, asked_meanings, located_heading
from jobs.cli.measurements.decimals import NUMBER
from jobs.cli.measurements.dialect import DIALECTS, Dialect, damaged, is_comment
from jobs.cli.measurements.meaning import meaning
from jobs.cli.measurements.missing import Stated

_LOOKED_AT = 100
"""lines among which that of the headings is looked for: what instruments write before it is shorter"""
EXAMPLE = "range_m,angle_deg,power_dbm"


class Header(NamedTuple):
    dialect: Dialect
    headings: tuple[str, ...]
    first: int
    """line from 0 with which the rows begin"""
    line: int
    """line from 0 of the headings themselves"""


def header_of(path: str, lines: list[str], columns: Mapping[str, str]) -> Header:
    """The first line whose headings name a position and a power in some dialect; else the one that names most."""
    start, only = stated_delimiter(lines)
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
        raise InputError(f"{path}: given comments alone, needed a line of headings, as {EXAMPLE}")
    return _with_rows(path, lines, best, columns)


def _fits(dialect: Dialect, lines: list[str]) -> bool:
    """Whether the rows below headings have as many cells, but for empty ones at the end."""
    try:
        widths = [len(shortened(cells)) for _, cells in dialect.rows(lines) if any(map(str.strip, cells))]
    except csv.Error:
        return False
    return len(widths) > 1 and max(widths[1:]) <= len(dialect.cells(lines)) and max(widths[1:]) * 2 > widths[0]


def shortened(cells: Sequence[str]) -> list[str]:
    """Without empty cells at the end."""
    last = max((i for i, cell in enumerate(cells) if cell.strip()), default=-1)
    return list(cells[: last + 1])


def _with_rows(path: str, lines: list[str], best: tuple[Dialect, list[str], int], columns: Mapping[str, str]) -> Header:
    dialect, cells, line = best
    if _is_data(cells, columns):
        if not columns or not all(name.strip().isdecimal() for name in columns.values()):
            raise InputError(
                f"{path}: line {line + 1}: given numbers, needed headings first, as {EXAMPLE}; or their columns, as "
                f"--column range_m=1 --column angle_deg=2 --column power_dbm=3"
            )
        return Header(dialect, ("",) * len(cells), line, line)
    try:
        used = next(number for number, _ in dialect.rows(lines[line:]))
    except csv.Error as error:
        raise damaged(path, line + 1, error) from None
    return Header(dialect, tuple(cells), line + used, line)


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
) -> Header | None:
    """Headings behind a #, as numpy.savetxt writes them, right before numbers."""
    first = next((i for i in candidates if not is_comment(lines[i])), None)
    above = [i for i in candidates if first is not None and i < first]
    if not above or first is None:
        return None
    for dialect in dialects:
        cells = dialect.cells([lines[above[-1]].strip().lstrip("#%").strip(" ")])
        data = dialect.cells(lines[first:])
        if _is_whole(_known(cells, columns)) and len(cells) == len(data) and _is_data(data, {}):
            return Header(dialect, tuple(cells), first, above[-1])
    return None


def stated_delimiter(lines: list[str]) -> tuple[int, tuple[Dialect, ...]]:
    """Of a line sep=; as Excel writes and reads it, and the line after it."""
    first = lines[0].strip(" ").strip('"')
    if len(first) == 5 and first.casefold().startswith("sep="):
        return 1, (Dialect(first[4]),)
    return 0, ()
