"""How far a model of the leakage is, in a scene, from the sum over elements at their distances."""

from typing import Any

import numpy as np

from engine import Streams
from engine.numerics.leakage import leakage

Scene = Any
"""`scenarios.leakage.scene.LeakageScene`, which asks here and is not imported"""

_USERS, _SENSORS, _TERMS = 50, 20, 2_000_000
_WORTH_SAYING = 0.2
"""At the paper's settings the corrected closed form differs by 0.11, spherical waves of plane sensors by 0.09."""


def words(scene: Scene) -> str:
    """One line where the model's numbers are not this scene's, else ""."""
    apart = model_gap(scene)
    if apart <= _WORTH_SAYING:
        return ""
    return (
        f"leakage {scene.leakage.name} is {100 * apart:.2g} % (relative L2) from the sum over elements at their "
        f"distances, for this scene's users and sensors: leakage=spherical has the users' exactly, two_sided the "
        f"sensors' too"
    )


def model_gap(scene: Scene) -> float:
    """Relative L2 difference of the model's g from |Σ_n (R/R_n) exp(jk(d_n − R_n))|²/N at users and sensors as drawn.

    d_n and R_n: from element n to user and sensor, R from the array's centre. Beams are focused by phases alone, so
    that the user's nearness changes no amplitude.
    """
    array = scene.array()
    users = int(np.clip(_TERMS // (array.n_elements * _SENSORS), 4, _USERS))
    drawn = scene.model_copy(update={"n_sensors": _SENSORS}).draw_geometry(Streams(0, 0), users)
    sensor_m, sensor_rad = drawn.sensor_range_m, drawn.sensor_angle_rad
    model = leakage(
        scene.leakage,
        array,
        range_m=drawn.user_range_m[:, None],
        angle_rad=drawn.user_angle_rad[:, None],
        sensor_angle_rad=sensor_rad,
        sensor_inverse_range_per_m=1 / sensor_m,
    ).value[:, 0]
    along_m = (np.arange(array.n_elements) - (array.n_elements - 1) / 2) * array.spacing_m
    apart = whole = 0.0
    for b in range(users):
        user_m = _distances(drawn.user_range_m[b], drawn.user_angle_rad[b], along_m)
        reached_m = _distances(sensor_m[b, :, None], sensor_rad[b, :, None], along_m)
        turned = np.exp(1j * array.wavenumber_rad_per_m * (user_m - reached_m)) * sensor_m[b, :, None] / reached_m
        exact = np.abs(turned.sum(axis=-1)) ** 2 / array.n_elements
        apart, whole = apart + float(np.sum((model[b] - exact) ** 2)), whole + float(np.sum(exact**2))
    return float(np.sqrt(apart / whole))


def _distances(range_m: Any, angle_rad: Any, along_m: np.ndarray) -> np.ndarray:
    """From places to elements of the array."""
    found: np.ndarray = np.hypot(range_m * np.cos(angle_rad) - along_m, range_m * np.sin(angle_rad))
    return found
