"""Networks under multipath: users traced or stored, networks for each point or conditioned, and where they serve."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import nearfield

import engine
import scenarios
from engine import InputError, Streams, Sweep
from engine.estimators import LeastSquares, Observations, Workbench
from engine.estimators.deepsets import Checkpoint, ConditionedDeepSets, DeepSets
from engine.estimators.deepsets.checkpoint import SHIPPED
from engine.numerics.noncentral_chi2 import summed_power
from scenarios.figures.rows import SQUARED_ERRORS
from scenarios.learning.offer import Request
from scenarios.learning.options import TRAINING_SEED, Options
from scenarios.multipath import MultipathData, MultipathEstimation, fig4
from scenarios.multipath.conditioned import conditioned_round
from scenarios.multipath.rows import summary
from scenarios.multipath.tables import report
from scenarios.multipath.traced_set import TracedSet
from scenarios.multipath.training import conditioned_trainings, set_trainings
from scenarios.multipath.training_users import ExpectedPowers, TracedUsers, stored_users

pytest.importorskip("torch")

SMALL: dict[str, Any] = {"n_elements": 16, "sensor_sets": 2, "n_sensors": 6, "samples": 1000}
WORDS = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
COLLEGE = str(Path(scenarios.__file__).parent / "places/college.geojson")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """600 users of seed 9 in a yard of which a building stands among the users."""
    path = str(tmp_path_factory.mktemp("data") / "data.zarr")
    engine.run(Sweep(_scene(), realizations=600, seed=9, block=500, chunk=500), path, serial=True)
    return path


def _scene() -> MultipathData:
    wall = {"footprint": ((4, -6), (11, -6), (11, 6), (4, 6)), "height_m": 4, "material": "brick"}
    return MultipathData(**SMALL, surroundings={"name": "yard", "buildings": [wall]})


def _estimation(**changes: Any) -> MultipathEstimation:
    fields = {name: getattr(_scene(), name) for name in MultipathData.model_fields}
    estimators = (LeastSquares(leakage="ray_traced"),)
    return MultipathEstimation(**fields, grid_ranges=12, grid_angles=16, estimators=estimators).replace(**changes)


def test_stored_users_are_those_that_would_be_traced(store: str) -> None:
    stored = stored_users(store, _scene().replace(n_sensors=4), 550)
    traced = TracedUsers(_scene(), 9, 550)
    for number in range(2):
        for one, other in zip(stored.expected_powers(number), traced.expected_powers(number), strict=True):
            assert np.array_equal(one, other, equal_nan=True)
    data = TracedSet(_estimation(n_sensors=4), 1, stored)
    assert data.seed(3) == 9
    some, other = data.labelled(3, 100, 200), data.labelled(4, 100, 200)
    assert some.excluded > 10
    assert len(some.place) == 200 - some.excluded
    assert some.z.shape == (5, 2, len(some.place), 4)
    assert np.array_equal(some.place, other.place)
    assert not np.array_equal(some.z, other.z)
    power = traced.expected_powers(1).power[100:300, :4]
    power = power[np.isfinite(power[:, 0])]
    z = np.sign(some.z) * np.expm1(np.abs(some.z))  # has the mean P_t g/σ² and the variance (1 + 2 P_t g/σ²)/L
    expected = data.scenario.snr()[-1] * power
    error = (z[-1, 1] - expected) / np.sqrt((1 + 2 * expected) / 50)
    assert abs(error.mean()) < 4 / np.sqrt(error.size)
    assert abs(error.var() - 1) < 4 * np.sqrt(2.2 / error.size)
    assert abs((z[-1, 1] - 1.5 * expected).mean()) > 4 * np.sqrt((1 + 2 * expected).mean() / 50 / error.size)


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        ({"max_paths": 4}, 500, r"has max_paths = 20, and what is trained 4: needed the same, by --set here or there"),
        ({"n_sensors": 9}, 500, r"has n_sensors = 6, and what is trained 9: needed as many"),
        ({"surroundings": "campus"}, 500, r"has surroundings = yard, and what is trained campus"),
        ({"surroundings": {"name": "yard"}}, 500, r"surroundings = yard, and what is trained another yard"),
        ({}, 601, r"holds 600 users, needed 601 .*: nearfield run --store \S+ --realizations 601"),
    ],
)
def test_other_data_are_refused(store: str, changes: dict[str, Any], count: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        stored_users(store, _scene().replace(**changes), count)
    assert "\n" not in str(raised.value)


def test_rounds_are_addressed_and_noisy_as_the_scenario() -> None:
    random = np.random.default_rng(0)
    users = ExpectedPowers(random.exponential(size=(50, 6)).astype(np.float32) * 1e-9, random.random((50, 2)))
    data = TracedSet(_estimation(), 0, TracedUsers(_scene(), 1, 1))
    sensors = np.stack([np.linspace(100, 150, 6), np.linspace(0.6, 2.4, 6)])
    first, again, other = (conditioned_round(data, sensors, users, (3, 6), 5, n) for n in (2, 2, 3))
    assert np.array_equal(first.x, again.x)
    assert first.x.shape[:2] == (2048, 3)
    assert other.x.shape[1] == 6
    assert {round(10**value) for value in np.unique(first.x[..., 3]).tolist()} == {1, 50}


def test_networks_are_trained_and_used(store: str) -> None:
    """Both kinds from a store, side by side; elsewhere, and on their own users, they are refused in one line."""
    sweep = Sweep(_estimation(), {"n_sensors": (3, 6)}, realizations=8, block=4, chunk=8, name="t")
    options = Options(training=100, validation=50, test=50, epochs=1)
    folder = Path("nets")
    points = set_trainings(Request(sweep.replace(scenario=_estimation(noise_dbm=-75.0)), folder, options, store))
    fresh = Request(sweep, folder / "conditioned", replace(options, samples=2048), store)
    conditioned = conditioned_trainings(fresh)
    assert [one.name for one in points] == ["K3-set0", "K3-set1", "K6-set0", "K6-set1"]
    assert [one.name for one in conditioned] == ["multipath-set0", "multipath-set1"]
    for training in (*points, *conditioned):
        last = [report.text for report in training()][-1]
        assert "trained" in last
        assert "already trained" in [report.text for report in training()][-1]
    card = Checkpoint(path=str(folder / "K3-set1.safetensors")).read().card
    assert (card.seed, card.data) == (9, engine.load_sweep(store).fingerprint())
    assert sum(card.samples.values()) == 200
    assert card.samples["excluded"] > 5
    assert card.members[0].test_mse_range_m2 is not None

    both = _estimation(noise_dbm=-75.0, checkpoints=(str(folder), str(folder / "conditioned")))
    names = [one.name for one in both.all_estimators()]
    assert names == ["least_squares", "deep_sets", "conditioned_deep_sets"]
    judged = sweep.replace(scenario=both)
    results = engine.run(judged, "r.zarr", serial=True)
    kept = results.isel(realization=results.excluded.isel(n_sensors=0).values == 0)
    assert np.isfinite(kept.estimate_range_m).all()
    assert engine.load_sweep("r.zarr") == judged
    tables = report(results, summary(results))
    assert any("DeepSets told σ² and L, one a set: ratios" in table.title for table in tables)
    with pytest.raises(InputError, match="seed 9 drew the data that deep_sets was trained on"):
        both.draw(Streams(9, 0), 2)
    known = both.replace(checkpoints=(str(folder / "conditioned"),))
    with pytest.raises(InputError, match="trained with array_height_m = 2.0, given 2.4"):
        _used(known.replace(array_height_m=2.4), 6)
    with pytest.raises(InputError, match=r"P_t/σ² from 88 to 108 dB and 1 or 50 snapshots, given 83 dB and 1"):
        _used(known.replace(noise_dbm=-60.0), 6)
    with pytest.raises(InputError, match="was trained with seed 9, given"):
        list(conditioned_trainings(fresh._replace(data=None))[0]())


def _used(scenario: MultipathEstimation, n_sensors: int, order: Any = slice(None)) -> np.ndarray:
    """Estimates of the first set's conditioned network from powers that are noise alone."""
    estimator = ConditionedDeepSets(checkpoints=scenario.checkpoints, leakage="ray_traced")
    random = np.random.default_rng(2)
    noise = summed_power(np.zeros(n_sensors), random.standard_normal((1, n_sensors)), random.chisquare(1, n_sensors))
    range_m, angle_rad = (np.broadcast_to(part[0, :n_sensors][order], (1, n_sensors)) for part in scenario.sensors())
    seen = Observations(noise[:, order].reshape(1, 1, 1, -1), range_m, angle_rad)
    problem = scenario.replace(n_snapshots=1).problem()
    bench = Workbench(problem, np)
    batch = bench.batch(seen)
    place = estimator.prepare(bench)(batch)
    assert np.all(estimator.deviations(batch, place).range_m > 0)
    return np.stack(place).ravel()


def test_shipped_networks_serve_where_they_were_trained() -> None:
    scenario = fig4.scenario
    assert isinstance(scenario, MultipathEstimation)
    learned = scenario.all_estimators()[-1]
    assert learned.name == "conditioned_deep_sets"
    assert sum(path.stat().st_size for path in SHIPPED.glob("multipath-*.safetensors")) < 5e6
    for change in ({}, {"n_sensors": 20}, {"sensor_sets": 2}, {"samples": 5000}, {"noise_dbm": -72.0}):
        assert scenario.replace(**change).serves(learned), change
    for change in (
        {"n_elements": 99}, {"surroundings": COLLEGE}, {"n_sensors": 30}, {"sensor_sets": 6}, {"noise_dbm": -90.0},
        {"n_snapshots": 7}, {"max_depth": 1}, {"sensor_seed": 1},
    ):  # fmt: skip
        assert not scenario.replace(**change).serves(learned), change
    assert scenario.replace(checkpoints=()).all_estimators() == scenario.estimators
    with pytest.raises(InputError, match=f"seed {TRAINING_SEED} drew the data"):
        scenario.draw(Streams(TRAINING_SEED, 0), 1)
    scenario.replace(n_elements=99).draw(Streams(TRAINING_SEED, 0), 1)
    order = np.random.default_rng(1).permutation(40)
    one, other = (_used(scenario.replace(noise_dbm=-70.0), 40, here) for here in (slice(None), order))
    assert np.allclose(one, other, rtol=1e-4)
    assert abs(one[1] - np.pi / 2) < 0.7  # of noise alone, about what the prior says
    with pytest.raises(InputError, match="no checkpoint was trained for this set of 30 sensors"):
        _used(scenario.replace(noise_dbm=-70.0), 30)
    with pytest.raises(InputError, match="is conditioned: use it in ConditionedDeepSets"):
        DeepSets(checkpoints=scenario.checkpoints).prepare(Workbench(scenario.problem(), np))


def test_networks_are_compared_with_searches_user_by_user() -> None:
    """Twins whose errors share what is random: apart beyond the paired interval, though their own overlap."""
    import xarray

    from scenarios.multipath.tables import _beside

    random = np.random.default_rng(3)
    base = random.exponential(size=(1, 400, 1, 2))
    base[0, 7] = 300.0
    other = base * random.permutation(base.ravel()).reshape(base.shape)
    posterior = base.copy()
    posterior[0, 7] = np.nan  # who has no estimate is compared with nobody
    errors = np.stack([base, base * 0.9, posterior, other], axis=2)
    errors[..., 0] *= 5
    dims = ("n_sensors", "realization", "estimator", "noise_dbm", "n_snapshots")
    names = ["least_squares", "deep_sets", "posterior_mean", "conditioned_deep_sets"]
    coords = {"n_sensors": [20], "estimator": names, "noise_dbm": [-75.0], "n_snapshots": [1, 50]}
    results = xarray.Dataset(dict.fromkeys(SQUARED_ERRORS.values(), (dims, errors)), coords)
    assert _beside(results, []) == []
    first, second = _beside(results, ["deep_sets", "conditioned_deep_sets"])
    assert first.title.startswith("DeepSets of Table II, one a set: ratios of mean squared errors of the same users")
    assert first.headings[4:6] == ("range over least squares's", "range over posterior mean's")
    for row, n in zip(first.rows, (1, 50), strict=True):
        assert row[:4] == ("20", str(n), "-75", "400/399")
        assert row[5::2] == ("0.90 lower", "0.90 lower")
        assert {cell.split()[0] for cell in row[4::2]} == {"0.90"}
    assert [row[4].split()[1] for row in second.rows] == [
        "lower" if found.ratio_high < 1 else "higher" if found.ratio_low > 1 else "–"
        for found in (
            engine.compare(results.squared_error_range_m2.sel(n_snapshots=n).squeeze()).sel(
                estimator="conditioned_deep_sets", other="least_squares"
            )
            for n in (1, 50)
        )
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("multipath:conditioned --epochs 3", "sees every sample once: give --samples rather than"),
        ("multipath:conditioned --axis n_elements=16,32", "axis n_elements: networks are trained for one place and"),
        ("multipath:data", "nothing is trained on multipath:data: choose leakage:amortised, "),
    ],
)
def test_nonsense_is_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("train", *words.split(), monkeypatch=monkeypatch) == 2
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", capsys.readouterr().err)
