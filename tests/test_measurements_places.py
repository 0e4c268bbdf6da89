"""Where sensors stand, and where none can."""

import math

import numpy as np
import pytest
from measurement_files import PLAIN, TRIPLES, assert_plain, of

from engine import InputError
from jobs.cli.measurements import Place, place_of

pytestmark = pytest.mark.usefixtures("elsewhere")


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
