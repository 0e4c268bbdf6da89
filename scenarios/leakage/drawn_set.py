"""What the networks of one sensor set are trained on: the scenario's own draws.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-C. Equation numbers are that paper's.
"""

from dataclasses import dataclass

import numpy as np

from engine import Streams
from engine.estimators.deepsets.features import compressed
from scenarios.leakage.sensor_sets import SensorSetEstimation
from scenarios.learning.set_data import Labelled

_BLOCK = 1000


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
        """Users `start` to `start + count`, in blocks of a thousand."""
        first, last = start // _BLOCK, -(-(start + count) // _BLOCK)
        blocks = [self._block(seed, number) for number in range(first, last)]
        here = slice(start - first * _BLOCK, start + count - first * _BLOCK)
        z = np.concatenate([block.z for block in blocks], axis=2)
        return Labelled(z[:, :, here], np.concatenate([block.place for block in blocks])[here])

    def _block(self, seed: int, number: int) -> Labelled:
        drawn = self.scenario.draw(Streams(seed, number), _BLOCK)
        _, _, statistic = self.scenario.observe(np, drawn)
        z = compressed(statistic / (2 * np.array(self.scenario.n_snapshots)[:, None]) - 1)  # Eq. (8)
        place = np.stack([drawn.user_range_m, drawn.user_angle_rad], axis=-1)
        return Labelled(np.moveaxis(z, 0, 2).astype(np.float32), place)
