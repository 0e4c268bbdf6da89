"""What a sweep is told to be before it is run is what it is: every field, its limits, its dimensions, what it takes."""

import subprocess
import sys

import pytest

from engine import InputError, Scenario, Sweep
from jobs.cli import named
from jobs.show.description import tables_of
from jobs.show.estimate import estimated
from scenarios import leakage, multipath, ris

SWEEPS = [leakage.fig1, leakage.fig3, multipath.fig4, ris.fig10]


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)
def test_every_field_is_told(sweep: Sweep) -> None:
    dimensions, fields = tables_of(sweep)
    kind = type(sweep.scenario)
    told = {row[0]: row for row in fields.rows}
    assert list(told) == list(kind.model_fields)
    for name, field in kind.model_fields.items():
        assert told[name][4] == field.description
    assert all(told[axis][1].startswith("axis") for axis in sweep.axes)
    assert {row[0] for row in dimensions.rows} >= {*sweep.axes, "estimator", "realization"} - (
        {"estimator"} if sweep is leakage.fig1 else set()
    )


def test_limits_units_values_and_defaults_are_the_fields_own() -> None:
    rows = {row[0]: row for row in tables_of(leakage.fig3)[1].rows}
    assert rows["n_elements"][1:4] == ("100", "", "whole; ≥ 2; ≤ 100000")
    assert rows["carrier_hz"][2:4] == ("Hz", "> 0; ≤ 1×10¹³")
    assert rows["leakage"][1] == "spherical (default fresnel_closed)"
    assert rows["user_range_draw"][3] == "uniform, beta"
    assert rows["noise_dbm"][1:4] == ("−65, −70, −75, −80, −85", "dBm", "one or several")
    assert rows["estimators"][1].startswith("least_squares, maximum_likelihood, posterior_mean, amortised_deep_sets (")
    files = {row[0]: row for row in tables_of(multipath.fig4)[1].rows}["checkpoints"]
    assert files[1].startswith("multipath-set0.safetensors, multipath-set1.safetensors")
    near = {row[0]: row for row in tables_of(ris.fig4)[1].rows}["near_range_max_m"]
    assert near[1] == "none"


def test_what_a_run_takes_grows_with_it() -> None:
    small = leakage.fig1.replace(axes={"n_sensors": (5,)}, realizations=100)
    one, ten = estimated(small), estimated(small.replace(realizations=1000))
    assert ten.stored_bytes == 10 * one.stored_bytes == 1000 * (5 * 2 * 2 + 3 * 5) * 8
    assert one.seconds == pytest.approx(2 * one.block_seconds)
    assert ten.seconds == pytest.approx(20 * ten.block_seconds)
    assert one.point == {"n_sensors": 5}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jobs", *words], capture_output=True, text=True, timeout=200)


def test_commands_show_and_list() -> None:
    shown = run("show", "leakage:fig1", "--set", "n_elements=64", "--axis", "n_sensors=5,6", "--realizations", "50")
    assert shown.returncode == 0, shown.stderr
    assert "64 (default 100)" in shown.stdout
    assert "of one core's time, 0.0 MiB in 5 variables; 2 tasks" in shown.stdout
    assert "bcrlb_range_m2" in shown.stdout
    listed = run("list", "ris:*").stdout.split("\n")
    figures = [f"ris:fig{n}{printed}" for n in range(4, 12) for printed in ("", "-as-printed")]
    names = [line.split()[0] for line in listed if line]
    assert [name for name in names if name.startswith("ris:fig")] == ["ris:fig3", *figures]
    assert {"ris:power", "ris:remark1"} <= set(names)
    assert {line.split()[0] for line in run("list", "FIG3").stdout.splitlines()} >= {
        "leakage:fig3",
        "leakage:fig3-learned",
    }
    nothing = run("list", "zzz")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("nearfield: no named sweep fits 'zzz'")


def test_a_figure_without_its_family_is_understood() -> None:
    with pytest.raises(InputError, match=r"no sweep named 'fig1'; did you mean 'leakage:fig1'\?"):
        named.find("fig1")
    with pytest.raises(InputError, match=r"did you mean 'multipath:fig4' or 'ris:fig4'\?"):
        named.find("fig4")


class Bare(Scenario):
    """Has a field without a default: nothing to compare with."""

    size: int

    def draw(self, streams, size):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def prepare(self, xp):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def test_a_scenario_without_defaults_is_told_as_well() -> None:
    (row,) = tables_of(Sweep(Bare(size=3)))[1].rows
    assert row == ("size", "3", "", "whole", "size")
