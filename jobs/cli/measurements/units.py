"""Units of powers, lengths and angles, however they are spelt, and what they are in watts, metres and radians."""

import math
from typing import NamedTuple

import numpy as np


class Unit(NamedTuple):
    """A unit, what it measures, and how it becomes W, m or rad."""

    name: str
    kind: str
    """power, length or angle"""
    factor: float
    is_decibel: bool = False

    def in_si(self, values: np.ndarray) -> np.ndarray:
        """Watts, metres or radians; powers are averaged only after this."""
        return self.factor * 10 ** (values / 10) if self.is_decibel else self.factor * values


UNITS = (
    Unit("dBm", "power", 1e-3, is_decibel=True),
    Unit("dBW", "power", 1.0, is_decibel=True),
    Unit("W", "power", 1.0),
    Unit("mW", "power", 1e-3),
    Unit("µW", "power", 1e-6),
    Unit("nW", "power", 1e-9),
    Unit("pW", "power", 1e-12),
    Unit("m", "length", 1.0),
    Unit("km", "length", 1e3),
    Unit("cm", "length", 1e-2),
    Unit("mm", "length", 1e-3),
    Unit("ft", "length", 0.3048),
    Unit("deg", "angle", math.pi / 180),
    Unit("rad", "angle", 1.0),
)
_OTHER_SPELLINGS = {
    "dBm": ("dBmW",),
    "W": ("watt", "watts"),
    "mW": ("milliwatt", "milliwatts"),
    "µW": ("uW", "microwatt", "microwatts"),
    "nW": ("nanowatt", "nanowatts"),
    "pW": ("picowatt", "picowatts"),
    "m": ("metre", "metres", "meter", "meters"),
    "km": ("kilometre", "kilometres", "kilometer", "kilometers"),
    "ft": ("foot", "feet"),
    "deg": ("degree", "degrees", "°", "º", "˚", "â°"),  # the last is UTF-8 that something took for Latin-1
    "rad": ("radian", "radians"),
}
_BY_SPELLING = {
    spelling.casefold(): unit for unit in UNITS for spelling in (unit.name, *_OTHER_SPELLINGS.get(unit.name, ()))
}


def unit_of(text: str) -> Unit | None:
    """The unit of this spelling, in any case, or None; a power in MW is one in mW, as no instrument sees megawatts.

    >>> unit_of("DBM").name, unit_of("\u00b5W").name, unit_of("dBm/Hz")
    ('dBm', 'µW', None)
    """
    return _BY_SPELLING.get(text.strip().rstrip(".").casefold())


def units_of_kind(kind: str) -> str:
    """The units of a kind in words.

    >>> units_of_kind("angle")
    'deg or rad'
    """
    *most, last = [unit.name for unit in UNITS if unit.kind == kind]
    return f"{', '.join(most)} or {last}"
