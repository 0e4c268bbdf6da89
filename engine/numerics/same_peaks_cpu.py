"""Which of a list of peaks stand where one before them does, on a CPU. Imports numba."""

from typing import Any

from engine.numerics.compiled import compiled


def _again_plain(range_m: Any, angle_rad: Any, rr: Any, ra: Any, aa: Any, nearest: float, out: Any) -> None:
    """out (n, P): whether a peak is within a squared distance of one before it, in deviations by its own information
    rr, ra, aa. All (n, P)."""
    for i in range(out.shape[0]):
        for p in range(out.shape[1]):
            out[i, p] = False
            for q in range(p):
                away_m, away_rad = range_m[i, p] - range_m[i, q], angle_rad[i, p] - angle_rad[i, q]
                squared = rr[i, p] * away_m * away_m + aa[i, p] * away_rad * away_rad
                if squared + 2.0 * ra[i, p] * away_m * away_rad < nearest:
                    out[i, p] = True
                    break


again = compiled(_again_plain)
