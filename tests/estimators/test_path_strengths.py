"""The probability that a user is elsewhere, against sums over all places in view, and over all strengths."""

import math

import numpy as np
import pytest
from scipy.special import ive

from engine.estimators.paths import Cycles, PathProblem
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.strengths import (
    N_SPREADS,
    _alike,
    _log_bessel,
    _prior,
    greatest_spread,
    with_others_strengths,
    with_told_strength,
)
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray

CARRIER_HZ, N_Y, N_Z, SPACING = 11e9, 9, 7, 0.43
WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / CARRIER_HZ
SURFACE = UniformPlanarArray(N_Y, N_Z, SPACING * WAVELENGTH_M, WAVELENGTH_M)
VIEW = FieldOfView(math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6, 0.25, 2.0)
SPREAD = math.log(2.0 / 0.25) / 12**0.5


def waves_of(surface: UniformPlanarArray, range_m: np.ndarray, polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """exp(−jk(d − r)) at every element, (..., N): distances from point to point."""
    y, z = ((np.arange(n) - (n - 1) / 2) * surface.spacing_m for n in (surface.n_y, surface.n_z))
    place = np.stack([np.zeros(surface.n_elements), np.repeat(y, z.size), np.tile(z, y.size)], axis=-1)
    direction = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    away = np.linalg.norm(range_m[..., None, None] * direction[..., None, :] - place, axis=-1)
    return np.exp(-2j * np.pi / surface.wavelength_m * (away - range_m[..., None]))


def waves(range_m: np.ndarray, polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    return waves_of(SURFACE, range_m, polar, azimuth)


def in_beams(polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(polar) * np.sin(azimuth) * N_Y * SPACING, np.cos(polar) * N_Z * SPACING], axis=-1)


def drawn(seed: int, n: int, n_users: int, n_cycles: int, variance: float, strengths: np.ndarray) -> tuple:
    rng = np.random.default_rng(seed)
    shape = (n, n_users)
    range_m, polar, azimuth = (
        rng.uniform(*ends, shape)
        for ends in (
            (VIEW.range_min_m, VIEW.range_max_m),
            (VIEW.polar_min_rad, VIEW.polar_max_rad),
            (VIEW.azimuth_min_rad, VIEW.azimuth_max_rad),
        )
    )
    gain = strengths * np.exp(2j * np.pi * rng.random(shape))
    beams = np.exp(2j * np.pi * rng.random((n, n_cycles, N_Y * N_Z)))
    noise = rng.normal(size=(2, n, n_cycles, n_users)) * math.sqrt(variance / 2)
    samples = beams @ np.swapaxes(gain[..., None] * waves(range_m, polar, azimuth), 1, 2) + noise[0] + 1j * noise[1]
    return beams, samples, in_beams(polar, azimuth)


def elsewhere(
    beams: np.ndarray, samples: np.ndarray, variance: float, found: np.ndarray, told: float | None = None
) -> np.ndarray:
    """The posterior in other directions than those found (L, 2), (L,): one trial, summed over places and strengths.

    told: every user's |g|, if it is known.
    """
    steps = (np.arange(34) + 0.5) / 34
    kappas = 1 / VIEW.range_max_m + (np.arange(8) + 0.5) / 8 * (1 / VIEW.range_min_m - 1 / VIEW.range_max_m)
    polar, azimuth, kappa = (
        part.ravel()
        for part in np.meshgrid(
            VIEW.polar_min_rad + steps * (VIEW.polar_max_rad - VIEW.polar_min_rad),
            VIEW.azimuth_min_rad + steps * (VIEW.azimuth_max_rad - VIEW.azimuth_min_rad),
            kappas,
        )
    )
    received = beams @ waves(1 / kappa, polar, azimuth).T
    sharp = np.sum(np.abs(received) ** 2, axis=0) / variance
    log_strength = np.linspace(math.log(0.15), math.log(5.0), 32) if told is None else np.log([told])
    strength = np.exp(log_strength)
    away = log_strength[:, None] - log_strength[None, :]
    alike = [np.exp(-((away * 2**i / SPREAD) ** 2) / 2) for i in range(N_SPREADS)]
    alike = [part / part.sum(axis=1, keepdims=True) for part in alike]
    parts = []
    for user in range(samples.shape[1]):
        onto = np.abs(samples[:, user].conj() @ received) / variance
        keep = onto**2 / sharp > (onto**2 / sharp).max() - 12
        argument = 2 * strength[:, None] * onto[keep]
        height = np.log(ive(0, argument)) + argument - strength[:, None] ** 2 * sharp[keep] - 2 * np.log(kappa[keep])
        mass = np.exp(height - height.max())
        near = np.linalg.norm(in_beams(polar[keep], azimuth[keep]) - found[user], axis=-1) < 0.75
        parts.append((mass @ near, mass @ ~near))
    chances = []
    for user in range(len(parts)):
        density = np.zeros(strength.size)
        for i, kernel in enumerate(alike):
            weight = strength**2 * math.exp(-2 * (SPREAD / 2**i) ** 2)
            for other, (near, far) in enumerate(parts):
                weight = weight * (kernel @ (near + far)) if other != user else weight
            density += weight @ kernel
        if told is not None:
            density = np.ones(1)
        elif len(parts) == 1:
            density = strength**2  # of one user alone any gain, in equal areas of the plane
        near, far = (density @ part for part in parts[user])
        chances.append(far / (near + far))
    return np.array(chances)


def stated(
    beams: np.ndarray, samples: np.ndarray, variance: float, told: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, L), and directions in beams (n, L, 2)."""
    n, _, n_users = samples.shape
    problem = PathProblem(SURFACE, VIEW, n_users, 0, direct_power=None if told is None else told**2)
    observer = ClosedLoop().prepare(problem, np).begin()
    observer.observe(Cycles(beams, samples[:, None], np.full((n, 1), variance)))
    found = observer.estimate()
    return found.lost_probability[:, 0], in_beams(found.polar_rad[:, 0], found.azimuth_rad[:, 0])


@pytest.mark.parametrize(
    ("n", "n_users", "n_cycles", "spread", "seed"),
    [(24, 1, 9, 0.0, 1), (10, 4, 12, 0.0, 2), (8, 4, 12, 0.7, 3)],
    ids=["one user", "users alike", "users that differ"],
)
def test_as_many_are_lost_as_all_places_and_strengths_say(
    n: int, n_users: int, n_cycles: int, spread: float, seed: int
) -> None:
    variance = N_Y * N_Z / 10**0.1
    strengths = np.exp(spread * np.random.default_rng(seed).standard_normal((n, n_users)))
    beams, samples, true = drawn(seed, n, n_users, n_cycles, variance, strengths)
    chance, found = stated(beams, samples, variance)
    exact = np.stack([elsewhere(beams[i], samples[i], variance, found[i]) for i in range(n)])
    assert exact.sum() > 1
    assert chance.sum() == pytest.approx(exact.sum(), rel=0.2)
    assert np.abs(chance - exact).mean() < 0.08
    lost = np.sum(np.linalg.norm(found - true, axis=-1) > 0.75)
    assert abs(lost - exact.sum()) < 4 * math.sqrt(np.sum(exact * (1 - exact)))


@pytest.mark.parametrize(("n", "n_users", "strength"), [(24, 1, 1.0), (10, 4, 0.6)])
def test_who_knows_the_strength_loses_as_many_as_all_places_say(n: int, n_users: int, strength: float) -> None:
    variance = N_Y * N_Z * strength**2 / 10**0.1
    beams, samples, true = drawn(4, n, n_users, 9, variance, np.full((n, n_users), strength))
    chance, found = stated(beams, samples, variance, strength)
    blind, _ = stated(beams, samples, variance)
    exact = np.stack([elsewhere(beams[i], samples[i], variance, found[i], strength) for i in range(n)])
    assert exact.sum() > 0.8
    assert chance.sum() == pytest.approx(exact.sum(), rel=0.2)
    assert np.abs(chance - exact).mean() < 0.06 < np.abs(chance - blind).max()
    lost = np.sum(np.linalg.norm(found - true, axis=-1) > 0.75)
    assert abs(lost - exact.sum()) < 4 * math.sqrt(np.sum(exact * (1 - exact)))


def test_a_strength_that_is_told() -> None:
    """ln ∫ of the likelihood over the phase, over that of any gain, by sums; −∞ and NaN stay; nothing at 0."""
    nats = np.array([[[0.0, -1.0, -np.inf, np.nan]]])
    amplitude, sharp = np.array([[[0.9, 0.2, 1.0, 1.0]]]), np.array([[[18.0, 0.7, 1.0, 1.0]]])
    found = with_told_strength(np, nats, amplitude, sharp, 1.2)[0, 0]
    turn = np.exp(2j * np.pi * np.arange(720) / 720)
    level = (np.arange(4000) + 0.5) / 400
    for i in range(2):
        known = np.mean(np.exp(-sharp[0, 0, i] * np.abs(1.2 * turn - amplitude[0, 0, i]) ** 2))
        anything = np.exp(-sharp[0, 0, i] * np.abs(level[:, None] * turn - amplitude[0, 0, i]) ** 2) * level[:, None]
        wanted = math.log(known / (anything.mean(axis=1).sum() / 400)) - math.log(2)  # S/π, less a common constant
        assert found[i] - nats[0, 0, i] == pytest.approx(wanted, abs=0.01)
    assert found[2] == -np.inf
    assert np.isnan(found[3])
    x = np.concatenate([[0.0], np.logspace(-3, 3, 200)])
    np.testing.assert_allclose(_log_bessel(np, x), np.log(ive(0, x)) + x, atol=6e-3)


def test_strengths_against_sums_over_all_of_them() -> None:
    """Three users, up to three places each; the likelihood of a strength is a normal one here."""
    rng = np.random.default_rng(5)
    strength, sharp = rng.uniform(0.4, 1.6, (1, 3, 3)), rng.uniform(8.0, 30.0, (1, 3, 3))
    nats = rng.uniform(-3.0, 0.0, (1, 3, 3))
    nats[0, 1, 2] = -np.inf
    spread = 0.9
    log_a = np.linspace(-4.0, 4.0, 401)
    a, area = np.exp(log_a), np.exp(2 * log_a)
    given = np.exp(-sharp[0, ..., None] * (a - strength[0, ..., None]) ** 2) / np.sqrt(a)
    given /= np.sum(given * area, axis=-1, keepdims=True)  # as many as there are by area
    wanted = np.zeros((3, 3))
    for i in range(N_SPREADS):
        tau = spread / 2**i
        kernel = np.exp(-((log_a[:, None] - log_a) ** 2) / (2 * tau**2)) / tau
        of_places = np.exp(nats[0])[..., None] * (given @ kernel)  # (3, 3, A)
        weight = area * math.exp(-2 * tau**2)
        for user in range(3):
            others = np.prod([of_places[other].sum(axis=0) for other in range(3) if other != user], axis=0)
            wanted[user] += of_places[user] @ (weight * others)
    wanted /= wanted.sum(axis=-1, keepdims=True)

    def chances(scale: float) -> np.ndarray:
        found = with_others_strengths(np, nats, strength * scale, sharp / scale**2, spread)
        return (
            np.exp(found - found.max(axis=-1, keepdims=True))[0]
            / np.exp(found - found.max(axis=-1, keepdims=True)).sum(axis=-1)[0][:, None]
        )

    np.testing.assert_allclose(chances(1.0), wanted, atol=0.02)
    np.testing.assert_allclose(chances(1e-4), chances(1.0), rtol=1e-9)  # in whatever unit
    np.testing.assert_allclose(chances(1e-100), chances(1.0), rtol=1e-9)
    assert np.abs(wanted - np.exp(nats[0]) / np.exp(nats[0]).sum(axis=-1)[:, None]).max() > 0.1  # it does matter


def test_strengths_are_weighed_trial_by_trial_whatever_a_users_constant_is() -> None:
    """In units of its own each; and where every user has two places, or one alone has."""
    rng = np.random.default_rng(8)
    shape = (5, 3, 4)
    unit = 10.0 ** np.array([0, -5, 4, 0, -9])[:, None, None]
    nats = rng.uniform(-3.0, 0.0, shape)
    nats[0, :, 2:], nats[1, 0, 1:], nats[1, 2, 1:], nats[3, :, 1:] = -np.inf, -np.inf, -np.inf, -np.inf
    amplitude, sharp = rng.uniform(0.4, 1.6, shape) * unit, rng.uniform(8.0, 30.0, shape) / unit**2
    found = with_others_strengths(np, nats, amplitude, sharp, 0.7)
    constant = rng.permutation([-600.0, -300.0, 0.0] * 5).reshape(5, 3, 1)
    shifted = with_others_strengths(np, nats + constant, amplitude, sharp, 0.7)
    for t in range(5):
        alone = with_others_strengths(np, nats[t : t + 1], amplitude[t : t + 1], sharp[t : t + 1], 0.7)
        np.testing.assert_array_equal(found[t], alone[0])
        np.testing.assert_allclose(shifted[t] - constant[t], found[t], rtol=1e-9)
        assert np.all(found[t] == nats[t]) == (t == 3)


def test_strengths_that_are_seen_exactly() -> None:
    """Four users, three places each: the integral over the level that they share, which no noise widens."""
    rng = np.random.default_rng(11)
    for _ in range(6):
        strength, nats, spread = rng.uniform(0.3, 2.0, (4, 3)), rng.uniform(-2.0, 0.0, (4, 3)), 0.8
        log_a = np.linspace(-5.0, 5.0, 2001)
        wanted = np.zeros((4, 3))
        for i in range(N_SPREADS):
            tau = spread / 2**i
            away = (log_a - np.log(strength)[..., None]) / tau
            of_places = np.exp(nats - 2 * np.log(strength))[..., None] * np.exp(-(away**2) / 2) / tau
            for user in range(4):
                others = np.prod([of_places[other].sum(axis=0) for other in range(4) if other != user], axis=0)
                wanted[user] += of_places[user] @ (np.exp(2 * log_a - 2 * tau**2) * others)
        wanted /= wanted.sum(axis=-1, keepdims=True)
        found = with_others_strengths(np, nats[None], 1e-4 * strength[None], np.full((1, 4, 3), 1e15), spread)[0]
        chances = np.exp(found - found.max(axis=-1, keepdims=True))
        np.testing.assert_allclose(chances / chances.sum(axis=-1, keepdims=True), wanted, atol=0.03)
        assert np.abs(np.exp(nats) / np.exp(nats).sum(axis=-1, keepdims=True) - wanted).max() > 0.1


def test_of_one_user_alone_a_gain_is_anything_however_much_users_differ() -> None:
    """Of every spread: as many of a level of ln|g| as there are by area."""
    level = np.linspace(-12.0, 12.0, 300)
    alike, prior = _alike(np, level[None], 0.9), _prior(np, level[None], 0.9)
    for i in range(N_SPREADS):
        of_spread = slice(300 * i, 300 * (i + 1))
        density = np.exp(prior[0, of_spread]) @ alike[0, of_spread]
        middle = np.abs(level) < 4
        np.testing.assert_allclose(density[middle], np.exp(2 * level[middle]), rtol=0.01)


def test_strengths_say_nothing_of_one_user_of_what_is_certain_and_of_what_is_unknown() -> None:
    nats = np.array([[[0.0, -1.0, -2.0]] * 2] * 3)
    ones = np.ones_like(nats)
    np.testing.assert_array_equal(with_others_strengths(np, nats[:, :1], ones[:, :1], ones[:, :1], 1.0), nats[:, :1])
    nats[0, :, 1:], nats[1, 0] = -np.inf, np.nan
    amplitude = ones.copy()
    amplitude[2, 1] = 0.0
    found = with_others_strengths(np, nats, amplitude, 20 * ones, 1.0)
    np.testing.assert_array_equal(found[0], nats[0])
    assert np.isnan(found[1, 0]).all()
    assert np.isfinite(found[1, 1]).all()
    assert np.isfinite(found[2]).all()
    assert np.isfinite(with_others_strengths(np, nats[2:], 0 * ones[2:], 20 * ones[2:], 1.0)).all()
    assert greatest_spread(VIEW) == pytest.approx(SPREAD)
