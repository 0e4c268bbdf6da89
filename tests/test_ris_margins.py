"""Where each claim of family B draws its line, and between which points: margins and ratios worked out by hand."""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import xarray
from test_ris_claims import SNRS, described, stored
from test_ris_fidelity import as_proposition_3, parts

from engine.estimators.paths.on_grid import OnGrid
from scenarios import ris
from scenarios.figures.claims import CONTRADICTED, REPRODUCED, Claim, judged
from scenarios.figures.comparisons import MeanRatio, Share, Slope
from scenarios.figures.somewhere import Somewhere
from scenarios.ris import claims, robust_claims
from scenarios.ris.mismatch import NAME
from scenarios.ris.paper import experiment_table, zero_phases_spread_db
from scenarios.ris.power import claims as of_power
from scenarios.ris.power import report as power_report
from scenarios.ris.protocol import Method
from scenarios.ris.remark1 import claims as of_parts
from scenarios.ris.remark1 import report as report_of_parts

Margin = tuple[float, float]
ALIKE, NO_WORSE, SMALLER, LARGER = (0.8, 1.25), (0.0, 1.25), (0.0, 1.0), (1.0, math.inf)
"""of root mean squares"""


def margins(claimed: Iterable[Claim]) -> dict[str, list[Margin]]:
    """Of each claim the regions of its numbers: of RMSE, where it compares mean squares."""

    def of(comparison: Any) -> Margin:
        if isinstance(comparison, Somewhere):
            (same,) = {of(part) for part in comparison.parts}
            return same
        low, high = comparison.region
        return (low, high) if isinstance(comparison, Share | Slope) else (math.sqrt(low), math.sqrt(high))

    return {one.claim: [of(comparison) for comparison in one.comparisons] for one in claimed}


def ratios(claimed: Iterable[Claim]) -> dict[str, list[float]]:
    """Of each claim the numbers found: of RMSE, where it compares mean squares."""

    def of(comparison: Any) -> float:
        value = float(comparison.judged(0.01).value)
        return math.sqrt(value) if isinstance(comparison, MeanRatio) else value

    return {one.claim: [of(comparison) for comparison in one.comparisons] for one in claimed}


def agree(found: dict[str, list[Margin]], expected: dict[str, list[Margin]]) -> None:
    assert found.keys() == expected.keys()
    for claim, regions in expected.items():
        assert np.array(found[claim]) == pytest.approx(np.array(regions)), claim


def test_margins_against_snr() -> None:
    found = margins(claims.against_snr(stored("snr_db", SNRS, lambda *_: 2e-3, n=20)))
    agree(found, {
        "far users' angle: AML exceeded by 30 %": [(0, 0.7)] * 3,
        "far users' angle: ANM exceeded by 30 %": [(0, 0.7)] * 3,
        "near users' angle: AML exceeded by 30 %": [(0, 0.7)] * 3,
        "near users' angle: ANM exceeded by 30 %": [(0, 0.7)] * 3,
        "range: AML exceeded by 55 %": [(0, 0.45)] * 3,
        "far users: hybrid and far-field model similar": [ALIKE] * 3,
        "far users: near-field model worse than hybrid": [SMALLER] * 3,
        "near users: far-field model worse than hybrid": [SMALLER] * 3,
        "near users: hybrid and near-field model similar": [ALIKE] * 3,
        "range: near-field model worse than hybrid": [SMALLER] * 3,
        "abstract: range, AML exceeded by 60 %, at some SNR": [(0, 0.4)],
        **{f"far users: the error of {method} stays fixed at high SNR": [ALIKE]
           for method in ("hybrid", "nf", "ff", "AML")},
        "far users: the error of ANM falls on at high SNR": [(0, 0.8)],
        # RMSE over the bound of two fields at three ratios, and as many shares of users lost.
        **{f"{method}: RMSE within 1.25 of the joint bound from 10 dB, at most 1 % lost":
           [NO_WORSE] * 6 + [(0, 0.01)] * 6 for method in ("NOMP", "closed loop")},
    })  # fmt: skip


def test_margins_and_points_along_other_axes() -> None:
    """Every point has an error of its own, so that a ratio says which two were compared."""
    cycles = stored("cycle", (4.0, 8.0, 12.0, 16.0, 20.0), lambda q, f, m, x: 1e-2 / x**2, ("ff", "hybrid"), n=400)
    claimed = claims.against_cycles(cycles)
    agree(margins(claimed), {
        **{f"far users: {method} converges with the cycles": [ALIKE, SMALLER] for method in ("hybrid", "ff")},
        "far users: near-field model is harder to converge": [],
    })  # fmt: skip
    found = ratios(claimed)["far users: ff converges with the cycles"]
    assert found == pytest.approx([(16 / 20) ** 2, (4 / 20) ** 2], rel=0.06)
    (said,) = [one.ours for one in judged(claimed) if "ff converges" in one.claim]
    assert said == f"RMSE after 20 cycles over that after 16: {found[0]:.2f}; " \
                   f"RMSE after 20 cycles over that after 4: {found[1]:.2f}"  # fmt: skip
    ranges = stored("range_max_m", (6.0, 10.0, 20.0), lambda q, f, m, x: 1e-3 * x, ("nf", "hybrid"), n=400)
    claimed = claims.against_range(ranges)
    agree(margins(claimed), {
        "far users, nf model: error with the longest range": [LARGER],
        "far users, hybrid model: error with the longest range": [ALIKE],
    })  # fmt: skip
    for values in ratios(claimed).values():
        assert values == pytest.approx([20 / 6], rel=0.06)
    spacings = stored("angle_step_rad", (0.01, 0.02, 0.04, 0.08), lambda q, f, m, x: 0.3 * x, ("a",), n=400)
    claimed = claims.against_spacing(spacings)
    (regions,) = margins(claimed).values()
    assert np.array(regions) == pytest.approx(np.array([ALIKE, SMALLER] * 2))
    (values,) = ratios(claimed).values()
    assert values == pytest.approx([1 / 2, 1 / 4] * 2, rel=0.06)
    errors = {15.0: 3e-2, 18.0: 25e-3, 20.0: 2e-2, 25.0: 1e-2, 30.0: 5e-3}
    sizes = stored("elements_per_side", tuple(errors), lambda q, f, m, x: errors[x], ("a", "closed loop"), n=400)
    claimed = claims.against_size(sizes)
    agree(margins(claimed), {
        "a: range error falls with the surface's size": [SMALLER],
        "a: centimetre accuracy, 30 × 30 elements": [SMALLER],
        "a: angle error first falls with the size, then stays": [SMALLER, ALIKE],
        "closed loop: range error falls with the surface's size": [SMALLER],
        "closed loop: centimetre accuracy, 30 × 30 elements": [SMALLER],
    })  # fmt: skip
    found = ratios(claimed)["a: angle error first falls with the size, then stays"]
    assert found == pytest.approx([1 / 6, 1 / 2], rel=0.06)
    assert ratios(claimed)["a: range error falls with the surface's size"] == pytest.approx([1 / 6], rel=0.06)
    assert ratios(claimed)["a: centimetre accuracy, 30 × 30 elements"] == pytest.approx([5e-3 / 0.1], rel=0.06)
    said = {one.claim: one.ours for one in judged(claimed)}
    assert said["a: range error falls with the surface's size"].startswith(
        "RMSE with 30 × 30 elements over that with 15 a side, users found by both: 0.17; inside at 1"
    )
    accuracy = said["a: centimetre accuracy, 30 × 30 elements"]
    assert accuracy.startswith(("RMSE of users found (m): 0.005;", "RMSE of users found (m): 0.0051;",
                                "RMSE of users found (m): 0.0049;"))  # fmt: skip
    both = said["a: angle error first falls with the size, then stays"]
    text = "RMSE with 30 a side over that with"
    assert re.sub(r"0\.\d\d", "…", both) == f"{text} 15: …; {text} 25: …"
    assert [float(part.split(": ")[1]) for part in both.split(";")] == pytest.approx([1 / 6, 1 / 2], rel=0.06)


def test_which_ratio_is_over_which_at_high_snr() -> None:
    results = stored("snr_db", SNRS, lambda q, f, m, x: 1e-4 * x, ("hybrid", "ff"), n=400)
    claim = "far users: the error of ff stays fixed at high SNR"
    assert ratios(claims.against_snr(results))[claim] == pytest.approx([30 / 20], rel=0.06)
    said = {one.claim: one.ours for one in judged(claims.against_snr(results))}
    assert said[claim].startswith("RMSE of users found, 30 dB over 20 dB: 1.5; inside at 0, outside at 1 of 1, of the "
                                  "same 400")  # fmt: skip


def test_what_is_said_of_the_bound() -> None:
    """The largest ratio of either field, and the largest share lost, in words."""

    def rmse(quantity: str, field: str, method: str, x: float) -> float:
        return 1e-3 * (3.0 if (field, x) == ("near", 20.0) else 1.5 if x == 5 else 1.0)

    results = stored("snr_db", (5.0, *SNRS), rmse, ("NOMP",), {"NOMP": 0.3})
    (one,) = judged(claims.against_snr(results))
    directions = np.sqrt(2 * results.squared_error_angle_rad2.values)
    lost = directions == math.sqrt(2)
    shares = [lost[:, 0, level, field::2].mean() for level in (1, 2, 3) for field in (0, 1)]
    squares = np.where(lost, np.nan, directions**2 / 2)[:, 0, 2, ::2]
    worst = math.sqrt(np.nanmean(squares)) / 1e-3
    assert one.ours == f"RMSE of users found at most {worst:.2f} × their bound, at most {100 * max(shares):.1f} % lost"
    assert worst == pytest.approx(3, rel=0.05)


def test_margins_of_our_own_claims() -> None:
    bits = stored("phase_bits", (0.0, 2.0, 3.0), lambda q, f, m, x: 1e-2 / (1 + x), ("NOMP",), n=400)
    (claim,) = robust_claims.against_bits(bits)
    assert margins([claim])[claim.claim] == [NO_WORSE] * 2
    assert ratios([claim])[claim.claim] == pytest.approx([1 / 4] * 2, rel=0.06)  # three bits over any phase
    assert re.match(r"RMSE with 3 bits over that with any phase: 0\.2[456]", judged([claim])[0].ours)
    (claim,) = robust_claims.against_bits(bits.sel(phase_bits=[0.0, 3.0]))
    assert ratios([claim])[claim.claim] == pytest.approx([1 / 4] * 2, rel=0.06)
    near = stored("user_separation_beams", (0.1, 1.0, 2.0), lambda q, f, m, x: 1e-3 / x, ("NOMP",), n=400)
    (claim,) = robust_claims.against_separation(near)
    assert margins([claim])[claim.claim] == [NO_WORSE] * 2
    assert ratios([claim])[claim.claim] == pytest.approx([20] * 2, rel=0.06)
    alone = stored("user_separation_beams", (0.1, 2.0), lambda q, f, m, x: 1e-3 * x, ("NOMP",), n=400)
    assert ratios(robust_claims.against_separation(alone))[claim.claim] == pytest.approx([1 / 20] * 2, rel=0.06)
    fields = {"angle_step_rad": 0.04, "users": "near", "n_users": 2}
    off = stored("snr_db", (10.0, 20.0, 30.0), lambda q, f, m, x: 1e-3 * x, ("nf", "ff"), n=400, **fields)
    off = off.expand_dims(cycle=[10, 15, 20])
    off["squared_error_angle_rad2"] = off.squared_error_angle_rad2 * xarray.DataArray([9.0, 4.0, 1.0], dims="cycle")
    foreseen = xarray.DataArray([5e-5, 6e-5, 7e-5], dims="cycle") + xarray.DataArray([1e-4, 2e-4, 4e-4], dims="snr_db")
    off[NAME] = foreseen + 0 * off.squared_error_angle_rad2 * xarray.DataArray([np.nan, 1.0], dims="estimator")
    off[NAME] = off[NAME].where(off.user_field == "near", 1.0)  # of far users nothing is claimed
    (claim,) = robust_claims.against_mismatch(off)
    assert np.array(margins([claim])[claim.claim]) == pytest.approx(np.array([ALIKE] * 2))  # from 20 dB on
    cells = 0.04**2 / 12
    expected = [1e-3 * x / math.sqrt(bound + cells) for x, bound in ((20, 2.7e-4), (30, 4.7e-4))]
    foreseen_of_both = [float(np.nanmax(one.under)) for one in claim.comparisons]  # type: ignore[attr-defined]
    assert foreseen_of_both == pytest.approx([2 * (2.7e-4 + cells), 2 * (4.7e-4 + cells)], rel=1e-9)
    assert ratios([claim])[claim.claim] == pytest.approx(expected, rel=0.06)


def test_margins_of_remark_1_and_what_its_table_says() -> None:
    scene = ris.remark1.scenario
    results = xarray.Dataset(attrs={
        "scenario_class": "scenarios.ris.localization:RisLocalization", "scenario": scene.model_dump_json(),
        "axes": "{}",
    })  # fmt: skip
    curve = [parts(cycle, 6e-3, 2e-2, error, wrong=0.25) for cycle, error in ((4, 4e-2), (9, 2e-2), (20, 1e-2))]
    claimed = of_parts(results, curve)
    agree(margins(claimed), {
        "m, far users' angle: no misjudgment is left after 20 cycles": [(0, 0.01)],
        "m, far users' angle: error becomes the mismatch": [ALIKE],
        "m, far users' angle: first falls, then stays": [SMALLER, ALIKE],
    })  # fmt: skip
    values = list(ratios(claimed).values())
    assert values[0] == pytest.approx([np.mean(curve[-1].misjudgment > 0)])
    assert values[1] == pytest.approx([10 / 6], rel=0.05)
    assert values[2] == pytest.approx([1 / 4, 1 / 2], rel=0.05)
    said = [one.ours for one in judged(claimed)]
    assert said[1].startswith("RMSE over mismatch, users found: 1.7; ")
    assert "after 20 cycles over that after 4 and 9, users found by both: 0.25 to 0.5; " in said[2]
    assert len(of_parts(results, curve[:2])) == 2
    # A user who is lost at either of two counts is in neither mean; one without a number counts nowhere.
    half = curve[2].found.copy()
    half[:200], half[200:1000, 0] = False, False
    lost = curve[2]._replace(found=half, error=np.where(half, curve[2].error, 1.0))
    lost.misjudgment[1500:] = np.nan
    (_, _, falls) = ratios(of_parts(results, [*curve[:2], lost])).values()
    assert falls == pytest.approx([1 / 4, 1 / 2], rel=0.06)
    table = report_of_parts(results, [lost])[1]
    (line,) = table.rows
    kept = lost.misjudgment[half & np.isfinite(lost.misjudgment)]
    wrong = np.mean(lost.misjudgment[:1500] > 0)
    assert line[:4] == ("20", "m", "far", "angle")
    assert line[4:7] == (
        f"{math.sqrt(lost.mismatch[half].mean()):.2g}", f"{math.sqrt(kept.mean()):.2g}",
        f"{math.sqrt(lost.error[half].mean()):.2g}",
    )  # fmt: skip
    assert line[7:] == (f"{100 * wrong:.0f} %", "30.0 %")
    moved = curve[0]._replace(misjudgment=np.array([[0.0, 1e-24], [4e-18, np.nan]]))
    assert moved.misjudged == (1, 3)  # rounding moves nobody


def test_margins_of_power_and_what_is_said() -> None:
    claimed = of_power(as_proposition_3(scale=1.05))
    found, values = margins(claimed), ratios(claimed)
    for claim, regions in found.items():
        if "order" in claim:
            order = 2 if "aligned" in claim else 1
            assert np.array(regions) == pytest.approx(np.array([(order - 0.1, order + 0.1)]))
            assert values[claim] == pytest.approx([order], abs=0.02)
        else:  # of the power itself
            assert claim.endswith("power N² π²/16, Eq. (58)" if "aligned" in claim else "power N, Eq. (57)")
            assert np.array(regions) ** 2 == pytest.approx(np.array([(1 / 1.1, 1.1)] * 4))
            assert np.array(values[claim]) ** 2 == pytest.approx(np.full(4, 1.05), rel=0.03)
    bent = [one._replace(samples=one.samples * (1.1 if one.n_elements == 100 else 1)) for one in as_proposition_3()]
    said = {one.claim: one.ours for one in judged(of_power(bent))}
    found_ = re.fullmatch(r"power as N\^(.*) \[(.*), (.*)\]", said["paths channels, aligned phases: order of growth"])
    assert found_
    value, low, high = map(float, found_.groups())
    assert low + 0.05 < value < high - 0.05
    assert value == pytest.approx(2, abs=0.05)
    assert (low + high) / 2 == pytest.approx(value, abs=0.02)  # of a line's slope, to either side alike
    few = [one._replace(samples=one.samples[:0]) if one.n_elements == 100 else one for one in as_proposition_3()]
    rows = power_report(xarray.Dataset(), few)[1].rows
    assert [row[0] for row in rows] == [str(n) for n in (25, 400, 900) for _ in range(6)]
    aligned = rows[2]
    assert aligned[1:3] == ("Rayleigh", "aligned")
    assert aligned[5] == f"{25**2 * math.pi**2 / 16:.4g}"
    assert float(aligned[3]) == pytest.approx(25**2 * math.pi**2 / 16, rel=0.01)
    three = [one for one in as_proposition_3() if one.n_elements < 900]
    assert all(regions for regions in margins(of_power(three)).values())


def test_how_the_two_definitions_of_the_ratio_differ() -> None:
    """Quantiles over realizations of the users' mean; those without power are none."""
    shift_db = np.array([[-30.0], [-20.0], [-12.0], [-4.0], [3.0]])
    power_of = np.concatenate([2 * 10 ** (shift_db / 10), 0 * shift_db], axis=1)
    power_of = np.concatenate([power_of, [[0.0, 0.0], [np.nan, np.nan]]])
    results = stored("snr_db", SNRS, lambda *_: 1e-3, n=7)
    results = results.isel(user=[0, 1]).assign(zero_phases_power=(("realization", "user"), power_of))
    # Linear between order statistics: 5 % of five is a fifth of the way from the first to the second.
    assert zero_phases_spread_db(results) == pytest.approx((-3 + 0.2 * 7, 12, 20 + 0.8 * 10))
    nothing = results.assign(zero_phases_power=0 * results.zero_phases_power)
    assert np.isnan(zero_phases_spread_db(nothing)).all()
    assert experiment_table(nothing).rows[0][3] == ""
    printed = described(results, snr_definition="zero_phases")
    assert experiment_table(printed).rows[0][3] == (
        "the mean ratio at random phases is higher: by 12 dB in the median realization, -2 to 28 dB in 90 %"
    )


def test_random_cycles_are_said_of_the_papers_own_method() -> None:
    results = stored("snr_db", SNRS, lambda *_: 1e-3, n=7)
    methods = tuple(Method(estimator=OnGrid(), random_cycles=count, name=f"{count}") for count in (9, 7, 13))
    lines = {row[0]: row[2] for row in experiment_table(described(results, methods=methods)).rows}
    assert lines["phases for 9, 7, 13"] == "random in the first 7 to 13, then optimised"
    lines = {row[0]: row[2] for row in experiment_table(described(results, methods=methods[:1])).rows}
    assert lines["phases for 9"] == "random in the first 9, then optimised"


@pytest.mark.parametrize(("last", "expected"), [(0.08, REPRODUCED), (0.01, CONTRADICTED)])
def test_a_finer_dictionary_is_compared_with_the_coarsest(last: float, expected: str) -> None:
    error = {0.01: 0.02, 0.02: 0.02, 0.04: 0.04, 0.08: last}
    results = stored("angle_step_rad", tuple(error), lambda q, f, m, x: 0.3 * error[x], ("a",))
    (one,) = judged(claims.against_spacing(results))
    assert one.outcome == expected


def test_where_nothing_is_compared_nothing_is_claimed() -> None:
    """The least number of points that each claim needs, and one fewer."""
    for points, compared in (((4.0, 8.0, 16.0, 20.0), True), ((4.0, 8.0, 20.0), False)):
        found = margins(claims.against_cycles(stored("cycle", points, lambda *_: 1e-3, ("ff",), n=20)))
        assert ("far users: ff converges with the cycles" in found) == compared
    for points, compared in (((6.0, 20.0), True), ((20.0,), False)):
        found = margins(claims.against_range(stored("range_max_m", points, lambda *_: 1e-3, ("nf",), n=20)))
        assert bool(found) == compared
    for points, compared in (((0.01, 0.02, 0.04), True), ((0.01, 0.02), False)):
        (found_,) = margins(
            claims.against_spacing(stored("angle_step_rad", points, lambda *_: 1e-3, ("a",), n=20))
        ).values()
        assert bool(found_) == compared
    for points, count in (((15.0, 20.0, 25.0), 3), ((15.0, 20.0), 2), ((15.0,), 0)):
        found = margins(claims.against_size(stored("elements_per_side", points, lambda *_: 1e-3, ("a",), n=20)))
        assert len(found) == count
    one_size = stored("user_separation_beams", (2.0,), lambda *_: 1e-3, ("a",), n=20)
    assert list(margins(robust_claims.against_separation(one_size)).values()) == [[]]
    assert not robust_claims.against_bits(stored("phase_bits", (1.0, 3.0), lambda *_: 1e-3, ("a",), n=20))[
        0
    ].comparisons
    (at_ten,) = margins(claims.against_snr(stored("snr_db", (5.0, 10.0), lambda *_: 1e-3, ("NOMP",), n=20))).values()
    assert at_ten == [NO_WORSE] * 2 + [(0.0, 0.01)] * 2


def test_what_is_said_of_whom_is_compared() -> None:
    """Angles with lost users as just lost, ranges of the users that both found."""
    results = stored("snr_db", SNRS, lambda *_: 2e-3, ("hybrid", "AML"), n=40)
    said = {one.claim: one.ours for one in judged(claims.against_snr(results))}
    assert said["far users' angle: AML exceeded by 30 %"].startswith(
        "RMSE of hybrid over AML, lost users as 0.75 beams: "
    )
    assert said["range: AML exceeded by 55 %"].startswith("RMSE of hybrid over AML, users found by both: ")
