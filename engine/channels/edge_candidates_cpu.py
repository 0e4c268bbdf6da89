"""Paths over edges that may exist, in compiled loops: the strongest of each place, and their legs. Imports numba."""

from typing import Any

import numpy as np

from engine.channels.edge_gain_cpu import FULL_TURN, azimuth_rad, edge_gain
from engine.channels.utd_cpu import offset_rad
from engine.numerics.compiled import compiled


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
    wavenumber = FULL_TURN / wavelength
    around = np.empty((2, 3, edges))
    ahead = np.empty(edges)
    for i in range(len(place)):
        kept, found = 0, 0
        for image in range(2):
            px, py = place[i, 0], place[i, 1]
            pz = place[i, 2] if image == 0 else 2 * ground_z - place[i, 2]
            for axis in range(3):
                for w in range(edges):
                    along = px * axes[axis, 0, w] + py * axes[axis, 1, w] + pz * axes[axis, 2, w]
                    around[image, axis, w] = along - axes[axis, 3, w]
        for b in range(len(ways)):
            before, after = ways[b, 0] != 0, ways[b, 1] != 0
            k, m = (1 if before else 0), (1 if after else 0)
            for w in range(edges):
                rt = np.sqrt(around[m, 0, w] * around[m, 0, w] + around[m, 1, w] * around[m, 1, w])
                share = source[k, 4, w] / (source[k, 4, w] + rt)
                ahead[w] = source[k, 2, w] + (around[m, 2, w] - source[k, 2, w]) * share
            for w in range(edges):
                at = ahead[w]
                if not (at > 0 and at < length[w]):
                    continue
                xt, yt, zt = around[m, 0, w], around[m, 1, w], around[m, 2, w]
                xs, ys, zs, incident, rs = (
                    source[k, 0, w],
                    source[k, 1, w],
                    source[k, 2, w],
                    source[k, 3, w],
                    source[k, 4, w],
                )
                rt = np.sqrt(xt * xt + yt * yt)
                diffracted = azimuth_rad(xt, yt)
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
                gain, _ = edge_gain(
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
