"""Sensors' ranges and angles, from whatever two columns say where they stand."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine import InputError
from jobs.cli.measurements.geography import FARTHEST_M, ahead_and_along_m
from jobs.cli.measurements.record import Place


class Given(NamedTuple):
    """A position's two columns in m and rad, as they are called, and how to refuse a row of them."""

    pair: tuple[str, str]
    first: np.ndarray
    second: np.ndarray
    refusal: Callable[[int, Sequence[int], str], InputError]
    """(row, which of the two columns, what was needed) → the error to raise"""


class Positions(NamedTuple):
    range_m: np.ndarray
    angle_rad: np.ndarray
    """from the array's axis, 0 to π"""


def positions(given: Given, wanted: np.ndarray, place: Place | None) -> Positions:
    """Of every row, NaN where it has none.

    wanted: rows that are checked, as others are not used. Raises InputError for a sensor behind the array or upon it.
    """
    if given.pair == ("range", "angle"):
        return _polar(given, wanted)
    if given.pair == ("x", "y"):
        ahead_m, along_m = given.first, given.second
    else:
        assert place is not None
        _require_degrees(given, wanted)
        ahead_m, along_m = ahead_and_along_m(given.first, given.second, place)
        _require(
            given, wanted, ~(np.hypot(ahead_m, along_m) > FARTHEST_M), (0, 1),
            f"needed a place within {FARTHEST_M / 1e3:g} km of the array: are latitude and longitude exchanged?",
        )  # fmt: skip
    which = (0,) if given.pair[0] == "x" else (0, 1)
    hint = ", x > 0" if given.pair[0] == "x" else ": is the array's bearing, clockwise from north, where it faces?"
    _require(given, wanted, ~(ahead_m <= 0), which, f"needed a sensor ahead of the array{hint}")
    range_m = np.hypot(ahead_m, along_m)
    return Positions(range_m, np.arctan2(ahead_m, along_m))


def _polar(given: Given, wanted: np.ndarray) -> Positions:
    range_m, angle_rad = given.first, given.second
    _require(given, wanted, ~(range_m <= 0), (0,), "needed a range above 0")
    within = ~((angle_rad < 0) | (angle_rad > math.pi * (1 + 1e-12)))
    said = "needed an angle from the array's axis, between 0 and 180° (90° is ahead)"
    row = _first(wanted & ~within)
    degrees = row is not None and math.pi < angle_rad[row] <= 180
    _require(given, wanted, within, (1,), said + ("; is it in degrees?" if degrees else ""))
    return Positions(range_m, np.minimum(angle_rad, math.pi))


def _require_degrees(given: Given, wanted: np.ndarray) -> None:
    for which, most, what in ((0, 90, "a latitude"), (1, 360, "a longitude")):
        values = (given.first, given.second)[which]
        limit = math.radians(most) * (1 + 1e-12)
        _require(given, wanted, ~(np.abs(values) > limit), (which,), f"needed {what} between -{most} and {most}°")


def _require(given: Given, wanted: np.ndarray, holds: np.ndarray, which: Sequence[int], needed: str) -> None:
    row = _first(wanted & ~holds)
    if row is not None:
        raise given.refusal(row, which, needed)


def _first(rows: np.ndarray) -> int | None:
    found = np.flatnonzero(rows)
    return int(found[0]) if len(found) else None
