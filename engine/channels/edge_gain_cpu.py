"""The gain of one path over an edge, in compiled loops. Imports numba.

Mathematics as in `engine.channels.diffraction`, one path and one element at a time. An element enters by where it
stands about the edge, seen over the ground or not.
"""

from typing import Any

import numpy as np

from engine.channels.specular_cpu import FLOOR_DB, amplitude, reduction_db, theta_hat
from engine.channels.utd_cpu import diffracted_parts, fresnel_coefficients
from engine.numerics.compiled import compiled

_STRAIGHT_DOWN = 1e-9
FULL_TURN = 2 * np.pi


def _about_plain(x: float, y: float, z: float, origin: Any, frame: Any) -> tuple[float, float, float]:
    """Coordinates about an edge: along its face 0's tangent, that face's normal, and itself."""
    x, y, z = x - origin[0], y - origin[1], z - origin[2]
    return (
        x * frame[0, 0] + y * frame[0, 1] + z * frame[0, 2],
        x * frame[1, 0] + y * frame[1, 1] + z * frame[1, 2],
        x * frame[2, 0] + y * frame[2, 1] + z * frame[2, 2],
    )


about = compiled(_about_plain)


def _azimuth_plain(x: float, y: float) -> float:
    azimuth = np.arctan2(y, x)
    return azimuth + FULL_TURN if azimuth < 0 else azimuth


azimuth_rad = compiled(_azimuth_plain)


def _off_ground_plain(
    fx: complex, fy: complex, fz: complex, x: float, y: float, z: float, eta: complex
) -> tuple[complex, complex, complex]:
    """The field after a reflection at the ground of a wave in the direction (x, y, z)."""
    flat = np.sqrt(x * x + y * y)
    px, py = (y / flat, -x / flat) if flat > _STRAIGHT_DOWN else (1.0, 0.0)
    r_te, r_tm = fresnel_coefficients(abs(z), eta)
    te = r_te * (fx * px + fy * py)
    turn = x * py - y * px  # of p × k, whose part along the ground turns round
    tm = r_tm * (fx * py * z - fy * px * z - fz * turn)
    return te * px - tm * py * z, te * py + tm * px * z, -tm * turn


_off_ground = compiled(_off_ground_plain)


def _gain_plain(
    source: Any, target: Any, incident: float, diffracted: float, before: bool, after: bool, frame: Any,
    exterior: float, eta: complex, given: Any, ground_eta: complex, wavelength: float, directive: bool, table: Any,
) -> tuple[complex, bool]:  # fmt: skip
    """A path's gain but for e^{−jkL}, and whether the pattern has come to its end there.

    source, target: (x, y, z) about the edge, of images where the ground reflects before or after it; frame (3, 3): the
    edge's axes; incident, diffracted: their azimuths; given: as for `diffracted_parts`.
    """
    xs, ys, zs = source
    xt, yt, zt = target
    rs, rt = np.sqrt(xs * xs + ys * ys), np.sqrt(xt * xt + yt * yt)
    at = zs + (zt - zs) * rs / (rs + rt)
    first, last = np.sqrt(rs * rs + (at - zs) ** 2), np.sqrt(rt * rt + (zt - at) ** 2)
    u, v, w = -xs / first, -ys / first, (at - zs) / first
    kx = u * frame[0, 0] + v * frame[1, 0] + w * frame[2, 0]
    ky = u * frame[0, 1] + v * frame[1, 1] + w * frame[2, 1]
    kz = u * frame[0, 2] + v * frame[1, 2] + w * frame[2, 2]
    leaves_z = -kz if before else kz
    tx, ty, tz = theta_hat(kx, ky, leaves_z)
    reduction = reduction_db(kx, ky, leaves_z)
    size = amplitude(reduction, directive)
    fx, fy, fz = complex(tx * size), complex(ty * size), complex(tz * size)
    if before:
        fx, fy, fz = _off_ground(fx, fy, fz, kx, ky, leaves_z, ground_eta)
    ax, ay, az = frame[2, 0], frame[2, 1], frame[2, 2]
    sine = rs / first
    px, py, pz = (ky * az - kz * ay) / sine, (kz * ax - kx * az) / sine, (kx * ay - ky * ax) / sine
    across = fx * px + fy * py + fz * pz
    along = fx * (ky * pz - kz * py) + fy * (kz * px - kx * pz) + fz * (kx * py - ky * px)
    wavenumber = FULL_TURN / wavelength
    reach = wavenumber * first * last / (first + last) * sine * sine
    across, along = diffracted_parts(across, along, exterior, incident, diffracted, w, reach, eta, given, table)
    u, v, w = xt / last, yt / last, (zt - at) / last
    kx = u * frame[0, 0] + v * frame[1, 0] + w * frame[2, 0]
    ky = u * frame[0, 1] + v * frame[1, 1] + w * frame[2, 1]
    kz = u * frame[0, 2] + v * frame[1, 2] + w * frame[2, 2]
    px, py, pz = -(ky * az - kz * ay) / sine, -(kz * ax - kx * az) / sine, -(kx * ay - ky * ax) / sine
    fx = across * px + along * (ky * pz - kz * py)
    fy = across * py + along * (kz * px - kx * pz)
    fz = across * pz + along * (kx * py - ky * px)
    if after:
        fx, fy, fz = _off_ground(fx, fy, fz, kx, ky, kz, ground_eta)
        kz = -kz
    tx, ty, tz = theta_hat(-kx, -ky, -kz)
    received = fx * tx + fy * ty + fz * tz
    spread = np.sqrt(wavenumber * first * last * (first + last))
    return received * (wavelength / (4 * np.pi * spread)), directive and reduction >= FLOOR_DB


edge_gain = compiled(_gain_plain)
