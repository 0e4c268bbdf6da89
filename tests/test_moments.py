"""Moments of parts, merged, are the moments of the whole."""

import json

import numpy as np
import pytest
import scipy.stats

from engine.moments import Moments


def assert_close(ours: Moments, expected: Moments, rtol: float = 1e-12) -> None:
    np.testing.assert_array_equal(ours.count, expected.count)
    np.testing.assert_allclose(ours.mean, expected.mean, rtol=rtol)
    np.testing.assert_allclose(ours.squares, expected.squares, rtol=rtol)


@pytest.fixture
def values() -> np.ndarray:
    values = np.random.default_rng(0).normal(3, 2, (1000, 2, 3))
    values.flags.writeable = False
    return values


def test_moments_are_numpys(values: np.ndarray) -> None:
    moments = Moments.of(values)
    assert_close(moments, Moments(np.full((2, 3), 1000), values.mean(axis=0), values.var(axis=0) * 1000))
    np.testing.assert_allclose(moments.standard_error, scipy.stats.sem(values), rtol=1e-12)


def test_merged_parts_are_the_whole_in_any_order(values: np.ndarray) -> None:
    parts = [Moments.of(part) for part in np.split(values, [1, 2, 400, 401, 900])]
    for order in ((0, 1, 2, 3, 4, 5), (5, 3, 1, 0, 2, 4)):
        merged = parts[order[0]]
        for i in order[1:]:
            merged = merged.merge(parts[i])
        assert_close(merged, Moments.of(values))


def test_forgetting_the_means_of_the_parts_would_be_noticed(values: np.ndarray) -> None:
    first, second = Moments.of(values[:10]), Moments.of(values[10:])
    added = Moments(first.count + second.count, first.merge(second).mean, first.squares + second.squares)
    with pytest.raises(AssertionError):
        assert_close(added, Moments.of(values))


def test_a_large_offset_does_not_cancel() -> None:
    deviations = np.random.default_rng(1).normal(size=1000)
    merged = Moments.of(1e9 + deviations[:300]).merge(Moments.of(1e9 + deviations[300:]))
    # 1e9 has an ulp of 1.2e-7: each deviation is rounded by half of it, and the merge by a few.
    np.testing.assert_allclose(merged.squares, Moments.of(deviations).squares, rtol=1e-6)


def test_values_that_are_not_finite_are_left_out_of_their_component_only() -> None:
    values = np.array([[1.0, np.nan, np.nan], [2.0, 5.0, np.inf], [6.0, 7.0, -np.inf]])
    moments = Moments.of(values)
    np.testing.assert_array_equal(moments.count, [3, 2, 0])
    np.testing.assert_array_equal(moments.mean[:2], [3, 6])
    np.testing.assert_array_equal(moments.squares, [14, 2, 0])
    merged = Moments.of(values[:1]).merge(Moments.of(values[1:]))
    assert_close(merged, moments)


def test_standard_error_is_infinite_below_two_values() -> None:
    moments = Moments.of(np.array([[1.0, np.nan, 4.0], [3.0, np.nan, np.nan]]))
    np.testing.assert_array_equal(moments.standard_error, [1.0, np.inf, np.inf])


def test_standard_error_covers_the_mean_as_often_as_it_says() -> None:
    """95 % intervals of 4000 means of 50 values; Student's t with 49 degrees of freedom gives 94.4 %."""
    moments = Moments.of(np.random.default_rng(2).normal(size=(50, 4000)))
    covered = np.mean(np.abs(moments.mean) < 1.96 * moments.standard_error)
    expected = scipy.stats.t(49).cdf(1.96) * 2 - 1
    assert abs(covered - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)


def test_json_keeps_every_bit(values: np.ndarray) -> None:
    moments = Moments.of(values)
    restored = Moments.from_json(json.loads(json.dumps(moments.to_json())))
    for part in ("count", "mean", "squares"):
        np.testing.assert_array_equal(getattr(restored, part), getattr(moments, part))
