"""A leakage model that somebody brings, from the scenario to the store and back."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import own_model
import pytest
from own_model import QUARTIC, TAPERED

import engine
from engine import InputError, Streams
from engine.estimators import LeastSquares
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_names import model_names
from jobs import main as command_line
from scenarios.leakage import LeakageBound, fig1
from scenarios.leakage.estimation import LeakageEstimation

MYSTUDY = """
from engine.numerics.element_sum import ElementSum, element_bandwidth_rad
from engine.numerics.leakage import LeakageModel
from own_model import quartic_path_difference
from scenarios.leakage import fig1

MY_MODEL = LeakageModel("mystudy:MY_MODEL", ElementSum(lambda *place: quartic_path_difference(*place)),
                        element_bandwidth_rad)
sweep = fig1.replace(name="mystudy:sweep")
"""
SMALL = "--serial --realizations 4 --chunk 50 --set n_sensors=5 --axis n_elements=20"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "s.zarr"
    engine.run(own_model.sweep, path, serial=True)
    return path


def test_a_store_names_the_model_and_is_read_back(stored: Path) -> None:
    results = engine.open_results(stored)
    assert results.complete.all()
    assert results.leakage.values.tolist() == ["own_model:QUARTIC", "spherical", "own_model:TAPERED"]
    assert engine.load_sweep(stored) == own_model.sweep
    assert '"leakage":"own_model:TAPERED"' in results.attrs["scenario"]
    for model in ("own_model:QUARTIC", "spherical", "own_model:TAPERED"):
        assert engine.replay(stored, 3, leakage=model).attrs["stored"] == "equal"


def test_a_store_of_ones_own_model_grows(tmp_path: Path) -> None:
    few = own_model.sweep.replace(realizations=2)
    engine.run(few, tmp_path / "s.zarr", serial=True)
    more = engine.load_sweep(tmp_path / "s.zarr").replace(realizations=4)
    grown = engine.run(more, tmp_path / "s.zarr", serial=True)
    whole = engine.run(few.replace(realizations=4), tmp_path / "w.zarr", serial=True)
    assert np.array_equal(grown.estimate_range_m.values, whole.estimate_range_m.values)


def test_workers_give_the_same_bits(stored: Path, local_ray: None, tmp_path: Path) -> None:
    apart = engine.run(own_model.sweep, tmp_path / "s.zarr")
    for name, values in engine.open_results(stored).data_vars.items():
        assert np.array_equal(values.values, apart[name].values, equal_nan=True), name


def test_models_give_numbers_of_their_own(stored: Path) -> None:
    bound = engine.open_results(stored).bcrlb_range_m2.values
    assert np.allclose(bound[0], bound[1], rtol=0.05)  # fourth order is nearly the sphere
    assert not np.array_equal(bound[0], bound[1])
    assert not np.allclose(bound[0], bound[2], rtol=0.05)


def test_a_name_and_its_record_are_one_identity() -> None:
    for name in model_names():
        scenario = LeakageBound(leakage=name)
        assert scenario.model_dump(mode="json")["leakage"] == name
        assert fig1.replace(scenario=LeakageBound(leakage=scenario.leakage)) == fig1.replace(scenario=scenario)
    by_path = LeakageBound(leakage="engine.numerics.leakage_models.spherical:SPHERICAL")
    assert by_path == LeakageBound(leakage=SPHERICAL)
    assert by_path.model_dump(mode="json") == LeakageBound(leakage="spherical").model_dump(mode="json")
    mine = [fig1.replace(scenario=LeakageBound(leakage=model)) for model in (QUARTIC, TAPERED, SPHERICAL)]
    assert len({sweep.fingerprint() for sweep in mine}) == 3
    assert LeastSquares(leakage=QUARTIC) == LeastSquares(leakage="own_model:QUARTIC")
    assert LeastSquares(leakage=QUARTIC).model_dump(mode="json")["leakage"] == "own_model:QUARTIC"


def test_a_model_that_moved_keeps_its_stored_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_model, "MOVED", {"own_model:OLD": "own_model:QUARTIC"}, raising=False)
    scenario = LeakageBound(leakage=QUARTIC)
    assert scenario.model_dump(mode="json")["leakage"] == "own_model:OLD"
    assert LeakageBound.model_validate(scenario.model_dump(mode="json")) == scenario


REFUSED: dict[str, tuple[Any, str]] = {
    "a typing error": ("sferical", "no leakage model of that name; did you mean 'spherical'"),
    "nothing like it": ("x", "choose one of \\['as_printed', .*'spherical'.*\\], or module:ATTRIBUTE"),
    "a table": ("ray_traced", "no leakage model of that name"),
    "no name": ("../x", "no leakage model of that name"),
    "a long name": ("x:" * 10**5, "no leakage model of that name"),
    "not a name": (3, "needed a LeakageModel, or the name of one"),
    "another attribute": ("own_model:QUARTICS", "there is no leakage model .*did you mean 'own_model:QUARTIC'"),
    "something else": ("own_model:sweep", "'own_model:sweep' is no leakage model"),
    "another module": ("trap:MODEL", "lies outside nearfield.*--import trap"),
    "a script's": (
        LeakageModel("__main__:MINE", own_model.tapered, TAPERED.bandwidth_rad), "was defined in a script: define it in"
    ),
    "not where it says": (
        LeakageModel("own_model:NOWHERE", own_model.tapered, TAPERED.bandwidth_rad), "there is no leakage model"
    ),
    "a short name outside": (
        LeakageModel("mine", own_model.tapered, TAPERED.bandwidth_rad), "needed a name 'module:ATTRIBUTE'.*given 'mine'"
    ),
    "another's name": (
        LeakageModel("spherical", own_model.tapered, TAPERED.bandwidth_rad), "'spherical', which is another model's"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_store_could_name_is_refused_in_one_line(what: str) -> None:
    given, message = REFUSED[what]
    with pytest.raises(InputError, match=f"^leakage: .*{message}") as refused:
        LeakageBound().replace(leakage=given)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 700
    if what != "a table":
        with pytest.raises(ValueError, match=message):
            LeastSquares(leakage=given)


def test_an_estimator_of_tables_is_suggested_them() -> None:
    with pytest.raises(ValueError, match="did you mean 'ray_traced'"):
        LeastSquares(leakage="raytraced")
    assert LeastSquares(leakage="ray_traced").model_dump(mode="json")["leakage"] == "ray_traced"


def test_a_record_that_is_pickled_is_the_module_s_own() -> None:
    """In another process that has imported nothing: workers are such."""
    scenario = LeakageEstimation(leakage=TAPERED, estimators=(LeastSquares(leakage=QUARTIC),), n_sensors=3)
    assert pickle.loads(pickle.dumps(scenario)).leakage is TAPERED
    code = (
        "import pickle, sys; scenario = pickle.loads(sys.stdin.buffer.read()); import own_model;"
        "assert scenario.leakage is own_model.TAPERED; assert scenario.estimators[0].leakage is own_model.QUARTIC;"
        "print(scenario.replace(n_sensors=4).leakage.name)"
    )
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(scenario), capture_output=True, env=here)
    assert told.stdout.decode().strip() == "own_model:TAPERED", told.stderr.decode()


@pytest.fixture
def mystudy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module beside the user, and what runs a command there."""
    (tmp_path / "mystudy.py").write_text(MYSTUDY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def nearfield(words: str) -> int:
        sys.modules.pop("mystudy", None)
        monkeypatch.setattr(sys, "argv", ["nearfield", *words.split()])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        return int(stopped.value.code or 0)

    yield nearfield
    sys.modules.pop("mystudy", None)


def test_the_command_line_names_ones_own_model(mystudy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = f"--store s.zarr {SMALL} --set leakage=mystudy:MY_MODEL"
    assert mystudy(f"run leakage:fig1 {asked}") == 2
    assert "'mystudy' yourself first (on the command line: --import mystudy)" in capsys.readouterr().err
    assert not Path("s.zarr").exists()
    assert mystudy(f"run leakage:fig1 {asked} --import mystudy") == 0
    assert mystudy("run --store s.zarr --serial --realizations 8") == 2
    assert mystudy("run --store s.zarr --serial --realizations 8 --import mystudy") == 0
    assert engine.open_results("s.zarr").sizes["realization"] == 8
    assert mystudy("replay s.zarr --index 7 --point n_elements=20 --import mystudy") == 0


def test_a_sweep_of_the_module_needs_no_import(mystudy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    axis = "--axis leakage=mystudy:MY_MODEL,spherical"
    assert mystudy(f"run mystudy:sweep --store s.zarr {SMALL} {axis}") == 0
    assert engine.open_results("s.zarr").leakage.values.tolist() == ["mystudy:MY_MODEL", "spherical"]
    assert mystudy(f"run mystudy:sweep --store t.zarr {SMALL} --set leakage=mystudy:MY_MODLE") == 2
    assert "did you mean 'mystudy:MY_MODEL'?" in capsys.readouterr().err


def test_an_axis_of_records_draws_what_the_records_draw() -> None:
    at = own_model.sweep.at((0,))
    assert isinstance(at, LeakageEstimation)
    assert at.leakage is QUARTIC
    drawn = at.draw(Streams(0, 0), 2)
    g, *_ = at.observe(np, drawn)
    other, *_ = at.replace(leakage=TAPERED).observe(np, drawn)
    assert not np.allclose(g, other, rtol=0.05)
