"""An answer as an xarray Dataset."""

from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.leakage.answer.answer import NOTHING_UNKNOWN, Answer, Unknown, answer
from scenarios.leakage.answer.region import Plane, Summary
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.measured import Measured

if TYPE_CHECKING:
    import xarray

_UNITS = {"range_m": "m", "angle_rad": "rad", "x_m": "m", "y_m": "m"}
_LONG = {
    "range_m": "range from the array's centre", "angle_rad": "angle from the array's axis",
    "x_m": "distance ahead of the array", "y_m": "distance along the array's axis",
}  # fmt: skip


def answer_dataset(
    measured: Measured, scene: LeakageEstimation, unknown: Unknown = NOTHING_UNKNOWN
) -> "xarray.Dataset":
    """`answer`, as a Dataset. Raises InputError for powers that cannot be."""
    return dataset(answer(measured, scene, unknown))


def dataset(found: Answer) -> "xarray.Dataset":
    """Mean, deviation and ends of the region of range, angle, x and y; fit; the posterior cell by cell; the sensors.

    Deviations and region are NaN where the model does not fit. It can be written by `to_netcdf`.
    """
    import xarray

    posterior, fit = found.recommended.posterior, found.recommended.fit
    variables: dict[str, Any] = {**_places(posterior, found.holds), **_cells(posterior.plane)}
    variables["log_evidence"] = ((), posterior.log_evidence, {"long_name": "logarithm of the evidence"})
    variables["p_value"] = ((), fit.p_value, {"long_name": "probability of a fit at least as bad, were the model true"})
    variables["gain_db"] = ((), posterior.gain_db[0], {"units": "dB", "long_name": "gain on all sent powers"})
    variables["noise_db"] = ((), posterior.noise_db[0], {"units": "dB", "long_name": "noise over the given σ²"})
    measured = found.measured
    coordinates = {
        "sensor": ("sensor", np.array(measured.labels, dtype=str)),
        "end": ("end", np.array(["low", "high"])),
    }
    for name, values, attributes in (
        ("sensor_range_m", measured.range_m, {"units": "m"}),
        ("sensor_angle_rad", measured.angle_rad, {"units": "rad"}),
        ("power_w", measured.power_w, {"units": "W", "long_name": "mean power, σ² included"}),
        ("n_snapshots", measured.counts, {}),
    ):
        variables[name] = (("sensor",), np.asarray(values), attributes)
    of_all: dict[str, Any] = {
        "leakage": found.recommended.leakage,
        "level": posterior.level,
        "holds": int(found.holds),
        "noise_dbm": measured.noise_dbm,
        "left_out": ", ".join(found.left_out),
        "remarks": "\n".join(remark.text for remark in found.remarks),
    }
    return xarray.Dataset(variables, coordinates, of_all)


def _places(posterior: Summary, holds: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, unit in _UNITS.items():
        low, high = getattr(posterior.extent, name)
        deviation = getattr(posterior, f"deviation_{name}")
        attributes = {"units": unit, "long_name": _LONG[name]}
        found[name] = ((), getattr(posterior, name), attributes)
        found[f"deviation_{name}"] = ((), deviation if holds else np.nan, {"units": unit})
        found[f"region_{name}"] = (("end",), np.array([low, high]) if holds else np.full(2, np.nan), {"units": unit})
    return found


def _cells(plane: Plane) -> dict[str, Any]:
    units = {"mass": "1", "density": "m-1 rad-1"}
    found: dict[str, Any] = {}
    for name, values in plane._asdict().items():
        unit = units.get(name) or ("m" if name.endswith("_m") else "rad" if name.endswith("_rad") else "")
        stored = values.astype(np.int8) if values.dtype == bool else values
        found[f"cell_{name}"] = (("cell",), stored, {"units": unit} if unit else {})
    return found
