"""What the paper says of its Fig. 4, judged from our numbers. Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.sweep import scenario_of
from scenarios.figures.claims import Claim
from scenarios.figures.orders import Samples, orders, outperforms, samples_of
from scenarios.figures.published import differences
from scenarios.figures.rows import SQUARED_ERRORS
from scenarios.multipath.rows import errors_over_sets
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    import xarray

PAPER = {
    "n_elements": 100, "carrier_hz": 15e9, "spacing_wavelengths": 0.5, "transmit_dbm": 23.0,
    "user_range_min_m": 2.0, "user_range_max_m": 12.0,
    "user_angle_min_rad": math.pi / 6, "user_angle_max_rad": 5 * math.pi / 6,
    "sensor_range_min_m": 100.0, "sensor_range_max_m": 150.0,
}  # fmt: skip
"""Tables I and III. Its place, a campus, is not published: ours is another."""


def claims(results: "xarray.Dataset", learned: Sequence[str]) -> list[Claim]:
    """What the paper says of its estimators under multipath: the grid search with ray-traced powers, and networks."""
    scenario, samples = scenario_of(results, MultipathScene), samples_in(results)
    differs = differences(scenario, PAPER)
    return [*orders(samples, ("least_squares", *learned), differs), *outperforms(samples, learned, differs)]


def samples_in(results: "xarray.Dataset") -> Samples:
    """Every estimator's squared errors, user by user."""
    lost = (2 * value for value in scenario_of(results, MultipathScene).variance_of_draws())  # one more draw
    return samples_of(errors_over_sets(results), dict(zip(SQUARED_ERRORS, lost, strict=True)))
