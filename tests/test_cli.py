"""The command line: what it prints, what it writes, and one line for every mistake."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy

import engine
from jobs import main as command_line

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "path", list(sys.path))


def nearfield(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of `nearfield WORDS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


NONSENSE = [
    ("run", "Missing option '--store'"),
    ("frobnicate", "No such command 'frobnicate'"),
    ("run leakage:fig1 --store x --colour red", "No such option: --colour"),
    ("run leakage:fig9 --store x", "no sweep named 'leakage:fig9' .* did you mean 'leakage:fig[13]'"),
    ("run nowhere:sweep --store x", "no sweep named 'nowhere:sweep' and no module 'nowhere'"),
    ("run fig1 --store x", "no sweep named 'fig1'"),
    ("run toy:smal --store x", "'toy:smal' is no sweep; did you mean 'toy:small'"),
    ("run leakage:fig1 --store x --set n_elements=1", "n_elements: .* greater than or equal to 2 .given '1'"),
    ("run leakage:fig1 --store x --set n_elements=many", "n_elements: .* valid integer"),
    ("run leakage:fig1 --store x --set n_element=64", "no field 'n_element'; did you mean 'n_elements'"),
    ("run leakage:fig1 --store x --set n_snapshots=0", "n_snapshots: needed snapshot counts of at least 1"),
    ("run leakage:fig1 --store x --set noise_dbm=nan", "noise_dbm: .* finite"),
    ("run leakage:fig1 --store x --set user_range_min_m=12", "user_range_min_m = 12 .* needed min < max"),
    ("run leakage:fig1 --store x --set user_range_min_m=1e-9", "nodes to average over, at most 10000"),
    ("run leakage:fig1 --store x --set leakage=cubic", "leakage: .*'spherical'"),
    ("run leakage:fig1 --store x --set prior_information=exact", "'exact' is infinite for Beta.2, 2."),
    ("run leakage:fig1 --store x --set carrier_hz=-1", "carrier_hz: .* greater than 0"),
    ("run leakage:fig1 --store x --set n_elements", "--set: given 'n_elements', needed field=value"),
    (
        "run leakage:fig1 --store x --set n_elements=64,128",
        "n_elements takes one value; sweep it with --axis",
    ),
    ("run leakage:fig1 --store x --axis n_sensors=", "--axis: given 'n_sensors='"),
    ("run leakage:fig1 --store x --axis n_sensor=10,20", "no field 'n_sensor'; did you mean 'n_sensors'"),
    ("run leakage:fig1 --store x --axis n_sensors=10,10", "needed values that differ"),
    ("run leakage:fig1 --store x --realizations 0", "realizations: given 0, needed an integer ≥ 1"),
    ("run leakage:fig1 --store x --realizations few", "Invalid value for '--realizations'"),
    ("run leakage:fig1 --store x --seed -1", "seed: given -1"),
    ("run leakage:fig1 --store x --chunk 7", "chunk: given 7, needed a multiple of the block"),
    ("run leakage:fig1 --store x --serial --workers 2", "a serial run has no workers"),
    ("run leakage:fig1 --store x --workers 0", "workers: given 0, needed at least 1"),
    ("run leakage:fig1 --store x --backend tpu", "backend: given 'tpu', needed 'cpu' or 'gpu'"),
    ("run leakage:fig1 --store x --target bcrlb_range_m:rel=0.1", "no variable .* did you mean 'bcrlb_range_m2'"),
    ("run leakage:fig1 --store x --target bcrlb_range_m2", "needed either rel=… or abs=…"),
    ("run leakage:fig1 --store x --target bcrlb_range_m2:rel=0.1 --target rel=0.1", "target: given 'rel=0.1'"),
    ("run leakage:fig1 --store x --max-seconds 0", "max_seconds: given 0.0, needed a positive number"),
    ("map --range 0.5 --angle 60", "range_m: given 0.5, needed more than the array's own"),
    ("map --range 5 --angle 180", "angle: given 180, needed degrees between 0 and 180"),
    ("map --range 5 --angle nan", "angle: given nan, needed degrees"),
    ("map --range 5 --angle 60 --carrier-hz 0", "carrier_hz: given 0, needed a positive frequency"),
    ("run --store toy.zarr --seed 3", "describe a new sweep: give its NAME"),
    (
        "plot toy.zarr -o picture.gif",
        "output: given 'picture.gif', needed a file ending in .png, .svg or .pdf",
    ),
    ("replay toy.zarr --index 40 --point offset=1", "index: given 40"),
    ("replay toy.zarr --index 1", "offset: not given, needed one of"),
    ("replay toy.zarr --index 1 --point offset=7", "offset: given 7.0, needed one of"),
]


@pytest.mark.parametrize(("words", "message"), NONSENSE, ids=[words for words, _ in NONSENSE])
def test_nonsense_is_one_clear_line_and_exit_code_2(
    words: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "toy.zarr" in words:
        engine.run(toy.small, "toy.zarr", serial=True)
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", printed.err), printed.err
    assert not Path("x").exists()


@pytest.mark.parametrize("words", ["status x", "verify x", "plot x -o x.png", "replay x --index 0", "run --store x"])
def test_a_store_that_is_not_there(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err == "nearfield: no store at x: check the path, or create one with 'nearfield run'\n"


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_is_not_there(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("run", "toy:small", "--store", "s", "--address", address, monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        rf"nearfield: cannot reach Ray at {address}: .*; start a cluster with 'ray start --head'.*", error
    )


def test_list_shows_the_named_sweeps(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearfield("list", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("leakage:fig1 ") for line in lines)
    assert all(re.match(r"\w+:\S+ +\S", line) for line in lines)


def test_dry_run_says_what_a_run_would_take_and_stores_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("run", "leakage:fig1", "--store", "x", "--dry-run", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "40 of up to 250 realizations" in text
    assert "2.7 MiB in 5 variables" in text
    assert re.search(r"estimate +\S+ s of one core's time", text)
    assert os.listdir() == []


def test_run_resume_status_verify_replay_plot(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's afternoon, on a sweep of their own."""
    assert (
        nearfield(
            "run",
            "toy:small",
            "--store",
            "s.zarr",
            "--serial",
            "--realizations",
            "12",
            monkeypatch=monkeypatch,
        )
        == 0
    )
    assert "36/36 realizations" in capsys.readouterr().err
    assert nearfield("run", "--store", "s.zarr", "--serial", "--realizations", "40", monkeypatch=monkeypatch) == 0
    assert nearfield("status", "s.zarr", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "120/120 realizations, 15/15 tasks" in text
    assert "offset[3], 40 realizations each, seed 0" in text
    assert nearfield("verify", "s.zarr", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "15 receipts checked, 0 damaged objects\n"
    assert nearfield("replay", "s.zarr", "--index", "7", "--point", "offset=1", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert text.endswith("equal bit for bit\n")
    assert text.count("\nx[item]: ") == 1
    assert nearfield("plot", "s.zarr", "-o", "s.svg", monkeypatch=monkeypatch) == 0
    assert Path("s.svg").stat().st_size > 10_000


def test_targets_are_shown_until_they_are_met(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "--serial --target peak[offset=1]:rel=0.05:least=20 --target power:rel=0.5:level=0.9:least=20"
    words = f"run toy:small --store s.zarr --realizations 2000 {target} --max-seconds 0.000001"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "3/3 points open" in printed.err
    assert "target       peak[offset=1]:rel=0.05:level=0.95:least=20\ntarget       power:rel=0.5:" in printed.out
    assert printed.out.count(" seconds ") == 3
    assert nearfield(*f"run --store s.zarr {target}".split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "about 0 more needed, 0/3 points open" in printed.err
    stopped = re.findall(r"^ (\d\.0) +(\d+) +(0\.\d\d) +target +–", printed.out, re.MULTILINE)
    assert {offset for offset, _, _ in stopped} == {"0.0", "1.0", "2.0"}
    assert nearfield("status", "s.zarr", monkeypatch=monkeypatch) == 0
    status = capsys.readouterr().out
    assert re.search(r"left +0 realizations", status)
    assert all(re.search(rf"^ {offset} +{count} +{excess} +target", status, re.MULTILINE)
               for offset, count, excess in stopped)  # fmt: skip
    assert nearfield("run", "--store", "s.zarr", "--serial", "--max-seconds", "1e-6", monkeypatch=monkeypatch) == 0
    assert nearfield("status", "s.zarr", monkeypatch=monkeypatch) == 0
    assert "\ntarget " not in capsys.readouterr().out


def test_verify_names_the_damage_and_repair_mends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.run(toy.small, "s.zarr", serial=True)
    chunk = Path("s.zarr/power/c/2/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert nearfield("verify", "s.zarr", "--repair", monkeypatch=monkeypatch) == 1
    assert "damaged: power/c/2/0/0: cannot be read" in capsys.readouterr().out
    assert nearfield("run", "--store", "s.zarr", "--serial", monkeypatch=monkeypatch) == 0
    assert nearfield("verify", "s.zarr", monkeypatch=monkeypatch) == 0


def test_map_draws_a_focal_point(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearfield("map", "--range", "5", "--angle", "60", monkeypatch=monkeypatch) == 0
    assert Path("leakage-map.png").stat().st_size > 50_000


@pytest.mark.slow
def test_fig3_prints_its_own_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = "reproduce leakage:fig3 --serial --realizations 20"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "Squared error of the range (m²)" in text
    assert "Claims (reproduced" in text
    assert Path("results/leakage-fig3.svg").exists()


def test_settings_and_axes_change_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "run leakage:fig1 --store s.zarr --serial --realizations 4 --chunk 50 --set n_sensors=5 --set transmit_dbm=20"
    )
    axes = "--axis leakage=spherical,as_printed --axis noise_dbm=-60,-90 --set n_snapshots=7"
    assert nearfield(*words.split(), *axes.split(), monkeypatch=monkeypatch) == 0
    results = engine.open_results("s.zarr")
    assert results.bcrlb_range_m2.dims == ("leakage", "realization", "noise_dbm", "n_snapshots")
    assert results.noise_dbm.values.tolist() == [-60.0, -90.0]
    assert results.n_snapshots.values.tolist() == [7]
    assert '"transmit_dbm":20.0' in results.attrs["scenario"]


def test_a_failing_scenario_is_one_line_and_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mystudy.py").write_text(
        "import toy\nsweep = toy.small.replace(scenario=toy.Troubled(trouble='raise'), name='')\n"
    )
    assert nearfield("run", "mystudy:sweep", "--store", "s.zarr", "--serial", monkeypatch=monkeypatch) == 1
    error = capsys.readouterr().err.splitlines()[-2:]
    assert error[0].startswith("nearfield: Troubled raised ZeroDivisionError: the third law (toy.py:")
    assert "Traceback" in Path(error[1].rpartition(" ")[2]).read_text()


@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_are_one_line_and_keep_what_is_done(tmp_path: Path, blow: signal.Signals, code: int) -> None:
    Path("mystudy.py").write_text(
        "import toy\nsweep = toy.small.replace(scenario=toy.Troubled(trouble='slow'), name='')\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{Path(engine.__file__).parent.parent}:{HERE}"}
    command = [sys.executable, "-m", "jobs", "run", "mystudy:sweep", "--store", "s.zarr", "--serial"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("s.zarr/receipts/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(blow)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert error.splitlines()[-1] == "nearfield: stopped; what was finished is kept, the same command continues"
    assert 0 < int(engine.open_results(tmp_path / "s.zarr").complete.sum()) < 120


@pytest.mark.slow
def test_reproduce_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The main job, small: local Ray, table, figure, and the same again finds everything done."""
    command = [
        sys.executable,
        *("-W", "error"),  # not for Ray's processes: the agents that come with ray[default] do warn, and end
        "-m",
        "jobs",
        "reproduce",
        "leakage:fig1",
        "--realizations",
        "60",
        "--workers",
        "2",
    ]
    root = Path(engine.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment["RAY_ADDRESS"] = "127.0.0.1:1"  # a cluster that died: no business of a local run's
    environment["TMPDIR"] = str(tmp_path / ("t" * 60))  # as long as a batch system's
    Path(environment["TMPDIR"]).mkdir()
    for _ in range(2):
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0, run.stderr
        assert "Bayesian Cramér-Rao bound on the range (m²), n_snapshots 50" in run.stdout
        assert "600/600 realizations" in run.stderr
    assert (tmp_path / "results/leakage-fig1.png").stat().st_size > 50_000
    assert (tmp_path / "results/leakage-fig1.svg").exists()
    assert engine.open_results(tmp_path / "results/leakage-fig1.zarr").complete.all()


@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_that_a_library_makes_another_error_of_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, blow: signal.Signals, code: int
) -> None:
    """As numba does where the signal comes while it compiles."""

    def compiles(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), blow)
            time.sleep(1)
        except BaseException:
            pass
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(engine, "iterate", compiles)
    assert nearfield("run", "leakage:fig1", "--store", "s.zarr", monkeypatch=monkeypatch) == code
    assert capsys.readouterr().err == "nearfield: stopped; what was finished is kept, the same command continues\n"
    with pytest.raises(RuntimeError, match="an author's own"):
        command_line._told(RuntimeError("an author's own"))


def test_a_dry_run_proposes_larger_chunks_where_storing_takes_longer_than_computing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "toy:small", "--store", "x", "--dry-run", "--realizations", "4000", "--chunk")
    assert nearfield(*words, "8", monkeypatch=monkeypatch) == 0
    found = re.search(r"^better +--chunk (\d+): .* (\d+) tasks instead of 1500$", capsys.readouterr().out, re.MULTILINE)
    assert found
    assert int(found[1]) % 4 == 0
    assert 16 <= int(found[1]) <= 1000
    assert int(found[2]) == 3 * -(-4000 // int(found[1]))
    assert nearfield(*words, found[1], monkeypatch=monkeypatch) == 0
    assert "better" not in capsys.readouterr().out
