"""Every summary is numpy's, and every interval covers as often as it says."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import toy
import xarray

import engine
from engine import InputError, summary
from engine.intervals import binomial_interval, log_interval, order_statistics, student_quantile

STUDIES = 4000


def array(values: np.ndarray, **attributes: str) -> xarray.DataArray:
    """(realization, study) as a stored variable of squared errors."""
    values.flags.writeable = False
    return xarray.DataArray(values, dims=("realization", "study"), attrs={"units": "m2", **attributes}, name="e_m2")


def covered(result: xarray.Dataset, name: str, truth: float) -> float:
    return float(((result[f"{name}_low"] <= truth) & (truth <= result[f"{name}_high"])).mean())


def four_errors(level: float) -> float:
    return 4 * math.sqrt(level * (1 - level) / STUDIES)


def test_summaries_are_numpys_and_leave_out_what_is_not_finite() -> None:
    values = np.random.default_rng(0).normal(1, 2, (60, 3))
    values[5, 0], values[50:, 1], values[:, 2] = np.nan, np.inf, np.nan
    found = engine.summarize(array(values), quantiles=(0.1, 0.9), above=1.5, squared=False)
    for study in (0, 1):
        here = values[np.isfinite(values[:, study]), study]
        for name, expected in {
            "count": len(here), "excluded": 60 - len(here), "mean": here.mean(),
            "standard_error": scipy.stats.sem(here), "mse": (here**2).mean(),
            "rmse": math.sqrt((here**2).mean()), "standard_deviation": here.std(ddof=1),
            "median": np.median(here), "outlier_rate": (here > 1.5).mean(),
        }.items():  # fmt: skip
            assert float(found[name][study]) == pytest.approx(expected, rel=1e-12), name
            if f"{name}_low" in found:
                assert found[f"{name}_low"][study] < expected < found[f"{name}_high"][study]
        np.testing.assert_allclose(found["quantiles"][study], np.quantile(here, [0.1, 0.9]), rtol=1e-12)
        t = scipy.stats.t(len(here) - 1).ppf(0.975)
        assert float(found["mean_low"][study]) == pytest.approx(here.mean() - t * scipy.stats.sem(here))
    assert int(found["count"][2]) == 0
    assert (found.attrs["variable"], engine.summarize(array(values).rename(None)).attrs["variable"]) == ("e_m2", "")
    assert np.isnan(found["mean"][2])
    assert np.isnan(found["outlier_rate"][2])
    assert np.isnan(found["quantiles"][2]).all()
    assert (float(found["median_low"][2]), float(found["outlier_rate_high"][2])) == (-np.inf, 1)


@pytest.mark.parametrize("values", [[], [3.0], [np.nan, 3.0]])
def test_of_one_value_or_none_no_interval_is_made_up(values: list[float]) -> None:
    found = engine.summarize(array(np.array(values)[:, None]), quantiles=(0.3,), above=2.0).isel(study=0)
    known = [value for value in values if np.isfinite(value)]
    expected = known[0] if known else np.nan
    for name in ("mean", "median", "quantiles", "mse"):
        one = found[name].values.item()
        assert one == expected or np.isnan([one, expected]).all(), name
    for name in ("median", "quantiles"):
        assert [found[f"{name}_{end}"].values.item() for end in ("low", "high")] == [-np.inf, np.inf]
    assert np.isnan(found.standard_error)
    assert float(found.outlier_rate_high) == 1
    assert float(found.outlier_rate_low) == (pytest.approx(0.025) if known else 0)


def test_two_values_are_enough_for_an_interval_and_one_is_not() -> None:
    expected = [math.inf, scipy.stats.t(1).ppf(0.975), scipy.stats.t(2).ppf(0.975)]
    assert student_quantile(0.95, np.array([1, 2, 3])).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_intervals_cover_as_often_as_they_say(level: float) -> None:
    """Squares of Gaussian errors, 1500 of them: a skewness of 2.8, with the limits that theory gives."""
    errors = np.random.default_rng(1).normal(size=(1500, STUDIES))
    found = engine.summarize(array(errors * errors), level=level, quantiles=(), above=4.0)
    for name in ("mean", "mse", "rmse"):
        # Skewness costs up to 0.1 % here (Edgeworth's term of order 1/n).
        assert abs(covered(found, name, 1.0) - level) < four_errors(level) + 0.001, name
        assert abs(covered(found, name, 1.03) - level) > four_errors(level) + 0.001  # the test can fail
    assert found["rmse"].attrs["units"] == "m"
    signed = engine.summarize(array(errors, units="m"), level=level, quantiles=(0.25,))
    assert abs(covered(signed, "mean", 0.0) - level) < four_errors(level)
    assert abs(covered(signed, "rmse", 1.0) - level) < four_errors(level) + 0.001
    assert abs(covered(signed, "standard_deviation", 1.0) - level) < four_errors(level) + 0.003
    assert abs(covered(signed, "standard_deviation", 1.05) - level) > four_errors(level) + 0.003
    # Exact intervals cover more than they say, because counts are whole: by as much as the binomial gives.
    truth = scipy.stats.norm.ppf([0.5, 0.25])
    for name, value, p in (("median", truth[0], 0.5), ("quantiles", truth[1], 0.25)):
        low, high = order_statistics(np.array(1500), p, level)
        exact = scipy.stats.binom(1500, p).cdf(high - 1) - scipy.stats.binom(1500, p).cdf(low - 1)
        assert level <= exact < level + 0.01
        assert abs(covered(signed, name, value) - exact) < four_errors(level), name
        assert abs(covered(signed, name, value + 0.03) - exact) > four_errors(level)
    rate = 2 * scipy.stats.norm.sf(2.0)
    counts = np.arange(1501)
    low, high = binomial_interval(counts, 1500, level)
    exact = scipy.stats.binom(1500, rate).pmf(counts)[(low <= rate) & (rate <= high)].sum()
    assert level <= exact < level + 0.02
    assert abs(covered(found, "outlier_rate", rate) - exact) < four_errors(level)
    assert abs(covered(found, "outlier_rate", rate * 1.2) - exact) > four_errors(level)


def test_a_mean_made_by_rare_errors_is_not_covered_and_the_median_is() -> None:
    """What the docstring warns of: one error in a thousand is 100 times larger, and there are 1000 realizations."""
    random = np.random.default_rng(2)
    errors = random.normal(size=(1000, STUDIES)) * np.where(random.random((1000, STUDIES)) < 0.001, 100.0, 1.0)
    found = engine.summarize(array(errors * errors), quantiles=())
    truth = scipy.optimize.brentq(
        lambda x: 0.999 * scipy.stats.chi2.cdf(x, 1) + 0.001 * scipy.stats.chi2.cdf(x / 1e4, 1) - 0.5, 0.1, 1.0
    )
    assert covered(found, "mean", 0.999 + 10.0) < 0.7
    assert covered(found, "median", truth) > 0.95 - four_errors(0.95)


def test_the_clopper_pearson_ends_are_scipys() -> None:
    for events, trials in ((0, 7), (7, 7), (3, 20), (1, 1000)):
        expected = scipy.stats.binomtest(events, trials).proportion_ci(0.9, "exact")
        np.testing.assert_allclose(binomial_interval(events, trials, 0.9), expected, rtol=1e-9)


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.9])
def test_ranks_are_the_narrowest_with_their_level_on_each_side(probability: float) -> None:
    for count in (0, 1, 5, 30, 2000):
        low, high = order_statistics(np.array(count), probability, 0.95)
        binomial = scipy.stats.binom(count, probability)
        assert binomial.cdf(low - 1) <= 0.025 < binomial.cdf(low)
        assert binomial.sf(high - 1) <= 0.025 < binomial.sf(high - 2)


@pytest.mark.parametrize("count", [5, 6, 30, 100])
def test_a_medians_ends_are_values_of_the_sample(count: int) -> None:
    values = np.random.default_rng(count).permutation(np.arange(1.0, count + 1)) ** 2
    found = engine.summarize(array(values[:, None].copy()), quantiles=()).isel(study=0)
    low, high = (int(rank) for rank in order_statistics(np.array(count), 0.5, 0.95))
    assert float(found.median_low) == (low**2 if low > 0 else -np.inf)
    assert float(found.median_high) == (high**2 if high <= count else np.inf)
    assert (count == 6) == (high == count)  # the largest value is an end


def test_a_means_ends_are_a_factor_away() -> None:
    low, high = log_interval(np.array([2.0, 0.5, 0.0]), np.array([1.0, 1.0, 1.0]))
    assert low.tolist() == pytest.approx([2 * math.exp(-0.5), 0.5 * math.exp(-2), 0.0])
    assert high.tolist() == pytest.approx([2 * math.exp(0.5), 0.5 * math.exp(2), math.inf])


def test_zero_is_not_known_to_be_zero() -> None:
    found = engine.summarize(array(np.zeros((50, 1))), above=1.0).isel(study=0)
    assert float(found["mean"]) == float(found["mean_low"]) == 0
    assert float(found["mean_high"]) == float(found["rmse_high"]) == np.inf
    assert 0 < float(found["outlier_rate_high"]) < 0.08


def test_parts_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store read one element at a time; and whole numbers need the mask."""
    results = engine.run(toy.small.replace(scenario=toy.Toy(widen=True)), tmp_path / "s.zarr", serial=True)
    results = results.isel(realization=slice(30))
    for name in ("power", "row", "peak"):
        monkeypatch.undo()
        whole = engine.summarize(results[name])
        monkeypatch.setattr(summary, "_SLAB_BYTES", 8 * 30 * 3)
        assert engine.summarize(results[name]).identical(whole)
    assert whole["mean"].dims == ("offset",)
    assert whole.offset.attrs == results.offset.attrs
    assert whole["rmse"].attrs == {"long_name": "root of the mean square of peak"}
    whole_numbers = xarray.DataArray([[3, 5, 0, 0], [1, 0, 0, 0]], dims=("offset", "realization"))
    mask = xarray.DataArray([[True, True, False, False], [True, True, True, False]], dims=("offset", "realization"))
    found = engine.summarize(whole_numbers, complete=mask)
    assert found["mean"].values.tolist() == [4, 1 / 3]
    assert found["excluded"].values.tolist() == [2, 1]


def test_units_follow_the_summary() -> None:
    values = np.ones((4, 1))
    units = {name: part.attrs.get("units") for name, part in engine.summarize(array(values), above=2.0).items()}
    assert units["mean"] == units["median_low"] == units["mse"] == "m2"
    assert units["rmse"] == units["rmse_high"] == "m"
    assert units["outlier_rate"] == units["count"] == "1"
    signed = engine.summarize(array(values, units="rad"))
    assert (signed["mse"].attrs["units"], signed["rmse"].attrs["units"]) == ("rad2", "rad")
    assert engine.summarize(array(values, units="1/m2"), squared=True)["rmse"].attrs["units"] == "sqrt(1/m2)"
    assert engine.summarize(array(values), above=2.0)["outlier_rate"].attrs["long_name"] == (
        "fraction of realizations with e m2 above 2.0 m2"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.0}, "level: given 1.0, needed a number between 0 and 1"),
        ({"quantiles": (0.0,)}, "quantiles: given 0.0, needed"),
        ({"above": math.nan}, "above: given nan, needed a finite threshold"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.summarize(array(np.ones((4, 1))), **change)


def test_what_has_no_realizations_or_is_complex_is_refused() -> None:
    with pytest.raises(InputError, match="needed 'realization' among them"):
        engine.summarize(xarray.DataArray(np.ones(3), dims="x"))
    with pytest.raises(InputError, match="needed real numbers"):
        engine.summarize(array(np.ones((4, 1)) * 1j))


def test_one_value_that_is_no_outlier_leaves_a_rate_below_one() -> None:
    one = xarray.DataArray([1.0], dims="realization")
    assert float(engine.summarize(one, above=2.0).outlier_rate_high) == pytest.approx(0.975)
