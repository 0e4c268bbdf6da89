"""Continuous estimators: at the Cramér-Rao bound with random and with optimised phases, and no user lost."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, angle_errors, places, trials

from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.on_grid import OnGrid
from engine.estimators.paths.reconsider import reconsidered
from engine.estimators.paths.trials import Paths, Rows, trials_of
from engine.numerics import path_information
from engine.numerics.circle_manifold import optimise
from engine.numerics.cycle_bound import objective_after
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import PHASE_THRESHOLD_RAD, departure_from_plane_rad, wave

SMALL = UniformPlanarArray(13, 13, SURFACE.spacing_m, SURFACE.wavelength_m)
LOST_RAD = 0.05


def part(cycles: Cycles, groups: Any = slice(None), some: slice = slice(None), xp: Any = np) -> Cycles:
    some_cycles = cycles.beams[groups, some], cycles.samples[groups, :, some], cycles.noise_variance[groups]
    return Cycles(*(xp.asarray(field) for field in some_cycles))


def estimate(method: PathEstimator, problem: PathProblem, *cycles: Cycles, xp: Any = np) -> PathEstimates:
    """After the last of the cycles, with an estimate after each of them."""
    observer = method.prepare(problem, xp).begin()
    for some in cycles:
        observer.observe(some)
        estimates = observer.estimate()
    return estimates


class Scene(NamedTuple):
    """Trials whose beams are chosen on the way."""

    paths: path_information.Paths
    channel: np.ndarray
    """(G, L, N)"""
    noise: np.ndarray
    """(G, C, L)"""
    phases: np.ndarray
    """random, (G, C, N)"""

    @classmethod
    def drawn(cls, n: int, snr_db: float, n_cycles: int, seed: int) -> "Scene":
        rng = np.random.default_rng(seed)
        users, scatterers = places(rng, np.arange(4) % 2 == 0, n), places(rng, np.arange(2) % 2 == 0, n)
        gain = np.exp(2j * np.pi * rng.random((n, 4)))
        echo = 0.1**0.5 * np.exp(2j * np.pi * rng.random((n, 4, 2)))
        channel = gain[..., None] * wave(SURFACE, *users) + echo @ wave(SURFACE, *scatterers)
        noise = rng.standard_normal((2, n, n_cycles, 4)) * (variance(snr_db) / 2) ** 0.5
        phases = np.exp(2j * np.pi * rng.random((n, n_cycles, SURFACE.n_elements)))
        return cls(path_information.Paths(*users, gain, *scatterers, echo), channel, noise[0] + 1j * noise[1], phases)

    def first(self, n: int) -> "Scene":
        paths = path_information.Paths(*(field[:n] for field in self.paths))
        return Scene(paths, self.channel[:n], self.noise[:n], self.phases[:n])

    def seen(self, beams: np.ndarray, first: int, snr_db: float) -> Cycles:
        samples = beams @ self.channel.swapaxes(1, 2) + self.noise[:, first : first + beams.shape[1]]
        return Cycles(beams, samples[:, None], np.full((len(beams), 1), variance(snr_db)))


def variance(snr_db: float) -> float:
    return SURFACE.n_elements / 10 ** (snr_db / 10)


def followed(
    method: PathEstimator, scene: Scene, snr_db: float, n_random: int
) -> tuple[PathEstimates, path_information.Paths, np.ndarray]:
    """The last estimates, and all beams (G, C, N): random ones, then each the best by the estimates so far."""
    observer = method.prepare(PathProblem(SURFACE, LAB, 4, 2), np).begin()
    beams = scene.phases[:, :n_random]
    observer.observe(scene.seen(beams, 0, snr_db))
    for c in range(n_random, scene.phases.shape[1]):
        paths = path_information.Paths(*(field[:, 0] for field in observer.estimate()[:8]))
        far = departure_from_plane_rad(SURFACE, *paths[:3]) < PHASE_THRESHOLD_RAD
        paths = paths._replace(inverse_range_per_m=np.maximum(paths.inverse_range_per_m, 1e-3))
        prior = path_information.weak_prior(paths.gain)
        noise = np.full(len(beams), variance(snr_db))
        objective = objective_after(SURFACE, paths, beams, noise, far=far, prior=prior)
        beam = optimise(objective, scene.phases[:, c]).beam[:, None]
        observer.observe(scene.seen(beam, c, snr_db))
        beams = np.concatenate([beams, beam], axis=1)
    return observer.estimate(), scene.paths, beams


def at_the_bound(estimates: PathEstimates, paths: path_information.Paths, beams: np.ndarray, snr_db: float) -> None:
    """Squared errors over their bounds average 1 to 1.25², and at most 1 % are lost, both within 4 standard errors."""
    covariance = path_information.path_covariance(
        SURFACE, paths, beams, np.full(len(beams), variance(snr_db)), coordinate="inverse_range"
    )
    errors = np.stack([field[:, 0] for field in estimates[:3]], axis=-1) - np.stack(paths[:3], axis=-1)
    lost = np.hypot(errors[..., 1], errors[..., 2]) > LOST_RAD
    assert np.mean(lost) <= 0.01 + 4 * (0.01 / lost.size) ** 0.5
    squared = errors**2 / path_information.variances(covariance)
    kept = squared[~lost]
    tolerance = 4 * (2 / len(kept)) ** 0.5
    for normalised in kept.mean(axis=0):
        assert 1 - tolerance < normalised < 1.25**2 + tolerance
    assert abs(np.mean(estimates.misfit)) < 4 / len(beams) ** 0.5 + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [10.0, 20.0])
def test_nomp_at_the_bound(snr_db: float) -> None:
    """20 random cycles: what 0.035 rad and five levels of range leave, the fit takes away."""
    scene = Scene.drawn(40, snr_db, 20, 1)
    at_the_bound(*followed(NewtonisedPursuit(), scene, snr_db, 20), snr_db)
    with pytest.raises(AssertionError):
        at_the_bound(*followed(OnGrid(angle_step_rad=0.035, range_step_m=1.0), scene.first(10), snr_db, 20), snr_db)


@pytest.mark.slow
@pytest.mark.parametrize(("snr_db", "n_random"), [(10.0, 13), (20.0, 12), (30.0, 12)])
def test_closed_loop_at_the_bound(snr_db: float, n_random: int) -> None:
    scene = Scene.drawn(40, snr_db, 20, 2)
    at_the_bound(*followed(ClosedLoop(), scene, snr_db, n_random), snr_db)


def test_without_noise_exact() -> None:
    """Also from the problem's own grid; a grid alone leaves 1e-3 and more."""
    problem, cycles, truth = trials(3, (200.0,), n_users=2, n_scatterers=1, surface=SMALL)
    problem = dataclasses.replace(problem, angle_step_rad=0.05, range_step_m=1.0)
    for method in (NewtonisedPursuit(enough=-1.0), NewtonisedPursuit(on_problem_grid=True), ClosedLoop()):
        estimates = estimate(method, problem, cycles)
        assert np.max(angle_errors(estimates, truth)) < 1e-6, method
        np.testing.assert_allclose(estimates.gain[:, 0], truth.gains, atol=1e-5)
        scatterers = np.stack(estimates[4:7], axis=-1)[:, 0, :, :]
        np.testing.assert_allclose(scatterers, np.stack(truth.scatterers, axis=-1), atol=1e-4)


def test_finds_no_scatterer_where_there_is_none() -> None:
    problem, cycles, _ = trials(6, (20.0,), n_users=2, n_scatterers=0, surface=SMALL)
    problem = dataclasses.replace(problem, n_scatterers=1)
    estimates = estimate(NewtonisedPursuit(), problem, cycles)
    assert np.all(np.isnan(estimates.scatterer_polar_rad))
    assert np.all(estimates.scatterer_gain == 0)
    assert np.all(np.isfinite(estimates.misfit))


UNTOLD = ClosedLoop(search=NewtonisedPursuit(most_scatterers=3, noise="estimated"), lost=0.5)


@pytest.mark.parametrize("method", [NewtonisedPursuit(), ClosedLoop(lost=0.5), UNTOLD])
def test_a_trial_does_not_depend_on_the_batch(method: PathEstimator) -> None:
    """Bit for bit, and copies that share their beams as if they did not."""
    problem, cycles, _ = trials(7, (5.0, 20.0), n_cycles=10, surface=SMALL)
    first, second = part(cycles, some=slice(0, 8)), part(cycles, some=slice(8, 10))
    whole = estimate(method, problem, first, second)
    assert np.any(whole.misfit > 0.5) or method == UNTOLD
    for groups in ([0], [5, 2]):
        alone = estimate(method, problem, part(first, groups), part(second, groups))
        for field, all_of_them in zip(alone, whole, strict=True):
            np.testing.assert_array_equal(field, all_of_them[groups])
    copy = Cycles(cycles.beams, cycles.samples[:, 1:], cycles.noise_variance[:, 1:])
    alone = estimate(method, problem, part(copy, some=slice(0, 8)), part(copy, some=slice(8, 10)))
    for field, all_of_them in zip(alone, whole, strict=True):
        np.testing.assert_array_equal(field, all_of_them[:, 1:])


def test_few_cycles() -> None:
    """Fewer samples than unknowns: an answer, but no misfit and no scatterers."""
    problem, cycles, _ = trials(3, (20.0,), n_cycles=2, surface=SMALL)
    for method in (NewtonisedPursuit(), ClosedLoop()):
        estimates = estimate(method, problem, part(cycles, some=slice(0, 1)), part(cycles, some=slice(1, 2)))
        assert np.all(np.isnan(estimates.misfit))
        assert np.all(np.isnan(estimates.scatterer_polar_rad))
        assert np.all(np.isfinite(estimates.polar_rad))
        with pytest.raises(ValueError, match="no cycles: observe some"):
            method.prepare(problem, np).begin().estimate()


def _prepared(n: int) -> tuple[JointPursuit, Any, Rows, Paths, np.ndarray]:
    problem, cycles, truth = trials(n, (20.0,), n_cycles=16, seed=3)
    pursuit = ClosedLoop().search.pursuit(problem, np)
    some = trials_of(cycles, np)
    rows = pursuit.rows(some.beams)
    some, paths = acquired(pursuit, some, rows)
    return pursuit, some, rows, paths, np.stack(truth.users, axis=-1)


def _lost(paths: Paths, truth: np.ndarray) -> np.ndarray:
    error = paths.places[:, :4] - truth
    return np.hypot(error[..., 1], error[..., 2]) > LOST_RAD


def test_a_lost_user_is_found_again() -> None:
    """Put at a wrong place, or where a scatterer is, with the scatterer in its place: a fit stays there."""
    pursuit, some, rows, paths, truth = _prepared(6)
    assert not np.any(_lost(paths, truth))
    wrong = paths.places.copy()
    wrong[:3, 1] = [0.5, 1.9, 0.4]
    wrong[3:, [2, 4]] = wrong[3:, [4, 2]]
    start = pursuit.refined(some, paths._replace(places=wrong))
    assert np.all(np.any(_lost(start, truth), axis=-1))
    assert np.all(pursuit.misfit(some, start) > 4)
    found = reconsidered(pursuit, some, rows, start)
    assert not np.any(_lost(found, truth))
    assert np.all(pursuit.misfit(some, found) < 4)


def test_on_a_gpu() -> None:
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("no CUDA GPU")
    from array_api_compat import cupy as xp

    problem, cycles, _ = trials(4, (20.0,), n_cycles=14, surface=SMALL)
    halves = slice(0, 12), slice(12, 14)
    here = estimate(ClosedLoop(), problem, *(part(cycles, some=half) for half in halves))
    there = estimate(ClosedLoop(), problem, *(part(cycles, some=half, xp=xp) for half in halves), xp=xp)
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_allclose(ours, cupy.asnumpy(theirs), rtol=1e-6, atol=1e-6)
