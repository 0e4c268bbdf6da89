"""Which rows are one sensor, and of how many snapshots."""

import re

import numpy as np
import pytest
from measurement_files import PLAIN, assert_plain, of

from engine import InputError
from jobs.cli.measurements.scatter import said_of_scatter

pytestmark = pytest.mark.usefixtures("elsewhere")


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
