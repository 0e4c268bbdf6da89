"""The record that all figures share, against plain loops."""

import math

import numpy as np
import pytest
import xarray

import engine
from scenarios.figures.rows import Quantity, Row, pooled, rows_of

NAMES, POWERS, USERS = ("a", "b"), (0.0, 10.0), 3
ERROR = Quantity("range", "m", "error", "bound", blind=4.0, lost_by="judge", lost_above=1.0)


@pytest.fixture
def results() -> xarray.Dataset:
    """Squared errors of 6 realizations, 2 estimators, 3 users and 2 powers; the first realization is not stored."""
    random = np.random.default_rng(1)
    dims = ("realization", "estimator", "user", "power")
    error, judge = random.exponential(size=(2, 6, 2, USERS, 2))
    error[0], judge[0] = np.nan, np.nan
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


def test_pooled_keeps_every_value_once(results: xarray.Dataset) -> None:
    assert pooled(results, "absent") is results
    found = pooled(results, "user")
    assert dict(found.sizes) == {"estimator": 2, "power": 2, "realization": 6 * USERS}
    for name in results.data_vars:
        assert np.array_equal(np.sort(found[name].values, None), np.sort(results[name].values, None), equal_nan=True)
    both = found.isel(realization=7)
    assert any(np.array_equal(both.error.values, results.error.values[i, :, j]) for i in range(6) for j in range(USERS))


def test_who_has_no_estimate_is_counted_and_compared_with_nobody() -> None:
    import xarray

    from scenarios.figures.paired import compared
    from scenarios.figures.rows import Quantity, rows_of

    errors = np.array([[1.0, 4.0, np.nan, 100.0], [1.0, 1.0, 1.0, np.nan]])[None, :, :, None, None]
    dims = ("n_sensors", "estimator", "realization", "n_snapshots", "noise_dbm")
    places = {"n_sensors": [20], "estimator": ["a", "b"], "n_snapshots": [1], "noise_dbm": [-80.0]}
    names = ("squared_error_range_m2", "squared_error_angle_rad2")
    results = xarray.Dataset(dict.fromkeys(names, (dims, errors)), places)
    rows = rows_of(results, [Quantity("range", "m", names[0])])
    assert [row.excluded for row in rows] == [1, 1]
    found = compared(results, "a", "b")["range", 20, 1, -80.0]
    assert (found.ratio, found.users) == (2.5, 2)
