"""The likelihood of one campaign's powers: each sensor with its own snapshot count."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.numerics.geometry import UniformLinearArray, path_gain
from engine.numerics.leakage import LeakageModel
from engine.numerics.noncentral_chi2 import log_constant
from scenarios.leakage.measured import Measured, dbm_to_w
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    from engine.numerics.cells_cpu import SnapshotTables


@dataclass(frozen=True)
class Powers:
    """What K sensors received, under a model of the leakage.

    A place is (1/d, cos φ): in these the pattern is about equally fine everywhere. statistic: S = 2L p/σ² (K,); unit:
    ∂ρ/∂g = 2P_tβ/σ² (K,); n_snapshots (K,).
    """

    array: UniformLinearArray
    model: LeakageModel
    sensor_range_m: np.ndarray
    sensor_angle_rad: np.ndarray
    n_snapshots: np.ndarray
    statistic: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, measured: Measured, scene: LeakageScene, model: LeakageModel) -> "Powers":
        """Array and transmit power are the scene's; σ² is the measurements'."""
        array, counts = scene.array(), measured.counts
        sent = dbm_to_w(scene.transmit_dbm) / measured.noise_w
        return cls(
            array,
            model,
            np.ascontiguousarray(measured.range_m, dtype=float),
            np.ascontiguousarray(measured.angle_rad, dtype=float),
            counts,
            2 * counts * np.asarray(measured.power_w, dtype=float) / measured.noise_w,
            2 * sent * path_gain(np.asarray(measured.range_m, dtype=float), array.wavelength_m),
        )

    @functools.cached_property
    def kinds(self) -> "SnapshotTables":
        from engine.numerics.cells_cpu import SnapshotTables

        return SnapshotTables(self.n_snapshots)

    @functools.cached_property
    def log_constant(self) -> float:
        """What values leave out: that of the densities of S."""
        pairs = zip(self.statistic, self.n_snapshots, strict=True)
        return float(sum(log_constant(np.maximum(s, 1e-300), int(n)) for s, n in pairs))

    @functools.cached_property
    def _waves(self) -> Any:
        from engine.numerics.leakage_cpu import waves_to

        if not self.model.two_sided:
            return None
        return waves_to(self.model, self.array, self.sensor_angle_rad[None], 1 / self.sensor_range_m[None])

    def table(self, place: np.ndarray) -> np.ndarray:
        """g and its derivatives by 1/d (m) and by cos φ, at places (n, 2): (3, n, K)."""
        from engine.numerics.leakage_cpu import compiled_leakage

        curvature, cosine = place[:, 0], place[:, 1]
        sine = np.sqrt(np.maximum(1 - cosine * cosine, 1e-300))
        value, by_range, by_angle = compiled_leakage(
            self.model,
            self.array,
            range_m=np.ascontiguousarray(1 / curvature)[None],
            angle_rad=np.ascontiguousarray(np.arccos(cosine))[None],
            sensor_angle_rad=self.sensor_angle_rad[None],
            sensor_inverse_range_per_m=1 / self.sensor_range_m[None],
            waves=self._waves,
        )
        by_range *= -1 / (curvature * curvature)[:, None]
        by_angle *= -1 / sine[:, None]
        return np.concatenate([value, by_range, by_angle])

    def noncentrality(self, table: np.ndarray, gain: Any = 0.0, noise: Any = 0.0) -> np.ndarray:
        """λ = L ρ of a table's sensors; gain and noise are logarithms that broadcast against (n, 1): (n, K)."""
        factor: np.ndarray = self.n_snapshots * self.unit * np.exp(np.asarray(gain) - np.asarray(noise))
        return factor * table[0]
