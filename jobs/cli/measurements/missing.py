"""What stands in a cell where nothing was measured."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from engine import InputError

_WORDS = frozenset(
    word
    for line in (
        "nan +nan -nan nan(ind) 1.#qnan 1.#ind -1.#ind 1.#inf -1.#inf na n/a n.a. n.a <na> #n/a #na #nv null none nil",
        "#value! #div/0! #num! #ref! #name? missing nodata - -- --- – — ? . * x -inf -infinity -∞ -1.#inf",
        "ovl ovld ovf ovr ol over overload overloaded overflow overrange over-range ovrng",
        "udf under underflow underrange under-range undr err error invalid off dead lost fail failed timeout",
    )
    for word in line.split()
) | {"", "no data", "no signal", "not heard", "not measured", "out of range"}  # fmt: skip
_OF_INSTRUMENTS = (9.9e37, 9.91e37)
"""Infinity, either sign, and NaN, as instruments that speak SCPI (1999, 7.2.1.4 and 7.2.1.5) write them"""
OF_INSTRUMENTS = re.compile(r"[+-]?9[.,]9(1|0)?0*e\+?37", re.IGNORECASE)
"""The same in texts, with a point where all other numbers have a comma too"""


class Stated(NamedTuple):
    """What the user says stands for a power that was not heard, as text and as numbers in the file's unit."""

    texts: frozenset[str] = frozenset()
    values: tuple[float, ...] = ()

    def is_missing(self, text: str) -> bool:
        text = text.casefold()
        return text in self.texts or text in _WORDS or OF_INSTRUMENTS.fullmatch(text) is not None

    def are_missing(self, values: np.ndarray) -> np.ndarray:
        """True where a number stands for none."""
        absent = np.isin(np.abs(values), _OF_INSTRUMENTS) | np.isneginf(values)
        return absent | np.isin(values, self.values) if self.values else absent


def stated(given: Iterable[str | float]) -> Stated:
    """Each a text that a cell may hold, or a number that a cell may equal.

    >>> stated(["-120", "quiet"]).values
    (-120.0,)
    """
    texts = [str(one).strip() for one in given]
    if "" in texts:
        raise InputError(
            "not heard: given nothing, needed a number in the file's unit, or a text; empty cells are missing"
        )
    values = [value for text in texts if (value := as_number(text)) is not None]
    return Stated(frozenset(text.casefold() for text in texts), tuple(v for v in values if not math.isnan(v)))


def as_number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
