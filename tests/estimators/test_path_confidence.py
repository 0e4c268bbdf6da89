"""What a user's other places weigh, each peak and the rest of the grid: against least squares and sums over places."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, trials

from engine.estimators.paths import confidence
from engine.estimators.paths.conditional import peaks_of_users
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.trials import trials_of
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import wave

SMALL = UniformPlanarArray(11, 13, SURFACE.spacing_m, SURFACE.wavelength_m)
N, N_USERS = 3, 2
LOWEST = -25.0


class Weighed(NamedTuple):
    """What a search handed on: of the estimate, of every other peak and of the rest, (N, L, 2 + H)."""

    pursuit: Any
    cycles: Any
    paths: Any
    peaks: Any
    nats: np.ndarray
    amplitude: np.ndarray
    sharpness: np.ndarray
    lost: np.ndarray


def weighed(n_scatterers: int, monkeypatch: pytest.MonkeyPatch) -> Weighed:
    handed: list[np.ndarray] = []

    def take(_: Any, nats: np.ndarray, amplitude: np.ndarray, sharpness: np.ndarray, spread: float) -> np.ndarray:
        handed.extend((nats, amplitude, sharpness))
        assert spread == pytest.approx(math.log(10.0 / 0.5) / math.sqrt(12))
        return nats

    problem, cycles, _ = trials(
        N, (0.0,), seed=6, n_cycles=14, n_users=N_USERS, n_scatterers=n_scatterers, surface=SMALL
    )
    pursuit = NewtonisedPursuit(enough=None).pursuit(problem, np)
    rows = pursuit.rows(cycles.beams)
    some, paths = acquired(pursuit, trials_of(cycles, np), rows)
    peaks = peaks_of_users(pursuit, some, rows, paths, confidence.N_PEAKS)
    monkeypatch.setattr(confidence, "with_others_strengths", take)
    lost = confidence.lost_probability(pursuit, some, rows, paths)
    return Weighed(pursuit, cycles, paths, peaks, *handed, lost)


def seen(one: Weighed, t: int, user: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S (M,) and |g| (M,) of a wave from each place beside the scatterers found, by least squares of all gains."""
    beams, y = one.cycles.beams[t], one.cycles.samples[t, 0, :, user]
    received = beams @ wave(SMALL, *places.T).T
    scatterers = one.paths.places[t, N_USERS : N_USERS + one.paths.count[t]]
    if len(scatterers):
        known = np.linalg.qr(beams @ wave(SMALL, *scatterers.T).T)[0]
        received, y = (part - known @ (known.conj().T @ part) for part in (received, y))
    energy = np.sum(np.abs(received) ** 2, axis=0)
    return energy / one.cycles.noise_variance[t, 0], np.abs(y.conj() @ received) / energy


def in_beams(places: np.ndarray) -> np.ndarray:
    across = np.stack([np.sin(places[..., 1]) * np.sin(places[..., 2]) * 11, np.cos(places[..., 1]) * 13], axis=-1)
    return across * SMALL.spacing_m / SMALL.wavelength_m


def apart(places: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(in_beams(places) - in_beams(other), axis=-1) > 0.75


@pytest.mark.parametrize("n_scatterers", [0, 1])
def test_gains_at_each_peak_are_those_of_least_squares(n_scatterers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how sharply: what the beams receive from there beside the scatterers, over the noise."""
    one = weighed(n_scatterers, monkeypatch)
    compared = 0
    for t, user in np.ndindex(N, N_USERS):
        places = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
        sharpness, amplitude = seen(one, t, user, places)
        counts = one.nats[t, user, :-1] > one.nats[t, user].max() + LOWEST
        compared += counts.sum()
        np.testing.assert_allclose(one.sharpness[t, user, :-1][counts], sharpness[counts], rtol=1e-6)
        np.testing.assert_allclose(one.amplitude[t, user, 0], amplitude[0], rtol=1e-6)
        # A peak of the grid may be of a plane wave, and its place be as near as a fit may start.
        np.testing.assert_allclose(one.amplitude[t, user, :-1][counts], amplitude[counts], rtol=0.01)
    assert compared >= 3 * N * N_USERS


@pytest.mark.parametrize("n_scatterers", [0, 1])
def test_the_rest_is_the_sum_over_the_grid_away_from_all_peaks(
    n_scatterers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = weighed(n_scatterers, monkeypatch)
    grid = one.pursuit.all_places
    width = one.pursuit.level_per_m
    nearest, farthest = 1 / LAB.range_max_m, 1 / LAB.range_min_m
    low = np.clip(grid[:, 0] - width / 2, nearest, farthest)
    high = np.clip(grid[:, 0] + width / 2, nearest, farthest)
    for t, user in np.ndindex(N, N_USERS):
        peaks = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
        sharpness, amplitude = seen(one, t, user, np.concatenate([peaks, grid]))
        height = sharpness * amplitude**2
        away = np.all([apart(grid, peak) for peak in peaks], axis=0)
        behind = height[len(peaks) :] - height[: len(peaks)].max()
        mass = np.where(away & (behind > LOWEST), np.exp(behind) / (low * high) / sharpness[len(peaks) :], 0)
        assert one.nats[t, user, -1] == pytest.approx(math.log(mass.sum()), abs=0.03)
        share = mass / mass.sum()
        assert one.sharpness[t, user, -1] == pytest.approx(share @ sharpness[len(peaks) :], rel=0.01)
        explained = share @ height[len(peaks) :]
        assert one.amplitude[t, user, -1] ** 2 * one.sharpness[t, user, -1] == pytest.approx(explained, rel=0.01)


def test_each_peak_weighs_as_much_as_the_places_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summed over directions within 0.75 of a beam and over ranges that are uniform in view, in cells of the grid."""
    one = weighed(0, monkeypatch)
    steps = np.linspace(-0.75, 0.75, 13)
    y, z = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    within = np.hypot(y, z) < 0.75
    y, z = y[within], z[within]
    kappa = 1 / LAB.range_max_m + (np.arange(12) + 0.5) / 12 * (1 / LAB.range_min_m - 1 / LAB.range_max_m)
    volume = (steps[1] - steps[0]) ** 2 * (kappa[1] - kappa[0]) / one.pursuit.cell_beams**2 / one.pursuit.level_per_m
    errors = []
    for t, user in np.ndindex(N, N_USERS):
        peaks = np.concatenate([one.paths.places[t, user][None], one.peaks.places[t, user]])
        sharpness, amplitude = seen(one, t, user, peaks)
        highest = (sharpness * amplitude**2).max()
        for j in np.flatnonzero(one.nats[t, user, :-1] > one.nats[t, user].max() - 6):
            middle = in_beams(peaks[j]) * SMALL.wavelength_m / SMALL.spacing_m
            polar = np.arccos((middle[1] + z * SMALL.wavelength_m / SMALL.spacing_m) / 13)
            azimuth = np.arcsin((middle[0] + y * SMALL.wavelength_m / SMALL.spacing_m) / 11 / np.sin(polar))
            places = np.stack([np.repeat(kappa, y.size), np.tile(polar, 12), np.tile(azimuth, 12)], axis=-1)
            sharp, strength = seen(one, t, user, places)
            mass = np.sum(np.exp(sharp * strength**2 - highest) / sharp / places[:, 0] ** 2) * volume
            errors.append(one.nats[t, user, j] - math.log(mass))
    assert len(errors) > 12
    assert abs(np.mean(errors)) < 0.3  # one alone by a factor of three: lobes of few random beams are no parabolas
    assert np.std(errors) < 1.3


def test_the_share_elsewhere_is_that_of_all_but_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    one = weighed(0, monkeypatch)
    mass = np.exp(one.nats - one.nats.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(one.lost, 1 - mass[..., 0] / mass.sum(axis=-1))
    assert one.lost.max() > 0.2
