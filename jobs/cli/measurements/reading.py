"""From a file to measurements: its table, its columns, their numbers, its sensors."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from engine import InputError
from jobs.cli.measurements.arrays import netcdf, parquet
from jobs.cli.measurements.columns import choose_columns
from jobs.cli.measurements.delimited import delimited
from jobs.cli.measurements.missing import stated
from jobs.cli.measurements.positions import Given, positions
from jobs.cli.measurements.powers import in_watts, said_of_powers
from jobs.cli.measurements.quantities import Quantity, quantities, shown
from jobs.cli.measurements.record import Measurements, Place
from jobs.cli.measurements.scatter import UNKNOWN
from jobs.cli.measurements.sensors import Rows, placeless, sensors
from jobs.cli.measurements.table import Cells, Found, Table

_TEXT = (".csv", ".tsv", ".txt", ".dat")
_NETCDF, _PARQUET = (".nc", ".nc3", ".nc4", ".netcdf", ".cdf"), (".parquet", ".pq")
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")


def read(
    path: Path | str,
    columns: Mapping[str, str] | None = None,
    *,
    missing: Iterable[str | float] = (),
    place: Place | None = None,
    decimal: str | None = None,
    may_be_negative: bool = False,
) -> Measurements:
    """A file's sensors: places, mean powers, numbers of snapshots; docs/measurements.md is the format's page.

    columns: quantity with unit → heading or number from 1, where headings do not say, {"power_dbm": "Rx [dBm]"}.
    missing: what stands for a power that was not heard, in the file's unit. place: the array's, for latitudes and
    longitudes. decimal: "." or ",", where the file leaves it open. may_be_negative: powers from which σ² was taken off.
    Raises InputError, one line: file, line, column, what was given, what was needed.
    """
    path, absent = Path(path), stated(missing)
    if decimal not in (None, ".", ","):
        raise InputError(f"decimal sign: given {decimal!r}, needed . or ,")
    table = _table(path, columns or {})
    chosen = choose_columns(table, columns or {}, place is not None)
    cells = dict(zip(chosen.found, table.pick([one.column for one in chosen.found.values()]), strict=True))
    found = quantities(table, chosen.found, cells, absent, decimal)
    power = found["power"]
    power_w = in_watts(power, may_be_negative=may_be_negative, refusal=partial(power.refusal, table))
    heard = np.isfinite(power_w)
    range_m, angle_rad = _places(table, found, heard, place)
    rows = Rows(
        _names(table, chosen.found.get("sensor"), cells, heard),
        range_m,
        angle_rad,
        power_w,
        _snapshots(table, found, heard),
    )
    if (row := placeless(rows)) is not None:
        lacking = next(one for one in _of_places(found).values() if not np.isfinite(one.parsed.values[row]))
        raise lacking.refusal(table, row, "needed where the sensor stands, or no power")
    remarks = [*table.remarks, *chosen.remarks, *said_of_powers(table, power, absent)]
    if "snapshots" in found:
        label = table.label(found["snapshots"].column)
        remarks.append(f"each row is the mean of as many snapshots as {label!r} says")
    read_ = sensors(str(path), rows, remarks, states_snapshots="snapshots" in found)
    return read_._replace(scatter=UNKNOWN) if may_be_negative else read_  # without σ², deviations have no such bound


def _table(path: Path, columns: Mapping[str, str]) -> Table:
    kind = path.suffix.casefold()
    try:
        size = path.stat().st_size
    except (OSError, ValueError):  # no such name, or none that could be
        size = None
    if path.is_dir():
        raise InputError(f"measurements: {path} is a folder, needed a file")
    if size is None or not path.is_file():
        raise InputError(f"measurements: {path} is no file")
    if kind in _WORKBOOKS:
        raise InputError(f"measurements: given {path}, a workbook; needed a table: save its sheet as CSV")
    if kind not in (*_TEXT, *_NETCDF, *_PARQUET):
        raise InputError(f"measurements: given {path}, needed a .csv, .tsv, .txt, .nc or .parquet file")
    if not size:
        raise InputError(f"{path} is empty, needed a table of sensors: 'nearfield locate --template' shows one")
    return netcdf(path) if kind in _NETCDF else parquet(path) if kind in _PARQUET else delimited(path, columns)


def _of_places(found: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {name: one for name, one in found.items() if name not in ("power", "snapshots")}


def _places(
    table: Table, found: Mapping[str, Quantity], wanted: np.ndarray, place: Place | None
) -> tuple[np.ndarray, np.ndarray]:
    """Range and angle of each row, NaN where there is none, or none that could be and no power needs it."""
    (first, first_column), (second, second_column) = _of_places(found).items()
    both = (first_column, second_column)

    def refusal(row: int, which: Sequence[int], needed: str) -> InputError:
        label = ", ".join(table.label(both[i].column) for i in which)
        given = ", ".join(shown(both[i].cells, row) for i in which)
        return InputError(f"{table.source}: {table.where(row)}, {label}: given {given}, {needed}")

    given = Given((first, second), first_column.in_si(), second_column.in_si(), refusal)
    range_m, angle_rad = positions(given, wanted, place)
    stands = (range_m > 0) & (angle_rad >= 0) & (angle_rad <= np.pi)
    return np.where(stands, range_m, np.nan), np.where(stands, angle_rad, np.nan)


def _names(table: Table, found: Found | None, cells_of: Mapping[str, Cells], heard: np.ndarray) -> list[str] | None:
    """Of each row; None where there are none."""
    if found is None:
        return None
    cells = cells_of["sensor"]
    names = [_number_as_name(cell) for cell in cells] if isinstance(cells, np.ndarray) else [*map(str.strip, cells)]
    if not any(names):
        return None
    for row, name in enumerate(names):
        if not name and heard[row]:
            raise table.refusal(found.column, row, "nothing", "needed the sensor's name, as other rows have one")
    return names


def _number_as_name(number: np.generic) -> str:
    """
    >>> [_number_as_name(np.float64(value)) for value in (1234567, 2.5, "nan", "inf")]
    ['1234567', '2.5', '', 'inf']
    """
    value = number.item()
    if value != value:
        return ""
    return str(int(value)) if abs(value) < 2**63 and value == np.floor(value) else repr(value)


def _snapshots(table: Table, found: Mapping[str, Quantity], wanted: np.ndarray) -> np.ndarray:
    """That each row is the mean of."""
    if "snapshots" not in found:
        return np.ones(len(wanted))
    counts = found["snapshots"].parsed.values
    whole = (counts >= 1) & (counts == np.floor(counts)) & (counts < 2**53)
    for row in np.flatnonzero(wanted & ~whole):
        raise found["snapshots"].refusal(table, int(row), "needed the number of snapshots that the row is the mean of")
    return np.where(whole, counts, 1.0)
