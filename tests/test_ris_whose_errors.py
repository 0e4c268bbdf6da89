"""Whose errors the claims of family B compare: fields, quantities and methods told apart, lost users by hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray
from test_ris_claims import SNRS, WIDTH_RAD, stored
from test_ris_margins import ratios

from scenarios.figures.claims import judged
from scenarios.ris import claims, robust_claims
from scenarios.ris.mismatch import NAME

JUST_LOST_RAD2 = (0.75 * WIDTH_RAD) ** 2 / 2
FACTORS = {
    ("angle", "near", "hybrid"): 1.0, ("angle", "near", "nf"): 1.2, ("angle", "near", "ff"): 1.5,
    ("angle", "near", "AML"): 1.9, ("angle", "near", "ANM"): 2.4, ("angle", "far", "hybrid"): 1.1,
    ("angle", "far", "nf"): 1.4, ("angle", "far", "ff"): 1.8, ("angle", "far", "AML"): 2.3,
    ("angle", "far", "ANM"): 2.9, ("range", "near", "hybrid"): 0.9, ("range", "near", "nf"): 3.1,
    ("range", "near", "ff"): 3.7, ("range", "near", "AML"): 4.4, ("range", "near", "ANM"): 5.3,
}  # fmt: skip
METHODS = ("hybrid", "nf", "ff", "AML", "ANM")


def some_error(power: float) -> Callable[[str, str, str, float], float]:
    """Of every quantity, field and method its own, and its own growth along x."""

    def rmse(quantity: str, field: str, method: str, x: float) -> float:
        factor = FACTORS.get((quantity, field, method), 0.6)
        return 2e-3 * factor * (1 + x) ** (power * factor)

    return rmse


def by_hand(
    results: xarray.Dataset, quantity: str, field: str, over: dict[str, Any], under: dict[str, Any], *, lost_too: bool
) -> float:
    """RMSE over RMSE: angles with the lost as just lost, or of the users that both found."""
    just = [JUST_LOST_RAD2 * (25 / point.get("elements_per_side", 25)) ** 2 for point in (over, under)]
    sums = [0.0, 0.0]
    users = [i for i, one in enumerate(results.user_field.values) if one == field]
    angles = [results.squared_error_angle_rad2.sel(at).values for at in (over, under)]
    squares = angles if quantity == "angle" else [results.squared_error_range_m2.sel(at).values for at in (over, under)]
    for trial in range(results.sizes["realization"]):
        for user in users:
            both = [angle[trial, user] for angle in angles]
            if lost_too:
                sums = [total + min(pair) for total, *pair in zip(sums, both, just, strict=True)]
            elif both[0] <= just[0] and both[1] <= just[1]:
                sums = [total + one[trial, user] for total, one in zip(sums, squares, strict=True)]
    return math.sqrt(sums[0] / sums[1])


def at(method: str, **x: float) -> dict[str, Any]:
    return {"estimator": method, **x}


def agree(found: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    for claim, values in expected.items():
        assert found[claim] == pytest.approx(values, rel=1e-9), claim


def test_of_whom_each_claim_against_snr_is() -> None:
    results = stored("snr_db", SNRS, some_error(0.05), METHODS, dict.fromkeys(METHODS, 0.1) | {"nf": 0.2}, n=60)

    def over(quantity: str, field: str, a: str, b: str) -> list[float]:
        return [
            by_hand(results, quantity, field, at(a, snr_db=x), at(b, snr_db=x), lost_too=quantity == "angle")
            for x in SNRS
        ]

    def last(method: str) -> list[float]:
        return [by_hand(results, "angle", "far", at(method, snr_db=30), at(method, snr_db=20), lost_too=False)]

    found = ratios(claims.against_snr(results))
    in_range = over("range", "near", "hybrid", "AML")
    agree(found, {
        **{f"{field} users' angle: {other} exceeded by 30 %": over("angle", field, "hybrid", other)
           for field in ("far", "near") for other in ("AML", "ANM")},
        "range: AML exceeded by 55 %": in_range,
        "far users: hybrid and far-field model similar": over("angle", "far", "hybrid", "ff"),
        "far users: near-field model worse than hybrid": over("angle", "far", "hybrid", "nf"),
        "near users: far-field model worse than hybrid": over("angle", "near", "hybrid", "ff"),
        "near users: hybrid and near-field model similar": over("angle", "near", "hybrid", "nf"),
        "range: near-field model worse than hybrid": over("range", "near", "hybrid", "nf"),
        **{f"far users: the error of {method} stays fixed at high SNR": last(method)
           for method in ("hybrid", "nf", "ff", "AML")},
        "far users: the error of ANM falls on at high SNR": last("ANM"),
    })  # fmt: skip
    (given,) = found["abstract: range, AML exceeded by 60 %, at some SNR"]
    assert any(given**0.5 == pytest.approx(one) for one in in_range)  # of the mean square


def test_of_whom_claims_along_other_axes_are() -> None:
    def made(x: str, values: tuple[float, ...], power: float, methods: tuple[str, ...] = METHODS[:3]) -> Any:
        results = stored(x, values, some_error(power), methods, dict.fromkeys(methods, 0.1), n=60)

        def over(quantity: str, field: str, method: str, a: float, b: float) -> float:
            return by_hand(
                results, quantity, field, at(method, **{x: a}), at(method, **{x: b}), lost_too=quantity == "angle"
            )

        return results, over

    results, over = made("cycle", (4.0, 8.0, 12.0, 16.0, 20.0), -0.2)
    harder = [
        by_hand(results, "angle", "far", at("hybrid", cycle=c), at("nf", cycle=c), lost_too=True)
        for c in results.cycle.values
    ]
    agree(ratios(claims.against_cycles(results)), {
        **{f"far users: {method} converges with the cycles":
           [over("angle", "far", method, 20, 16), over("angle", "far", method, 20, 4)] for method in METHODS[:3]},
        "far users: near-field model is harder to converge": harder,
    })  # fmt: skip
    results, over = made("range_max_m", (6.0, 10.0, 20.0), 0.2)
    agree(ratios(claims.against_range(results)), {
        f"far users, {method} model: error with the longest range": [over("angle", "far", method, 20, 6)]
        for method in ("nf", "hybrid")
    })  # fmt: skip
    results, over = made("angle_step_rad", (0.01, 0.02, 0.04, 0.08), 8.0, ("ff",))
    agree(ratios(claims.against_spacing(results)), {"ff: a finer dictionary first helps, then no more": [
        over("angle", field, "ff", *pair) for field in ("near", "far") for pair in ((0.01, 0.02), (0.02, 0.08))
    ]})  # fmt: skip
    (few,) = judged(claims.against_spacing(results.sel(angle_step_rad=[0.01, 0.02])))
    assert "three spacings" in few.verdict
    results, over = made("elements_per_side", (15.0, 18.0, 20.0, 25.0, 30.0), -0.3, ("nf",))
    last = results.sel(estimator="nf", elements_per_side=30).isel(user=[0, 2])
    found = last.squared_error_angle_rad2.values <= JUST_LOST_RAD2 * (25 / 30) ** 2
    assert 0.7 < found.mean() < 1
    agree(ratios(claims.against_size(results)), {
        "nf: range error falls with the surface's size": [over("range", "near", "nf", 30, 15)],
        "nf: centimetre accuracy, 30 × 30 elements": [10 * math.sqrt(last.squared_error_range_m2.values[found].mean())],
        "nf: angle error first falls with the size, then stays":
            [over("angle", "near", "nf", 30, 15), over("angle", "near", "nf", 30, 25)],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("x", "values", "pair", "judge"),
    [
        ("phase_bits", (0.0, 1.0, 3.0, 4.0), (3.0, 0.0), robust_claims.against_bits),
        ("user_separation_beams", (0.1, 0.5, 2.0), (0.1, 2.0), robust_claims.against_separation),
    ],
)
def test_of_whom_our_own_claims_are(x: str, values: tuple[float, ...], pair: tuple[float, float], judge: Any) -> None:
    results = stored(x, values, some_error(0.3), ("hybrid", "nf"), {"hybrid": 0.1, "nf": 0.2}, n=60)
    for method, (claim, found) in zip(("hybrid", "nf"), ratios(judge(results)).items(), strict=True):
        assert claim.startswith(f"{method}: ")
        assert found == pytest.approx([
            by_hand(results, "angle", field, *(at(method, **{x: one}) for one in pair), lost_too=True)
            for field in ("near", "far")
        ])  # fmt: skip
    alone = judge(results.isel({x: slice(1, 2)}))
    missing = {"phase_bits": "3 bits and 0", "user_separation_beams": "two separations"}[x]
    assert all(missing in one.verdict for one in judged(alone))


def test_the_floor_of_plane_waves_is_of_near_users_found() -> None:
    results = stored("snr_db", SNRS, some_error(0.1), ("hybrid", "ff"), {"hybrid": 0.1, "ff": 0.3}, n=60,
                     angle_step_rad=0.04)  # fmt: skip
    random = np.random.default_rng(3)
    results = results.expand_dims(cycle=[8, 20])
    results[NAME] = results.squared_error_angle_rad2.dims, random.random(results.squared_error_angle_rad2.shape) * 1e-4
    (claim,) = robust_claims.against_mismatch(results)
    expected = []
    for snr_db in (20.0, 30.0):
        here = results.sel(estimator="ff", snr_db=snr_db, cycle=20).transpose("realization", "user", ...)
        errors = foreseen = 0.0
        for trial in range(60):
            for user in (0, 2):
                error = float(here.squared_error_angle_rad2.values[trial, user])
                if error <= JUST_LOST_RAD2:
                    errors += error
                    foreseen += float(here[NAME].values[trial, user]) + 0.04**2 / 12
        expected.append(math.sqrt(errors / foreseen))
    assert ratios([claim])[claim.claim] == pytest.approx(expected)
    early = robust_claims.against_mismatch(results.sel(snr_db=[10.0]))
    assert "20 dB" in judged(early)[0].verdict
