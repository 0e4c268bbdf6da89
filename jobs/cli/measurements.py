"""Measurements of a field campaign from a CSV or NetCDF file: where sensors stood and what they received."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine import InputError
from engine.scenario import suggestion

_POSITIONS = (("range_m", "angle_deg"), ("range_m", "angle_rad"), ("x_m", "y_m"))
_POWERS = ("power_dbm", "power_mw", "power_w")
_KNOWN = ["sensor", "range_m", "angle_deg", "angle_rad", "x_m", "y_m", *_POWERS]
_UNITS = {
    "range_m": ("m",), "angle_deg": ("deg", "degree", "degrees"), "angle_rad": ("rad", "radian", "radians"),
    "x_m": ("m",), "y_m": ("m",), "power_dbm": ("dBm",), "power_mw": ("mW",), "power_w": ("W",),
}  # fmt: skip
_SAME = 9
"""decimals to which a sensor's rows agree in its position"""


class Measurements(NamedTuple):
    """What K sensors received, in the mean over the rows of each."""

    range_m: np.ndarray
    """(K,)"""
    angle_rad: np.ndarray
    """from the array's axis, (K,)"""
    power_w: np.ndarray
    """mean over the rows, (K,)"""
    rows: int
    """of each sensor"""
    left_out: list[str]
    """sensors without a power"""


def read(path: Path) -> Measurements:
    """A file's sensors and mean powers.

    Columns (CSV) or variables (NetCDF): a position as range_m and angle_deg or angle_rad from the array's axis, or as
    x_m ahead of the array and y_m along it; a power as power_dbm, power_mw or power_w; if wanted a name, sensor. Rows
    of the same place are snapshots of one sensor. A power that is missing or NaN leaves its row out.
    """
    if not path.is_file():
        raise InputError(f"measurements: {path} is no file")
    if path.suffix == ".csv":
        columns = _csv(path)
    elif path.suffix in (".nc", ".nc3", ".netcdf"):
        columns = _netcdf(path)
    else:
        raise InputError(f"measurements: given {path}, needed a .csv or .nc file")
    return _measurements(path, columns)


def _csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(map(str.strip, line)) and not line[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if len(lines) < 2:
        raise InputError(f"{path}: needed a line of column names and a line for each sensor, found {len(lines)} lines")
    names = [name.strip() for name in lines[0]]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(names):
            raise InputError(f"{path}: line {number} has {len(line)} entries, needed {len(names)}: {', '.join(names)}")
    return {
        name: np.array([line[i].strip() for line in lines[1:]])
        if name == "sensor"
        else np.array([_number(path, name, row, line[i]) for row, line in enumerate(lines[1:], start=2)])
        for i, name in enumerate(names)
    }


def _number(path: Path, name: str, row: int, text: str) -> float:
    if not text.strip() or text.strip().lower() in ("nan", "na", "-", "null"):
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: line {row}, {name}: given {text.strip()!r}, needed a number, or nothing") from None


def _netcdf(path: Path) -> dict[str, np.ndarray]:
    import xarray

    try:
        with xarray.open_dataset(path) as data:
            variables = {str(name): data[name].load() for name in (*data.coords, *data.data_vars)}
    except Exception as error:  # each of xarray's readers has errors of its own
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"cannot read {path}: {reason}; NetCDF 4 needs 'pip install h5netcdf', or save as CSV"
        ) from None
    known = {name: values for name, values in variables.items() if name in _KNOWN}
    for name, values in known.items():
        unit = values.attrs.get("units", "")
        if unit and unit not in _UNITS.get(name, (unit,)):
            raise InputError(f"{path}: {name} is in {unit!r}, needed {_UNITS[name][0]}, or another variable's name")
    if not known:
        return {str(name): np.zeros(0) for name in variables}
    (*parts,) = xarray.broadcast(*known.values())
    return {name: part.values.ravel() for name, part in zip(known, parts, strict=True)}


def _measurements(path: Path, columns: Mapping[str, np.ndarray]) -> Measurements:
    for name in columns:
        if name not in _KNOWN and path.suffix == ".csv":
            raise InputError(f"{path}: unknown column {name!r}; {suggestion(name, _KNOWN)}")
    range_m, angle_rad = _positions(path, columns)
    given = [name for name in _POWERS if name in columns]
    if len(given) != 1:
        raise InputError(f"{path}: needed one of {', '.join(_POWERS)}, found {' and '.join(given) or 'none'}")
    power_w = _in_watts(path, given[0], columns[given[0]])
    names = columns.get("sensor", np.array([f"{i + 1}" for i in range(len(power_w))]))
    seen = np.isfinite(power_w)
    for what, values in (("range", range_m), ("angle", angle_rad)):
        if not np.isfinite(values[seen]).all():
            raise InputError(f"{path}: a sensor with a power has no {what}: give its position, or leave its power out")
    left_out = list(dict.fromkeys(str(name) for name in names[~seen]))
    places = np.round(np.stack([range_m, angle_rad], axis=-1)[seen], _SAME)
    unique, which, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    if len(unique) < 3:
        raise InputError(f"{path}: {len(unique)} sensors with a power, needed at least 3 to find range and angle")
    if counts.min() != counts.max():
        raise InputError(
            f"{path}: sensors have between {counts.min()} and {counts.max()} snapshots with a power, needed as many of "
            f"each: leave the surplus out"
        )
    mean = np.bincount(which.ravel(), power_w[seen]) / counts
    return Measurements(unique[:, 0], unique[:, 1], mean, int(counts[0]), left_out)


def _positions(path: Path, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    complete = [pair for pair in _POSITIONS if pair[0] in columns and pair[1] in columns]
    if len(complete) != 1:
        raise InputError(
            f"{path}: needed positions as range_m and angle_deg, range_m and angle_rad, or x_m and y_m; found columns "
            f"{', '.join(columns)}"
        )
    first, second = (columns[name] for name in complete[0])
    if complete[0] == ("x_m", "y_m"):
        if np.any(first <= 0):
            raise InputError(f"{path}: x_m = {first[first <= 0][0]:g}: needed sensors ahead of the array, x_m > 0")
        range_m = np.hypot(first, second)
        return range_m, np.arccos(second / range_m)
    angle_rad = np.radians(second) if complete[0][1] == "angle_deg" else second
    if np.any(first <= 0):
        raise InputError(f"{path}: range_m = {first[first <= 0][0]:g}: needed positive ranges")
    outside = (angle_rad < 0) | (angle_rad > math.pi)
    if np.any(outside):
        raise InputError(
            f"{path}: {complete[0][1]} = {second[outside][0]:g}: needed angles from the array's axis, between 0 and "
            f"{'180' if complete[0][1] == 'angle_deg' else 'π'}"
        )
    return first, angle_rad


def _in_watts(path: Path, name: str, values: Any) -> np.ndarray:
    if np.any(np.isinf(values)):
        raise InputError(f"{path}: {name} holds an infinite value: leave what was not measured empty")
    if name == "power_dbm":
        return 1e-3 * 10 ** (np.asarray(values, dtype=float) / 10)
    if np.any(values < 0):
        raise InputError(f"{path}: {name} = {values[values < 0][0]:g}: needed powers, which are not negative; in dBm?")
    return np.asarray(values, dtype=float) * (1e-3 if name == "power_mw" else 1.0)
