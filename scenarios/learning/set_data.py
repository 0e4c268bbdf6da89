"""What networks of one sensor set are trained on, wherever it comes from."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from scenarios.leakage.sensor_sets import SensorSetEstimation
    from scenarios.multipath.estimation import MultipathEstimation


class Labelled(NamedTuple):
    """What sensors of one set saw of n users, and where these were."""

    z: np.ndarray
    """compressed powers, (S, L, n, K)"""
    place: np.ndarray
    """range (m) and angle (rad), (n, 2)"""
    excluded: int = 0
    """users that were left out"""


class SetData(Protocol):
    """Users as the sensors of one set see them."""

    @property
    def scenario(self) -> "SensorSetEstimation | MultipathEstimation":
        """Of K sensors, with noise powers, snapshot counts, and what estimators know."""

    @property
    def sensor_set(self) -> int: ...

    @property
    def leakage(self) -> str: ...

    @property
    def block(self) -> int:
        """Users that are drawn together."""

    @property
    def fingerprint(self) -> str:
        """Of the stored data set; empty if there is none."""

    def seed(self, seed: int) -> int:
        """What users are drawn by in a training of this seed."""

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad), (K,) each."""

    def labelled(self, seed: int, start: int, count: int) -> Labelled:
        """Users `start` to `start + count`, and noise."""
