"""Family A's claims of order: what sensors, snapshots, noise and the choice of an estimator do to squared errors."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scenarios.figures.claims import Claim, counted
from scenarios.figures.comparisons import MeanRatio, Region
from scenarios.figures.rows import SQUARED_ERRORS
from scenarios.figures.style import LEARNED, label

if TYPE_CHECKING:
    import xarray


class Point(NamedTuple):
    """One estimator's errors at one setting."""

    quantity: str
    n_sensors: int
    n_snapshots: int
    noise_dbm: float
    estimator: str

    @property
    def text(self) -> str:
        return f"{self.quantity}, K = {self.n_sensors}, L = {self.n_snapshots}, {self.noise_dbm:g} dBm"


class Samples(NamedTuple):
    """Squared errors, user by user, of which figures show the means."""

    errors: Mapping[Point, np.ndarray]
    """NaN where there is none; entries of equal place are of the same user"""
    largest: Mapping[str, float]
    """by quantity: the mean squared error of a user who is lost, whom few realizations may not show; 0 where the errors
    are expected ones, which know of them"""

    def values(self, field: str) -> list[float]:
        return sorted({getattr(point, field) for point in self.errors})

    def ratio(self, over: Point, under: Point, region: Region, where: str = "") -> MeanRatio:
        errors = self.errors[over], self.errors[under]
        return MeanRatio(where or over.text, *errors, region, self.largest[over.quantity])


def orders(samples: Samples, names: Sequence[str], differs: tuple[str, ...] = ()) -> list[Claim]:
    """Whether every error falls with sensors and snapshots and rises with noise, first value against last."""
    return [
        _ordered(samples, names, "more sensors lower every error", "n_sensors", differs),
        _ordered(samples, names, "more snapshots lower every error", "n_snapshots", differs),
        _ordered(samples, names, "more noise raises every error", "noise_dbm", differs),
    ]


def _ordered(samples: Samples, names: Sequence[str], claim: str, axis: str, differs: tuple[str, ...]) -> Claim:
    values = samples.values(axis) or [math.nan]
    ends = (values[0], values[-1]) if axis != "noise_dbm" else (values[-1], values[0])
    other_end: dict[str, Any] = {axis: ends[1]}
    found = [
        samples.ratio(point, other, Region(low=1.0), f"{label(point.estimator)}, {point.text}")
        for point in samples.errors
        if point.estimator in names and getattr(point, axis) == ends[0] != ends[1]
        if (other := point._replace(**other_end)) in samples.errors
    ]
    text = f"mean squared errors at {axis} = {ends[0]:g} over those at {ends[1]:g}:"
    return Claim(claim, "yes", tuple(found), counted(text), differs=differs, lacking=f"two values of {axis}")


def outperforms(samples: Samples, learned: Sequence[str], differs: tuple[str, ...] = ()) -> list[Claim]:
    """ "DeepSets consistently outperforms the dense grid search", of each network apart: one of them is the paper's."""
    return [
        below(
            samples,
            f"{label(name)}: consistently outperforms the dense grid search",
            "yes" if name == LEARNED[0] else f"yes, of {label(LEARNED[0])}",
            name,
            "least_squares",
            differs,
        )
        for name in learned
    ]


def below(samples: Samples, claim: str, paper: str, name: str, other: str, differs: tuple[str, ...] = ()) -> Claim:
    """Whether one estimator has the smaller mean squared errors of range and angle at every point, on the same users.

    Beside it how far it is from the posterior mean, which none can beat that assumes the right model.
    """
    found = [
        samples.ratio(point, at, Region(high=1.0))
        for point in samples.errors
        if point.estimator == name and (at := point._replace(estimator=other)) in samples.errors
    ]
    text = f"{label(name)}'s mean squared error over {label(other)}'s:"
    beside = "" if "posterior_mean" in (name, other) else _beside_posterior(samples, name)
    return Claim(claim, paper, tuple(found), counted(text), beside, differs=differs, lacking=f"{name} and {other}")


def _beside_posterior(samples: Samples, name: str) -> str:
    found = []
    for quantity in SQUARED_ERRORS:
        ratios = [
            ratio
            for point in samples.errors
            if (point.quantity, point.estimator) == (quantity, name)
            and (at := point._replace(estimator="posterior_mean")) in samples.errors
            and np.isfinite(ratio := ratio_of_means(samples.errors[point], samples.errors[at]))
        ]
        if ratios:
            found.append(f"{quantity} {min(ratios):.2f} to {max(ratios):.2f} times the posterior mean's")
    return "; ".join(found)


def ratio_of_means(over: np.ndarray, under: np.ndarray) -> float:
    """Of the same users. NaN without any."""
    both = np.isfinite(over) & np.isfinite(under)
    return float(over[both].mean() / under[both].mean()) if both.any() and under[both].any() else np.nan


def samples_of(errors: "xarray.Dataset", largest: Mapping[str, float]) -> Samples:
    """errors: the squared errors of each quantity over (K, L, σ², estimator, realization). largest: as of `Samples`."""
    axes = Point._fields[1:]
    places = [errors[axis].values.tolist() for axis in axes]
    found = {}
    for quantity, name in SQUARED_ERRORS.items():
        values = errors[name].transpose(*axes, "realization").values
        for where in np.ndindex(values.shape[:-1]):
            if np.isfinite(values[where]).any():
                point = Point(quantity, *(place[i] for place, i in zip(places, where, strict=True)))
                found[point] = values[where]
    return Samples(found, largest)
