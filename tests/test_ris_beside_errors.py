"""What is stored beside errors, each alone in plain loops: next places, ranks, the plane waves' bound, who is near."""

import json
import math
from typing import Any

import numpy as np
import pytest
import xarray
from test_ris_claims import stored

from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.on_grid import OnGrid
from engine.estimators.paths.range_posterior import LEVELS
from engine.numerics.candidates import CandidateGrid
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths
from engine.numerics.plane_wave_bound import plane_wave_bound
from scenarios.ris import Method, RisLocalization
from scenarios.ris.lost import beams_rad, just_lost_rad2, lost_text, with_directions
from scenarios.ris.misjudgment import ATTRIBUTES, error_parts, nearest_place
from scenarios.ris.mismatch import NAME, Compared, assumes_plane_waves, mismatched_bounds
from scenarios.ris.protocol import Outcome
from scenarios.ris.ranks import ranks
from scenarios.ris.rows import summary
from scenarios.ris.told_apart import shares_called_near, told_apart_table


def some_grid(random: np.random.Generator, *, spherical: bool = True) -> CandidateGrid:
    """Of unequal steps; plane waves everywhere, spherical ones in some directions, and in two of them none."""
    kappas = np.array([0.0, *(1 / np.array([0.4, 0.9, 1.1, 2.6]))]) if spherical else np.zeros(1)
    allowed = random.random((4, 3, kappas.size)) < 0.6
    allowed[1, 2, 1:] = allowed[0, 0, 1:] = False
    allowed[..., 0] = True
    return CandidateGrid(np.array([1.1, 1.3, 1.75, 2.0]), np.array([-0.5, 0.1, 0.3]), kappas, allowed)


def next_of(grid: CandidateGrid, place: tuple[float, float, float]) -> tuple[float, float, float]:
    range_m, polar, azimuth = place
    i = min(range(len(grid.polar_rad)), key=lambda i: abs(grid.polar_rad[i] - polar))
    j = min(range(len(grid.azimuth_rad)), key=lambda j: abs(grid.azimuth_rad[j] - azimuth))
    ranges = [1 / kappa for kappa, there in zip(grid.inverse_range_per_m, grid.allowed[i, j], strict=True)
              if kappa > 0 and there]  # fmt: skip
    nearest = min(ranges, key=lambda one: abs(one - range_m)) if ranges else math.nan
    return nearest, float(grid.polar_rad[i]), float(grid.azimuth_rad[j])


def random_places(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return random.uniform(0.2, 3.5, shape), random.uniform(1.0, 2.1, shape), random.uniform(-0.6, 0.5, shape)


@pytest.mark.parametrize("spherical", [True, False])
def test_next_places_and_both_parts_of_an_error_on_a_grid_of_unequal_steps(spherical: bool) -> None:
    random = np.random.default_rng(3)
    grid = some_grid(random, spherical=spherical)
    truth, estimate = random_places(random, (30, 4)), random_places(random, (30, 2, 3, 4))
    plane = random.random((30, 4)) < 0.3
    found = error_parts(np, grid, truth, estimate, plane)
    nearest = nearest_place(np, grid, truth)
    assert list(found) == list(ATTRIBUTES)
    seen = set()
    for trial, user in np.ndindex(30, 4):
        true = tuple(float(part[trial, user]) for part in truth)
        place = next_of(grid, true)  # type: ignore[arg-type]
        np.testing.assert_array_equal([part[trial, user] for part in nearest], place)
        seen.add(math.isnan(place[0]))
        for level, r in np.ndindex(2, 3):
            at = (trial, level, r, user)
            told = [float(part[at]) for part in estimate]
            apart = [(a - b) ** 2 for a, b in zip(true, place, strict=True)]
            judged = [(a - b) ** 2 for a, b in zip(told, place, strict=True)]
            in_range = (math.nan, math.nan) if plane[trial, user] else (apart[0], judged[0])
            expected = (sum(apart[1:]) / 2, sum(judged[1:]) / 2, *in_range)
            np.testing.assert_allclose([found[name][at] for name in ATTRIBUTES], expected, rtol=1e-12)
    assert seen == ({True, False} if spherical else {True})
    nothing = error_parts(np, None, truth, estimate, plane)
    assert list(nothing) == list(ATTRIBUTES)
    assert all(values.shape == (30, 2, 3, 4) and np.isnan(values).all() for values in nothing.values())


def test_ranks_segment_by_segment() -> None:
    """Between quantiles the mass is spread evenly; where two are one number, all of theirs is at it."""
    random = np.random.default_rng(8)
    low, high = 0.1, 5.0
    quantiles = np.sort(random.uniform(low, high, (40, 3, len(LEVELS))), axis=-1)
    quantiles[:, 1, 4:9] = quantiles[:, 1, 4:5]
    quantiles[:, 2, :6] = low
    quantiles[:3, :, -3:] = high
    kappa = random.uniform(low, high, (40, 3))
    kappa[::4, 1] = quantiles[::4, 1, 4]
    kappa[5], kappa[6], kappa[7] = low, high, 0.0
    kappa[8], kappa[9] = 0.05, 7.0  # beyond all that is in view
    quantiles[11] = np.nan
    found = ranks(np, kappa, quantiles, (low, high))
    steps = [0.025, 0.025, *[0.05] * 18, 0.025, 0.025]
    for at in np.ndindex(40, 3):
        knots = [low, *quantiles[at], high]
        below = 0.0
        for mass, start, end in zip(steps, knots[:-1], knots[1:], strict=True):
            if kappa[at] >= end:
                below += mass
            elif kappa[at] > start:
                below += mass * (kappa[at] - start) / (end - start)
        unknown = at[0] in (7, 11)
        assert found[at] == pytest.approx(math.nan if unknown else below, nan_ok=True, abs=1e-12)


def method(estimator: Any) -> Method:
    return Method(estimator=estimator, phases="random")


def test_whose_waves_are_plane() -> None:
    named, unnamed = method(OnGrid(model="ff")), method(OnGrid())
    assert [assumes_plane_waves(named, model) for model in ("ff", "nf", "hybrid")] == [True] * 3
    assert [assumes_plane_waves(unnamed, model) for model in ("ff", "nf", "hybrid")] == [True, False, False]
    assert not assumes_plane_waves(method(OnGrid(model="nf")), "ff")
    assert assumes_plane_waves(method(AtomicNorm()), "nf")
    assert not assumes_plane_waves(method(ApproximateML()), "ff")


@pytest.mark.parametrize("levels", [1, 2])
def test_the_plane_waves_bound_is_of_each_users_own_beams_and_noise(levels: int) -> None:
    """levels: whether beams are the same at every ratio, as random ones are."""
    random = np.random.default_rng(5)
    surface = UniformPlanarArray(4, 3, 0.005, 0.0107)
    places = [random.uniform(low, high, (3, 2)) for low, high in ((1.0, 4.0), (1.2, 1.9), (-0.4, 0.4))]
    gain = np.exp(2j * np.pi * random.random((3, 2)))
    none = np.zeros((3, 0))
    paths = Paths(*places, gain, none, none, none, np.zeros((3, 2, 0), dtype=complex))  # type: ignore[call-arg]
    outcomes = [Outcome([], np.exp(2j * np.pi * random.random((3, levels, 9, surface.n_elements)))) for _ in range(3)]
    methods = (method(OnGrid()), method(AtomicNorm()), method(OnGrid(model="ff")))
    noise = random.uniform(0.5, 2.0, (3, 2))
    compared = Compared(surface, methods, "hybrid", (7, 9))
    dims, found, _ = mismatched_bounds(compared, paths, outcomes, noise, np)[NAME]
    assert dims == ("realization", "estimator", "snr_db", "cycle", "user")
    assert found.shape == (3, 3, 2, 2, 2)
    assert np.isnan(found[:, 0]).all()
    for trial, m, level, r, user in np.ndindex(3, 2, 2, 2, 2):
        if (trial + m + level + r + user) % 2:  # half of them, every index with every other
            continue
        beams = outcomes[1 + m].beams[trial, min(level, levels - 1), : (7, 9)[r]]
        kappa, polar, azimuth, own = (part[trial, user].reshape(1, 1) for part in (*places, gain))
        one = plane_wave_bound(
            surface, beams[None], inverse_range_per_m=kappa, polar_rad=polar, azimuth_rad=azimuth, gain=own
        )
        squares = [one.bias_rad[0, 0, i] ** 2 + noise[trial, level] * one.covariance_rad2[0, 0, i, i] for i in (0, 1)]
        assert found[trial, 1 + m, level, r, user] == pytest.approx(sum(squares) / 2, rel=1e-6)


def test_shares_called_near_are_counts_and_users_without_a_label_none() -> None:
    random = np.random.default_rng(9)
    values = (random.random((3, 2, 2, 40, 4)) < 0.35).astype(float)  # cycles, ratios, methods, realizations, users
    values[:, 1, 0, :10, 1] = np.nan
    values[-1, 0, 1][:, [0, 2]] = np.nan
    users = ["near", "far", "near", "far"]
    data = xarray.Dataset(
        {"labelled_near": (("cycle", "snr_db", "estimator", "realization", "user"), values)},
        {"cycle": [2, 5, 9], "snr_db": [12.5, -4.0], "estimator": ["z", "b"], "user_field": ("user", users)},
    )
    found = {(one.x, one.method, one.field): one for one in shares_called_near(data, "snr_db")}
    expected = {}
    for level, snr_db in enumerate((12.5, -4.0)):
        for m, name in enumerate("zb"):
            for f, field in enumerate(("near", "far")):
                here = values[2, level, m, :, f::2]
                known = here[np.isfinite(here)]
                if known.size:
                    expected[snr_db, name, field] = (known.size, known.mean())
    assert {key: (one.users, pytest.approx(one.near.value)) for key, one in found.items()} == expected
    assert len(found) == 7
    table = told_apart_table(data, "snr_db")
    assert [row[:2] for row in table.rows] == [("-4", "z"), ("-4", "b"), ("12.5", "z"), ("12.5", "b")]
    for row in table.rows:
        for cell, field in zip(row[2:], ("near", "far"), strict=True):
            one = found.get((float(row[0]), row[1], field))
            if one is None:
                assert cell == "–"
                continue
            value, low, high = (100 * end for end in one.near)
            assert low < value < high
            assert cell == f"{value:.0f} % ({low:.0f}–{high:.0f})"
            # Wilson's interval, where users count as independent.
            share, n, z = expected[float(row[0]), row[1], field][1], one.users, 1.959964
            half = z * math.sqrt(share * (1 - share) / n + z * z / 4 / n / n) / (1 + z * z / n)
            assert high - low == pytest.approx(200 * half, rel=0.1)


def test_rows_are_of_one_fields_users() -> None:
    results = stored("snr_db", (10.0, 20.0), lambda q, f, m, x: 1e-3 * (3 if f == "near" else 1), ("NOMP",), n=50)
    results["lost_probability"] = 0 * results.squared_error_angle_rad2
    found = {(row.group, row.quantity, row.point["snr_db"]): row for row in summary(results)}
    assert len(found) == 8
    for (field, quantity, snr_db), row in found.items():
        name = "squared_error_angle_rad2" if quantity == "angle" else "squared_error_range_m2"
        users = [0, 2] if field == "near" else [1, 3]
        values = results[name].sel(snr_db=snr_db, estimator="NOMP").values[:, users]
        assert row.mse.value == pytest.approx(values.mean())
        assert row.samples == 100


def test_beams_of_every_surface_of_a_run() -> None:
    """Along all axes that change the surface and no others: the mean of both sides' widths, as the product has it."""
    scene = RisLocalization(elements_per_side=16, spacing_m=0.004, snr_db=(10.0,))
    axes = {"carrier_hz": [24e9, 30e9], "angle_step_rad": [0.02, 0.03], "elements_upwards": [8, 12, 20]}
    dims = ("carrier_hz", "angle_step_rad", "elements_upwards", "user")
    errors = np.random.default_rng(0).random((2, 2, 3, 5))
    results = xarray.Dataset(
        {"squared_error_angle_rad2": (dims, errors)}, axes,
        {"scenario_class": "scenarios.ris.localization:RisLocalization", "scenario": scene.model_dump_json(),
         "axes": json.dumps(axes)},
    )  # fmt: skip
    widths, just = beams_rad(results), just_lost_rad2(results)
    assert set(widths.dims) == {"carrier_hz", "elements_upwards"}
    directions = with_directions(results).direction_error_beams.transpose(*dims).values
    for i, carrier_hz in enumerate(axes["carrier_hz"]):
        for k, upwards in enumerate(axes["elements_upwards"]):
            both = [299_792_458 / carrier_hz / (n * 0.004) for n in (16, upwards)]
            at = {"carrier_hz": carrier_hz, "elements_upwards": upwards}
            assert float(widths.sel(at)) == pytest.approx(math.sqrt(both[0] * both[1]))
            assert float(just.sel(at)) == pytest.approx(0.75**2 * both[0] * both[1] / 2)
            expected = np.sqrt(2 * errors[i, :, k] / both[0] / both[1])
            np.testing.assert_allclose(directions[i, :, k], expected)
    low, high = (
        0.75 * 299_792_458 / hz / 0.004 / math.sqrt(16 * n) for hz, n in ((30e9, 20), (24e9, 8))
    )  # fmt: skip
    text = "a direction wrong by more than 0.75 of a beam's width λ/(n d), {} rad straight ahead"
    assert lost_text(results) == text.format(f"{high:.2g} to {low:.2g}")
    alone = results.assign_attrs(axes="{}")
    square = 0.75 * 299_792_458 / 28e9 / 0.004 / 16
    assert lost_text(alone) == text.format(f"{square:.2g}")
    told = results.assign(direction_error_beams=results.squared_error_angle_rad2)
    assert with_directions(told) is told
