"""The sum of paths over edges, at every element of an array, in compiled loops. Imports numba.

As for reflections (`engine.channels.specular_cpu`), only the distance is computed for every element; the rest is a
polynomial through as many of Chebyshev's places as its own coefficients ask for, between kinks and jumps of the
coefficients, or computed for every element as well.
"""

from typing import Any

import numpy as np

from engine.channels.edge_gain_cpu import about, azimuth_rad, edge_gain
from engine.channels.utd_cpu import face_azimuth_rad, offset_rad, side_of
from engine.numerics.compiled import compiled
from engine.numerics.turns_cpu import quarters

_FALL = 32.0  # from one coefficient to the next: elements span a small part of the way to an edge


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
        incident = azimuth_rad(centre[0] + y * turn[0], centre[1] + y * turn[1])
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


def _highest_plain(real: Any, imag: Any, cosines: Any, step: int) -> float:
    """Size of the last of Chebyshev's coefficients of what has these values at every step-th of its places, or of the
    one before, were it so much smaller: an odd function has no last one."""
    sums = (0.0, 0.0, 0.0, 0.0)
    sign, last = 1.0, len(real) - 1
    for j in range(0, len(real), step):
        share = sign * (0.5 if j == 0 or j == last else 1.0)
        a, b, c, d = sums
        x, y = share * real[j], share * imag[j]
        sums, sign = (a + x, b + y, c + x * cosines[j], d + y * cosines[j]), -sign
    a, b, c, d = sums
    return max(np.sqrt(a * a + b * b), np.sqrt(c * c + d * d) * (2 / _FALL)) * step / last


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
) -> None:  # fmt: skip
    """Adds each path's response to its place's row of real and imaginary (n, N).

    source (2, 6, W) as for `candidates`; there (P, 4): whether the wave that ends at a term's boundary is one of the
    place's; along (N,): the elements' y; cosines (M,): Chebyshev's places of −1 … 1, both ends included; weights
    (3, M, N): at the elements of every fourth of them, every second, and all; tolerance (n,): of a gain.
    """
    n = len(along)
    node_re, node_im = np.empty(len(cosines)), np.empty(len(cosines))
    gain_re, gain_im = np.empty(n), np.empty(n)
    for p in range(len(of_place)):
        i, w = of_place[p], of_edge[p]
        o, f = origin[w], frame[w]
        k = 1 if before[p] else 0
        xc, yc, zc = source[k, 0, w], source[k, 1, w], source[k, 2, w]
        dx, dy, dz = f[0, 1], f[1, 1], f[2, 1]  # along the array, which the ground does not turn
        z = 2 * ground_z - place[i, 2] if after[p] else place[i, 2]
        target = about(place[i, 0], place[i, 1], z, o, f)
        diffracted = azimuth_rad(target[0], target[1])
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
                    one, is_clipped = edge_gain(
                        at, target, azimuth_rad(at[0], at[1]), diffracted, before[p], after[p], f, exterior[w], eta[w],
                        given, ground_eta, wavelength, directive, table,
                    )  # fmt: skip
                    clipped += is_clipped
                    if level == 3:
                        gain_re[j], gain_im[j] = one.real, one.imag
                    else:
                        node_re[j], node_im[j] = one.real, one.imag
                if level == 3:
                    break
                if level == 0 and 0 < clipped < 5:
                    level = 3
                elif _highest(node_re, node_im, cosines, step) <= tolerance[i]:
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


add_edge_paths = compiled(_add_edge_paths_plain)
