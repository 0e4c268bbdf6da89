"""Every path from the array to users and sensors, under the names that users of Sionna RT and of DeepMIMO know.

Paths are traced from the array's centre, as for users; sensors, whose channels are traced from parts of the array, may
have other paths at its ends. Sionna RT: `tau`, `a` (passband: the channel at f is Σ a e^{−j2πfτ}, the carrier being
part of f), angles in radians, zenith from +z and azimuth from +x, arrivals as the receiver sees them. DeepMIMO
(version 4): `power` in dB of what was sent, `phase` with the carrier's, in degrees, `inter` a digit for each
interaction, 1 for a reflection, 2 for a diffraction. What is not there is NaN.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import InputError
from engine.channels.strongest import DIFFRACTION, NONE
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S
from engine.sweep import scenario_of
from scenarios.multipath.scene import MultipathScene, Users, tracer_of

if TYPE_CHECKING:
    import xarray

_AT_ONCE = 500
_USER, _SENSOR = 0, 1
_PER_PATH = ("rx", "path")
_LONG_NAMES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "tau": (_PER_PATH, "s", "delay"),
    "a_real": (_PER_PATH, "1", "passband gain, real part"),
    "a_imag": (_PER_PATH, "1", "passband gain, imaginary part"),
    "theta_t": (_PER_PATH, "rad", "zenith angle of departure"),
    "phi_t": (_PER_PATH, "rad", "azimuth of departure"),
    "theta_r": (_PER_PATH, "rad", "zenith angle of arrival"),
    "phi_r": (_PER_PATH, "rad", "azimuth of arrival"),
    "interactions": ((*_PER_PATH, "depth"), "1", "0 none, 1 specular reflection, 8 diffraction"),
    "vertices": ((*_PER_PATH, "depth", "xyz"), "m", "where it is reflected or diffracted"),
    "power": (_PER_PATH, "dB", "received over transmitted power"),
    "phase": (_PER_PATH, "degree", "phase at the carrier"),
    "delay": (_PER_PATH, "s", "delay"),
    "aod_el": (_PER_PATH, "degree", "zenith angle of departure"),
    "aod_az": (_PER_PATH, "degree", "azimuth of departure"),
    "aoa_el": (_PER_PATH, "degree", "zenith angle of arrival"),
    "aoa_az": (_PER_PATH, "degree", "azimuth of arrival"),
    "inter": (_PER_PATH, "1", "0 line of sight, 1 one reflection, 11 two, 12 one and then a diffraction"),
    "inter_pos": ((*_PER_PATH, "depth", "xyz"), "m", "where it is reflected or diffracted"),
}


def paths_of(results: "xarray.Dataset", *, most: int | None = None) -> "xarray.Dataset":
    """The paths of the stored users of results, the first `most`, and of all sensors of the scene.

    Traced anew, as a store keeps powers. Dimensions: rx (users in their order, then sensors), path (the strongest
    first), depth, xyz. InputError for results that are of no such users.
    """
    import xarray

    scene = _scene(results)
    users, realization = _users(results, most)
    sensor_range_m, sensor_angle_rad = scene.sensors()
    sensors = sensor_range_m.shape[1]
    at = np.concatenate([
        scene.user_position_m(users), scene.sensor_position_m(sensor_range_m, sensor_angle_rad).reshape(-1, 3)
    ])  # fmt: skip
    n_users, n = len(realization), len(at)
    arrays = _filled(scene, at)
    of_sensor = np.arange(n - n_users)
    none, kind = np.full(n_users, -1), np.repeat([_USER, _SENSOR], [n_users, n - n_users])
    coordinates = {
        "kind": ("rx", kind.astype(np.int8), {"long_name": "0 a user, 1 a sensor"}),
        "realization": ("rx", np.concatenate([realization, np.full(n - n_users, -1)]).astype(np.int32)),
        "sensor_set": ("rx", np.concatenate([none, of_sensor // sensors]).astype(np.int32)),
        "sensor": ("rx", np.concatenate([none, of_sensor % sensors]).astype(np.int32)),
    }  # fmt: skip
    variables: dict[str, Any] = {
        name: (dims, arrays[name], {"units": unit, "long_name": long_name})
        for name, (dims, unit, long_name) in _LONG_NAMES.items()
    }
    variables["rx_pos"] = (("rx", "xyz"), at, {"units": "m", "long_name": "place of the receiver"})
    variables["tx_pos"] = (("xyz",), _centre(scene), {"units": "m", "long_name": "centre of the array"})
    kept = ("fingerprint", "commit", "name", "account")
    attributes = {name: results.attrs[name] for name in kept if name in results.attrs}
    about = {
        "title": f"propagation paths in {scene.surroundings.name}",
        "carrier_hz": scene.carrier_hz,
        "n_elements": scene.n_elements,
        "element_spacing_m": scene.array().spacing_m,
        "pattern": scene.pattern,
        "conventions": "tau … vertices as Sionna RT, power … inter_pos as DeepMIMO 4; x before the array, y along it, "
        "z up; zenith angles from +z, azimuths from +x",
    }
    return xarray.Dataset(variables, coordinates, about | attributes)


def _scene(results: "xarray.Dataset") -> MultipathScene:
    """With the most sensors of a sweep over their number. InputError where points differ in more."""
    scene = scenario_of(results, MultipathScene)
    axes = [name for name in results.dims if name in type(scene).model_fields]
    own = {*scene.coordinates(), "realization"}
    if others := [name for name in axes if name not in own and name != "n_sensors"]:
        raise InputError(f"paths differ along the axis {', '.join(map(str, others))}: needed results without it")
    if "n_sensors" in axes:
        return scene.replace(n_sensors=int(results.n_sensors.max()))
    return scene


def _users(results: "xarray.Dataset", most: int | None) -> tuple[Users, np.ndarray]:
    """The stored ones, and their realizations."""
    if "user_range_m" not in results:
        raise InputError("these results have no users: needed those of multipath:data or multipath:fig4")
    first = {name: 0 for name in results.user_range_m.dims if name != "realization"}
    complete = results.complete.isel({name: 0 for name in results.complete.dims if name != "realization"})
    stored = np.flatnonzero(complete.values)[:most]
    if not len(stored):
        raise InputError("these results hold no users yet")
    places = (results[name].isel(first).values[stored] for name in Users._fields)
    return Users(*places), stored


def _centre(scene: MultipathScene) -> np.ndarray:
    return np.array([0.0, 0.0, scene.array_height_m])


def _filled(scene: MultipathScene, at: np.ndarray) -> dict[str, np.ndarray]:
    """Every array of the data set, of receivers at (n, 3)."""
    sizes = {"rx": len(at), "path": scene.max_paths, "depth": scene.max_depth, "xyz": 3}
    arrays = {
        name: np.full(
            [sizes[dim] for dim in dims], np.nan, dtype=np.float64 if name in ("tau", "delay") else np.float32
        )
        for name, (dims, _, _) in _LONG_NAMES.items()
    }
    arrays["interactions"] = np.zeros(arrays["interactions"].shape, dtype=np.int8)
    for receiver, rank, found in _traced(scene, at):
        for name, values in found.items():
            arrays[name][receiver, rank] = values
    return arrays


def _traced(scene: MultipathScene, at: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Receiver (P,) and rank (P,) of paths, and what is known of each."""
    tracer, source_m = tracer_of(scene.channel()), _centre(scene)
    for start in range(0, len(at), _AT_ONCE):
        places = at[start : start + _AT_ONCE]
        found = tracer.strongest_paths(places, source_m)
        points, kind = found.vertices_m(source_m)
        yield found.place + start, _rank(found.place), _described(scene, places[found.place], points, kind, found.gain)


def _rank(place: np.ndarray) -> np.ndarray:
    """0, 1, 2 … within runs of the same place."""
    return np.arange(len(place)) - np.searchsorted(place, place)


def _described(
    scene: MultipathScene, target_m: np.ndarray, points_m: np.ndarray, kind: np.ndarray, gain: np.ndarray
) -> dict[str, np.ndarray]:
    """All variables of P paths over their vertices (P, D, 3) and what happens there (P, D)."""
    source_m = _centre(scene)
    turns = kind != NONE
    # A point without an interaction is the one before it, or the source.
    corners = np.concatenate([np.broadcast_to(source_m, (len(gain), 1, 3)), points_m, target_m[:, None]], axis=1)
    legs_m = np.linalg.norm(np.diff(corners, axis=1), axis=-1)
    tau = legs_m.sum(axis=1) / SPEED_OF_LIGHT_M_PER_S
    depth = turns.sum(axis=1)
    first = np.where(depth[:, None] > 0, corners[:, 1], target_m) - source_m
    last = corners[:, -2] - target_m
    vertices = np.where(turns[..., None], points_m, np.nan)
    passband = gain * np.exp(2j * np.pi * ((scene.carrier_hz * tau) % 1.0))
    angles = {"t": _angles(first), "r": _angles(last)}
    in_degrees = {end: [np.degrees(angle) for angle in pair] for end, pair in angles.items()}
    return {
        "tau": tau, "delay": tau, "a_real": passband.real, "a_imag": passband.imag,
        "theta_t": angles["t"][0], "phi_t": angles["t"][1], "theta_r": angles["r"][0], "phi_r": angles["r"][1],
        "interactions": kind, "vertices": vertices, "inter_pos": vertices,
        "power": 20 * np.log10(np.abs(gain)), "phase": np.degrees(np.angle(gain)),
        "aod_el": in_degrees["t"][0], "aod_az": in_degrees["t"][1],
        "aoa_el": in_degrees["r"][0], "aoa_az": in_degrees["r"][1],
        "inter": _digits(kind),
    }  # fmt: skip


def _digits(kind: np.ndarray) -> np.ndarray:
    """DeepMIMO's code of interactions (P, D), one digit each, in their order."""
    code = np.zeros(len(kind), dtype=np.int64)
    for column in kind.T:
        code = np.where(column == NONE, code, 10 * code + np.where(column == DIFFRACTION, 2, 1))
    return code


def _angles(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zenith angle and azimuth (rad) of directions (P, 3)."""
    flat = np.hypot(direction[:, 0], direction[:, 1])
    return np.arctan2(flat, direction[:, 2]), np.arctan2(direction[:, 1], direction[:, 0])
