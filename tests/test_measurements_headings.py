"""Which column is which quantity, in which unit."""

import re

import pytest
from measurement_files import PLAIN, ROWS, assert_plain, of

from engine import InputError
from jobs.cli.measurements.meaning import meaning

pytestmark = pytest.mark.usefixtures("elsewhere")


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
