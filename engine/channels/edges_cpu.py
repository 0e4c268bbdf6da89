"""Paths over edges in compiled loops: which may exist, how strong they are, and the sum of their responses. Imports
numba.

Mathematics as in `engine.channels.diffraction`, one path and one element at a time. An element enters by where it
stands about the edge, seen over the ground or not. As for reflections (`engine.channels.specular_cpu`), only the
distance is computed for every element; the rest is a polynomial through as many of Chebyshev's places as its own
coefficients ask for, between kinks and jumps of the coefficients, or computed for every element as well.
"""

from typing import Any

import numpy as np

from engine.channels.specular_cpu import FLOOR_DB, amplitude, reduction_db, theta_hat
from engine.channels.utd_cpu import diffracted_parts, face_azimuth_rad, fresnel_coefficients, offset_rad, side_of
from engine.numerics.compiled import compiled
from engine.numerics.turns_cpu import quarters

_STRAIGHT_DOWN = 1e-9
_FULL_TURN = 2 * np.pi


def _about_plain(x: float, y: float, z: float, origin: Any, frame: Any) -> tuple[float, float, float]:
    """Coordinates about an edge: along its face 0's tangent, that face's normal, and itself."""
    x, y, z = x - origin[0], y - origin[1], z - origin[2]
    return (
        x * frame[0, 0] + y * frame[0, 1] + z * frame[0, 2],
        x * frame[1, 0] + y * frame[1, 1] + z * frame[1, 2],
        x * frame[2, 0] + y * frame[2, 1] + z * frame[2, 2],
    )


_about = compiled(_about_plain)


def _azimuth_plain(x: float, y: float) -> float:
    azimuth = np.arctan2(y, x)
    return azimuth + _FULL_TURN if azimuth < 0 else azimuth


_azimuth = compiled(_azimuth_plain)


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
    wavenumber = _FULL_TURN / wavelength
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


_gain = compiled(_gain_plain)


def _largest_term_plain(term: int, exterior: float, incident: float, diffracted: float, half_wave: float) -> float:
    """What |√k D| sin β of a term is at most: half the wave that it mends, or without the transition function, of which
    |F| ≤ 1, with cot ψ ≤ 1/ψ − ψ/3."""
    offset, _ = offset_rad(term, exterior, incident, diffracted)
    n = exterior / np.pi
    psi = max(abs(offset) / (2 * n), 1e-9)
    return min((1 / psi - psi / 3) / (2 * n * np.sqrt(2 * np.pi)), half_wave)


_largest_term = compiled(_largest_term_plain)


def _candidates_plain(
    place: Any, source: Any, ways: Any, axes: Any, frame: Any, exterior: Any, eta: Any, length: Any, ground_z: float,
    ground_eta: complex, wavelength: float, directive: bool, table: Any, of_edge: Any, of_way: Any, strength: Any,
    at_m: Any, count: Any, total: Any,
) -> None:  # fmt: skip
    """The strongest paths over edges that each place may have, as many as there is room for, the strongest first.

    place (n, 3); source (2, 6, W): the array's centre, and its image in the ground, about each edge, x, y, z, azimuth,
    and distance, and the largest amplitude with which an element sends towards the edge; ways (B, 2): whether the
    ground is met before the edge, and after it; of edges: axes (3, 4, W), each of which with its origin's place along
    it, frame (W, 3, 3) the same, exterior, eta, length (W,).
    Found: of_edge, of_way, strength, at_m along the edge (n, room), count (n,) of them, and how many there are in all,
    total (n,).
    """
    room, edges = of_edge.shape[1], len(exterior)
    own = (0.0, 0.0, 0.0, 0.0)
    wavenumber = _FULL_TURN / wavelength
    about = np.empty((2, 3, edges))
    ahead = np.empty(edges)
    for i in range(len(place)):
        kept, found = 0, 0
        for image in range(2):
            px, py = place[i, 0], place[i, 1]
            pz = place[i, 2] if image == 0 else 2 * ground_z - place[i, 2]
            for axis in range(3):
                for w in range(edges):
                    along = px * axes[axis, 0, w] + py * axes[axis, 1, w] + pz * axes[axis, 2, w]
                    about[image, axis, w] = along - axes[axis, 3, w]
        for b in range(len(ways)):
            before, after = ways[b, 0] != 0, ways[b, 1] != 0
            k, m = (1 if before else 0), (1 if after else 0)
            for w in range(edges):
                rt = np.sqrt(about[m, 0, w] * about[m, 0, w] + about[m, 1, w] * about[m, 1, w])
                share = source[k, 4, w] / (source[k, 4, w] + rt)
                ahead[w] = source[k, 2, w] + (about[m, 2, w] - source[k, 2, w]) * share
            for w in range(edges):
                at = ahead[w]
                if not (at > 0 and at < length[w]):
                    continue
                xt, yt, zt = about[m, 0, w], about[m, 1, w], about[m, 2, w]
                xs, ys, zs, incident, rs = (
                    source[k, 0, w],
                    source[k, 1, w],
                    source[k, 2, w],
                    source[k, 3, w],
                    source[k, 4, w],
                )
                rt = np.sqrt(xt * xt + yt * yt)
                diffracted = _azimuth(xt, yt)
                if not (diffracted < exterior[w] and incident < exterior[w]):
                    continue
                found += 1
                if kept == room:
                    way_m = np.sqrt((rs + rt) ** 2 + (zt - zs) ** 2)
                    sine = (rs + rt) / way_m
                    product = rs * rt / (sine * sine)
                    half_wave = 0.5 * sine * np.sqrt(wavenumber * product / way_m)
                    most = 0.0
                    for term in range(4):
                        most += _largest_term(term, exterior[w], incident, diffracted, half_wave)
                    most *= source[k, 5, w] * wavelength / (4 * np.pi * sine * np.sqrt(wavenumber * product * way_m))
                    if most < strength[i, room - 1]:
                        continue
                gain, _ = _gain(
                    (xs, ys, zs), (xt, yt, zt), incident, diffracted, before, after, frame[w], exterior[w], eta[w], own,
                    ground_eta, wavelength, directive, table,
                )  # fmt: skip
                size = abs(gain)
                if kept == room and not size > strength[i, room - 1]:
                    continue
                rank = min(kept, room - 1)
                while rank > 0 and strength[i, rank - 1] < size:
                    strength[i, rank], at_m[i, rank] = strength[i, rank - 1], at_m[i, rank - 1]
                    of_edge[i, rank], of_way[i, rank] = of_edge[i, rank - 1], of_way[i, rank - 1]
                    rank -= 1
                strength[i, rank], at_m[i, rank], of_edge[i, rank], of_way[i, rank] = size, at, w, b
                kept = min(kept + 1, room)
        count[i], total[i] = kept, found


candidates = compiled(_candidates_plain)


def _legs_plain(
    place: Any, source: Any, of_place: Any, point: Any, outward: Any, before: Any, after: Any, ground_z: float,
    off: float, tolerance: float, from_m: Any, leg: Any, slack: Any, of_path: Any,
) -> int:  # fmt: skip
    """The straight legs of paths, as many as there are: where they begin, and what way they go, from_m, leg (4P, 3).

    source (3,); point (P, 3) on the edge, outward (P, 3) of it. slack (4P,): how far before its end a leg may be
    stopped all the same, −1 where it must meet the ground.
    """
    n = 0
    for p in range(len(of_place)):
        i = of_place[p]
        x, y, z = source[0], source[1], source[2]
        for stage in range(4):
            if (stage == 0 and not before[p]) or (stage == 2 and not after[p]):
                continue
            if stage == 3:
                tx, ty, tz, allowed = place[i, 0], place[i, 1], place[i, 2], off
                sx, sy, sz = tx, ty, tz
            elif stage == 1:
                tx, ty = point[p, 0] + off * outward[p, 0], point[p, 1] + off * outward[p, 1]
                tz = point[p, 2] + off * outward[p, 2]
                sx, sy, sz, allowed = tx, ty, tz, tolerance
            else:
                a, b = (source, point[p]) if stage == 0 else (point[p], place[i])
                up, down = abs(a[2] - ground_z), abs(b[2] - ground_z)
                share = up / max(up + down, 1e-300)
                tx, ty, tz = a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), ground_z
                sx, sy, sz, allowed = tx, ty, tz + off, -1.0
            from_m[n, 0], from_m[n, 1], from_m[n, 2] = x, y, z
            leg[n, 0], leg[n, 1], leg[n, 2] = tx - x, ty - y, tz - z
            slack[n], of_path[n] = allowed, p
            x, y, z = sx, sy, sz
            n += 1
    return n


legs = compiled(_legs_plain)


def _branch_plain(exterior: float, incident: float, diffracted: float, given: Any) -> int:
    """A number that differs between two azimuths of the source where coefficients have a kink or a jump in between: as
    the elements stand in a straight line, azimuths turn one way along it."""
    branch = 1 if incident <= diffracted else 0
    for term in range(4):
        offset, whole = offset_rad(term, exterior, incident, diffracted)
        branch = 16 * branch + 2 * (int(whole) + 3) + (side_of(offset, given[term]) > 0)
        if term > 1:
            azimuth = face_azimuth_rad(term, exterior, incident, diffracted)
            branch = 2 * branch + (azimuth < 0 or azimuth > np.pi)  # a wave that grazes the face, from behind
    return branch


_branch = compiled(_branch_plain)


def _last_alike_plain(
    first: int, along: Any, centre: Any, turn: Any, exterior: float, diffracted: float, given: Any
) -> int:
    """The last element of those from the first one on without a kink in between."""
    n = len(along)
    own, low, high, probe = -1, first, n, first
    while True:
        y = along[probe]
        incident = _azimuth(centre[0] + y * turn[0], centre[1] + y * turn[1])
        one = _branch(exterior, incident, diffracted, given)
        if own == -1:
            own, probe = one, n - 1
            continue
        low, high = (probe, high) if one == own else (low, probe)
        if high - low <= 1:
            return low
        probe = (low + high) // 2


_last_alike = compiled(_last_alike_plain)


def _interpolated_plain(real: Any, imag: Any, cosines: Any, step: int, at: float) -> tuple[float, float]:
    """The polynomial through values at every step-th of Chebyshev's places, at one of −1 … 1: the barycentric formula
    (Berrut and Trefethen, SIAM Review 46, 2004, Eq. 5.4)."""
    sum_re, sum_im, total, sign, last = 0.0, 0.0, 0.0, 1.0, len(cosines) - 1
    for j in range(0, len(cosines), step):
        apart = at - cosines[j]
        if abs(apart) < 1e-14:
            return real[j], imag[j]
        share = sign * (0.5 if j == 0 or j == last else 1.0) / apart
        sum_re, sum_im, total, sign = sum_re + share * real[j], sum_im + share * imag[j], total + share, -sign
    return sum_re / total, sum_im / total


_interpolated = compiled(_interpolated_plain)


def _highest_plain(real: Any, imag: Any, step: int) -> float:
    """Size of the last of Chebyshev's coefficients of what has these values at every step-th of its places."""
    sum_re, sum_im, sign, last = 0.0, 0.0, 1.0, len(real) - 1
    for j in range(0, len(real), step):
        share = sign * (0.5 if j == 0 or j == last else 1.0)
        sum_re, sum_im, sign = sum_re + share * real[j], sum_im + share * imag[j], -sign
    return np.sqrt(sum_re * sum_re + sum_im * sum_im) * step / last


_highest = compiled(_highest_plain)


def _given_plain(term: int, exterior: float, incident: float, diffracted: float, there: bool) -> float:
    """The side of one of a path's four terms, as `EdgeSearch` has it: −1 in the shadow of the wave that it mends, 1
    where that is, 0 each element's own."""
    offset, _ = offset_rad(term, exterior, incident, diffracted)
    if offset < 0:
        return -1.0
    return 1.0 if there else 0.0


_given = compiled(_given_plain)


def _add_edge_paths_plain(
    place: Any, source: Any, of_place: Any, of_edge: Any, before: Any, after: Any, there: Any, origin: Any, frame: Any,
    exterior: Any, eta: Any, ground_z: float, ground_eta: complex, wavelength: float, directive: bool, table: Any,
    along: Any, cosines: Any, weights: Any, tolerance: Any, real: Any, imaginary: Any,
) -> int:  # fmt: skip
    """Adds each path's response to its place's row of real and imaginary (n, N); how many gains were computed.

    source (2, 6, W) as for `candidates`; there (P, 4): whether the wave that ends at a term's boundary is one of the
    place's; along (N,): the elements' y; cosines (M,): Chebyshev's places of −1 … 1, both ends included; weights
    (3, M, N): at the elements of every fourth of them, every second, and all; tolerance (n,): of a gain.
    """
    n = len(along)
    node_re, node_im = np.empty(len(cosines)), np.empty(len(cosines))
    gain_re, gain_im = np.empty(n), np.empty(n)
    computed = 0
    for p in range(len(of_place)):
        i, w = of_place[p], of_edge[p]
        o, f = origin[w], frame[w]
        k = 1 if before[p] else 0
        xc, yc, zc = source[k, 0, w], source[k, 1, w], source[k, 2, w]
        dx, dy, dz = f[0, 1], f[1, 1], f[2, 1]  # along the array, which the ground does not turn
        z = 2 * ground_z - place[i, 2] if after[p] else place[i, 2]
        target = _about(place[i, 0], place[i, 1], z, o, f)
        diffracted = _azimuth(target[0], target[1])
        at_centre = exterior[w], source[k, 3, w], diffracted
        given = (
            _given(0, *at_centre, there[p, 0]), _given(1, *at_centre, there[p, 1]),
            _given(2, *at_centre, there[p, 2]), _given(3, *at_centre, there[p, 3]),
        )  # fmt: skip
        first = 0
        while first < n:
            last = _last_alike(first, along, (xc, yc, zc), (dx, dy), exterior[w], diffracted, given)
            middle, half = (along[first] + along[last]) / 2, (along[last] - along[first]) / 2
            level = 0 if last - first >= len(cosines) else 3
            while True:
                step, clipped, begin = 4 >> level, 0, first if level == 3 else 0
                for j in range(begin, last + 1 if level == 3 else len(cosines), 1 if level == 3 else step):
                    if level in (1, 2) and (j // step) % 2 == 0:
                        continue  # known from the level before
                    y = along[j] if level == 3 else middle + half * cosines[j]
                    at = xc + y * dx, yc + y * dy, zc + y * dz
                    one, is_clipped = _gain(
                        at, target, _azimuth(at[0], at[1]), diffracted, before[p], after[p], f, exterior[w], eta[w],
                        given, ground_eta, wavelength, directive, table,
                    )  # fmt: skip
                    computed += 1
                    clipped += is_clipped
                    if level == 3:
                        gain_re[j], gain_im[j] = one.real, one.imag
                    else:
                        node_re[j], node_im[j] = one.real, one.imag
                if level == 3:
                    break
                if level == 0 and 0 < clipped < 5:
                    level = 3
                elif _highest(node_re, node_im, step) <= tolerance[i]:
                    break
                else:
                    level += 1
            if level < 3 and last - first == n - 1:
                gain_re[:], gain_im[:] = 0.0, 0.0
                for j in range(0, len(cosines), step):
                    a, b = node_re[j], node_im[j]
                    for e in range(n):
                        gain_re[e] += a * weights[level, j, e]
                        gain_im[e] += b * weights[level, j, e]
            elif level < 3:
                for e in range(first, last + 1):
                    part = (along[e] - middle) / half
                    gain_re[e], gain_im[e] = _interpolated(node_re, node_im, cosines, step, part)
            first = last + 1
        rt = np.sqrt(target[0] * target[0] + target[1] * target[1])
        for e in range(n):
            y = along[e]
            x_e, y_e, apart = xc + y * dx, yc + y * dy, target[2] - (zc + y * dz)
            off = np.sqrt(x_e * x_e + y_e * y_e) + rt
            cosine, sine = quarters(-4 * np.sqrt(off * off + apart * apart) / wavelength)
            real[i, e] += gain_re[e] * cosine - gain_im[e] * sine
            imaginary[i, e] += gain_re[e] * sine + gain_im[e] * cosine
    return computed


add_edge_paths = compiled(_add_edge_paths_plain)
