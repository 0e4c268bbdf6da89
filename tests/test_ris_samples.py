"""Which errors of family B are compared, point by point, field by field: against plain loops over users."""

import json
import math

import numpy as np
import pytest
import xarray

from scenarios.figures.comparisons import Region
from scenarios.ris import RisLocalization
from scenarios.ris.samples import Point, Samples

FIELDS = ("near", "far", "near")
METHODS = ("a", "b")
SIZES = (12.0, 24.0, 20.0)
CYCLES = (3, 6, 9)
N = 7
REGION = Region(high=1.0)
DIMS = ("elements_per_side", "realization", "cycle", "estimator", "user")
NAMES = "squared_error_angle_rad2", "squared_error_range_m2", "bound_angle_rad2", "bound_range_m2"


def stored() -> xarray.Dataset:
    """Of the last of three cycles; some users are lost, some just not, some have no error or no bound."""
    rng = np.random.default_rng(3)
    shape = (len(SIZES), N, len(CYCLES), len(METHODS), len(FIELDS))
    values = {name: rng.uniform(0.0, 0.01, shape) for name in NAMES}
    values["squared_error_range_m2"][:, :, :, :, 1] = np.nan  # of plane waves
    values["squared_error_angle_rad2"][0, 2, -1, 0, 0] = np.nan
    values["bound_angle_rad2"][1, 3, -1, 1, 2] = np.inf
    values["direction_error_beams"] = rng.choice([0.1, 0.75, 0.7501, 2.0], shape)
    values["direction_error_beams"][0, :, -1, 0, 0] = [0.75, 0.1, np.nan, 0.76, 0.8, 2.0, 0.0]
    values["direction_error_beams"][1, 5] = 3.0  # of whom all are lost
    scene = RisLocalization(snr_db=10.0)
    return xarray.Dataset(
        {name: (DIMS, array) for name, array in values.items()},
        {
            "elements_per_side": list(SIZES), "cycle": list(CYCLES), "estimator": list(METHODS),
            "user_field": ("user", list(FIELDS)),
        },
        {
            "scenario_class": "scenarios.ris.localization:RisLocalization", "scenario": scene.model_dump_json(),
            "axes": json.dumps({"elements_per_side": list(SIZES)}),
        },
    )  # fmt: skip


RESULTS = stored()
SAMPLES = Samples.of(RESULTS, "elements_per_side")
JUST_LOST = {n: (0.75 * 299_792_458 / 28e9 / (0.005 * n)) ** 2 / 2 for n in SIZES}


def at(point: Point, name: str, i: int, user: int) -> float:
    place = {"elements_per_side": point.x, "estimator": point.method, "cycle": CYCLES[-1]}
    return float(RESULTS[name].sel(place).isel(realization=i, user=user))


def users_of(point: Point) -> list[int]:
    return [user for user, field in enumerate(FIELDS) if field == point.field]


def error(point: Point, i: int, user: int) -> float:
    unit = {"angle": "rad2", "range": "m2"}[point.quantity]
    return at(point, f"squared_error_{point.quantity}_{unit}", i, user)


def bound(point: Point, i: int, user: int) -> float:
    unit = {"angle": "rad2", "range": "m2"}[point.quantity]
    return at(point, f"bound_{point.quantity}_{unit}", i, user)


def found(point: Point, i: int, user: int) -> bool:
    return math.isfinite(error(point, i, user)) and at(point, "direction_error_beams", i, user) <= 0.75


def sums(point: Point, others: list[Point], of: str = "error", finite: bool = False) -> list[float]:
    """Of each realization, over users found at every point; NaN where none is."""
    total = []
    for i in range(N):
        users = [user for user in users_of(point) if all(found(other, i, user) for other in others)]
        if finite:
            users = [user for user in users if math.isfinite(bound(point, i, user))]
        values = [error(point, i, user) if of == "error" else bound(point, i, user) for user in users]
        total.append(sum(values) if users else math.nan)
    return total


POINTS = [
    Point(quantity, field, method, x)
    for quantity in ("angle", "range") for field in ("near", "far") for method in METHODS for x in SIZES
]  # fmt: skip


def test_points_and_methods() -> None:
    assert set(SAMPLES.errors) == set(SAMPLES.bounds) == set(SAMPLES.directions) == set(POINTS)
    assert SAMPLES.methods == list(METHODS)
    assert Point("angle", "far", "a", 12.0).text == "a, far users, 12"
    for point in POINTS:
        assert SAMPLES.just_lost[point] == pytest.approx(JUST_LOST[point.x])
        expected = [[error(point, i, user) for user in users_of(point)] for i in range(N)]
        np.testing.assert_array_equal(SAMPLES.errors[point], expected)
        expected = [[bound(point, i, user) for user in users_of(point)] for i in range(N)]
        np.testing.assert_array_equal(SAMPLES.bounds[point], expected)


def test_of_what_else_varies_the_last_value_is_taken() -> None:
    """By cycle: of the last size, whose beams say who is just lost."""
    by_cycle = Samples.of(RESULTS, "cycle")
    for point in (point for point in POINTS if point.x == SIZES[-1]):
        for cycle in CYCLES:
            here = point._replace(x=float(cycle))
            assert by_cycle.just_lost[here] == pytest.approx(JUST_LOST[SIZES[-1]])
        np.testing.assert_array_equal(by_cycle.errors[point._replace(x=9.0)], SAMPLES.errors[point])


def test_a_curve_has_the_points_with_numbers_in_order() -> None:
    turned = Samples.of(RESULTS.isel(elements_per_side=[1, 2, 0]), "elements_per_side")
    for samples in (SAMPLES, turned):
        assert [point.x for point in samples.curve("angle", "far", "b")] == sorted(SIZES)
        assert samples.curve("range", "far", "b") == []
        assert [point.x for point in samples.curve("range", "near", "a")] == sorted(SIZES)


@pytest.mark.parametrize("one", [point for point in POINTS if (point.quantity, point.field) != ("range", "far")])
def test_what_is_compared_of_a_point(one: Point) -> None:
    other = one._replace(method={"a": "b", "b": "a"}[one.method])
    wider = one._replace(x=SIZES[SIZES.index(one.x) - 1])
    for under in (other, wider):
        compared = SAMPLES.found(one, under, REGION)
        np.testing.assert_allclose(compared.over, sums(one, [one, under]))
        np.testing.assert_allclose(compared.under, sums(under, [one, under]))
        assert (compared.where, compared.region, compared.largest) == (one.text, REGION, 0.0)
        capped = SAMPLES.bounded(one, under, REGION)
        assert capped.largest == pytest.approx(max(JUST_LOST[one.x], JUST_LOST[under.x]))
        for point, values in ((one, capped.over), (under, capped.under)):
            limit = JUST_LOST[point.x]
            expected = [
                np.mean([
                    limit if at(point, "direction_error_beams", i, user) > 0.75
                    else np.minimum(error(point, i, user), limit)
                    for user in users_of(point)
                ])
                for i in range(N)
            ]  # fmt: skip
            np.testing.assert_allclose(values, expected)
    over_bound = SAMPLES.found_over_bound(one, REGION)
    assert over_bound.where == f"RMSE, {one.text}"
    np.testing.assert_allclose(over_bound.over, sums(one, [one], finite=True))
    np.testing.assert_allclose(over_bound.under, sums(one, [one], "bound", finite=True))
    known = SAMPLES.found_over(one, 0.25, REGION)
    np.testing.assert_allclose(known.over, sums(one, [one]))
    counts = [sum(found(one, i, user) for user in users_of(one)) for i in range(N)]
    np.testing.assert_allclose(known.under, [0.25 * count if count else math.nan for count in counts])
    shares = SAMPLES.lost(one, REGION)
    off = [at(one, "direction_error_beams", i, user) for i in range(N) for user in users_of(one)]
    assert shares.where == f"lost, {one.text}"
    assert (shares.events, shares.trials) == (sum(x > 0.75 for x in off), sum(math.isfinite(x) for x in off))


def test_a_number_that_is_not_known_of_a_user_leaves_that_user_out() -> None:
    one = Point("angle", "near", "b", 24.0)
    squares = np.random.default_rng(0).uniform(1, 2, (N, 2))
    squares[0, 0], squares[1] = math.nan, math.nan
    compared = SAMPLES.found_over(one, squares, REGION)
    for i in range(N):
        kept = [k for k, user in enumerate(users_of(one)) if found(one, i, user) and math.isfinite(squares[i, k])]
        assert compared.over[i] == pytest.approx(
            sum(error(one, i, users_of(one)[k]) for k in kept) if kept else math.nan, nan_ok=True
        )
        assert compared.under[i] == pytest.approx(sum(squares[i, k] for k in kept) if kept else math.nan, nan_ok=True)
