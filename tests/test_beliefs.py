"""Estimators that believe the place to be otherwise: tables of the believed place, powers of the true one."""

import json
from typing import Any, get_args

import numpy as np
import pytest

import engine
from engine import InputError, Streams, Sweep
from engine.channels.surroundings import Building, Surroundings, polygon
from engine.estimators import LeastSquares
from jobs.cli import named
from scenarios.multipath import MultipathEstimation
from scenarios.multipath.beliefs import Belief, believed_place
from scenarios.multipath.known import believed, errors_by_belief, report, summary
from scenarios.multipath.scene import Traces

WALL = {"footprint": [(-8.0, -40.0), (-6.0, -40.0), (-6.0, 40.0), (-8.0, 40.0)], "height_m": 9.0, "material": "brick"}
SHED = {"footprint": [(60.0, 30.0), (70.0, 30.0), (70.0, 40.0)], "height_m": 2.2, "holes": [], "material": "wood"}
YARD: dict[str, Any] = {"name": "yard", "buildings": [WALL, SHED]}
SMALL: dict[str, Any] = {
    "surroundings": YARD, "n_sensors": 4, "sensor_sets": 1, "n_elements": 16, "samples": 3000, "max_depth": 1,
    "grid_ranges": 6, "grid_angles": 12, "noise_dbm": -85.0, "n_snapshots": 50,
    "estimators": (LeastSquares(leakage="ray_traced"),),
}  # fmt: skip


def test_one_thing_is_otherwise() -> None:
    place = Surroundings(**YARD)
    found = {belief: believed_place(place, belief) for belief in get_args(Belief)}
    assert found["true"] is place
    heights = {belief: [building.height_m for building in one.buildings] for belief, one in found.items()}
    assert heights["heights + 2 m"] == [11.0, 4.2]
    assert heights["heights - 2 m"] == [7.0, 0.5]
    assert heights["nearest missing"] == [2.2]
    assert heights["no buildings"] == []
    assert [building.material for building in found["all metal"].buildings] == ["metal", "metal"]
    assert [building.material for building in found["all concrete"].buildings] == ["concrete", "concrete"]
    for belief, moved_m in (("moved 1 cm", 0.01), ("moved 10 cm", 0.1)):
        for one, other in zip(place.buildings, found[belief].buildings, strict=True):
            away = np.array(other.footprint) - np.array(one.footprint)
            assert away == pytest.approx(np.broadcast_to([moved_m, 0.0], away.shape), abs=1 / 1024)
            assert (one.height_m, one.material) == (other.height_m, other.material)
            assert polygon(other).area == pytest.approx(polygon(one).area)
    assert believed_place(Surroundings(name="field"), "nearest missing").buildings == ()
    long = Building(footprint=((9, -90), (10, -90), (10, 90), (9, 90)), height_m=6)
    both = Surroundings(name="yard", buildings=(Building(**SHED), long))
    assert believed_place(both, "nearest missing").buildings == (Building(**SHED),)  # whose corners are nearer
    raised = Surroundings(name="slab", buildings=(Building(footprint=WALL["footprint"], height_m=6, base_m=5),))
    assert believed_place(raised, "heights - 2 m").buildings[0].height_m == 5.5


def test_the_table_is_of_the_believed_place_and_the_powers_are_of_the_true_one() -> None:
    """A search by hand: the nearest candidate in a table that is traced where the estimator believes to be."""
    scenario = MultipathEstimation(**SMALL, believed="nearest missing")
    drawn = scenario.draw(Streams(3, 0), 6)
    found = scenario.prepare(np)(drawn, intermediates=True)
    true = Traces(MultipathEstimation(**SMALL))
    power = true.expected_power(true.user_channels(drawn[:2])[0])[:, 0]
    assert np.asarray(found["expected_power"][1])[:, 0] == pytest.approx(power, rel=1e-9)
    other = MultipathEstimation(**SMALL | {"surroundings": {"name": "other", "buildings": [SHED]}})
    ranges_m, angles_rad = scenario.problem().grid.candidates()
    seen = Traces(other, scenario.sensors())
    table = seen.expected_power(seen.tracer.channels(other.user_position_m((ranges_m, angles_rad)))[0])[:, 0]  # type: ignore[arg-type]
    snr = float(scenario.snr()[0])
    rho = 2 * snr * power
    noncentral = (drawn.gaussian[:, 0, 0] + np.sqrt(50 * rho)) ** 2 + drawn.chi_square[:, 0, 0]
    z = noncentral / 100 - 1  # Eq. (8)
    nearest = np.argmin(np.sum((z[:, None] - snr * table) ** 2, axis=-1), axis=1)
    errors = np.asarray(found["squared_error_range_m2"][1])[:, 0, 0, 0, 0]
    assert errors == pytest.approx((ranges_m[nearest] - drawn.user_range_m) ** 2, rel=1e-6)


def test_who_believes_the_truth_has_the_fingerprint_of_old() -> None:
    scenario = MultipathEstimation(**SMALL)
    assert "believed" not in json.loads(scenario.model_dump_json())
    assert "believed" not in Sweep(scenario).definition()
    assert Sweep(scenario).fingerprint() != Sweep(scenario.replace(believed="all metal")).fingerprint()
    again = MultipathEstimation.model_validate_json(scenario.replace(believed="all metal").model_dump_json())
    assert again.believed == "all metal"
    with pytest.raises(InputError, match="believed: Input should be 'true', 'moved 1 cm'"):
        scenario.replace(believed="flat")


def test_the_sweep_reports_and_draws(tmp_path: Any) -> None:
    few = named.changed(believed, settings=[], axes=["believed=true,all metal,nearest missing"], realizations=4)
    changes = {name: value for name, value in SMALL.items() if name not in ("estimators",)}
    few = few.replace(scenario=few.scenario.replace(**changes), block=2, chunk=2)
    results = engine.run(few, tmp_path / "b.zarr", serial=True)
    assert results.believed.values.tolist() == ["true", "all metal", "nearest missing"]
    rows = summary(results)
    assert {row.point["believed"] for row in rows} == {"true", "all metal", "nearest missing"}
    (ranges, angles) = report(results, rows)
    assert ranges.headings[3:] == ("-85 dBm",)
    assert len(ranges.rows) == len(angles.rows) == 3 * 3 + 1
    assert [line[2] for line in ranges.rows if "free space" in line[0]] == ["whatever"]
    figure = errors_by_belief(results, rows)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["true", "all metal", "nearest missing"]
    assert len(figure.axes) == 3
