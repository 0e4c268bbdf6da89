"""The response of every element to a specular path, from the planes that the path is reflected at.

A path that leaves the array, is reflected at planes 1 … D and arrives at a place is as long as the straight line to the
place's image, mirrored at D, …, 1; so for every element of the array, one traced path gives the exact length, angles
and coefficients at all of them: a spherical wave, not a plane one. Double precision throughout: at 15 GHz a phase of
2πL/λ is 10⁵ rad, of which single precision leaves some 1e-2. What is taken from the array's centre alone is that the
path exists at all.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

Pattern = Literal["isotropic", "tr38901"]


class SpecularPaths(NamedTuple):
    """P paths to places, with at most D reflections each, in their order from the array on."""

    target_m: np.ndarray
    """(P, 3)"""
    normal: np.ndarray
    """of the planes, of unit length, (P, D, 3); zero where the path has no such reflection"""
    offset_m: np.ndarray
    """normal · x of a plane's points, (P, D)"""
    permittivity: np.ndarray
    """η of what is behind the planes, (P, D) complex"""


def path_responses(paths: SpecularPaths, element_m: np.ndarray, wavelength_m: float, pattern: Pattern) -> np.ndarray:
    """Complex gain from each element to the end of each path, (P, N); free space gives λ/(4πd) e^{−jkd}.

    element_m: positions (N, 3). Elements have the pattern and are vertically polarised, places receive vertical
    polarisation from all directions (C_θ = 1). Walls are half spaces: nothing comes back from behind them.
    """
    apart = _images_m(paths)[0][:, None, :] - element_m
    length_m = np.linalg.norm(apart, axis=-1)
    k = apart / length_m[..., None]
    field = (theta_hat(k) * PATTERNS[pattern](k)[..., None]).astype(complex)
    for i in range(paths.normal.shape[1]):
        reflects = np.any(paths.normal[:, i] != 0, axis=-1)
        if np.any(reflects):
            here = paths.permittivity[reflects, i, None], paths.normal[reflects, i, None, :]
            field[reflects], k[reflects] = reflected(field[reflects], k[reflects], *here)
    received = np.sum(field * theta_hat(-k), axis=-1)
    cycles = length_m / wavelength_m
    return received * wavelength_m / (4 * np.pi * length_m) * np.exp(-2j * np.pi * (cycles - np.floor(cycles)))


def reflection_points_m(paths: SpecularPaths, source_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where straight legs from a source (3,) meet the planes, (P, D, 3), and whether all lie between the ends (P,).

    Without a reflection, a point is the one before it.
    """
    here = np.broadcast_to(source_m, paths.target_m.shape)
    between = np.ones(len(here), dtype=bool)
    points = np.empty(paths.normal.shape)
    for i, image in enumerate(_images_m(paths)[:-1]):
        normal = paths.normal[:, i]
        leg = image - here
        approach = np.sum(leg * normal, axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (paths.offset_m[:, i] - np.sum(here * normal, axis=-1)) / approach
        reflects = np.any(normal != 0, axis=-1)
        met = (share > 0) & (share < 1)
        between &= met | ~reflects
        here = here + np.where(met & reflects, share, 0.0)[:, None] * leg
        points[:, i] = here
    return points, between


def _images_m(paths: SpecularPaths) -> list[np.ndarray]:
    """The place's images behind planes i, …, D, for i = 1 … D, and the place itself: (P, 3) each."""
    images = [paths.target_m]
    for i in reversed(range(paths.normal.shape[1])):
        beyond = np.sum(images[-1] * paths.normal[:, i], axis=-1) - paths.offset_m[:, i]
        images.append(images[-1] - 2 * beyond[:, None] * paths.normal[:, i])
    return images[::-1]


def fresnel_coefficients(cosine: np.ndarray, permittivity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reflection from vacuum at a half space, perpendicular (TE) and parallel (TM): ITU-R P.2040, Eq. (37).

    cosine: of the angle of incidence; permittivity: η, complex; they broadcast.
    """
    inner = np.sqrt(permittivity - (1 - cosine * cosine))
    return (
        (cosine - inner) / (cosine + inner),
        (permittivity * cosine - inner) / (permittivity * cosine + inner),
    )


def reflected(
    field: np.ndarray, k: np.ndarray, permittivity: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Field and direction (P, N, 3) after a reflection: the parts across and along the plane of incidence."""
    along = np.sum(k * normal, axis=-1)
    out = k - 2 * along[..., None] * normal
    across = np.cross(k, normal)
    size = np.linalg.norm(across, axis=-1, keepdims=True)
    upright = np.abs(normal[..., 2:]) < 0.5
    any_tangent = np.where(upright, np.cross(normal, (0.0, 0.0, 1.0)), np.cross(normal, (1.0, 0.0, 0.0)))
    perpendicular = np.where(size > 1e-9, across / np.maximum(size, 1e-9), any_tangent)  # head on: any will do
    r_te, r_tm = fresnel_coefficients(np.abs(along), permittivity)
    te = r_te * np.sum(field * perpendicular, axis=-1)
    tm = r_tm * np.sum(field * np.cross(perpendicular, k), axis=-1)
    return te[..., None] * perpendicular + tm[..., None] * np.cross(perpendicular, out), out


def theta_hat(k: np.ndarray) -> np.ndarray:
    """The unit vector in the direction of growing zenith angle, at the direction k (..., 3)."""
    flat = np.maximum(np.hypot(k[..., 0], k[..., 1]), 1e-12)
    up = k[..., 2] / flat
    return np.stack([k[..., 0] * up, k[..., 1] * up, -flat], axis=-1)


def _isotropic(k: np.ndarray) -> np.ndarray:
    return np.ones(k.shape[:-1])


def _tr38901(k: np.ndarray) -> np.ndarray:
    """3GPP TR 38.901, Table 7.3-1: 8 dBi toward +x, 65° wide, 30 dB to the back; as an amplitude."""
    half_power = np.radians(65.0)
    zenith = np.arccos(np.clip(k[..., 2], -1.0, 1.0))
    azimuth = np.arctan2(k[..., 1], k[..., 0])
    vertical = np.minimum(12 * ((zenith - np.pi / 2) / half_power) ** 2, 30.0)
    horizontal = np.minimum(12 * (azimuth / half_power) ** 2, 30.0)
    return 10 ** ((8.0 - np.minimum(vertical + horizontal, 30.0)) / 20)


PATTERNS: dict[Pattern, Callable[[np.ndarray], np.ndarray]] = {"isotropic": _isotropic, "tr38901": _tr38901}
