"""Tables from files of arrays: NetCDF and Parquet."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from engine import InputError
from jobs.cli.measurements.table import Cells, Table


def netcdf(path: Path) -> Table:
    """A variable is a column, its attribute `units` its unit; dimensions are multiplied out. Raises InputError."""
    import xarray

    try:
        with xarray.open_dataset(path) as data:
            variables = {str(name): data[name].load() for name in (*data.coords, *data.data_vars)}
    except Exception as error:  # each of xarray's readers has errors of its own
        raise InputError(
            f"cannot read {path}: {_reason(error)}; NetCDF 4 needs 'pip install h5netcdf', or save as CSV"
        ) from None
    given = list(variables.values())

    def pick(wanted: Sequence[int]) -> list[Cells]:
        return [_cells(part.values.ravel()) for part in xarray.broadcast(*(given[i] for i in wanted))]

    units = tuple(str(values.attrs.get("units", "")).strip() for values in given)
    return Table(str(path), tuple(variables), units, pick, lambda row: f"entry {row + 1}")


def parquet(path: Path) -> Table:
    """A column is a column. Raises InputError, also where pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise InputError(f"{path}: Parquet needs pyarrow: pip install 'nearfield[ml]', or save as CSV")
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}; needed a Parquet file") from None

    def pick(wanted: Sequence[int]) -> list[Cells]:
        return [_cells(_numpy(table.column(i))) for i in wanted]

    names = tuple(str(name).strip() for name in table.column_names)
    return Table(str(path), names, ("",) * len(names), pick, lambda row: f"row {row + 1}")


def _numpy(column: Any) -> np.ndarray:
    """Numbers with NaN for null, all else as objects."""
    import pyarrow

    if pyarrow.types.is_decimal(column.type):
        column = column.cast(pyarrow.float64())
    if pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type):
        return np.asarray(column.to_numpy())
    return np.array(column.to_pylist(), dtype=object)


def _cells(values: np.ndarray) -> Cells:
    if values.dtype.kind in "fiu":
        return values
    return [
        "" if value is None else value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in values.tolist()
    ]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
