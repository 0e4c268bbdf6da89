"""When a user is lost: where the surface tells the estimated direction from the true one, whatever the surface.

The same as what `lost_probability` states the probability of (`engine.estimators.paths.confidence`).
"""

import itertools
import json
from typing import TYPE_CHECKING

import numpy as np

from engine.estimators.paths.search_grid import UNRESOLVED_BEAMS
from engine.numerics.resolution import beam_widths
from engine.sweep import scenario_of
from scenarios.ris.scene import RisScene

if TYPE_CHECKING:
    import xarray

LOST_BEAMS = UNRESOLVED_BEAMS
"""A user is lost whose direction is wrong by more, in direction cosines over the beam's width λ/(n d) of each side"""
DIRECTION = "direction_error_beams"
"""where that is stored"""
_GEOMETRY = ("elements_per_side", "elements_upwards", "spacing_m", "carrier_hz")


def beams_rad(results: "xarray.Dataset") -> "xarray.DataArray":
    """The beam's width straight ahead, of both sides the geometric mean, along the axes that change the surface."""
    import xarray

    scene, axes = scenario_of(results, RisScene), json.loads(results.attrs["axes"])
    axes = {name: axes[name] for name in _GEOMETRY if name in axes}
    widths = [
        np.sqrt(np.prod(beam_widths(scene.model_copy(update=dict(zip(axes, values, strict=True))).surface())))
        for values in itertools.product(*axes.values())
    ]
    places = {name: list(values) for name, values in axes.items()}
    return xarray.DataArray(np.reshape(widths, [len(values) for values in places.values()]), places, list(places))


def just_lost_rad2(results: "xarray.Dataset") -> "xarray.DataArray":
    """(δθ² + δφ²)/2 of a user straight ahead who is just lost."""
    return (LOST_BEAMS * beams_rad(results)) ** 2 / 2


def with_directions(results: "xarray.Dataset") -> "xarray.Dataset":
    """Results with `direction_error_beams`; those of the first version lack it: as if users were straight ahead."""
    if DIRECTION in results:
        return results
    squared = results.squared_error_angle_rad2
    return results.assign({DIRECTION: np.sqrt(2 * squared) / beams_rad(results)})


def lost_text(results: "xarray.Dataset") -> str:
    """What counts as lost, as tables and figures say it."""
    widths = LOST_BEAMS * beams_rad(results).values
    low, high = (f"{end:.2g}" for end in (widths.min(), widths.max()))
    rad = low if low == high else f"{high} to {low}"
    return f"a direction wrong by more than {LOST_BEAMS:g} of a beam's width λ/(n d), {rad} rad straight ahead"
