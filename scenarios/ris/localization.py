"""Family B: where users near and far are, seen through a reconfigurable intelligent surface, cycle by cycle.

Cao, Zhang, Eldar, Zhang, "Hybrid Near-field and Far-field Localization with Holographic MIMO", arXiv 2501.17868.
Equation numbers are that paper's.
"""

import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from engine.estimators.paths import PathEstimates, PathProblem
from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.candidates import CandidateGrid, FieldModel, field_grid
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths, path_covariance
from engine.numerics.received_power import focusing_share
from engine.numerics.resolution import beam_widths
from engine.numerics.wavefront import PHASE_THRESHOLD_RAD, departure_from_plane_rad, near_field_range_m, wave
from engine.scenario import Simulate, Variables
from scenarios.ris import misjudgment, ranks
from scenarios.ris.hardware import channels_of, hardware_of
from scenarios.ris.mismatch import Compared, mismatched_bounds
from scenarios.ris.protocol import Method, Outcome, cycles_before_lock, prepare_cycles
from scenarios.ris.scene import Draws, RisScene, described_geometry
from scenarios.ris.zero_phases import zero_phases_power


class RisLocalization(RisScene):
    """Errors of methods on the same draws, after some of the cycles, beside the joint bound for the phases used.

    A method is an estimator and a way to choose the surface's phases. All methods share places, gains, noise and the
    random phases, in which optimised ones start.
    """

    code_version: ClassVar[int] = 10

    methods: tuple[Method, ...] = Field((Method(estimator=OnGrid()),), min_length=1, description="methods compared")
    recorded_cycles: tuple[int, ...] = Field(
        (), description="cycles after which errors are stored; the last one alone if none is given"
    )
    model: FieldModel = Field("hybrid", description="dictionary of the on-grid methods that name none")
    angle_step_rad: float = Field(0.02, gt=0, description="angle spacing of the dictionary")
    range_step_m: float = Field(0.25, gt=0, description="range spacing of the dictionary")
    unidentifiable: bool = Field(False, description="allow fewer cycles than there are unknowns")
    direct_strength: Literal["any", "told"] = Field(
        "any", description="|g| of users' own paths, as estimators know it when they state that a user is lost"
    )
    mismatched_bound: bool = Field(False, description="store what plane waves leave of near users' errors as well")

    @field_validator("recorded_cycles", mode="before")
    @classmethod
    def _one_or_several_cycles(cls, value: Any) -> Any:
        return value if isinstance(value, tuple | list) else (value,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [method.name for method in self.methods]
        if len(set(names)) != len(names):
            raise ValueError(f"methods are named {'; '.join(names)}: needed names that differ, set `name`")
        recorded = self.recorded_cycles
        if list(recorded) != sorted(set(recorded)) or any(not 1 <= cycle <= self.n_cycles for cycle in recorded):
            raise ValueError(
                f"recorded_cycles = {recorded}: needed ascending numbers from 1 to n_cycles = {self.n_cycles}"
            )
        adaptive = (self.random_cycles(method) for method in self.methods if method.phases == "optimised")
        first = min(self.n_cycles, *(count for counts in adaptive for count in counts), math.inf)
        if first < self.cycles_needed() and not self.unidentifiable:
            raise ValueError(
                f"{first} random cycles give {2 * first * self.n_users} real observations for {self.unknowns()} "
                f"unknowns of {self.n_users} users and {self.n_scatterers} scatterers: needed at least "
                f"{self.cycles_needed()} cycles before the first estimate (n_cycles, a method's random_cycles), or "
                f"unidentifiable=true to see what happens"
            )
        side_m = (max(self.surface().n_y, self.surface().n_z) - 1) * self.spacing_m
        beam_rad = self.surface().wavelength_m / side_m
        if self.angle_step_rad > beam_rad:
            raise ValueError(
                f"angle_step_rad = {self.angle_step_rad:g} is wider than the surface's beam, λ/D = {beam_rad:.3g} rad: "
                f"users between candidates would be invisible; needed at most that, and 0.3 of it for optimised phases"
            )
        return self

    def problem(self) -> PathProblem:
        """What the estimators know."""
        return PathProblem(
            self.surface(),
            self.view(),
            self.n_users,
            self.n_scatterers,
            self.model,
            self.angle_step_rad,
            self.range_step_m,
            scattered_power=10 ** (self.scatterer_db / 10),
            direct_power=1.0 if self.direct_strength == "told" else None,
        )

    def recorded(self) -> tuple[int, ...]:
        """The cycles after which errors are stored; the last one in any case."""
        return self.recorded_cycles or (self.n_cycles,)

    def random_cycles(self, method: Method) -> list[int]:
        """C₀ of a method at each noise level."""
        if method.random_cycles is not None:
            return [method.random_cycles] * len(self.snr_db)
        power = 10 ** (self.scatterer_db / 10)
        return [
            cycles_before_lock(self.surface().n_elements, self.n_scatterers, power, 10 ** (snr / 10))
            for snr in self.mean_snr_db()
        ]

    def coordinates(self) -> Variables:
        names = np.array([method.name for method in self.methods])
        return {
            "estimator": (("estimator",), names, {"long_name": "estimator and phases"}),
            "coordinate": (
                ("coordinate",),
                np.array(["inverse_range", "polar", "azimuth"]),
                {"long_name": "coordinate"},
            ),
            "cycle": (("cycle",), np.asarray(self.recorded()), {"long_name": "cycles so far"}),
            **super().coordinates(),
        }

    def prepare(self, xp: Any) -> Simulate:
        self.refuse_other_waves()
        problem, recorded = self.problem(), self.recorded()
        grids = [method.estimator.lattice(problem) for method in self.methods]
        runs = [prepare_cycles(method, problem, recorded, self.random_cycles(method), xp) for method in self.methods]

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            drawn = Draws(*(xp.asarray(part) for part in realizations))
            paths = self.paths(drawn, xp)
            channels, hardware = channels_of(self, drawn, paths, xp), hardware_of(self, drawn, xp)
            zero_phases = zero_phases_power(self.cascade(), paths)
            noise_variance = self.noise_variances(zero_phases, xp)
            phasors = xp.cos(drawn.surface_phase_rad) + 1j * xp.sin(drawn.surface_phase_rad)
            truth = Paths(*(part[:, None, ...] for part in paths))
            results, outcomes = [], []
            for run, grid in zip(runs, grids, strict=True):
                outcome = run(channels, hardware.to_base, phasors, drawn.noise, noise_variance, hardware)
                covariance = path_covariance(
                    problem.surface, truth, outcome.beams, noise_variance, coordinate="inverse_range", counts=recorded
                )
                stated = [estimate.covariance for estimate in outcome.estimates]
                results.append(_errors(xp, self, drawn, outcome, covariance, xp.stack(stated, axis=2), grid))
                outcomes.append(outcome)
            variables = _described(xp, results)
            variables["zero_phases_power"] = ("realization", "user"), zero_phases, _ZERO_PHASES
            if self.mismatched_bound:
                compared = Compared(problem.surface, self.methods, self.model, recorded)
                variables |= mismatched_bounds(compared, paths, outcomes, noise_variance, xp)
            if intermediates:
                variables |= described_geometry(drawn) | _described_intermediates(xp, outcomes, len(self.snr_db))
            return variables

        return simulate

    def printed_operations(self) -> float:
        """Complex multiplications of one realization by the algorithm as printed, its first method's cycles.

        In each estimated cycle c: a dictionary a user, L·c·N·M; K + 2 correlations with it, (K + 2)·c·L·M; then phases,
        60 iterations of 1.5 evaluations of 2·5·L·N.
        """
        method = self.methods[0]
        grid = field_grid(
            self.surface(), self.view(), self.model,
            angle_step_rad=self.angle_step_rad, range_step_m=self.range_step_m,
        )  # fmt: skip
        n, users = self.surface().n_elements, self.n_users
        random = self.n_cycles if method.phases == "random" else min(self.random_cycles(method)[0], self.n_cycles)
        searches = sum(c * users * grid.size * (n + self.n_scatterers + 2) for c in range(random, self.n_cycles + 1))
        return searches + (self.n_cycles - random) * 60 * 1.5 * 2 * 5 * users * n

    def estimated_range_m(self, xp: Any, estimates: PathEstimates) -> Any:
        """Ranges inside the view, (G, S, L); of a plane wave the end of the near field, beyond which it may lie."""
        kappa = estimates.inverse_range_per_m
        plane = kappa == 0
        range_m = 1 / xp.where(plane, xp.ones_like(kappa), kappa)
        ends = near_field_range_m(self.surface(), estimates.polar_rad[plane], estimates.azimuth_rad[plane])
        range_m[plane] = ends
        return xp.clip(range_m, self.range_min_m, self.range_max_m)


def _errors(
    xp: Any,
    scene: RisLocalization,
    drawn: Draws,
    outcome: Outcome,
    covariance: Any,
    stated: Any,
    grid: CandidateGrid | None,
) -> dict[str, Any]:
    """One method's variables, each (B, S, R, L, …): B realizations, S noise levels, R recorded cycles.

    covariance: the bound on (κ, θ, φ), stated: what the estimates state, (B, S, R, L, 3, 3). grid: the method's.
    """

    def recorded(values: list[Any]) -> Any:
        return xp.stack(values, axis=2)

    kappa, polar, azimuth = (recorded([estimate[i] for estimate in outcome.estimates]) for i in range(3))
    range_m = recorded([scene.estimated_range_m(xp, estimate) for estimate in outcome.estimates])
    true_range, true_polar, true_azimuth = (part[:, None, None, :] for part in drawn[:3])
    true_kappa = scene.true_inverse_range(drawn, xp)[:, None, None, :]
    plane = true_kappa == 0  # a plane wave's range is nothing that could be estimated
    error_m, error_polar, error_azimuth = range_m - true_range, polar - true_polar, azimuth - true_azimuth
    error_m = xp.where(plane, xp.full_like(error_m, xp.nan), error_m)
    variances = [covariance[..., i, i] for i in range(3)]
    errors = xp.stack([kappa - true_kappa, error_polar, error_azimuth], axis=-1)
    variance_m2 = variances[0] * true_range**4
    places = (drawn.user_range_m, drawn.user_polar_rad, drawn.user_azimuth_rad), (range_m, polar, azimuth)
    return misjudgment.error_parts(xp, grid, *places, plane[:, 0, 0, :]) | {
        "estimate_range_m": range_m,
        "estimate_polar_rad": polar,
        "estimate_azimuth_rad": azimuth,
        "squared_error_angle_rad2": (error_polar * error_polar + error_azimuth * error_azimuth) / 2,
        "squared_error_range_m2": error_m * error_m,
        "direction_error_beams": _in_beams(xp, scene.surface(), (polar, azimuth), (true_polar, true_azimuth)),
        "bound_angle_rad2": (variances[1] + variances[2]) / 2,
        "bound_range_m2": xp.where(plane, xp.full_like(variance_m2, xp.inf), variance_m2),
        "normalised_error": errors / xp.sqrt(xp.stack(variances, axis=-1)),
        "stated_deviation": xp.sqrt(xp.stack([stated[..., i, i] for i in range(3)], axis=-1)),
        "nees": _mean_square(xp, errors, stated),
        "lost_probability": recorded([estimate.lost_probability for estimate in outcome.estimates]),
        "posterior_inverse_range_per_m": recorded([one.inverse_range_mean_per_m for one in outcome.estimates]),
        "rank_inverse_range": ranks.ranks(
            xp,
            xp.broadcast_to(true_kappa, kappa.shape),
            recorded([one.inverse_range_quantiles_per_m for one in outcome.estimates]),
            (1 / scene.range_max_m, 1 / scene.range_min_m),
        ),
        "focusing_share": focusing_share(
            wave(scene.surface(), true_kappa, true_polar, true_azimuth),
            wave(scene.surface(), kappa, polar, azimuth),
        ),
        "labelled_near": xp.astype(
            departure_from_plane_rad(scene.surface(), kappa, polar, azimuth) > PHASE_THRESHOLD_RAD, xp.float64
        ),
        "misfit": recorded([estimate.misfit for estimate in outcome.estimates]),
        "scatterers_found": recorded(
            [
                xp.sum(xp.astype(~xp.isnan(estimate.scatterer_polar_rad), xp.float64), axis=-1)
                for estimate in outcome.estimates
            ]
        ),
    }


def _in_beams(xp: Any, surface: UniformPlanarArray, found: tuple[Any, Any], true: tuple[Any, Any]) -> Any:
    """How far two directions (θ, φ) are apart in direction cosines, in widths of the beam along each side."""
    (polar, azimuth), (true_polar, true_azimuth) = found, true
    width_y, width_z = beam_widths(surface)
    along_y = (xp.sin(polar) * xp.sin(azimuth) - xp.sin(true_polar) * xp.sin(true_azimuth)) / width_y
    along_z = (xp.cos(polar) - xp.cos(true_polar)) / width_z
    return xp.sqrt(along_y * along_y + along_z * along_z)


def _mean_square(xp: Any, errors: Any, covariance: Any) -> Any:
    """eᵀC⁻¹e/3, (...): errors (..., 3) by their covariance (..., 3, 3); NaN where that is not finite."""
    known = xp.all(xp.isfinite(covariance), axis=(-2, -1))[..., None, None]
    scale = xp.sqrt(xp.stack([covariance[..., i, i] for i in range(3)], axis=-1))
    scale = xp.where(known[..., 0], scale, xp.ones_like(scale))
    identity = xp.broadcast_to(xp.eye(3, dtype=xp.float64), covariance.shape)
    correlation = xp.where(known, covariance / scale[..., :, None] / scale[..., None, :], identity)
    unit = (errors / scale)[..., None]
    value = xp.sum(unit * xp.linalg.solve(correlation, unit), axis=(-2, -1)) / 3
    return xp.where(known[..., 0, 0], value, xp.full_like(value, xp.nan))


_ATTRIBUTES = {
    "estimate_range_m": {"units": "m", "long_name": "estimated range"},
    "estimate_polar_rad": {"units": "rad", "long_name": "estimated polar angle"},
    "estimate_azimuth_rad": {"units": "rad", "long_name": "estimated azimuth"},
    "squared_error_angle_rad2": {"units": "rad2", "long_name": "squared error of an angle, mean of the two"},
    "squared_error_range_m2": {"units": "m2", "long_name": "squared error of the range"},
    "direction_error_beams": {"long_name": "error of the direction in widths of the beam, λ/(n d) along each side"},
    "bound_angle_rad2": {"units": "rad2", "long_name": "joint Cramér-Rao bound on an angle, mean of the two"},
    "bound_range_m2": {"units": "m2", "long_name": "joint Cramér-Rao bound on the range"},
    "normalised_error": {"long_name": "error of κ, θ, φ over the square root of its bound"},
    "focusing_share": {"long_name": "share of the power that a surface focused on the estimate brings to the user"},
    "labelled_near": {"long_name": "1 where the estimate lies in the near field"},
    "stated_deviation": {"long_name": "standard deviation of κ, θ, φ as the estimate states it"},
    "nees": {"long_name": "squared error of κ, θ, φ over the covariance stated, a third of it: 1 in the mean if right"},
    "lost_probability": {"long_name": "probability, as the estimate states it, that the user is in another direction"},
    "scatterers_found": {"long_name": "number of scatterers found"},
    "misfit": {"long_name": "(2‖residual‖²/σ² − ν)/√(2ν)"},
    **ranks.ATTRIBUTES,
    **misjudgment.ATTRIBUTES,
}
_ZERO_PHASES = {"long_name": "power of the direct path with all phases zero, over its mean at random phases"}


def _described(xp: Any, results: list[dict[str, Any]]) -> Variables:
    per_trial = ("realization", "estimator", "snr_db", "cycle")
    by_coordinate = ("user", "coordinate")
    extra: dict[str, tuple[str, ...]] = {
        "misfit": (), "scatterers_found": (), "normalised_error": by_coordinate, "stated_deviation": by_coordinate,
    }  # fmt: skip
    return {
        name: (
            (*per_trial, *extra.get(name, ("user",))),
            xp.stack([result[name] for result in results], axis=1),
            attributes,
        )
        for name, attributes in _ATTRIBUTES.items()
    }


def _described_intermediates(xp: Any, outcomes: list[Outcome], n_levels: int) -> Variables:
    """The beams of every cycle, and the scatterers as estimated."""
    per_trial = ("realization", "estimator", "snr_db")
    shape = outcomes[0].beams.shape
    beams = [xp.broadcast_to(outcome.beams, (shape[0], n_levels, *shape[2:])) for outcome in outcomes]
    described: Variables = {
        "beam": (
            (*per_trial, "transmission", "element"),
            xp.stack(beams, axis=1),
            {"long_name": "phases of the surface times the channel to the base station"},
        )
    }
    names = {
        "inverse_range_per_m": ("1/m", "inverse range"), "polar_rad": ("rad", "polar angle"),
        "azimuth_rad": ("rad", "azimuth"),
    }  # fmt: skip
    for name, (unit, called) in names.items():
        values = [
            xp.stack([getattr(estimate, f"scatterer_{name}") for estimate in outcome.estimates], axis=2)
            for outcome in outcomes
        ]
        values = _filled_up(xp, values)
        described[f"estimate_scatterer_{name}"] = (
            (*per_trial, "cycle", "scatterer"),
            xp.stack(values, axis=1),
            {"units": unit, "long_name": f"{called} of the scatterer, estimated"},
        )
    return described


def _filled_up(xp: Any, values: list[Any]) -> list[Any]:
    """With NaN to as many scatterers as the method that seeks the most."""
    most = max(part.shape[-1] for part in values)
    return [
        xp.concat([part, xp.full((*part.shape[:-1], most - part.shape[-1]), xp.nan)], axis=-1)
        if part.shape[-1] < most
        else part
        for part in values
    ]
