"""Leakage models as somebody outside this package would bring them. Importable by workers."""

from typing import Any

from array_api_compat import array_namespace

from engine import Sweep
from engine.estimators import LeastSquares, MaximumLikelihood
from engine.numerics.element_sum import ElementSum, element_bandwidth_rad
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel, LeakageTable
from engine.numerics.responses import phasor, plane_response_toward, spherical_path_difference
from scenarios.leakage.estimation import LeakageEstimation

Array = Any


def quartic_path_difference(range_m: Array, angle_rad: Array, positions_m: Array) -> tuple[Array, Array, Array]:
    """δ_n of the spherical wave to fourth order in x_n/d, and its derivatives."""
    xp = array_namespace(range_m, angle_rad, positions_m)
    d, phi, x = range_m[..., None], angle_rad[..., None], positions_m
    c, s = xp.cos(phi), xp.sin(phi)
    second, third, fourth = s * s / 2, c * s * s / 2, s * s * (5 * c * c - 1) / 8
    delta = -x * c + x**2 * second / d + x**3 * third / d**2 + x**4 * fourth / d**3
    by_range = -(x**2) * second / d**2 - 2 * x**3 * third / d**3 - 3 * x**4 * fourth / d**4
    by_angle = (
        x * s
        + x**2 * s * c / d
        + x**3 * (2 * s * c * c - s**3) / (2 * d**2)
        + x**4 * s * c * (5 * c * c - 5 * s * s - 1) / (4 * d**3)
    )
    return delta, by_range, by_angle


def tapered(array: UniformLinearArray, *, range_m: Array, angle_rad: Array, cosine: Array) -> LeakageTable:
    """Spherical waves from elements whose amplitudes are exp(−2(x_n/D)²): neither form, hence no compiled loop."""
    xp = array_namespace(range_m, angle_rad, cosine)
    x = array.positions_m(xp)
    delta, by_range, by_angle = spherical_path_difference(range_m, angle_rad, x)
    b = xp.exp(-2 * (x / array.aperture_m) ** 2) * phasor(delta, array)
    steering = xp.conj(xp.matrix_transpose(plane_response_toward(cosine, array)))
    conjugate = xp.conj(b @ steering)
    scale = 2.0 * array.wavenumber_rad_per_m / array.n_elements
    return LeakageTable(
        xp.abs(conjugate) ** 2 / array.n_elements,
        scale * xp.imag(conjugate * ((by_range * b) @ steering)),
        scale * xp.imag(conjugate * ((by_angle * b) @ steering)),
    )


QUARTIC = LeakageModel("own_model:QUARTIC", ElementSum(quartic_path_difference), element_bandwidth_rad)
TAPERED = LeakageModel("own_model:TAPERED", tapered, element_bandwidth_rad)

sweep = Sweep(
    LeakageEstimation(
        n_elements=32, n_sensors=8, noise_dbm=(-80.0,), n_snapshots=(10,), grid_ranges=20, grid_angles=40,
        leakage=TAPERED, estimators=(LeastSquares(leakage=QUARTIC), MaximumLikelihood(leakage=TAPERED)),
    ),
    {"leakage": (QUARTIC, "spherical", TAPERED)},
    realizations=6,
    block=2,
    chunk=2,
    name="own_model:sweep",
)  # fmt: skip
