"""What a claim rests on: numbers of which each is inside a region, outside it, or not known well enough to say.

A wrong answer, inside where the truth is outside or the reverse, has at most the probability that the caller allows.
No interval for a mean holds for every distribution (Bahadur and Savage, Ann. Math. Statist. 27, 1956), so where few
large values carry a mean, or may be missing from a small sample, none is given: too few data never decide.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from engine.intervals import binomial_interval, student_quantile

INSIDE, BELOW, ABOVE, UNKNOWN = "inside", "below", "above", "unknown"
_UNSEEN = 1.5
"""How many of the largest values seen a sample may lack in as many draws as its tail probability allows for."""
_CARRIED = 2.0
"""Effective number of values, (Σx)²/Σx², below which a mean is carried by few, in units of −ln of the tail."""

_LIKE = 0.1
"""Standard deviation of the logarithm of the time of like tasks, as a guess while one alone was measured."""
_MOST_TIMES = 1000


class Region(NamedTuple):
    """Where a claim says that a number lies. Both ends belong to it."""

    low: float = 0.0
    high: float = math.inf


class Finding(NamedTuple):
    """A number, between which ends it lies, and on which side of a region that is."""

    where: str
    side: str
    value: float
    low: float
    high: float
    needed: float
    """samples that would decide, as a guess: infinite where the number stands on an end of the region"""
    samples: int


class Comparison(Protocol):
    """Something that is inside its region or not."""

    @property
    def where(self) -> str:
        """Of which point."""
        ...

    def judged(self, tail: float) -> Finding:
        """tail: probability of a wrong answer on either side."""
        ...


@dataclass(frozen=True)
class MeanRatio:
    """The ratio of two means of values that are not negative, of the same samples: E[over]/E[under].

    over, under: (n,), pair by pair; an `under` that is known is the same number n times. largest: a value known to
    occur that a small sample may lack, as a lost user's squared error; 0 where none is known.
    """

    where: str
    over: np.ndarray
    under: np.ndarray
    region: Region
    largest: float = 0.0

    def judged(self, tail: float) -> Finding:
        both = np.isfinite(self.over) & np.isfinite(self.under)
        over, under = self.over[both], self.under[both]
        means = (float(over.mean()), float(under.mean())) if over.size else (math.nan, math.nan)
        value = means[0] / means[1] if means[1] else math.nan
        if over.size < 2 or not means[1]:
            return Finding(self.where, UNKNOWN, value, 0.0, math.inf, math.inf, over.size)
        pair = _Pair(over, under, tail, self.largest)
        side = _side(self.region, pair.is_above, pair.is_below)
        needed = pair.needed(self.region) if side == UNKNOWN else float(over.size)
        return Finding(self.where, side, value, *pair.interval(value), needed, over.size)


class _Pair:
    """Samples of a ratio of means: whether it is above or below a given one."""

    def __init__(self, over: np.ndarray, under: np.ndarray, tail: float, largest: float) -> None:
        self.over, self.under, self.largest = over, under, largest
        self.logarithm = -math.log(tail)
        self.quantile = float(student_quantile(1 - 2 * tail, np.array(over.size)))
        self.carried = min(map(_effective, (over, under)))

    def reach(self, ratio: float) -> tuple[float, float, float]:
        """Mean of over − ratio·under; how far the truth may be from it; the part of that which unseen values have."""
        apart = self.over - ratio * self.under
        n = apart.size
        # A known `under` has no values that are missing, however large `ratio` makes it.
        seen = max(float(self.over.max()), ratio * float(self.under.max()) if np.ptp(self.under) else 0.0)
        unseen = _UNSEEN * self.logarithm * max(seen, self.largest) / n
        return float(apart.mean()), self.quantile * float(apart.std(ddof=1)) / math.sqrt(n), unseen

    @property
    def rests_on_few(self) -> bool:
        return self.carried < _CARRIED * self.logarithm

    def is_above(self, ratio: float) -> bool:
        mean, sampling, unseen = self.reach(ratio)
        return not self.rests_on_few and mean - sampling - unseen > 0

    def is_below(self, ratio: float) -> bool:
        mean, sampling, unseen = self.reach(ratio)
        return not self.rests_on_few and mean + sampling + unseen < 0

    def interval(self, value: float) -> tuple[float, float]:
        """The ratios that are neither above nor below, by bisection between a thousandth and a thousand times ours."""
        return _boundary(self.is_above, value, value / 1e3, 0.0), _boundary(self.is_below, value, value * 1e3, math.inf)

    def needed(self, region: Region) -> float:
        """How many samples would decide, were they like these: standard errors fall as 1/√n, unseen values as 1/n."""
        n = self.over.size
        ends = [end for end in region if 0 < end < math.inf]
        counts = []
        for end in ends:
            mean, sampling, unseen = self.reach(end)
            root = (sampling + math.sqrt(sampling**2 + 4 * abs(mean) * unseen)) / 2 / abs(mean) if mean else math.inf
            counts.append(n * root**2)
        few = n * _CARRIED * self.logarithm / self.carried if self.rests_on_few else 0.0
        return max(*counts, few) if counts else math.inf


def _side(region: Region, is_above: Callable[[float], bool], is_below: Callable[[float], bool]) -> str:
    if region.low > 0 and is_below(region.low):
        return BELOW
    if region.high < math.inf and is_above(region.high):
        return ABOVE
    above_low = region.low <= 0 or is_above(region.low)
    below_high = region.high == math.inf or is_below(region.high)
    return INSIDE if above_low and below_high else UNKNOWN


def _boundary(decided: Callable[[float], bool], inside: float, outside: float, otherwise: float) -> float:
    """Where `decided` begins to hold between a ratio at which it does not and one at which it may."""
    if not (0 < inside < math.inf) or not decided(outside):
        return otherwise
    near, far = math.log(inside), math.log(outside)
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (near, middle) if decided(math.exp(middle)) else (middle, far)
    return math.exp(far)


def _effective(values: np.ndarray) -> float:
    squares = float(np.sum(values**2))
    return float(np.sum(values)) ** 2 / squares if squares else float(values.size)


@dataclass(frozen=True)
class Share:
    """A probability, of independent trials: the exact interval of Clopper and Pearson, Biometrika 26 (1934)."""

    where: str
    events: int
    trials: int
    region: Region

    def judged(self, tail: float) -> Finding:
        low, high = (0.0, 1.0)
        if self.trials:
            low, high = map(float, binomial_interval(np.array(self.events), np.array(self.trials), 1 - 2 * tail))
        value = self.events / self.trials if self.trials else math.nan
        side = _beside(self.region, low, high)
        needed = self._needed(value, tail) if side == UNKNOWN else float(self.trials)
        return Finding(self.where, side, value, low, high, needed, self.trials)

    def _needed(self, value: float, tail: float) -> float:
        """For a rate of zero, the trials after which none seen confirms; else those that tell it from the next end."""
        ends = [end for end in self.region if 0 < end < 1]
        if not ends or math.isnan(value):
            return math.inf
        if value == 0:
            return math.log(tail) / math.log1p(-min(ends))
        apart = min(abs(value - end) for end in ends)
        quantile = float(student_quantile(1 - 2 * tail, np.array(1_000_000)))
        return value * (1 - value) * (quantile / apart) ** 2 if apart else math.inf


@dataclass(frozen=True)
class TimeRatio:
    """The ratio of two geometric means of numbers none of which is rare, as times are: Student's, of logarithms.

    over, under: (n,) and (m,), samples of their own; NaN where there is none.
    """

    where: str
    over: np.ndarray
    under: np.ndarray
    region: Region

    def judged(self, tail: float) -> Finding:
        logs = [np.log(values[np.isfinite(values) & (values > 0)]) for values in (self.over, self.under)]
        if min(map(len, logs)) < 2:
            apart = float(logs[0].mean() - logs[1].mean()) if all(map(len, logs)) else math.nan
            needed = self._guessed(apart, tail)
            return Finding(self.where, UNKNOWN, math.exp(apart), 0.0, math.inf, needed, min(map(len, logs)))
        apart = float(logs[0].mean() - logs[1].mean())
        reach = _welch(logs[0], logs[1], tail)
        low, high = math.exp(apart - reach), math.exp(apart + reach)
        nearest = self._nearest(apart)
        needed = min(map(len, logs)) * (reach / nearest) ** 2 if nearest else math.inf
        return Finding(
            self.where, _beside(self.region, low, high), math.exp(apart), low, high, needed, min(map(len, logs))
        )

    def _nearest(self, apart: float) -> float:
        """How far the logarithm of the ratio is from the nearer end of the region."""
        return min((abs(apart - math.log(end)) for end in self.region if 0 < end < math.inf), default=0.0)

    def _guessed(self, apart: float, tail: float) -> float:
        """Samples that would decide, where one alone does not say how times scatter."""
        for n in range(2, _MOST_TIMES):
            if student_quantile(1 - 2 * tail, np.array(2.0 * n - 1)) * _LIKE * math.sqrt(2 / n) < self._nearest(apart):
                return float(n)
        return math.inf


def _welch(a: np.ndarray, b: np.ndarray, tail: float) -> float:
    """Half the width of the interval for a difference of means, of samples with variances of their own."""
    parts = [float(values.var(ddof=1)) / values.size for values in (a, b)]
    if not any(parts):
        return 0.0
    free = sum(parts) ** 2 / (parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1))
    return float(student_quantile(1 - 2 * tail, np.array(free + 1))) * math.sqrt(sum(parts))


@dataclass(frozen=True)
class Slope:
    """The exponent p of y ~ x^p, by a straight line through the logarithms of y's geometric means at three x or more.

    x, y: (n,), positive; samples at one x are further samples of its y. The interval is Student's, of the line's
    residuals: what departs from a power law widens it, and more samples at an x do not hide that.
    """

    where: str
    x: np.ndarray
    y: np.ndarray
    region: Region

    def judged(self, tail: float) -> Finding:
        known = np.isfinite(self.y) & (self.y > 0)
        x, samples = np.log(self.x[known]), np.log(self.y[known])
        places = np.unique(x)
        y = np.array([samples[x == place].mean() for place in places])
        if places.size < 3:
            return Finding(self.where, UNKNOWN, math.nan, -math.inf, math.inf, math.inf, samples.size)
        aside = places - places.mean()
        slope = float(np.sum(aside * y) / np.sum(aside**2))
        left = y - y.mean() - slope * aside
        error = math.sqrt(float(np.sum(left**2) / (places.size - 2) / np.sum(aside**2)))
        reach = float(student_quantile(1 - 2 * tail, np.array(places.size - 1))) * error
        low, high = slope - reach, slope + reach
        return Finding(self.where, _beside(self.region, low, high), slope, low, high, math.inf, samples.size)


def verdict(low: float, high: float) -> str:
    """What the interval of a ratio says: lower, higher, or – where it holds 1."""
    return "lower" if high < 1 else "higher" if low > 1 else "–"


def _beside(region: Region, low: float, high: float) -> str:
    """On which side of a region an interval is."""
    if low > region.high:
        return ABOVE
    if high < region.low:
        return BELOW
    return INSIDE if low >= region.low and high <= region.high else UNKNOWN
