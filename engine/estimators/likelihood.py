"""The likelihood of single places in double precision: value, gradient and information."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.problem import Observations, Problem
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel, LeakageTable, leakage
from engine.numerics.noncentral_chi2 import information, log_likelihood_and_slope

if TYPE_CHECKING:
    from engine.numerics.leakage_cpu import Waves

Array = Any


class Local(NamedTuple):
    """A place, its log-likelihood, gradient and expected information, (B, M, Q) each."""

    range_m: Array
    angle_rad: Array
    value: Array
    by_range: Array
    by_angle: Array
    range_range: Array
    range_angle: Array
    angle_angle: Array


class Likelihood(NamedTuple):
    """The likelihood of some realizations and observations under a leakage model.

    statistic: S (B, M, K); per_leakage: ∂ρ/∂g = 2P_tβ_k/σ² (B, M, K); sensor_range_m, sensor_angle_rad (B, K);
    n_snapshots: L of each of the M observations. For compiled loops, which look at a few places many times, what does
    not depend on the place: constant, the sum of the sensors' `log_constant` (B, M); sensor_cosine, cos θ (B, K);
    waves, toward these sensors, where a model needs them. None elsewhere.
    """

    problem: Problem
    model: LeakageModel
    statistic: Array
    per_leakage: Array
    sensor_range_m: Array
    sensor_angle_rad: Array
    n_snapshots: tuple[int, ...]
    constant: Array | None = None
    sensor_cosine: Array | None = None
    waves: "Waves | None" = None

    @classmethod
    def of(cls, xp: Any, problem: Problem, model: LeakageModel, observations: Observations) -> "Likelihood":
        """Of a whole batch, its observations in the order of `Problem.observations`."""
        size, _, _, n_sensors = observations.statistic.shape
        snr, counts = zip(*problem.observations(), strict=True)
        gain = path_gain(observations.sensor_range_m, problem.array.wavelength_m)
        range_m, angle_rad = observations.sensor_range_m, observations.sensor_angle_rad
        statistic = xp.reshape(observations.statistic, (size, -1, n_sensors))
        per_leakage = 2 * gain[:, None, :] * xp.asarray(snr)[:, None]
        here = cls(problem, model, statistic, per_leakage, range_m, angle_rad, counts)
        if not is_numpy_namespace(xp):
            return here
        from engine.numerics.local_cpu import summed_constants

        return here._replace(
            constant=summed_constants(statistic, counts),
            sensor_cosine=np.cos(angle_rad),
            waves=_waves(problem, model, range_m, angle_rad),
        )

    def of_rows(self, rows: Array) -> "Likelihood":
        """Of realizations `rows` (n,)."""
        return self._replace(
            statistic=self.statistic[rows],
            per_leakage=self.per_leakage[rows],
            constant=None if self.constant is None else self.constant[rows],
            **self._sensors(rows),
        )

    def each(self, rows: Array, observations: Array, n_snapshots: int) -> "Likelihood":
        """Of pairs of a realization and one of its observations, (n,) each, all with this L: n realizations of one."""
        return self._replace(
            statistic=self.statistic[rows, observations][:, None, :],
            per_leakage=self.per_leakage[rows, observations][:, None, :],
            n_snapshots=(n_snapshots,),
            constant=None if self.constant is None else self.constant[rows, observations][:, None],
            **self._sensors(rows),
        )

    def _sensors(self, rows: Array) -> dict[str, Any]:
        waves = self.waves and self.waves._replace(rows=self.waves.rows[rows])
        return {
            "sensor_range_m": self.sensor_range_m[rows],
            "sensor_angle_rad": self.sensor_angle_rad[rows],
            "sensor_cosine": None if self.sensor_cosine is None else self.sensor_cosine[rows],
            "waves": waves,
        }

    def with_snapshots(self, xp: Any, n_snapshots: int) -> Array:
        """Which of the M observations have this L."""
        return xp.asarray(np.array(self.n_snapshots) == n_snapshots)

    def at(self, xp: Any, range_m: Array, angle_rad: Array) -> Local:
        """At places (B, M, Q); on NumPy by compiled loops, which say the same but for rounding."""
        if not is_numpy_namespace(xp):
            return self.at_by_arrays(xp, range_m, angle_rad)
        from engine.numerics.leakage_cpu import compiled_leakage
        from engine.numerics.local_cpu import local_sums

        known = functools.partial(compiled_leakage, sensor_cosine=self.sensor_cosine, waves=self.waves)
        sums = local_sums(
            self._leakage(np, known, range_m, angle_rad),
            statistic=self.statistic, per_leakage=self.per_leakage, n_snapshots=self.n_snapshots,
            constant=self.constant,
        )  # fmt: skip
        return Local(range_m, angle_rad, *sums)

    def at_by_arrays(self, xp: Any, range_m: Array, angle_rad: Array) -> Local:
        """As `at`, in any namespace."""
        size, n_observations, n_places = range_m.shape
        table = self._leakage(xp, leakage, range_m, angle_rad)
        g, by_range, by_angle = (xp.reshape(part, (size, n_observations, n_places, -1)) for part in table)
        values, slopes, weights = [], [], []
        for m, n in enumerate(self.n_snapshots):
            per_leakage = self.per_leakage[:, m, None, :]
            rho = per_leakage * g[:, m, :, :]
            value, slope = log_likelihood_and_slope(self.statistic[:, m, None, :], n * rho, n)
            values.append(value)
            slopes.append(n * per_leakage * slope)
            weights.append(n * per_leakage * per_leakage * information(rho))
        value, slope, weight = (xp.stack(parts, axis=1) for parts in (values, slopes, weights))
        return Local(
            range_m,
            angle_rad,
            xp.sum(value, axis=-1),
            xp.sum(slope * by_range, axis=-1),
            xp.sum(slope * by_angle, axis=-1),
            xp.sum(weight * by_range * by_range, axis=-1),
            xp.sum(weight * by_range * by_angle, axis=-1),
            xp.sum(weight * by_angle * by_angle, axis=-1),
        )

    def _leakage(self, xp: Any, model: Callable[..., LeakageTable], range_m: Array, angle_rad: Array) -> LeakageTable:
        """At places (B, M, Q): (B, M · Q, K)."""
        size = range_m.shape[0]
        return model(
            self.model,
            self.problem.array,
            range_m=xp.reshape(range_m, (size, -1)),
            angle_rad=xp.reshape(angle_rad, (size, -1)),
            sensor_angle_rad=self.sensor_angle_rad,
            sensor_inverse_range_per_m=1 / self.sensor_range_m if self.model.two_sided else None,
        )


def _waves(problem: Problem, model: LeakageModel, range_m: np.ndarray, angle_rad: np.ndarray) -> "Waves | None":
    if not model.two_sided:
        return None
    from engine.numerics.leakage_cpu import waves_to

    return waves_to(model, problem.array, angle_rad, 1 / range_m)
