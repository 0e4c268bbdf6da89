"""The response of every element to a path that one edge diffracts, reflected at planes before and after it or not.

As for reflections alone (`engine.channels.specular`), one path that was found gives each element's own: its point on
the edge, distances, angles, coefficients, in double precision, for a spherical wave. What is taken from where the path
was found is that it exists, and on which side of the shadows' boundaries: an element that lies across one has the wave,
or lacks it, as the part of the array has that was traced, and the terms of diffraction, continued, make up for it.
"""

from typing import NamedTuple

import numpy as np

from engine.channels.specular import PATTERNS, Pattern, reflected, theta_hat
from engine.channels.utd import boundary_offsets_rad, diffraction_matrix

_NEAR_RAD = np.pi / 2  # elements across a boundary are nearer to it than this; farther off, a term is its own


class Planes(NamedTuple):
    """Of P paths, up to D reflections each, in their order from the array on."""

    normal: np.ndarray
    """of unit length, (P, D, 3); zero where a path has no such reflection"""
    offset_m: np.ndarray
    """normal · x of a plane's points, (P, D)"""
    permittivity: np.ndarray
    """η of what is behind the planes, (P, D) complex"""


class Edges(NamedTuple):
    """Of P paths, the edge of each, as in `engine.channels.wedges`."""

    origin_m: np.ndarray
    """(P, 3)"""
    along: np.ndarray
    """(P, 3)"""
    normal_0: np.ndarray
    """(P, 3)"""
    exterior_rad: np.ndarray
    """(P,)"""
    permittivity: np.ndarray
    """(P,) complex"""


class DiffractedPaths(NamedTuple):
    """P paths from the array over planes, an edge, and planes again, to places."""

    target_m: np.ndarray
    """(P, 3)"""
    before: Planes
    edge: Edges
    after: Planes
    side: np.ndarray
    """of the boundary that each of the four terms mends: 1 lit, −1 in shadow, 0 each element's own, (P, 4)"""

    def take(self, which: np.ndarray) -> "DiffractedPaths":
        """Some of them, by index or mask."""
        return DiffractedPaths(
            self.target_m[which],
            Planes(*(part[which] for part in self.before)),
            Edges(*(part[which] for part in self.edge)),
            Planes(*(part[which] for part in self.after)),
            self.side[which],
        )


class Unfolded(NamedTuple):
    """The edge as source and place see it when reflections are unfolded: (P, N) each."""

    point_m: np.ndarray
    """where it is met, (P, N, 3)"""
    along_m: np.ndarray
    """of that point, from the edge's origin"""
    incident_rad: np.ndarray
    """φ′"""
    diffracted_rad: np.ndarray
    """φ"""
    source_m: np.ndarray
    """image of the source, (P, N, 3)"""
    target_m: np.ndarray
    """image of the place, (P, 1, 3)"""


def unfolded(paths: DiffractedPaths, source_m: np.ndarray) -> Unfolded:
    """Of sources (N, 3). The shortest way over a straight edge is straight when both sides are turned into a plane."""
    edge = paths.edge
    source = _over(paths.before, np.broadcast_to(source_m, (len(paths.target_m), *source_m.shape)))
    target = _back_over(paths.after, paths.target_m[:, None, :])
    origin, along = edge.origin_m[:, None, :], edge.along[:, None, :]
    normal = edge.normal_0[:, None, :]
    tangent = np.cross(normal, along)
    (z_s, r_s, phi_s), (z_t, r_t, phi_t) = (_about(end - origin, along, tangent, normal) for end in (source, target))
    at = z_s + (z_t - z_s) * r_s / (r_s + r_t)
    return Unfolded(origin + at[..., None] * along, at, phi_s, np.broadcast_to(phi_t, at.shape), source, target)


def diffracted_responses(
    paths: DiffractedPaths, element_m: np.ndarray, wavelength_m: float, pattern: Pattern
) -> np.ndarray:
    """Complex gain from each element (N, 3) to the end of each path, (P, N), in the conventions of `path_responses`."""
    seen, edge = unfolded(paths, element_m), paths.edge
    wavenumber = 2 * np.pi / wavelength_m
    along = edge.along[:, None, :]
    before_m = np.linalg.norm(seen.point_m - seen.source_m, axis=-1)
    after_m = np.linalg.norm(seen.target_m - seen.point_m, axis=-1)
    k = _unit(_back_over(paths.before, seen.point_m) - element_m)
    field = (theta_hat(k) * PATTERNS[pattern](k)[..., None]).astype(complex)
    field, k = _reflected_at(paths.before, field, k)
    cosine = np.sum(k * along, axis=-1)
    sine = np.sqrt(1 - cosine * cosine)
    phi_in = np.cross(k, along) / sine[..., None]
    incident = np.stack([np.sum(field * phi_in, axis=-1), np.sum(field * np.cross(k, phi_in), axis=-1)], axis=-1)
    matrix = diffraction_matrix(
        edge.exterior_rad[:, None],
        seen.incident_rad,
        seen.diffracted_rad,
        cosine=cosine,
        reach=wavenumber * before_m * after_m / (before_m + after_m) * sine * sine,
        permittivity=edge.permittivity[:, None],
        side=_sides(paths, seen),
    )
    out = np.sum(matrix * incident[..., None, :], axis=-1)
    k = _unit(seen.target_m - seen.point_m)
    phi_out = -np.cross(k, along) / sine[..., None]
    field = out[..., :1] * phi_out + out[..., 1:] * np.cross(k, phi_out)
    field, k = _reflected_at(paths.after, field, k)
    received = np.sum(field * theta_hat(-k), axis=-1)
    spread = np.sqrt(wavenumber * before_m * after_m * (before_m + after_m))  # the matrix is √k D
    cycles = (before_m + after_m) / wavelength_m
    return received * wavelength_m / (4 * np.pi * spread) * np.exp(-2j * np.pi * (cycles - np.floor(cycles)))


def _sides(paths: DiffractedPaths, seen: Unfolded) -> np.ndarray:
    """±1 of the four terms at each element, (4, P, N)."""
    offset = boundary_offsets_rad(paths.edge.exterior_rad[:, None], seen.incident_rad, seen.diffracted_rad)
    own = np.where(offset < 0, -1.0, 1.0)
    given = paths.side.T[:, :, None]
    return np.where((given != 0) & (np.abs(offset) < _NEAR_RAD), given, own)


def _about(
    apart_m: np.ndarray, along: np.ndarray, tangent: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cylindrical coordinates about an edge: along it (m), off it (m), and the azimuth from face 0, below 2π."""
    x, y = np.sum(apart_m * tangent, axis=-1), np.sum(apart_m * normal, axis=-1)
    return np.sum(apart_m * along, axis=-1), np.hypot(x, y), np.arctan2(y, x) % (2 * np.pi)


def _over(planes: Planes, point_m: np.ndarray) -> np.ndarray:
    """Images of points (P, N, 3), seen from behind the last plane."""
    for i in range(planes.normal.shape[1]):
        point_m = _mirrored(planes, i, point_m)
    return point_m


def _back_over(planes: Planes, point_m: np.ndarray) -> np.ndarray:
    """Images of points (P, N, 3), seen from before the first plane."""
    for i in reversed(range(planes.normal.shape[1])):
        point_m = _mirrored(planes, i, point_m)
    return point_m


def _mirrored(planes: Planes, i: int, point_m: np.ndarray) -> np.ndarray:
    normal = planes.normal[:, i, None, :]
    beyond = np.sum(point_m * normal, axis=-1, keepdims=True) - planes.offset_m[:, i, None, None]
    return point_m - 2 * beyond * normal


def _reflected_at(planes: Planes, field: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Field and direction (P, N, 3) after all planes."""
    for i in range(planes.normal.shape[1]):
        here = np.any(planes.normal[:, i] != 0, axis=-1)
        if np.any(here):
            field, k = field.copy(), k.copy()
            at = planes.permittivity[here, i, None], planes.normal[here, i, None, :]
            field[here], k[here] = reflected(field[here], k[here], *at)
    return field, k


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)
