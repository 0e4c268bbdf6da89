"""Results leave as files that plain xarray and pandas read back to the same numbers, for every kind of scenario."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
from forgery import write_coordinate

import engine
from engine import InputError
from engine.store.integrity import Problem, verify
from engine.store.store import Store
from jobs.show.export import export
from scenarios import leakage

ARCHIVES = sorted((Path(__file__).parent / "golden").glob("*.zip"))


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.stem)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    path = tmp_path_factory.mktemp("golden") / "x.zarr"
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(path)
    return engine.open_results(path).load()


@pytest.mark.parametrize("kind", ["netcdf4", "h5netcdf", "scipy"])
def test_netcdf_by_every_engine_says_the_same(results: xarray.Dataset, tmp_path: Path, kind: str) -> None:
    results.to_netcdf(tmp_path / "x.nc", engine=kind)  # type: ignore[call-overload]
    with xarray.open_dataset(tmp_path / "x.nc", engine=kind) as back:  # type: ignore[arg-type]
        assert dict(back.sizes) == dict(results.sizes)
        assert set(back.variables) == set(results.variables)
        for name, values in results.variables.items():
            np.testing.assert_array_equal(back[name].values, values.values, err_msg=str(name))
            assert back[name].attrs == values.attrs, name
        assert {name: str(value) for name, value in back.attrs.items()} == {
            name: str(value) for name, value in results.attrs.items()
        }


def test_realizations_as_a_table(results: xarray.Dataset, tmp_path: Path) -> None:
    """Row by row the stored values, and no row for what is not stored."""
    export(results, tmp_path / "x.csv", realizations=True)
    table = pd.read_csv(tmp_path / "x.csv")
    bare = table.rename(columns=lambda heading: heading.partition(" [")[0])
    dims = [dim for dim in results.dims if dim in results.coords and dim in bare]  # others have no such variable
    stored = results.stack(row=list(results.complete.dims)).complete.values.sum()
    given = [one for one in results.data_vars.values() if "realization" in one.dims and one.dtype.kind in "fiu"]
    others = {dim for one in given for dim in one.dims} - set(results.complete.dims)
    assert len(table) == stored * np.prod([results.sizes[dim] for dim in others])
    for _, row in bare.iloc[:: max(1, len(bare) // 25)].iterrows():
        at = results.sel({dim: row[dim] for dim in dims}) if dims else results
        assert bool(at.complete)
        for name in set(bare) & set(results.data_vars):
            if at[name].ndim == 0:  # what has a dimension without coordinates has a row for each index along it
                np.testing.assert_allclose(row[name], float(at[name]), rtol=1e-12)


def test_means_as_a_table_are_those_of_summarize(results: xarray.Dataset, tmp_path: Path) -> None:
    for name in ("x.csv", "x.parquet"):
        export(results, tmp_path / name)
    table = pd.read_csv(tmp_path / "x.csv")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "x.parquet"), table, check_dtype=False, rtol=1e-12, check_column_type=False
    )
    name = next(name for name in results.data_vars if results[name].dtype.kind == "f")
    summary = engine.summarize(results[name], quantiles=())
    (heading,) = [column for column in table if column.startswith(f"{name} mean_high")]
    ends = summary.mean_high.values.ravel()
    assert set(table[heading].dropna().round(12)) <= set(ends[np.isfinite(ends)].round(12))
    unit = results[name].attrs.get("units", "1")
    assert heading.endswith(f"[{unit}]") == (unit != "1")


def test_a_sum_of_flags_has_a_share_for_each_flag(tmp_path: Path) -> None:
    """Its mean says nothing; of five estimates one was not stored."""
    flags = {"flag_masks": "1 2 4", "flag_meanings": "rival edge unfinished"}
    values = ("realization",), [0.0, 3.0, 2.0, 1.0, np.nan], flags
    results = xarray.Dataset({"self_check": values, "complete": ("realization", np.ones(5, dtype=bool))})
    export(results, tmp_path / "x.csv")
    (row,) = pd.read_csv(tmp_path / "x.csv").to_dict("records")
    assert [row[f"self_check {name} mean"] for name in ("rival", "edge", "unfinished")] == [0.5, 0.5, 0.0]
    assert row["self_check edge count"] == 4
    assert "self_check mean" not in row


def test_a_plain_zarr_reader_can_write_netcdf_too(tmp_path: Path) -> None:
    """A store of today, without this package: no attribute that a NetCDF file cannot hold."""
    engine.run(leakage.fig1.replace(axes={"n_sensors": (5,)}, realizations=50), tmp_path / "x.zarr", serial=True)
    xarray.open_zarr(tmp_path / "x.zarr").to_netcdf(tmp_path / "x.nc", engine="netcdf4")
    assert "coordinates" not in Store(tmp_path / "x.zarr").attributes
    write_coordinate(tmp_path / "x.zarr", "noise_dbm", np.array([-65.0, -70.0, -75.0, -80.0, -86.0]))
    problems = [item for item in verify(tmp_path / "x.zarr") if isinstance(item, Problem)]
    assert [problem.chunk for problem in problems] == ["noise_dbm"]


def test_nonsense_is_one_line(tmp_path: Path) -> None:
    data = xarray.Dataset({"x": ("realization", np.arange(3.0)), "complete": ("realization", np.ones(3, bool))})
    for output, message in (("x.xlsx", "needed a file ending in"), ("no/x.csv", "cannot write"), ("no/x.nc", "cannot")):
        with pytest.raises(InputError, match=message) as caught:
            export(data, tmp_path / output)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no variable with a number for each realization"):
        export(data.drop_vars("x"), tmp_path / "x.csv")
