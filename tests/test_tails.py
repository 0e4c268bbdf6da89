"""A mean whose interval may not cover is marked: on heavy tails it covers, or is marked, as often as it says."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray

from engine.summary import summarize
from engine.sweep import TextTable
from scenarios.figures.tails import FEWEST, LARGEST, MARK, MEANING, MOST, explained, rests_on_few

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def heavy(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.exp(2 * random.standard_normal(shape) - 2)


def lost(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return (random.exponential(1, shape) + 99 * (random.random(shape) < 0.01)) / 1.99


def exponential(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.exponential(1, shape)


def squares(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.standard_normal(shape) ** 2


@pytest.mark.parametrize("n", [200, 300, 1000])
@pytest.mark.parametrize("draw", [heavy, lost, exponential, squares])
def test_covered_or_marked(draw: Draw, n: int) -> None:
    """All four have mean 1; 93 % allowed, less four standard errors. Where tails are light, hardly any is marked."""
    values = xarray.DataArray(draw(np.random.default_rng(n), (2000, n)), dims=("run", "realization"))
    interval = summarize(values, quantiles=())
    covers = ((interval.mean_low <= 1) & (interval.mean_high >= 1)).values
    marked = rests_on_few(values).values
    assert (covers | marked).mean() >= 0.93 - 4 * np.sqrt(0.93 * 0.07 / 2000)
    if n >= FEWEST:
        few = rests_on_few(values, unseen=False).values
        assert np.array_equal(marked, few)
        assert few.mean() < 0.01 if draw in (exponential, squares) else few.mean() > 0.9


def test_the_interval_alone_does_not_cover() -> None:
    values = xarray.DataArray(heavy(np.random.default_rng(1), (2000, 200)), dims=("run", "realization"))
    interval = summarize(values, quantiles=())
    assert ((interval.mean_low <= 1) & (interval.mean_high >= 1)).mean() < 0.9


@pytest.mark.parametrize("n", [1, 40, 100, 101, 250])
def test_the_share_of_the_largest_against_plain_loops(n: int) -> None:
    random = np.random.default_rng(n)
    table = random.exponential(1, (30, n)) ** random.integers(1, 5, (30, 1))
    table[random.random(table.shape) < 0.2] = np.nan
    expected = []
    for row in table:
        known = sorted(value for value in row if np.isfinite(value))
        top = max(1, int(np.ceil(LARGEST * len(known))))
        expected.append(bool(known) and sum(known[-top:]) > MOST * sum(known))
    values = xarray.DataArray(table, dims=("point", "realization"))
    assert rests_on_few(values, unseen=False).values.tolist() == expected
    folded = xarray.DataArray(table.reshape(5, 6, n), dims=("K", "point", "realization"))
    for order in (("K", "point", "realization"), ("realization", "K", "point")):
        found = rests_on_few(folded.transpose(*order), unseen=False)
        assert found.values.ravel().tolist() == expected
    assert rests_on_few(values).all()  # fewer than 300


def test_a_table_says_what_its_mark_means() -> None:
    plain, marked = TextTable("a", ("x",), [("1",)]), TextTable("b", ("x",), [("1",), (f"2 {MARK}",)])
    assert [table.title for table in explained([plain, marked])] == ["a", f"b. {MEANING}"]
