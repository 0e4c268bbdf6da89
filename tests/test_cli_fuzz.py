"""Command lines put together at random: each ends well or with one line, never with a traceback."""

import random
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


def command(choose: random.Random) -> list[str]:
    value, pick = (lambda: choose.choice(VALUES)), choose.choice
    setting = lambda: pick([f"{pick(FIELDS)}={value()}", value()])  # noqa: E731
    sweep = lambda: pick(["leakage:fig1", "leakage:fig3", "leakage:fig1-as-printed", value()])  # noqa: E731
    store = lambda: pick(["one", "two", "three/four", value()])  # noqa: E731
    changes = [word for _ in range(choose.randint(0, 3)) for word in (pick(["--set", "--axis"]), setting())]
    number = [pick(["--seed", "--chunk", "--workers", "--realizations", "--backend", "--max-failures"]), value()]
    small = ["--serial", "--realizations", pick("123"), "--set", "n_sensors=3"]
    kinds: list[Callable[[], list[str]]] = [
        lambda: ["run", sweep(), "--store", store(), "--dry-run", *changes, *number],
        lambda: ["run", sweep(), "--store", store(), *small, *changes],
        lambda: ["run", "--store", store(), *number, "--serial"],
        lambda: ["status", store()],
        lambda: ["verify", store()],
        lambda: ["plot", store(), "-o", pick(["p.png", "p.svg", value()])],
        lambda: ["replay", store(), "--index", value(), "--point", setting()],
        lambda: ["map", "--range", value(), "--angle", value(), "--n-elements", value()],
        lambda: [value(), value()],
    ]
    return pick(kinds)()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
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
        lines = [line for line in capsys.readouterr().err.splitlines() if " realizations, " not in line]
        if codes[-1]:
            assert len(lines) == 1, words
            assert lines[0].startswith("nearfield: "), words
    assert {0, 1, 2} == set(codes)
