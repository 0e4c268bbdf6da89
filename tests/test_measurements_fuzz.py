"""One campaign in random dialects is read as the same numbers; a damaged file is refused, or read as what it says."""

import math
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from engine import InputError
from jobs.cli.measurements import Measurements, Place, read

PLACE = Place(52.5186, 13.3763, 38.0)


class Campaign(NamedTuple):
    """What there is to be read: a row is (sensor, range in m, angle in rad, power in W or None)."""

    rows: list[tuple[str, float, float, float | None]]
    is_named: bool


class Column(NamedTuple):
    heading: str
    cells: list[float | str | None]


def campaign(choose: random.Random) -> Campaign:
    sensors = [
        (f"S{k}", choose.uniform(20, 300), math.radians(choose.uniform(10, 170))) for k in range(choose.randint(4, 12))
    ]
    snapshots = choose.choice([1, 1, 3, 8])
    rows: list[tuple[str, float, float, float | None]] = []
    for name, range_m, angle_rad in sensors:
        for _ in range(snapshots):
            heard = choose.random() > 0.1
            rows.append((name, range_m, angle_rad, 10 ** choose.uniform(-13, -9) if heard else None))
    if choose.random() < 0.3:
        choose.shuffle(rows)
    return Campaign(rows, choose.random() < 0.6)


def expected(given: Campaign) -> dict[tuple[float, float], tuple[float, int]]:
    """(range, angle) → (mean power, snapshots) of the sensors with a power, by loops."""
    powers: dict[tuple[float, float], list[float]] = {}
    for _, range_m, angle_rad, power_w in given.rows:
        if power_w is not None:
            powers.setdefault((range_m, angle_rad), []).append(power_w)
    return {place: (sum(those) / len(those), len(those)) for place, those in powers.items()}


def latitude_longitude(range_m: float, angle_rad: float) -> tuple[float, float]:
    """Vincenty (1975), the direct problem on WGS84, from PLACE; angles count from what is left of who looks ahead."""
    bearing = math.radians(PLACE.bearing_deg) + angle_rad - math.pi / 2
    a, f = 6_378_137.0, 1 / 298.257223563
    b = a * (1 - f)
    tan_u = (1 - f) * math.tan(math.radians(PLACE.latitude_deg))
    cos_u = 1 / math.sqrt(1 + tan_u**2)
    sin_u = tan_u * cos_u
    sigma_1 = math.atan2(tan_u, math.cos(bearing))
    sin_alpha = cos_u * math.sin(bearing)
    squared = (1 - sin_alpha**2) * (a * a - b * b) / (b * b)
    big_a = 1 + squared / 16384 * (4096 + squared * (-768 + squared * (320 - 175 * squared)))
    big_b = squared / 1024 * (256 + squared * (-128 + squared * (74 - 47 * squared)))
    sigma = range_m / (b * big_a)
    for _ in range(20):
        twice = math.cos(2 * sigma_1 + sigma)
        sigma = range_m / (b * big_a) + big_b * math.sin(sigma) * (
            twice + big_b / 4 * math.cos(sigma) * (2 * twice**2 - 1)
        )
    sin_s, cos_s = math.sin(sigma), math.cos(sigma)
    latitude = math.atan2(
        sin_u * cos_s + cos_u * sin_s * math.cos(bearing),
        (1 - f) * math.hypot(sin_alpha, sin_u * sin_s - cos_u * cos_s * math.cos(bearing)),
    )
    turned = math.atan2(sin_s * math.sin(bearing), cos_u * cos_s - sin_u * sin_s * math.cos(bearing))
    c = f / 16 * (1 - sin_alpha**2) * (4 + f * (4 - 3 * (1 - sin_alpha**2)))
    twice = math.cos(2 * sigma_1 + sigma)
    longitude = turned - (1 - c) * f * sin_alpha * (sigma + c * sin_s * (twice + c * cos_s * (2 * twice**2 - 1)))
    return math.degrees(latitude), PLACE.longitude_deg + math.degrees(longitude)


POWERS = {
    "dBm": lambda watts: 10 * math.log10(watts / 1e-3),
    "dBW": lambda watts: 10 * math.log10(watts),
    "W": lambda watts: watts,
    "mW": lambda watts: watts / 1e-3,
    "uW": lambda watts: watts / 1e-6,
    "nW": lambda watts: watts / 1e-9,
    "pW": lambda watts: watts / 1e-12,
}
MISSING = ["", "n/a", "NaN", "NA", "null", "-", "--", "-inf", "#N/A", "OVL", "Overload", "#NV", "9.91E+37"]


def heading(choose: random.Random, words: list[str], unit: str) -> str:
    """Words and unit in some spelling and case."""
    word = choose.choice(words)
    if unit:
        word = choose.choice(
            [
                f"{word}_{unit}",
                f"{word} [{unit}]",
                f"{word} ({unit})",
                f"{word}({unit})",
                f"{word} {unit}",
                f"{word} / {unit}",
                f"{word} in {unit}",
                f"{word}[{unit}]",
            ]
        )
    return choose.choice([str, str.upper, str.lower, str.title])(word)


def position_columns(choose: random.Random, rows: list[Any]) -> tuple[list[Column], bool]:
    """Two columns, and whether they are latitudes and longitudes."""
    layout = choose.choice(["polar", "polar", "cartesian", "geographic"])
    if layout == "geographic":
        places = [latitude_longitude(range_m, angle_rad) for _, range_m, angle_rad, _ in rows]
        names = (["lat", "latitude", "Latitude [deg]", "LAT(°)"], ["lon", "lng", "Longitude", "long_deg"])
        return [
            Column(choose.choice(words), list(those))
            for words, those in zip(names, zip(*places, strict=True), strict=True)
        ], True
    length = choose.choice(["m", "m", "km", "ft"])
    scale = {"m": 1.0, "km": 1e3, "ft": 0.3048}[length]
    if layout == "cartesian":
        x = [range_m * math.sin(angle_rad) / scale for _, range_m, angle_rad, _ in rows]
        y = [range_m * math.cos(angle_rad) / scale for _, range_m, angle_rad, _ in rows]
        word = choose.choice(["{}", "pos {}", "sensor {}"])
        return [Column(heading(choose, [word.format(n)], length), list(v)) for n, v in (("x", x), ("y", y))], False
    angle = choose.choice(["deg", "°", "rad", "degrees"])
    turn = (lambda rad: rad) if angle == "rad" else math.degrees
    return [
        Column(
            heading(choose, ["range", "distance", "Sensor range", "dist"], length), [row[1] / scale for row in rows]
        ),
        Column(heading(choose, ["angle", "theta", "sensor angle"], angle), [turn(row[2]) for row in rows]),
    ], False


def columns_of(choose: random.Random, given: Campaign, marks: list[str]) -> tuple[list[Column], bool]:
    """In any order, with others between."""
    places, is_geographic = position_columns(choose, given.rows)
    unit = choose.choice(sorted(POWERS))
    powers = [choose.choice(marks) if row[3] is None else POWERS[unit](row[3]) for row in given.rows]
    named = "dBm" if unit == "dBm" and choose.random() < 0.3 else unit
    columns = [
        *places,
        Column(heading(choose, ["power", "rx power", "Received power", "level", "RSSI"], named), powers),
    ]
    if given.is_named:
        columns.append(
            Column(choose.choice(["sensor", "Sensor", "node", "STATION", "Sensor ID"]), [row[0] for row in given.rows])
        )
    for extra in choose.sample(
        ["comment", "time", "tx_power_dbm", "Noise [dBm]", "azimuth_deg", "id", "", "snapshot"], choose.randint(0, 3)
    ):
        columns.append(Column(extra, [choose.choice(["ok", "12:00", "3.5", "7"]) for _ in given.rows]))
    choose.shuffle(columns)
    return columns, is_geographic


def text_of(choose: random.Random, columns: list[Column], delimiter: str, sign: str, *, blanks: bool) -> str:
    """Lines, with what instruments put between them."""
    quoted = choose.random() < 0.2

    def cell(value: float | str | None) -> str:
        text = repr(value).replace(".", sign) if isinstance(value, float) else str(value)
        return f'"{text}"' if quoted or delimiter in text or (blanks and " " in text) or (not text and blanks) else text

    trailing = delimiter if not blanks and choose.random() < 0.2 and columns[-1].heading else ""
    comment = choose.choice(["#", "%"])
    lines = [f"{comment} a campaign, {choose.random()}" for _ in range(choose.randint(0, 3))]
    lines.append(delimiter.join(cell(column.heading) for column in columns) + trailing)
    for row in zip(*(column.cells for column in columns), strict=True):
        lines.append(delimiter.join(map(cell, row)) + trailing)
        lines += [""] * (choose.random() < 0.1) + [f"{comment} a remark"] * (choose.random() < 0.05)
    return "\n".join(lines) + choose.choice(["", "\n", "\n\n"])


def written(choose: random.Random, given: Campaign, marks: list[str] = MISSING) -> tuple[Path, bool]:
    """A file in a random dialect; whether it needs the array's place."""
    columns, is_geographic = columns_of(choose, given, marks)
    delimiter, sign = choose.choice(",;\t| "), choose.choice(".,")
    blanks = delimiter == " "
    if blanks:
        columns = [column for column in columns if column.heading]
        columns = [
            Column(column.heading.replace(" ", "_"), [cell or "n/a" for cell in column.cells]) for column in columns
        ]
        delimiter = "   "
    text = text_of(choose, columns, delimiter, sign, blanks=blanks)
    text = text.replace("\n", choose.choice(["\n", "\r\n", "\r"]))
    encoding = choose.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = Path("m" + choose.choice([".csv", ".tsv", ".txt", ".CSV", ".Txt"]))
    path.write_bytes((mark + text).encode(encoding))
    return path, is_geographic


def assert_same(found: Measurements, wanted: dict[tuple[float, float], tuple[float, int]]) -> None:
    assert len(found.power_w) == len(wanted)
    order = np.lexsort((found.angle_rad, found.range_m))
    for k, (place, (power_w, count)) in zip(order, sorted(wanted.items()), strict=True):
        assert found.range_m[k] == pytest.approx(place[0], rel=3e-8)
        assert found.angle_rad[k] == pytest.approx(place[1], rel=3e-8)
        assert found.power_w[k] == pytest.approx(power_w, rel=1e-9)
        assert found.n_snapshots[k] == count


@pytest.mark.parametrize("seed", range(40))
def test_every_dialect_is_read_alike(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    choose = random.Random(seed)
    for _ in range(10):
        given = campaign(choose)
        wanted = expected(given)
        path, is_geographic = written(choose, given)
        if len(wanted) < 3:
            continue
        found = read(path, place=PLACE if is_geographic else None)
        assert_same(found, wanted)
        if given.is_named:
            assert set(found.names) == {row[0] for row in given.rows if row[3] is not None}
        missing = sum(row[3] is None for row in given.rows)
        assert sum(f"missing in {missing} row" in remark for remark in found.remarks) == (missing > 0)
        path.unlink()


def damaged(choose: random.Random, text: str, delimiter: str) -> str:
    """A line's structure or a number broken, so that what it said cannot be known."""
    lines = text.split("\n")
    row = choose.randrange(1, len(lines))
    cells = lines[row].split(delimiter)
    which = choose.randrange(1, len(cells))  # the first is a name
    number = cells[which]
    inner = choose.randrange(1, max(2, len(number)))
    kind = choose.randrange(9)
    if kind == 0:
        return text[:-1].replace("\n", "\n\x00", 1)
    if kind == 1:
        lines[row] = delimiter.join(cells[:-1])
    elif kind == 2:
        lines[row] = delimiter.join([*cells, "7"])
    elif kind == 3:
        lines[0] = re.sub(r"_\w+?(?=\W|$)", "", lines[0])
    elif kind == 4:
        lines[row] = '"' + lines[row]
    elif kind == 5:
        lines = lines[1:]
    else:
        wrong = ["1,234.5", "1.234,5", "1'234.5", "1 234.5", "1_234.5", "0x1f", "1e999", "1.2.3", "١٢", "12,5"]
        cells[which] = (
            number[:inner] + choose.choice("abcxyz@$&?_:") + number[inner:] if kind < 8 else choose.choice(wrong)
        )
        lines[row] = delimiter.join(cells)
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_damaged_is_refused(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that names the file; it is never read as other numbers."""
    monkeypatch.chdir(tmp_path)
    choose = random.Random(seed)
    for _ in range(20):
        delimiter = choose.choice(";\t|")
        rows = [f"S{k}{delimiter}{100.5 + k!r}{delimiter}{50.25 + k!r}{delimiter}{-80.125 - k!r}" for k in range(6)]
        text = "\n".join([delimiter.join(["sensor", "range_m", "angle_deg", "power_dbm"]), *rows])
        Path("m.csv").write_text(damaged(choose, text, delimiter), encoding="utf-8")
        with pytest.raises(InputError, match=r"m\.csv") as raised:
            read("m.csv")
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 500


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_file_is_refused_or_said(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rows are as they were; a number that was cut is doubted aloud."""
    monkeypatch.chdir(tmp_path)
    choose = random.Random(seed)
    rows = [f"S{k},{100.123456 + k:.6f},{50.654321 + k:.6f},{-80.246813 - k:.6f}" for k in range(8)]
    whole = "\n".join(["sensor,range_m,angle_deg,power_dbm", *rows, ""]).encode()
    for cut in choose.sample(range(len(whole)), 40):
        Path("m.csv").write_bytes(whole[:cut])
        try:
            found = read("m.csv")
        except InputError:
            continue
        complete = whole[:cut].count(b"\n") - 1
        right = 1e-3 * 10 ** ((-80.246813 - np.arange(8)) / 10)
        n = len(found.power_w)
        is_right = np.isclose(found.power_w, right[:n], rtol=1e-12)
        assert is_right[:complete].all()
        assert is_right.all() or any("cut" in remark for remark in found.remarks)


@pytest.mark.parametrize("seed", range(10))
def test_junk_is_one_line(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    choose = random.Random(seed)
    alphabet = [
        "range_m",
        "angle_deg",
        "power_dbm",
        "x_m",
        "sensor",
        ",",
        ";",
        "\t",
        "|",
        " ",
        "\n",
        "\n",
        "1",
        "-80",
        "2.5",
        '"',
        "#",
        "°",
        "n/a",
        "sep=;",
        "-",
        "1e9",
        "é",
        "\x00",
    ]
    lines: list[str] = []
    for _ in range(100):
        content = (
            choose.randbytes(choose.randrange(200))
            if choose.random() < 0.3
            else "".join(choose.choice(alphabet) for _ in range(choose.randrange(80))).encode()
        )
        path = Path("m" + choose.choice([".csv", ".csv", ".csv", ".nc", ".parquet", ".tsv"]))
        path.write_bytes(content)
        columns = choose.choice([{}, {}, {"power_dbm": "1"}, {"range_m": "1", "angle_deg": "2", "power_dbm": "3"}])
        try:
            read(path, columns)
        except InputError as error:
            lines.append(str(error))
    assert not any("\n" in line for line in lines)
    assert len(lines) > 50
