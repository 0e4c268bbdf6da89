"""Family A's exact limit: what is left of every error when the user's place is integrated out over its posterior.

An estimator knows no more than the sensors' sums S and places. Under the model and the prior that users and powers are
drawn from, the posterior's variance is therefore the least expected squared error given S, and the errors of all
estimators follow from its mean, whatever they assume: `engine.estimators.posterior_moments`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from engine.estimators import Batch, Estimates, Workbench
from engine.estimators.posterior_moments import expected_squared_errors, moments
from engine.numerics.leakage import LeakageModel
from engine.scenario import Variables

ExactLimit = Callable[[Batch, Sequence[Estimates]], Variables]


def prepare_exact_limit(xp: Any, workbench: Workbench, truth: LeakageModel) -> ExactLimit:
    """A batch and estimates of it → the exact limit and the estimates' expected squared errors, as variables.

    truth: the model of the leakage that generates the data. The workbench's problem says the prior, which must be the
    one that users are drawn from.
    """
    workbench.resolving().search(truth)

    def limit(batch: Batch, estimates: Sequence[Estimates]) -> Variables:
        held = moments(batch, truth)
        range_m2, angle_rad2 = zip(*(expected_squared_errors(held, one) for one in estimates), strict=True)
        least, of_each = ("realization", "noise_dbm", "n_snapshots"), "expected squared error given the powers"
        every = (least[0], "estimator", *least[1:])
        text = "variance given the powers, least expected squared error"
        return {
            "expected_squared_error_range_m2": (
                every, xp.stack(range_m2, axis=1), {"units": "m2", "long_name": f"{of_each}, range"}),
            "expected_squared_error_angle_rad2": (
                every, xp.stack(angle_rad2, axis=1), {"units": "rad2", "long_name": f"{of_each}, angle"}),
            "posterior_variance_range_m2": (
                least, held.variance.range_m, {"units": "m2", "long_name": f"{text}, range"}),
            "posterior_variance_angle_rad2": (
                least, held.variance.angle_rad, {"units": "rad2", "long_name": f"{text}, angle"}),
        }  # fmt: skip

    return limit
