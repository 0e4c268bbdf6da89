"""The columns that are read as numbers with units."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from engine import InputError
from jobs.cli.measurements.columns import require_unit
from jobs.cli.measurements.decimals import Numbers, decimal_signs
from jobs.cli.measurements.missing import Stated
from jobs.cli.measurements.numbers import Parsed, numbers, without_units
from jobs.cli.measurements.table import Cells, Found, Table
from jobs.cli.measurements.units import Unit

_LONGEST = 40


class Quantity(NamedTuple):
    """A column's cells, their numbers in the file's unit, and that unit."""

    column: int
    cells: Cells
    parsed: Parsed
    unit: Unit | None

    def in_si(self) -> np.ndarray:
        assert self.unit is not None
        return self.unit.in_si(self.parsed.values)

    def refusal(self, table: Table, row: int, needed: str) -> InputError:
        return table.refusal(self.column, row, shown(self.cells, row), needed)


def quantities(
    table: Table, found: Mapping[str, Found], cells_of: Mapping[str, Cells], absent: Stated, decimal: str | None
) -> dict[str, Quantity]:
    """By quantity, all but the sensors' names. Raises InputError for what is no number, and no number of the unit.

    absent: what stands for a power that was not heard. decimal: the decimal sign, where the user states it.
    """
    names = [name for name in found if name != "sensor"]
    given = [cells_of[name] for name in names]
    bare, units = [], list[Unit | None]()
    for name, cells in zip(names, given, strict=True):
        stripped, of_cells = (cells, None) if isinstance(cells, np.ndarray) else without_units(cells, absent)
        bare.append(stripped)
        units.append(None if name == "snapshots" else require_unit(table, name, found[name], of_cells))
    columns = [found[name].column for name in names]
    signs = _signs(table, columns, bare, units, decimal)
    return {
        name: Quantity(
            column, cells, _parsed(table, column, cells, stripped, sign, absent if name == "power" else Stated()), unit
        )
        for name, column, cells, stripped, sign, unit in zip(names, columns, given, bare, signs, units, strict=True)
    }


def _parsed(table: Table, column: int, given: Cells, bare: Cells, sign: str, absent: Stated) -> Parsed:
    return numbers(bare, sign, absent, partial(_refusal, table, column, given))


def _signs(
    table: Table, columns: Sequence[int], cells: Sequence[Cells], units: Sequence[Unit | None], decimal: str | None
) -> list[str]:
    """Degrees and decibels are below 1000: there 84,625 is no 84 625."""
    texts = [i for i, one in enumerate(cells) if not isinstance(one, np.ndarray)]
    given = [Numbers(list(map(str, cells[i])), _is_small(units[i])) for i in texts]
    signs = decimal_signs(given, decimal, lambda which, row, needed: _refusal(
        table, columns[texts[which]], cells[texts[which]], row, needed))  # fmt: skip
    found = dict(zip(texts, signs, strict=True))
    return [found.get(i, ".") for i in range(len(cells))]


def _is_small(unit: Unit | None) -> bool:
    return unit is not None and (unit.is_decibel or unit.kind == "angle")


def _refusal(table: Table, column: int, cells: Cells, row: int, needed: str) -> InputError:
    return table.refusal(column, row, shown(cells, row), needed)


def shown(cells: Cells, row: int) -> str:
    """A cell as a message quotes it."""
    if isinstance(cells, np.ndarray):
        return f"{cells[row]:g}"
    text = cells[row].strip()
    return (repr(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!r}…") if text else "nothing"
