"""The points that a weak user's posterior is integrated at, and its likelihood beside scatterers, by other means."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, lattice_around, trials
from scipy import stats
from scipy.special import ndtri

from engine.estimators.paths.conditional import of_scatterers
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.range_posterior import LEVELS
from engine.estimators.paths.search_grid import UNRESOLVED_BEAMS
from engine.estimators.paths.spread import (
    N_POINTS,
    WEAK_NATS,
    WIDER,
    _integrated,
    _log_likelihood,
    _Points,
    _points,
    _widths,
    spread,
)
from engine.estimators.paths.trials import Paths as FoundPaths
from engine.estimators.paths.trials import trials_of
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths, path_covariance
from engine.numerics.wavefront import wave

TALL = UniformPlanarArray(7, 12, 0.004, 299_792_458 / 33e9)


def test_points_are_haltons_and_their_mirror_image_with_a_parabolas_covariance() -> None:
    """By SciPy's own sequence: bases 2, 3 and 5, its first point, zero, left out."""
    shares, across = _points()[:, 0], _points()[:, 1:]
    half = N_POINTS // 2
    halton = stats.qmc.Halton(3, scramble=False).random(half + 1)[1:]
    np.testing.assert_allclose(shares, [*halton[:, 0], *(1 - halton[:, 0])], rtol=1e-12)
    np.testing.assert_array_equal(across[half:], -across[:half])
    normal = ndtri(halton[:, 1:])
    # Points as wide as the curvature's posterior are weighted by it over the density that they are drawn from.
    weight = [math.exp(-(WIDER**2) * one @ one / 2) / math.exp(-one @ one / 2) for one in normal]
    second = sum(w * np.outer(one, one) for w, one in zip(weight, across[:half], strict=True)) / sum(weight)
    np.testing.assert_allclose(WIDER**2 * second, np.eye(2), atol=1e-10)
    turn = np.linalg.lstsq(normal, across[:half], rcond=None)[0]
    np.testing.assert_allclose(normal @ turn, across[:half], atol=1e-10)  # stretched a little, and no more
    np.testing.assert_allclose(turn, np.eye(2), atol=0.1)


def test_weights_of_points() -> None:
    """The likelihood to a power times the prior, over their sum; none outside."""
    rng = np.random.default_rng(1)
    likelihood, prior = rng.normal(900, 5, (2, 2, 7)), rng.normal(0, 2, (2, 2, 7))
    prior[0, 1, 3:] = -math.inf
    prior[1, 1] = -math.inf
    points = _Points(np.zeros((2, 2, 7, 3)), likelihood, prior)
    power = np.array([[1.0, 0.3], [0.5, 2.0]])
    found, some = points.weights(np, power)
    np.testing.assert_array_equal(some, [[True, True], [True, False]])
    np.testing.assert_array_equal(found[1, 1], 0)
    for t, u in ((0, 0), (0, 1), (1, 0)):
        expected = [math.exp(power[t, u] * (a - 900) + b) for a, b in zip(likelihood[t, u], prior[t, u], strict=True)]
        np.testing.assert_allclose(found[t, u], np.array(expected) / sum(expected), rtol=1e-10)


def found_paths(places: np.ndarray, count: np.ndarray, gain: np.ndarray | None = None) -> FoundPaths:
    n_trials, n_users = len(places), 2 if gain is None else gain.shape[1]
    gain = np.zeros((n_trials, n_users, 1 + places.shape[1] - n_users), dtype=complex) if gain is None else gain
    none = np.zeros(n_trials)
    return FoundPaths(places, gain, np.zeros((n_trials, n_users)), count, none, none + 1, none, none)


def test_likelihood_beside_scatterers_is_that_of_a_fit_of_all_gains() -> None:
    """−‖residual‖²/s² − ln det: least squares of the scatterers' gains and the user's, one place after the other."""
    problem, cycles, _ = trials(2, (10.0,), n_cycles=12, n_users=2, seed=7, surface=TALL)
    pursuit = NewtonisedPursuit().pursuit(problem, np)
    some = trials_of(cycles, np)
    rng = np.random.default_rng(3)
    places = rng.uniform((0.1, 1.1, -0.5), (1.9, 2.0, 0.5), (2, 4, 3))
    places[1, 3] = np.nan  # only one scatterer was found
    count, noise = np.array([2, 1]), np.array([13.0, 4.0])
    tried = rng.uniform((0.1, 1.1, -0.5), (1.9, 2.0, 0.5), (2, 2, 5, 3))
    ours = _log_likelihood(pursuit, some, found_paths(places, count), tried, noise)
    basis, share = of_scatterers(pursuit, some, found_paths(places, count))
    assert not share.any()
    assert np.array_equal(basis[1, 1], np.zeros(12))
    for t, user in np.ndindex(2, 2):
        beams, samples = cycles.beams[t], cycles.samples[t, 0, :, user]
        scatterers = beams @ wave(TALL, *places[t, 2 : 2 + count[t]].T).T
        onto = scatterers @ np.linalg.lstsq(scatterers, samples, rcond=None)[0]
        np.testing.assert_allclose(basis[t].T @ (basis[t].conj() @ samples), onto, atol=1e-9)
        expected = []
        for place in tried[t, user]:
            every = np.column_stack([scatterers, beams @ wave(TALL, *place)])
            residual = samples - every @ np.linalg.lstsq(every, samples, rcond=None)[0]
            whole, part = (np.linalg.slogdet(one.conj().T @ one)[1] for one in (every, scatterers))
            expected.append(-np.vdot(residual, residual).real / noise[t] - (whole - part))
        np.testing.assert_allclose(np.diff(ours[t, user]), np.diff(expected), rtol=1e-8, atol=1e-8)


def test_widths_of_the_view() -> None:
    """Of κ from infinity on, of the angles as they are."""
    problem, _, _ = trials(1, (10.0,), surface=TALL)
    narrow = replace(problem.view, range_min_m=0.4, polar_min_rad=1.2, polar_max_rad=1.9, azimuth_min_rad=-0.2)
    pursuit = NewtonisedPursuit().pursuit(replace(problem, view=narrow), np)
    assert _widths(pursuit) == pytest.approx((2.5, 0.7, 0.2 + LAB.azimuth_max_rad))


def test_a_weak_users_moments_beside_a_scatterer_against_a_lattice() -> None:
    """The posterior with the scatterer held, summed over the user's lobe, and what the scatterer's place adds."""
    problem, cycles, truth = trials(2, (2.0,), n_cycles=22, n_users=1, n_scatterers=1, seed=23, surface=TALL)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    variance = cycles.noise_variance[0, 0]
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    gain = np.stack([truth.gains, 0.9 * truth.gains * np.exp(1j)], axis=-1)
    paths = found_paths(places, np.array([1, 1]), gain)._replace(noise=some.noise_variance)
    stated = spread(pursuit, some, paths).covariance
    informed = Paths(*places[:, :1].transpose(2, 0, 1), gain[..., 0], *places[:, 1:].transpose(2, 0, 1), gain[..., 1:])
    arguments = TALL, informed, cycles.beams, some.noise_variance
    in_view = 12 / np.array([2.0, math.pi / 3, math.pi / 3]) ** 2
    joint = path_covariance(*arguments, coordinate="inverse_range", scatterer_prior=in_view)
    held = path_covariance(*arguments, variant="scatter_gains", coordinate="inverse_range")
    for t in range(2):
        _, polar, azimuth = places[t, 0]
        tried = lattice_around(TALL, polar, azimuth, (0.16, 0.32), (61, 27))
        scatterer = cycles.beams[t] @ wave(TALL, *places[t, 1])
        scatterer = scatterer / np.linalg.norm(scatterer)
        received = cycles.beams[t] @ wave(TALL, *tried.T).T
        received = received - np.outer(scatterer, scatterer.conj() @ received)
        samples = cycles.samples[t, 0, :, 0]
        samples = samples - scatterer * (scatterer.conj() @ samples)
        energy = np.sum(np.abs(received) ** 2, axis=0)
        nats = np.abs(samples.conj() @ received) ** 2 / energy / variance - np.log(energy)
        weight = np.exp(nats - nats.max())
        away = tried - places[t, 0]
        expected = (away * weight[:, None]).T @ away / weight.sum() + joint[t, 0] - held[t, 0]
        scale = np.sqrt(np.diag(expected))
        np.testing.assert_allclose(np.sqrt(np.diag(stated[t, 0])), scale, rtol=0.15)
        np.testing.assert_allclose(stated[t, 0] / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.25)
        assert np.sqrt(np.diag(joint[t, 0] - held[t, 0])).max() > 0


@pytest.mark.parametrize("gain", [-1.3, -0.8j, 0.6 - 1.1j])
def test_only_low_peaks_are_integrated_whatever_the_gains_phase(gain: complex) -> None:
    """|α|² Σ|w|²/s² high: above the limit the curvature's covariance as it is, below it another."""
    problem, cycles, truth = trials(2, (10.0,), n_cycles=22, n_users=1, n_scatterers=1, seed=23, surface=TALL)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    gains = np.tile(np.array([gain, 0.4j * gain]), (2, 1, 1))
    informed = Paths(
        *places[:, :1].transpose(2, 0, 1), gains[..., 0], *places[:, 1:].transpose(2, 0, 1), gains[..., 1:]
    )
    in_view = 12 / np.array([2.0, math.pi / 3, math.pi / 3]) ** 2
    for share in (0.97, 1.03):
        noise = np.full(2, abs(gain) ** 2 * 22 * 84 / (share * WEAK_NATS))
        some = trials_of(cycles, np)._replace(noise_variance=noise)
        stated = spread(pursuit, some, found_paths(places, np.array([1, 1]), gains)._replace(noise=noise)).covariance
        joint = path_covariance(
            TALL, informed, cycles.beams, noise, coordinate="inverse_range", scatterer_prior=in_view
        )  # fmt: skip
        off = np.abs(stated / joint - 1).max(axis=(1, 2, 3))
        assert np.all(off > 1e-3 if share < 1 else off < 1e-9)


def test_points_around_an_estimate_in_plain_loops() -> None:
    """Where they are, how probable they are by the curvature or by the samples, which are not in view, user by user."""
    problem, cycles, truth = trials(3, (8.0,), n_cycles=14, n_users=2, n_scatterers=1, seed=32, surface=TALL)
    view = FieldOfView(1.1, 1.9, -0.45, 0.4, 0.6, 8.0)
    pursuit = NewtonisedPursuit(enough=None).pursuit(replace(problem, view=view), np)
    some = trials_of(cycles, np)
    rng = np.random.default_rng(5)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    places[:, :2] = rng.uniform((0.2, 1.2, -0.3), (1.5, 1.8, 0.3), (3, 2, 3))
    places[0, 0] = 0.125, 1.15, 0.38  # at the view's far end, and next to its edges
    places[1, 1] = 1.6, 1.88, -0.43
    gain = rng.normal(size=(3, 2, 2)) + 1j * rng.normal(size=(3, 2, 2))
    found = found_paths(places, np.ones(3, int), gain)._replace(noise=some.noise_variance)
    factor = rng.normal(size=(3, 2, 3, 3)) * 0.1 + 0.4 * np.eye(3)
    factor = factor * np.array([0.6, 0.1, 0.15])[:, None]
    held = factor @ np.swapaxes(factor, -1, -2)
    weak = np.array([False, True, False])
    points = _integrated(pursuit, some, found, held, some.noise_variance, weak)
    law = stats.logistic(scale=math.sqrt(3) / math.pi)
    width = np.array([1 / 0.6, 0.8, 0.85])
    everywhere = places[:, :2, None] + points.away
    exact = _log_likelihood(pursuit, some, found, everywhere, some.noise_variance)
    inside = np.isfinite(points.log_prior)
    assert 0.2 < inside.mean() < 0.9
    for t, user in np.ndindex(3, 2):
        here, information = places[t, user], np.linalg.inv(held[t, user])
        root = np.linalg.cholesky(np.linalg.inv(information + np.diag(12 / width**2)))
        low, high = law.cdf([(end - here[0]) / (WIDER * root[0, 0]) for end in (1 / 8.0, 1 / 0.6)])
        unit = np.column_stack([law.ppf(low + _points()[:, 0] * (high - low)), _points()[:, 1:]])
        density = law.logpdf(unit[:, 0]) + stats.norm.logpdf(unit[:, 1]) + stats.norm.logpdf(unit[:, 2])
        over = []
        for j, z in enumerate(unit):
            away = WIDER * root @ z
            np.testing.assert_allclose(points.away[t, user, j], away, atol=1e-9)
            kappa, polar, azimuth = here + away
            along = math.sin(polar) * math.sin(azimuth) - math.sin(here[1]) * math.sin(here[2])
            upwards = math.cos(polar) - math.cos(here[1])
            beams = math.hypot(7 * along, 12 * upwards) * TALL.spacing_m / TALL.wavelength_m
            in_view = 1 / 8.0 < kappa < 1 / 0.6 and 1.1 < polar < 1.9 and -0.45 < azimuth < 0.4
            assert inside[t, user, j] == (in_view and beams < UNRESOLVED_BEAMS)
            if inside[t, user, j]:
                over.append(points.log_prior[t, user, j] + 2 * math.log(kappa) + density[j])
                likelihood = exact[t, user, j] if weak[t] else -away @ information @ away / 2
                assert points.log_likelihood[t, user, j] == pytest.approx(likelihood, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(over, over[0], atol=1e-6)


def test_a_strong_users_range_is_as_uncertain_as_scatterers_leave_it() -> None:
    """Its quantiles are those of a normal distribution of the joint curvature's deviation, with 1/κ² before it."""
    problem, cycles, truth = trials(4, (35.0,), n_cycles=9, n_users=2, n_scatterers=1, seed=3)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    places[:, :2, 0] = [[1.0, 0.7], [1.2, 1.4], [0.9, 0.6], [1.1, 1.0]]
    gain = np.stack([truth.gains, 0.7 * truth.gains * np.exp(1j)], axis=-1)
    stated = spread(pursuit, some, found_paths(places, np.ones(4, int), gain)._replace(noise=some.noise_variance))
    informed = Paths(*places[:, :2].transpose(2, 0, 1), gain[..., 0], *places[:, 2:].transpose(2, 0, 1), gain[..., 1:])
    in_view = 12 / np.array([2.0, math.pi / 3, math.pi / 3]) ** 2
    arguments = SURFACE, informed, cycles.beams, some.noise_variance
    joint = path_covariance(*arguments, coordinate="inverse_range", scatterer_prior=in_view)
    held = path_covariance(*arguments, variant="scatter_gains", coordinate="inverse_range")
    deviation, without = np.sqrt(joint[..., 0, 0]), np.sqrt(held[..., 0, 0])
    assert (deviation / without).max() > 1.25
    for t, user in np.ndindex(4, 2):
        kappa = np.linspace(0.1, 2.0, 4001)
        weight = stats.norm.pdf(kappa, places[t, user, 0], deviation[t, user]) / kappa**2
        below = np.cumsum(weight) / weight.sum()
        expected = np.interp(LEVELS, below, kappa)
        np.testing.assert_allclose(stated.quantiles_per_m[t, user], expected, atol=0.2 * deviation[t, user])
        assert abs(stated.mean_per_m[t, user] - weight @ kappa / weight.sum()) < 0.1 * deviation[t, user]


def test_a_user_whom_the_samples_do_not_determine_leaves_the_others_as_they_are() -> None:
    """A direct path of no gain: no covariance and no range, of that user alone."""
    problem, cycles, truth = trials(2, (8.0,), n_cycles=14, n_users=2, n_scatterers=1, seed=3)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    gain = np.stack([truth.gains, 0.7 * truth.gains * np.exp(1j)], axis=-1)
    paths = found_paths(places, np.ones(2, int), gain)._replace(noise=some.noise_variance)
    whole = spread(pursuit, some, paths)
    gone = gain.copy()
    gone[1, 0, 0] = 0
    part = spread(pursuit, some, paths._replace(gain=gone))
    assert np.isinf(part.covariance[1, 0]).any()
    assert np.isnan(part.mean_per_m[1, 0])
    assert np.isnan(part.quantiles_per_m[1, 0]).all()
    for one, other in zip(whole, part, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(other[0], one[0], rtol=1e-9)
        np.testing.assert_allclose(other[1, 1], one[1, 1], rtol=0.02)  # the scatterer is known a little less


def test_a_user_outside_the_view_is_as_sure_as_the_curvature_says_and_has_no_range() -> None:
    problem, cycles, truth = trials(2, (8.0,), n_cycles=14, n_users=2, n_scatterers=1, seed=3)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    places[0, 1, 1] = LAB.polar_max_rad + 0.2
    gain = np.stack([truth.gains, 0.7 * truth.gains * np.exp(1j)], axis=-1)
    stated = spread(pursuit, some, found_paths(places, np.ones(2, int), gain)._replace(noise=some.noise_variance))
    informed = Paths(*places[:, :2].transpose(2, 0, 1), gain[..., 0], *places[:, 2:].transpose(2, 0, 1), gain[..., 1:])
    joint = path_covariance(
        SURFACE, informed, cycles.beams, some.noise_variance, coordinate="inverse_range",
        scatterer_prior=12 / np.array([2.0, math.pi / 3, math.pi / 3]) ** 2,
    )  # fmt: skip
    outside = np.array([[False, True], [False, False]])
    off = np.abs(stated.covariance / joint - 1).max(axis=(-2, -1))
    np.testing.assert_array_equal(off < 1e-9, outside)
    np.testing.assert_array_equal(np.isnan(stated.mean_per_m), outside)
    np.testing.assert_array_equal(np.isnan(stated.quantiles_per_m), np.repeat(outside[..., None], len(LEVELS), -1))


def test_a_user_whose_range_is_far_outside_the_view_has_none() -> None:
    """Dozens of deviations nearer than what is in view, and behind infinity."""
    problem, cycles, truth = trials(2, (35.0,), n_cycles=14, n_users=2, n_scatterers=1, seed=3)
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    some = trials_of(cycles, np)
    places = np.concatenate([np.stack(part, axis=-1) for part in (truth.users, truth.scatterers)], axis=1)
    places[:, :2, 0] = [[3.4, 0.8], [1.2, -1.0]]
    gain = np.stack([truth.gains, 0.7 * truth.gains * np.exp(1j)], axis=-1)
    stated = spread(pursuit, some, found_paths(places, np.ones(2, int), gain)._replace(noise=some.noise_variance))
    np.testing.assert_array_equal(np.isnan(stated.mean_per_m), [[True, False], [False, True]])
    assert np.isfinite(stated.covariance).all()
