"""Specular paths in compiled loops: which chains of planes a place may see, and the sum of its paths. Imports numba.

Mathematics as in `engine.channels.specular`, one place and one path at a time, so that a place's result has the same
bits whatever else was asked for. Two things are quicker than there. A straight line from the place to the array's image
behind a chain of planes is followed backwards, and given up at the first plane that it misses. And of a path's response
e^{−jkL} a(y) along the array, only the distance L is computed for every element; what is left, a, which pattern, angles
of incidence and 1/L make, is smooth, and a polynomial through few places of the array.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.turns_cpu import quarters

_HALF_POWER_RAD = np.radians(65.0)
FLOOR_DB = 30.0
_TINY = 1e-12
_HEAD_ON = 1e-9
_DB_TO_NEPER = np.log(10.0) / 20


def _possible_plain(
    place: Any, source: Any, planes: Any, depth: Any, normal: Any, offset: Any, low: Any, high: Any,
    of_place: Any, of_chain: Any, points: Any,
) -> int:  # fmt: skip
    """How many of the chains' paths meet all their planes within the planes' extents; those are listed as far as there
    is room: of_place, of_chain (room,), points (room, D, 3).

    place (n, 3); source (C, D + 1, 3): the array's centre mirrored at the first 0, 1, …, D planes of each chain;
    planes (C, D), depth (C,); of planes: normal, offset, and the box low … high (Q, 3) that they lie in.
    """
    found = 0
    room = len(of_place)
    at = np.empty((planes.shape[1], 3))
    for i in range(len(place)):
        for c in range(len(planes)):
            x, y, z = place[i, 0], place[i, 1], place[i, 2]
            met = True
            for d in range(depth[c] - 1, -1, -1):
                q = planes[c, d]
                sx, sy, sz = source[c, d + 1, 0], source[c, d + 1, 1], source[c, d + 1, 2]
                a, b, e = normal[q, 0], normal[q, 1], normal[q, 2]
                here = offset[q] - (x * a + y * b + z * e)
                approach = (sx - x) * a + (sy - y) * b + (sz - z) * e
                share = here / approach  # ∞ or NaN along the plane: not met
                if not (share > 0 and share < 1):
                    met = False
                    break
                x, y, z = x + share * (sx - x), y + share * (sy - y), z + share * (sz - z)
                across = x >= low[q, 0] and x <= high[q, 0] and y >= low[q, 1] and y <= high[q, 1]
                if not (across and z >= low[q, 2] and z <= high[q, 2]):
                    met = False
                    break
                at[d, 0], at[d, 1], at[d, 2] = x, y, z
            if met:
                if found < room:
                    of_place[found], of_chain[found] = i, c
                    for d in range(depth[c]):
                        for axis in range(3):
                            points[found, d, axis] = at[d, axis]
                found += 1
    return found


possible = compiled(_possible_plain)


def _theta_hat_plain(x: float, y: float, z: float) -> tuple[float, float, float]:
    flat = max(np.sqrt(x * x + y * y), _TINY)
    up = z / flat
    return x * up, y * up, -flat


theta_hat = compiled(_theta_hat_plain)


def _reduction_db_plain(x: float, y: float, z: float) -> float:
    """3GPP TR 38.901, Table 7.3-1: what a direction lacks of the largest gain, before it ends at 30."""
    zenith = np.arccos(min(max(z, -1.0), 1.0))
    vertical = (zenith - np.pi / 2) / _HALF_POWER_RAD
    horizontal = np.arctan2(y, x) / _HALF_POWER_RAD
    return min(12 * vertical * vertical, FLOOR_DB) + min(12 * horizontal * horizontal, FLOOR_DB)


reduction_db = compiled(_reduction_db_plain)


def _amplitude_plain(reduction_db: float, directive: bool) -> float:
    return np.exp(_DB_TO_NEPER * (8.0 - min(reduction_db, FLOOR_DB))) if directive else 1.0


amplitude = compiled(_amplitude_plain)


def _smooth_gain_plain(
    x: float, y: float, z: float, gain: float, chain: Any, depth: int, normal: Any, permittivity: Any
) -> complex:
    """Of a path that leaves in the direction (x, y, z), with an element's gain: what is not e^{−jkL} in its own."""
    tx, ty, tz = theta_hat(x, y, z)
    fx, fy, fz = complex(tx * gain), complex(ty * gain), complex(tz * gain)
    for d in range(depth):
        q = chain[d]
        a, b, e = normal[q, 0], normal[q, 1], normal[q, 2]
        along = x * a + y * b + z * e
        ox, oy, oz = x - 2 * along * a, y - 2 * along * b, z - 2 * along * e
        px, py, pz = y * e - z * b, z * a - x * e, x * b - y * a
        size = np.sqrt(px * px + py * py + pz * pz)
        if size > _HEAD_ON:
            px, py, pz = px / size, py / size, pz / size
        elif abs(e) < 0.5:  # head on: any tangent will do
            px, py, pz = b, -a, 0.0
        else:
            px, py, pz = 0.0, e, -b
        cosine, eta = abs(along), permittivity[q]
        inner = np.sqrt(eta - (1 - cosine * cosine))
        r_te = (cosine - inner) / (cosine + inner)  # ITU-R P.2040, Eq. (37)
        r_tm = (eta * cosine - inner) / (eta * cosine + inner)
        te = r_te * (fx * px + fy * py + fz * pz)
        ix, iy, iz = py * z - pz * y, pz * x - px * z, px * y - py * x
        tm = r_tm * (fx * ix + fy * iy + fz * iz)
        jx, jy, jz = py * oz - pz * oy, pz * ox - px * oz, px * oy - py * ox
        fx, fy, fz = te * px + tm * jx, te * py + tm * jy, te * pz + tm * jz
        x, y, z = ox, oy, oz
    ux, uy, uz = theta_hat(-x, -y, -z)
    return fx * ux + fy * uy + fz * uz


_smooth_gain = compiled(_smooth_gain_plain)


def _image_plain(
    x: float, y: float, z: float, chain: Any, depth: int, normal: Any, offset: Any
) -> tuple[float, float, float]:
    """A place mirrored at all planes of its path, the last one first."""
    for d in range(depth - 1, -1, -1):
        q = chain[d]
        a, b, e = normal[q, 0], normal[q, 1], normal[q, 2]
        beyond = 2 * (x * a + y * b + z * e - offset[q])
        x, y, z = x - beyond * a, y - beyond * b, z - beyond * e
    return x, y, z


_image = compiled(_image_plain)


def _strengths_plain(
    place: Any, of_place: Any, of_chain: Any, planes: Any, depth: Any, normal: Any, offset: Any, permittivity: Any,
    height: float, wavelength: float, directive: bool, strength: Any,
) -> None:  # fmt: skip
    """strength (P,): |gain| of paths for an element at the array's centre."""
    for p in range(len(of_place)):
        i, c = of_place[p], of_chain[p]
        x, y, z = _image(place[i, 0], place[i, 1], place[i, 2], planes[c], depth[c], normal, offset)
        z -= height
        length = np.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        gain = amplitude(reduction_db(x, y, z), directive) * wavelength / (4 * np.pi * length)
        strength[p] = abs(_smooth_gain(x, y, z, gain, planes[c], depth[c], normal, permittivity))


strengths = compiled(_strengths_plain)


def _add_paths_plain(
    place: Any, of_place: Any, of_chain: Any, planes: Any, depth: Any, normal: Any, offset: Any, permittivity: Any,
    height: float, wavelength: float, directive: bool, along: Any, node: Any, weights: Any, real: Any, imaginary: Any,
) -> None:  # fmt: skip
    """Adds each path's response to its place's row of real and imaginary (n, N).

    along (N,): the elements' y; node (M,): of the places between which the smooth part is a polynomial; weights (M, N).
    """
    m, n = weights.shape
    node_re, node_im = np.empty(m), np.empty(m)
    gain_re, gain_im = np.empty(n), np.empty(n)
    for p in range(len(of_place)):
        i, c = of_place[p], of_chain[p]
        x, y, z = _image(place[i, 0], place[i, 1], place[i, 2], planes[c], depth[c], normal, offset)
        z -= height
        square = x * x + z * z
        clipped = 0
        for j in range(m):
            length = np.sqrt(square + (y - node[j]) ** 2)
            u, v, w = x / length, (y - node[j]) / length, z / length
            reduction = reduction_db(u, v, w)
            clipped += reduction >= FLOOR_DB
            gain = amplitude(reduction, directive) * wavelength / (4 * np.pi * length)
            one = _smooth_gain(u, v, w, gain, planes[c], depth[c], normal, permittivity)
            node_re[j], node_im[j] = one.real, one.imag
        if directive and 0 < clipped < m:  # the pattern's kink is within the array: no polynomial
            for e in range(n):
                length = np.sqrt(square + (y - along[e]) ** 2)
                u, v, w = x / length, (y - along[e]) / length, z / length
                gain = amplitude(reduction_db(u, v, w), directive) * wavelength / (4 * np.pi * length)
                one = _smooth_gain(u, v, w, gain, planes[c], depth[c], normal, permittivity)
                gain_re[e], gain_im[e] = one.real, one.imag
        else:
            gain_re[:], gain_im[:] = 0.0, 0.0
            for j in range(m):
                a, b = node_re[j], node_im[j]
                for e in range(n):
                    gain_re[e] += a * weights[j, e]
                    gain_im[e] += b * weights[j, e]
        for e in range(n):
            length = np.sqrt(square + (y - along[e]) ** 2)
            cosine, sine = quarters(-4 * length / wavelength)
            real[i, e] += gain_re[e] * cosine - gain_im[e] * sine
            imaginary[i, e] += gain_re[e] * sine + gain_im[e] * cosine


add_paths = compiled(_add_paths_plain)


def _leaked_plain(real: Any, imaginary: Any, sensor_re: Any, sensor_im: Any, power: Any) -> None:
    """power (n, K): |Σ_e w_e conj(g_ek)|² of beams w = real + j imaginary (n, N) and channels g (N, K)."""
    k = sensor_re.shape[1]
    field_re, field_im = np.empty(k), np.empty(k)
    for i in range(len(real)):
        field_re[:], field_im[:] = 0.0, 0.0
        for e in range(real.shape[1]):
            a, b = real[i, e], imaginary[i, e]
            for s in range(k):
                field_re[s] += a * sensor_re[e, s] + b * sensor_im[e, s]
                field_im[s] += b * sensor_re[e, s] - a * sensor_im[e, s]
        for s in range(k):
            power[i, s] = field_re[s] * field_re[s] + field_im[s] * field_im[s]


leaked = compiled(_leaked_plain)
