"""What the readers of all formats return: headings, and the cells of those columns that are asked for."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine import InputError
from jobs.cli.measurements.units import Unit

Cells = Sequence[str] | np.ndarray
"""Texts as they stand in the file, or numbers, which files of arrays hold"""


class Table(NamedTuple):
    """A file's columns; what is not asked for is not looked at."""

    source: str
    """the file, as the user named it"""
    headings: tuple[str, ...]
    """\"\" where a column has none"""
    units: tuple[str, ...]
    """of each column where the file states it outside of headings, else \"\""""
    pick: Callable[[Sequence[int]], list[Cells]]
    """cells of these columns, as many of each"""
    where: Callable[[int], str]
    """a row in words: line 7"""
    remarks: tuple[str, ...] = ()

    def label(self, column: int) -> str:
        return self.headings[column] or f"column {column + 1}"

    def refusal(self, column: int, row: int, given: str, needed: str) -> InputError:
        return InputError(f"{self.source}: {self.where(row)}, {self.label(column)}: given {given}, {needed}")


class Found(NamedTuple):
    """A column that holds a quantity, and its unit, where the quantity has one."""

    column: int
    unit: Unit | None
