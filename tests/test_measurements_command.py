"""The template, and that options of `nearfield locate` reach the reader."""

import re
from pathlib import Path

import pytest
from test_cli import nearfield

from jobs.cli.measurements import TEMPLATE, read

pytestmark = pytest.mark.usefixtures("elsewhere")


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
