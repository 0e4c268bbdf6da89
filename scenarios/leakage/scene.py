"""Family A's scene: a user in the near field, power sensors in the far field, and the bound on the user's place.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815.
Equation numbers are that paper's.
"""

import math
from abc import ABC
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from engine import Scenario, Streams
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray, path_gain
from engine.numerics.information import PriorInformation, bayesian_bound, expected_information, prior_information
from engine.numerics.leakage import leakage
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from engine.numerics.leakage_names import AnyLeakageModel
from engine.numerics.quadrature import beta_nodes, nodes_needed
from engine.scenario import Variables
from scenarios.leakage import model_gap

_TILE = 16_384
"""Table entries (range nodes × sensors) that the CPU works on at a time; no number depends on it."""


class Geometry(NamedTuple):
    """One block of users and sensors; B realizations, K sensors."""

    user_range_m: np.ndarray
    """(B,)"""
    user_angle_rad: np.ndarray
    """(B,)"""
    sensor_range_m: np.ndarray
    """(B, K)"""
    sensor_angle_rad: np.ndarray
    """(B, K)"""


class LeakageScene(Scenario, ABC):
    """A user in the near field, sensors in the far field: what every scenario of this family draws.

    Points of a sweep share their users, and a point with fewer sensors has the first ones of a point with more:
    curves over `n_sensors` are smooth, and their points are not independent. Noise powers and snapshot counts share
    everything.
    """

    n_elements: int = Field(100, ge=2, le=100_000, description="elements of the array, N")
    carrier_hz: float = Field(15e9, gt=0, le=1e13, description="carrier frequency")
    spacing_wavelengths: float = Field(0.5, gt=0, description="element spacing Δ/λ")
    n_sensors: int = Field(20, ge=1, le=100_000, description="number of sensors K")
    noise_dbm: tuple[float, ...] = Field(
        (-65.0, -70.0, -75.0, -80.0, -85.0), min_length=1, description="noise power σ²"
    )
    n_snapshots: tuple[int, ...] = Field((1, 50), min_length=1, description="number of snapshots L")
    transmit_dbm: float = Field(23.0, description="transmit power P_t")
    leakage: AnyLeakageModel = Field(FRESNEL_CLOSED, description="model of the leakage g")
    user_range_min_m: float = Field(2.0, gt=0, description="shortest range of the user")
    user_range_max_m: float = Field(12.0, gt=0, description="longest range of the user")
    user_angle_min_rad: float = Field(math.pi / 6, gt=0, lt=math.pi, description="smallest angle of the user")
    user_angle_max_rad: float = Field(5 * math.pi / 6, gt=0, lt=math.pi, description="largest angle of the user")
    user_range_draw: Literal["uniform", "beta"] = Field("uniform", description="distribution of the user's range")
    sensor_range_min_m: float = Field(100.0, gt=0, description="shortest range of a sensor")
    sensor_range_max_m: float = Field(150.0, gt=0, description="longest range of a sensor")
    sensor_angle_min_rad: float = Field(math.pi / 6, ge=0, le=math.pi, description="smallest angle of a sensor")
    sensor_angle_max_rad: float = Field(5 * math.pi / 6, ge=0, le=math.pi, description="largest angle of a sensor")
    prior_information: PriorInformation = Field("as_printed", description="prior information about the range")
    prior_alpha: float = Field(2.0, gt=0, description="α of the range's prior, Eq. 19")
    prior_beta: float = Field(2.0, gt=0, description="β of the range's prior, Eq. 19")

    @field_validator("noise_dbm", "n_snapshots", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return value if isinstance(value, tuple | list) else (value,)

    @field_validator("noise_dbm")
    @classmethod
    def _distinct_noise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) != len(value) or any(abs(power) > 400 for power in value):
            raise ValueError("needed noise powers that differ, between -400 and 400 dBm")
        return value

    @field_validator("n_snapshots")
    @classmethod
    def _positive_snapshots(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value) < 1:
            raise ValueError("needed snapshot counts of at least 1 that differ")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_intervals(self)
        self.prior_information_per_m2()
        nodes_needed(self.array(), self.user_range_min_m, self.user_range_max_m, model=self.leakage)
        return self

    def account(self) -> str:
        """Where the model of the leakage is far from the sum over elements in this scene, how far."""
        return model_gap.words(self)

    def array(self) -> UniformLinearArray:
        wavelength_m = SPEED_OF_LIGHT_M_PER_S / self.carrier_hz
        return UniformLinearArray(self.n_elements, self.spacing_wavelengths * wavelength_m, wavelength_m)

    def prior_information_per_m2(self) -> float:
        return prior_information(
            self.prior_information,
            alpha=self.prior_alpha,
            beta=self.prior_beta,
            width_m=self.user_range_max_m - self.user_range_min_m,
        )

    def prior_variance(self) -> tuple[float, float]:
        """Variances of the priors of range (Beta, m²) and angle (uniform, rad²): the error of a blind guess."""
        a, b = self.prior_alpha, self.prior_beta
        width_m = self.user_range_max_m - self.user_range_min_m
        width_rad = self.user_angle_max_rad - self.user_angle_min_rad
        return width_m**2 * a * b / ((a + b) ** 2 * (a + b + 1)), width_rad**2 / 12

    def variance_of_draws(self) -> tuple[float, float]:
        """Variances of range (m²) and angle (rad²) as they are drawn: the error of the best blind guess."""
        if self.user_range_draw == "beta":
            return self.prior_variance()
        width_m = self.user_range_max_m - self.user_range_min_m
        return width_m**2 / 12, self.prior_variance()[1]

    def blind_guess(self) -> dict[str, float]:
        """Of errors the variance as users are drawn, of the bounds that of the prior which they know."""
        drawn, prior = self.variance_of_draws(), self.prior_variance()
        errors = dict(zip(("squared_error_range_m2", "squared_error_angle_rad2"), drawn, strict=True))
        return errors | dict(zip(("bcrlb_range_m2", "bcrlb_angle_rad2"), prior, strict=True))

    def snr(self) -> np.ndarray:
        """P_t/σ² at each noise power, (S,)."""
        return 10 ** ((self.transmit_dbm - np.asarray(self.noise_dbm)) / 10)

    def coordinates(self) -> Variables:
        return {
            "noise_dbm": (("noise_dbm",), np.asarray(self.noise_dbm), {"units": "dBm", "long_name": "noise power"}),
            "n_snapshots": (("n_snapshots",), np.asarray(self.n_snapshots), {"long_name": "number of snapshots"}),
        }

    def draw_geometry(self, streams: Streams, size: int) -> Geometry:
        def uniform(name: str, low: float, high: float, count: int | None = None) -> np.ndarray:
            # Sensors are drawn one after the other for all realizations, so that fewer of them are the first ones.
            values = streams(name).random(size if count is None else (count, size))
            return low + (high - low) * np.ascontiguousarray(values.T)

        low, high = self.user_range_min_m, self.user_range_max_m
        if self.user_range_draw == "beta":
            user_range = low + (high - low) * streams("user_range").beta(self.prior_alpha, self.prior_beta, size)
        else:
            user_range = uniform("user_range", low, high)
        return Geometry(
            user_range,
            uniform("user_angle", self.user_angle_min_rad, self.user_angle_max_rad),
            uniform("sensor_range", self.sensor_range_min_m, self.sensor_range_max_m, self.n_sensors),
            uniform("sensor_angle", self.sensor_angle_min_rad, self.sensor_angle_max_rad, self.n_sensors),
        )


def require_intervals(scene: Scenario) -> None:
    """Refuse a scene whose users or sensors have an empty interval of ranges or angles. Raises ValueError."""
    for quantity in ("user_range", "user_angle", "sensor_range", "sensor_angle"):
        unit = "m" if quantity.endswith("range") else "rad"
        low, high = (getattr(scene, f"{quantity}_{end}_{unit}") for end in ("min", "max"))
        if not low < high:
            raise ValueError(f"{quantity}_min_{unit} = {low:g} and {quantity}_max_{unit} = {high:g}: needed min < max")


def prepare_bound(scene: LeakageScene, xp: Any) -> Callable[[Geometry], tuple[Any, Any, Any]]:
    """Eq. (25) for a scene: geometry → information of one snapshot (B, S, 3), bounds on range and angle (B, S, L)."""
    array, prior = scene.array(), scene.prior_information_per_m2()
    averaged = _prepare_averaged(scene, xp)
    snapshots = xp.asarray(np.asarray(scene.n_snapshots, dtype=float))

    def bound(geometry: Geometry) -> tuple[Any, Any, Any]:
        _, user_angle, sensor_range, sensor_angle = (xp.asarray(part) for part in geometry)
        gain = path_gain(sensor_range, array.wavelength_m)
        matrix = averaged(user_angle, sensor_range, sensor_angle, gain)
        return matrix, *bayesian_bound(matrix[..., None, :] * snapshots[:, None], prior)

    return bound


def _prepare_averaged(scene: LeakageScene, xp: Any) -> Callable[[Any, Any, Any, Any], Any]:
    """E_d[J_F] for one snapshot, (B, S, 3), of the users' angles, the sensors' places and their path gains.

    In compiled loops on the CPU, some realizations at a time: Fig. 1 takes 1.0 cpu-s where arrays took 3.3.
    """
    array, low, high = scene.array(), scene.user_range_min_m, scene.user_range_max_m
    n_nodes = nodes_needed(array, low, high, model=scene.leakage)
    rule = beta_nodes(low, high, scene.prior_alpha, scene.prior_beta, n_nodes=n_nodes)
    node_range, node_weight = (xp.asarray(part) for part in rule)
    snr = xp.asarray(scene.snr())
    expected: Any
    tabulated: Any
    if xp is np:
        from engine.numerics.information_cpu import compiled_expected_information as expected
        from engine.numerics.leakage_cpu import compiled_leakage as tabulated
    else:
        expected, tabulated = expected_information, leakage
    at_once = max(1, _TILE // (n_nodes * scene.n_sensors))

    def averaged(angle: Any, sensor_range: Any, sensor_angle: Any, gain: Any) -> Any:
        size = angle.shape[0]
        step = at_once if xp is np else size
        parts = []
        for start in range(0, size, step):
            here = slice(start, start + step)
            shape = (angle[here].shape[0], n_nodes)
            table = tabulated(
                scene.leakage,
                array,
                range_m=xp.broadcast_to(node_range[None, :], shape),
                angle_rad=xp.broadcast_to(angle[here, None], shape),
                sensor_angle_rad=sensor_angle[here, :],
                sensor_inverse_range_per_m=1 / sensor_range[here, :],
            )
            parts.append(expected(table, gain[here, :], node_weight, snr))
        return xp.concat(parts)

    return averaged


def described_geometry(drawn: Geometry) -> Variables:
    """The draws as variables."""
    one, per_sensor = ("realization",), ("realization", "sensor")
    return {
        "user_range_m": (one, drawn.user_range_m, {"units": "m", "long_name": "range of the user"}),
        "user_angle_rad": (one, drawn.user_angle_rad, {"units": "rad", "long_name": "angle of the user"}),
        "sensor_range_m": (per_sensor, drawn.sensor_range_m, {"units": "m", "long_name": "range of the sensor"}),
        "sensor_angle_rad": (
            per_sensor, drawn.sensor_angle_rad, {"units": "rad", "long_name": "angle of the sensor"}),
    }  # fmt: skip


def described_estimates(dims: tuple[str, ...], estimates: tuple[Any, Any], truth: tuple[Any, Any]) -> Variables:
    """Estimated ranges (m) and angles (rad) along `dims`, and their squared errors; truths broadcast to them."""
    (range_m, angle_rad), (error_m, error_rad) = estimates, (e - t for e, t in zip(estimates, truth, strict=True))
    return {
        "estimate_range_m": (dims, range_m, {"units": "m", "long_name": "estimated range"}),
        "estimate_angle_rad": (dims, angle_rad, {"units": "rad", "long_name": "estimated angle"}),
        "squared_error_range_m2": (dims, error_m * error_m, {"units": "m2", "long_name": "squared error of the range"}),
        "squared_error_angle_rad2": (
            dims, error_rad * error_rad, {"units": "rad2", "long_name": "squared error of the angle"}),
    }  # fmt: skip


def described_bounds(bound_range: Any, bound_angle: Any) -> Variables:
    """The bounds on range and angle, (B, S, L) each, as variables."""
    dims = ("realization", "noise_dbm", "n_snapshots")
    return {
        "bcrlb_range_m2": (
            dims, bound_range, {"units": "m2", "long_name": "Bayesian Cramér-Rao bound on the range"}),
        "bcrlb_angle_rad2": (
            dims, bound_angle, {"units": "rad2", "long_name": "Bayesian Cramér-Rao bound on the angle"}),
    }  # fmt: skip
