"""Off the grid of a traced table: held to a fine table of the place, and the same bits whatever was traced before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import Streams
from engine.channels.tracing import Tracer
from engine.estimators import PosteriorMean
from engine.estimators.refined import RefinedMaximumLikelihood, RefinedPosteriorMean
from scenarios.multipath import MultipathEstimation
from scenarios.multipath.off_grid import off_grid
from scenarios.multipath.scene import Traces, Users, channels_to_users
from scenarios.multipath.traced_powers import TracedPowers

WALL = {"footprint": [(20.0, -30.0), (21.0, -30.0), (21.0, 30.0), (20.0, 30.0)], "height_m": 9.0, "material": "brick"}
SMALL: dict[str, Any] = {
    "surroundings": {"name": "yard", "buildings": [WALL], "ground": None}, "n_sensors": 6, "sensor_sets": 1,
    "n_elements": 16, "samples": 3000, "max_depth": 1, "noise_dbm": -52.0, "n_snapshots": 20,
    "sensor_range_min_m": 12.0, "sensor_range_max_m": 18.0, "user_range_min_m": 2.0, "user_range_max_m": 2.4,
    "user_angle_min_rad": 1.4, "user_angle_max_rad": 1.8, "user_height_m": 2.0, "sensor_height_m": 2.0,
}  # fmt: skip
REFINED = (RefinedPosteriorMean(beam=1500), RefinedMaximumLikelihood(beam=1500))
COARSE = {"grid_ranges": 8, "grid_angles": 10}


def errors(scenario: MultipathEstimation, size: int, simulate: Any = None) -> tuple[np.ndarray, np.ndarray]:
    drawn = scenario.draw(Streams(1, 0), size)
    found = (simulate or scenario.prepare(np))(drawn)
    return tuple(np.asarray(found[f"squared_error_{name}"][1])[:, 0, :, 0, 0] for name in ("range_m2", "angle_rad2"))  # type: ignore[return-value]


def test_as_on_a_fine_table() -> None:
    """One wall, whose reflection beats with the line of sight every centimetre: 160 × 40 candidates against 8 × 10."""
    fine = MultipathEstimation(
        **SMALL, grid_ranges=160, grid_angles=40, estimators=(PosteriorMean(leakage="ray_traced", off_grid=False),)
    )
    coarse = MultipathEstimation(**SMALL, **COARSE, estimators=REFINED)
    (fine_m2, fine_rad2), (m2, rad2) = errors(fine, 6), errors(coarse, 6)
    assert np.sqrt(m2[:, 0]) == pytest.approx(np.sqrt(fine_m2[:, 0]), abs=0.02)
    assert np.sqrt(rad2[:, 0]) == pytest.approx(np.sqrt(fine_rad2[:, 0]), abs=0.02)


def test_the_same_bits_whatever_was_traced_before() -> None:
    """A place traced alone, among others, and again from what is kept; a block after another, and first."""
    scenario = MultipathEstimation(**SMALL, **COARSE, estimators=(RefinedPosteriorMean(beam=32),))
    traces = Traces(scenario)
    random = np.random.default_rng(0)
    range_m, angle_rad = random.uniform(2, 2.4, 300), random.uniform(1.4, 1.8, 300)
    whole = TracedPowers(traces).of_set(0)(range_m, angle_rad)
    other = TracedPowers(traces).of_set(0)
    pieces = [other(range_m[i : i + n], angle_rad[i : i + n]) for i, n in ((0, 1), (1, 6), (7, 293))]
    assert np.array_equal(np.concatenate(pieces), whole, equal_nan=True)
    assert np.array_equal(other(range_m[::-1], angle_rad[::-1]), whole[::-1], equal_nan=True)
    at = scenario.user_position_m(Users(range_m, angle_rad))
    truth = traces.expected_power(traces.tracer.channels(at)[0])[:, 0]
    seen = np.isfinite(whole[:, 0])
    assert whole[seen] == pytest.approx(truth[seen], rel=1e-5)
    simulate = scenario.prepare(np)
    first = errors(scenario, 4, simulate)
    simulate(scenario.draw(Streams(2, 0), 4))
    assert np.array_equal(first, errors(scenario, 4, simulate), equal_nan=True)
    assert np.array_equal(first, errors(scenario, 4), equal_nan=True)


def test_what_is_not_known_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same powers by the tracer alone, and from it where a channel has other paths."""
    scenario = MultipathEstimation(**SMALL, **COARSE)
    random = np.random.default_rng(3)
    places = random.uniform(2, 2.4, 50), random.uniform(1.4, 1.8, 50)
    quick = TracedPowers(Traces(scenario)).of_set(0)(*places)
    asked: list[int] = []
    trace = Tracer.channels

    def counted(self: Tracer, at: np.ndarray, subarrays: int = 1) -> Any:
        asked.append(len(at))
        return trace(self, at, subarrays)

    monkeypatch.setattr("engine.channels.quick.is_known", lambda channel: False)
    monkeypatch.setattr(Tracer, "channels", counted)
    channels_to_users.cache_clear()
    traces = Traces(scenario)
    asked.clear()  # of the sensors
    assert TracedPowers(traces).of_set(0)(*places) == pytest.approx(quick, rel=1e-5)
    assert asked == [50]
    channels_to_users.cache_clear()


def test_the_sweep_is_stored_and_read(tmp_path: Path) -> None:
    """Estimators come back from a store by their names, and a resumed store holds what it held."""
    small = SMALL | {"noise_dbm": (-52.0,), "n_snapshots": (20,)}
    estimators = (*off_grid.scenario.estimators[:1], RefinedPosteriorMean(beam=32), RefinedMaximumLikelihood(beam=32))  # type: ignore[attr-defined]
    scenario = off_grid.scenario.replace(**small, grid_ranges=8, estimators=estimators)
    sweep = off_grid.replace(scenario=scenario, axes={"grid_angles": (6, 9)}, realizations=4, block=2, chunk=2)
    results = engine.run(sweep, tmp_path / "o.zarr", serial=True)
    assert results.estimator.values.tolist() == [
        "posterior_mean",
        "refined_posterior_mean",
        "refined_maximum_likelihood",
    ]
    assert np.isfinite(results.squared_error_range_m2.values).all()
    assert engine.load_sweep(tmp_path / "o.zarr").fingerprint() == sweep.fingerprint()
    assert engine.replay(tmp_path / "o.zarr", 3, grid_angles=9).attrs["stored"] == "equal"
