"""How a line becomes cells: by comma, semicolon, tab or bar, with quotes, or by blanks."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine import InputError

_BLANKS = " "
_COMMENTS = re.compile(
    r'\s*"?[#%](?!(n/a|na|nv|value!|div/0!|num!|ref!|name\?|null!)"?\s*([,;\t|\s]|$))', re.IGNORECASE
)  # but for what a spreadsheet writes for no number
_CELL_BETWEEN_BLANKS = re.compile(r'"([^"]*)"|(\S+(?: [\[(][^\])]*[\])])?)')


class Dialect(NamedTuple):
    """What parts cells."""

    delimiter: str

    def rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """(number of its last line from 1, cells) of each row; a blank line and a comment have none.

        Raises csv.Error for quotes that do not close.
        """
        if self.delimiter == _BLANKS:
            for number, line in enumerate(without_comments(lines), start=1):
                if line.count('"') % 2:
                    raise csv.Error("of an odd number")
                if line:
                    yield number, [quoted or plain for quoted, plain in _CELL_BETWEEN_BLANKS.findall(line)]
            return
        reader = csv.reader(
            without_comments(lines),
            delimiter=self.delimiter,
            skipinitialspace=self.delimiter != "\t",
            strict=True,
        )
        for cells in reader:
            yield reader.line_num, cells

    def cells(self, lines: list[str]) -> list[str]:
        """Of the first row; none where its quotes do not close."""
        try:
            return [cell.strip() for cell in next(self.rows(lines), (1, []))[1]]
        except csv.Error:
            return []


DIALECTS = tuple(Dialect(delimiter) for delimiter in ("\t", ";", "|", ",", _BLANKS))
"""In this order where a heading is understood by several."""


def is_comment(line: str) -> bool:
    return _COMMENTS.match(line) is not None


def without_comments(lines: Iterable[str]) -> list[str]:
    """With nothing in their place; asked of each of a million lines, hence in this order."""
    return ["" if ("#" in line or "%" in line) and is_comment(line) else line for line in lines]


def damaged(path: str, number: int, error: csv.Error) -> InputError:
    return InputError(f"{path}: line {number}: given a quote that does not close as it should ({error}); needed pairs")
