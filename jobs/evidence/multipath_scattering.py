"""What diffuse reflection at rough surfaces, which is left out, would be worth in the campus: by Sionna RT's solver."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import Streams
from engine.channels.strongest import SPECULAR
from engine.channels.tracing import Tracer
from jobs.evidence.record import Evidence
from scenarios.multipath import data
from scenarios.multipath.scene import MultipathScene, tracer_of

_SEED, _USERS, _SENSORS, _RAYS = 1, 20, 20, 1_000_000
_COEFFICIENTS = (0.2, 0.4)
_DIFFUSE = 2  # Sionna's number
_SHARES = (0.05, 0.5, 0.95)


def _measured(_store: str) -> dict[str, Any]:
    """Diffuse over specular power at an element, and what it changes of users' expected powers at the sensors.

    Diffuse waves add up as powers. A beam sends each with what the elements throw to its first point; reflections lose
    what is scattered, √(1 − S²) each.
    """
    scene = data.scenario
    assert isinstance(scene, MultipathScene)
    tracer = tracer_of(scene.replace(diffraction=False).channel())
    users = scene.user_position_m(scene.draw_users(Streams(_SEED, 0), _USERS))
    sensors = scene.sensor_position_m(*scene.sensors()).reshape(-1, 3)[:_SENSORS]
    smooth = _power(scene, tracer, users, sensors, 0.0)
    found = []
    for coefficient in _COEFFICIENTS:
        level = {name: [_relative_db(tracer, place, coefficient) for place in places]
                 for name, places in (("users", users), ("sensors", sensors))}  # fmt: skip
        rough = _power(scene, tracer, users, sensors, coefficient)
        moved = np.linalg.norm(rough - smooth, axis=1) / np.linalg.norm(smooth, axis=1)
        found.append({
            "coefficient": coefficient,
            **{f"{name} (dB)": np.quantile(values, _SHARES).tolist() for name, values in level.items()},
            "powers moved": np.quantile(moved, _SHARES).tolist(),
        })  # fmt: skip
    return {"shares": list(_SHARES), "scattering": found}


def _diffuse(tracer: Tracer, place_m: np.ndarray, coefficient: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Powers of all paths from the array's centre, which ones are diffuse, and their first points (P, 3)."""
    centre_m = tracer.channel.element_positions_m().mean(axis=0)
    solved = tracer.solve(centre_m[None], place_m[None], _RAYS, scattering=coefficient, max_num_paths_per_src=3 * _RAYS)
    depth = tracer.channel.max_depth
    gain = np.array(solved.a[0]).reshape(-1) + 1j * np.array(solved.a[1]).reshape(-1)
    is_diffuse = (np.array(solved.interactions).reshape(depth, -1) == _DIFFUSE).any(axis=0)
    return np.abs(gain) ** 2, is_diffuse, np.array(solved.vertices).reshape(depth, -1, 3)[0].astype(float)


def _relative_db(tracer: Tracer, place_m: np.ndarray, coefficient: float) -> float:
    power, is_diffuse, _ = _diffuse(tracer, place_m, coefficient)
    return float(10 * np.log10(power[is_diffuse].sum() / power[~is_diffuse].sum()))


def _power(
    scene: MultipathScene, tracer: Tracer, users: np.ndarray, sensors: np.ndarray, coefficient: float
) -> np.ndarray:
    """Expected powers (users, sensors), over P_t."""
    beam = scene.beams(_reflected(scene, tracer, users, 1, coefficient))
    power = np.abs(beam @ np.conj(_reflected(scene, tracer, sensors, scene.sensor_subarrays, coefficient)).T) ** 2
    if not coefficient:
        return np.asarray(power)
    element_m, wavelength_m = tracer.channel.element_positions_m(), tracer.channel.array.wavelength_m
    for number, place in enumerate(sensors):
        strength, is_diffuse, first_m = _diffuse(tracer, place, coefficient)
        away_m = np.linalg.norm(first_m[is_diffuse, None, :] - element_m, axis=-1)
        thrown = np.abs(np.exp(2j * np.pi * (away_m / wavelength_m)) @ beam.T) ** 2
        power[:, number] += strength[is_diffuse] @ thrown
    return np.asarray(power)


def _reflected(scene: MultipathScene, tracer: Tracer, places: np.ndarray, parts: int, coefficient: float) -> np.ndarray:
    """h (n, N) of reflections that lose what is scattered."""
    h = []
    for element_m in np.array_split(tracer.channel.element_positions_m(), parts):
        found = tracer.strongest_paths(places, element_m.mean(axis=0))
        reflections = np.count_nonzero(found.vertices_m(element_m.mean(axis=0))[1] == SPECULAR, axis=1)
        lost = (1 - coefficient**2) ** (reflections / 2)
        part = np.zeros((len(places), len(element_m)), dtype=complex)
        responses = found.responses(element_m, scene.array().wavelength_m, scene.pattern)
        np.add.at(part, found.place, lost[:, None] * responses)
        h.append(part)
    return np.concatenate(h, axis=1)


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for one in numbers["scattering"]:
        cells = [f"S = {one['coefficient']:g}"]
        for name in ("users (dB)", "sensors (dB)"):
            low, median, high = (f"−{-value:.0f}" for value in one[name])
            cells.append(f"{median} ({low} to {high}) dB")
        _, median, high = (f"{float(f'{100 * value:.2g}'):g} %" for value in one["powers moved"])
        yield f"| {' | '.join([*cells, median, high])} |"


EVIDENCE = Evidence(
    "power of diffuse over specular paths, and what diffuse reflection changes of users' expected powers at sensors",
    None,
    _measured,
    {"docs/multipath.md": words},
    f"multipath:data's place, array and first {_SENSORS} sensors; {_USERS} users of seed {_SEED}; no diffraction; all "
    f"surfaces Lambertian with scattering coefficient S; {_RAYS} rays a place",
)
