"""Sensors that stand where they stand, and estimators that take waves toward them as plane: what that costs.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815, takes
them as plane, Eq. (5).
"""

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from engine import Streams, Sweep
from engine.estimators import MaximumLikelihood
from engine.numerics.geometry import path_gain
from engine.numerics.information import bayesian_bound, expected_information
from engine.numerics.leakage import leakage
from engine.scenario import Simulate, Variables
from scenarios.leakage.estimation import Draws, LeakageEstimation
from scenarios.leakage.scene import Geometry
from scenarios.leakage.sensor_figures import errors_against_range, report, summary


class UserAtRange(LeakageEstimation):
    """As `LeakageEstimation`, with users at one range, of which estimators know no more than before.

    `crb_range_m2` is the Cramér-Rao bound at each user's place, under the leakage that made the data.
    """

    code_version: ClassVar[int] = 4

    user_at_m: float = Field(8.0, gt=0, description="range of every user")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not self.user_range_min_m <= self.user_at_m <= self.user_range_max_m:
            raise ValueError(
                f"user_at_m = {self.user_at_m:g}: needed a range from {self.user_range_min_m:g} to "
                f"{self.user_range_max_m:g} m, where estimators look"
            )
        return self

    def draw_geometry(self, streams: Streams, size: int) -> Geometry:
        return super().draw_geometry(streams, size)._replace(user_range_m=np.full(size, self.user_at_m))

    def blind_guess(self) -> dict[str, float]:
        """None of the range: who guesses its mean is as far off as the users' place is from it."""
        ranges = ("squared_error_range_m2", "bcrlb_range_m2")
        return {name: value for name, value in super().blind_guess().items() if name not in ranges}

    def prepare(self, xp: Any) -> Simulate:
        estimated = super().prepare(xp)

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            variables = estimated(realizations, intermediates=intermediates)
            dims = ("realization", "noise_dbm", "n_snapshots")
            text = {"units": "m2", "long_name": "Cramér-Rao bound on the range at the user's place"}
            return {**variables, "crb_range_m2": (dims, self._bound(xp, realizations.geometry), text)}

        return simulate

    def _bound(self, xp: Any, geometry: Geometry) -> Any:
        """(B, S, L)."""
        user_m, user_rad, sensor_m, sensor_rad = (xp.asarray(part) for part in geometry)
        table = leakage(
            self.leakage,
            self.array(),
            range_m=user_m[:, None],
            angle_rad=user_rad[:, None],
            sensor_angle_rad=sensor_rad,
            sensor_inverse_range_per_m=1 / sensor_m,
        )
        one = xp.ones((1,), dtype=xp.float64)
        matrix = expected_information(
            table, path_gain(sensor_m, self.array().wavelength_m), one, xp.asarray(self.snr())
        )
        counts = xp.asarray(np.asarray(self.n_snapshots, dtype=float))
        return bayesian_bound(matrix[..., None, :] * counts[:, None], 0.0)[0]


sensors = Sweep(
    UserAtRange(
        leakage="two_sided",
        n_sensors=40,
        noise_dbm=(-85.0,),
        n_snapshots=(50,),
        estimators=(
            MaximumLikelihood(leakage="spherical", name="plane waves toward the sensors"),
            MaximumLikelihood(leakage="two_sided", name="sensors at their distances"),
        ),
    ),
    {"user_at_m": (2.5, 4.0, 6.0, 8.0, 10.0)},
    realizations=300,
    block=50,
    chunk=100,
    name="leakage:sensors",
    about="what it costs to take waves toward sensors at 100 to 150 m as plane: bias of the range, and its floor",
    highlights=("squared_error_range_m2", "crb_range_m2"),
    summary=summary,
    figure=errors_against_range,
    report=report,
)
