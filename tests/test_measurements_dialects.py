"""Encodings, delimiters, lines before the headings: what is read as a table, and what is said of it."""

import re

import pytest
from measurement_files import PLAIN, ROWS, assert_plain, of

from engine import InputError

pytestmark = pytest.mark.usefixtures("elsewhere")


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
