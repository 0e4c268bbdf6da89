"""The joint fit: exact without noise, its derivatives against differences, compiled as on arrays, χ² at the truth."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
from acceptance_scene import PATHS, SURFACE, beams

from engine.numerics import path_fit
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_fit import PathFit, fit_paths
from engine.numerics.path_projection import project, responses
from engine.numerics.pursuit import degrees_of_freedom
from engine.numerics.wavefront import wavefront

BOUNDS = np.array([[0.0, 0.8, -0.8], [4.0, 2.3, 0.8]])
PLACES = np.concatenate([np.stack(PATHS[:3], axis=-1), np.stack(PATHS[4:7], axis=-1)])[None]
GAIN = np.concatenate([PATHS.gain[:, None], PATHS.scatterer_gain], axis=-1)
START = PLACES * np.array([[1.1], [0.8], [1.1]]) ** np.array([1, 0, 0]) + np.array([0.0, 0.01, -0.008])
NOTHING_KNOWN = np.zeros(1), np.zeros(1)
SMALL = UniformPlanarArray(9, 8, SURFACE.spacing_m, SURFACE.wavelength_m)


def received(array: UniformPlanarArray, beams: np.ndarray, places: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Samples without noise, (T, L, C); beams (T, C, N), places (T, L + K, 3), gain (T, L, 1 + K)."""
    n_users = gain.shape[1]
    responses_of_all = responses(array, beams, places)
    return gain[..., :1] * responses_of_all[:, :n_users] + gain[..., 1:] @ responses_of_all[:, n_users:]


def read_only(*parts: np.ndarray) -> list[np.ndarray]:
    for part in parts:
        part.setflags(write=False)
    return list(parts)


def some_trials(n: int, seed: int = 1, n_scatterers: int = 2) -> tuple[np.ndarray, ...]:
    """Beams of every second trial, groups, samples and truth at a small surface: 3 users, 12 cycles, σ² = 1."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.1, 1.1, -0.5]), np.array([1.9, 2.0, 0.5])
    places = rng.uniform(low, high, (n, 3 + n_scatterers, 3))
    gain = np.exp(2j * np.pi * rng.random((n, 3, 1 + n_scatterers))) * ([2.0] + [0.8] * n_scatterers)
    group = np.arange(n) // 2
    beams = np.exp(2j * np.pi * rng.random((group[-1] + 1, 12, SMALL.n_elements)))
    noise = rng.standard_normal((2, n, 3, 12)) * 0.5**0.5
    samples = received(SMALL, beams[group], places, gain) + noise[0] + 1j * noise[1]
    return *read_only(beams, group, samples), places


@pytest.mark.parametrize("arrays", [False, True])
def test_recovers_without_noise(arrays: bool) -> None:
    """From (κ·1.1/.8/1.1, +.01, −.008) to the truth; reached 1e-15."""
    everything = beams()[None]
    samples = received(SURFACE, everything, PLACES, GAIN[None])
    inputs = SURFACE, *read_only(everything, np.zeros(1, dtype=int), samples, START.copy(), BOUNDS.copy())
    fit = (
        path_fit._fit_arrays(*inputs, 0.0, 60, *NOTHING_KNOWN)
        if arrays
        else fit_paths(*inputs, tolerance=0.0, most_steps=60)
    )
    np.testing.assert_allclose(fit.places, PLACES, atol=1e-13)
    np.testing.assert_allclose(fit.gain[0], GAIN, atol=1e-12)
    waves = wavefront(SURFACE, *(fit.places[0, :, i] for i in range(3)))[0]
    np.testing.assert_allclose(fit.received[0], waves @ everything[0].T, rtol=1e-10, atol=1e-10)
    assert np.sum(fit.energy) < 1e-20 * np.sum(np.abs(samples) ** 2)
    assert np.max(np.abs(fit_paths(*inputs, most_steps=4).places - PLACES)) > 1e-13  # the test can fail


def _differences(values: Any, places: np.ndarray) -> np.ndarray:
    """Central, by each coordinate of each path: (3P, ...)."""
    slopes = []
    for a in range(places[0].size):
        step = np.zeros(places[0].size)
        step[a] = 1e-6
        step = step.reshape(places.shape)
        slopes.append((values(places + step) - values(places - step)) / 2e-6)
    return np.stack(slopes)


def test_derivatives() -> None:
    """The gradient anywhere; Kaufman's Jacobian where there is no residual, as it leaves out what is proportional."""
    everything = beams()[None]
    samples = received(SURFACE, everything, PLACES, GAIN[None])

    def residual(places: np.ndarray) -> np.ndarray:
        return project(responses(SURFACE, everything, places), samples).residual[0]

    def energy(places: np.ndarray) -> np.ndarray:
        return np.sum(np.abs(residual(places)) ** 2)

    gradient = path_fit._linearised(SURFACE, everything, samples, START, *NOTHING_KNOWN)[2][0]
    np.testing.assert_allclose(gradient, _differences(energy, START) / 2, rtol=1e-6, atol=1e-6 * abs(gradient).max())
    front = wavefront(SURFACE, PLACES[..., 0], PLACES[..., 1], PLACES[..., 2])
    responses_and_slopes = [part @ everything.swapaxes(1, 2) for part in front]
    fit = project(responses_and_slopes[0], samples)
    slopes = np.stack(responses_and_slopes[1:], axis=2)
    expected = _differences(residual, PLACES)
    for user in range(2):
        jacobian = path_fit._jacobian(fit, slopes, user)[0]
        np.testing.assert_allclose(jacobian, expected[:, user], atol=1e-7 * abs(jacobian).max())


def test_projection_is_least_squares() -> None:
    """As by singular values, user by user; a path inside the others' span gets no gain."""
    everything, group, samples, places = some_trials(4)
    columns = responses(SMALL, everything[group], places)
    fit = project(columns, samples)
    for t, u in np.ndindex(4, 3):
        mine = columns[t, [u, 3, 4]].T
        gain, energy, *_ = np.linalg.lstsq(mine, samples[t, u])
        np.testing.assert_allclose(fit.gain[t, u], gain, rtol=1e-10)
        np.testing.assert_allclose(fit.energy[t, u], energy[0], rtol=1e-10)
    twice = project(columns[:, [0, 1, 2, 3, 3]], samples)
    np.testing.assert_allclose(twice.energy, project(columns[:, [0, 1, 2, 3]], samples).energy, rtol=1e-10)
    assert np.all(np.isfinite(twice.gain))


def close(ours: PathFit, theirs: Any) -> None:
    """Rounding apart: reached 1e-14, with a first step from the same place."""
    for name, mine, other in zip(PathFit._fields, ours, theirs, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("n_scatterers", [0, 1, 2])
def test_compiled_as_on_arrays(n_scatterers: int) -> None:
    everything, group, samples, places = some_trials(12, n_scatterers=n_scatterers)
    inputs = SMALL, everything, group, samples, *read_only(places + np.array([0.05, 0.02, -0.02]), BOUNDS.copy())
    compiled = fit_paths(*inputs)
    close(compiled, path_fit._fit_arrays(*inputs, 1e-6, 50, np.zeros(len(inputs[3])), np.zeros(len(inputs[3]))))
    assert 2 < np.mean(compiled.steps) < 50
    few = fit_paths(SMALL, *strict(everything, group[:3], samples[:3], inputs[4][:3], BOUNDS))
    close(PathFit(*(part[:3] for part in compiled)), few)


def strict(*parts: np.ndarray) -> list[Any]:
    return [array_api_strict.asarray(part) for part in parts]


def minus_log_likelihood(
    beams: np.ndarray, samples: np.ndarray, places: np.ndarray, variances: tuple[float, float]
) -> float:
    """Of one trial, up to a constant: samples (L, C) with covariance s² + v S Sᴴ, scattered gains integrated out, and
    direct ones, of a flat prior, too. variances: v, s²; beams (C, N), places (L + K, 3)."""
    (gain_variance, noise), n_users = variances, samples.shape[0]
    waves = wavefront(SMALL, *(places[:, i] for i in range(3)))[0]
    columns = (waves @ beams.T).T  # (C, L + K)
    scattered = columns[:, n_users:]
    covariance = noise * np.eye(len(columns)) + gain_variance * scattered @ scattered.conj().T
    precision = np.linalg.inv(covariance)
    total = 0.0
    for user in range(n_users):
        own, seen = columns[:, user], samples[user]
        information = (own.conj() @ precision @ own).real
        onto = own.conj() @ precision @ seen
        total += (seen.conj() @ precision @ seen).real - abs(onto) ** 2 / information
        total += np.linalg.slogdet(covariance)[1] + np.log(information)
    return total


@pytest.mark.parametrize("n_scatterers", [0, 1, 3])
def test_what_is_minimised_is_the_likelihood_and_its_gradient(n_scatterers: int) -> None:
    """Anywhere, times −s²: the value up to a constant of the trial, half of the gradient by differences."""
    everything, group, samples, places = some_trials(4, seed=6, n_scatterers=n_scatterers)
    own = everything[group]
    gain_variance, noise = np.array([0.3, 2.0, 0.05, 1.0]), np.array([1.0, 0.5, 2.0, 3.0])
    others = places + np.array([0.1, 0.05, -0.04])
    here, there = (
        path_fit._linearised(SMALL, own, samples, at, noise / gain_variance, noise) for at in (places, others)
    )
    for t in range(4):

        def value(at: np.ndarray, t: int = t) -> float:
            known = gain_variance[t], noise[t]
            return noise[t] * minus_log_likelihood(own[t], samples[t], at[0], known)

        assert there[-1][t] - here[-1][t] == pytest.approx(value(others[t : t + 1]) - value(places[t : t + 1]))
        slopes = _differences(value, places[t : t + 1]) / 2
        np.testing.assert_allclose(here[2][t], slopes, rtol=1e-5, atol=1e-6 * abs(slopes).max())


@pytest.mark.parametrize("n_scatterers", [1, 2, 3])
def test_known_power_is_the_likelihoods_maximum(n_scatterers: int) -> None:
    """Its derivatives by differences are zero, in units of the curvature, where those of least squares are not."""
    everything, group, samples, places = some_trials(6, seed=4, n_scatterers=n_scatterers)
    gain_variance, noise = 0.32, np.full(6, 1.0)
    known: dict[str, Any] = {"ridge": noise / gain_variance, "noise": noise}
    fit = fit_paths(SMALL, everything, group, samples, places, BOUNDS, tolerance=1e-12, most_steps=300, **known)
    bare = fit_paths(SMALL, everything, group, samples, places, BOUNDS, tolerance=1e-12, most_steps=300)
    steepest = {"known": 0.0, "bare": 0.0}
    for trial in range(6):
        for name, found in (("known", fit.places[trial]), ("bare", bare.places[trial])):
            for path in range(found.shape[0]):
                for axis in range(3):
                    if not BOUNDS[0, axis] + 1e-3 < found[path, axis] < BOUNDS[1, axis] - 1e-3:
                        continue
                    step = np.zeros_like(found)
                    step[path, axis] = (1e-3, 1e-4, 1e-4)[axis]
                    here, up, down = (
                        minus_log_likelihood(everything[group[trial]], samples[trial], at, (gain_variance, 1.0))
                        for at in (found, found + step, found - step)
                    )
                    curvature = max((up + down - 2 * here) / step[path, axis] ** 2, 1e-3)
                    slope = (up - down) / (2 * step[path, axis])
                    steepest[name] = max(steepest[name], abs(slope) / np.sqrt(curvature))
    assert steepest["known"] < 2e-3
    assert steepest["bare"] > 0.05
    np.testing.assert_allclose(
        fit.energy, project(responses(SMALL, everything[group], fit.places), samples).energy, rtol=1e-9
    )


@pytest.mark.parametrize("n_scatterers", [0, 1, 2])
def test_known_power_compiled_as_on_arrays(n_scatterers: int) -> None:
    everything, group, samples, places = some_trials(12, n_scatterers=n_scatterers)
    inputs = SMALL, everything, group, samples, *read_only(places + np.array([0.05, 0.02, -0.02]), BOUNDS.copy())
    ridge, noise = read_only(np.linspace(0.5, 4.0, 12), np.linspace(0.5, 2.0, 12) * (np.arange(12) % 4 > 0))
    compiled = fit_paths(*inputs, ridge=ridge, noise=noise)
    arrays = path_fit._fit_arrays(*inputs, 1e-6, 50, ridge, noise)
    close(compiled, arrays)
    few = fit_paths(
        SMALL,
        *strict(everything, group, samples, *inputs[4:]),
        **dict(zip(("ridge", "noise"), strict(ridge, noise), strict=True)),
    )
    close(compiled, few)
    alone = fit_paths(
        SMALL, everything, group[3:5], samples[3:5], inputs[4][3:5], BOUNDS, ridge=ridge[3:5], noise=noise[3:5]
    )
    assert all(np.array_equal(a, b[3:5]) for a, b in zip(alone, compiled, strict=True))
    if n_scatterers:
        assert np.max(np.abs(compiled.places - fit_paths(*inputs).places)) > 1e-3


def test_steps_that_do_not_help_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From anywhere, compiled as on arrays, the first step as well: no fit ends less likely than it began."""
    everything, group, samples, places = some_trials(12, n_scatterers=2)
    start = np.random.default_rng(4).uniform(*BOUNDS, places.shape)
    tried, failed = path_fit._tried, [0, 0]

    def counted(array: Any, state: Any, step: Any, bounds: Any) -> Any:
        after = tried(array, state, step, bounds)
        for first in after.steps[after.damping > state.damping] == 1:
            failed[int(first)] += 1
        return after

    monkeypatch.setattr(path_fit, "_tried", counted)
    inputs = SMALL, everything, group, samples, *read_only(start, BOUNDS.copy())
    gain_variance, noise = 0.4, np.full(12, 1.3)
    ridge, noise = read_only(noise / gain_variance, noise)
    compiled = fit_paths(*inputs, ridge=ridge, noise=noise)
    close(compiled, path_fit._fit_arrays(*inputs, 1e-6, 50, ridge, noise))
    assert min(failed) > 1
    for t in range(12):
        begun, ended = (
            minus_log_likelihood(everything[group[t]], samples[t], at, (gain_variance, 1.3))
            for at in (start[t], compiled.places[t])
        )
        assert ended < begun


def test_scatterers_may_begin_in_one_place() -> None:
    """Where nothing is known of gains; the second is of no use then, and stays until the first has left it."""
    everything, group, samples, places = some_trials(6, n_scatterers=2)
    places[:, 4] = places[:, 3]
    start = places + np.array([0.05, 0.02, -0.02])
    known = np.array([0.0, 2.0, 0, 0, 0, 0])  # of the second trial alone, where the ridge keeps columns apart
    inputs = SMALL, *read_only(everything, group, samples, start, BOUNDS.copy())
    once = fit_paths(SMALL, everything, group, samples, start[:, :4], BOUNDS)
    for fit in (fit_paths(*inputs, ridge=known, noise=known), path_fit._fit_arrays(*inputs, 1e-6, 50, known, known)):
        assert np.all(np.isfinite(fit.gain))
        assert np.all((fit.energy.sum(axis=-1) < once.energy.sum(axis=-1))[2:])


def test_on_a_gpu() -> None:
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("no CUDA GPU")
    everything, group, samples, places = some_trials(12)
    inputs = everything, group, samples, places + np.array([0.05, 0.02, -0.02]), BOUNDS
    there = fit_paths(SMALL, *(cupy.asarray(part) for part in inputs))
    close(fit_paths(SMALL, *inputs), [cupy.asnumpy(part) for part in there])


def test_a_trial_does_not_depend_on_the_batch() -> None:
    everything, group, samples, places = some_trials(9)
    start = places + np.array([0.05, 0.02, -0.02])
    for fit in (fit_paths, lambda *inputs: path_fit._fit_arrays(*inputs, 1e-6, 50, *np.zeros((2, len(inputs[3]))))):
        whole = fit(SMALL, everything, group, samples, start, BOUNDS)
        for index in ([0], [4, 7], [8, 3, 1]):
            alone = fit(SMALL, everything, group[index], samples[index], start[index], BOUNDS)
            assert all(np.array_equal(a, b[index]) for a, b in zip(alone, whole, strict=True))


def test_bounds_and_nonsense() -> None:
    everything, group, samples, places = some_trials(6)
    narrow = np.stack([places.min(axis=(0, 1)) + 0.1, places.max(axis=(0, 1)) - 0.1])
    fit = fit_paths(SMALL, everything, group, samples, places, narrow)
    assert np.all((fit.places >= narrow[0]) & (fit.places <= narrow[1]))
    np.testing.assert_allclose(fit.received, responses(SMALL, everything[group], fit.places), rtol=1e-10, atol=1e-10)
    assert np.any(fit.places == narrow[0])
    spoilt = samples.copy()
    spoilt[2] = np.nan
    spoilt[3] = 0
    compiled = fit_paths(SMALL, everything, group, spoilt, places, BOUNDS)
    assert np.all(np.isnan(compiled.energy[2]))
    assert np.all(compiled.energy[3] == 0)
    assert compiled.steps[3] == 0
    nothing = path_fit._fit_arrays(
        SMALL, everything, group, 0 * samples, places, BOUNDS, 1e-6, 50, *np.zeros((2, len(places)))
    )
    assert not nothing.steps.any()
    others = [0, 1, 4, 5]
    np.testing.assert_array_equal(
        compiled.places[others], fit_paths(SMALL, everything, group, samples, places, BOUNDS).places[others]
    )


def _misfits(n_scatterers_fitted: int, noise_variance: float = 1.0) -> np.ndarray:
    n, n_cycles = 600, 12
    everything, group, samples, places = some_trials(n, seed=3, n_scatterers=1)
    fit = fit_paths(SMALL, everything, group, samples, places[:, : 3 + n_scatterers_fitted], BOUNDS)
    freedom = degrees_of_freedom(n_cycles, 3, n_scatterers_fitted)
    return (2 * np.sum(fit.energy, axis=-1) / noise_variance - freedom) / np.sqrt(2 * freedom)


def test_what_is_left_is_chi_squared() -> None:
    """Mean ν and variance 2ν (kurtosis of χ²: 12/ν), within four standard errors; not with a path or noise missing."""
    misfit = _misfits(1)
    n, freedom = len(misfit), degrees_of_freedom(12, 3, 1)
    assert abs(np.mean(misfit)) < 4 / np.sqrt(n)
    assert abs(np.var(misfit) - 1) < 4 * np.sqrt((2 + 12 / freedom) / n)
    assert np.mean(_misfits(0)) > 4 / np.sqrt(n)
    assert np.mean(_misfits(1, 1 / 1.1)) > 4 / np.sqrt(n)
