"""Family A's bound: what far-field power measurements tell at best about a near-field user's place (Fig. 1).

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815.
Equation numbers are that paper's. The scene that all of them share is in `scenarios.leakage.scene`.
"""

from typing import Any, ClassVar

import numpy as np

from engine import Streams, Sweep
from engine.numerics.geometry import path_gain
from engine.numerics.information import expected_information
from engine.numerics.leakage import LeakageTable, leakage
from engine.numerics.noncentral_chi2 import information
from engine.scenario import Simulate, Variables
from scenarios.leakage import figures
from scenarios.leakage.scene import Geometry, LeakageScene, described_bounds, described_geometry, prepare_bound


class LeakageBound(LeakageScene):
    """The Bayesian Cramér-Rao bound on the user's range and angle, given each realization's sensors and angle."""

    code_version: ClassVar[int] = 2

    def draw(self, streams: Streams, size: int) -> Geometry:
        return self.draw_geometry(streams, size)

    def prepare(self, xp: Any) -> Simulate:
        bound = prepare_bound(self, xp)
        array, prior = self.array(), self.prior_information_per_m2()
        snr = xp.asarray(self.snr())

        def simulate(realizations: Geometry, *, intermediates: bool = False) -> Variables:
            matrix, bound_range, bound_angle = bound(realizations)
            variables = _described_results(matrix, bound_range, bound_angle)
            if intermediates:
                user_range, user_angle, sensor_range, sensor_angle = (xp.asarray(part) for part in realizations)
                gain = path_gain(sensor_range, array.wavelength_m)
                at_user = leakage(
                    self.leakage,
                    array,
                    range_m=user_range[:, None],
                    angle_rad=user_angle[:, None],
                    sensor_angle_rad=sensor_angle,
                    sensor_inverse_range_per_m=1 / sensor_range,
                )
                one = xp.ones((1,), dtype=xp.float64)
                at_user_matrix = expected_information(at_user, gain, one, snr)
                rho = 2 * snr[:, None] * (gain * at_user.value[:, 0, :])[:, None, :]
                variables |= _described_intermediates(realizations, gain, at_user, rho, at_user_matrix, prior)
            return variables

        return simulate


def _described_results(matrix: Any, bound_range: Any, bound_angle: Any) -> Variables:
    per_noise = ("realization", "noise_dbm")
    text = "expected Fisher information of one snapshot"
    return {
        **described_bounds(bound_range, bound_angle),
        "information_range_per_m2": (per_noise, matrix[..., 0], {"units": "m-2", "long_name": f"{text}, range"}),
        "information_cross_per_m_rad": (
            per_noise, matrix[..., 1], {"units": "m-1 rad-1", "long_name": f"{text}, range and angle"}),
        "information_angle_per_rad2": (
            per_noise, matrix[..., 2], {"units": "rad-2", "long_name": f"{text}, angle"}),
    }  # fmt: skip


def _described_intermediates(
    drawn: Geometry, gain: Any, table: LeakageTable, rho: Any, matrix: Any, prior: float
) -> Variables:
    """Everything that leads to the bound at the user's own place, for a third party to check."""
    per_sensor = ("realization", "sensor")
    per_noise = ("realization", "noise_dbm")
    text = "Fisher information of one snapshot at the user"
    return {
        **described_geometry(drawn),
        "path_gain": (per_sensor, gain, {"long_name": "path gain β"}),
        "sensor_leakage": (per_sensor, table.value[:, 0, :], {"long_name": "leakage g at the user"}),
        "sensor_leakage_by_range_per_m": (
            per_sensor, table.by_range_per_m[:, 0, :], {"units": "m-1", "long_name": "∂g/∂d at the user"}),
        "sensor_leakage_by_angle_per_rad": (
            per_sensor, table.by_angle_per_rad[:, 0, :], {"units": "rad-1", "long_name": "∂g/∂φ at the user"}),
        "noncentrality": ((*per_noise, "sensor"), rho, {"long_name": "noncentrality ρ, Eq. 13"}),
        "noncentrality_information": (
            (*per_noise, "sensor"), information(rho), {"long_name": "Fisher information J₂(ρ), Eq. 16"}),
        "fisher_range_per_m2": (per_noise, matrix[..., 0], {"units": "m-2", "long_name": f"{text}, range"}),
        "fisher_cross_per_m_rad": (
            per_noise, matrix[..., 1], {"units": "m-1 rad-1", "long_name": f"{text}, range and angle"}),
        "fisher_angle_per_rad2": (per_noise, matrix[..., 2], {"units": "rad-2", "long_name": f"{text}, angle"}),
        "prior_information_per_m2": ((), np.asarray(prior), {"units": "m-2", "long_name": "prior information"}),
    }  # fmt: skip


fig1 = Sweep(
    LeakageBound(),
    {"n_sensors": tuple(range(10, 101, 10))},
    realizations=1000,
    block=50,
    chunk=250,
    name="leakage:fig1",
    about="Bayesian bound on range and angle against the number of sensors (Fig. 1), correct leakage",
    highlights=("bcrlb_range_m2", "bcrlb_angle_rad2"),
    figure=figures.bound_against_sensors,
)

fig1_as_printed = fig1.replace(
    scenario=LeakageBound(leakage="as_printed"),
    name="leakage:fig1-as-printed",
    about="the same with the leakage of Eq. 10 as the paper prints it",
)
