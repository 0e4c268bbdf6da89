"""Means of squared errors, and one estimator over others, user by user, as records have them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scenarios.figures.comparisons import MeanRatio, Region
from scenarios.figures.orders import Samples

TAIL = 0.025


def means(samples: Samples) -> Iterator[dict[str, Any]]:
    """Mean squared errors at every point with 95 % intervals."""
    for point, errors in samples.errors.items():
        mean = MeanRatio("", errors, np.ones(errors.shape), Region(), samples.largest[point.quantity]).judged(TAIL)
        ends = {"low": mean.low, "high": mean.high}
        yield {**point._asdict(), "mean": mean.value, **ends, "users": mean.samples}


def ratios(samples: Samples, name: str, others: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Ratios of mean squared errors with the intervals by which claims are judged, each alone."""
    for point in samples.errors:
        for other in others if point.estimator == name else ():
            one = samples.ratio(point, point._replace(estimator=other), Region()).judged(TAIL)
            ends = {"low": one.low, "high": one.high, "users": one.samples}
            yield {**point._asdict(), "over": other, "ratio": one.value, **ends}
