"""The exact limit and the bound that holds, of family A's scenario: in order, at their ends, and drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import engine
from engine import Streams, Sweep
from engine.estimators import LeastSquares, Observations, PosteriorMean, Workbench
from engine.estimators.posterior_moments import moments
from engine.numerics.geometry import path_gain
from engine.numerics.leakage import leakage
from engine.numerics.noncentral_chi2 import information
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.figures import errors_against_noise
from scenarios.leakage.limits import limits_against_sensors
from scenarios.leakage.rows import summary
from scenarios.leakage.scene import Geometry
from scenarios.leakage.tables import report
from scenarios.leakage.weiss_weinstein import prepare_weiss_weinstein

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
    weiss_weinstein_nodes=120,
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


@pytest.mark.slow
def test_with_little_noise_the_bound_is_near_the_expected_cramer_rao_bound() -> None:
    """Of the same sensors, over the prior; the windows begin where all of their places are told apart."""
    loud = LeakageEstimation(n_sensors=40, noise_dbm=(-125.0,), n_snapshots=(50,))
    sensors = Geometry(*(part[:1] for part in loud.draw_geometry(Streams(0, 0), 50)))
    with threadpool_limits(1):
        found = np.array(prepare_weiss_weinstein(loud, np, 400)(sensors)).ravel()
    random, size = np.random.default_rng(1), 2000
    range_m, angle_rad = random.uniform(2, 12, size), random.uniform(math.pi / 6, 5 * math.pi / 6, size)
    table = leakage(
        loud.leakage,
        loud.array(),
        range_m=range_m[None],
        angle_rad=angle_rad[None],
        sensor_angle_rad=sensors.sensor_angle_rad,
        sensor_inverse_range_per_m=1 / sensors.sensor_range_m,
    )
    per_leakage = 2 * loud.snr()[0] * path_gain(sensors.sensor_range_m, loud.array().wavelength_m)[:, None]
    weight = 50 * per_leakage**2 * information(per_leakage * table.value)
    a, b, c = (np.sum(weight * table[i] * table[j], axis=-1)[0] for i, j in ((1, 1), (1, 2), (2, 2)))
    expected = np.mean([c / (a * c - b * b), a / (a * c - b * b)], axis=1)
    assert np.all((found > 0.5 * expected) & (found < 1.1 * expected)), found / expected


def test_the_bound_at_the_papers_settings() -> None:
    """The prior's variance where nothing is heard, and within 1.5 of the limit of 200 users of the same sensors."""
    paper = LeakageEstimation(leakage="spherical", n_sensors=20)
    sensors = paper.draw_geometry(Streams(0, 0), 50)
    sensors = Geometry(*(part[:1] for part in sensors))
    with threadpool_limits(1):
        deaf = prepare_weiss_weinstein(paper.replace(noise_dbm=(60.0,), n_snapshots=(1,)), np, 400)(sensors)
        assert deaf[0].item() == pytest.approx(100 / 12, rel=0.01)
        assert deaf[1].item() == pytest.approx((2 * math.pi / 3) ** 2 / 12, rel=0.01)
        here = paper.replace(noise_dbm=(-70.0,), n_snapshots=(1,))
        bound = prepare_weiss_weinstein(here, np, 400)(sensors)[0].item()
        places = [np.repeat(part, 200, axis=0) for part in sensors[2:]]
        drawn = here.draw(Streams(3, 0), 200)._replace(sensor_range_m=places[0], sensor_angle_rad=places[1])
        batch = Workbench(here.problem(), np).batch(Observations(here.observe(np, drawn)[2], *places))
        limit = moments(batch, here.leakage).variance.range_m
    assert bound < limit.mean() + 4 * limit.std() / math.sqrt(200)
    assert limit.mean() < 1.5 * bound


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
    assert "limit" in report(results, rows)[1].headings
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
