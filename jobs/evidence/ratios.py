"""One estimator over others, user by user, as records have it."""

from collections.abc import Iterator, Sequence
from typing import Any

from scenarios.figures.comparisons import Region
from scenarios.figures.orders import Samples

TAIL = 0.025


def ratios(samples: Samples, name: str, others: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Ratios of mean squared errors with the intervals by which claims are judged, each alone."""
    for point in samples.errors:
        for other in others if point.estimator == name else ():
            one = samples.ratio(point, point._replace(estimator=other), Region()).judged(TAIL)
            ends = {"low": one.low, "high": one.high, "users": one.samples}
            yield {**point._asdict(), "over": other, "ratio": one.value, **ends}
