"""What is left of near users' errors to methods that take all waves for plane ones: the misspecified bound."""

from typing import Any, NamedTuple

from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths
from engine.numerics.plane_wave_bound import plane_wave_bound
from engine.scenario import Variables
from scenarios.ris.protocol import Method, Outcome

Array = Any

NAME = "mismatched_bound_angle_rad2"
"""the variable"""


def assumes_plane_waves(method: Method, model: str) -> bool:
    """Of users; model: the dictionary of on-grid methods that name none."""
    estimator = method.estimator
    return isinstance(estimator, AtomicNorm) or (isinstance(estimator, OnGrid) and (estimator.model or model) == "ff")


class Compared(NamedTuple):
    """What is compared: methods, the dictionary of those that name none, and when errors are recorded."""

    surface: UniformPlanarArray
    methods: tuple[Method, ...]
    model: str
    recorded: tuple[int, ...]


def mismatched_bounds(
    compared: Compared, paths: Paths, outcomes: list[Outcome], noise_variance: Array, xp: Any
) -> Variables:
    """Bias² and variance of a plane-wave fit, (B, methods, S, R, L), the mean of both angles; NaN for other methods.

    paths: the true ones, (B, L); noise_variance (B, S). Scatterers are taken as known; the cells of a grid come on top.
    """
    bounds = []
    for method, outcome in zip(compared.methods, outcomes, strict=True):
        per_cycle = [
            _of_beams(compared.surface, paths, outcome.beams[:, :, :count, :], noise_variance, xp)
            if assumes_plane_waves(method, compared.model)
            else xp.full((paths.gain.shape[0], noise_variance.shape[1], paths.gain.shape[1]), xp.nan)
            for count in compared.recorded
        ]
        bounds.append(xp.stack(per_cycle, axis=2))
    attributes = {"units": "rad2", "long_name": "misspecified bound on an angle of plane-wave fits, mean of the two"}
    dims = ("realization", "estimator", "snr_db", "cycle", "user")
    return {NAME: (dims, xp.stack(bounds, axis=1), attributes)}


def _of_beams(surface: UniformPlanarArray, paths: Paths, beams: Array, noise_variance: Array, xp: Any) -> Array:
    """Of beams (B, S or 1, C, N): (B, S, L)."""
    size, n_levels = beams.shape[:2]

    def repeated(part: Array) -> Array:
        shape = (size, n_levels, *part.shape[1:])
        return xp.reshape(xp.broadcast_to(part[:, None, ...], shape), (size * n_levels, *part.shape[1:]))

    kappa, polar, azimuth, gain = (repeated(part) for part in paths[:4])
    bound = plane_wave_bound(
        surface, xp.reshape(beams, (size * n_levels, *beams.shape[2:])),
        inverse_range_per_m=kappa, polar_rad=polar, azimuth_rad=azimuth, gain=gain,
    )  # fmt: skip
    bias = xp.reshape(xp.sum(bound.bias_rad**2, axis=-1), (size, n_levels, -1))
    spread = xp.reshape(xp.linalg.trace(bound.covariance_rad2), (size, n_levels, -1))
    return (bias + spread * noise_variance[..., None]) / 2
