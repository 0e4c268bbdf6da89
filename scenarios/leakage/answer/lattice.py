"""Cells of the user's area that resolve the array's pattern, whatever was measured."""

from typing import NamedTuple

import numpy as np

from engine.numerics.responses import spherical_path_difference
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior

PHASE_RAD = 0.4
"""By which an element's phase, less the mean, changes from a cell's centre to its side: an eighth of a lobe."""
_POSITIONS = 9
_BESIDE_RAD = 1.0
_SURE = 1.5
"""Over what a pattern of this band changes by, as its height nearby is known from a few places."""


class Rectangles(NamedTuple):
    """n cells of places: centres and half widths in 1/d and cos φ, (n, 2) each."""

    place: np.ndarray
    half: np.ndarray

    def halved(self, by: np.ndarray) -> "Rectangles":
        """Each in two across coordinate `by` (n,), 0 or 1: the lower halves, then the upper ones."""
        half = self.half.copy()
        half[np.arange(len(by)), by] /= 2
        aside = np.zeros_like(half)
        aside[np.arange(len(by)), by] = half[np.arange(len(by)), by]
        return Rectangles(np.concatenate([self.place - aside, self.place + aside]), np.concatenate([half, half]))

    def of(self, rows: np.ndarray) -> "Rectangles":
        return Rectangles(self.place[rows], self.half[rows])

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Widths in range (m) and in angle (rad), (n,) each."""
        low, high = self.place - self.half, self.place + self.half
        return 1 / low[:, 0] - 1 / high[:, 0], np.arccos(_cosine(low[:, 1])) - np.arccos(_cosine(high[:, 1]))


def _cosine(value: np.ndarray) -> np.ndarray:
    return np.clip(value, -1.0, 1.0)


def resolving_cells(powers: Powers, prior: Prior, phase_rad: float = PHASE_RAD) -> Rectangles:
    """Of the whole area, halved until each is smaller than the pattern's detail."""
    low, high = prior.low[:2], prior.high[:2]
    found, cells = [], Rectangles((low + high)[None] / 2, (high - low)[None] / 2)
    while len(cells.place):
        phase = phases(powers, cells)
        wide = phase.max(axis=1) > phase_rad
        found.append(cells.of(~wide))
        cells = cells.of(wide).halved(np.argmax(phase[wide], axis=1))
    return Rectangles(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def phases(powers: Powers, cells: Rectangles) -> np.ndarray:
    """By how much phases over the aperture spread from centre to side, in 1/d and in cos φ: rad, (n, 2)."""
    array = powers.array
    positions = np.linspace(-0.5, 0.5, _POSITIONS) * array.aperture_m
    curvature, cosine = cells.place[:, 0], cells.place[:, 1]
    angle = np.arccos(_cosine(cosine))
    _, by_range, by_angle = spherical_path_difference(1 / curvature, angle, positions)
    sine = np.maximum(np.sin(angle), 1e-9)
    slopes = by_range / (curvature * curvature)[:, None], by_angle / sine[:, None]
    spread = np.stack([np.ptp(slope, axis=1) / 2 for slope in slopes], axis=1)
    # Other models than a sum over the elements may oscillate faster.
    faster = powers.model.bandwidth_rad(array) / (array.wavenumber_rad_per_m * array.aperture_m)
    scale = np.array([max(1.0, powers.model.aperture_phase), max(1.0, faster)])
    return np.asarray(spread * cells.half * array.wavenumber_rad_per_m * scale)


def envelope(powers: Powers, cells: Rectangles, table: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """How high √g is around the cells' centres, and what it may change by for each rad of phase: (n, K).

    The largest of places a third of a lobe to both sides: between lobes g is 0, and does not stay so.
    """
    offset = cells.half[:, 1] * _BESIDE_RAD / np.maximum(phase[:, 1], 1e-12)
    highest = table[0]
    for side in (-1, 1):
        cosine = np.clip(cells.place[:, 1] + side * offset, -0.999999, 0.999999)
        highest = np.maximum(highest, powers.table(np.column_stack([cells.place[:, 0], cosine]))[0])
    return np.asarray(_SURE * np.sqrt(highest))
