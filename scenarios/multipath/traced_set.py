"""What the networks of one sensor set are trained on under multipath: expected powers, and noise upon them.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D. Equation numbers are that paper's.
"""

from dataclasses import dataclass

import numpy as np

from engine import Streams
from engine.estimators.deepsets.features import compressed
from engine.numerics.noncentral_chi2 import summed_power
from scenarios.learning.set_data import Labelled
from scenarios.multipath.estimation import MultipathEstimation
from scenarios.multipath.training_users import Users


@dataclass(frozen=True)
class TracedSet:
    """What sensors of one set see of traced users, under noise of its own: data of `SetTraining`."""

    scenario: MultipathEstimation
    """of K sensors"""
    sensor_set: int
    users: Users
    leakage: str = "ray_traced"
    block: int = 1

    @property
    def fingerprint(self) -> str:
        return self.users.fingerprint

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad), (K,) each."""
        range_m, angle_rad = self.scenario.sensors()
        return range_m[self.sensor_set], angle_rad[self.sensor_set]

    def seed(self, seed: int) -> int:
        """Of the users, who must not come again where the networks are judged."""
        return self.users.seed

    def labelled(self, seed: int, start: int, count: int) -> Labelled:
        """Users `start` to `start + count`, without the excluded ones; the noise is drawn by `seed`."""
        users, excluded = self.users.expected_powers(self.sensor_set).included(slice(start, start + count))
        power = users.power[:, : self.scenario.n_sensors].astype(float)
        streams, z = Streams(seed, start), []
        for n in self.scenario.n_snapshots:
            gaussian = streams(f"training_gaussian_{n}_{self.sensor_set}").standard_normal(power.shape)
            chi_square = streams(f"training_chi_square_{n}_{self.sensor_set}").chisquare(2 * n - 1, power.shape)
            rho = 2 * self.scenario.snr()[:, None, None] * power  # Eq. (13)
            z.append(compressed(summed_power(n * rho, gaussian, chi_square) / (2 * n) - 1))  # Eq. (8)
        return Labelled(np.stack(z, axis=1).astype(np.float32), users.place, excluded)
