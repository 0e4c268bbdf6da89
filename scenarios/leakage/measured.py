"""What was measured."""

import math
from typing import NamedTuple

import numpy as np

from engine import InputError


class Measured(NamedTuple):
    """What K sensors received under noise of known power."""

    range_m: np.ndarray
    """(K,)"""
    angle_rad: np.ndarray
    """from the array's axis, (K,)"""
    power_w: np.ndarray
    """mean over the snapshots, (K,)"""
    n_snapshots: "int | np.ndarray"
    """of each sensor: one number, or (K,)"""
    noise_dbm: float
    """σ² at a sensor"""
    names: tuple[str, ...] = ()
    """of the sensors; numbers from 1 on if left out"""

    @property
    def counts(self) -> np.ndarray:
        """Snapshots of each sensor, (K,)."""
        return np.broadcast_to(np.asarray(self.n_snapshots), np.shape(self.power_w)).astype(int)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.names or tuple(str(k + 1) for k in range(len(self.power_w)))

    @property
    def noise_w(self) -> float:
        return dbm_to_w(self.noise_dbm)

    def without(self, left_out: np.ndarray) -> "Measured":
        """Without the sensors that a mask (K,) marks."""
        kept = ~left_out
        names = tuple(name for name, keep in zip(self.labels, kept, strict=True) if keep)
        parts = (self.range_m[kept], self.angle_rad[kept], self.power_w[kept], self.counts[kept])
        return Measured(*parts, self.noise_dbm, names)


def dbm_to_w(dbm: float) -> float:
    return float(1e-3 * 10 ** (dbm / 10))


def w_to_dbm(power_w: float) -> float:
    return 10 * math.log10(power_w * 1e3) if power_w > 0 else -math.inf


def require_well_formed(measured: Measured) -> None:
    """Raises InputError for arrays that are no measurements."""
    if not math.isfinite(measured.noise_dbm):
        raise InputError(f"noise_dbm: given {measured.noise_dbm:g}, needed a finite power")
    shapes = [np.shape(part) for part in measured[:3]]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise InputError(f"measured ranges, angles and powers have shapes {shapes}, needed one of each for each sensor")
    if np.shape(measured.n_snapshots) not in ((), shapes[0]) or np.min(measured.n_snapshots) < 1:
        raise InputError(
            f"n_snapshots: given {measured.n_snapshots}, needed one count of at least 1, or one for each of "
            f"{shapes[0][0]} sensors"
        )
    if measured.names and len(measured.names) != shapes[0][0]:
        raise InputError(f"given {len(measured.names)} names of {shapes[0][0]} sensors, needed one each, or none")
