"""Family A under multipath: the factorised data set, its limit without reflections, the sweeps as a user runs them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import engine
import scenarios
from engine import InputError, Streams, Sweep
from engine.channels.quick import QuickChannels
from engine.channels.tracing import Tracer
from engine.estimators import LeastSquares, MaximumLikelihood, Observations, PosteriorMean, Problem, Workbench
from engine.estimators.doubt import Doubt
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import leakage
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.pattern import SearchGrid
from scenarios import multipath
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.multipath import MultipathData, MultipathEstimation, convergence
from scenarios.multipath import map as multipath_map
from scenarios.multipath.estimation import Draws
from scenarios.multipath.map import MultipathMap
from scenarios.multipath.scene import INDOORS, Traces, channels_to_users

COLLEGE = str(Path(scenarios.__file__).parent / "places/college.geojson")
SMALL: dict[str, Any] = {"n_elements": 32, "sensor_sets": 2, "samples": 2000, "n_sensors": 6}
LEVEL = {"array_height_m": 1.5}  # as user and sensors: family A's plane
IN_FREE_SPACE = {"max_depth": 0, "pattern": "isotropic", "beam": "phase_only", **LEVEL}


def test_expected_power_is_the_product_of_channels() -> None:
    """Against the definition in a loop, |h_kᴴ w|² with w = h/‖h‖."""
    scenario = MultipathData(**SMALL)
    users = scenario.draw(Streams(1, 0), 4)
    variables = scenario.prepare(np)(users)
    traces = Traces(scenario)
    h, paths, _ = traces.user_channels(users)
    assert np.all(paths > 3)
    for user in range(4):
        for number in range(2):
            for sensor in range(6):
                field = np.vdot(traces.sensor_h[number * 6 + sensor], h[user] / np.linalg.norm(h[user]))
                assert variables["expected_power"][1][user, number, sensor] == pytest.approx(abs(field) ** 2)


def test_line_of_sight_is_family_a() -> None:
    """With reflections off, on family A's own draws: its leakage and its estimates, where a wave reaches sensors as the
    plane one that family A takes it for; at 100 m, in between."""
    field = {"name": "field", "ground": None, "east_m": 2e5, "south_m": -2e5, "north_m": 2e5}
    fields: dict[str, Any] = {
        "n_sensors": 20, "noise_dbm": (-80.0,), "n_snapshots": (50,), "grid_ranges": 40, "grid_angles": 60,
        "sensor_range_min_m": 1e5, "sensor_range_max_m": 1.5e5, "transmit_dbm": 83.0,
    }  # fmt: skip
    ours = MultipathEstimation(
        **fields, **IN_FREE_SPACE, surroundings=field, sensor_sets=1, estimators=(LeastSquares(leakage="ray_traced"),)
    )
    theirs = LeakageEstimation(**fields, leakage="spherical", estimators=(LeastSquares(leakage="spherical"),))
    draws = theirs.draw(Streams(5, 0), 200)
    users = ours.draw_users(Streams(5, 0), 200)
    assert np.array_equal(users.user_range_m, draws.user_range_m)
    range_m, angle_rad = (np.tile(part, (200, 1)) for part in ours.sensors())

    def leaked(scene: MultipathEstimation) -> tuple[np.ndarray, np.ndarray]:
        """Over the path gain: as traced, and as family A says."""
        traces = Traces(scene)
        h, paths, _ = traces.user_channels(users)
        assert np.all(paths == 1)
        sensor_m, sensor_rad = scene.sensors()
        g = leakage(
            SPHERICAL, scene.array(), range_m=users.user_range_m[:, None], angle_rad=users.user_angle_rad[:, None],
            sensor_angle_rad=sensor_rad,
        ).value[:, 0]  # fmt: skip
        return traces.expected_power(h)[:, 0] / path_gain(sensor_m, scene.array().wavelength_m), g

    traced, g = leaked(ours)
    assert np.linalg.norm(traced - g) < 1e-3 * np.linalg.norm(g)
    traced, g = leaked(ours.replace(sensor_range_min_m=100.0, sensor_range_max_m=150.0))
    assert 0.01 < np.linalg.norm(traced - g) / np.linalg.norm(g) < 0.15

    placed = draws._replace(sensor_range_m=range_m, sensor_angle_rad=angle_rad)
    expected = theirs.prepare(np)(placed)["estimate_range_m"][1].ravel()
    simulate = ours.prepare(np)
    noise = draws.gaussian[:, :, None], draws.chi_square[:, :, None]
    found = simulate(Draws(*users, *noise))["estimate_range_m"][1].ravel()
    assert np.mean(np.abs(found - expected) < 1e-9) > 0.97
    other = simulate(Draws(*users, noise[0][::-1], noise[1]))["estimate_range_m"][1].ravel()
    assert np.mean(np.abs(other - expected) < 1e-9) < 0.8  # the test can fail


def test_estimators_over_a_table_search_it_all() -> None:
    """Least squares and likelihood against plain loops over a random table, and what cannot be is never chosen."""
    random = np.random.default_rng(8)
    grid = SearchGrid(2, 12, 0.6, 2.4, 12, 15)
    array = MultipathData().array()
    problem = Problem(array, grid, (1e9, 1e10), (1, 8))
    table = random.exponential(size=(grid.size, 7)) * 1e-9
    table[40:60] = np.nan
    chosen = random.choice(np.flatnonzero(np.isfinite(table[:, 0])), 9)
    statistic = random.noncentral_chisquare(
        2 * np.array([1, 8])[:, None], 2 * np.array([1, 8])[:, None] * np.array([1e9, 1e10])[:, None, None]
        * table[chosen][:, None, None, :],
    )  # fmt: skip
    bench = Workbench(problem, np, {"ray_traced": table})
    seen = Observations(statistic, np.full((9, 7), 120.0), np.full((9, 7), 1.0))
    batch = bench.batch(seen)
    nearest, likely = batch.nearest("ray_traced"), batch.likeliest("ray_traced")
    from engine.numerics.noncentral_chi2 import log_likelihood

    for b in range(9):
        for m, (snr, n) in enumerate(problem.observations()):
            s = statistic[b].reshape(4, 7)[m]
            distance = np.sum((s / (2 * n) - 1 - snr * table) ** 2, axis=-1)
            assert nearest[b, m] == np.nanargmin(distance)
            likelihood = np.sum(log_likelihood(s, 2 * n * snr * table, n), axis=-1)
            assert likely[b, m] == np.nanargmax(likelihood)
    for estimator in (
        MaximumLikelihood(leakage="ray_traced", steps=0),
        PosteriorMean(leakage="ray_traced", off_grid=False),
    ):
        found = estimator.prepare(bench)(batch)
        assert np.isfinite(found.range_m).all()
    with pytest.raises(InputError, match="only a scenario with surroundings tabulates"):
        Workbench(problem, np).search("free_space")
    with pytest.raises(ValueError, match="set steps=0"):
        MaximumLikelihood(leakage="ray_traced")
    with pytest.raises(ValueError, match="set off_grid=False"):
        PosteriorMean(leakage="free_space")


def _is_said_where_nobody_is_located(results: xarray.Dataset) -> None:
    from scenarios.multipath.figures import errors_against_noise
    from scenarios.multipath.rows import summary
    from scenarios.multipath.tables import report

    lost = (results.n_sensors == 3) & (results.estimator == "least_squares")
    poor = results.assign({name: results[name].where(~lost) for name in results if "squared_error" in str(name)})
    rows, before = summary(poor), summary(results)
    assert [(row.estimator, row.point) for row in rows] == [(row.estimator, row.point) for row in before]
    without = [row for row in rows if not row.samples]
    assert {row.excluded for row in without} == {results.sizes["realization"]}
    lines = [line for table in report(poor, rows) for line in table.rows if "none" in line]
    assert len(lines) == len(without) > 0
    points = len(without) // 2  # range and angle
    assert f"no estimate: least squares at {points} of {2 * points} points" in errors_against_noise(
        poor, rows
    ).get_suptitle().replace("\n", " ")


def test_fig4_resumes_and_says_whom_it_excludes(tmp_path: Path) -> None:
    """A small run in a real place, a building of which stands among the users, in two goes; the figure is drawn."""
    wall = {"footprint": ((4, -6), (11, -6), (11, 6), (4, 6)), "height_m": 4, "material": "brick"}
    scenario = MultipathEstimation(
        **SMALL, surroundings={"name": "yard", "buildings": [wall]}, grid_ranges=12, grid_angles=16
    )
    sweep = Sweep(scenario, {"n_sensors": (3, 6)}, realizations=8, block=4, chunk=4, name="t")
    engine.run(sweep, tmp_path / "r.zarr", serial=True)
    results = engine.run(sweep.replace(realizations=16), tmp_path / "r.zarr", serial=True)
    whole = engine.run(sweep.replace(realizations=16, chunk=16), tmp_path / "w.zarr", serial=True)
    for name in whole.data_vars:
        assert np.array_equal(whole[name].values, results[name].values, equal_nan=True), name
    excluded = results.excluded.isel(n_sensors=0).values
    assert INDOORS in excluded
    errors = results.squared_error_range_m2
    assert np.array_equal(np.isnan(errors.isel(n_sensors=0, sensor_set=0, estimator=0)[:, 0, 0]), excluded > 0)
    from scenarios.multipath.figures import errors_against_noise
    from scenarios.multipath.rows import summary
    from scenarios.multipath.tables import report

    rows = summary(results)
    row = rows[0]
    users = errors.sel(n_sensors=3, n_snapshots=1, noise_dbm=-65.0, estimator="least_squares").mean("sensor_set")
    users = users.values[excluded == 0]
    assert row.mse.value == pytest.approx(users.mean())
    assert np.log(row.mse.high / row.mse.value) > 1.9 * users.std(ddof=1) / np.sqrt(len(users)) / users.mean()
    tables = report(results, rows)
    checks = results.self_check
    assert np.all(checks.values[:, excluded > 0] == Doubt.NOT_FINITE)
    assert np.all((checks.sel(estimator="least_squares").values[:, excluded == 0]) == Doubt.UNCHECKED)
    assert not np.any(checks.sel(estimator="posterior_mean").values & Doubt.UNCHECKED)
    (doubts,) = (table for table in tables if "own check" in table.title)
    at = doubts.headings.index("estimates")
    assert doubts.rows[0][at : at + 2] == tuple(str(2 * int(one.sum())) for one in (excluded == 0, excluded > 0))
    assert {row.excluded for row in rows} == {int((excluded > 0).sum())}
    assert tables[-1].rows == [tuple(str(int((excluded == kind).sum())) for kind in range(3))]
    figure = errors_against_noise(results, rows)
    assert f"{int((excluded > 0).sum())} excluded: in a building" in figure.get_suptitle()
    assert "excluded, not finite: none" in figure.get_suptitle()
    figure.savefig(tmp_path / "fig4.png")
    _is_said_where_nobody_is_located(results)
    assert (tmp_path / "fig4.png").stat().st_size > 10_000
    assert engine.load_sweep(tmp_path / "r.zarr") == sweep.replace(realizations=16)


def test_workers_trace_the_same_bits(tmp_path: Path) -> None:
    """Two actors with one thread each, against this process."""
    sweep = Sweep(MultipathData(**SMALL, surroundings=COLLEGE), realizations=16, block=4, chunk=4)
    serial = engine.run(sweep, tmp_path / "serial.zarr", serial=True)
    shared = engine.run(sweep, tmp_path / "ray.zarr", workers=2)
    for name in serial.data_vars:
        assert np.array_equal(serial[name].values, shared[name].values, equal_nan=True), name
    replayed = engine.replay(tmp_path / "ray.zarr", 9)
    assert replayed.attrs["stored"] == "equal"
    assert serial.sensor_range_m.shape == (2, 6)


def test_map_of_any_place(tmp_path: Path) -> None:
    scenario = MultipathMap(surroundings=COLLEGE, n_elements=32, samples=1000, spacing_m=10.0)
    columns, rows = scenario.shape()
    assert (columns, rows) == (30, 20)
    column, row = scenario.lattice(np.arange(600))
    assert len({*zip(column.tolist(), row.tolist(), strict=True)}) == 600
    assert np.all(column[:150] % 2 == 0)
    sweep = Sweep(scenario, realizations=600, block=150, chunk=600, name="map")
    results = engine.run(sweep, tmp_path / "map.zarr", serial=True)
    beam = results.power_dbm.values[scenario.lattice(np.arange(600))[0].argsort(kind="stable")]
    assert np.isnan(beam).any()  # indoors
    multipath_map.leakage_over_the_area(results).savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="the point is in a building"):
        scenario.replace(focus_range_m=55.0, focus_angle_rad=0.96).prepare(np)
    with pytest.raises(InputError, match="the CPU, one thread a worker"):
        scenario.prepare(object())


def test_fewer_sensors_are_the_first_ones_and_all_are_in_sight() -> None:
    many, few = MultipathData(), MultipathData(n_sensors=7)
    for one, other in zip(many.sensors(), few.sensors(), strict=True):
        assert np.array_equal(one[:, :7], other)
    _, paths = Traces(many.replace(max_depth=0)).tracer.channels(many.sensor_position_m(*many.sensors())[0])
    assert np.all(paths == 1)
    with pytest.raises(InputError, match="0 of 1200 places for sensors are in the array's sight, needed 6"):
        MultipathData(**SMALL, sensor_range_min_m=400, sensor_range_max_m=401).sensors()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surroundings": "moon"}, "given 'moon', needed campus, campus:SEED or a GeoJSON file"),
        ({"surroundings": "moon.geojson"}, "cannot read moon.geojson: No such file"),
        ({"array_height_m": 4.0}, "user_height_m is 2.5 m off array_height_m: needed less than 1 m"),
        ({"user_range_min_m": 13.0}, "user_range_min_m = 13 and user_range_max_m = 12: needed min < max"),
        ({"max_depth": 9}, "max_depth: .*less than or equal to 6"),
        ({"carrier_hz": 90e9}, "carrier_hz"),
    ],
)
def test_nonsense_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        MultipathData().replace(**changes)
    assert "\n" not in str(raised.value)


def test_convergence_study_orders_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convergence, "SETTINGS", {"max_depth": (0, 1), "max_paths": (1, 1000)})
    scenario = MultipathData(**SMALL, max_depth=1)
    rows = {(row.setting, row.value): row for row in convergence.study(scenario, 6)}
    assert rows["max_depth", 1].worst == rows["max_paths", 1000].worst == 0
    assert rows["max_depth", 0].median > 0.1
    assert rows["max_paths", scenario.max_paths].worst < rows["max_paths", 1].worst


def test_the_study_recommends_what_the_scene_has() -> None:
    """The table in docs/multipath.md, by the study's own rule, against the defaults; bold is what it recommends."""
    text = (Path(scenarios.__file__).parents[1] / "docs/multipath.md").read_text(encoding="utf-8")
    rows, bold, setting = [], {}, ""
    for line in text.partition("## Convergence")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) < 4 or not cells[3].endswith(("%", "–")):
            continue
        setting = cells[0].strip("`") or setting
        value = int(cells[1].strip("*").replace(" ", ""))
        worst = float(cells[3].removesuffix("%").replace("–", "0")) / 100
        rows.append(convergence.Row(setting, value, 0.0, worst, 0.0, 0.0))
        if cells[1].startswith("*"):
            bold[setting] = value
    scenario = multipath.data.scenario
    advised = convergence.recommended(rows)
    assert len(rows) > 20
    set_ = {name: getattr(scenario, name) for name in convergence.SETTINGS}
    assert advised == bold == set_
    lucky = [row._replace(worst=0.0) if row.value == 3 else row for row in rows]  # a coarse value that is right once
    assert convergence.recommended(lucky) == advised
    assert convergence.recommended([row._replace(worst=0.0) for row in rows]) != advised


def test_tracing_is_factorised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and sensors are traced once each: a twentieth of the traces that every pair would take, and far less."""
    sweep = multipath.data
    scenario = sweep.scenario
    assert isinstance(scenario, MultipathData)
    sensors = scenario.sensor_sets * scenario.n_sensors
    assert sweep.full == 20_300 + 8_700 + 1_000
    traced: list[int] = []
    paths = Tracer.paths

    def counted(self: Tracer, position_m: np.ndarray, source_m: np.ndarray) -> Any:
        traced.append(len(position_m))
        return paths(self, position_m, source_m)

    quickly = QuickChannels.channels

    def counted_quickly(self: QuickChannels, position_m: np.ndarray) -> Any:
        traced.append(len(position_m))
        return quickly(self, position_m)

    monkeypatch.setattr(Tracer, "paths", counted)
    monkeypatch.setattr(QuickChannels, "channels", counted_quickly)
    channels_to_users.cache_clear()
    traces = Traces(scenario.replace(samples=1000))
    assert sum(traced) == scenario.sensor_subarrays * sensors
    users = 60
    h, _, _ = traces.user_channels(scenario.draw_users(Streams(0, 0), users))
    traces.expected_power(h)
    assert sum(traced) == scenario.sensor_subarrays * sensors + users
    assert (sum(traced) - users + sweep.full) * 20 < sweep.full * sensors
