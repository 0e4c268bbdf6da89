"""A report's tables, as plain data for its page."""

from typing import NamedTuple

from engine.sweep import TextTable
from jobs.show.typography import Estimate, typeset


class Grid(NamedTuple):
    """A table: the first cell of a row heads it."""

    title: str
    headings: list[str]
    rows: list[list[str | Estimate]]

    @property
    def has_verdicts(self) -> bool:
        return "verdict" in self.headings


def grid(table: TextTable) -> Grid:
    return Grid(table.title, list(table.headings), [list(map(typeset, row)) for row in table.rows])
