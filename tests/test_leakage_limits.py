"""The exact limit and the bound that holds, of family A's scenario: in order, at their ends, and drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import engine
from engine import Streams, Sweep
from engine.estimators import LeastSquares, PosteriorMean
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.figures import errors_against_noise
from scenarios.leakage.limits import limits_against_sensors
from scenarios.leakage.rows import summary
from scenarios.leakage.tables import report

QUANTITIES = ("range_m2", "angle_rad2")
SMALL = LeakageEstimation(
    n_elements=24,
    carrier_hz=28e9,
    n_sensors=9,
    user_range_min_m=0.5,
    user_range_max_m=2.5,
    sensor_range_min_m=20.0,
    sensor_range_max_m=40.0,
    noise_dbm=(-50.0, -62.0),
    n_snapshots=(3,),
    weiss_weinstein_nodes=240,
    estimators=(PosteriorMean(leakage="fresnel_closed"),),
)


def simulated(scenario: LeakageEstimation, size: int) -> dict[str, np.ndarray]:
    with threadpool_limits(1):  # as workers have it; small matrices are slower on several cores
        found = scenario.prepare(np)(scenario.draw(Streams(8, 0), size))
    return {name: values for name, (_, values, _) in found.items()}


def test_where_nothing_is_heard_all_are_the_variance_of_the_draws() -> None:
    for draw in ("uniform", "beta"):
        deaf = SMALL.replace(noise_dbm=(90.0,), user_range_draw=draw, weiss_weinstein_nodes=400)
        found = simulated(deaf, 2)
        for quantity, variance in zip(QUANTITIES, deaf.variance_of_draws(), strict=True):
            assert np.allclose(found[f"posterior_variance_{quantity}"], variance, rtol=0.01)
            assert np.allclose(found[f"weiss_weinstein_{quantity}"], variance, rtol=0.01)


def test_the_bound_lies_below_the_limit_and_near_it() -> None:
    """Paired: of the same sensors, the limit of 60 users and the bound, at two noise powers."""
    found = simulated(SMALL, 60)
    for quantity in QUANTITIES:
        limit, bound = found[f"posterior_variance_{quantity}"], found[f"weiss_weinstein_{quantity}"]
        apart = limit - bound
        assert np.all(apart.mean(axis=0) > -4 * apart.std(axis=0, ddof=1) / math.sqrt(60))
        assert np.all(bound.mean(axis=0) > 0.5 * limit.mean(axis=0))


def test_limits_are_drawn_and_tabled_and_can_be_left_out(tmp_path: Path) -> None:
    estimators = (LeastSquares(leakage="fresnel_closed"), PosteriorMean(leakage="fresnel_closed"))
    scenario = SMALL.replace(estimators=estimators, grid_ranges=12, grid_angles=20, weiss_weinstein_nodes=60)
    results = engine.run(
        Sweep(scenario, {"n_sensors": (9,)}, realizations=8, block=4, name="t"), tmp_path / "a.zarr", serial=True
    )
    rows = summary(results)
    assert all(0 < row.floor < math.inf and 0 < row.limit <= row.mse.value for row in rows)
    figure = errors_against_noise(results, rows)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"exact limit", "bound (Weiss-Weinstein)"} <= set(labels)
    assert "limit" in report(results, rows)[0].headings
    limits_against_sensors(results, rows).savefig(tmp_path / "limits.png")
    assert (tmp_path / "limits.png").stat().st_size > 10_000
    bare = simulated(scenario.replace(exact_limit=False, weiss_weinstein_nodes=0), 2)
    assert not [name for name in bare if "expected" in name or "posterior" in name or "weiss" in name]


@pytest.mark.parametrize("name", ["posterior_variance_range_m2", "weiss_weinstein_angle_rad2"])
def test_a_realizations_limits_are_replayed(name: str, tmp_path: Path) -> None:
    sweep = Sweep(SMALL.replace(weiss_weinstein_nodes=40), realizations=4, block=2, name="t")
    results = engine.run(sweep, tmp_path / "a.zarr", serial=True)
    replayed = engine.replay(tmp_path / "a.zarr", 3)
    assert np.array_equal(replayed[name].values.ravel(), results[name].isel(realization=3).values.ravel())
