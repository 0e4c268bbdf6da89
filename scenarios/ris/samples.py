"""What family B's claims compare: squared errors realization by realization, of the same users."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scenarios.figures.comparisons import MeanRatio, Region, Share
from scenarios.ris.lost import DIRECTION, LOST_BEAMS, just_lost_rad2, with_directions
from scenarios.ris.rows import QUANTITIES

if TYPE_CHECKING:
    import xarray


class Point(NamedTuple):
    """A method's users of one field at one value of a figure's horizontal axis."""

    quantity: str
    field: str
    method: str
    x: float

    @property
    def text(self) -> str:
        return f"{self.method}, {self.field} users, {self.x:g}"


@dataclass(frozen=True)
class Samples:
    """Squared errors of users, by point. Users of one realization share its cycles: a realization is a sample."""

    errors: dict[Point, np.ndarray]
    """(realizations, users)"""
    bounds: dict[Point, np.ndarray]
    directions: dict[Point, np.ndarray]
    """errors of the direction in beams, by which a user is lost"""
    just_lost: dict[Point, float]
    """(δθ² + δφ²)/2 of a user who is just lost, rad²"""

    @classmethod
    def of(cls, results: "xarray.Dataset", x: str) -> "Samples":
        """x: the axis or dimension against which the figure draws; of what else varies, the last value is taken."""
        results, fields = with_directions(results), results.user_field.values
        rest = {
            str(d): -1
            for d in results.squared_error_angle_rad2.dims
            if d not in (x, "estimator", "realization", "user")
        }
        last = results.isel(rest)
        just = just_lost_rad2(results)
        limits = just.isel({dim: -1 for dim in just.dims if dim != x}).broadcast_like(results[x]).values
        parts: tuple[dict[Point, np.ndarray], ...] = ({}, {}, {})
        just_lost: dict[Point, float] = {}
        for name, quantity in QUANTITIES.items():
            stored = (quantity.error, quantity.bound, DIRECTION)
            arrays = [last[one].transpose("estimator", x, "realization", "user").values for one in stored]
            for i, method in enumerate(results.estimator.values.tolist()):
                for j, value in enumerate(results[x].values.tolist()):
                    for field in dict.fromkeys(fields.tolist()):
                        point = Point(name, field, str(method), float(value))
                        just_lost[point] = float(limits[j])
                        for part, array in zip(parts, arrays, strict=True):
                            part[point] = array[i, j][:, fields == field]
        return cls(parts[0], parts[1], parts[2], just_lost)

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(point.method for point in self.errors))

    def curve(self, quantity: str, field: str, method: str) -> list[Point]:
        """The points of one method that have numbers, by x."""
        here = [point for point in self.errors if point[:3] == (quantity, field, method)]
        return sorted((p for p in here if np.isfinite(self.errors[p]).any()), key=lambda point: point.x)

    def bounded(self, over: Point, under: Point, region: Region) -> MeanRatio:
        """Mean squares of two points, each error counted as at most that of a user who is just lost."""
        a, b = (self._bounded(point).mean(axis=1) for point in (over, under))
        return MeanRatio(over.text, a, b, region, max(self.just_lost[over], self.just_lost[under]))

    def found(self, over: Point, under: Point, region: Region) -> MeanRatio:
        """Mean squares of the users that are lost at neither point."""
        both = self._is_found(over) & self._is_found(under)
        a, b = (_sums(self.errors[point], both) for point in (over, under))
        return MeanRatio(over.text, a, b, region)

    def found_over(self, point: Point, square: float | np.ndarray, region: Region) -> MeanRatio:
        """Mean square of the users found over a number, or over numbers (realizations, users) of the same users."""
        found = self._is_found(point) & np.isfinite(square)
        under = _sums(np.broadcast_to(square, found.shape), found)
        return MeanRatio(point.text, _sums(self.errors[point], found), under, region)

    def found_over_bound(self, point: Point, region: Region) -> MeanRatio:
        """Mean square of the users found over the mean bound of the same users."""
        found = self._is_found(point) & np.isfinite(self.bounds[point])
        a, b = (_sums(values, found) for values in (self.errors[point], self.bounds[point]))
        return MeanRatio(f"RMSE, {point.text}", a, b, region)

    def lost(self, point: Point, region: Region) -> Share:
        """The share of users lost."""
        directions = self.directions[point]
        known = directions[np.isfinite(directions)]
        return Share(f"lost, {point.text}", int(np.sum(known > LOST_BEAMS)), int(known.size), region)

    def _is_found(self, point: Point) -> np.ndarray:
        return np.isfinite(self.errors[point]) & (self.directions[point] <= LOST_BEAMS)

    def _bounded(self, point: Point) -> np.ndarray:
        errors, just = self.errors[point], self.just_lost[point]
        return np.where(self.directions[point] > LOST_BEAMS, just, np.minimum(errors, just))


def _sums(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Over the users chosen, of each realization; NaN for one without any: it is no sample."""
    return np.where(chosen.any(axis=1), np.where(chosen, values, 0.0).sum(axis=1), np.nan)
