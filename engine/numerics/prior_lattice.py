"""Lattices of places over a user's prior: equal shares of probability, told apart by cells, for bounds in them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_PLASTIC = 1.324717957244746  # x³ = x + 1
_EVENLY = np.array([1 / _PLASTIC, 1 / _PLASTIC**2])
"""Steps of an additive sequence in the square with little discrepancy, as the golden ratio's on the line."""


class PlacePrior(NamedTuple):
    """Range Beta(α, β) over its interval, angle uniform over its own."""

    range_min_m: float
    range_max_m: float
    angle_min_rad: float
    angle_max_rad: float
    alpha: float = 1.0
    beta: float = 1.0

    def range_below(self, range_m: np.ndarray) -> np.ndarray:
        """Probability of shorter ranges."""
        from scipy.special import betainc

        part = (range_m - self.range_min_m) / (self.range_max_m - self.range_min_m)
        return np.asarray(betainc(self.alpha, self.beta, np.clip(part, 0.0, 1.0)))

    def range_at(self, probability: np.ndarray) -> np.ndarray:
        """Range (m) below which the range is with a probability."""
        from scipy.special import betaincinv

        width_m = self.range_max_m - self.range_min_m
        return np.asarray(self.range_min_m + width_m * betaincinv(self.alpha, self.beta, probability))


class Window(NamedTuple):
    """In which of some equal shares of the prior the user is, which is told beforehand to whom a bound belongs.

    The prior falls into `angle_parts` × `range_parts` of equal probability, of which `at_angles` × `at_ranges` stand
    for all, evenly. n_ranges: cells along the range, of equal width in d^range_power.
    """

    angle_parts: int = 1
    range_parts: int = 1
    at_angles: int = 1
    at_ranges: int = 1
    n_ranges: int = 12
    range_power: float = 1.0


class Lattice(NamedTuple):
    """G places and their probabilities, which add up to one, (G,) each."""

    range_m: np.ndarray
    angle_rad: np.ndarray
    weight: np.ndarray


def lattices(prior: PlacePrior, window: Window, nodes: int, least: int = 1) -> Iterator[Lattice]:
    """Some of about `nodes` places each, in all of the window's positions as often, at least so many in all.

    A place has a share of its cell's probability below it, of range and of angle: the lattice's offsets, the centre for
    the first and then those of a sequence that fills the square evenly. For whoever is told the offsets a bound holds
    in the mean over them, and over positions. Where few places look alike one of them may be far from that mean: the
    angle at K = 20, L = 50, −85 dBm, with 600 places, at five offsets: 0.4, 2.4, 0.2, 7.9, 1.1 µrad².
    """
    n_angles = max(2, nodes // window.n_ranges)
    positions = [
        (range_part, angle_part)
        for range_part in _looked_at(window.range_parts, window.at_ranges)
        for angle_part in _looked_at(window.angle_parts, window.at_angles)
    ]
    for number in range(len(positions) * math.ceil(least / len(positions))):
        range_part, angle_part = positions[number % len(positions)]
        at_range, at_angle = np.mod(0.5 + number * _EVENLY, 1.0)
        low, high = prior.range_at((range_part + np.array([0.0, 1.0])) / window.range_parts) ** window.range_power
        edges = prior.range_below(np.linspace(low, high, window.n_ranges + 1) ** (1 / window.range_power))
        share = np.diff(edges)
        range_m = prior.range_at(edges[:-1] + at_range * share)
        places = (angle_part + (np.arange(n_angles) + at_angle) / n_angles) / window.angle_parts
        angle_rad = prior.angle_min_rad + (prior.angle_max_rad - prior.angle_min_rad) * places
        weight = np.repeat(share / share.sum(), n_angles) / n_angles
        yield Lattice(np.repeat(range_m, n_angles), np.tile(angle_rad, window.n_ranges), weight)


def _looked_at(parts: int, count: int) -> np.ndarray:
    """Which of so many parts, evenly: (count,), whole numbers."""
    return np.floor((np.arange(count) + 0.5) / count * parts)
