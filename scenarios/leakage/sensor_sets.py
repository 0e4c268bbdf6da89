"""Family A, learned estimators: fixed sensor sets, and Fig. 3 with networks.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815,
Sections IV and V-C.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from engine import Streams, Sweep
from engine.estimators.deepsets import Checkpoint, DeepSets
from engine.estimators.deepsets.checkpoint import checkpoints_in
from scenarios.leakage.estimation import WITH_LEARNED, LeakageEstimation
from scenarios.leakage.figures import errors_against_noise
from scenarios.leakage.rows import summary
from scenarios.leakage.scene import Geometry
from scenarios.leakage.tables import report

_SET_SEED = 0


class SensorSetEstimation(LeakageEstimation):
    """As `LeakageEstimation`, with sensors that stay where they are: those of a numbered set, whatever the seed.

    The first sensors of a larger set are those of a smaller one. `checkpoints` adds the estimator `DeepSets` with
    networks trained on these sets.
    """

    sensor_set: int = Field(0, ge=0, le=1_000_000, description="number of the sensor set")
    checkpoints: Annotated[tuple[Checkpoint, ...], BeforeValidator(checkpoints_in)] = Field(
        (), description="files, or folders, of networks trained on the sensor sets"
    )

    @model_validator(mode="after")
    def _learned(self) -> Self:
        if self.checkpoints and not any(isinstance(one, DeepSets) for one in self.estimators):
            learned = DeepSets(checkpoints=self.checkpoints, leakage=self.leakage)
            object.__setattr__(self, "estimators", (*self.estimators, learned))
        return self

    def draw_geometry(self, streams: Streams, size: int) -> Geometry:
        drawn = super().draw_geometry(streams, size)
        sensor_m, sensor_rad = self.sensors()
        shape = (size, self.n_sensors)
        return drawn._replace(
            sensor_range_m=np.broadcast_to(sensor_m, shape).copy(),
            sensor_angle_rad=np.broadcast_to(sensor_rad, shape).copy(),
        )

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad) of the set's sensors, (K,) each."""
        streams = Streams(_SET_SEED, self.sensor_set)

        def uniform(name: str, low: float, high: float) -> np.ndarray:
            return low + (high - low) * streams(f"sensor_set_{name}").random(self.n_sensors)

        return (
            uniform("range", self.sensor_range_min_m, self.sensor_range_max_m),
            uniform("angle", self.sensor_angle_min_rad, self.sensor_angle_max_rad),
        )


fig3_learned = Sweep(
    SensorSetEstimation(leakage="spherical", estimators=WITH_LEARNED),
    {"n_sensors": (20, 40), "sensor_set": (0, 1, 2, 3, 4)},
    realizations=1000,
    block=50,
    chunk=500,
    name="leakage:fig3-learned",
    about="Fig. 3 on the paper's five fixed sensor sets, with the amortised network; yours by --set checkpoints=DIR",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
    summary=summary,
    figure=errors_against_noise,
    report=report,
)
