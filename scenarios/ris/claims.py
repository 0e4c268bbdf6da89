"""What the paper says about its figures, judged from a summary of our results.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI. A claim is *reproduced* where our numbers agree with it at
every point compared, *contradicted* where the intervals exclude it at some point, and *not reproduced* otherwise.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray

from engine.sweep import scenario_of
from scenarios.ris.localization import RisLocalization

Rows = list[Any]
"""`figures_ris.Row`"""


class Claim(NamedTuple):
    """What the paper says, what was found, and whether the two agree."""

    claim: str
    paper: str
    ours: str
    verdict: str


def against_snr(rows: Rows, results: Any) -> list[Claim]:
    """Fig. 4: errors against the signal-to-noise ratio."""
    methods = {row.method for row in rows}
    claims = []
    if {"hybrid", "AML", "ANM"} <= methods:
        claims += [
            _smaller_by(rows, "angle", field, "hybrid", other, 0.30, f"{field} users' angle: {other} exceeded by 30 %")
            for field in ("far", "near") for other in ("AML", "ANM")
        ]  # fmt: skip
        claims.append(_smaller_by(rows, "range", "near", "hybrid", "AML", 0.55, "range: AML exceeded by 55 %"))
    if {"hybrid", "nf", "ff"} <= methods:
        claims += [
            _similar(rows, "angle", "far", "hybrid", "ff", "far users: hybrid and far-field model similar"),
            _smaller(rows, "angle", "far", "hybrid", "nf", "far users: near-field model worse than hybrid"),
            _smaller(rows, "angle", "near", "hybrid", "ff", "near users: far-field model worse than hybrid"),
            _similar(rows, "angle", "near", "hybrid", "nf", "near users: hybrid and near-field model similar"),
            _smaller(rows, "range", "near", "hybrid", "nf", "range: near-field model worse than hybrid"),
        ]
        claims.append(_floor(rows, "hybrid"))
    claims += [_at_the_bound(rows, method) for method in ("NOMP", "closed loop") if method in methods]
    return claims


def against_cycles(rows: Rows, results: Any) -> list[Claim]:
    """Fig. 5: errors against the number of cycles."""
    claims = []
    for method in ("hybrid", "ff", "nf"):
        curve = _curve(rows, "angle", "far", method, "cycle")
        if len(curve) > 3:
            last, before = curve[-1], curve[-2]
            settled = before.found_low <= last.found_high and last.found_low <= before.found_high
            claims.append(
                Claim(
                    f"far users: {method} converges with the cycles",
                    "yes",
                    f"found ones {curve[0].found:.2g} → {before.found:.2g} → {last.found:.2g} rad at "
                    f"{curve[0].point['cycle']}, {before.point['cycle']}, {last.point['cycle']} cycles; "
                    f"{100 * curve[0].lost:.0f} → {100 * last.lost:.0f} % lost",
                    "reproduced" if settled and last.rmse < curve[0].rmse else "not reproduced",
                )
            )
    claims.append(_smaller(rows, "angle", "far", "hybrid", "nf", "far users: near-field model is harder to converge"))
    return claims


def against_range(rows: Rows, results: Any) -> list[Claim]:
    """Fig. 6: errors against the longest range."""
    claims = []
    for method, paper in (("nf", "rises"), ("hybrid", "unchanged")):
        curve = _curve(rows, "angle", "far", method, "range_max_m")
        if len(curve) > 1:
            first, last = curve[0], curve[-1]
            rises, falls = last.found_low > first.found_high, last.found_high < first.found_low
            found = "rises" if rises else "falls" if falls else "unchanged"
            claims.append(
                Claim(
                    f"far users, {method} model: error with the longest range",
                    paper,
                    f"{first.found:.2g} [{first.found_low:.2g}, {first.found_high:.2g}] rad at "
                    f"{first.point['range_max_m']:g} m, "
                    f"{last.found:.2g} [{last.found_low:.2g}, {last.found_high:.2g}] at "
                    f"{last.point['range_max_m']:g} m: {found} within the intervals",
                    "reproduced" if found == paper else "not reproduced",
                )
            )
    return claims


def against_spacing(rows: Rows, results: Any) -> list[Claim]:
    """Fig. 8: errors against the dictionary's angle spacing."""
    claims = []
    for method in dict.fromkeys(row.method for row in rows):
        curve = _curve(rows, "angle", "near", method, "angle_step_rad") + _curve(
            rows, "angle", "far", method, "angle_step_rad"
        )
        steps = sorted({row.point["angle_step_rad"] for row in curve})
        if len(steps) < 3:
            continue
        by_step = {step: [row for row in curve if row.point["angle_step_rad"] == step] for step in steps}
        found = {step: (sum(row.found**2 for row in here) / len(here)) ** 0.5 for step, here in by_step.items()}
        fixed = found[steps[1]] / found[steps[0]] < 1.1
        claims.append(
            Claim(
                f"{method}: a finer dictionary first helps, then no more",
                "error fixed below some spacing",
                ", ".join(f"{found[step]:.2g} rad at {step:g}" for step in reversed(steps))
                + "; the floor Δ/√12 falls on with Δ",
                "reproduced" if fixed else "not reproduced",
            )
        )
    return claims


def against_size(rows: Rows, results: Any) -> list[Claim]:
    """Fig. 10: range errors against the size of the surface."""
    claims = []
    for method in dict.fromkeys(row.method for row in rows):
        curve = _curve(rows, "range", "near", method, "elements_per_side")
        if len(curve) < 2:
            continue
        first, last = curve[0], curve[-1]
        n = last.point["elements_per_side"]
        claims += [
            Claim(
                f"{method}: range error falls with the surface's size",
                "yes",
                ", ".join(f"{row.found:.2g} m" for row in curve)
                + f" (users found) for {', '.join(str(row.point['elements_per_side']) for row in curve)} a side",
                "reproduced" if last.found_high < first.found_low else "not reproduced",
            ),
            Claim(
                f"{method}: centimetre accuracy, {n} × {n} elements",
                "< 0.1 m",
                f"RMSE of users found {last.found:.2g} m, median {last.median:.2g} m, bound {last.bound:.2g} m",
                "reproduced" if last.found < 0.1 else "not reproduced",
            ),
        ]
    return claims


def of_time(rows: Rows, results: Any) -> list[Claim]:
    """Figs. 7, 9, 11: seconds of a realization."""
    seconds = results.seconds_per_realization
    others = [dim for dim in seconds.dims if dim != "model"]
    smallest_is_hardest = {"angle_step_rad"}
    hardest = seconds.isel(
        {dim: int((np.argmin if dim in smallest_is_hardest else np.argmax)(seconds[dim].values)) for dim in others}
    )
    cost = {str(model): float(hardest.sel(model=model)) for model in seconds.model.values}
    claims = []
    if {"ff", "hybrid", "nf"} <= set(cost):
        ordered = cost["ff"] < cost["hybrid"] < cost["nf"]
        claims.append(
            Claim(
                "time: far-field model < hybrid < near-field model",
                "yes",
                " < ".join(f"{model} {value:.2g} s" for model, value in sorted(cost.items(), key=lambda item: item[1])),
                "reproduced" if ordered else "not reproduced",
            )
        )
    if "n_cycles" in others and "hybrid" in cost and max(seconds.n_cycles.values) / 2 in seconds.n_cycles.values:
        claims.append(_order_in_cycles(results))
    for dim in others:
        for model in cost:
            curve = seconds.sel(model=model).isel({other: -1 for other in others if other != dim})
            ends = sorted((float(curve[dim][i]), float(curve[i])) for i in (0, -1))
            paper = {"angle_step_rad": "falls"}.get(dim, "rises")
            found = "rises" if ends[1][1] > ends[0][1] else "falls" if ends[1][1] < ends[0][1] else "unknown"
            claims.append(
                Claim(
                    f"time of the {model} model with {dim}",
                    paper,
                    f"{ends[0][1]:.2g} s at {ends[0][0]:g}, {ends[1][1]:.2g} s at {ends[1][0]:g}",
                    "reproduced" if found == paper else "not reproduced",
                )
            )
    return claims


def printed_operations(results: xarray.Dataset) -> xarray.DataArray:
    """Complex multiplications of a realization by the algorithm as printed, at every point of the sweep."""
    scene = scenario_of(results, RisLocalization)
    seconds = results.seconds_per_realization
    counts = np.empty(seconds.shape)
    for where in np.ndindex(*seconds.shape):
        point = {str(dim): results[dim].values[i].item() for dim, i in zip(seconds.dims, where, strict=True)}
        counts[where] = scene.replace(**point).printed_operations()
    return seconds.copy(data=counts)


def _order_in_cycles(results: xarray.Dataset) -> Claim:
    """The exponent of growth from half of the most cycles to all of them."""

    def order(values: xarray.DataArray) -> float:
        last = float(values.n_cycles.max())
        ends = values.sel(model="hybrid", n_cycles=[last / 2, last]).values
        return float(np.log2(ends[1] / ends[0]))

    printed, here = order(printed_operations(results)), order(results.seconds_per_realization)
    ours = f"counted as printed C^{printed:.1f}; time here C^{here:.1f}, as new cycles cost their own rows only"
    verdict = "reproduced" if abs(printed - 2) < 0.5 and np.isfinite(here) else "not reproduced"
    return Claim("complexity order in the number of cycles C", "C²", ours, verdict)


def _pairs(rows: Rows, quantity: str, field: str, a: str, b: str) -> list[tuple[Any, Any]]:
    """Rows of two methods at the same points."""
    here = [row for row in rows if (row.quantity, row.field) == (quantity, field)]
    second = {tuple(row.point.items()): row for row in here if row.method == b}
    return [(row, second[key]) for row in here if row.method == a and (key := tuple(row.point.items())) in second]


def _curve(rows: Rows, quantity: str, field: str, method: str, x: str) -> Rows:
    """Rows of one method along x; of the first values along what else varies."""
    here = [row for row in rows if (row.quantity, row.field, row.method) == (quantity, field, method)]
    rest = [tuple((k, v) for k, v in row.point.items() if k != x) for row in here]
    return sorted((row for row, key in zip(here, rest, strict=True) if key == rest[0]), key=lambda row: row.point[x])


def _smaller_by(rows: Rows, quantity: str, field: str, a: str, b: str, share: float, text: str) -> Claim:
    """Whether a's RMSE is below b's by a share at every point; medians beside, which lost users do not ruin."""
    pairs = _pairs(rows, quantity, field, a, b)
    holds = sum(x.rmse <= (1 - share) * y.rmse for x, y in pairs)
    excluded = sum(x.rmse_low > (1 - share) * y.rmse_high for x, y in pairs)
    median = sum(x.median <= (1 - share) * y.median for x, y in pairs)
    ours = f"RMSE at {holds}, medians at {median} of {len(pairs)} points; excluded by the intervals at {excluded}"
    return Claim(text, f"> {100 * share:.0f} % everywhere", ours, _verdict(holds, excluded, len(pairs)))


def _smaller(rows: Rows, quantity: str, field: str, a: str, b: str, text: str) -> Claim:
    pairs = _pairs(rows, quantity, field, a, b)
    clear = sum(x.found_high < y.found_low or x.lost_high < y.lost_low for x, y in pairs)
    against = sum(x.found_low > y.found_high or x.lost_low > y.lost_high for x, y in pairs)
    ours = f"clearly so at {clear}, clearly not at {against} of {len(pairs)} points"
    verdict = "contradicted" if against > clear else "reproduced" if clear else "not reproduced"
    return Claim(text, "yes", ours, verdict)


def _similar(rows: Rows, quantity: str, field: str, a: str, b: str, text: str) -> Claim:
    pairs = _pairs(rows, quantity, field, a, b)
    apart = sum(x.found_high < y.found_low or x.found_low > y.found_high for x, y in pairs)
    ours = f"intervals of users found overlap at {len(pairs) - apart} of {len(pairs)} points"
    return Claim(text, "yes", ours, "contradicted" if apart else "reproduced" if pairs else "not reproduced")


def _floor(rows: Rows, method: str) -> Claim:
    """Whether a grid's error stays fixed at high signal-to-noise ratios."""
    curve = _curve(rows, "angle", "far", method, "snr_db")[-2:]
    fixed = len(curve) == 2 and curve[1].found > 0.8 * curve[0].found
    ours = ", ".join(f"{row.found:.2g} rad at {row.point['snr_db']:g} dB" for row in curve)
    return Claim(
        f"far users: the error of {method} stays fixed at high SNR",
        "yes",
        ours,
        "reproduced" if fixed else "not reproduced",
    )


def _at_the_bound(rows: Rows, method: str) -> Claim:
    """Ours, not the paper's: whether leaving the grid removes the floor."""
    here = [r for r in rows if r.method == method and r.quantity == "angle" and r.point["snr_db"] >= 10]
    worst = max(here, key=lambda row: row.found / row.bound) if here else None
    if worst is None:
        return Claim(f"{method}: at the joint bound from 10 dB", "not in the paper", "no such point", "not reproduced")
    lost = max(row.lost for row in here)
    low = worst.found_low / worst.bound
    ours = f"RMSE of users found at most {worst.found / worst.bound:.2f} × bound, at most {100 * lost:.1f} % lost"
    return Claim(
        f"{method}: within 1.25 of the joint bound from 10 dB, at most 1 % lost",
        "not in the paper (ours)",
        ours,
        "reproduced" if low <= 1.25 and all(row.lost_low <= 0.01 for row in here) else "not reproduced",
    )


def _verdict(holds: int, excluded: int, total: int) -> str:
    return "reproduced" if total and holds == total else "contradicted" if excluded else "not reproduced"
