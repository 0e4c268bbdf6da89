"""The rule of claims: outcomes, how seldom one is wrong, and that a turned inequality or a changed limit is noticed."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import xarray

from scenarios.figures import claims as rule
from scenarios.figures.claims import (
    BETTER,
    CONTRADICTED,
    NOT_JUDGED,
    REPRODUCED,
    UNDECIDED,
    Claim,
    claims_table,
    judged,
)
from scenarios.figures.comparisons import (
    ABOVE,
    BELOW,
    INSIDE,
    UNKNOWN,
    Comparison,
    MeanRatio,
    Region,
    Share,
    Slope,
    TimeRatio,
)
from scenarios.figures.orders import Point, Samples, below
from scenarios.figures.published import differences, lacking
from scenarios.leakage import LeakageEstimation

Draw = Callable[[np.random.Generator, int], np.ndarray]


def said(_: Sequence[Any]) -> str:
    return "said"


def outcome(*comparisons: Comparison, **fields: Any) -> str:
    (found,) = judged([Claim("c", "p", comparisons, said, **fields)])
    return found.outcome


def exponential(random: np.random.Generator, n: int) -> np.ndarray:
    return random.exponential(1, n)


def heavy(random: np.random.Generator, n: int) -> np.ndarray:
    """Lognormal, σ = 2, of mean 1."""
    return np.exp(2 * random.standard_normal(n) - 2)


def with_lost(random: np.random.Generator, n: int) -> np.ndarray:
    """One in a hundred a hundred times as large, of mean 1."""
    return (random.exponential(1, n) + 99 * (random.random(n) < 0.01)) / 1.99


def known(_: np.random.Generator, n: int) -> np.ndarray:
    return np.ones(n)


LOST = 50.0
PAIRS: dict[str, tuple[Draw, Draw, float]] = {
    "exponential": (exponential, exponential, 0.0),
    "against a number": (exponential, known, 0.0),
    "heavy, both": (heavy, heavy, 0.0),
    "heavy against light": (heavy, exponential, 0.0),
    "light against heavy": (exponential, heavy, 0.0),
    "lost against light": (with_lost, exponential, LOST),
    "lost against a number": (with_lost, known, LOST),
    "lost, both": (with_lost, with_lost, LOST),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("n", [8, 50, 200, 1000])
def test_a_table_at_the_margin_has_a_wrong_word_in_at_most_one_of_twenty(pair: str, n: int) -> None:
    """Four claims of five numbers each whose truth is on the end of the region: either decision can be wrong.

    One more in twenty claims something that is false by a quarter, whose confirmation would be wrong.
    """
    over, under, largest = PAIRS[pair]
    random, wrong, tables = np.random.default_rng(n), 0, 200
    for _ in range(tables):
        table = [
            Claim("c", "p", tuple(
                MeanRatio("", over(random, n), under(random, n), Region(high=1.0), largest) for _ in range(5)
            ), said)
            for _ in range(4)
        ]  # fmt: skip
        false = MeanRatio("", 1.25 * over(random, n), under(random, n), Region(high=1.0), 1.25 * largest)
        found = [one.outcome for one in judged([*table, Claim("false", "p", (false,), said)])]
        wrong += any(one in (CONTRADICTED, BETTER) for one in found[:-1]) or REPRODUCED in found
    allowed = 0.05 * tables + 4 * math.sqrt(0.05 * 0.95 * tables)
    assert wrong <= allowed


def test_shares_and_times_at_the_margin_are_seldom_decided() -> None:
    random, wrong = np.random.default_rng(1), [0, 0, 0]
    places = np.repeat([1.0, 2.0, 4.0, 8.0], 3)
    for _ in range(2000):
        share = Share("", int(random.binomial(300, 0.01)), 300, Region(high=0.01))
        times = np.exp(0.1 * random.standard_normal((2, 4)))
        slope = Slope("", places, places**2 * np.exp(0.1 * random.standard_normal(places.size)), Region(2.0, 9.0))
        comparisons: list[Comparison] = [share, TimeRatio("", *times, Region(high=1.0)), slope]
        for i, one in enumerate(comparisons):
            wrong[i] += outcome(one) in (REPRODUCED, CONTRADICTED)
    assert all(count <= 0.05 * 2000 + 4 * math.sqrt(0.05 * 0.95 * 2000) for count in wrong)


def test_what_is_clear_is_said() -> None:
    random = np.random.default_rng(2)
    small, large = exponential(random, 400), 3 * exponential(random, 400)
    for over, under, expected in (
        (small, large, REPRODUCED),
        (large, small, CONTRADICTED),
        (small, 1.05 * small[::-1], UNDECIDED),
    ):
        assert outcome(MeanRatio("", over, under, Region(high=1.0))) == expected
        turned = {REPRODUCED: CONTRADICTED, CONTRADICTED: REPRODUCED}.get(expected, expected)
        assert outcome(MeanRatio("", over, under, Region(low=1.0))) == turned
    alike = MeanRatio("", small, small[::-1], Region(0.5, 2.0))
    assert outcome(alike) == REPRODUCED
    assert outcome(MeanRatio("", small, 9 * large, Region(0.5, 2.0))) == CONTRADICTED
    assert outcome(MeanRatio("", small, 9 * large, Region(0.5, 2.0)), better=BELOW) == BETTER
    assert outcome(MeanRatio("", 9 * large, small, Region(0.5, 2.0)), better=BELOW) == CONTRADICTED
    assert outcome(alike, MeanRatio("", large, small, Region(high=1.0))) == CONTRADICTED
    assert outcome(alike, MeanRatio("", small[:4], large[:4], Region(high=1.0))) == UNDECIDED


def test_too_few_never_decide() -> None:
    one = np.array([1.0])
    for n in (0, 1, 2, 8):
        assert outcome(MeanRatio("", np.full(n, 1e-9), np.ones(n), Region(high=1.0), LOST)) == UNDECIDED
    assert outcome(Share("", 0, 100, Region(high=0.01))) == UNDECIDED
    assert outcome(Share("", 0, 1000, Region(high=0.01))) == REPRODUCED
    assert outcome(Share("", 50, 1000, Region(high=0.01))) == CONTRADICTED
    assert outcome(Share("", 0, 0, Region(high=0.01))) == UNDECIDED
    assert outcome(TimeRatio("", one, one * 9, Region(high=1.0))) == UNDECIDED
    assert outcome(Slope("", np.array([1.0, 2.0]), np.array([1.0, 4.0]), Region(1.5, 2.5))) == UNDECIDED
    assert outcome() == NOT_JUDGED
    hundred = np.ones(1000)
    hundred[0] = 1e6  # one value carries the mean
    assert outcome(MeanRatio("", np.ones(1000), hundred, Region(high=1.0))) == UNDECIDED


@pytest.mark.parametrize(("carriers", "side"), [(3, UNKNOWN), (6, UNKNOWN), (9, INSIDE), (20, INSIDE)])
def test_a_mean_that_few_carry_is_below_nothing(carriers: int, side: str) -> None:
    """However far below: others of its kind may not have occurred. 2 ln 40 = 7.4 carriers are enough at 2.5 %."""
    over = np.zeros(400)
    over[:carriers] = 0.1 * over.size / carriers  # their mean is 0.1
    assert MeanRatio("", over, np.ones(400), Region(high=1.0)).judged(0.025).side == side


def test_times_and_slopes_are_decided_by_their_scatter() -> None:
    random = np.random.default_rng(3)
    fast, slow = (scale * np.exp(0.05 * random.standard_normal(6)) for scale in (1.0, 1.5))
    assert outcome(TimeRatio("", fast, slow, Region(high=1.0))) == REPRODUCED
    assert outcome(TimeRatio("", slow, fast, Region(high=1.0))) == CONTRADICTED
    x = np.repeat([6.0, 8.0, 10.0, 14.0, 20.0], 3)
    y = x**2 * np.exp(0.02 * random.standard_normal(x.size))
    assert outcome(Slope("", x, y, Region(1.75, 2.25))) == REPRODUCED
    assert outcome(Slope("", x, y / x, Region(1.75, 2.25)), better=BELOW) == BETTER
    bent = Slope("", x, np.exp(x / 3), Region(3.5, 4.5)).judged(0.01)  # no power law, whose exponent depends on where
    assert bent.side == UNKNOWN


def test_pairs_are_of_the_same_users() -> None:
    """What one side lacks is left out on both, and what they share does not count as scatter."""
    random = np.random.default_rng(4)
    shared = exponential(random, 200)
    over, under = 0.7 * shared, shared.copy()
    assert MeanRatio("", over, under, Region(high=1.0)).judged(0.01).side == INSIDE
    assert MeanRatio("", over, random.permutation(under), Region(high=1.0)).judged(0.01).side == UNKNOWN
    over[:50] = np.nan
    under[:50] = 1e9
    found = MeanRatio("", over, under, Region(high=1.0)).judged(0.01)
    assert found.value == pytest.approx(0.7)
    assert found.low < 0.7 < found.high


@pytest.mark.parametrize("tail", [0.01, 0.001])
def test_the_interval_is_that_of_the_decision(tail: float) -> None:
    random = np.random.default_rng(5)
    over, under = 2 * exponential(random, 500), exponential(random, 500)
    found = MeanRatio("", over, under, Region(1.0, 3.0)).judged(tail)

    def side(region: Region) -> str:
        return MeanRatio("", over, under, region).judged(tail).side

    assert [side(Region(low=found.low / 1.001)), side(Region(low=found.low * 1.001))] == [INSIDE, UNKNOWN]
    assert [side(Region(high=found.high * 1.001)), side(Region(high=found.high / 1.001))] == [INSIDE, UNKNOWN]
    assert [side(Region(high=found.low / 1.001)), side(Region(low=found.high * 1.001))] == [ABOVE, BELOW]


def test_the_budget_that_is_named_decides() -> None:
    """Of the same kind, a few times over: about as many realizations as are said."""
    random = np.random.default_rng(6)
    few = MeanRatio("", exponential(random, 100), 1.4 * exponential(random, 100), Region(high=1.0)).judged(0.005)
    assert few.side == UNKNOWN
    assert 100 < few.needed < 20_000
    n = int(4 * few.needed)
    sides = [
        MeanRatio("", exponential(random, n), 1.4 * exponential(random, n), Region(high=1.0)).judged(0.005).side
        for _ in range(20)
    ]
    assert sides.count(INSIDE) >= 15
    share = (Share("", 0, 10, Region(high=0.01)),)
    table = claims_table([Claim("c", "p", share, said, a_sample=4), Claim("c", "p", share, said)])
    assert [row[-1] for row in table.rows] == [
        f"undecided at this budget (about {count} realizations would decide)" for count in (2000, 500)
    ]


def test_other_settings_are_named_and_not_judged() -> None:
    scenario = LeakageEstimation(n_elements=64)
    named = differences(scenario, {"n_elements": 100, "carrier_hz": 15e9})
    assert named == ("n_elements = 64, the paper's 100",)
    assert lacking({"n_sensors": [10, 40.0]}, {"n_sensors": 40}) == ()
    assert lacking({"noise_dbm": [-80.0]}, {"noise_dbm": -85.0}) == ("no noise_dbm = -85",)
    certain = MeanRatio("", np.ones(1000), np.full(1000, 9.0), Region(high=1.0))
    (found,) = judged([Claim("c", "p", (certain,), said, differs=named)])
    assert found.verdict == "not judged here (n_elements = 64, the paper's 100)"


def test_a_wrong_word_is_shared_by_claims_and_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    tails = []

    class Asked(Share):
        def judged(self, tail: float) -> Any:
            tails.append(tail)
            return super().judged(tail)

    one = Asked("", 0, 10, Region(high=0.5))
    pair, single = Claim("a", "p", (one, one), said), Claim("b", "p", (one,), said)
    judged([pair, single, Claim("c", "p", (one,), said, differs=("x",)), Claim("d", "p", (), said)])
    assert tails[:3] == pytest.approx([rule.WRONG / 8, rule.WRONG / 8, rule.WRONG / 4])


def errors(ratio: float, n: int = 400) -> xarray.Dataset:
    """Squared errors of Fig. 3's axes, the networks' `ratio` times least squares', whose own are the paper's 0.7 m²."""
    random = np.random.default_rng(7)
    names = ["least_squares", "deep_sets", "amortised_deep_sets"]
    dims = ("n_sensors", "estimator", "noise_dbm", "n_snapshots", "realization")
    by_estimator, by_setting = np.multiply.outer([4.0, 1.0], [1.0, ratio, 1.0]), np.outer([4.0, 1.0], [4.0, 1.0])
    sizes = np.multiply.outer(by_estimator, by_setting)[..., None]
    drawn = {}
    for name, scale in (("range_m2", 0.7), ("angle_rad2", 1e-4)):
        values = scale * sizes * random.gamma(4, 1 / 4, (2, 3, 2, 2, n))
        drawn |= {f"squared_error_{name}": (dims, values), f"expected_squared_error_{name}": (dims, values)}
    none = dims[:1] + dims[2:], np.full((2, 2, 2, n), 1e-9)
    bound = {f"bcrlb_{name}": none for name in ("range_m2", "angle_rad2")}
    scenario = LeakageEstimation(leakage="as_printed")
    return xarray.Dataset(
        drawn | bound,
        {"n_sensors": [20, 40], "estimator": names, "noise_dbm": [-65.0, -85.0], "n_snapshots": [1, 50]},
        {"scenario_class": "scenarios.leakage.estimation:LeakageEstimation", "scenario": scenario.model_dump_json()},
    )


ORDERS = ("more sensors lower every error", "more snapshots lower every error", "more noise raises every error")


def test_fig3_is_judged_by_the_papers_own_network_apart() -> None:
    from scenarios.leakage.claims import claims

    for ratio, expected in ((0.3, REPRODUCED), (3.0, CONTRADICTED), (1.0, UNDECIDED)):
        found = {(one.claim, one.paper): one.outcome for one in judged(claims(errors(ratio, 6000)))}
        table_ii = "DeepSets of Table II, one a set: consistently outperforms the dense grid search"
        assert found[table_ii, "yes"] == expected
        others = "network upon likelihoods, amortised: consistently outperforms the dense grid search"
        assert found[others, "yes, of DeepSets of Table II, one a set"] == UNDECIDED
        lowest = "lowest range error, {}: σ² = -85 dBm, K = 40.0, L = 50.0".replace(".0", "")
        mine = found[lowest.format("DeepSets of Table II, one a set"), "0.7 m²"]
        assert mine == {0.3: BETTER, 3.0: CONTRADICTED, 1.0: REPRODUCED}[ratio]
        for order in ORDERS:
            assert found[order, "yes"] == REPRODUCED
        assert found["the bound bounds every estimator", "yes"] == REPRODUCED


def test_fig3s_orders_and_bound_are_contradicted_by_the_reverse() -> None:
    from scenarios.leakage.claims import claims

    right = errors(1.0)
    turned = right.map(lambda one: one.copy(data=one.values[::-1, :, ::-1, ::-1]) if "estimator" in one.dims else one)
    turned.attrs = right.attrs
    turned["bcrlb_range_m2"] = turned["bcrlb_range_m2"] + 100
    found = {one.claim: one.outcome for one in judged(claims(turned))}
    for claim in (*ORDERS, "the bound bounds every estimator"):
        assert found[claim] == CONTRADICTED


def test_how_far_an_estimator_is_from_the_posterior_mean_is_said_beside_its_claim() -> None:
    times = {("range", 20): 1.5, ("range", 40): 2.0, ("angle", 20): 3.0, ("angle", 40): 0.5}
    errors = {}
    for (quantity, sensors), ratio in times.items():
        best = np.linspace(1, 2, 9)
        for name, values in (("deep_sets", ratio * best), ("least_squares", 9 * best), ("posterior_mean", best)):
            errors[Point(quantity, sensors, 1, -70.0, name)] = values
    errors[Point("range", 40, 1, -70.0, "deep_sets")][0] = np.nan  # its user counts on neither side
    samples = Samples(errors, {"range": 0.0, "angle": 0.0})
    claim = below(samples, "c", "p", "deep_sets", "least_squares")
    assert (
        claim.beside == "range 1.50 to 2.00 times the posterior mean's; angle 0.50 to 3.00 times the posterior mean's"
    )
    assert below(samples, "c", "p", "posterior_mean", "least_squares").beside == ""
