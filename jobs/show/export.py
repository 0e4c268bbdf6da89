"""Results in files that others read: NetCDF whole, CSV and Parquet as one table."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xarray
from numpy.dtypes import StringDType

from engine import InputError
from engine.summary import summarize

_STATISTICS = ("mean", "mean_low", "mean_high", "median", "median_low", "median_high", "count", "excluded")
_SLAB = 2000
"""Realizations that are turned into rows at a time."""


def export(results: xarray.Dataset, output: Path, *, realizations: bool = False) -> str:
    """Write results to a .nc, .zarr, .csv or .parquet file; what was written, in words.

    .nc, .zarr: everything, as xarray has it, attributes and all. Tables: a row for each point and each value along the
    other dimensions, with means, medians, their 95 % intervals and counts of every variable; or, with `realizations`,
    the values themselves, a row for each stored realization. Units are in the headings, [m2]. Raises InputError.
    """
    if output.suffix == ".nc":
        return _netcdf(results, output)
    if output.suffix == ".zarr":
        return _zarr(results, output)
    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"output: given {str(output)!r}, needed a file ending in .nc, .zarr, .csv or .parquet")
    if output.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise InputError("Parquet needs pyarrow: pip install 'nearfield[ml]', or write .csv")
    names = _varying(results)
    if not names:
        raise InputError("these results have no variable with a number for each realization")
    tables = _realizations(results, names) if realizations else iter([_means(results, names)])
    return _written(tables, output)


def _netcdf(results: xarray.Dataset, output: Path) -> str:
    installed = [engine for engine, package in (("netcdf4", "netCDF4"), ("h5netcdf", "h5netcdf")) if find_spec(package)]
    engine: Any = installed[0] if installed else "scipy"
    try:
        results.to_netcdf(output, engine=engine)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None
    return f"{len(results.data_vars)} variables, by {engine}"


def _zarr(results: xarray.Dataset, output: Path) -> str:
    """Plain xarray, no store to be continued, in a folder that is not there yet: what a folder holds may be one."""
    if output.exists():
        raise InputError(f"output: {output} is there already: remove it, or choose another path")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Consolidated metadata")  # is not yet in the v3 specification
            plain = results.assign_coords(_with_text(results)).drop_encoding()
            plain.attrs.pop("nearfield_format", None)
            plain.to_zarr(output, mode="w-", zarr_format=3)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None
    return f"{len(results.data_vars)} variables, by zarr"


def _with_text(results: xarray.Dataset) -> dict[Any, Any]:
    """Names as text of any length, which is how Zarr has it; of a fixed width they are outside its specification."""
    names = {name: values for name, values in results.coords.items() if values.dtype.kind == "U"}
    return {name: (values.dims, values.values.astype(StringDType()), values.attrs) for name, values in names.items()}


def _varying(results: xarray.Dataset) -> list[str]:
    """Variables with a number for each realization."""
    return [
        str(name)
        for name, values in results.data_vars.items()
        if "realization" in values.dims and name != "complete" and values.dtype.kind in "fiu"
    ]


def _means(results: xarray.Dataset, names: list[str]) -> Any:
    """One row for each combination of what is no realization; shorter variables are repeated along what they lack."""
    columns = {}
    for name, values in _without_flags({name: results[name] for name in names}):
        whole = summarize(values, quantiles=(), complete=results.complete)
        for statistic in _STATISTICS:
            one = whole[statistic]
            columns[f"{name} {statistic}{_unit(one)}"] = one.variable
    kept = {dim: results[dim] for dim in results.dims if dim != "realization" and dim in results.coords}
    whole = xarray.Dataset(columns, kept)
    table = whole if whole.dims else whole.expand_dims("point")  # a table has a row, if there is one point alone
    return table.to_dataframe().reset_index().drop(columns="point", errors="ignore").rename(columns=_headings(kept))


def _without_flags(variables: dict[str, xarray.DataArray]) -> Iterator[tuple[str, xarray.DataArray]]:
    """A sum of flags, whose mean says nothing, as one variable a flag: 1 where it is raised."""
    for name, values in variables.items():
        if "flag_masks" not in values.attrs:
            yield name, values
            continue
        known = values.notnull()
        whole = values.where(known, 0).astype(int)
        masks, meanings = (str(values.attrs[part]).split() for part in ("flag_masks", "flag_meanings"))
        for mask, meaning in zip(masks, meanings, strict=True):
            yield f"{name} {meaning}", ((whole & int(mask)) > 0).astype(float).where(known)


def _realizations(results: xarray.Dataset, names: list[str]) -> Iterator[Any]:
    """Tables of stored realizations, some at a time."""
    dims = [dim for dim in results.dims if dim in results.coords]
    headings = _headings({dim: results[dim] for dim in dims}) | {n: f"{n}{_unit(results[n])}" for n in names}
    for start in range(0, results.sizes["realization"], _SLAB):
        part = results[[*names, "complete"]].isel(realization=slice(start, start + _SLAB)).load()
        table = part.drop_vars([name for name in part.coords if name not in dims]).to_dataframe().reset_index()
        yield table[table.complete].drop(columns="complete").rename(columns=headings)


def _headings(coordinates: dict[Any, xarray.DataArray]) -> dict[Any, str]:
    return {name: f"{name}{_unit(values)}" for name, values in coordinates.items()}


def _unit(values: xarray.DataArray) -> str:
    unit = str(values.attrs.get("units", ""))
    return f" [{unit}]" if unit and unit != "1" else ""


def _written(tables: Iterator[Any], output: Path) -> str:
    """Writes tables of the same columns one below the other."""
    rows, columns = 0, 0
    try:
        if output.suffix == ".csv":
            with output.open("w", newline="", encoding="utf-8") as file:
                for table in tables:
                    table.to_csv(file, index=False, header=not rows and not columns)
                    rows, columns = rows + len(table), table.shape[1]
        else:
            rows, columns = _parquet(tables, output)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None
    return f"{rows} rows of {columns} columns"


def _parquet(tables: Iterator[Any], output: Path) -> tuple[int, int]:
    import pyarrow
    import pyarrow.parquet

    writer, rows, columns = None, 0, 0
    try:
        for table in tables:
            part = pyarrow.Table.from_pandas(table, preserve_index=False)
            writer = writer or pyarrow.parquet.ParquetWriter(output, part.schema)
            writer.write_table(part)
            rows, columns = rows + len(table), table.shape[1]
    finally:
        if writer:
            writer.close()
    return rows, columns
