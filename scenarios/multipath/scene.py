"""Family A under real propagation: a user, sensors in line of sight, and buildings around them.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815,
Section V-D and Table III. What costs, tracing, is done once for a user and once for a sensor: the power that a beam for
the user leaks to the sensor is a product, |h_kᴴ w|², and noise, snapshots and subsets of the sensors are free.
"""

import functools
import hashlib
import math
import re
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from engine import InputError, Scenario, Streams
from engine.channels.campus import campus
from engine.channels.geojson import surroundings_from
from engine.channels.places.features import SUFFIXES
from engine.channels.places.where import Wanted
from engine.channels.quick import Channels, channels_of
from engine.channels.specular import Pattern
from engine.channels.surroundings import Surroundings, in_sight, indoors
from engine.channels.tracing import TracedChannel, Tracer
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.scenario import Variables, one_line
from scenarios.leakage.scene import require_intervals

_SENSOR_TRIES = 200  # for each sensor, before a place is found to have too few in sight
INCLUDED, INDOORS, UNREACHED = 0, 1, 2
_NOT_OF_A_SETTING = {
    "surroundings", "n_elements", "carrier_hz", "spacing_wavelengths", "user_range_min_m", "user_range_max_m",
    "user_angle_min_rad", "user_angle_max_rad", "n_sensors", "sensor_sets", "samples",
}  # fmt: skip
_CAMPUS = re.compile(r"campus(?::(\d*))?")
READING = {  # fields that say how a map is read → those of `Wanted`; they are gone once it is
    "array_latitude_deg": "latitude_deg", "array_longitude_deg": "longitude_deg", "array_east_m": "east_m",
    "array_north_m": "north_m", "array_bearing_deg": "bearing_deg", "place_crs": "crs", "place_strict": "strict",
}  # fmt: skip


def _place(given: Any, wanted: Wanted | None = None) -> Any:
    """A campus by its seed, `campus:7`, or a map by its path."""
    if not isinstance(given, str):
        return given
    if invented := _CAMPUS.fullmatch(given):
        return campus(Streams(int(invented[1] or 0), 0)("campus"), given)
    if not given.lower().endswith(SUFFIXES) and not Path(given).is_file():
        raise ValueError(f"given {given!r}, needed campus, campus:SEED or a GeoJSON file of buildings")
    return surroundings_from(Path(given), wanted=wanted)


def wanted_of(given: dict[str, Any]) -> Wanted:
    """How a map is to be read, by the fields that say so."""
    try:
        return Wanted.model_validate({READING[name]: value for name, value in given.items()})
    except ValidationError as error:
        raise InputError(f"how the place is read: {one_line(error)}") from None


Place = Annotated[Surroundings, BeforeValidator(_place)]


class Users(NamedTuple):
    """One block of users, B of them."""

    user_range_m: np.ndarray
    """(B,)"""
    user_angle_rad: np.ndarray
    """(B,)"""


def position_m(range_m: np.ndarray, angle_rad: np.ndarray, rise_m: float, array_height_m: float) -> np.ndarray:
    """Places (..., 3) at a distance from the array's centre and an angle from its axis, `rise_m` above it."""
    before = np.sqrt(np.maximum((range_m * np.sin(angle_rad)) ** 2 - rise_m**2, 0.0))
    height = np.full_like(before, array_height_m + rise_m)
    return np.stack([before, range_m * np.cos(angle_rad), height], axis=-1)


class MultipathScene(Scenario, ABC):
    """An array, the user's sector before it, sensors far away in line of sight, and what stands around them.

    Ranges and angles are as in free space, (d, φ) with φ from the array's axis: a user below the array's height stands
    where its distance from the array's centre is d. Sensors belong to the place: sets of them are drawn from
    `sensor_seed`, and a set with fewer sensors is the beginning of one with more.
    """

    AS_EVER: ClassVar[dict[str, Any]] = {"diffraction": False}
    """Fields that came later, and their values in all that was before, whatever their default is by now: not worth a
    word, so that stores and networks of then keep their fingerprints, their settings, and their meaning."""

    surroundings: Place = Field(
        default_factory=lambda: _place("campus"), description="campus, campus:SEED, or a GeoJSON file of buildings"
    )
    array_latitude_deg: float | None = Field(None, exclude=True, description="of the array, in a file of buildings")
    array_longitude_deg: float | None = Field(None, exclude=True, description="of the array, in a file of buildings")
    array_east_m: float | None = Field(None, exclude=True, description="of the array, in a file in metres")
    array_north_m: float | None = Field(None, exclude=True, description="of the array, in a file in metres")
    array_bearing_deg: float | None = Field(
        None, exclude=True, description="where the array of a file faces, from north clockwise"
    )
    place_crs: str | None = Field(None, exclude=True, description="of a file that does not say it, EPSG:NUMBER")
    place_strict: bool | None = Field(
        None, exclude=True, description="refuse what would be mended, left out or assumed in a file"
    )
    n_elements: int = Field(100, ge=2, le=10_000, description="elements of the array, N")
    carrier_hz: float = Field(15e9, ge=1e9, le=40e9, description="carrier frequency")
    spacing_wavelengths: float = Field(0.5, gt=0, description="element spacing Δ/λ")
    pattern: Pattern = Field("tr38901", description="pattern of the array's elements")
    beam: Literal["maximum_ratio", "phase_only"] = Field("maximum_ratio", description="h/‖h‖, or its phases alone")
    array_height_m: float = Field(2.0, gt=0, le=100, description="height of the array")
    user_height_m: float = Field(1.5, gt=0, le=100, description="height of users")
    sensor_height_m: float = Field(1.5, gt=0, le=100, description="height of sensors")
    user_range_min_m: float = Field(2.0, gt=0, description="shortest range of the user")
    user_range_max_m: float = Field(12.0, gt=0, description="longest range of the user")
    user_angle_min_rad: float = Field(math.pi / 6, gt=0, lt=math.pi, description="smallest angle of the user")
    user_angle_max_rad: float = Field(5 * math.pi / 6, gt=0, lt=math.pi, description="largest angle of the user")
    sensor_range_min_m: float = Field(100.0, gt=0, description="shortest range of a sensor")
    sensor_range_max_m: float = Field(150.0, gt=0, description="longest range of a sensor")
    sensor_angle_min_rad: float = Field(math.pi / 6, gt=0, lt=math.pi, description="smallest angle of a sensor")
    sensor_angle_max_rad: float = Field(5 * math.pi / 6, gt=0, lt=math.pi, description="largest angle of a sensor")
    n_sensors: int = Field(40, ge=1, le=10_000, description="number of sensors K of a set")
    sensor_sets: int = Field(5, ge=1, le=1000, description="independent sets of sensors")
    sensor_seed: int = Field(0, ge=0, description="of the sensors' places")
    # The next five are what `nearfield convergence` recommends; docs/multipath.md shows it.
    max_depth: int = Field(3, ge=0, le=6, description="reflections of a path, at most; 0 is line of sight")
    max_paths: int = Field(20, ge=1, le=1000, description="strongest paths that a channel keeps; Table III: 3")
    samples: int = Field(30_000, ge=1000, le=10_000_000, description="rays shot from the array, once")
    sensor_subarrays: int = Field(
        20, ge=1, le=10_000, description="parts of the array, at most one an element, that are traced to the sensors"
    )
    diffraction: bool = Field(True, description="paths over an edge of a building; each counts as a reflection")

    @model_serializer(mode="wrap")
    def _as_ever_is_not_worth_a_word(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if not self._is_as_ever(name)}

    @classmethod
    def of_store(cls, fields: Mapping[str, Any]) -> Self:
        return super().of_store({**cls.AS_EVER, **fields})

    def _is_as_ever(self, name: str) -> bool:
        return name in self.AS_EVER and getattr(self, name) == self.AS_EVER[name]

    @model_validator(mode="before")
    @classmethod
    def _read_aswanted_of(cls, fields: Any) -> Any:
        """A map is read once, as the fields beside it say; what is left of them is in its account."""
        if not isinstance(fields, dict):
            return fields
        wanted = {name: fields[name] for name in READING if fields.get(name) is not None}
        given = fields.get("surroundings")
        is_file = isinstance(given, str) and not _CAMPUS.fullmatch(given)
        if wanted and not is_file:
            raise ValueError(f"{', '.join(wanted)} goes with a file of buildings: give surroundings=FILE as well")
        kept = {name: value for name, value in fields.items() if name not in READING}
        return kept | {"surroundings": _place(given, wanted_of(wanted))} if is_file else kept

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_intervals(self)
        self._require_array_outdoors()
        for who in ("user", "sensor"):
            angles = (getattr(self, f"{who}_angle_{end}_rad") for end in ("min", "max"))
            nearest = getattr(self, f"{who}_range_min_m") * min(math.sin(angle) for angle in angles)
            drop = abs(getattr(self, f"{who}_height_m") - self.array_height_m)
            if drop >= nearest:
                raise ValueError(
                    f"{who}_height_m is {drop:g} m off array_height_m: needed less than {nearest:g} m, the shortest "
                    f"distance of a {who} from the array's axis"
                )
        return self

    def _require_array_outdoors(self) -> None:
        """Under a roof it may stand; files with the array in a building are refused when they are read."""
        raised = [building for building in self.surroundings.buildings if building.base_m]
        if raised:
            at = np.array([[0.0, 0.0, self.array_height_m]])
            if indoors(Surroundings(name="raised", buildings=tuple(raised)), at)[0]:
                raise ValueError(
                    f"array_height_m = {self.array_height_m:g} is inside a building: needed a place below it"
                )

    def account(self) -> str:
        return self.surroundings.account.text()

    def array(self) -> UniformLinearArray:
        wavelength_m = SPEED_OF_LIGHT_M_PER_S / self.carrier_hz
        return UniformLinearArray(self.n_elements, self.spacing_wavelengths * wavelength_m, wavelength_m)

    def variance_of_draws(self) -> tuple[float, float]:
        """Variances of range (m²) and angle (rad²) as they are drawn: the error of the best blind guess."""
        widths = self.user_range_max_m - self.user_range_min_m, self.user_angle_max_rad - self.user_angle_min_rad
        return widths[0] ** 2 / 12, widths[1] ** 2 / 12

    def blind_guess(self) -> dict[str, float]:
        return dict(zip(("squared_error_range_m2", "squared_error_angle_rad2"), self.variance_of_draws(), strict=True))

    def setting(self) -> tuple[tuple[str, Any], ...]:
        """What expected powers follow from, beside array, users' area and how many sensors there are, by name.

        Not how many rays found the paths: that is an accuracy.
        """
        place = self.surroundings.model_dump_json(exclude={"name"})
        others = ((name, getattr(self, name)) for name in MultipathScene.model_fields
                  if name not in _NOT_OF_A_SETTING | READING.keys() and not self._is_as_ever(name))  # fmt: skip
        return ("surroundings_sha256", hashlib.sha256(place.encode()).hexdigest()), *others

    def channel(self) -> TracedChannel:
        return TracedChannel(
            self.surroundings,
            self.array(),
            self.array_height_m,
            self.pattern,
            self.max_depth,
            self.max_paths,
            self.samples,
            self.diffraction,
        )

    def user_position_m(self, users: "Users") -> np.ndarray:
        """(n, 3)."""
        return position_m(*users, self.user_height_m - self.array_height_m, self.array_height_m)

    def sensor_position_m(self, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
        """(..., 3)."""
        return position_m(range_m, angle_rad, self.sensor_height_m - self.array_height_m, self.array_height_m)

    def draw_users(self, streams: Streams, size: int) -> Users:
        def uniform(name: str, low: float, high: float) -> np.ndarray:
            return low + (high - low) * streams(name).random(size)

        return Users(
            uniform("user_range", self.user_range_min_m, self.user_range_max_m),
            uniform("user_angle", self.user_angle_min_rad, self.user_angle_max_rad),
        )

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad) of the sensors, (sets, K) each; InputError where too few are in sight."""
        place, aperture_m = self.surroundings, self.array().aperture_m
        found = np.empty((2, self.sensor_sets, self.n_sensors))
        tries = _SENSOR_TRIES * self.n_sensors
        for number in range(self.sensor_sets):
            streams = Streams(self.sensor_seed, number)
            range_m, angle_rad = (
                low + (high - low) * streams(name).random(tries)
                for name, low, high in (
                    ("sensor_range", self.sensor_range_min_m, self.sensor_range_max_m),
                    ("sensor_angle", self.sensor_angle_min_rad, self.sensor_angle_max_rad),
                )
            )
            at = self.sensor_position_m(range_m, angle_rad)
            seen = (at[:, 0] < place.east_m) & (at[:, 1] > place.south_m) & (at[:, 1] < place.north_m)
            seen &= ~indoors(place, at)
            seen[seen] = in_sight(place, np.array([0.0, 0.0, self.array_height_m]), at[seen], aperture_m / 2)
            (chosen,) = np.nonzero(seen)
            if len(chosen) < self.n_sensors:
                raise InputError(
                    f"{place.name}: {len(chosen)} of {tries} places for sensors are in the array's sight, needed "
                    f"{self.n_sensors}; turn the array to more open ground"
                )
            found[:, number] = range_m[chosen[: self.n_sensors]], angle_rad[chosen[: self.n_sensors]]
        return found[0], found[1]

    def beams(self, h: np.ndarray) -> np.ndarray:
        """Maximum-ratio transmission, w of unit power, for channels h (n, N); zero for no channel."""
        weights = h / np.where(h == 0, 1.0, np.abs(h)) if self.beam == "phase_only" else h
        power = np.linalg.norm(weights, axis=-1, keepdims=True)
        return weights / np.where(power == 0, 1.0, power)


class Traces:
    """What a worker holds of a scene: the tracer and the channels of the sensors."""

    def __init__(self, scene: MultipathScene, sensors: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """sensors: where others stand than the scene draws, range (m) and angle (rad), (sets, K) each."""
        self.scene, self.channel = scene, scene.channel()
        self.tracer = tracer_of(self.channel)
        self.channels = channels_to_users(self.channel, scene.user_range_min_m)
        places = scene.sensor_position_m(*(sensors or scene.sensors()))
        flat = places.reshape(-1, 3)
        self._sets = places.shape[:2]
        self.sensor_h, _ = self.tracer.channels(flat, min(scene.sensor_subarrays, scene.n_elements))
        self.sensor_h_free = self.channel.free_space(flat)

    def user_channels(self, users: Users) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h (n, N), number of paths (n,), and whether a user counts: INCLUDED, INDOORS or UNREACHED (n,)."""
        place = self.scene.user_position_m(users)
        h, paths = self.channels(place)
        status = np.where(paths > 0, INCLUDED, UNREACHED)
        status[indoors(self.scene.surroundings, place)] = INDOORS
        return h, paths, status.astype(np.int8)

    def expected_power(self, h: np.ndarray) -> np.ndarray:
        """|h_kᴴ w|², over P_t, of beams for channels h (n, N): (n, sets, K)."""
        return self._leaked(self.sensor_h, h)

    def expected_power_one_by_one(self, h: np.ndarray) -> np.ndarray:
        """The same by sums of whose rounding the number of users is no part."""
        field = np.einsum("un,kn->uk", self.scene.beams(h), np.conj(self.sensor_h))
        return (field.real**2 + field.imag**2).reshape(len(h), *self._sets)

    def expected_power_in_free_space(self, users: Users) -> np.ndarray:
        """The same as if nothing stood around: (n, sets, K)."""
        place = self.scene.user_position_m(users)
        return self._leaked(self.sensor_h_free, self.channel.free_space(place))

    def _leaked(self, sensor_h: np.ndarray, h: np.ndarray) -> np.ndarray:
        field = self.scene.beams(h) @ np.conj(sensor_h).T
        return (field.real**2 + field.imag**2).reshape(len(h), *self._sets)


@functools.lru_cache(maxsize=2)
def tracer_of(channel: TracedChannel) -> Tracer:
    """The scene of a channel, built once in a process: points of a sweep share it."""
    return channel.prepare()


@functools.lru_cache(maxsize=2)
def channels_to_users(channel: TracedChannel, nearest_m: float) -> Channels:
    """As `channels_of` the channel's tracer, kept as that is."""
    return channels_of(tracer_of(channel), nearest_m)


def described_users(users: Users, status: np.ndarray, paths: np.ndarray) -> Variables:
    one = ("realization",)
    return {
        "user_range_m": (one, users.user_range_m, {"units": "m", "long_name": "range of the user"}),
        "user_angle_rad": (one, users.user_angle_rad, {"units": "rad", "long_name": "angle of the user"}),
        "excluded": (one, status, {"long_name": "0 included, 1 in a building, 2 reached by no path"}),
        "n_paths": (one, paths.astype(np.int16), {"long_name": "paths from the array to the user"}),
    }


def require_host(xp: Any) -> None:
    """InputError on any backend but the CPU."""
    if xp is not np:
        raise InputError("ray tracing runs on the CPU, one thread a worker: choose the backend 'cpu'")
