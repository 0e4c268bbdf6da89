"""What the errors of Fig. 4 come to, at every point."""

from typing import TYPE_CHECKING

from engine.sweep import scenario_of
from scenarios.figures.rows import SQUARED_ERRORS, Quantity, Row, of_those_asked, rows_of
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    import xarray

ORDER = ("n_sensors", "n_snapshots", "noise_dbm")
SETS = ("sensor_set",)


def summary(results: "xarray.Dataset", order: tuple[str, ...] = (*ORDER, "estimator")) -> list[Row]:
    """Every estimator that has estimates, all if none has, at every point.

    Sets of sensors share their users: a user's mean over the sets is one sample.
    """
    blind = scenario_of(results, MultipathScene).variance_of_draws()
    quantities = [
        Quantity(name, unit, SQUARED_ERRORS[name], blind=variance)
        for name, unit, variance in zip(("range", "angle"), ("m", "rad"), blind, strict=True)
    ]
    return of_those_asked(rows_of(results, quantities, order=order, average=SETS))


def errors_over_sets(results: "xarray.Dataset") -> "xarray.Dataset":
    """A user's mean squared errors over the sensor sets."""
    return results[list(SQUARED_ERRORS.values())].mean(SETS, skipna=False)
