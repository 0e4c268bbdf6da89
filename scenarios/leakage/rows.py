"""What the errors of Fig. 3 come to, at every point."""

from typing import TYPE_CHECKING

import numpy as np

from engine.sweep import scenario_of
from scenarios.figures import rows as of_quantities
from scenarios.figures.rows import SQUARED_ERRORS, Quantity, Row, pooled, rows_of
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray

_OUTLIER_SHARE = 0.1
ORDER = ("n_sensors", "n_snapshots", "noise_dbm")
SETS = "sensor_set"
"""Fixed sensor sets are further realizations: the paper averages over them."""


def summary(results: "xarray.Dataset") -> list[Row]:
    """Every estimator that has estimates, all if none has, at every point.

    An error is an outlier, the user lost, when its square exceeds a tenth of the variance of a blind guess: by default
    errors beyond 0.91 m and 0.19 rad.
    """
    range_m2, angle_rad2 = scenario_of(results, LeakageScene).variance_of_draws()
    quantities = _quantity("range", "m", range_m2), _quantity("angle", "rad", angle_rad2)
    rows = rows_of(results, quantities, order=(*ORDER, "estimator"), pool=(SETS,))
    asked = {row.estimator for row in rows if row.samples}
    return [row for row in rows if row.estimator in asked] if asked else rows


def _quantity(name: str, unit: str, blind: float = np.nan) -> Quantity:
    error, what = SQUARED_ERRORS[name], f"{name}_{unit}2"
    return Quantity(
        name,
        unit,
        error,
        f"bcrlb_{what}",
        blind,
        lost_by=error,
        lost_above=_OUTLIER_SHARE * blind,
        expected=f"expected_squared_error_{what}",
        limit=f"posterior_variance_{what}",
        floor=f"weiss_weinstein_{what}",
    )


def errors_of(results: "xarray.Dataset") -> "xarray.Dataset":
    """The squared errors alone, expected ones where they are stored, sensor sets as further realizations."""
    quantities = _quantity("range", "m"), _quantity("angle", "rad")
    errors = {one.error: of_quantities.errors_of(results, one) for one in quantities}
    return pooled(results[list(SQUARED_ERRORS.values())].assign(errors), SETS)


def realizations_a_point(results: "xarray.Dataset") -> str:
    """How many are stored of each point: a number, or the range where points stopped at different ones."""
    counts = pooled(results.complete, SETS).sum("realization").values
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
