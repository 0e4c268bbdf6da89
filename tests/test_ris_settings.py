"""What family B's scenes and methods are unless told otherwise, and the settings that they take and refuse."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.on_grid import OnGrid
from scenarios.ris import RisLocalization
from scenarios.ris.protocol import Method

SCENE: dict[str, Any] = {
    "elements_per_side": 25, "elements_upwards": None, "carrier_hz": 28e9, "spacing_m": 0.005, "subcarrier_hz": 120e3,
    "base_station_x_m": 3.0, "base_station_y_m": -4.0, "base_station_z_m": 1.0,
    "n_users": 4, "users": "alternate", "n_scatterers": 2, "scatterer_db": -10.0,
    "range_min_m": 0.5, "range_max_m": 10.0, "near_range_max_m": None, "field_of_view": "lab", "waves": "spherical",
    "snr_db": (-5.0, 5.0, 10.0, 20.0, 30.0), "snr_definition": "mean", "snr_elements": None, "n_cycles": 20,
    "user_separation_beams": 0.0, "scatterer_separation_beams": 0.0,
    "phase_bits": 0, "phases_told": "applied", "misplaced_m": 0.0, "misturned_rad": 0.0, "phase_drift_rad": 0.0,
}  # fmt: skip
LOCALIZATION: dict[str, Any] = {
    "methods": (Method(estimator=OnGrid()),), "recorded_cycles": (), "model": "hybrid", "angle_step_rad": 0.02,
    "range_step_m": 0.25, "unidentifiable": False, "direct_strength": "any", "mismatched_bound": False,
}  # fmt: skip
ON_GRID: dict[str, Any] = {
    "model": None, "angle_step_rad": None, "range_step_m": None, "noise_sigmas": None, "residual_fraction": 0.0,
    "normalize": True,
}  # fmt: skip
ALONE: dict[str, Any] = {"n_users": 1, "n_scatterers": 0, "users": "far", "range_max_m": 1000.0, "unidentifiable": True,
                         "angle_step_rad": 1e-3}  # fmt: skip
"""Of one far user, and a room that is large enough for any surface."""


def test_a_scene_is_the_papers_unless_told_otherwise() -> None:
    """Section VI of the paper: 25 × 25 elements 5 mm apart at 28 GHz, 4 users, 2 scatterers, 13 of 20 cycles random."""
    assert {name: getattr(RisLocalization(), name) for name in RisLocalization.model_fields} == SCENE | LOCALIZATION
    method = Method(estimator=OnGrid())
    assert (method.phases, method.random_cycles, method.weighting, method.name) == (
        "optimised", 13, "rel", OnGrid().name,
    )  # fmt: skip
    assert {name: getattr(OnGrid(), name) for name in ON_GRID} == ON_GRID
    assert (ApproximateML().angle_step_rad, ApproximateML().range_step_m, ApproximateML().turns) == (None, None, 6)


@pytest.mark.parametrize(
    ("field", "taken", "refused", "beside"),
    [
        ("elements_per_side", [2, 200], [1, 201], {"range_min_m": 20.0, "elements_upwards": 2}),
        ("elements_upwards", [2, 200], [1, 201], {"range_min_m": 20.0}),
        ("carrier_hz", [1e9], [0.0, -1e9], {}),
        ("spacing_m", [1e-4], [0.0, -1e-4], {}),
        ("subcarrier_hz", [0.0], [-1.0], {}),
        ("n_users", [1, 64], [0, 65], {"subcarrier_hz": 0.0}),
        ("n_scatterers", [0, 16], [-1, 17], {"users": "alternate"}),
        ("scatterer_db", [20.0, -300.0], [20.1], {}),
        ("range_min_m", [1e-3, 5.0], [0.0, -1.0], {"elements_per_side": 2, "spacing_m": 1e-4}),
        ("range_max_m", [20.1], [20.0, 19.0, 0.0, -1.0], {"range_min_m": 20.0}),
        ("near_range_max_m", [0.6], [0.0, -1.0], {"users": "near"}),
        ("snr_db", [(-200.0,), (200.0,)], [(), (-200.1,), (200.1,)], {"subcarrier_hz": 0.0}),
        ("snr_elements", [1], [0], {}),
        ("n_cycles", [1, 10_000], [0, 10_001], {}),
        ("user_separation_beams", [0.0], [-0.1], {}),
        ("scatterer_separation_beams", [0.0], [-0.1], {}),
        ("phase_bits", [0, 12], [-1, 13], {}),
        ("misplaced_m", [0.0], [-0.1], {}),
        ("misturned_rad", [0.0, 0.5], [-0.1, 0.51], {}),
        ("phase_drift_rad", [0.0, 9.0], [-0.1], {}),
        ("methods", [(Method(estimator=OnGrid()),)], [()], {}),
        ("angle_step_rad", [1e-3], [0.0, -0.1], {}),
        ("range_step_m", [1e-3], [0.0, -0.1], {}),
        ("recorded_cycles", [(1,), (20,), (3, 7, 20)], [(0,), (21,), (7, 3), (3, 3)], {}),
    ],
)
def test_what_a_scene_takes(field: str, taken: list, refused: list, beside: dict[str, Any]) -> None:
    usual = ALONE | beside
    for value in taken:
        assert getattr(RisLocalization(**(usual | {field: value})), field) == value
    for value in refused:
        with pytest.raises(ValidationError, match=field):
            RisLocalization(**(usual | {field: value}))


def test_what_methods_take() -> None:
    for kind, field, taken, refused in (
        (OnGrid, "angle_step_rad", [0.1], [0.0, -0.1]),
        (OnGrid, "range_step_m", [0.1], [0.0, -0.1]),
        (OnGrid, "residual_fraction", [0.0, 0.99], [-0.01, 1.0]),
        (ApproximateML, "angle_step_rad", [0.1], [0.0, -0.1]),
        (ApproximateML, "range_step_m", [0.1], [0.0, -0.1]),
        (ApproximateML, "turns", [1], [0]),
    ):
        for value in taken:
            assert getattr(kind(**{field: value}), field) == value
        for value in refused:
            with pytest.raises(ValidationError, match=field):
                kind(**{field: value})
    assert Method(estimator=OnGrid(), random_cycles=1).random_cycles == 1
    with pytest.raises(ValidationError, match="random_cycles"):
        Method(estimator=OnGrid(), random_cycles=0)
