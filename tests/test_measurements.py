"""Files of measurements as instruments write them: what is read, what is said of it, what is refused, in one line."""

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from test_cli import nearfield

from engine import InputError
from jobs.cli.measurements import TEMPLATE, Measurements, Place, place_of, read
from jobs.cli.measurements.meaning import meaning
from jobs.cli.measurements.scatter import said_of_scatter

ROWS = "100,90,-80\n101,80,-81\n102,70,-82\n"
TRIPLES = [(100, 90, -80), (101, 80, -81), (102, 70, -82)]
PLAIN = "range_m,angle_deg,power_dbm\n" + ROWS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def of(text: str | bytes, *columns: str, name: str = "m.csv", **options: Any) -> Measurements:
    """A file of this content, as it is read; columns as --column has them."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(name, dict(one.split("=", 1) for one in columns), **options)


def watts(dbm: float) -> float:
    return 1e-3 * 10 ** (dbm / 10)


def assert_plain(found: Measurements) -> None:
    assert found.range_m.tolist() == [100, 101, 102]
    assert found.angle_rad == pytest.approx(np.radians([90, 80, 70]))
    assert found.power_w == pytest.approx([watts(-80), watts(-81), watts(-82)])


# --- dialects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", " | "),
        PLAIN.replace(",", "   "),
        PLAIN.replace(",", " "),
        PLAIN.replace(",", " , "),
        PLAIN.upper(),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("100,90,-80\n", "100,90,-80,\n"),
        PLAIN.rstrip(),
        PLAIN + ",,\n;;\n"[:3],
        PLAIN + "\x1a",
        "# campaign, 5\n% another\n\n" + PLAIN,
        '"# campaign, as a spreadsheet saves it",,\n' + PLAIN,
        "sep=,\n" + PLAIN,
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        "# " + PLAIN,  # numpy.savetxt
        "# a line\n#" + PLAIN,
        re.sub(r"[^,\n]+", r'"\g<0>"', PLAIN),
        PLAIN.replace("100,90,-80", '"100,0";"90,0";"-80,0"')
        .replace(",8", ";8")
        .replace(",7", ";7")
        .replace(",-", ";-")
        .replace("m,", "m;")
        .replace("g,", "g;"),
        'Range [m],Angle [°],"Rx Power\n[dBm]"\n' + ROWS,
        "Range [m],Angle [Â°],Rx Power [dBm]\n" + ROWS,
        "range,angle,power\nm,deg,dBm\n" + ROWS,
        "range,angle,power\n[m],[°],[dBm]\n" + ROWS,
        "Range m,angle°,Rx Power (dBm)\n" + ROWS,
        "range_m,angle_deg,power_dBm\n" + ROWS.replace("-", "\N{MINUS SIGN}"),
        "range_m,angle_deg,power_dBm\n" + ROWS.replace("-", "–"),
        "range,angle,power\n" + re.sub(r"(\d+),(\d+),(-\d+)", r"\1 m,\2°,\3 dBm", ROWS),
        "rangeM,angleDeg,rxPowerdBm\n" + ROWS,
        PLAIN + "range_m,angle_deg,power_dbm\n",
    ],
)
def test_a_dialect_is_read(text: str) -> None:
    found = of(text)
    assert_plain(found)
    assert not any("missing" in remark for remark in found.remarks)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", ["m.csv", "m.CSV", "m.tsv", "m.txt", "m.Txt", "m.dat"])
def test_an_encoding_is_read(encoding: str, name: str) -> None:
    text = "Sensor;Range [m];Angle [°];Power [µW]\nNähe;100,5;90;1\nÉ2;101;80,5;2\nS3;102;70;3\n"
    found = of(text.encode(encoding), name=name)
    assert found.names == ("Nähe", "É2", "S3")
    assert found.range_m.tolist() == [100.5, 101, 102]
    assert found.power_w == pytest.approx([1e-6, 2e-6, 3e-6])


def test_lines_before_the_headings_are_named() -> None:
    found = of("Instrument: FSV 13\nSerial,1234\n\n" + PLAIN)
    assert_plain(found)
    assert found.remarks == ("left out: lines 1, 2, before the headings",)


def test_a_row_behind_a_hash_is_left_out_and_said() -> None:
    found = of(PLAIN + "#103,60,-83\n# checked, by, two\n")
    assert_plain(found)
    assert found.remarks == ("left out: line 5, behind a # or %",)
    with pytest.raises(InputError, match=r"headings alone, .*lines 2, 3, 4, behind a #"):
        of("sensor," + PLAIN.replace("\n1", "\n#1,1"))


def test_headings_in_the_middle_are_left_out_and_said() -> None:
    found = of(PLAIN + PLAIN.replace("10", "12"))
    assert len(found.names) == 6
    assert found.remarks == ("left out: line 5, the headings again",)


def test_a_last_number_that_may_be_cut_is_said() -> None:
    whole = "range_m,angle_deg,power_dbm,\n100,90,-80.25,\n101,80,-81.25,\n102,70,-82"
    said = "line 4 has no end, and fewer digits there than all others: is the file cut?"
    assert of(whole).remarks == (said,)
    for ended in (whole + "\n", whole + ".25", whole.replace("-81.25", "-81"), whole.replace("-80.25", "-80")):
        assert of(ended).remarks == ()


# --- decimal signs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x_m;y_m;power_mw\n100,5;1,125;1\n2,125;3;1\n3;4,5;1\n", [100.5, 2.125, 3]),
        ("x_m;angle;y_m;power_dbm\n100,500;0;1,125;-84,625\n2,125;0;3;-1\n3;0;4,500;-1\n", [100.5, 2.125, 3]),
        ("x_m;y_m;power_mw\n0,500;1,125;1\n2,125;3;1\n3;4,500;1\n", [0.5, 2.125, 3]),
        ("x_m;y_m;power_mw\n1,125;1,125;1,25e-9\n2,125;3;1\n3;4,500;1\n", [1.125, 2.125, 3]),
        ("x_m;y_m;power_mw\n1.125;1.125;1.250\n2.125;3;1\n3;4.500;1\n", [1.125, 2.125, 3]),
        ("x_m;y_m;power_dbm\n1.1253;1,125;-1\n2.125;3;-1\n3;4,5;-1\n", [1.1253, 2.125, 3]),  # each column its own
    ],
)
def test_a_decimal_sign_is_known(text: str, wanted: list[float]) -> None:
    found = of(text)
    assert found.range_m * np.sin(found.angle_rad) == pytest.approx(wanted)


AMBIGUOUS = "x_m;y_m;power_mw\n1,125;1,125;1\n2,125;3,125;1\n3,250;4,500;1\n"


def test_a_sign_that_may_part_thousands_is_asked_for() -> None:
    """1,125 m is a metre and a bit or a kilometre and a bit: nothing in the file says which."""
    with pytest.raises(InputError, match=r"line 2, x_m: given '1,125', needed to know .* thousands: --decimal"):
        of(AMBIGUOUS)
    assert of(AMBIGUOUS, decimal=",").range_m[0] == pytest.approx(math.hypot(1.125, 1.125))
    with pytest.raises(InputError, match=r"line 2, x_m: given '1,125', needed .*'\.' and none between thousands"):
        of(AMBIGUOUS, decimal=".")
    with pytest.raises(InputError, match=r"line 2, y_m: given '1\.125', needed to know"):
        of("x_m;y_m;power_mw\n1,5;1.125;1\n2,125;3.125;1\n3,250;4.500;1\n")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1,234.5", "needed a number without a sign between thousands"),
        ("1.234,5", "needed a number without a sign between thousands"),
        ("1,234,567", "needed a number without a sign between thousands"),
        ("1 234", "needed a number without a sign between thousands"),
        ("1'234", "needed a number without a sign between thousands"),
        ("1\u202f234", "needed a number without a sign between thousands"),
        ("100,5", "needed one decimal sign"),
        ("1_000", "needed a number"),
        ("٣", "needed a number"),
        ("0x10", "needed a number"),
        ("1e400", "needed a finite number"),
        ("5 km", "needed a number"),
    ],
)
def test_thousands_and_mixed_signs_are_refused(cell: str, message: str) -> None:
    text = f"x_m;y_m;power_mw\n100.5;1;1\n{cell};3;1\n3;4;1\n"
    with pytest.raises(InputError, match=rf"m\.csv: line 3, x_m: given {re.escape(repr(cell))}, {message}"):
        of(text)


# --- headings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "quantity", "unit"),
    [
        ("Power [dBm]", "power", "dBm"),
        ("Rx Power (dBm)", "power", "dBm"),
        ("RX POWER DBM", "power", "dBm"),
        ("rssi/dBm", "power", "dBm"),
        ("P_rx [pW]", "power", "pW"),
        ("Level, dBm", "power", "dBm"),
        ("Received signal strength in dBm", "power", "dBm"),
        ("power_mW", "power", "mW"),
        ("POWER_MW", "power", "mW"),
        ("powerMilliwatts", "power", "mW"),
        ("Power [\u03bcW]", "power", "µW"),
        ("Power {W}", "power", "W"),
        ("mean power [nW]", "power", "nW"),
        ("power [dBW]", "power", "dBW"),
        ("Range m", "range", "m"),
        ("Range [km]", "range", "km"),
        ("Distance (metres)", "range", "m"),
        ("R [ft]", "range", "ft"),
        ("distance to array [m]", "range", "m"),
        ("angle°", "angle", "deg"),
        ("Angle (degrees)", "angle", "deg"),
        ("THETA_RAD", "angle", "rad"),
        ("θ [°]", "angle", "deg"),
        ("X [m]", "x", "m"),
        ("pos y / m", "y", "m"),
        ("Latitude", "latitude", None),
        ("lat_deg", "latitude", "deg"),
        ("Latitude (N)", "latitude", None),
        ("Longitude [E] (°)", "longitude", "deg"),
        ("Power (avg) [dBm]", "power", "dBm"),
        ("LNG", "longitude", None),
        ("GPS Lon (°)", "longitude", "deg"),
        ("Sensor ID", "sensor", None),
        ("station", "sensor", None),
        ("node_no", "sensor", None),
        ("name", "sensor", None),
        ("n_snapshots", "snapshots", None),
        ("Number of snapshots", "snapshots", None),
        ("count", "snapshots", None),
        ("power", "power", None),
        ("range", "range", None),
    ],
)
def test_a_heading_is_understood(heading: str, quantity: str, unit: str | None) -> None:
    found = meaning(heading)
    assert found is not None
    assert (found.quantity, found.unit and found.unit.name) == (quantity, unit)


@pytest.mark.parametrize(
    "heading",
    [
        "tx_power_dbm",
        "Noise [dBm]",
        "power std [dBm]",
        "max power dBm",
        "azimuth_deg",
        "bearing",
        "phase [deg]",
        "height_m",
        "z_m",
        "snapshot",
        "id",
        "time",
        "frequency_hz",
        "power_m",
        "Longitude (N)",
        "range_deg",
        "Power [dBm/Hz] (dBm)",
        "user range m",
        "angle of arrival",
        "distance to user [m]",
        "sensors count",
        "",
        "°",
        "dBm",
    ],
)
def test_a_heading_that_may_mean_something_else_is_not_guessed(heading: str) -> None:
    assert meaning(heading) is None


def test_other_columns_are_ignored_by_name() -> None:
    found = of(
        "tx_power_dbm,range_m,comment,angle_deg,power_dbm,,azimuth_deg\n"
        + re.sub(r"(.*),(.*),(.*)\n", r"23,\1,ok,\2,\3,7,12\n", ROWS)
    )
    assert_plain(found)
    assert found.remarks == ("ignored: columns 'tx_power_dbm', 'comment', 'azimuth_deg', 6 (no heading)",)


def test_columns_are_what_the_user_says() -> None:
    text = "d,a,Rx Power [dBm],p2\n100,90,-80,1\n101,80,-81,2\n102,70,-82,3\n"
    assert_plain(of(text, "range_m=d", "angle_deg=A", "power_dbm=rx power[dbm]"))
    assert_plain(of(text, "range_m=1", "angle_deg=2", "power=3"))
    assert_plain(of(text.replace("Rx Power [dBm]", "what = this"), "range_m=d", "angle_deg=a", "power_dbm=what = this"))
    assert_plain(of(ROWS, "range_m=1", "angle_deg=2", "power_dbm=3"))
    assert (
        of("S1," + ROWS.replace("\n1", "\nS1,1"), "sensor=1", "range_m=2", "angle_deg=3", "power_dbm=4").names[1]
        == "S1@2"
    )
    other = of(text, "range_m=d", "angle_deg=a", "power_mw=p2")
    assert other.power_w == pytest.approx([1e-3, 2e-3, 3e-3])
    assert other.remarks == ("ignored: column 'Rx Power [dBm]'",)
    said = of(text, "range_m=d", "angle_deg=a", "power_dbw=Rx Power [dBm]")
    assert said.power_w[0] == pytest.approx(1e-8)
    assert said.remarks[0] == "Rx Power [dBm] is read in dBW, as --column says; its heading says dBm"
    assert_plain(
        of(
            "range_m,distance_m,angle_deg,power_dbm\n" + ROWS.replace("\n1", "\n7,1").replace("100,", "7,100,", 1),
            "range_m=distance_m",
        )
    )
    assert_plain(
        of("range_m,x_m,y_m,angle_deg,power_dbm\n100,1,1,90,-80\n101,1,1,80,-81\n102,1,1,70,-82\n", "range_m=range_m")
    )


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (
            "range,angle_deg,power_dbm\n" + ROWS,
            [],
            "'range' has no unit, needed m, km, cm, mm or ft: call it range_m, or",
        ),
        ("range_m,angle,power_dbm\n" + ROWS, [], "'angle' has no unit, needed deg or rad"),
        (
            "range_m,angle_deg,power\n" + ROWS,
            [],
            "'power' has no unit, needed dBm, dBW, W, mW, µW, nW or pW: call it power_dbm",
        ),
        ("range_m,angle_deg,power [dB]\n" + ROWS, [], r"power \[dB\] is in 'dB', needed dBm, dBW"),
        ("range_m,angle_deg,power [dBm/Hz]\n" + ROWS, [], "is in 'dBm/Hz', needed dBm"),
        (
            "range_m,angle_deg,tx_power_dbm\n" + ROWS,
            [],
            "no column that is certainly the received power, .* columns: range_m, angle_deg, tx",
        ),
        ("range_m,angle_deg\n100,90\n", [], "no column that is certainly the received power"),
        (
            "range_m,azimuth_deg,power_dbm\n" + ROWS,
            [],
            "needed positions as range_m .* columns: range_m, azimuth_deg, power_dbm; say which",
        ),
        ("angle_deg,power_dbm\n90,-80\n", [], "needed positions as range_m"),
        (
            "range_m,angle_deg,power_dbm,power_mw\n100,90,-80,1\n",
            [],
            "given 2 columns for power: 'power_dbm' and 'power_mw', needed one",
        ),
        (
            "range_m,angle_deg,power_dbm,power_dbm\n100,90,-80,-81\n",
            [],
            "given 2 columns for power: .* rows of their own",
        ),
        (
            "range_m,angle_deg,x_m,y_m,power_dbm\n100,90,100,0,-80\n",
            [],
            r"given two of them: range \+ angle and x \+ y",
        ),
        ("latitude,longitude,power_dbm\n52,13,-80\n", [], "needed the array's own place: --array"),
        (
            PLAIN,
            ["power_dbm=Level"],
            "--column power_dbm: given 'Level', which no columns are called, needed one of: range_m, angle",
        ),
        (PLAIN, ["power_dbm=9"], "given '9', which no columns are called"),
        (PLAIN, ["powr=power_dbm"], "--column powr: did you mean 'power_dbm'"),
        (PLAIN, ["power_dbm=1", "power_mw=2"], "--column power_mw: given power twice"),
        (
            ROWS,
            [],
            "line 1: given numbers, needed headings first, as range_m,.* columns, as --column range_m=1",
        ),
        ("S1,100,90,-80\nS2,100,80,-80\n", [], "line 1: given numbers, needed headings first"),
        ("range_m,angle_deg,power_dbm\n", [], "given headings alone, needed a line for each sensor"),
        ("# nothing\n% else\n", [], "given comments alone, needed a line of headings"),
        ("\n \n\n", [], r"m\.csv is empty, needed a line of headings"),
        ("", [], r"m\.csv is empty"),
    ],
)
def test_headings_that_do_not_do_are_refused(text: str, columns: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        of(text, *columns)
    assert "m.csv" in str(raised.value) or "--column" in str(raised.value)
    assert "\n" not in str(raised.value)


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "range_km,angle_deg,power_dbm\n0.1,90,-80\n0.101,80,-81\n0.102,70,-82\n",
        "range_ft,angle_deg,power_dbm\n" + "".join(f"{r / 0.3048!r},{a},{p}\n" for r, a, p in TRIPLES),
        "range_m,angle_rad,power_dbm\n" + "".join(f"{r},{math.radians(a)!r},{p}\n" for r, a, p in TRIPLES),
        "x_km,y_m,power_dbm\n"
        + "".join(
            f"{r * math.sin(math.radians(a)) / 1e3!r},{r * math.cos(math.radians(a))!r},{p}\n" for r, a, p in TRIPLES
        ),
    ],
)
def test_places_in_other_units(text: str) -> None:
    found = of(text)
    assert found.range_m == pytest.approx([100, 101, 102], rel=1e-12)
    assert found.angle_rad == pytest.approx(np.radians([90, 80, 70]), rel=1e-12)


def test_latitude_and_longitude() -> None:
    """A minute of latitude is a nautical mile, to 0.3 %; what is north of an array that faces east is on its left."""
    mile = 1 / 60 / 18.52
    text = f"lat,lon,power_dbm\n{0.0},{mile},-80\n{mile},{mile},-80\n{-mile},{mile},-80\n"
    found = of(text, place=place_of("0,0,90"))
    assert found.range_m == pytest.approx([100.19, 141.2, 141.2], rel=2e-3)
    assert np.degrees(found.angle_rad) == pytest.approx([90, 45, 135], abs=0.3)
    turned = of(text, place=place_of("0,0,45"))
    assert np.degrees(turned.angle_rad) == pytest.approx([135, 90, 180], abs=0.3)
    south = text.replace("lat", "lat_deg").replace("lon", "LONG [°]")
    assert of(south, place=Place(0.0, 360.0, 90.0)).range_m == pytest.approx(found.range_m, rel=1e-9)
    for longitude in (100.0, -130.0):  # the Earth is round
        east = longitude + mile
        around = f"lat,lon,power_dbm\n0,{east},-80\n{mile},{east},-80\n{-mile},{east},-80\n"
        elsewhere = of(around, place=Place(0.0, longitude, 90.0))
        assert elsewhere.range_m == pytest.approx(found.range_m, rel=1e-8)
        assert elsewhere.angle_rad == pytest.approx(found.angle_rad, rel=1e-8)
    both = of("lat,lon,x_m,y_m,power_dbm\n0,0,9,1,-80\n0,0,9,2,-80\n0,0,9,3,-80\n")
    assert both.remarks == ("ignored: columns 'lat', 'lon'",)


BAD_PLACES = [
    ("range_m,angle_deg,power_dbm", "-100,90,-80", "line 2, range_m: given '-100', needed a range above 0"),
    ("range_m,angle_deg,power_dbm", "0,90,-80", "line 2, range_m: given '0', needed a range above 0"),
    (
        "range_m,angle_deg,power_dbm",
        "100,190,-80",
        "line 2, angle_deg: given '190', needed an angle .* between 0 and 180",
    ),
    ("range_m,angle_deg,power_dbm", "100,-5,-80", "line 2, angle_deg: given '-5', needed an angle"),
    ("range_m,angle_rad,power_dbm", "100,90,-80", "line 2, angle_rad: given '90', .*; is it in degrees"),
    ("x_m,y_m,power_w", "-100,9,1e-12", "line 2, x_m: given '-100', needed a sensor ahead of the array, x > 0"),
    ("x_m,y_m,power_w", "0,9,1e-12", "line 2, x_m: given '0', needed a sensor ahead of the array"),
    (
        "lat,lon,power_dbm",
        "0,-0.001,-80",
        "line 2, lat, lon: given '0', '-0.001', needed a sensor ahead .* bearing",
    ),
    (
        "lat,lon,power_dbm",
        "13,52,-80",
        "line 2, lat, lon: .* within 30 km of the array: are latitude and longitude exchanged",
    ),
    ("lat,lon,power_dbm", "95,0,-80", "line 2, lat: given '95', needed a latitude between -90 and 90"),
    ("lat,lon,power_dbm", "0,400,-80", "line 2, lon: given '400', needed a longitude between -360 and 360"),
    (
        "range_m,angle_deg,power_dbm",
        ",90,-80",
        "line 2, range_m: given nothing, needed where the sensor stands, or no power",
    ),
    ("range_m,angle_deg,power_dbm", "100,n/a,-80", "line 2, angle_deg: given 'n/a', needed where the sensor stands"),
    ("range_m,angle_deg,power_dbm", "inf,90,-80", "line 2, range_m: given 'inf', needed a number"),
]


@pytest.mark.parametrize(("headings", "row", "message"), BAD_PLACES, ids=[message[:40] for *_, message in BAD_PLACES])
def test_places_that_cannot_be_are_refused(headings: str, row: str, message: str) -> None:
    place = place_of("0,0,90") if headings.startswith("lat") else None
    with pytest.raises(InputError, match=rf"^m\.csv: {message}"):
        of(f"{headings}\n{row}\n", place=place)


def test_along_the_axis_a_sensor_may_stand() -> None:
    found = of("range_m,angle_deg,power_dbm\n100,0,-80\n101,180,-81\n102,70,-82\n")
    assert found.angle_rad[:2].tolist() == [0, math.pi]
    assert len(of("range_m,angle_rad,power_dbm\n100,0,-80\n101,3.14159265358979325,-81\n102,1,-82\n").names) == 3


def test_where_nothing_was_heard_no_place_is_needed() -> None:
    found = of(PLAIN + ",,\n-1,90,\n103,200,n/a\n")
    assert_plain(found)


@pytest.mark.parametrize("text", ["52.5,13.4", "a,b,c", "91,0,0", "0,361,0", "0,0,361", "nan,0,0", "0,0,0,0", ""])
def test_no_place_of_an_array(text: str) -> None:
    with pytest.raises(InputError, match="needed the array's LATITUDE,LONGITUDE,BEARING"):
        place_of(text)


# --- missing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark",
    [
        "",
        " ",
        "n/a",
        "N/A",
        "NaN",
        "nan",
        "-nan",
        "NA",
        "null",
        "None",
        "-",
        "--",
        "---",
        "—",
        "-inf",
        "-Infinity",
        "#N/A",
        "#DIV/0!",
        "OVL",
        "Overload",
        "UNDER",
        "1.#QNAN",
        "9.91E+37",
        "9.9E37",
        "-9.9e37",
        "<NA>",
        "no signal",
    ],
)
def test_a_mark_for_missing(mark: str) -> None:
    found = of(PLAIN + f"103,60,{mark}\n")
    assert_plain(found)
    (missing, left_out) = found.remarks
    shown = "empty" if not mark.strip() else repr(mark.strip()) if float_or_none(mark) is None else "'.*9.*e.37'"
    assert re.fullmatch(rf"powers missing in 1 row, line 5: {shown} \(1\)", missing)
    assert left_out == "without a power, left out: sensor 4"


def float_or_none(text: str) -> float | None:
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


def test_a_stated_value_is_not_heard() -> None:
    text = PLAIN + "103,60,-120\n104,60,-120.0\n105,50,quiet\n106,40,-120.5\n"
    found = of(text, missing=["-120", "Quiet"])
    assert len(found.power_w) == 4
    assert found.remarks[0] == "powers missing in 3 rows, line 5, line 6, line 7: '-120' (2), 'quiet' (1)"
    with pytest.raises(InputError, match="line 7, power_dbm: given 'quiet', needed a number, or nothing"):
        of(text)
    assert of(PLAIN, missing=["-120"]).remarks == ("--not-heard -120: no power is that",)
    comma = of(text.replace(",", ";").replace(".", ","), missing=["-120,0", "quiet"])
    assert comma.power_w.tolist() == found.power_w.tolist()
    with pytest.raises(InputError, match="not heard: given nothing"):
        of(PLAIN, missing=[" "])
    assert of(PLAIN.replace("102", "120"), missing=["120"]).range_m[2] == 120  # of powers alone


def test_several_equal_powers_far_below_all_others_are_said() -> None:
    found = of(PLAIN + "103,60,-120\n104,60,-120\n")
    assert len(found.power_w) == 5
    assert found.remarks == (
        "2 powers are -120 dBm and all others far above: they are taken as heard; "
        "where that stands for none, --not-heard -120",
    )
    assert of(PLAIN + "103,60,-84\n104,60,-84\n").remarks == ()
    assert of(PLAIN + "103,60,-120\n").remarks == ()
    zeros = of("range_m,angle_deg,power_w\n100,90,0\n101,80,0\n102,70,1e-9\n")
    assert "--not-heard 0" in zeros.remarks[0]


@pytest.mark.parametrize(
    ("unit", "value", "message"),
    [
        (
            "mw",
            "-80",
            "line 2, power_mw: given '-80', needed a power in mW, not below 0: is it in dBm, or is σ² taken off",
        ),
        ("dbm", "inf", "line 2, power_dbm: given 'inf', needed a number"),
        ("dbm", "99999", "line 2, power_dbm: given '99999', needed a power in dBm that can be"),
        ("dbm", "ninety", "line 2, power_dbm: given 'ninety', needed a number, or nothing"),
        ("dbm", "-80 dB", "line 2, power_dbm: given '-80 dB', needed a number"),
        ("dbm", "<-110", "line 2, power_dbm: given '<-110', needed a number, or nothing"),
    ],
)
def test_powers_that_cannot_be_are_refused(unit: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^m\.csv: {re.escape(message)}"):
        of(f"range_m,angle_deg,power_{unit}\n100,90,{value}\n101,80,1\n102,70,2\n")


def test_powers_without_noise_may_be_negative() -> None:
    found = of("range_m,angle_deg,power_pw\n100,90,-1\n101,80,2\n102,70,3\n", may_be_negative=True)
    assert found.power_w == pytest.approx([-1e-12, 2e-12, 3e-12])
    assert found.scatter.freedom == 0


def test_a_mean_of_decibels_is_said() -> None:
    found = of("range_m,angle_deg,avg power [dBm]\n" + ROWS)
    assert found.remarks == (
        "'avg power [dBm]' is taken for the mean power; a mean of values in dBm would be up to 2.5 dB lower",
    )
    assert of("range_m,angle_deg,mean_power_mw\n100,90,1\n101,80,2\n102,70,3\n").remarks == ()


def test_cells_may_carry_their_unit() -> None:
    text = "range_m,angle_deg,power\n100 m,90,-80 dBm\n101 m,80,n/a\n102m,70,-82dBm\n103 m,60,-83.0 dBm\n"
    found = of(text)
    assert found.range_m.tolist() == [100, 102, 103]
    assert found.power_w == pytest.approx([watts(-80), watts(-82), watts(-83)])
    with pytest.raises(InputError, match=r"range_m is in m, its cells in km: needed one unit"):
        of(text.replace("m,", "km,").replace("range_km", "range_m"))
    with pytest.raises(InputError, match=r"line 2, power: given '-80 dBm'|'power' has no unit"):
        of(text.replace("-82dBm", "-82"))


# --- snapshots and sensors --------------------------------------------------------------------------------------------


def test_rows_of_a_name_are_averaged_in_watts() -> None:
    """−80 and −90 dBm are −82.6 dBm in the mean, not −85."""
    found = of(
        "sensor,range_m,angle_deg,power_dbm\nb,100,90,-80\na,101,80,-81\nb,100,90,-90\nc,102,70,-82\nb,100,90,\n"
    )
    assert found.names == ("b", "a", "c")
    assert found.power_w[0] == pytest.approx((1e-11 + 1e-12) / 2)
    assert found.n_snapshots.tolist() == [2, 1, 1]
    assert found.n_snapshots.dtype == np.int64
    assert found.range_m.tolist() == [100, 101, 102]


def test_rows_without_names_are_of_a_sensor_by_place() -> None:
    rng = np.random.default_rng(1)
    places = [(100.0, 90.0), (101.0, 90.0), (100.0, 91.0), (50.0, 30.0)]
    rows = [(r + rng.normal() * 1e-3, a, -80.0 - k) for k, (r, a) in enumerate(places) for _ in range(5)]
    rng.shuffle(rows)
    found = of(
        "range_m,angle_deg,power_dbm\n"
        + "".join(f"{r!r},{a!r},{p!r}\n" for r, a, p in map(tuple, map(np.ndarray.tolist, map(np.array, rows))))
    )
    assert sorted(found.n_snapshots.tolist()) == [5, 5, 5, 5]
    assert sorted(found.range_m) == pytest.approx([50, 100, 100, 101], abs=2e-3)
    assert found.names == ("1", "2", "3", "4")
    (said,) = found.remarks
    assert re.fullmatch(
        r"positions differ from row to row at 4 sensors, by up to 0\.00\d+ m from the mean, which is taken", said
    )


@pytest.mark.parametrize(("apart_m", "count"), [(0.01, 24), (0.3, 24), (1.5, 24), (6.0, 48), (30.0, 48)])
def test_one_name_at_two_places(apart_m: float, count: int) -> None:
    """Within a fiftieth of the range it is one sensor, whose positions jitter; beyond, two, and both are said."""
    lines = ["sensor,x_m,y_m,power_dbm"]
    lines += [f"s{k},{100},{20 * (k - 12) + apart_m * place},-80" for k in range(24) for place in (0, 1)]
    found = of("\n".join(lines))
    assert len(found.names) == count
    if count == 24:
        assert f"by up to {apart_m / 2:.2g} m from the mean" in found.remarks[0]
        assert (found.range_m * np.cos(found.angle_rad))[0] == pytest.approx(-240 + apart_m / 2, abs=0.01)
    else:
        assert found.names[:3] == ("s0@1", "s0@2", "s1@1")
        assert (
            found.remarks[0]
            == f"sensor s0 is at 2 places, up to {apart_m:.3g} m apart: taken for 2 sensors, s0@1 to s0@2"
        )
        assert found.remarks[-1] == "so are 19 other names at several places each"


def test_rows_without_names_whose_places_jitter_widely_are_said() -> None:
    rng = np.random.default_rng(2)
    rows = [(100 + rng.normal(), 20.0 * k + rng.normal() / 3) for k in range(1, 9) for _ in range(10)]
    found = of("range_m,angle_deg,power_dbm\n" + "".join(f"{r:.4f},{a:.4f},-80\n" for r, a in rows))
    assert len(found.names) > 60
    assert re.search(r"sensors without names stand in 8 groups: if each is one, whose", found.remarks[-1])
    assert of(PLAIN).remarks == ()


def test_a_name_that_walks_is_no_place() -> None:
    """Every step is small, the way is not: its mean would be nowhere."""
    lines = ["sensor,x_m,y_m,power_dbm", "a,100,0,-80", "b,90,0,-80"]
    found = of("\n".join([*lines, *(f"walker,100,{10 + y},-80" for y in range(60))]))
    assert len(found.names) == 62
    assert "sensor walker is at 60 places, up to 59 m apart" in found.remarks[0]


def test_names_at_one_place_and_rows_without_a_name() -> None:
    found = of("sensor,range_m,angle_deg,power_dbm\na,100,90,-80\nb,100,90,-80\nc,102,70,-82\n")
    assert len(found.names) == 3
    assert found.remarks == ("at the same place as another, and kept: sensors a, b",)
    with pytest.raises(
        InputError, match=r"line 3, sensor: given nothing, needed the sensor's name, as other rows have one"
    ):
        of("sensor,range_m,angle_deg,power_dbm\na,100,90,-80\n,100,90,-80\nc,102,70,-82\n")
    assert_plain(of("sensor," + PLAIN.replace("\n1", "\n,1")))


def test_a_place_said_once_is_that_of_the_name() -> None:
    found = of("sensor,range_m,angle_deg,power_dbm\na,100,90,-80\na,,,-80\nb,101,80,-80\nc,102,70,-82\na,,,-83\n")
    assert found.n_snapshots.tolist() == [3, 1, 1]
    assert found.remarks == ("2 rows without a position are where other rows of their sensor are",)
    with pytest.raises(InputError, match=r"line 3, range_m: given nothing, needed where the sensor stands"):
        of("sensor,range_m,angle_deg,power_dbm\na,100,90,-80\na,,,-80\na,150,90,-80\nb,101,80,-80\nc,102,70,-82\n")


def test_a_column_counts_snapshots() -> None:
    text = "sensor,range_m,angle_deg,power_mw,snapshots\n"
    text += "a,100,90,1,10\na,100,90,4,20\nb,101,80,2,50\nc,102,70,3,7\nd,103,60,,\n"
    found = of(text)
    assert found.n_snapshots.tolist() == [30, 50, 7]
    assert found.power_w[0] == pytest.approx(3e-3)
    assert found.states_snapshots
    assert found.remarks[-2] == "each row is the mean of as many snapshots as 'snapshots' says"
    for wrong in ("0", "2.5", "-1", "n/a"):
        with pytest.raises(InputError, match=rf"line 2, snapshots: given '{wrong}', needed the number of snapshots"):
            of(text.replace("1,10", f"1,{wrong}"))
    assert not of(PLAIN).states_snapshots


@pytest.mark.parametrize("signal", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("averaged", [1, 5, 50])
def test_rows_that_differ_more_than_their_snapshots_let_them_are_said(signal: float, averaged: int) -> None:
    """Never for means of as many snapshots as said, or more; always for rows of one that are said to be means of 50."""
    rng = np.random.default_rng(3)
    wave = signal**0.5 + (rng.normal(size=(20, 10, averaged)) + 1j * rng.normal(size=(20, 10, averaged))) / 2**0.5
    rows = np.mean(np.abs(wave) ** 2, axis=-1)
    text = "sensor,range_m,angle_deg,power_pw,count\n" + "".join(
        f"s{k},100,{60 + k},{power},{averaged}\n" for k, those in enumerate(rows) for power in those
    )
    assert said_of_scatter(of(text).scatter, 1) == []
    of_rows = of(text.replace("count", "ignored")).scatter
    assert of_rows.freedom == 180
    variance = (1 + 2 * signal) / (1 + signal) ** 2 / averaged
    assert of_rows.ratio == pytest.approx(variance, rel=0.35)
    assert said_of_scatter(of_rows, averaged) == []
    assert bool(said_of_scatter(of_rows, 50 * averaged)) == (50 * variance * averaged > 2.3)
    assert said_of_scatter(of(PLAIN).scatter, 50) == []


def test_too_few_sensors() -> None:
    with pytest.raises(
        InputError, match=r"given 2 sensors with a power, needed at least 3 .*powers missing in 1 row, line 4"
    ):
        of(PLAIN.replace("-82", "n/a"))


# --- other formats ----------------------------------------------------------------------------------------------------


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


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_template_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearfield("locate", "--template", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == TEMPLATE
    assert nearfield("locate", "--template", "new.csv", monkeypatch=monkeypatch) == 0
    found = read("new.csv")
    assert found.names == ("S1", "S2", "S3")
    assert found.n_snapshots.tolist() == [50, 50, 50]
    capsys.readouterr()
    for words, message in (
        ("--template new.csv", "there is such a file, needed a new name"),
        ("--template none/new.csv", "cannot write it: No such file or directory"),
        ("new.csv", "given 'new.csv', needed an option before it: --measurements new.csv"),
        (
            "--measurements new.csv --noise-dbm -80 --snapshots 50",
            "the file says of how many snapshots each row is the mean",
        ),
        ("--measurements new.csv --noise-dbm -80 --column x", "--column x: needed QUANTITY=HEADING"),
        ("--measurements new.csv --noise-dbm -80 --column power_w=3 --column power_w=4", "power_w is given twice"),
        ("--measurements new.csv --noise-dbm -80 --array 1,2", "needed the array's LATITUDE,LONGITUDE,BEARING"),
        (
            "--measurements new.csv --noise-dbm -80 --array 1,2,3",
            r"given positions as range \+ angle, .*--array .* is given",
        ),
        ("--measurements new.csv --noise-dbm -80 --decimal x", "decimal sign: given 'x', needed . or ,"),
    ):
        assert nearfield("locate", *words.split(), monkeypatch=monkeypatch) == 2
        assert re.fullmatch(rf"nearfield: .*{message}.*\n", capsys.readouterr().err), words


def test_options_reach_the_reader(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.txt").write_text(
        "lat;lon;Rx [dBm];who\n0;0,001;-80;a\n0,0001;0,001;-81;b\n0;0,0011;-82;c\n0;0,0012;-120;d\n"
    )
    words = ["--column", "power_dbm=rx [dbm]", "--column", "sensor=who", "--array", "0,0,90", "--not-heard", "-120"]
    assert nearfield("locate", "--measurements", "m.txt", "--noise-dbm", "-90", *words, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr()
    assert "nearfield: powers missing in 1 row, line 5: '-120' (1)\n" in said.err
    assert "nearfield: without a power, left out: sensor d\n" in said.err
    assert "3 sensors, 1 snapshots" in said.out
