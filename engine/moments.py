"""Mean and variance from parts, merged without a second pass over the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations over realizations, of the finite values of each component.

    Merging follows Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """values: (realization, ...). Returns moments of shape (...)."""
        finite = np.isfinite(values)
        count = finite.sum(axis=0)
        kept = np.where(finite, values, 0.0)
        mean = kept.sum(axis=0) / np.maximum(count, 1)
        deviation = np.where(finite, kept - mean, 0.0)
        return cls(count, mean, (deviation * deviation).sum(axis=0))

    def merge(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        divisor = np.maximum(count, 1)
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / divisor)
        squares = self.squares + other.squares + difference**2 * (self.count * other.count / divisor)
        return Moments(count, mean, squares)

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean; infinite below two values."""
        enough = self.count > 1
        variance = self.squares / np.maximum(self.count - 1, 1)
        return np.where(enough, np.sqrt(variance / np.maximum(self.count, 1)), np.inf)

    def to_json(self) -> list[Any]:
        return [part.tolist() for part in (self.count, self.mean, self.squares)]

    @classmethod
    def from_json(cls, parts: list[Any]) -> "Moments":
        return cls(*(np.asarray(part) for part in parts))
