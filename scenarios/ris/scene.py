"""Family B's scene: users near and far, seen by a base station only through a reconfigurable intelligent surface.

Cao, Zhang, Eldar, Zhang, "Hybrid Near-field and Far-field Localization with Holographic MIMO", arXiv 2501.17868.
Equation numbers are that paper's.
"""

import math
from abc import ABC
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from engine import InputError, Scenario, Streams
from engine.channels.ris_cascade import RisCascade
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.path_information import Paths
from engine.numerics.resolution import beam_widths
from engine.scenario import Variables
from scenarios.ris.placing import beside, directions, ends_of_near_field, unit_vectors
from scenarios.ris.subcarriers import rms_phase_rad
from scenarios.ris.zero_phases import median_zero_phases_db, ranges_between

MOST_SUBCARRIER_ERROR = 0.5
"""Standard deviations by which users at other frequencies than the estimators' may be off: less than noise by far."""
_FIELDS_OF_VIEW = {
    "lab": (math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6),
    "wide": (math.pi / 6, 5 * math.pi / 6, -math.pi / 3, math.pi / 3),
}
"""Polar angle and azimuth, from and to."""


class Draws(NamedTuple):
    """One block; B realizations, L users, K scatterers, C cycles, N elements."""

    user_range_m: np.ndarray
    """(B, L), as the two below"""
    user_polar_rad: np.ndarray
    user_azimuth_rad: np.ndarray
    user_phase_rad: np.ndarray
    """phase of the direct path's gain, (B, L)"""
    scatterer_range_m: np.ndarray
    """(B, K), as the two below"""
    scatterer_polar_rad: np.ndarray
    scatterer_azimuth_rad: np.ndarray
    scatterer_phase_rad: np.ndarray
    """phase of the scattered paths' gains, (B, L, K)"""
    surface_phase_rad: np.ndarray
    """ψ of every element: what a random cycle uses, and where a phase optimisation starts, (B, C, N)"""
    noise: np.ndarray
    """CN(0, 1), complex (B, C, L)"""
    drift: np.ndarray
    """N(0, 1), by how much each user's phase goes on from cycle to cycle, (B, C, L)"""
    misplacement: np.ndarray
    """unit vectors, which way the surface is off and about which axis it is turned, (B, 2, 3)"""


class RisScene(Scenario, ABC):
    """Users and scatterers in front of the surface: what every scenario of this family draws.

    Users of even index are in the near field and those of odd index in the far field (`users`), scatterers likewise;
    the near field ends where a plane wave is wrong by π/8 somewhere on the surface, which depends on the direction.
    Waves are spherical at every range (`waves`). All noise levels share a realization's geometry, its random phases
    and, scaled, its noise; a realization with fewer cycles has the first ones of one with more.
    """

    elements_per_side: int = Field(
        25, ge=2, le=200, description="elements along each side of the surface, √N; along y, with elements_upwards"
    )
    elements_upwards: int | None = Field(
        None, ge=2, le=200, description="elements along z, where that is another number than along y"
    )
    carrier_hz: float = Field(28e9, gt=0, description="carrier frequency f₀")
    spacing_m: float = Field(0.005, gt=0, description="spacing of the elements")
    subcarrier_hz: float = Field(120e3, ge=0, description="frequency spacing Δf of the users")
    base_station_x_m: float = Field(3.0, description="base station, in front of the surface")
    base_station_y_m: float = Field(-4.0, description="base station, along the surface")
    base_station_z_m: float = Field(1.0, description="base station, upwards")
    n_users: int = Field(4, ge=1, le=64, description="number of users L")
    users: Literal["alternate", "near", "far"] = Field("alternate", description="the field that users are in")
    n_scatterers: int = Field(2, ge=0, le=16, description="number of scatterers K, common to the users")
    scatterer_db: float = Field(-10.0, le=20, description="power of a scattered path relative to the direct one")
    range_min_m: float = Field(0.5, gt=0, description="shortest range")
    range_max_m: float = Field(10.0, gt=0, description="longest range")
    near_range_max_m: float | None = Field(
        None, gt=0, description="longest range of near users; the end of the near field if not set"
    )
    field_of_view: Literal["lab", "wide"] = Field("lab", description="±30° or, wide, ±60° in both angles")
    waves: Literal["spherical", "as_printed"] = Field(
        "spherical", description="waves of far users and scatterers: spherical as well, or plane as Eq. 7 has them"
    )
    snr_db: tuple[float, ...] = Field(
        (-5.0, 5.0, 10.0, 20.0, 30.0), min_length=1, description="signal-to-noise ratio, as `snr_definition` has it"
    )
    snr_definition: Literal["mean", "zero_phases"] = Field(
        "mean",
        description="power over σ²: N|α|²P, the mean at random phases; or, as printed, direct paths' at zero ones",
    )
    snr_elements: int | None = Field(
        None, ge=1, description="N in the definition of the noise power; the surface's own if not set"
    )
    n_cycles: int = Field(20, ge=1, le=10_000, description="number of cycles C")
    user_separation_beams: float = Field(
        0.0, ge=0, description="beam widths from each odd user to the even one before it; 0: independent directions"
    )
    scatterer_separation_beams: float = Field(
        0.0, ge=0, description="beam widths from scatterer k to user k, if there is one; 0: independent directions"
    )
    phase_bits: int = Field(0, ge=0, le=12, description="bits of each element's phase; 0: any phase")
    phases_told: Literal["applied", "intended"] = Field(
        "applied", description="phases that estimators are told: rounded to those bits, or as they were before"
    )
    misplaced_m: float = Field(0.0, ge=0, description="how far the surface is from where it is believed, any way")
    misturned_rad: float = Field(0.0, ge=0, le=0.5, description="angle by which it is turned unknown, about any axis")
    phase_drift_rad: float = Field(
        0.0, ge=0, description="deviation by which each user's phase wanders from a cycle to the next, unknown"
    )

    @field_validator("snr_db", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return value if isinstance(value, tuple | list) else (value,)

    @field_validator("snr_db")
    @classmethod
    def _distinct_snr(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) != len(value) or any(abs(snr) > 200 for snr in value):
            raise ValueError("needed ratios that differ, between -200 and 200 dB")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        surface = self.surface()
        if not self.range_min_m < self.range_max_m:
            raise ValueError(
                f"range_min_m = {self.range_min_m:g} and range_max_m = {self.range_max_m:g}: needed min < max"
            )
        if self.range_min_m < surface.fresnel_range_m:
            raise ValueError(
                f"range_min_m = {self.range_min_m:g} lies in the reactive near field of this surface: needed at least "
                f"0.62 √(D³/λ) = {surface.fresnel_range_m:.3f} m"
            )
        nearest_end, farthest_end = ends_of_near_field(self.surface(), self.view())
        if "far" in self.user_fields() + self.scatterer_fields() and farthest_end >= self.range_max_m:
            raise ValueError(
                f"the surface's near field reaches {farthest_end:.2f} m and range_max_m is {self.range_max_m:g}: no "
                f"far field is left for far users or scatterers; needed a larger range_max_m or fewer "
                f"elements (or users='near' and n_scatterers at most 1)"
            )
        near_end = min(nearest_end, self.near_range_max_m or math.inf)
        if "near" in self.user_fields() and near_end <= self.range_min_m:
            raise ValueError(
                f"near users would lie between range_min_m = {self.range_min_m:g} and {near_end:.3g} m: needed a "
                f"smaller range_min_m, more elements_per_side, or users = 'far'"
            )
        if self.snr_definition == "zero_phases" and self.snr_elements is not None:
            raise ValueError(
                f"snr_elements = {self.snr_elements}, snr_definition = 'zero_phases': needed one of the two"
            )
        if self.snr_definition == "mean":
            self.refuse_other_waves()
        self._refuse_unseen()
        if (self.base_station_x_m**2 + self.base_station_y_m**2 + self.base_station_z_m**2) ** 0.5 < 1e-3:
            raise ValueError("the base station lies in the surface's centre: needed another place")
        return self

    def refuse_other_waves(self) -> None:
        """Raises InputError: at construction, but for `zero_phases`, whose mean ratio takes long, before a run."""
        error = self.subcarrier_error()
        if error > MOST_SUBCARRIER_ERROR:
            most_hz = self.subcarrier_hz * MOST_SUBCARRIER_ERROR / error
            raise InputError(
                f"subcarrier_hz = {self.subcarrier_hz:g} makes the last user's waves {error:.2g} standard deviations "
                f"other than at the carrier, which the estimators take for all: needed at most {most_hz:.3g} Hz, or "
                f"fewer users or elements, or a lower snr_db"
            )

    def _refuse_unseen(self) -> None:
        """Raises ValueError where users that are close, or a surface that is off, would leave the view."""
        most = max(self.user_separation_beams, self.scatterer_separation_beams)
        width, half = max(beam_widths(self.surface())), math.sin(_FIELDS_OF_VIEW[self.field_of_view][3])
        if most * width > 0.8 * half:
            raise ValueError(
                f"a separation of {most:g} beams is {most * width:.2g} in direction cosines, of {2 * half:.2g} in "
                f"the view: needed at most {0.8 * half / width:.3g} beams"
            )
        if self.misplaced_m > self.range_min_m / 2:
            raise ValueError(
                f"misplaced_m = {self.misplaced_m:g} with users from range_min_m = {self.range_min_m:g} on: needed at "
                f"most half of that"
            )

    def surface(self) -> UniformPlanarArray:
        n = self.elements_per_side
        wavelength_m = SPEED_OF_LIGHT_M_PER_S / self.carrier_hz
        return UniformPlanarArray(n, self.elements_upwards or n, self.spacing_m, wavelength_m)

    def cascade(self) -> RisCascade:
        place = self.base_station_x_m, self.base_station_y_m, self.base_station_z_m
        return RisCascade(self.surface(), place, self.subcarrier_hz)

    def view(self) -> FieldOfView:
        return FieldOfView(*_FIELDS_OF_VIEW[self.field_of_view], self.range_min_m, self.range_max_m)

    def user_fields(self) -> list[str]:
        """`near` or `far`, of each user."""
        if self.users != "alternate":
            return [self.users] * self.n_users
        return ["far" if user % 2 else "near" for user in range(self.n_users)]

    def scatterer_fields(self) -> list[str]:
        """`near` or `far`, of each scatterer: by turns."""
        return ["far" if k % 2 else "near" for k in range(self.n_scatterers)]

    def noise_variance(self) -> np.ndarray:
        """σ² at each mean signal-to-noise ratio, (S,): N/SNR, as |α|²P = 1."""
        return (self.snr_elements or self.surface().n_elements) / 10 ** (np.asarray(self.snr_db) / 10)

    def noise_variances(self, zero_phases: Any, xp: Any) -> Any:
        """σ² of every realization, (B, S). zero_phases: as `zero_phases_power` gives it, (B, L)."""
        variance = xp.asarray(self.noise_variance())[None, :]
        if self.snr_definition == "mean":
            return xp.broadcast_to(variance, (zero_phases.shape[0], variance.shape[1]))
        return variance * xp.mean(zero_phases, axis=-1)[:, None]

    def mean_snr_db(self) -> np.ndarray:
        """Mean signal-to-noise ratios of a cycle at random phases, (S,): of the median realization."""
        if self.snr_definition == "mean":
            return np.asarray(self.snr_db)
        fields, near_max_m = tuple(self.user_fields()), self.near_range_max_m or math.inf
        here = self.cascade(), self.view(), fields, near_max_m, self.waves == "as_printed"
        return np.asarray(self.snr_db) - median_zero_phases_db(*here)

    def unknowns(self) -> int:
        """Real unknowns of one realization: places and complex gains, L(5 + 2K) + 3K."""
        return self.n_users * (5 + 2 * self.n_scatterers) + 3 * self.n_scatterers

    def subcarrier_error(self) -> float:
        """How far off one wavelength for all users is, in deviations of the phase, as all samples tell it."""
        more_hz = (self.n_users - 1) * self.subcarrier_hz
        phase_rad = rms_phase_rad(self.surface(), _angles(self.view()), more_hz)
        return phase_rad * math.sqrt(2 * self.n_cycles * 10 ** (max(self.mean_snr_db()) / 10))

    def cycles_needed(self) -> int:
        """The fewest cycles whose 2LC real observations are as many as the unknowns."""
        return -(-self.unknowns() // (2 * self.n_users))

    def coordinates(self) -> Variables:
        long_name = "mean signal-to-noise ratio"
        if self.snr_definition == "zero_phases":
            long_name = "direct path over noise, all phases zero"
        return {
            "snr_db": (("snr_db",), np.asarray(self.snr_db), {"units": "dB", "long_name": long_name}),
            "user_field": (("user",), np.array(self.user_fields()), {"long_name": "field that the user is in"}),
        }  # fmt: skip

    def draw(self, streams: Streams, size: int) -> Draws:
        users, scatterers, cycles = self.n_users, self.n_scatterers, self.n_cycles

        def shares(name: str, count: int) -> np.ndarray:
            # One user after the other for all realizations, so that fewer of them are the first ones.
            return np.ascontiguousarray(streams(name).random((count, size)).T)

        def places(name: str, fields: list[str], near_max_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            count, view = len(fields), self.view()
            polar, azimuth = directions(view, shares(f"{name}_polar", count), shares(f"{name}_azimuth", count))
            moved(name, polar, azimuth)
            low, high = ranges_between(self.cascade(), view, tuple(fields), near_max_m, polar, azimuth)
            return low + (high - low) * shares(f"{name}_range", count), polar, azimuth

        seen: list[np.ndarray] = []

        def moved(name: str, polar: np.ndarray, azimuth: np.ndarray) -> None:
            """Directions that are to be close to a user's, moved there."""
            if name == "user":
                seen[:] = polar, azimuth
            pairs = {"user": zip(range(1, users, 2), range(0, users, 2), strict=False),
                     "scatterer": zip(range(scatterers), range(users), strict=False)}  # fmt: skip
            apart = {"user": self.user_separation_beams, "scatterer": self.scatterer_separation_beams}[name]
            if apart:
                quarter = shares(f"{name}_separation", polar.shape[1]) * math.pi / 2
                for one, other in pairs[name]:
                    polar[:, one], azimuth[:, one] = beside(
                        self.surface(), seen[0][:, other], seen[1][:, other], apart, quarter[:, one]
                    )

        turn = 2 * math.pi
        phases = streams("surface_phase").random((cycles, size, self.surface().n_elements))
        noise = [streams(f"noise_{part}").standard_normal((cycles, size, users)) for part in ("real", "imaginary")]
        scatterer_phase = shares("scatterer_phase", users * scatterers).reshape(size, users, scatterers)
        return Draws(
            *places("user", self.user_fields(), self.near_range_max_m or math.inf),
            turn * shares("user_phase", users),
            *places("scatterer", self.scatterer_fields(), math.inf),
            turn * scatterer_phase,
            turn * np.ascontiguousarray(phases.swapaxes(0, 1)),
            np.ascontiguousarray((noise[0] + 1j * noise[1]).swapaxes(0, 1)) / math.sqrt(2),
            np.ascontiguousarray(streams("phase_drift").standard_normal((cycles, size, users)).swapaxes(0, 1)),
            unit_vectors(streams("misplacement").standard_normal((size, 2, 3))),
        )

    def true_inverse_range(self, drawn: Draws, xp: Any) -> Any:
        """κ of the users' waves, (B, L): 0 where the wave is plane, whatever its user's range is."""
        return self._inverse_range(drawn.user_range_m, self.user_fields(), xp)

    def paths(self, drawn: Draws, xp: Any) -> Paths:
        """What the draws are to the channel: inverse ranges and complex gains."""
        scatterer_amplitude = 10 ** (self.scatterer_db / 20)
        return Paths(
            self.true_inverse_range(drawn, xp),
            drawn.user_polar_rad,
            drawn.user_azimuth_rad,
            _phasor(xp, drawn.user_phase_rad),
            self._inverse_range(drawn.scatterer_range_m, self.scatterer_fields(), xp),
            drawn.scatterer_polar_rad,
            drawn.scatterer_azimuth_rad,
            scatterer_amplitude * _phasor(xp, drawn.scatterer_phase_rad),
        )

    def _inverse_range(self, range_m: Any, fields: list[str], xp: Any) -> Any:
        if self.waves == "spherical":
            return 1 / range_m
        return xp.asarray([float(field == "near") for field in fields]) / range_m


def _angles(view: FieldOfView) -> tuple[tuple[float, float], tuple[float, float]]:
    return (view.polar_min_rad, view.polar_max_rad), (view.azimuth_min_rad, view.azimuth_max_rad)


def _phasor(xp: Any, phase_rad: Any) -> Any:
    return xp.cos(phase_rad) + 1j * xp.sin(phase_rad)


def described_geometry(drawn: Draws) -> Variables:
    """Where users and scatterers are, as variables."""
    per_user, per_scatterer = ("realization", "user"), ("realization", "scatterer")
    described: Variables = {}
    for name, dims in (("user", per_user), ("scatterer", per_scatterer)):
        for part, unit, text in (
            ("range_m", "m", "range"),
            ("polar_rad", "rad", "polar angle"),
            ("azimuth_rad", "rad", "azimuth"),
        ):
            values = getattr(drawn, f"{name}_{part}")
            described[f"{name}_{part}"] = (dims, values, {"units": unit, "long_name": f"{text} of the {name}"})
    return described
