"""Campaigns of known truth by exact physics, with code of their own: what `nearfield locate` is tried on."""

import math
from typing import NamedTuple

import numpy as np

from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import Measured

LIGHT_M_PER_S = 299_792_458.0


class Campaign(NamedTuple):
    user: tuple[float, float]
    """range (m), angle (rad)"""
    measured: Measured
    scene: LeakageEstimation


def scene(n_sensors: int = 40, noise_dbm: float = -85.0, n_snapshots: int = 50, **more: object) -> LeakageEstimation:
    given = {"leakage": "two_sided", "n_sensors": n_sensors, "noise_dbm": noise_dbm, "n_snapshots": n_snapshots}
    return LeakageEstimation.model_validate(given | more)


def random_scene(random: np.random.Generator, most_elements: int = 512) -> LeakageEstimation:
    """16 and more elements, 3 to 100 GHz, 3 to 100 sensors, 1 to 1000 snapshots, −60 to −130 dBm: any area."""
    n_elements = int(2 ** random.uniform(4, math.log2(most_elements)))
    carrier_hz = 10 ** random.uniform(math.log10(3e9), 11)
    wavelength_m = LIGHT_M_PER_S / carrier_hz
    aperture_m = n_elements * wavelength_m / 2
    nearest_m = max(2 * aperture_m, 0.5)
    farthest_m = max(min(aperture_m**2 / wavelength_m, 60 * nearest_m), 3 * nearest_m)
    low_rad, high_rad = random.uniform(0.2, 1.2), random.uniform(1.9, 2.9)
    n_sensors, n_snapshots = int(10 ** random.uniform(math.log10(3), 2)), int(10 ** random.uniform(0, 3))
    return scene(
        n_sensors, random.uniform(-130, -60), n_snapshots,
        n_elements=n_elements, carrier_hz=carrier_hz,
        user_range_min_m=nearest_m, user_range_max_m=farthest_m,
        user_angle_min_rad=low_rad, user_angle_max_rad=high_rad,
        sensor_range_min_m=max(4 * farthest_m, 20.0), sensor_range_max_m=max(8 * farthest_m, 60.0),
        sensor_angle_min_rad=low_rad, sensor_angle_max_rad=high_rad,
    )  # fmt: skip


def exact_leakage(scene: LeakageEstimation, user: tuple[float, float], measured: Measured) -> np.ndarray:
    """|Σ_n exp(−jk(path to the sensor − path to the user))|²/N, each path by its own length: (K,)."""
    wavelength_m = LIGHT_M_PER_S / scene.carrier_hz
    place = (np.arange(scene.n_elements) - (scene.n_elements - 1) / 2) * scene.spacing_wavelengths * wavelength_m
    to_user = np.hypot(user[0] * math.sin(user[1]), user[0] * math.cos(user[1]) - place)
    ahead = (measured.range_m * np.sin(measured.angle_rad))[:, None]
    to_sensor = np.hypot(ahead, (measured.range_m * np.cos(measured.angle_rad))[:, None] - place)
    turns = (to_sensor - to_user) / wavelength_m
    turns -= turns.mean(axis=1, keepdims=True)
    return np.abs(np.exp(-2j * math.pi * turns).sum(axis=1)) ** 2 / scene.n_elements


def drawn(
    scene: LeakageEstimation,
    random: np.random.Generator,
    *,
    user: tuple[float, float] | None = None,
    counts: np.ndarray | None = None,
    gain_db: "float | np.ndarray" = 0.0,
    noise_db: float = 0.0,
    noiseless: bool = False,
) -> Campaign:
    """User and sensors from the scene's intervals, powers in watts. noise_db: of σ² over what is said of it."""
    user = user or (
        random.uniform(scene.user_range_min_m, scene.user_range_max_m),
        random.uniform(scene.user_angle_min_rad, scene.user_angle_max_rad),
    )
    size = scene.n_sensors
    measured = Measured(
        random.uniform(scene.sensor_range_min_m, scene.sensor_range_max_m, size),
        random.uniform(scene.sensor_angle_min_rad, scene.sensor_angle_max_rad, size),
        np.zeros(size),
        np.full(size, scene.n_snapshots[0]) if counts is None else counts,
        scene.noise_dbm[0],
    )
    return Campaign(user, heard(scene, random, user, measured, gain_db, noise_db, noiseless), scene)


def heard(
    scene: LeakageEstimation,
    random: np.random.Generator,
    user: tuple[float, float],
    measured: Measured,
    gain_db: "float | np.ndarray" = 0.0,
    noise_db: float = 0.0,
    noiseless: bool = False,
) -> Measured:
    """The same sensors with powers of a user: L snapshots of a sinusoid in Gaussian noise each."""
    noise_w = 1e-3 * 10 ** ((measured.noise_dbm + noise_db) / 10)
    beta = (LIGHT_M_PER_S / scene.carrier_hz / (4 * math.pi * measured.range_m)) ** 2
    signal_w = 1e-3 * 10 ** ((scene.transmit_dbm + gain_db) / 10) * beta * exact_leakage(scene, user, measured)
    if noiseless:
        return measured._replace(power_w=signal_w + noise_w)
    counts = measured.counts
    power_w = np.empty(len(counts))
    for k, (count, signal) in enumerate(zip(counts, signal_w, strict=True)):
        noise = random.standard_normal((2, count)) * math.sqrt(noise_w / 2)
        power_w[k] = np.mean((math.sqrt(signal) + noise[0]) ** 2 + noise[1] ** 2)
    return measured._replace(power_w=power_w)
