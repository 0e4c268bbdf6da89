"""What claims rest on, against textbook formulas: intervals, and how many samples would decide."""

import math

import numpy as np
import pytest
import scipy.stats
from scipy.optimize import brentq

from scenarios.figures.comparisons import (
    ABOVE,
    BELOW,
    INSIDE,
    UNKNOWN,
    MeanRatio,
    Region,
    Share,
    Slope,
    TimeRatio,
    verdict,
)

RANDOM = np.random.default_rng(20261129)


@pytest.mark.parametrize("n", [30, 400])
@pytest.mark.parametrize("tail", [0.025, 0.001])
@pytest.mark.parametrize("largest", [0.0, 40.0])
def test_a_mean_over_a_number_is_students_interval_and_what_may_not_have_been_seen(
    n: int, tail: float, largest: float
) -> None:
    values = RANDOM.gamma(4, 1, n)
    found = MeanRatio("", values, np.full(n, 2.0), Region(), largest).judged(tail)
    sampling = scipy.stats.t.isf(tail, n - 1) * values.std(ddof=1) / math.sqrt(n)
    unseen = 1.5 * math.log(1 / tail) * max(values.max(), largest) / n
    assert found.value == pytest.approx(values.mean() / 2)
    assert found.high == pytest.approx((values.mean() + sampling + unseen) / 2, rel=1e-6)
    low = values.mean() - sampling - unseen
    assert found.low == pytest.approx(max(low, 0.0) / 2, rel=1e-6)
    assert found.samples == n


def test_the_samples_that_would_decide_are_those_whose_interval_ends_at_the_regions_end() -> None:
    n, tail, end = 50, 0.01, 5.0
    values = RANDOM.gamma(4, 1, n)
    found = MeanRatio("", values, np.ones(n), Region(high=end)).judged(tail)
    assert found.side == UNKNOWN
    sampling = scipy.stats.t.isf(tail, n - 1) * values.std(ddof=1) / math.sqrt(n)
    unseen = 1.5 * math.log(1 / tail) * values.max() / n

    def left(count: float) -> float:
        return end - values.mean() - sampling * math.sqrt(n / count) - unseen * n / count

    assert found.needed == pytest.approx(brentq(left, n, 1e9), rel=1e-6)
    both = MeanRatio("", values, np.ones(n), Region(3.6, end)).judged(tail)
    alone = MeanRatio("", values, np.ones(n), Region(low=3.6)).judged(tail)
    assert both.needed == max(alone.needed, found.needed)  # either end has to be told
    assert MeanRatio("", values, np.ones(n), Region(high=9.0)).judged(tail).needed == n


def test_a_mean_that_few_carry_needs_as_many_carriers_as_its_tail_asks_for() -> None:
    n, tail = 400, 0.025
    over = np.zeros(n)
    over[:3] = 1.0
    found = MeanRatio("", over, np.ones(n), Region(high=1.0)).judged(tail)
    assert found.side == UNKNOWN
    assert found.needed == pytest.approx(n * 2 * math.log(1 / tail) / 3)


@pytest.mark.parametrize(("events", "trials"), [(0, 50), (3, 50), (50, 50)])
def test_a_share_has_the_interval_of_clopper_and_pearson(events: int, trials: int) -> None:
    found = Share("", events, trials, Region()).judged(0.01)
    exact = scipy.stats.binomtest(events, trials).proportion_ci(0.98, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert (found.value, found.samples) == (events / trials, trials)


def test_the_trials_that_would_decide_a_share() -> None:
    tail = 0.01
    normal = scipy.stats.norm.isf(tail)
    some = Share("", 3, 50, Region(high=0.1)).judged(tail)
    assert some.side == UNKNOWN
    assert some.needed == pytest.approx(0.06 * 0.94 * (normal / 0.04) ** 2, rel=1e-4)
    nearest = Share("", 3, 50, Region(0.05, 0.1)).judged(tail)
    assert nearest.needed == pytest.approx(0.06 * 0.94 * (normal / 0.01) ** 2, rel=1e-4)
    none = Share("", 0, 50, Region(high=0.02)).judged(tail)
    assert 0.98**none.needed == pytest.approx(tail)  # so many without an event are that unlikely at 2 %
    assert Share("", 5, 100, Region(high=0.05)).judged(tail).needed == math.inf
    assert Share("", 0, 0, Region(high=0.02)).judged(tail).needed == math.inf
    assert Share("", 0, 50, Region(low=1.0)).judged(tail).side == BELOW
    assert Share("", 50, 50, Region(low=1.0)).judged(tail).needed == math.inf  # 1 is never known to be reached


def test_times_are_welchs() -> None:
    over, under = np.exp(0.3 * RANDOM.standard_normal(7)), 2 * np.exp(0.1 * RANDOM.standard_normal(4))
    found = TimeRatio("", np.append(over, np.nan), under, Region()).judged(0.02)
    test = scipy.stats.ttest_ind(np.log(over), np.log(under), equal_var=False)
    ends = test.confidence_interval(0.96)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((ends.low, ends.high), rel=1e-3)
    assert math.log(found.value) == pytest.approx(np.log(over).mean() - np.log(under).mean())
    assert (found.samples, found.side) == (4, INSIDE)
    near = TimeRatio("", over, under, Region(high=1.02 * found.value)).judged(0.02)
    assert near.side == UNKNOWN
    assert near.needed == pytest.approx(4 * ((ends.high - ends.low) / 2 / math.log(1.02)) ** 2, rel=1e-3)


def test_times_without_scatter_or_without_samples() -> None:
    two = np.array([2.0, 2.0])
    assert TimeRatio("", two, 2 * two, Region(high=1.0)).judged(0.01).side == INSIDE
    assert TimeRatio("", 2 * two, two, Region(high=1.0)).judged(0.01).side == ABOVE
    one = TimeRatio("", two, np.array([1.0, np.nan]), Region(high=1.0)).judged(0.01)
    assert (one.side, one.value, one.needed, one.samples) == (UNKNOWN, pytest.approx(2.0), 3.0, 1)
    assert math.isnan(TimeRatio("", two, np.array([np.nan]), Region(high=1.0)).judged(0.01).value)


def test_a_slope_is_that_of_least_squares() -> None:
    x = np.array([5.0, 8.0, 13.0, 21.0, 34.0])
    y = x**1.7 * np.exp(0.1 * RANDOM.standard_normal(5))
    found = Slope("", x, y, Region()).judged(0.05)
    line = scipy.stats.linregress(np.log(x), np.log(y))
    reach = scipy.stats.t.isf(0.05, 3) * line.stderr
    assert found.value == pytest.approx(line.slope)
    assert (found.low, found.high) == pytest.approx((line.slope - reach, line.slope + reach), rel=1e-3)
    repeated = Slope("", np.append(np.repeat(x, 2), 40.0), np.append(np.repeat(y, 2), np.nan), Region()).judged(0.05)
    assert repeated[2:5] == pytest.approx(found[2:5])  # more samples at an x do not hide what departs from a line
    assert (repeated.samples, found.samples) == (10, 5)


def test_words_of_a_ratio() -> None:
    assert [verdict(*ends) for ends in ((0.5, 0.9), (0.5, 1.0), (1.0, 2.0), (1.1, 2.0))] == [
        "lower",
        "–",
        "–",
        "higher",
    ]
