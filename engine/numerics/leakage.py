"""The power that a beam focused on (d, φ) leaks toward a far-field direction θ, and its gradient.

g = |aᴴ(θ) b(d, φ)|²/N (Mashhadi, Hoang, Vahid, arXiv 2605.21815, Eq. 9) under some model of b. A model is one record,
a `LeakageModel`; each of this package has a file of its own in `engine.numerics.leakage_models`. Most are one of two
forms, for which there are compiled loops: a sum over the elements, `engine.numerics.element_sum`, and an integral over
the aperture, `engine.numerics.aperture_integral`.

Every model maps points × sensors to a table: range_m, angle_rad (..., P) and sensor_angle_rad (..., K), whose
leading axes broadcast, give (..., P, K). The paper takes waves toward the sensors as plane, and so do its models;
others are told how far away the sensors are.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from array_api_compat import array_namespace

from engine.errors import InputError
from engine.numerics.geometry import UniformLinearArray

Array = Any
_PACKAGE = "engine.numerics.leakage_models"


class LeakageTable(NamedTuple):
    """g and its derivatives, each (..., P, K); g has no unit."""

    value: Array
    by_range_per_m: Array
    by_angle_per_rad: Array


class LeakageFunction(Protocol):
    """A pure function of points and directions, in the namespace of its arguments, into which it never writes."""

    def __call__(self, array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
        """range_m, angle_rad: (..., P), broadcast against each other; cosine: u = cos θ, (..., K), |u| > 1 as well."""


class TwoSidedFunction(Protocol):
    """As `LeakageFunction`, of points and sensors that stand somewhere."""

    def __call__(
        self,
        array: UniformLinearArray,
        *,
        range_m: Array,
        angle_rad: Array,
        cosine: Array,
        inverse_range_per_m: Array,
    ) -> LeakageTable:
        """inverse_range_per_m: 1/R of each sensor, as cosine; 0 for one infinitely far away."""


@dataclass(frozen=True)
class LeakageModel:
    """A model of the leakage, all that is asked of it in one place.

    name: where the record is found again by what a store says of it: `module:ATTRIBUTE`; a record of this package is
    the attribute NAME of `leakage_models/name.py`, known by `name` alone. table: g and its gradient; 0 ≤ g ≤ N, an
    entire function of u, as the search interpolates in u and beyond ±1. bandwidth_rad: the largest angular frequency of
    g as a function of u, radians per unit of u: what it oscillates faster than that, the search does not see.
    aperture_phase: by how much the phase at the aperture's edge changes with 1/d, in units of the quadratic phase's
    change; so many times as many nodes an average over the range takes, `engine.numerics.quadrature`. two_sided: table
    is told where sensors stand, and both ends of a way are at their distances; else waves toward sensors are plane.
    bandwidth_rad is then that of sensors infinitely far away.
    """

    name: str
    table: LeakageFunction | TwoSidedFunction = field(repr=False)
    bandwidth_rad: Callable[[UniformLinearArray], float] = field(repr=False)
    aperture_phase: float = 1.0
    two_sided: bool = False

    def __post_init__(self) -> None:
        if not self.aperture_phase > 0:
            raise InputError(f"leakage model {self.name!r}: aperture_phase is {self.aperture_phase:g}, needed above 0")

    @property
    def path(self) -> str:
        """`module:ATTRIBUTE`."""
        return path_of(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to workers as a class is, by where it is: there it is the one that their own modules hold."""
        return _at, (self.path,)


def path_of(name: str) -> str:
    """`module:ATTRIBUTE` of a model's name."""
    return name if ":" in name else f"{_PACKAGE}.{name}:{name.upper()}"


def name_of(path: str) -> str:
    """The name of the model at `module:ATTRIBUTE`, short for one of this package.

    >>> name_of(path_of("spherical")), name_of("mystudy:MY_MODEL")
    ('spherical', 'mystudy:MY_MODEL')
    """
    name = path.partition(":")[0].removeprefix(f"{_PACKAGE}.")
    return name if path_of(name) == path else path


def _at(path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


def leakage(
    model: LeakageModel,
    array: UniformLinearArray,
    *,
    range_m: Array,
    angle_rad: Array,
    sensor_angle_rad: Array,
    sensor_inverse_range_per_m: Array | None = None,
) -> LeakageTable:
    """Leakage g_k and its gradient with respect to the focal point, for every point and sensor.

    range_m, angle_rad: (..., P), broadcast against each other; sensor_angle_rad: (..., K); sensor_inverse_range_per_m:
    1/R_k (..., K), which two-sided models need, and models of plane waves toward sensors do not look at.
    The closed forms need 0 < φ < π: the quadratic phase has no range along the array's axis.
    """
    xp = array_namespace(range_m, angle_rad, sensor_angle_rad)
    place = sensor_place(model, xp.cos(sensor_angle_rad), sensor_inverse_range_per_m)
    return model.table(array, range_m=range_m, angle_rad=angle_rad, **place)


def sensor_place(model: LeakageModel, cosine: Array, inverse_range_per_m: Array | None) -> dict[str, Array]:
    """What a model's table is told about the sensors. InputError where it needs their ranges and has none."""
    if not model.two_sided:
        return {"cosine": cosine}
    if inverse_range_per_m is None:
        raise InputError(f"leakage model {model.name!r} needs the sensors' ranges: give 1/R of each, 0 for plane waves")
    return {"cosine": cosine, "inverse_range_per_m": inverse_range_per_m}
