"""What networks of one sensor set are trained on, wherever it comes from."""

from typing import NamedTuple, Protocol

import numpy as np

from engine.estimators import LeastSquares, Problem

NO_NETWORKS = (LeastSquares(leakage="fresnel_closed"),)
"""What the scenario of training data estimates by: nothing that was trained, on this seed perhaps."""


class Labelled(NamedTuple):
    """What sensors of one set saw of n users, and where these were."""

    z: np.ndarray
    """compressed powers, (S, L, n, K)"""
    place: np.ndarray
    """range (m) and angle (rad), (n, 2)"""
    excluded: int = 0
    """users that were left out"""


class SetScene(Protocol):
    """What a training asks of the scenario that its data come from."""

    @property
    def n_sensors(self) -> int: ...

    @property
    def transmit_dbm(self) -> float: ...

    @property
    def noise_dbm(self) -> tuple[float, ...]:
        """S noise powers."""

    @property
    def n_snapshots(self) -> tuple[int, ...]:
        """L snapshot counts."""

    def problem(self) -> Problem:
        """What estimators know."""


class SetData(Protocol):
    """Users as the sensors of one set see them."""

    @property
    def scenario(self) -> SetScene: ...

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
