"""Evidence of explanations and second moments of estimates, against what they are the short form of."""

import math
from dataclasses import replace

import numpy as np
import pytest
from path_scenes import path_scene
from ris_trials import LAB, SURFACE, trials
from test_closed_loop import LOST_RAD, SMALL, estimate

from engine.errors import InputError
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.evidence import log_evidence, with_scattered
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.spread import WEAK_NATS, WIDER, _integrated, _points, stated_covariance
from engine.estimators.paths.trials import trials_of
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths, path_covariance
from engine.numerics.path_projection import responses
from engine.numerics.wavefront import wave


def test_responses_are_beams_times_waves() -> None:
    """Compiled, of a surface that is not square, near and far."""
    rng = np.random.default_rng(0)
    surface = UniformPlanarArray(5, 9, 0.004, 0.01)
    places = np.stack([rng.uniform(0, 4, (3, 6)), rng.uniform(1, 2, (3, 6)), rng.uniform(-0.5, 0.5, (3, 6))], axis=-1)
    places[0, 0, 0] = 0.0
    beams = rng.normal(size=(3, 7, 45)) + 1j * rng.normal(size=(3, 7, 45))
    expected = wave(surface, *np.moveaxis(places, -1, 0)) @ beams.swapaxes(1, 2)
    np.testing.assert_allclose(responses(surface, beams, places), expected, rtol=1e-11, atol=1e-11)


def test_evidence_is_the_likelihood_with_gains_integrated_over() -> None:
    """Gains of scattered paths in the samples' covariance, the direct one's by a dense projection."""
    problem, cycles, _ = trials(3, (3.0,), n_cycles=11, n_users=3, seed=5, surface=SMALL)
    pursuit = ClosedLoop().search.pursuit(problem, np)
    some = trials_of(cycles, np)
    rng = np.random.default_rng(1)
    places = rng.uniform((0.1, 1.1, -0.5), (2.0, 2.0, 0.5), (3, 5, 3))
    some = some._replace(scattered=np.array([0.05, 0.1, 0.3]), unseen=np.array([9.0, 20.0, 40.0]))
    difference, expected = [], []
    for count in (np.array([0, 1, 2]), np.array([2, 2, 1])):
        rooms = np.array([50.0, 700.0, 9.0])
        difference.append(log_evidence(problem, some, places, count, pursuit.noise(some, count), rooms))
        values = []
        for t, k in enumerate(count):
            received = cycles.beams[t] @ wave(SMALL, *places[t].T).T
            scatterers = received[:, 3 : 3 + k]
            noise = some.noise_variance[t] + (2 - k) * some.unseen[t]
            covariance = noise * np.eye(11) + some.scattered[t] * scatterers @ scatterers.conj().T
            inverse = np.linalg.inv(covariance)
            value = -3 * np.linalg.slogdet(covariance)[1]
            for user in range(3):
                own, samples = received[:, user], cycles.samples[t, 0, :, user]
                information = np.vdot(own, inverse @ own).real
                explained = abs(np.vdot(own, inverse @ samples)) ** 2 / information
                value -= np.vdot(samples, inverse @ samples).real - explained + math.log(information)
            values.append(value - k * math.log(rooms[t]))
        expected.append(values)
    np.testing.assert_allclose(difference, expected, rtol=1e-9)


def test_power_of_scattered_paths() -> None:
    """Told: as told. Estimated: ten of −10 dB, at the users' true places, within four standard errors."""
    problem, cycles, truth = trials(40, (10.0,), n_cycles=20, seed=2)
    some, users = trials_of(cycles, np), np.stack(truth.users, axis=-1)
    pursuit = ClosedLoop().search.pursuit(problem, np)
    rows = pursuit.rows(some.beams)
    found = with_scattered(problem, some, rows, users, told=False)
    assert abs(found.scattered.mean() - 0.1) < 4 * found.scattered.std() / math.sqrt(40)
    assert found.scattered.std() < 0.05
    np.testing.assert_allclose(found.unseen / found.scattered, SURFACE.n_elements, rtol=0.2)
    none = np.zeros(40, dtype=np.int64)
    np.testing.assert_allclose(pursuit.noise(found, none + 1), some.noise_variance + found.unseen)
    np.testing.assert_array_equal(pursuit.noise(found, none + 2), some.noise_variance)
    told = NewtonisedPursuit(scattered="told")
    with pytest.raises(InputError, match="nobody tells their power"):
        told.pursuit(problem, np)
    known = with_scattered(replace(problem, scattered_power=0.25), some, rows, users, told=True)
    np.testing.assert_allclose(known.scattered, 0.25)
    with pytest.raises(ValueError, match="needed scattered = 'any'"):
        NewtonisedPursuit(scattered="estimated", most_scatterers=3)


def test_what_the_samples_do_not_show_is_noise_and_what_they_show_is_found() -> None:
    """One user, two scatterers at −10 dB: fitted all the same at 10 dB, they lost 2 to 3 of 100 users; now 0 of 320."""
    problem, cycles, truth = trials(40, (10.0,), n_cycles=14, n_users=1, seed=8)
    found = estimate(ClosedLoop(), problem, cycles)
    error = np.hypot(found.polar_rad[:, 0] - truth.users[1], found.azimuth_rad[:, 0] - truth.users[2])
    assert np.sum(error > LOST_RAD) <= 1
    fewer = np.isfinite(found.scatterer_polar_rad[:, 0]).sum(axis=-1) < 2
    assert np.mean(fewer) > 0.85
    assert np.all(found.noise_variance[fewer] > cycles.noise_variance[fewer])
    problem, cycles, _ = trials(6, (25.0,), seed=8)
    found = estimate(ClosedLoop(), problem, cycles)
    assert np.all(np.isfinite(found.scatterer_polar_rad))
    np.testing.assert_array_equal(found.noise_variance, cycles.noise_variance)


def test_points_stand_for_a_parabola() -> None:
    """Drawn wide and weighted as the curvature's posterior is, they have its mean and covariance."""
    points = _points()
    weight = np.exp(np.sum(points**2, axis=-1) * (1 - WIDER**2) / 2)
    np.testing.assert_allclose(weight @ points, 0, atol=1e-12)
    second = WIDER**2 * (points.T * weight) @ points / weight.sum()
    np.testing.assert_allclose(second, np.eye(3), atol=0.05)


def test_second_moments_against_a_lattice() -> None:
    """Of one user without scatterers at a low ratio: the posterior summed over the whole neighbourhood."""
    problem, cycles, _ = trials(2, (1.0,), n_cycles=24, n_users=1, n_scatterers=0, seed=11)
    pursuit = NewtonisedPursuit().pursuit(problem, np)
    some = trials_of(cycles, np)
    some, paths = acquired(pursuit, some, pursuit.rows(some.beams))
    ours = stated_covariance(pursuit, some, paths)
    width = SURFACE.wavelength_m / (25 * SURFACE.spacing_m)
    for t in range(2):
        polar, azimuth = paths.places[t, 0, 1:]
        axes = (
            1 / np.linspace(LAB.range_min_m, LAB.range_max_m, 31),
            np.linspace(max(LAB.polar_min_rad, polar - 0.08), min(LAB.polar_max_rad, polar + 0.08), 29),
            np.linspace(max(LAB.azimuth_min_rad, azimuth - 0.08), min(LAB.azimuth_max_rad, azimuth + 0.08), 29),
        )
        places = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=-1)
        along = np.sin(places[:, 1]) * np.sin(places[:, 2]) - math.sin(polar) * math.sin(azimuth)
        beams = np.hypot(along, np.cos(places[:, 1]) - math.cos(polar)) / width
        places = places[beams < 0.75]
        received = cycles.beams[t] @ wave(SURFACE, *places.T).T
        energy = np.sum(np.abs(received) ** 2, axis=0)
        explained = np.abs(cycles.samples[t, 0, :, 0].conj() @ received) ** 2 / energy
        weight = explained / cycles.noise_variance[t, 0] - np.log(energy)
        weight = np.exp(weight - weight.max())
        away = places - paths.places[t, 0]
        moments = (away * weight[:, None]).T @ away / weight.sum()
        held = np.sqrt(np.diag(moments))
        np.testing.assert_allclose(np.sqrt(np.diag(ours[t, 0])), held, rtol=0.15)
        np.testing.assert_allclose(ours[t, 0] / np.outer(held, held), moments / np.outer(held, held), atol=0.25)


def test_a_strong_signals_moments_are_the_curvatures() -> None:
    problem, cycles, _ = trials(3, (30.0,), n_cycles=16, seed=4)
    found = estimate(ClosedLoop(), problem, cycles)
    paths = Paths(*(part[:, 0] for part in found[:8]))
    bound = path_covariance(SURFACE, paths, cycles.beams, cycles.noise_variance[:, 0], coordinate="inverse_range")
    assert WEAK_NATS < 16 * 1000
    np.testing.assert_allclose(found.covariance[:, 0], bound, rtol=1e-6)
    integrated = _moments_of(problem, cycles, found)
    scale = np.sqrt(np.diagonal(bound, axis1=-2, axis2=-1))[..., 1:]
    np.testing.assert_allclose(np.sqrt(np.diagonal(integrated, axis1=-2, axis2=-1))[..., 1:] / scale, 1, atol=0.12)


def _moments_of(problem, cycles, found):  # type: ignore[no-untyped-def]
    """Integrated, where the curvature would do: 16 000 nats high."""
    pursuit = ClosedLoop().search.pursuit(problem, np)
    some = trials_of(cycles, np)
    some, paths = acquired(pursuit, some, pursuit.rows(some.beams))
    known = Paths(*(part[:, 0] for part in found[:8]))
    held = path_covariance(
        problem.surface, known, cycles.beams, some.noise_variance, variant="scatter_gains", coordinate="inverse_range"
    )
    return _integrated(pursuit, some, paths, held, some.noise_variance)


def test_no_more_users_are_lost_than_by_the_greedy_pursuit() -> None:
    """At 0 to 6 dB on random scenes; the search for the best fit lost half as many again as the greedy one."""
    lost = {"search": 0, "greedy": 0}
    for seed in (5001, 5003):
        scene = path_scene(seed, 8, most_elements=16, snr_db=(0.0, 6.0))
        for name, method in (("search", ClosedLoop()), ("greedy", NewtonisedPursuit(enough=None))):
            lost[name] += int(scene.lost(estimate(method, scene.problem, scene.cycles)).sum())
    assert lost["search"] <= lost["greedy"]
