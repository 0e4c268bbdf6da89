"""What is known of the user, the gain and the noise before anything was measured."""

import math
from dataclasses import dataclass

import numpy as np

from engine import InputError
from scenarios.leakage.estimation import LeakageEstimation

LOG_PER_DB = math.log(10) / 10
_REACH = 5.0
"""Deviations of a normal prior within which it is integrated."""


@dataclass(frozen=True)
class InDecibels:
    """What is known of a factor, in dB: a value, a value and a deviation, or an interval of equal probability.

    >>> InDecibels.parsed("-10:10", "gain_db"), InDecibels.parsed("0±3", "gain_db").deviation_db
    (InDecibels(low_db=-10.0, high_db=10.0, deviation_db=0.0), 3.0)
    """

    low_db: float = 0.0
    high_db: float = 0.0
    deviation_db: float = 0.0
    """0: uniform between the ends"""

    @classmethod
    def normal(cls, mean_db: float, deviation_db: float) -> "InDecibels":
        return cls(mean_db - _REACH * deviation_db, mean_db + _REACH * deviation_db, deviation_db)

    @classmethod
    def parsed(
        cls, text: str, what: str, needed: str = "LOW:HIGH, as -10:10, or MEAN±SD, as 0±3, in dB"
    ) -> "InDecibels":
        """`LOW:HIGH`, `MEAN±SD`, `MEAN+-SD`, or a number. Raises InputError."""
        plain = text.replace("+-", "±").replace("−", "-").replace(",", ".").strip()
        try:
            if "±" in plain:
                mean, deviation = map(float, plain.split("±"))
                found = cls.normal(mean, deviation)
                good = deviation > 0
            elif ":" in plain:
                found = cls(*map(float, plain.split(":")))
                good = found.low_db < found.high_db
            else:
                found, good = cls(float(plain), float(plain)), True
        except (ValueError, TypeError):
            good = False
        if not good or not all(map(math.isfinite, (found.low_db, found.high_db))):
            raise InputError(f"{what}: given {text!r}, needed {needed}")
        if found.high_db - found.low_db > _WIDEST_DB:
            raise InputError(f"{what}: given {text!r}, needed an interval of at most {_WIDEST_DB:g} dB")
        return found

    @property
    def known(self) -> bool:
        return self.low_db == self.high_db

    @property
    def middle_db(self) -> float:
        return (self.low_db + self.high_db) / 2

    @property
    def middle(self) -> float:
        """Logarithm of the factor in the middle."""
        return LOG_PER_DB * self.middle_db

    def about_its_middle(self) -> "InDecibels":
        """The same over its middle."""
        return InDecibels(self.low_db - self.middle_db, self.high_db - self.middle_db, self.deviation_db)

    @property
    def half(self) -> float:
        """Half the interval, as a logarithm of a factor."""
        return LOG_PER_DB * (self.high_db - self.low_db) / 2

    def log_density(self, logarithm: np.ndarray) -> np.ndarray:
        """Of the factor's logarithm, within the interval and over it normalised; 0 where the factor is known."""
        if self.known:
            return np.zeros_like(logarithm)
        if not self.deviation_db:
            return np.full_like(logarithm, -math.log(2 * self.half))
        deviation = LOG_PER_DB * self.deviation_db
        return -0.5 * ((logarithm - self.middle) / deviation) ** 2 - math.log(deviation * math.sqrt(2 * math.pi))

    def slope_and_information(self, logarithm: np.ndarray) -> tuple[np.ndarray, float]:
        """Of `log_density`: its derivative, and minus its second."""
        if not self.deviation_db:
            return np.zeros_like(logarithm), 0.0
        information = 1 / (LOG_PER_DB * self.deviation_db) ** 2
        return -information * (logarithm - self.middle), information


_WIDEST_DB = 100.0
KNOWN = InDecibels()
"""A factor of 1."""


@dataclass(frozen=True)
class Prior:
    """The user's area, which holds the user, at equal probability in range and angle or Beta in range; gain and noise.

    gain: on all sent powers; noise: on σ², over the one that is given.
    """

    range_min_m: float
    range_max_m: float
    angle_min_rad: float
    angle_max_rad: float
    range_alpha: float = 1.0
    range_beta: float = 1.0
    gain: InDecibels = KNOWN
    noise: InDecibels = KNOWN

    @classmethod
    def of(cls, scene: LeakageEstimation, gain: InDecibels = KNOWN, noise: InDecibels = KNOWN) -> "Prior":
        problem = scene.problem()
        grid = problem.grid
        ends = grid.range_min_m, grid.range_max_m, grid.angle_min_rad, grid.angle_max_rad
        return cls(*ends, problem.range_alpha, problem.range_beta, gain, noise)

    @property
    def low(self) -> np.ndarray:
        """Smallest 1/d, cos φ, gain and noise, (4,)."""
        nuisance = [one.middle - one.half for one in (self.gain, self.noise)]
        return np.array([1 / self.range_max_m, math.cos(self.angle_max_rad), *nuisance])

    @property
    def high(self) -> np.ndarray:
        nuisance = [one.middle + one.half for one in (self.gain, self.noise)]
        return np.array([1 / self.range_min_m, math.cos(self.angle_min_rad), *nuisance])

    @property
    def free(self) -> np.ndarray:
        """Which of 1/d, cos φ, gain and noise are unknown, (4,)."""
        return np.array([True, True, not self.gain.known, not self.noise.known])

    def log_range_density(self, range_m: np.ndarray) -> np.ndarray:
        """Of range and angle together, 1/(m rad)."""
        width_m = self.range_max_m - self.range_min_m
        area = width_m * (self.angle_max_rad - self.angle_min_rad)
        total = np.full_like(range_m, -math.log(area))
        if (self.range_alpha, self.range_beta) == (1.0, 1.0):
            return total
        a, b = self.range_alpha, self.range_beta
        share = np.clip((range_m - self.range_min_m) / width_m, 1e-12, 1 - 1e-12)
        total += (a - 1) * np.log(share) + (b - 1) * np.log1p(-share)
        return total - (math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))

    def log_nuisance_density(self, nuisance: np.ndarray) -> np.ndarray:
        """Of gain and noise (..., 2)."""
        return self.gain.log_density(nuisance[..., 0]) + self.noise.log_density(nuisance[..., 1])
