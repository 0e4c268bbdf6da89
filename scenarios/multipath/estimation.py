"""Family A under multipath: its data set, and the errors of estimators (Fig. 4).

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D and Table III.
"""

import functools
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from engine import Streams, Sweep
from engine.channels.surroundings import indoors
from engine.channels.tracing import TracedChannel
from engine.estimators import (
    AnyEstimator,
    Estimator,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Problem,
    Workbench,
)
from engine.estimators.assumed_leakage import AssumedLeakage
from engine.estimators.deepsets import Checkpoint, ConditionedDeepSets, DeepSets
from engine.estimators.deepsets.checkpoint import checkpoints_in, is_shipped, shipped
from engine.estimators.deepsets.setting import is_setting_of
from engine.estimators.doubt import ATTRIBUTES, SELF_CHECK, Doubt, unchecked
from engine.estimators.estimator import no_estimates, require_unseen
from engine.numerics.noncentral_chi2 import summed_power
from engine.numerics.pattern import SearchGrid
from engine.scenario import Simulate, Variables
from scenarios.leakage.scene import described_estimates
from scenarios.multipath.beliefs import Belief, believed_place
from scenarios.multipath.figures import errors_against_noise
from scenarios.multipath.rows import summary
from scenarios.multipath.scene import (
    INCLUDED,
    MultipathScene,
    Traces,
    Users,
    channels_to_users,
    described_users,
    position_m,
    require_host,
)
from scenarios.multipath.tables import report
from scenarios.multipath.traced_powers import TracedPowers


class Draws(NamedTuple):
    """One block: users and noise; B realizations, L snapshot counts, A sets of K sensors."""

    user_range_m: np.ndarray
    user_angle_rad: np.ndarray
    gaussian: np.ndarray
    """N(0, 1), (B, L, A, K)"""
    chi_square: np.ndarray
    """χ² with 2L − 1 degrees of freedom, (B, L, A, K)"""


class MultipathEstimation(MultipathScene):
    """Errors of estimators of the user's place from the powers at each set of sensors, under multipath.

    Estimators assume `ray_traced`, the expected power of every candidate, traced in the same surroundings as the
    user, as the paper's grid search does; or `free_space`, which knows array, pattern and sensors, but neither ground
    nor buildings. Both are tables over the candidates: estimates lie on the grid, or are means over it. Users in
    buildings or without a path are marked `excluded` and have no estimate.

    What is coupled: noise powers, estimators and a set's beginnings share a realization's noise, as in
    `LeakageEstimation`; sets of sensors share the users.
    """

    code_version: ClassVar[int] = 6
    AS_EVER: ClassVar[dict[str, Any]] = MultipathScene.AS_EVER | {"believed": "true"}

    noise_dbm: tuple[float, ...] = Field(
        (-65.0, -70.0, -75.0, -80.0, -85.0), min_length=1, description="noise power σ²"
    )
    n_snapshots: tuple[int, ...] = Field((1, 50), min_length=1, description="number of snapshots L")
    transmit_dbm: float = Field(23.0, description="transmit power P_t")
    estimators: tuple[AnyEstimator, ...] = Field(
        (
            LeastSquares(leakage="ray_traced"),
            MaximumLikelihood(leakage="ray_traced", steps=0),
            PosteriorMean(leakage="ray_traced", off_grid=False),
            LeastSquares(leakage="free_space", name="least_squares_free_space"),
            MaximumLikelihood(leakage="free_space", steps=0, name="maximum_likelihood_free_space"),
            PosteriorMean(leakage="free_space", off_grid=False, name="posterior_mean_free_space"),
        ),
        min_length=1,
        description="estimators, each with the leakage that it assumes",
    )
    checkpoints: Annotated[tuple[Checkpoint, ...], BeforeValidator(checkpoints_in)] = Field(
        (), description="files, or folders, of networks trained in this place"
    )
    grid_ranges: int = Field(100, ge=2, le=10_000, description="candidate ranges")
    grid_angles: int = Field(360, ge=2, le=10_000, description="candidate angles; the paper: 180")
    believed: Belief = Field("true", description="place that ray-traced tables are made in")

    @field_validator("noise_dbm", "n_snapshots", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return value if isinstance(value, tuple | list) else (value,)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [estimator.name for estimator in self.estimators]
        for what, values in (("estimators", names), ("noise_dbm", self.noise_dbm), ("n_snapshots", self.n_snapshots)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} are {', '.join(map(str, values))}: needed ones that differ")
        if min(self.n_snapshots) < 1 or any(abs(power) > 400 for power in self.noise_dbm):
            raise ValueError("needed snapshot counts of at least 1 and noise powers between -400 and 400 dBm")
        return self

    def all_estimators(self) -> tuple[Estimator, ...]:
        """Those named, and those of the checkpoints: `DeepSets`, `ConditionedDeepSets`, or both."""
        given = [one for one in self.checkpoints if not is_shipped(one)]
        points = tuple(one for one in given if one.card().kind == "sensor_set")
        others = tuple(one for one in given if one not in points) or self._shipped()
        learned: list[Estimator] = [DeepSets(checkpoints=points, leakage="ray_traced")] if points else []
        learned += [ConditionedDeepSets(checkpoints=others, leakage="ray_traced")] if others else []
        return (*self.estimators, *learned)

    def serves(self, estimator: Estimator) -> bool:
        """Whether an estimator is asked here: networks that come with the package only where they were trained.

        Elsewhere they have no estimates, so that points of a sweep have the same estimators; other networks that do not
        fit are refused, and so are those of another release, of which the present ones say nothing.
        """
        if not isinstance(estimator, ConditionedDeepSets) or estimator.checkpoints != self._shipped():
            return True
        for one in estimator.checkpoints:
            one.require_unchanged()
        snr_db = [self.transmit_dbm - power for power in self.noise_dbm]
        return len(estimator.checkpoints) >= self.sensor_sets and all(
            is_setting_of(card, self.problem())
            and card.conditions is not None
            and self.n_sensors in card.conditions.n_sensors
            and set(self.n_snapshots) <= set(card.conditions.n_snapshots)
            and card.conditions.snr_db[0] <= min(snr_db)
            and max(snr_db) <= card.conditions.snr_db[1]
            for card in (one.card() for one in estimator.checkpoints)
        )

    def _shipped(self) -> tuple[Checkpoint, ...]:
        return tuple(one for one in self.checkpoints if is_shipped(one))

    def snr(self) -> np.ndarray:
        """P_t/σ² at each noise power, (S,)."""
        return 10 ** ((self.transmit_dbm - np.asarray(self.noise_dbm)) / 10)

    def problem(self) -> Problem:
        """What the estimators know."""
        grid = SearchGrid(
            self.user_range_min_m, self.user_range_max_m, self.user_angle_min_rad, self.user_angle_max_rad,
            self.grid_ranges, self.grid_angles,
        )  # fmt: skip
        return Problem(self.array(), grid, tuple(map(float, self.snr())), self.n_snapshots, setting=self.setting())

    def coordinates(self) -> Variables:
        names = np.array([estimator.name for estimator in self.all_estimators()])
        return {
            "estimator": (("estimator",), names, {"long_name": "estimator"}),
            "noise_dbm": (("noise_dbm",), np.asarray(self.noise_dbm), {"units": "dBm", "long_name": "noise power"}),
            "n_snapshots": (("n_snapshots",), np.asarray(self.n_snapshots), {"long_name": "number of snapshots"}),
        }

    def draw(self, streams: Streams, size: int) -> Draws:
        require_unseen(filter(self.serves, self.all_estimators()), streams.seed)
        shape = (self.n_sensors, size)  # one sensor after the other, so that fewer of them are the first ones
        noise = {
            "gaussian": lambda stream, _: stream.standard_normal(shape),
            "chi_square": lambda stream, n: stream.chisquare(2 * n - 1, shape),
        }
        drawn = {
            name: np.stack(
                [
                    np.stack([draw(streams(f"noise_{name}_{n}_{a}"), n).T for a in range(self.sensor_sets)], axis=1)
                    for n in self.n_snapshots
                ],
                axis=1,
            )
            for name, draw in noise.items()
        }
        return Draws(*self.draw_users(streams, size), drawn["gaussian"], drawn["chi_square"])

    def prepare(self, xp: Any) -> Simulate:
        require_host(xp)
        traces = Traces(self)
        workbenches = self._workbenches(traces)
        prepared = [
            [one.prepare(bench) if self.serves(one) else no_estimates for one in self.all_estimators()]
            for bench in workbenches
        ]
        sensor_range_m, sensor_angle_rad = self.sensors()
        snr, snapshots = self.snr(), np.asarray(self.n_snapshots, dtype=float)

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            users = Users(*realizations[:2])
            h, paths, status = traces.user_channels(users)
            power = traces.expected_power(h)
            size = len(power)
            estimates, checks = [], []
            for a, (bench, estimators) in enumerate(zip(workbenches, prepared, strict=True)):
                rho = 2 * snr[:, None, None] * power[:, None, None, a]  # (B, S, 1, K), Eq. (13)
                statistic = summed_power(
                    rho * snapshots[:, None],
                    realizations.gaussian[:, None, :, a],
                    realizations.chi_square[:, None, :, a],
                )
                places = (
                    np.broadcast_to(part[a], (size, self.n_sensors)) for part in (sensor_range_m, sensor_angle_rad)
                )
                batch = bench.batch(Observations(statistic, *places))
                of_set = [estimate(batch) for estimate in estimators]
                estimates.append([np.stack(one) for one in of_set])
                checks.append(
                    [
                        one.self_check(batch, estimate) if self.serves(one) else unchecked(estimate)
                        for one, estimate in zip(self.all_estimators(), of_set, strict=True)
                    ]
                )
            check = np.moveaxis(np.array(checks), 2, 0)  # (B, A, estimator, S, L)
            check[status != INCLUDED] = int(Doubt.NOT_FINITE)
            found = np.moveaxis(np.array(estimates), (2, 3), (0, 1))  # (range | angle, B, A, estimator, S, L)
            found[:, status != INCLUDED] = np.nan
            truth = users.user_range_m[:, None, None, None, None], users.user_angle_rad[:, None, None, None, None]
            per_set = ("realization", "sensor_set", "estimator", "noise_dbm", "n_snapshots")
            variables = {
                **described_users(users, status, paths),
                **described_estimates(per_set, (found[0], found[1]), truth),
                SELF_CHECK: (per_set, check, ATTRIBUTES),
            }
            if intermediates:
                dims = ("realization", "sensor_set", "sensor")
                variables["expected_power"] = (dims, power, {"long_name": "expected power at the sensor over P_t"})
            return variables

        return simulate

    def _workbenches(self, traces: Traces) -> list[Workbench]:
        """One for each set of sensors; all tables come from one trace of the candidates."""
        problem, seen = self.problem(), traces
        if self.believed != "true":
            place = believed_place(self.surroundings, self.believed)
            seen = Traces(self.replace(surroundings=place, believed="true"), self.sensors())
        h, excluded = _candidate_channels(seen.channel, problem.grid, self.user_height_m)
        tables: dict[AssumedLeakage, np.ndarray] = {
            "ray_traced": np.where(excluded[:, None, None], np.nan, seen.expected_power(h)),
            "free_space": traces.expected_power_in_free_space(Users(*problem.grid.candidates())),
        }
        exact = TracedPowers(seen)
        return [
            Workbench(
                problem, np, {name: table[:, a] for name, table in tables.items()}, {"ray_traced": exact.of_set(a)}
            )
            for a in range(self.sensor_sets)
        ]


@functools.lru_cache(maxsize=1)
def _candidate_channels(channel: TracedChannel, grid: SearchGrid, height_m: float) -> tuple[np.ndarray, np.ndarray]:
    """h of the grid's candidates (n, N), and where no user can be (n,); once in a process, as points share them."""
    place = position_m(*grid.candidates(), height_m - channel.array_height_m, channel.array_height_m)
    h, paths = channels_to_users(channel, grid.range_min_m)(place)
    return h, (paths == 0) | indoors(channel.surroundings, place)


fig4 = Sweep(
    MultipathEstimation(checkpoints=shipped("multipath-")),
    {"n_sensors": (20, 40)},
    realizations=300,  # fewer may not show what one lost user in a hundred carries
    full=1000,
    block=50,
    chunk=50,
    name="multipath:fig4",
    about="errors of estimators against the noise power under multipath (Fig. 4), L = 1 and 50",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
    summary=summary,
    figure=errors_against_noise,
    report=report,
)
