"""What the paper says of its Fig. 3, judged from our numbers. Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V."""

from typing import TYPE_CHECKING

import numpy as np

from scenarios.figures.claims import Claim, RowsByPoint, by_point, consistently, ordered, orders, verdict
from scenarios.figures.paired import against_baselines
from scenarios.figures.rows import SQUARED_ERRORS, Row
from scenarios.figures.style import LEARNED, label
from scenarios.leakage.rows import errors_of

if TYPE_CHECKING:
    import xarray


def claims(results: "xarray.Dataset", summary: list[Row]) -> list[Claim]:
    """The paper's statements about its Fig. 3, each with our number and interval beside it."""
    rows, names = by_point(summary), list(dict.fromkeys(row.estimator for row in summary))
    sensors, counts, noises = (
        sorted(results[axis].values.tolist()) for axis in ("n_sensors", "n_snapshots", "noise_dbm")
    )
    best = (sensors[-1], counts[-1], noises[0])
    table = [_lowest(rows, names, "range", 0.7, best), _lowest(rows, names, "angle", 1e-4, best)]
    table += orders(rows, results, names)
    if "least_squares" in names:
        learned = [name for name in names if name in LEARNED]
        table += [consistently(name, found) for name, found in against_baselines(errors_of(results), learned).items()]
    if {"posterior_mean", "least_squares"} <= set(names):
        table.append(
            ordered(rows, "a learned or optimal estimator is below least squares everywhere", [
                ((q, k, n, s, "least_squares"), (q, k, n, s, "posterior_mean"))
                for q in SQUARED_ERRORS for k in sensors for n in counts for s in noises])
        )  # fmt: skip
    return [*table, _bound_holds(summary)]


def _lowest(rows: RowsByPoint, names: list[str], quantity: str, paper: float, best: tuple[int, int, float]) -> Claim:
    """The error at the best point (K, L, σ²), of whoever has the lowest, against the paper's number in m² or rad²."""
    lowest = min((rows[(quantity, *best, name)] for name in names), key=lambda row: row.mse.value)
    # Printed with one digit; a third either way also covers what another draw of heavy tails would give.
    agrees = lowest.mse.low <= paper * 4 / 3 and lowest.mse.high >= paper * 2 / 3
    squares = rows.get((quantity, *best, "least_squares"), lowest)
    beside = f"; least squares {squares.mse.value:.2g}" if squares is not lowest else ""
    return Claim(
        f"lowest {quantity} error, σ² = {best[2]:g} dBm, K = {best[0]}, L = {best[1]}",
        f"{paper:g} {lowest.unit}²",
        f"{lowest.mse.value:.2g} {lowest.unit}² [{lowest.mse.low:.2g}, {lowest.mse.high:.2g}], "
        f"{label(lowest.estimator)}{beside}",
        verdict(agrees),
    )


def _bound_holds(rows: list[Row]) -> Claim:
    """The paper's bound is one only where no estimator's error lies below it by more than Monte Carlo error."""
    known = [row for row in rows if np.isfinite(row.mse.value)]
    below = [row for row in known if row.mse.high < row.bound]
    ours = f"errors lie below it at {len(below)} of {len(known)} points" if below or not known else "at every point"
    if below:
        row = min(below, key=lambda row: row.mse.value / row.bound)
        at = row.point
        ours += (
            f", most at σ² = {at['noise_dbm']:g} dBm, K = {at['n_sensors']}, L = {at['n_snapshots']}: {row.quantity} "
            f"{row.mse.value:.2g} {row.unit}² against {row.bound:.2g}"
        )
    return Claim("the bound bounds every estimator", "yes", ours, verdict(bool(known) and not below))
