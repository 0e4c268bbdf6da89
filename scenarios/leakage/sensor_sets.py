"""Family A, learned estimators: fixed sensor sets, the data that networks are trained on, and Fig. 3 with networks.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815,
Sections IV and V-C. Equation numbers are that paper's.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from engine import Streams, Sweep
from engine.estimators import Observations, Workbench
from engine.estimators.deepsets import Checkpoint, DeepSets
from engine.estimators.deepsets.checkpoint import Scaling, checkpoints_in
from engine.estimators.deepsets.features import (
    FEATURES,
    KNOWN,
    OUTPUTS,
    TEMPLATES,
    elements,
    frames,
    standardised,
)
from engine.estimators.deepsets.network import Architecture
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from scenarios.leakage import figure3 as figures_fig3
from scenarios.leakage.estimation import WITH_LEARNED, LeakageEstimation
from scenarios.leakage.scene import Geometry
from scenarios.learning.set_data import Labelled

_SET_SEED = 0
_BLOCK = 1000
TRAINING_SEED = 1_000_003
"""Default seed of training data: no run may use it that judges what was trained on it."""


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


@dataclass(frozen=True)
class DrawnSet:
    """Users and noise of the scenario's own draws: data of `SetTraining`."""

    scenario: SensorSetEstimation
    block: int = _BLOCK
    fingerprint: str = ""

    @property
    def sensor_set(self) -> int:
        return self.scenario.sensor_set

    @property
    def leakage(self) -> str:
        return self.scenario.leakage.name

    def seed(self, seed: int) -> int:
        return seed

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        return self.scenario.sensors()

    def labelled(self, seed: int, start: int, count: int) -> Labelled:
        return labelled(self.scenario, seed, start, count)


def labelled(scenario: SensorSetEstimation, seed: int, start: int, count: int) -> Labelled:
    """Users `start` to `start + count` of the scenario's own draws, in blocks of a thousand."""
    parts = []
    for number in range(start // _BLOCK, -(-(start + count) // _BLOCK)):
        drawn = scenario.draw(Streams(seed, number), _BLOCK)
        _, _, statistic = scenario.observe(np, drawn)
        x = elements(statistic, np.array(scenario.n_snapshots)[:, None], 0.0, 0.0)[..., 0]  # type: ignore[arg-type]
        here = slice(max(0, start - number * _BLOCK), min(_BLOCK, start + count - number * _BLOCK))
        place = np.stack([drawn.user_range_m, drawn.user_angle_rad], axis=-1)
        parts.append(Labelled(np.moveaxis(x[here], 0, 2).astype(np.float32), place[here]))
    return Labelled(np.concatenate([part.z for part in parts], axis=2), np.concatenate([part.place for part in parts]))


def scaling(position: np.ndarray, training: Labelled) -> Scaling:
    """Means and deviations of z over the set's points, of the sensors' positions (K, 2), and of the users' places."""
    return Scaling(
        input_mean=(float(training.z.mean()), *map(float, position.mean(axis=0))),
        input_deviation=(float(training.z.std()), *(float(value) or 1.0 for value in position.std(axis=0))),
        place_mean=tuple(training.place.mean(axis=0).tolist()),
        place_deviation=tuple(training.place.std(axis=0).tolist()),
    )


_COUNTS, _SHARES = (1, 2, 5, 10, 20, 50), (0.3, 0.1, 0.1, 0.1, 0.1, 0.3)
_NOISES, _NOISE_DBM = 2, (-88.0, -62.0)
_SENSORS, _ENTRIES = (5, 100), 2500


def amortised_round(scenario: LeakageEstimation, seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements (n, K, F), what is known of each set (n, C), and places (n, 2) in an amortised network's units.

    A round has one K, its logarithm uniform from 5 to 100, two noise powers uniform in [−88, −62] dBm, two snapshot
    counts, and new sensors in each of its realizations.
    """
    generator = np.random.default_rng([seed, number])
    n_sensors = round(math.exp(generator.uniform(*np.log(_SENSORS))))
    noise_dbm = tuple(generator.uniform(*_NOISE_DBM, _NOISES).tolist())
    counts = tuple(sorted(generator.choice(_COUNTS, 2, replace=False, p=_SHARES).tolist()))
    here = scenario.replace(n_sensors=n_sensors, noise_dbm=noise_dbm, n_snapshots=counts)
    drawn = here.draw(Streams(seed, number), max(32, _ENTRIES // n_sensors))
    _, _, statistic = here.observe(np, drawn)
    problem = here.problem()
    batch = Workbench(problem, np).batch(Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad))
    seen = frames(batch, FRESNEL_CLOSED)
    place = np.stack([drawn.user_range_m, drawn.user_angle_rad], axis=-1)[:, None, :]
    shape = (*seen.angle_rad.shape, 2)
    wanted = standardised(problem, np.broadcast_to(place, shape), seen.angle_rad)
    return (
        seen.x.reshape(-1, *seen.x.shape[2:]),
        seen.known.reshape(-1, KNOWN),
        wanted.reshape(-1, 2),
    )


def amortised_architecture() -> Architecture:
    """Narrower than Table II: the templates say most, and the weights come with the package."""
    return Architecture(FEATURES, (64, 64, 64, 64), 64, (256, 128, 64), OUTPUTS, TEMPLATES, KNOWN)


fig3_learned = Sweep(
    SensorSetEstimation(leakage="spherical", estimators=WITH_LEARNED),
    {"n_sensors": (20, 40), "sensor_set": (0, 1, 2, 3, 4)},
    realizations=1000,
    block=50,
    chunk=500,
    name="leakage:fig3-learned",
    about="Fig. 3 on the paper's five fixed sensor sets, with the amortised network; yours by --set checkpoints=DIR",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
    figure=figures_fig3.errors_against_noise,
    report=figures_fig3.report,
)
