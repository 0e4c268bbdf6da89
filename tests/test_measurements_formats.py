"""NetCDF, Parquet, and what is no table."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from measurement_files import PLAIN, of

from engine import InputError
from jobs.cli.measurements import read

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_netcdf_and_parquet_say_the_same_as_text() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    power = np.array([[1.0, 3.0], [2.0, np.nan], [5.0, 5.0]])
    data = {
        "Range": ("sensor", np.array([0.1, 0.101, 0.102]), {"units": "km"}),
        "angle_deg": ("sensor", np.array([90.0, 80, 70])),
        "rx power": (("sensor", "snapshot"), power, {"units": "mW"}),
        "temperature": ("time", np.zeros(5)),
    }
    xarray.Dataset(data, coords={"sensor": ["a", "b", "c"]}).to_netcdf("m.NC", engine="scipy")
    found = read("m.NC")
    assert found.names == ("a", "b", "c")
    assert found.range_m == pytest.approx([100, 101, 102])
    assert found.power_w == pytest.approx([2e-3, 2e-3, 5e-3])
    assert found.n_snapshots.tolist() == [2, 1, 2]
    assert found.remarks == ("ignored: column 'temperature'", "powers missing in 1 row, entry 4: 'NaN' (1)")
    rows = {
        "Sensor": np.repeat(["a", "b", "c"], 2).tolist(),
        "range [km]": np.repeat([0.1, 0.101, 0.102], 2),
        "angle_deg": pyarrow.array(["90,0", "90,0", "80,0", "80,0", "70,0", "70,0"]),
        "rx power [mW]": [1.0, 3.0, 2.0, None, 5.0, 5.0],
    }
    parquet.write_table(pyarrow.table(rows), "m.parquet")
    table = read("m.parquet")
    for ours, theirs in zip(table[:4], found[:4], strict=True):
        assert ours == pytest.approx(theirs)
    assert table.names == found.names
    parquet.write_table(pyarrow.table({"range_m": [1, -1], "angle_rad": [1, 1], "power_w": [1, 1]}), "n.parquet")
    places = {"range_m": [90.0, 91, 92, 93], "angle_rad": [1.0, 1, 1, 1], "power_w": [1.0, 2, 3, 4]}
    parquet.write_table(pyarrow.table({"sensor": [12345671, 12345672, 12345673, 12345671], **places}), "o.parquet")
    assert read("o.parquet").names == ("12345671@1", "12345672", "12345673", "12345671@2")
    with pytest.raises(InputError, match="row 2, range_m: given -1, needed a range above 0"):
        read("n.parquet")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.cli.measurements.arrays.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Parquet needs pyarrow: pip install 'nearfield\[ml\]', or save as CSV"):
        of(b"PAR1", name="m.parquet")


def test_netcdf_in_a_foreign_unit_is_refused() -> None:
    data = {
        "range_m": ("sensor", np.full(3, 0.1), {"units": "km"}),
        "angle_rad": ("sensor", np.ones(3)),
        "power_w": ("sensor", np.ones(3)),
    }
    xarray.Dataset(data).to_netcdf("m.nc", engine="scipy")
    with pytest.raises(InputError, match=r"m\.nc: range_m is in 'km', needed m"):
        read("m.nc")
    xarray.Dataset(data).rename(range_m="range", power_w="p").to_netcdf("n.nc", engine="scipy")
    with pytest.raises(InputError, match=r"'p' has no unit, needed dBm"):
        read("n.nc")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "none.csv is no file"),
        (".", None, "is a folder, needed a file"),
        ("\x00", None, "is no file"),
        ("m.xlsx", b"PK\x03\x04", "a workbook; needed a table: save its sheet as CSV"),
        ("m.csv", b"PK\x03\x04 ...", "an Excel workbook or another zip archive: save it as CSV"),
        ("m.csv", b"\x89HDF\r\n\x1a\n", "NetCDF 4: name it .nc"),
        ("m.csv", b"PAR1", "Parquet: name it .parquet"),
        ("m.json", b"{}", "needed a .csv, .tsv, .txt, .nc or .parquet file"),
        ("m.csv", bytes(range(256)), "line 1: given the control character .*, needed text: is it binary"),
        ("m.csv", b"\xff\xfe" + PLAIN.encode("utf-16-le") + b"x", "cut or damaged: byte .* needed the whole file"),
        ("m.csv", b'"a,b\n1,2\n', r"line 1: given a quote that does not close"),
        ("m.csv", b"", "is empty"),
        ("m.nc", b"not netcdf", "cannot read m.nc"),
        ("m.parquet", b"not parquet", "cannot read m.parquet: .*; needed a Parquet file"),
        (
            "m.csv",
            b"range_m,angle_deg,power_dbm\n100,90\n",
            "line 2: given 2 cells, needed 3: range_m, angle_deg, power_dbm",
        ),
        (
            "m.csv",
            b"range_m,angle_deg,power_dbm\n108,56,137,00,-84,62\n",
            "line 2: given 6 cells, needed 3: .*; are commas decimal signs",
        ),
        ("m.csv", b'range_m,angle_deg,power_dbm\n"100,90,-80\n', "line 2: given a quote that does not close"),
    ],
)
def test_what_is_no_table_is_one_line(name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read(name)
    assert "\n" not in str(raised.value)


def test_a_file_without_permission_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    Path("m.csv").write_text(PLAIN)
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(InputError, match=r"cannot read m\.csv: Permission denied"):
        read("m.csv")
