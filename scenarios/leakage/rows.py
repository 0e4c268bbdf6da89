"""What the errors of Fig. 3 come to, at every point."""

from typing import TYPE_CHECKING

import numpy as np

from engine.sweep import scenario_of
from scenarios.figures import rows as of_quantities
from scenarios.figures.rows import SQUARED_ERRORS, Quantity, Row, of_those_asked, pooled, rows_of
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray

OUTLIER_SHARE = 0.1
"""Of a blind guess's variance: a squared error above it is an outlier, the user lost"""
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
    return of_those_asked(rows)


def _quantity(name: str, unit: str, blind: float = np.nan) -> Quantity:
    error, what = SQUARED_ERRORS[name], f"{name}_{unit}2"
    return Quantity(
        name,
        unit,
        error,
        f"bcrlb_{what}",
        blind,
        lost_by=error,
        lost_above=OUTLIER_SHARE * blind,
        expected=f"expected_squared_error_{what}",
        limit=f"posterior_variance_{what}",
        floor=f"weiss_weinstein_{what}",
    )


def errors_of(results: "xarray.Dataset") -> "xarray.Dataset":
    """A user's squared errors, expected ones where they are stored; the mean over fixed sensor sets, which share users.

    What compares estimators compares these: a sample is a user.
    """
    quantities = _quantity("range", "m"), _quantity("angle", "rad")
    return _over_sets(results.assign({one.error: of_quantities.errors_of(results, one) for one in quantities}))[
        list(SQUARED_ERRORS.values())
    ]


def bounds_of(results: "xarray.Dataset") -> "dict[str, xarray.DataArray]":
    """The paper's bound on each squared error of `errors_of`."""
    averaged = _over_sets(results)
    return {name: averaged[f"bcrlb_{name}_{unit}2"] for name, unit in (("range", "m"), ("angle", "rad"))}


def knows_the_unseen(results: "xarray.Dataset") -> bool:
    """Whether squared errors are expected ones, in which a wrong place counts by its probability."""
    return all(one.expected in results for one in (_quantity("range", "m"), _quantity("angle", "rad")))


def _over_sets(values: "xarray.Dataset") -> "xarray.Dataset":
    return values.mean(SETS, skipna=False) if SETS in values.dims else values


def realizations_a_point(results: "xarray.Dataset") -> str:
    """How many are stored of each point: a number, or the range where points stopped at different ones."""
    counts = pooled(results.complete, SETS).sum("realization").values
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
