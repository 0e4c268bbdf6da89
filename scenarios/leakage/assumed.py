"""What estimators assume of the leakage where other leakage made the powers, and how far off that is in the scene."""

from typing import TYPE_CHECKING

import numpy as np

from engine import Streams
from engine.estimators import Estimator
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import LeakageModel, leakage
from engine.sweep import TextTable, scenario_of
from scenarios.figures.style import label
from scenarios.leakage.scene import Geometry, LeakageScene

if TYPE_CHECKING:
    import xarray

_USERS = 200
_SHARED = {"estimator", "realization", "n_sensors", "sensor_set", "noise_dbm", "n_snapshots"}
"""Dimensions of which the scenes of a result may differ in what follows only by their draws."""


def assumptions(results: "xarray.Dataset") -> list[TextTable]:
    """One table, of estimators whose model of the leakage did not make the powers; none where all know it.

    What a wrong model costs is in the errors; here is how wrong it is at the true place: the relative L2 difference of
    expected powers, and the median user's root mean square over the sensors of √(Lρ) less its assumed value, whose
    unit is the noise's deviation of √S. Well above 1 the powers contradict the model, and no place fits them.
    """
    scenario = scenario_of(results, LeakageScene)
    estimators: tuple[Estimator, ...] = getattr(scenario, "estimators", ())
    of_model: dict[LeakageModel, list[str]] = {}
    for one in estimators:
        if isinstance(one.leakage, LeakageModel) and one.leakage != scenario.leakage:
            of_model.setdefault(one.leakage, []).append(label(one.name))
    if not of_model or not set(map(str, results.dims)) <= _SHARED:
        return []
    drawn = scenario.draw_geometry(Streams(0, 0), _USERS)
    lines: list[tuple[str, ...]] = [
        (", ".join(names), model.name, *_apart(scenario, drawn, model)) for model, names in of_model.items()
    ]
    noise, count = min(scenario.noise_dbm), max(scenario.n_snapshots)
    title = (
        f"Estimators assume another leakage than {scenario.leakage.name}, which made the powers: how far apart these "
        f"are at the true place (relative L2), and in deviations of the noise at {noise:g} dBm, L = {count} (of "
        f"a sensor, median user; well above 1 the powers contradict what is assumed)"
    )
    return [TextTable(title, ("estimators", "assume", "powers apart", "deviations"), lines)]


def _apart(scenario: LeakageScene, drawn: Geometry, model: LeakageModel) -> tuple[str, str]:
    power, assumed = (_expected(scenario, drawn, one) for one in (scenario.leakage, model))
    relative = float(np.linalg.norm(power - assumed) / np.linalg.norm(power))
    most = 2 * float(scenario.snr().max()) * max(scenario.n_snapshots)  # ∂(Lρ)/∂p, Eq. (13)
    deviations = np.sqrt(most * power) - np.sqrt(most * assumed)
    return f"{100 * relative:.2g} %", f"{np.median(np.sqrt(np.mean(deviations**2, axis=-1))):.2g}"


def _expected(scenario: LeakageScene, drawn: Geometry, model: LeakageModel) -> np.ndarray:
    """Expected powers over P_t, (B, K)."""
    g = leakage(
        model,
        scenario.array(),
        range_m=drawn.user_range_m[:, None],
        angle_rad=drawn.user_angle_rad[:, None],
        sensor_angle_rad=drawn.sensor_angle_rad,
        sensor_inverse_range_per_m=1 / drawn.sensor_range_m,
    ).value[:, 0]
    gain: np.ndarray = path_gain(drawn.sensor_range_m, scenario.array().wavelength_m)
    return gain * g
