"""Received powers in watts, and what is to be said of a column of them."""

from collections.abc import Callable

import numpy as np

from engine import InputError
from jobs.cli.measurements.meaning import meaning
from jobs.cli.measurements.missing import Stated, as_number
from jobs.cli.measurements.quantities import Quantity
from jobs.cli.measurements.table import Table

_FLOOR_APART = 10.0
"""by how many times, at least, the lowest power is below the next, for several that equal it to be suspected"""
_SAID = 3
"""lines named for what is missing"""


def in_watts(power: Quantity, *, may_be_negative: bool, refusal: Callable[[int, str], InputError]) -> np.ndarray:
    """(rows,), NaN where nothing was heard. Raises InputError for powers that cannot be."""
    assert power.unit is not None
    with np.errstate(over="ignore"):
        power_w = power.in_si()
    for row in np.flatnonzero(np.isinf(power_w)):
        raise refusal(int(row), f"needed a power in {power.unit.name} that can be")
    if not may_be_negative:
        for row in np.flatnonzero(power_w < 0):
            raise refusal(
                int(row), f"needed a power in {power.unit.name}, not below 0: is it in dBm, or is σ² taken off?"
            )
    return power_w


def said_of_powers(table: Table, power: Quantity, absent: Stated) -> list[str]:
    """What was taken for missing, stated values that are nowhere, values that may stand for none, a mean of dB."""
    return [*_missing(table, power), *_nowhere(power, absent), *_suspected(power, absent), *_in_decibels(table, power)]


def _missing(table: Table, power: Quantity) -> list[str]:
    marks = power.parsed.absent
    rows = sorted(row for those in marks.values() for row in those)
    if not rows:
        return []
    first = ", ".join(table.where(row) for row in rows[:_SAID]) + (" …" if len(rows) > _SAID else "")
    kinds = ", ".join(f"{repr(mark) if mark else 'empty'} ({len(those)})" for mark, those in marks.items())
    return [f"powers missing in {len(rows)} row{'s' if len(rows) > 1 else ''}, {first}: {kinds}"]


def _nowhere(power: Quantity, absent: Stated) -> list[str]:
    marks = {mark.casefold() for mark in power.parsed.absent}
    values = {as_number(mark) for mark in marks} - {None}
    return [
        f"--not-heard {text}: no power is that"
        for text in sorted(absent.texts)
        if text not in marks and as_number(text) not in values
    ]


def _suspected(power: Quantity, absent: Stated) -> list[str]:
    """Several powers that are equal and far below all others, which may stand for no power at all."""
    assert power.unit is not None
    heard = power.parsed.values[np.isfinite(power.parsed.values)]
    if absent.texts or len(np.unique(heard)) < 2:
        return []
    lowest, above = np.unique(heard)[:2]
    is_decibel = power.unit.is_decibel
    apart = above - lowest >= 10 * np.log10(_FLOOR_APART) if is_decibel else above >= _FLOOR_APART * lowest
    count = int(np.count_nonzero(heard == lowest))
    if count < 2 or not apart or (lowest < 0 and not is_decibel):
        return []
    return [
        f"{count} powers are {lowest:g} {power.unit.name} and all others far above: they are taken as heard; where "
        f"that stands for none, --not-heard {lowest:g}"
    ]


def _in_decibels(table: Table, power: Quantity) -> list[str]:
    """The mean of a power in dB is lower than its mean in watts, by 2.5 dB for a noise-like one."""
    heading, unit = table.headings[power.column], power.unit
    what = meaning(heading)
    if not (what and what.is_mean and unit and unit.is_decibel):
        return []
    return [f"{heading!r} is taken for the mean power; a mean of values in {unit.name} would be up to 2.5 dB lower"]
