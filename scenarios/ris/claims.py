"""What the paper says about its figures of errors, judged from a summary of our results.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI. A claim is *reproduced* where our numbers agree with it at
every point compared, *contradicted* where the intervals exclude it at some point, and *not reproduced* otherwise.
"""

from scenarios.figures.claims import CONTRADICTED, NOT_REPRODUCED, REPRODUCED, Claim, verdict
from scenarios.figures.rows import Row

Rows = list[Row]


def against_snr(rows: Rows) -> list[Claim]:
    """Fig. 4: errors against the signal-to-noise ratio."""
    methods = {row.estimator for row in rows}
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


def against_cycles(rows: Rows) -> list[Claim]:
    """Fig. 5: errors against the number of cycles."""
    claims = []
    for method in ("hybrid", "ff", "nf"):
        curve = _curve(rows, "angle", "far", method, "cycle")
        if len(curve) > 3:
            last, before = curve[-1], curve[-2]
            settled = before.found.low <= last.found.high and last.found.low <= before.found.high
            claims.append(
                Claim(
                    f"far users: {method} converges with the cycles",
                    "yes",
                    f"found ones {curve[0].found.value:.2g} → {before.found.value:.2g} → "
                    f"{last.found.value:.2g} rad at {curve[0].point['cycle']}, {before.point['cycle']}, "
                    f"{last.point['cycle']} cycles; "
                    f"{100 * curve[0].lost.value:.0f} → {100 * last.lost.value:.0f} % lost",
                    verdict(settled and last.rmse.value < curve[0].rmse.value),
                )
            )
    claims.append(_smaller(rows, "angle", "far", "hybrid", "nf", "far users: near-field model is harder to converge"))
    return claims


def against_range(rows: Rows) -> list[Claim]:
    """Fig. 6: errors against the longest range."""
    claims = []
    for method, paper in (("nf", "rises"), ("hybrid", "unchanged")):
        curve = _curve(rows, "angle", "far", method, "range_max_m")
        if len(curve) > 1:
            first, last = curve[0], curve[-1]
            rises, falls = last.found.low > first.found.high, last.found.high < first.found.low
            found = "rises" if rises else "falls" if falls else "unchanged"
            claims.append(
                Claim(
                    f"far users, {method} model: error with the longest range",
                    paper,
                    f"{first.found.value:.2g} [{first.found.low:.2g}, {first.found.high:.2g}] rad at "
                    f"{first.point['range_max_m']:g} m, "
                    f"{last.found.value:.2g} [{last.found.low:.2g}, {last.found.high:.2g}] at "
                    f"{last.point['range_max_m']:g} m: {found} within the intervals",
                    verdict(found == paper),
                )
            )
    return claims


def against_spacing(rows: Rows) -> list[Claim]:
    """Fig. 8: errors against the dictionary's angle spacing."""
    claims = []
    for method in dict.fromkeys(row.estimator for row in rows):
        curve = _curve(rows, "angle", "near", method, "angle_step_rad") + _curve(
            rows, "angle", "far", method, "angle_step_rad"
        )
        steps = sorted({row.point["angle_step_rad"] for row in curve})
        if len(steps) < 3:
            continue
        by_step = {step: [row for row in curve if row.point["angle_step_rad"] == step] for step in steps}
        found = {step: (sum(row.found.value**2 for row in here) / len(here)) ** 0.5 for step, here in by_step.items()}
        fixed = found[steps[1]] / found[steps[0]] < 1.1
        claims.append(
            Claim(
                f"{method}: a finer dictionary first helps, then no more",
                "error fixed below some spacing",
                ", ".join(f"{found[step]:.2g} rad at {step:g}" for step in reversed(steps))
                + "; the floor Δ/√12 falls on with Δ",
                verdict(fixed),
            )
        )
    return claims


def against_size(rows: Rows) -> list[Claim]:
    """Fig. 10: range errors against the size of the surface."""
    claims = []
    for method in dict.fromkeys(row.estimator for row in rows):
        curve = _curve(rows, "range", "near", method, "elements_per_side")
        if len(curve) < 2:
            continue
        first, last = curve[0], curve[-1]
        n = last.point["elements_per_side"]
        claims += [
            Claim(
                f"{method}: range error falls with the surface's size",
                "yes",
                ", ".join(f"{row.found.value:.2g} m" for row in curve)
                + f" (users found) for {', '.join(str(row.point['elements_per_side']) for row in curve)} a side",
                verdict(last.found.high < first.found.low),
            ),
            Claim(
                f"{method}: centimetre accuracy, {n} × {n} elements",
                "< 0.1 m",
                f"RMSE of users found {last.found.value:.2g} m, median {last.root_median:.2g} m, "
                f"bound {last.root_bound:.2g} m",
                verdict(last.found.value < 0.1),
            ),
        ]
    return claims


def _pairs(rows: Rows, quantity: str, field: str, a: str, b: str) -> list[tuple[Row, Row]]:
    """Rows of two methods at the same points."""
    here = [row for row in rows if (row.quantity, row.group) == (quantity, field)]
    second = {tuple(row.point.items()): row for row in here if row.estimator == b}
    return [(row, second[key]) for row in here if row.estimator == a and (key := tuple(row.point.items())) in second]


def _curve(rows: Rows, quantity: str, field: str, method: str, x: str) -> Rows:
    """Rows of one method along x; of the first values along what else varies."""
    here = [row for row in rows if (row.quantity, row.group, row.estimator) == (quantity, field, method)]
    rest = [tuple((k, v) for k, v in row.point.items() if k != x) for row in here]
    return sorted((row for row, key in zip(here, rest, strict=True) if key == rest[0]), key=lambda row: row.point[x])


def _smaller_by(rows: Rows, quantity: str, field: str, a: str, b: str, share: float, text: str) -> Claim:
    """Whether a's RMSE is below b's by a share at every point; medians beside, which lost users do not ruin."""
    pairs = _pairs(rows, quantity, field, a, b)
    holds = sum(x.rmse.value <= (1 - share) * y.rmse.value for x, y in pairs)
    excluded = sum(x.rmse.low > (1 - share) * y.rmse.high for x, y in pairs)
    median = sum(x.root_median <= (1 - share) * y.root_median for x, y in pairs)
    ours = f"RMSE at {holds}, medians at {median} of {len(pairs)} points; excluded by the intervals at {excluded}"
    return Claim(text, f"> {100 * share:.0f} % everywhere", ours, _everywhere(holds, excluded, len(pairs)))


def _smaller(rows: Rows, quantity: str, field: str, a: str, b: str, text: str) -> Claim:
    pairs = _pairs(rows, quantity, field, a, b)
    clear = sum(x.found.high < y.found.low or x.lost.high < y.lost.low for x, y in pairs)
    against = sum(x.found.low > y.found.high or x.lost.low > y.lost.high for x, y in pairs)
    ours = f"clearly so at {clear}, clearly not at {against} of {len(pairs)} points"
    return Claim(text, "yes", ours, CONTRADICTED if against > clear else verdict(clear > 0))


def _similar(rows: Rows, quantity: str, field: str, a: str, b: str, text: str) -> Claim:
    pairs = _pairs(rows, quantity, field, a, b)
    apart = sum(x.found.high < y.found.low or x.found.low > y.found.high for x, y in pairs)
    ours = f"intervals of users found overlap at {len(pairs) - apart} of {len(pairs)} points"
    return Claim(text, "yes", ours, CONTRADICTED if apart else verdict(bool(pairs)))


def _floor(rows: Rows, method: str) -> Claim:
    """Whether a grid's error stays fixed at high signal-to-noise ratios."""
    curve = _curve(rows, "angle", "far", method, "snr_db")[-2:]
    fixed = len(curve) == 2 and curve[1].found.value > 0.8 * curve[0].found.value
    ours = ", ".join(f"{row.found.value:.2g} rad at {row.point['snr_db']:g} dB" for row in curve)
    return Claim(
        f"far users: the error of {method} stays fixed at high SNR",
        "yes",
        ours,
        verdict(fixed),
    )


def _at_the_bound(rows: Rows, method: str) -> Claim:
    """Ours, not the paper's: whether leaving the grid removes the floor."""
    here = [r for r in rows if r.estimator == method and r.quantity == "angle" and r.point["snr_db"] >= 10]
    worst = max(here, key=lambda row: row.found.value / row.root_bound) if here else None
    if worst is None:
        return Claim(f"{method}: at the joint bound from 10 dB", "not in the paper", "no such point", NOT_REPRODUCED)
    ratio, low = worst.found.value / worst.root_bound, worst.found.low / worst.root_bound
    lost = max(row.lost.value for row in here)
    ours = f"RMSE of users found at most {ratio:.2f} × bound, at most {100 * lost:.1f} % lost"
    return Claim(
        f"{method}: within 1.25 of the joint bound from 10 dB, at most 1 % lost",
        "not in the paper (ours)",
        ours,
        verdict(low <= 1.25 and all(row.lost.low <= 0.01 for row in here)),
    )


def _everywhere(holds: int, excluded: int, total: int) -> str:
    return REPRODUCED if total and holds == total else CONTRADICTED if excluded else NOT_REPRODUCED
