"""Command lines and settings files put together at random: each ends well or with one line, never a traceback."""

import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import main as command_line

VALUES = [
    "", "0", "-1", "1", "2", "50", "1.5", "1e9", "1e-300", "1e300", "99999999999999999999", "nan", "inf", "-inf", "x",
    "None", "true", "1,2", "1,,2", "a,b", "{}", "[]", "'", "\x00", "é", " ", "../..", "/dev/null", "/dev/null/x", ":",
    ":x", "x:", "os:path", "leakage:fig1",
]  # fmt: skip
FIELDS = [
    "n_elements", "carrier_hz", "n_sensors", "noise_dbm", "n_snapshots", "leakage", "prior_information", "prior_alpha",
    "user_range_min_m", "user_angle_max_rad", "spacing_wavelengths", "estimators", "grid_ranges", "zzz",
]  # fmt: skip


JUNK = [
    b"", b"\x00", b"\xff\xfe\x00", b"{", b"[" * 100_000, b"{'a': 1}", b"nan", b"[set\n", b"a = 1 a = 2",
    b"x = 1979-05-27", b"[set]\n[set]", b'{"set": 1, "set": 2}', b'{"seed": ' + b"9" * 5000 + b"}", b"#" * 2**21,
    b"a" * 1000, b'{"set": ' + b'{"a": ' * 30 + b"1" + b"}" * 31, b"x = " + b"[" * 2000 + b"]" * 2000,
]  # fmt: skip


def settings_file(choose: random.Random) -> str:
    """The path of a file with settings: some that make sense, some that do not, some that are none."""
    pick = choose.choice
    if choose.random() < 0.1:
        return pick(["", ".", "/dev/null", "/dev/zero", "no.toml", "\x00", "x" * 5000, "one"])
    name = pick(["s.toml", "s.json", "s.json", "s.yaml", "s"] if choose.random() < 0.2 else ["s.toml", "s.json"])
    if choose.random() < 0.3:
        Path(name).write_bytes(pick(JUNK) if choose.random() < 0.7 else choose.randbytes(choose.randrange(300)))
        return name
    kinds = [*VALUES, 0, 1, 2, -1, 50, 1.5, 1e300, 10**30, True, [], {}, [1, 2], ["a", 3], [[1]], {"a": 1}]
    value = lambda: pick(kinds)  # noqa: E731
    table = lambda: {pick(FIELDS): value() for _ in range(choose.randint(0, 3))}  # noqa: E731
    several = lambda: pick([value(), [value(), value()], [10, 20]])  # noqa: E731
    axis = lambda: {pick(FIELDS): several() for _ in range(choose.randint(0, 2))}  # noqa: E731
    contents = {
        pick(["set", "set", "sets", ""]): pick([table(), table(), value()]),
        pick(["axis", "axis", "axes"]): pick([axis(), axis(), value()]),
        pick(["realizations", "seed", "chunk", "n_sensors"]): value(),
    }
    Path(name).write_text(toml(contents) if name.endswith(".toml") else json.dumps(contents))
    return name


def toml(contents: dict[str, object]) -> str:
    """Numbers, words, lists and one level of tables."""
    plain = [
        f"{json.dumps(key)} = {json.dumps(value)}" for key, value in contents.items() if not isinstance(value, dict)
    ]
    tables = [f"[{json.dumps(key)}]\n" + toml(value) for key, value in contents.items() if isinstance(value, dict)]
    return "\n".join([*plain, *tables])


def command(choose: random.Random) -> list[str]:
    value, pick = (lambda: choose.choice(VALUES)), choose.choice
    setting = lambda: pick([f"{pick(FIELDS)}={value()}", value()])  # noqa: E731
    sweep = lambda: pick(["leakage:fig1", "leakage:fig1", "leakage:fig3", "leakage:fig1-as-printed", value()])  # noqa: E731
    store = lambda: pick(["one", "two", "three/four", value()])  # noqa: E731
    changes = [word for _ in range(choose.randint(0, 3)) for word in (pick(["--set", "--axis"]), setting())]
    number = [pick(["--seed", "--chunk", "--workers", "--realizations", "--backend", "--max-failures"]), value()]
    settings = lambda: ["--settings", settings_file(choose)]  # noqa: E731
    cheap = lambda: pick(["leakage:fig1", "leakage:fig1-as-printed", value()])  # noqa: E731
    small = ["--serial", "--realizations", pick("123"), "--set", "n_sensors=3"]
    kinds: list[Callable[[], list[str]]] = [
        lambda: ["run", sweep(), "--store", store(), "--dry-run", *changes, *number],
        lambda: ["run", cheap(), "--store", store(), *small, *changes],
        lambda: ["run", sweep(), "--store", store(), "--dry-run", *settings(), *changes],
        lambda: ["run", sweep(), "--store", store(), "--dry-run", *settings()],
        lambda: ["run", "leakage:fig1", "--store", store(), *settings(), *small],
        lambda: ["run", "--store", store(), *number, "--serial"],
        lambda: ["run", "--store", store(), *settings(), "--serial"],
        lambda: ["report", store(), *pick([[], [store()]]), "-o", pick(["r.html", *VALUES])],
        lambda: ["status", store()],
        lambda: ["verify", store()],
        lambda: ["plot", store(), "-o", pick(["p.svg", *VALUES])],
        lambda: ["plot", store(), "-o", "p.svg", pick(["--x", "--hue", "--panel", "--metric", "--point"]), setting()],
        lambda: ["merge", store(), store(), "-o", pick(["m.nc", "m.zarr", *VALUES])],
        lambda: ["replay", store(), "--index", value(), "--point", setting()],
        lambda: ["map", "--range", value(), "--angle", value(), "--n-elements", value()],
        lambda: [value(), value()],
    ]
    return pick(kinds)()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_no_command_line_ends_in_a_traceback(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    choose = random.Random(seed)
    codes = []
    for _ in range(100):
        words = command(choose)
        monkeypatch.setattr(sys, "argv", ["nearfield", *words])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        codes.append(stopped.value.code)
        errors = capsys.readouterr().err.splitlines()
        lines = [line for line in errors if not re.match(r"\d+/\d+ realizations, ", line)]
        if codes[-1]:
            assert len(lines) == 1, words
            assert lines[0].startswith("nearfield: "), words
            assert len(lines[0]) < 1000, words
    assert {1, 2} <= set(codes) <= {0, 1, 2}
