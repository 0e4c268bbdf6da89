"""What it costs to take waves toward sensors as plane, which the paper does."""

from typing import Any


def apparent_range_m(range_m: Any, inverse_range_per_m: Any) -> Any:
    """1/(1/d − 1/R): where a user at d seems to be, by the curvature of waves that sensors at R see as plane; d < R.

    Exact to second order in the aperture, straight ahead of it; a model with exact distances from user to elements put
    at this range has the powers of exact distances on both sides to 0.4 % at 100 to 150 m. Any shapes that broadcast.

    >>> [round(apparent_range_m(d, 1 / 123.0) - d, 2) for d in (4.0, 8.0, 12.0)]
    [0.13, 0.56, 1.3]
    """
    return 1 / (1 / range_m - inverse_range_per_m)


def true_range_m(apparent_m: Any, inverse_range_per_m: Any) -> Any:
    """The inverse of `apparent_range_m`."""
    return 1 / (1 / apparent_m + inverse_range_per_m)
