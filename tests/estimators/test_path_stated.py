"""What estimates through a surface state of ranges, and of users beside a scatterer that nobody can place."""

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, trials
from test_closed_loop import estimate

from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.range_posterior import LEVELS, mean_and_quantiles
from engine.estimators.paths.spread import spread
from engine.estimators.paths.trials import Paths as FoundPaths
from engine.estimators.paths.trials import trials_of
from engine.numerics.path_information import Paths, path_covariance
from scenarios.ris.ranks import ranks


def test_mean_and_quantiles_of_weighted_values() -> None:
    """Against a loop over values in order; a value of weight one, and weights that are unknown."""
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(2, 3, 40)), rng.random((2, 3, 40)) ** 4
    weights[0, 1] = np.arange(40) == 7
    weights[1, 1, values[1, 1].argmax()], weights[1, 0, values[1, 0].argmin()] = 9.0, 9.0  # above 0.9, and below 0.3
    weights /= weights.sum(axis=-1, keepdims=True)
    weights[1, 2] = np.nan
    mean, quantiles = mean_and_quantiles(np, values, weights)
    assert np.isnan(mean[1, 2])
    assert np.isnan(quantiles[1, 2]).all()
    assert np.all(quantiles[0, 1] == values[0, 1, 7]) or np.ptp(quantiles[0, 1]) < np.ptp(values[0, 1])
    for t, u in ((0, 0), (0, 2), (1, 0), (1, 1)):
        pairs = sorted(zip(values[t, u], weights[t, u], strict=True))
        total, below = 0.0, []
        for _, weight in pairs:
            below.append(total + weight / 2)
            total += weight
        assert mean[t, u] == pytest.approx(sum(v * w for v, w in pairs), rel=1e-12)
        np.testing.assert_allclose(quantiles[t, u], np.interp(LEVELS, below, [v for v, _ in pairs]), rtol=1e-12)


def test_ranks_at_the_ends_of_the_view_and_of_posteriors_of_no_width() -> None:
    wide = np.linspace(1.0, 3.0, len(LEVELS))
    kappa = np.array([0.5, 0.75, 1.0, 2.0, 3.5, 4.0, 2.0, 0.0])
    quantiles = np.stack([*[wide] * 6, np.full(len(LEVELS), np.nan), wide])
    found = ranks(np, kappa, quantiles, (0.5, 4.0))
    np.testing.assert_allclose(found[:6], [0, 0.0125, 0.025, 0.5, 0.9875, 1], rtol=1e-12)
    assert np.isnan(found[6:]).all()  # none stated; a plane wave
    point = np.full((3, len(LEVELS)), 2.0)
    np.testing.assert_allclose(ranks(np, np.array([1.25, 2.0, 3.0]), point, (0.5, 4.0)), [0.0125, 0.975, 0.9875])


def test_a_strong_signals_range_is_as_uncertain_as_its_bound() -> None:
    """With what scatterers add, which is 4 to 30 % of the deviation here."""
    problem, cycles, _ = trials(3, (30.0,), n_cycles=16, seed=4)
    found = estimate(ClosedLoop(), problem, cycles)
    paths = Paths(*(part[:, 0] for part in found[:8]))
    arguments = SURFACE, paths, cycles.beams, cycles.noise_variance[:, 0]
    joint, held = (
        np.sqrt(path_covariance(*arguments, variant=variant, coordinate="inverse_range")[..., 0, 0])
        for variant in ("joint", "scatter_gains")
    )
    quantiles = found.inverse_range_quantiles_per_m[:, 0]
    near = (found.inverse_range_per_m[:, 0] - 1 / LAB.range_max_m) / joint > 4
    assert near.sum() >= 5
    width = (quantiles[..., -1] - quantiles[..., 0]) / (2 * 1.959964)
    np.testing.assert_allclose((width / joint)[near], 1, atol=0.12)
    assert abs(np.mean((width / joint)[near]) - 1) < 0.03 < np.mean((joint / held)[near]) - 1
    middle = (found.inverse_range_mean_per_m[:, 0] - found.inverse_range_per_m[:, 0]) / joint
    np.testing.assert_allclose(middle[near], 0, atol=0.3)  # the prior, 1/κ², adds to that


def test_users_beside_a_scatterer_that_nobody_can_place_are_as_sure_as_without_it() -> None:
    """It is there twice, in equal proportion to all users: which half is where, no sample says."""
    problem, cycles, truth = trials(2, (25.0,), n_cycles=20, seed=4)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    users, scatterers = (np.stack(part, axis=-1) for part in (truth.users, truth.scatterers))
    rng = np.random.default_rng(0)
    gain, echo = (np.exp(2j * np.pi * rng.random((2, 4, 1))) * amplitude for amplitude in (1.0, 0.3))
    energy, none = np.zeros((2, 4)), np.zeros(2)

    def covariance(share: float) -> np.ndarray:
        both = np.concatenate([echo * (1 - share), echo * share], axis=-1)
        places = np.concatenate([users, scatterers[:, :1], scatterers[:, :1]], axis=1)
        count = np.full(2, 2 if share else 1)
        places[:, 5] = places[:, 5] if share else np.nan
        paths = FoundPaths(
            places, np.concatenate([gain, both], axis=-1), energy, count, none, some.noise_variance, none, none
        )
        return spread(pursuit, some, paths).covariance

    twice, once = covariance(0.5), covariance(0.0)
    assert np.isfinite(twice).all()
    ratio = np.diagonal(twice, axis1=-2, axis2=-1) / np.diagonal(once, axis1=-2, axis2=-1)
    np.testing.assert_allclose(ratio, 1, rtol=0.01)  # of two one knows beforehand a little more than of one
