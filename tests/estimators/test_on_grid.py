"""The on-grid method: equal to Algorithm 1 written plainly, exact where it can be, and at the known errors."""

import math
from typing import Any

import array_api_strict
import numpy as np
import pytest
from ris_trials import LAB, SURFACE, angle_errors, inlier_rmse, trials

from engine.estimators.paths import Cycles, PathEstimates, PathProblem
from engine.estimators.paths.on_grid import GridLocalizer, OnGrid
from engine.numerics.candidates import Candidates, FieldModel, field_grid
from engine.numerics.dictionary import Dictionary
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.pursuit import Algorithm1
from engine.numerics.wavefront import wave
from jobs.benchmarks import ris_literal

SMALL = UniformPlanarArray(13, 13, SURFACE.spacing_m, SURFACE.wavelength_m)


def estimate(method: OnGrid, problem: PathProblem, cycles: Cycles, xp: Any = np) -> PathEstimates:
    observer = method.prepare(problem, xp).begin()
    observer.observe(cycles)
    return observer.estimate()


def part(cycles: Cycles, groups: slice, some: slice) -> Cycles:
    return Cycles(cycles.beams[groups, some], cycles.samples[groups, :, some], cycles.noise_variance[groups])


@pytest.mark.parametrize(("model", "n_scatterers"), [("hybrid", 2), ("hybrid", 0), ("nf", 1), ("ff", 2)])
def test_as_written_plainly(model: FieldModel, n_scatterers: int) -> None:
    """Cycle by cycle, and with the rows so far kept, the same winners as with everything computed anew."""
    problem, cycles, _ = trials(6, (5.0, 15.0), n_cycles=12, n_scatterers=n_scatterers, surface=SMALL)
    grid = field_grid(SMALL, LAB, model, angle_step_rad=0.06, range_step_m=0.5)
    places = grid.candidates()
    atoms = [ris_literal.waves(SMALL, places)] * problem.n_users
    observer = OnGrid(model=model, angle_step_rad=0.06, range_step_m=0.5).prepare(problem, np).begin()
    observer.observe(part(cycles, slice(None), slice(0, 9)))
    for n_cycles in range(9, 13):
        if n_cycles > 9:
            observer.observe(part(cycles, slice(None), slice(n_cycles - 1, n_cycles)))
        ours = observer.estimate()
        for g, s in np.ndindex(*ours.misfit.shape):
            samples = cycles.samples[g, s, :n_cycles]
            plain = ris_literal.localize(atoms, cycles.beams[g, :n_cycles], samples, n_scatterers, n_cycles)[0]
            for user, value in zip(plain.users, zip(*(field[g, s] for field in ours[:3]), strict=True), strict=True):
                assert value == tuple(axis[user] for axis in places)
            for axis, field in zip(places, ours[4:7], strict=True):
                np.testing.assert_array_equal(field[g, s], axis[plain.scatterers])
            np.testing.assert_allclose(ours.gain[g, s], plain.gains, rtol=1e-9)
            np.testing.assert_allclose(ours.scatterer_gain[g, s], plain.scatterer_gains, rtol=1e-7)


def test_a_trial_does_not_depend_on_the_batch() -> None:
    problem, cycles, _ = trials(5, (10.0,), surface=SMALL)
    method = OnGrid(angle_step_rad=0.05)
    whole = estimate(method, problem, cycles)
    for groups in (slice(0, 1), slice(3, 5)):
        for field, alone in zip(whole, estimate(method, problem, part(cycles, groups, slice(None))), strict=True):
            np.testing.assert_array_equal(alone, field[groups])
    backwards = Cycles(*(field[::-1] for field in cycles))
    for field, turned in zip(whole, estimate(method, problem, backwards), strict=True):
        np.testing.assert_array_equal(turned, field[::-1])


def test_copies_share_their_rows() -> None:
    """Noise levels of one trial, estimated together or one at a time."""
    problem, cycles, _ = trials(3, (0.0, 10.0, 20.0), surface=SMALL)
    method = OnGrid(angle_step_rad=0.05)
    together = estimate(method, problem, cycles)
    for s in range(3):
        alone = Cycles(cycles.beams, cycles.samples[:, s : s + 1], cycles.noise_variance[:, s : s + 1])
        for field, one in zip(together, estimate(method, problem, alone), strict=True):
            np.testing.assert_allclose(one[:, 0], field[:, s], rtol=1e-9, atol=1e-9)


def test_other_namespaces_find_the_same() -> None:
    problem, cycles, _ = trials(2, (5.0, 15.0), n_cycles=12, surface=SMALL)
    method = OnGrid(angle_step_rad=0.08, noise_sigmas=3.0)
    ours = estimate(method, problem, cycles)
    strict = estimate(method, problem, Cycles(*(array_api_strict.asarray(field) for field in cycles)), array_api_strict)
    for field, other in zip(ours, strict, strict=True):
        np.testing.assert_allclose(np.asarray(other), field, rtol=1e-9, atol=1e-9)


def test_the_noise_test_stops_the_search() -> None:
    """No scatterers: the test finds none, without it all are "found"; at 20 dB it keeps them."""
    tested, untested = (OnGrid(angle_step_rad=0.03, noise_sigmas=sigmas) for sigmas in (3.0, None))
    problem, cycles, _ = trials(8, (-3.0,), n_scatterers=0, surface=SMALL)
    problem = PathProblem(problem.surface, problem.view, problem.n_users, 2)
    stopped, went_on = estimate(tested, problem, cycles), estimate(untested, problem, cycles)
    assert np.isnan(stopped.scatterer_polar_rad).all()
    assert not stopped.scatterer_gain.any()
    assert np.isfinite(went_on.scatterer_polar_rad).all()
    assert np.all(np.abs(stopped.misfit) < 5)
    problem, cycles, _ = trials(8, (20.0,), surface=SMALL)
    assert np.isfinite(estimate(tested, problem, cycles).scatterer_polar_rad).all()
    some = OnGrid(angle_step_rad=0.03, residual_fraction=0.9)  # ε: nine tenths of the samples' energy is never left
    assert np.isnan(estimate(some, problem, cycles).scatterer_polar_rad).all()


def test_without_noise_users_on_the_grid_are_found() -> None:
    """Specification 4.1: angles always; ranges always without scatterers, as Algorithm 1 is exact only then."""
    grid = field_grid(SURFACE, LAB, "hybrid", angle_step_rad=0.03, range_step_m=0.25)
    dictionary = Dictionary(SURFACE, grid, np)
    misses = []
    for n_scatterers in (0, 1, 2):
        cycles, places = on_grid_trials(grid.candidates(), 30, n_scatterers)
        observer = GridLocalizer(Algorithm1(dictionary, n_scatterers)).begin()
        observer.observe(cycles)
        found = observer.estimate()
        np.testing.assert_allclose(found.polar_rad[:, 0], places[1], rtol=1e-14)
        np.testing.assert_allclose(found.azimuth_rad[:, 0], places[2], atol=1e-14)
        misses.append(int(np.sum(np.abs(found.inverse_range_per_m[:, 0, 0] - places[0][:, 0]) > 1e-12)))
    assert misses[0] == 0
    for missed, expected in zip(misses[1:], (10, 17), strict=True):  # of 30, theirs and ours drawn differently
        assert missed > 0
        assert abs(missed - expected) < 4 * math.sqrt(2 * expected * (1 - expected / 30))


def on_grid_trials(candidates: Candidates, n: int, n_scatterers: int) -> tuple[Cycles, list[np.ndarray]]:
    """A near and a far user and scatterers, all at candidates, no noise; and the users' κ, θ, φ."""
    rng = np.random.default_rng(7)
    near = np.flatnonzero(candidates.inverse_range_per_m > 0)
    far = np.flatnonzero(candidates.inverse_range_per_m == 0)
    users = np.stack([rng.choice(near, n), rng.choice(far, n)], axis=-1)
    scatterers = rng.choice(near, (n, n_scatterers))
    gains = np.exp(2j * np.pi * rng.random((n, 2)))
    echoes = math.sqrt(0.1) * np.exp(2j * np.pi * rng.random((n, 2, n_scatterers)))
    places, echo_places = ([axis[index] for axis in candidates] for index in (users, scatterers))
    channel = gains[..., None] * wave(SURFACE, *places) + echoes @ wave(SURFACE, *echo_places)
    beams = np.exp(2j * np.pi * rng.random((n, 20, SURFACE.n_elements)))
    cycles = Cycles(beams, (beams @ np.moveaxis(channel, 1, 2))[:, None], np.full((n, 1), 1e-6))
    return cycles, places


@pytest.mark.slow
def test_known_errors() -> None:
    """Specification 4.2, random phases, 10 and 20 dB: inliers .0071/.0071 and .0066/.0063, no outliers."""
    problem, cycles, truth = trials(32, (10.0, 20.0), seed=2)
    errors = angle_errors(estimate(OnGrid(), problem, cycles), truth)
    assert errors.max() < 0.05
    for s, expected in enumerate(((0.0071, 0.0071), (0.0066, 0.0063))):
        for kind in (0, 1):
            # The specification's 8 % for a standard error at 64 trials is generous: 1/√(4n) of n = 128 errors is 4 %.
            assert inlier_rmse(errors[:, s, kind::2]) == pytest.approx(expected[kind], rel=4 * 0.08)
    without_norms = angle_errors(estimate(OnGrid(normalize=False), problem, cycles), truth)
    assert inlier_rmse(without_norms) > 1.3 * inlier_rmse(errors)
    assert (without_norms > 0.05).any()
