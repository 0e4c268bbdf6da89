"""Settings in a file mean what the options mean, and nonsense in one is one line."""

import json
import re
import sys
from pathlib import Path

import pytest
import toy

from engine import InputError
from jobs import main as command_line
from jobs.cli import named
from scenarios import leakage
from scenarios.leakage.estimation import fig3

TOML = """
realizations = 4000
seed = 3
chunk = 500

[set]
leakage = "spherical"
noise_dbm = [-65, -75.5]
n_snapshots = 7

[axis]
n_elements = [50, 100, 200]
"""


def written(folder: Path, text: str | bytes, name: str = "s.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", ["s.toml", "s.json"])
def test_a_file_means_what_the_options_mean(tmp_path: Path, name: str) -> None:
    import tomllib

    text = TOML if name == "s.toml" else json.dumps(tomllib.loads(TOML))
    by_file = named.changed(leakage.fig1, settings=[], axes=[], file=written(tmp_path, text, name))
    by_options = named.changed(
        leakage.fig1, settings=["leakage=spherical", "noise_dbm=-65,-75.5", "n_snapshots=7"],
        axes=["n_elements=50,100,200"], realizations=4000, seed=3, chunk=500,
    )  # fmt: skip
    assert by_file == by_options
    assert by_file.fingerprint() == by_options.fingerprint() != leakage.fig1.fingerprint()


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = written(tmp_path, TOML)
    sweep = named.changed(
        leakage.fig1, settings=["leakage=as_printed", "n_elements=64"], axes=["n_snapshots=2,3"], seed=9, file=path
    )
    assert sweep.scenario.leakage.name == "as_printed"
    assert sweep.scenario.n_elements == 64
    assert "n_elements" not in sweep.axes
    assert sweep.scenario.n_snapshots == (2, 3)
    assert (sweep.seed, sweep.realizations) == (9, 4000)


def test_an_estimator_can_be_described(tmp_path: Path) -> None:
    """What no command line can say."""
    text = """
    [[set.estimators]]
    class = "engine.estimators.least_squares:LeastSquares"
    leakage = "spherical"
    """
    sweep = named.changed(fig3, settings=[], axes=[], file=written(tmp_path, text))
    (estimator,) = sweep.scenario.estimators
    assert (type(estimator).__name__, estimator.leakage.name) == ("LeastSquares", "spherical")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sets]\nsize = 3", "no key 'sets'; did you mean 'set'"),
        ("size = 3", "no key 'size'; .*fields of the scenario belong into the table 'set'"),
        ("[set]\nsise = 3", "no field 'sise'; did you mean 'size'"),
        ("[set]\nsize = 'many'", "size: .*valid integer.*given 'many'"),
        ("[set]\nsize = [1, 2]", "size takes one value; sweep it with --axis size=1,2"),
        ("[set]\nsize = 1979-05-27", "size: "),
        ("set = 3", "set is 3, needed a table of field = value"),
        ("[axis]\noffset = 1.0", "axis offset is 1.0, needed a list of values"),
        ("[axis]\noffset = []", r"axis offset is \[\], needed a list of values"),
        ("[axis]\noffset = [1, 1]", "needed values that differ"),
        ("seed = 1.5", "seed is 1.5, needed a whole number"),
        ("seed = true", "seed is True, needed a whole number"),
        ("seed = -1", "seed: given -1"),
        ("seed = ", "not TOML: Invalid value"),
        ("a" * 300, "not TOML: "),
        (b"\xff\x00", "no text in UTF-8 .byte 0."),
        ("#" * (2**20 + 1), "given 1048577 bytes, needed at most 1048576"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[set]\nsize = " + "[" * 9 + "]" * 9, "nested too deeply, needed at most 8 levels"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_nonsense_is_one_clear_line(
    text: str | bytes, message: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    written(tmp_path, text)
    monkeypatch.setattr(sys, "argv", ["nearfield", "run", "toy:small", "--store", "x", "--settings", "s.toml"])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", error), error
    assert len(error) < 500
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON: "), ("[1]", "given a list, needed"), ('{"seed": 1, "seed": 2}', "a key is given twice"),
     ("[" * 200_000, "nested too deeply"), ('{"seed": ' + "9" * 5000 + "}", "not JSON: ")],
    ids=["open", "list", "twice", "deep", "long"],
)  # fmt: skip
def test_nonsense_in_json(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        named.changed(toy.small, settings=[], axes=[], file=written(tmp_path, text, "s.json"))


@pytest.mark.parametrize("path", ["nowhere.toml", ".", "/dev/zero", "", "\x00.toml", "x" * 4000, "s.yaml"])
def test_what_is_no_settings_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "seed = 1", "s.yaml")
    with pytest.raises(InputError, match="^settings: .*(no file|cannot read|needed a file ending)"):
        named.changed(toy.small, settings=[], axes=[], file=Path(path))


def test_a_store_alone_takes_no_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import engine

    engine.run(leakage.fig1.replace(realizations=1, axes={}, block=1), tmp_path / "s.zarr", serial=True)
    words = ["run", "--store", str(tmp_path / "s.zarr"), "--settings", str(written(tmp_path, "seed = 1"))]
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit):
        command_line.main()
    patch.undo()
    assert "--settings, --seed and --chunk describe a new sweep" in capsys.readouterr().err
