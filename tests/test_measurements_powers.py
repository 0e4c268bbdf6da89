"""Powers: missing, not heard, impossible, averaged."""

import math
import re

import pytest
from measurement_files import PLAIN, ROWS, assert_plain, of, watts

from engine import InputError

pytestmark = pytest.mark.usefixtures("elsewhere")


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
