"""Family A, estimation: where the user is, from the powers that far-field sensors saw.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815,
Sections III and V. Equation numbers are that paper's.
"""

import math
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from engine import Streams, Sweep
from engine.estimators import (
    AnyEstimator,
    Estimates,
    Estimator,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Problem,
    Workbench,
)
from engine.estimators.deepsets import AmortisedDeepSets
from engine.estimators.deepsets.checkpoint import is_shipped
from engine.estimators.deepsets.setting import SPHERICAL_SENSORS, is_setting_of
from engine.estimators.doubt import ATTRIBUTES, SELF_CHECK, unchecked
from engine.estimators.estimator import no_estimates, require_unseen
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import leakage
from engine.numerics.noncentral_chi2 import summed_power
from engine.numerics.pattern import SearchGrid
from engine.scenario import Simulate, Variables
from scenarios.leakage.exact_limit import prepare_exact_limit
from scenarios.leakage.figures import errors_against_noise
from scenarios.leakage.rows import summary
from scenarios.leakage.scene import (
    Geometry,
    LeakageScene,
    described_bounds,
    described_estimates,
    described_geometry,
    prepare_bound,
)
from scenarios.leakage.tables import report
from scenarios.leakage.weiss_weinstein import described_weiss_weinstein, prepare_weiss_weinstein


class Draws(NamedTuple):
    """One block: users and sensors as in `Geometry`, and the noise; B realizations, K sensors, L's as many as set."""

    user_range_m: np.ndarray
    """(B,)"""
    user_angle_rad: np.ndarray
    """(B,)"""
    sensor_range_m: np.ndarray
    """(B, K)"""
    sensor_angle_rad: np.ndarray
    """(B, K)"""
    gaussian: np.ndarray
    """N(0, 1), (B, L, K)"""
    chi_square: np.ndarray
    """χ² with 2L − 1 degrees of freedom, (B, L, K)"""

    @property
    def geometry(self) -> Geometry:
        return Geometry(*self[:4])


MODEL_BASED: tuple[AnyEstimator, ...] = (
    LeastSquares(leakage="fresnel_closed"),
    MaximumLikelihood(leakage="fresnel_closed"),
    PosteriorMean(leakage="fresnel_closed"),
)
WITH_LEARNED = (*MODEL_BASED, AmortisedDeepSets(leakage="fresnel_closed"))


class LeakageEstimation(LeakageScene):
    """Errors of estimators on the same draws, beside the bound for the model that generated the data.

    What is coupled: users and sensors as in `LeakageScene`. A realization's noise is one Gaussian and one χ² number
    per sensor and snapshot count; all noise powers share them (S = (√(Lρ) + n)² + q, so that only ρ moves), the
    estimators share S, snapshot counts have numbers of their own, and a point with fewer sensors has the first ones
    of a point with more. The prior that estimators assume is the one that users are drawn from.
    """

    code_version: ClassVar[int] = 6

    estimators: tuple[AnyEstimator, ...] = Field(
        MODEL_BASED,
        min_length=1,
        description="estimators, each with the leakage model that it assumes",
    )
    grid_ranges: int = Field(100, ge=2, le=10_000, description="candidate ranges of estimators that search a grid")
    grid_angles: int = Field(180, ge=2, le=10_000, description="candidate angles of estimators that search a grid")
    exact_limit: bool = Field(True, description="whether the posterior's variance, the exact limit, is computed")
    weiss_weinstein_nodes: int = Field(
        0, ge=0, le=4000, description="places that the Weiss-Weinstein bound tells apart at once, some 300; 0 for none"
    )

    @model_validator(mode="after")
    def _distinct_estimators(self) -> Self:
        names = [estimator.name for estimator in self.estimators]
        if len(set(names)) != len(names):
            raise ValueError(f"estimators are named {', '.join(names)}: needed names that differ, set `name`")
        return self

    def problem(self) -> Problem:
        """What the estimators know."""
        grid = SearchGrid(
            self.user_range_min_m, self.user_range_max_m, self.user_angle_min_rad, self.user_angle_max_rad,
            self.grid_ranges, self.grid_angles,
        )  # fmt: skip
        beta = self.user_range_draw == "beta"
        return Problem(
            self.array(),
            grid,
            tuple(float(value) for value in self.snr()),
            self.n_snapshots,
            self.prior_alpha if beta else 1.0,
            self.prior_beta if beta else 1.0,
            setting=SPHERICAL_SENSORS if self.leakage.two_sided else (),
            sensor_range_m=(self.sensor_range_min_m, self.sensor_range_max_m),
        )

    def serves(self, estimator: Estimator) -> bool:
        """Whether an estimator is asked here: the network that comes with the package only where it was trained.

        Elsewhere it has no estimates, so that points of a sweep have the same estimators; another that does not fit is
        refused.
        """
        if not isinstance(estimator, AmortisedDeepSets) or not is_shipped(estimator.checkpoint):
            return True
        return is_setting_of(estimator.checkpoint.card(), self.problem())

    def coordinates(self) -> Variables:
        names = np.array([estimator.name for estimator in self.estimators])
        return {"estimator": (("estimator",), names, {"long_name": "estimator"}), **super().coordinates()}

    def draw(self, streams: Streams, size: int) -> Draws:
        require_unseen(filter(self.serves, self.estimators), streams.seed)
        shape = (self.n_sensors, size)  # one sensor after the other, so that fewer of them are the first ones
        gaussian = [streams(f"noise_gaussian_{n}").standard_normal(shape).T for n in self.n_snapshots]
        chi_square = [streams(f"noise_chi_square_{n}").chisquare(2 * n - 1, shape).T for n in self.n_snapshots]
        return Draws(*self.draw_geometry(streams, size), np.stack(gaussian, axis=1), np.stack(chi_square, axis=1))

    def observe(self, xp: Any, drawn: Draws) -> tuple[Any, Any, Any]:
        """What the sensors see: g (B, K), ρ (B, S, K), and S (B, S, L, K), all in the namespace of `drawn`."""
        array = self.array()
        snr, snapshots = xp.asarray(self.snr()), xp.asarray(np.asarray(self.n_snapshots, dtype=float))
        g = leakage(
            self.leakage,
            array,
            range_m=drawn.user_range_m[:, None],
            angle_rad=drawn.user_angle_rad[:, None],
            sensor_angle_rad=drawn.sensor_angle_rad,
            sensor_inverse_range_per_m=1 / drawn.sensor_range_m,
        ).value[:, 0, :]
        rho = 2 * snr[:, None] * (path_gain(drawn.sensor_range_m, array.wavelength_m) * g)[:, None, :]  # Eq. (13)
        statistic = summed_power(
            rho[:, :, None, :] * snapshots[:, None], drawn.gaussian[:, None], drawn.chi_square[:, None]
        )
        return g, rho, statistic

    def prepare(self, xp: Any) -> Simulate:
        bound = prepare_bound(self, xp)
        workbench = Workbench(self.problem(), xp)
        limit = prepare_exact_limit(xp, workbench, self.leakage) if self.exact_limit else None
        nodes = self.weiss_weinstein_nodes
        weiss_weinstein = prepare_weiss_weinstein(self, xp, nodes) if nodes else None
        estimators = [one.prepare(workbench) if self.serves(one) else no_estimates for one in self.estimators]
        snapshots = xp.asarray(np.asarray(self.n_snapshots, dtype=float))

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            drawn = Draws(*(xp.asarray(part) for part in realizations))
            g, rho, statistic = self.observe(xp, drawn)
            batch = workbench.batch(Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad))
            estimates = [estimate(batch) for estimate in estimators]
            checks = [
                one.self_check(batch, estimate) if self.serves(one) else unchecked(estimate)
                for one, estimate in zip(self.estimators, estimates, strict=True)
            ]
            _, bound_range, bound_angle = bound(drawn.geometry)
            variables = _described_results(xp, drawn, estimates, checks, bound_range, bound_angle)
            if limit:
                variables |= limit(batch, estimates)
            if weiss_weinstein:
                variables |= described_weiss_weinstein(*weiss_weinstein(drawn.geometry))
            if intermediates:
                variables |= _described_intermediates(drawn, g, rho, statistic, snapshots)
            return variables

        return simulate


def _described_results(
    xp: Any, drawn: Draws, estimates: list[Estimates], checks: list[Any], bound_range: Any, bound_angle: Any
) -> Variables:
    dims = ("realization", "estimator", "noise_dbm", "n_snapshots")
    range_m = xp.stack([estimate.range_m for estimate in estimates], axis=1)
    angle_rad = xp.stack([estimate.angle_rad for estimate in estimates], axis=1)
    truth = drawn.user_range_m[:, None, None, None], drawn.user_angle_rad[:, None, None, None]
    return {
        **described_estimates(dims, (range_m, angle_rad), truth),
        SELF_CHECK: (dims, xp.stack(checks, axis=1), ATTRIBUTES),
        **described_bounds(bound_range, bound_angle),
    }


def _described_intermediates(drawn: Draws, g: Any, rho: Any, statistic: Any, snapshots: Any) -> Variables:
    """Every draw, and what leads from it to the observations."""
    per_sensor = ("realization", "sensor")
    per_count = ("realization", "n_snapshots", "sensor")
    per_noise = ("realization", "noise_dbm", "sensor")
    all_of_them = ("realization", "noise_dbm", "n_snapshots", "sensor")
    z = statistic / (2 * snapshots[:, None]) - 1
    return {
        **described_geometry(drawn.geometry),
        "gaussian": (per_count, drawn.gaussian, {"long_name": "Gaussian part of the noise"}),
        "chi_square": (per_count, drawn.chi_square, {"long_name": "χ² part of the noise"}),
        "sensor_leakage": (per_sensor, g, {"long_name": "leakage g at the user"}),
        "noncentrality": (per_noise, rho, {"long_name": "noncentrality ρ, Eq. 13"}),
        "statistic": (all_of_them, statistic, {"long_name": "summed normalised power S"}),
        "normalised_power": (all_of_them, z, {"long_name": "normalised power z, Eq. 8"}),
    }  # fmt: skip


fig3 = Sweep(
    LeakageEstimation(leakage="spherical", estimators=WITH_LEARNED),
    {"n_sensors": (20, 40)},
    realizations=1000,
    block=50,
    chunk=100,
    name="leakage:fig3",
    about="errors of estimators against the noise power (Fig. 3): spherical waves, correct closed form assumed",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
    summary=summary,
    figure=errors_against_noise,
    report=report,
)

fig3_as_printed = fig3.replace(
    scenario=LeakageEstimation(
        leakage="as_printed",
        sensor_angle_min_rad=math.pi / 6,
        sensor_angle_max_rad=5 * math.pi / 6,
        estimators=(
            LeastSquares(leakage="as_printed"),
            MaximumLikelihood(leakage="as_printed"),
            PosteriorMean(leakage="as_printed"),
        ),
    ),
    name="leakage:fig3-as-printed",
    about="the same with the leakage of Eq. 10 as the paper prints it, for data and estimators alike",
)
