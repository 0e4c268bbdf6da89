"""The record that all figures share, against plain loops."""

import math

import numpy as np
import pytest
import xarray

import engine
from scenarios.figures.rows import Interval, Quantity, Row, pooled, rows_of

NAMES, POWERS, USERS = ("a", "b"), (0.0, 10.0), 3
ERROR = Quantity("range", "m", "error", "bound", blind=4.0, lost_by="judge", lost_above=1.0)


@pytest.fixture
def results() -> xarray.Dataset:
    """Squared errors of 6 realizations, 2 estimators, 3 users and 2 powers; the first realization is not stored."""
    random = np.random.default_rng(1)
    dims = ("realization", "estimator", "user", "power")
    error, judge = random.exponential(size=(2, 6, 2, USERS, 2))
    error[0], judge[0] = np.nan, np.nan
    judge[2] = 1.0  # just not lost
    return xarray.Dataset(
        {
            "error": (dims, error, {"units": "m2"}),
            "judge": (dims, judge, {"units": "rad2"}),
            "bound": (("realization", "user", "power"), random.exponential(size=(6, USERS, 2)), {"units": "m2"}),
        },
        {"estimator": list(NAMES), "power": list(POWERS), "kind": ("user", ["x", "y", "z"])},
    )


def at(results: xarray.Dataset, row: Row, name: str) -> np.ndarray:
    """(realization, user), what is stored of a row's variable."""
    here = results[name].sel(power=row.point["power"], **({"estimator": row.estimator} if name != "bound" else {}))
    return np.asarray(here.transpose("realization", "user").values)


def test_pooled_users_are_samples_and_what_is_lost_is_left_out(results: xarray.Dataset) -> None:
    rows = rows_of(results, (ERROR,), group="all", order=("power", "estimator"), pool=("user", "absent"))
    assert [(row.point, row.estimator) for row in rows] == [({"power": p}, name) for p in POWERS for name in NAMES]
    for row in rows:
        errors, judged = at(results, row, "error")[1:], at(results, row, "judge")[1:]
        assert (row.group, row.quantity, row.unit, row.samples, row.blind) == ("all", "range", "m", 5 * USERS, 4.0)
        assert row.mse.value == pytest.approx(errors.mean())
        assert row.rmse.value == pytest.approx(math.sqrt(errors.mean()))
        assert row.rmse.high == pytest.approx(math.sqrt(row.mse.high))
        assert row.median == pytest.approx(np.median(errors))
        assert row.root_median == pytest.approx(math.sqrt(np.median(errors)))
        assert row.lost.value == pytest.approx((judged > 1).mean())
        assert 0 < row.lost.low < row.lost.value < row.lost.high
        assert row.found_mse.value == pytest.approx(errors[judged <= 1].mean())
        assert row.found == row.found_mse.root()
        assert row.bound == pytest.approx(at(results, row, "bound").mean())
        assert row.root_bound == pytest.approx(math.sqrt(row.bound))


def test_averaged_users_are_one_sample_a_realization(results: xarray.Dataset) -> None:
    """Means and their intervals are of realizations, medians and losses of single errors."""
    rows = rows_of(results, (ERROR,), average=("user",))
    assert [(row.estimator, row.point["power"]) for row in rows] == [(name, p) for name in NAMES for p in POWERS]
    alone = rows_of(results, (ERROR,), pool=("user",))
    for row, single in zip(rows, alone, strict=True):
        errors = at(results, row, "error")[1:]
        assert row.samples == 5
        assert row.mse.value == pytest.approx(errors.mean())
        expected = engine.summarize(xarray.DataArray(errors.mean(1), dims="realization"))
        assert row.mse.high == pytest.approx(float(expected.mean_high))
        assert row.mse.high != pytest.approx(single.mse.high)
        assert (row.median, row.lost) == (single.median, single.lost)


def test_what_a_quantity_does_not_say_is_unknown(results: xarray.Dataset) -> None:
    row = rows_of(results, (Quantity("range", "m", "error"),), pool=("user",))[0]
    assert all(map(math.isnan, (*row.lost, *row.found_mse, row.bound, row.blind)))
    assert math.isfinite(row.mse.value)


def test_what_is_not_stored_is_unknown(results: xarray.Dataset) -> None:
    row = rows_of(results, (Quantity("range", "m", "error", "bound", limit="no_limit"),), pool=("user",))[0]
    assert math.isnan(row.limit)
    assert math.isfinite(row.bound)


def test_pooled_keeps_every_value_once(results: xarray.Dataset) -> None:
    assert pooled(results, "absent") is results
    found = pooled(results, "user")
    assert dict(found.sizes) == {"estimator": 2, "power": 2, "realization": 6 * USERS}
    for name in results.data_vars:
        assert np.array_equal(np.sort(found[name].values, None), np.sort(results[name].values, None), equal_nan=True)
    both = found.isel(realization=7)
    assert any(np.array_equal(both.error.values, results.error.values[i, :, j]) for i in range(6) for j in range(USERS))


def test_who_has_no_estimate_is_counted_and_compared_with_nobody() -> None:
    errors = np.array([[1.0, 4.0, np.inf, 100.0], [1.0, 1.0, 1.0, np.nan]])[None, :, :, None, None]
    dims = ("n_sensors", "estimator", "realization", "n_snapshots", "noise_dbm")
    places = {"n_sensors": [20], "estimator": ["a", "b"], "n_snapshots": [1], "noise_dbm": [-80.0]}
    names = ("squared_error_range_m2", "squared_error_angle_rad2")
    results = xarray.Dataset(dict.fromkeys(names, (dims, errors)), places)
    rows = rows_of(results, [Quantity("range", "m", names[0])])
    assert [row.excluded for row in rows] == [1, 1]
    found = engine.compare(results[names[0]]).sel(estimator="a", other="b").squeeze()
    assert (float(found.ratio), int(found["count"]), int(found.excluded)) == (2.5, 2, 2)


def _flagged() -> xarray.Dataset:
    """Six realizations, of which the last is not stored; "a" checks itself, "b" does not; two sets are pooled."""
    flags = np.zeros((1, 2, 6, 2, 1))
    flags[0, 0, :3, 0, 0] = 1, 1 + 2, 8  # rival; rival at an edge; no estimate
    flags[0, 1] = 16
    flags[0, 0, 4, 1, 0] = np.nan  # stored without a word: nobody checked it
    flags[:, :, 5] = np.nan
    dims = ("n_sensors", "estimator", "realization", "sensor_set", "noise_dbm")
    complete = np.ones((1, 6))
    complete[:, 5] = 0
    return xarray.Dataset(
        {"self_check": (dims, flags), "complete": (("n_sensors", "realization"), complete)},
        {"n_sensors": [20], "estimator": ["a", "b"], "noise_dbm": [-80.0]},
    )


def test_what_estimators_say_against_themselves_is_counted() -> None:
    from engine.estimators.doubt import Doubt
    from scenarios.figures.doubts import doubt_tables, doubt_words, doubts_of

    found = doubts_of(_flagged(), ("n_sensors", "noise_dbm"), ("sensor_set",))
    one, other = found
    assert (one.estimator, one.point, one.estimates, one.excluded) == ("a", (20, -80.0), 9, 1)
    assert {kind: count for kind, count in one.of_kind.items() if count} == {Doubt.RIVAL: 2, Doubt.EDGE: 1}
    assert (one.doubtful, one.checked) == (2, 8)
    assert (other.estimates, other.doubtful, other.checked) == (10, 0, 0)
    (table,) = doubt_tables(found, ("K", "σ² (dBm)"))
    assert table.headings == ("K", "σ² (dBm)", "estimator", "estimates", "excluded", "rival", "edge", "any")
    assert table.rows == [("20", "-80", "a", "9", "1", "2", "1", "2 (22 %)")]
    assert doubt_words(found) == ["in doubt by their own check: a 22 %"]
    assert doubts_of(_flagged().drop_vars("self_check"), ("n_sensors", "noise_dbm")) == []
    assert doubt_tables([other], ("K", "σ² (dBm)")) == doubt_words([other]) == []


def test_shares_are_never_rounded_to_none_or_all() -> None:
    from scenarios.figures.doubts import Doubts, doubt_words

    for doubtful, text in ((0, "0 %"), (9, "< 1 %"), (10, "1 %"), (990, "99 %"), (991, "> 99 %"), (1000, "100 %")):
        assert doubt_words([Doubts((), "a", 1000, 0, {}, doubtful, 1000)])[0].endswith(f"a {text}")


def test_who_is_left_out_is_said() -> None:
    from scenarios.figures.doubts import excluded_words

    assert excluded_words([("a", 0), ("b", 0)]) == "excluded, not finite: none"
    assert excluded_words([("a", 2), ("b", 0), ("a", 1)]) == "excluded, not finite: 3 of a"


def _nobody_at_one_point() -> xarray.Dataset:
    """Of "a" nothing is known at 10, of "b" nowhere; 4 realizations are stored, the fifth is not."""
    errors = np.ones((5, 3, 2))
    errors[:, 0, 1] = errors[:, 1] = errors[4] = np.nan
    stored = np.array([1, 1, 1, 1, 0])
    return xarray.Dataset(
        {"error": (("realization", "estimator", "power"), errors), "complete": (("realization",), stored)},
        {"estimator": ["a", "b", "c"], "power": [0.0, 10.0]},
    )


def test_a_point_without_estimates_keeps_its_row() -> None:
    from scenarios.figures.doubts import absent_words
    from scenarios.figures.rows import mean_text, number_text, of_those_asked, share_text

    results, quantity = _nobody_at_one_point(), Quantity("range", "m", "error")
    rows = of_those_asked(rows_of(results, (quantity,)))
    assert [(row.estimator, row.point["power"], row.samples, row.excluded) for row in rows] == [
        ("a", 0.0, 4, 0), ("a", 10.0, 0, 4), ("c", 0.0, 4, 0), ("c", 10.0, 4, 0),
    ]  # fmt: skip
    assert (mean_text(rows[1]), number_text(rows[1].median), share_text(rows[1].lost)) == ("none", "–", "–")
    assert mean_text(rows[0]) == "1 ×÷ 1.00 †"
    assert mean_text(rows[0]._replace(mse=Interval(2.0, 1.0, 5.0), carried=False)) == "2 ×÷ 2.50"
    assert mean_text(rows[0]._replace(mse=rows[0].mse._replace(value=0.0), carried=False)) == "0"
    assert number_text(0.123) == "0.12"
    assert share_text(Interval(0.25, 0.125, 0.5)) == "25.0 % (12.5–50.0)"
    assert absent_words(results, rows) == ["without estimates, not drawn: b", "no estimate: a at 1 of 2 points"]
    assert absent_words(results.isel(estimator=[2]), rows[2:]) == []
    nobody = rows_of(results.isel(estimator=[1]), (quantity,))
    assert of_those_asked(nobody) == nobody
    assert [row.excluded for row in nobody] == [4, 4]


def test_who_is_asked_is_so_for_his_users_and_his_quantity() -> None:
    from scenarios.figures.rows import of_those_asked

    (row,) = rows_of(_nobody_at_one_point().isel(estimator=[2], power=[0]), (Quantity("range", "m", "error"),))
    none = row._replace(samples=0)
    assert of_those_asked([row, none._replace(group="far"), none._replace(quantity="angle")]) == [row]
    assert of_those_asked([row, none]) == [row, none]


def test_a_sample_without_an_estimate_of_every_set_is_one() -> None:
    errors = np.ones((4, 1, 3))
    errors[0, 0, 1] = errors[0, 0, 2] = errors[2, 0, 0] = np.nan
    results = xarray.Dataset({"error": (("realization", "estimator", "sensor_set"), errors)}, {"estimator": ["a"]})
    quantity = Quantity("range", "m", "error")
    (averaged,) = rows_of(results, (quantity,), average=("sensor_set",))
    (apart,) = rows_of(results, (quantity,), pool=("sensor_set",))
    assert (averaged.samples, averaged.excluded) == (2, 2)
    assert (apart.samples, apart.excluded) == (9, 3)
