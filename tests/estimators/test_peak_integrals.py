"""What single peaks of a user's likelihood hold, against sums over a lattice of places around each."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import ndtri
from test_path_strengths import waves_of

from engine.estimators.paths import PathProblem, peak_integrals
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.conditional import Peaks
from engine.estimators.paths.peak_integrals import of_peaks
from engine.estimators.paths.prior_mass import of_peaks as of_mean_lobes
from engine.estimators.paths.trials import Trials
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray

WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / 5e9
SURFACE = UniformPlanarArray(7, 9, 0.45 * WAVELENGTH_M, WAVELENGTH_M)
VIEW = FieldOfView(math.pi / 4, 2.1, -0.7, 0.9, 0.4, 3.0)
N_BEAMS = 20


class Scene(NamedTuple):
    """Users' places (T, L, 3) at the tops of what scatterers leave of their likelihood; f (T, L) nats there."""

    pursuit: Any
    trials: Trials
    peaks: Peaks
    noise: np.ndarray
    places: np.ndarray
    height: np.ndarray


def left(basis: np.ndarray, share: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (M, C) with their parts along each of the basis, (K, C), shrunk to the root of the share."""
    out = values.copy()
    for vector, part in zip(basis, share, strict=True):
        along = values @ vector.conj()
        out += (math.sqrt(part) - 1) * along[:, None] * vector
    return out


def seen(scene: Scene, t: int, user: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f, and ‖u‖² of what scatterers leave, of all at least a fiftieth, at places (M, 3)."""
    beams = scene.trials.beams[scene.trials.group[t]]
    waves = waves_of(SURFACE, 1 / places[:, 0], places[:, 1], places[:, 2])
    whole = waves @ beams.T
    received = left(scene.peaks.basis[t], scene.peaks.share[t], whole)
    energy = np.maximum(np.sum(np.abs(received) ** 2, axis=1), 0.02 * np.sum(np.abs(whole) ** 2, axis=1))
    return np.abs(received.conj() @ scene.peaks.samples[t, user]) ** 2 / energy / scene.noise[t, 0], energy


def in_beams(places: np.ndarray) -> np.ndarray:
    across = np.stack([np.sin(places[..., 1]) * np.sin(places[..., 2]) * 7, np.cos(places[..., 1]) * 9], axis=-1)
    return across * 0.45


@lru_cache
def lattice() -> tuple[np.ndarray, float]:
    """Places in view, (M, 3), in equal cells of range and angles; rad² m of one."""
    ends = [(VIEW.range_min_m, VIEW.range_max_m, 16), (VIEW.polar_min_rad, VIEW.polar_max_rad, 72),
            (VIEW.azimuth_min_rad, VIEW.azimuth_max_rad, 68)]  # fmt: skip
    parts = [low + (np.arange(n) + 0.5) / n * (high - low) for low, high, n in ends]
    places = np.stack(np.meshgrid(1 / parts[0], *parts[1:], indexing="ij"), axis=-1).reshape(-1, 3)
    return places, math.prod((high - low) / n for low, high, n in ends)


def around(place: np.ndarray) -> np.ndarray:
    """Those within three quarters of a beam, (M, 3)."""
    places, _ = lattice()
    return places[np.linalg.norm(in_beams(places) - in_beams(place), axis=-1) < 0.75]


def integral(scene: Scene, t: int, user: int, place: np.ndarray, but: np.ndarray | None = None) -> float:
    (top,), (energy,) = seen(scene, t, user, place[None])
    places, (_, cell) = around(place), lattice()
    if but is not None:
        places = places[np.linalg.norm(in_beams(places) - in_beams(but), axis=-1) >= 0.75]
    nats, energies = seen(scene, t, user, places)
    return float(np.sum(np.exp(nats - top) * energy / energies) * cell)


def scene_of(true: list[list[tuple[float, float, float]]], strength: float) -> Scene:
    """Beside each trial's first user a scatterer, and another anywhere, of whose power 0.3 and 0.6 are left."""
    rng = np.random.default_rng(0)
    places = np.array(true)
    n, n_users, _ = places.shape
    pursuit = ClosedLoop().search.pursuit(PathProblem(SURFACE, VIEW, n_users, 0), np)
    beams = np.exp(2j * np.pi * rng.random((n, N_BEAMS, SURFACE.n_elements)))
    group = np.arange(n)[::-1].copy()
    noise = 60.0 * (1 + np.arange(n)[:, None])
    aside = places[:, 0] + np.array([0.0, 0.12, -0.2])
    basis, share = np.zeros((n, 2, N_BEAMS), complex), np.tile([0.3, 0.6], (n, 1))
    samples = np.zeros((n, n_users, N_BEAMS), complex)
    for t in range(n):
        scattered = waves_of(SURFACE, 1 / aside[t, :1], aside[t, 1:2], aside[t, 2:]) @ beams[group[t]].T
        other = rng.normal(size=(N_BEAMS, 2)) @ [1, 1j]
        basis[t] = np.linalg.qr(np.stack([scattered[0], other]).T)[0].T
        waves = waves_of(SURFACE, 1 / places[t, :, 0], places[t, :, 1], places[t, :, 2])
        some = rng.normal(size=(n_users, N_BEAMS, 2)) @ [1, 1j] * math.sqrt(noise[t, 0] / 2)
        gain = strength * np.sqrt(noise[t]) * np.exp(1j * np.arange(n_users))
        samples[t] = left(basis[t], share[t], gain[:, None] * (waves @ beams[group[t]].T) + some)
    none = np.zeros(0)
    peaks = Peaks(places[:, :, None], none, none, none, none, basis, samples, share)
    scene = Scene(pursuit, Trials(beams, group, samples, noise[:, 0]), peaks, noise, places, np.zeros((n, n_users)))
    for t, user in np.ndindex(n, n_users):
        for _ in range(3):  # uphill
            near = around(places[t, user])
            nats, _ = seen(scene, t, user, near)
            places[t, user], scene.height[t, user] = near[nats.argmax()], nats.max()
    return scene


def test_what_a_peak_holds_is_the_sum_over_places_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the view and beside each of its ends; beside scatterers, whatever the noise; not asked, the mean lobe."""
    scene = scene_of(
        [
            [(1.1, 1.4, 0.2), (0.6, 0.8, 0.4)],
            [(0.5, 1.7, -0.3), (2.0, 2.08, 0.1)],
            [(1.5, 1.5, -0.68), (0.8, 1.6, 0.88)],
        ],
        0.09,
    )
    places, height = scene.places[:, :, None], scene.height[:, :, None]
    worth = np.ones(height.shape, dtype=bool)
    worth[1, 0] = False
    given = scene.pursuit, scene.trials, scene.peaks, scene.noise, places, height, worth
    few = of_peaks(*given)[..., 0]
    many = np.random.default_rng(1).random((4000, 3))
    monkeypatch.setattr(peak_integrals, "_shares", lambda: np.concatenate([many[:, :1], ndtri(many[:, 1:])], axis=1))
    found = of_peaks(*given)[..., 0]
    mean = of_mean_lobes(scene.pursuit, places, height)[..., 0]
    wanted = np.array([[integral(scene, t, user, scene.places[t, user]) for user in range(2)] for t in range(3)])
    wanted[1, 0] = mean[1, 0]
    np.testing.assert_allclose(found, wanted, rtol=0.04)
    np.testing.assert_allclose(few, wanted, rtol=0.3)
    assert np.abs(np.log(mean / wanted)).max() > 0.4


def test_what_lies_in_the_estimates_direction_is_not_another_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.8 and 0.9 of a beam from it; where all of a peak is the estimate's, or out of view, next to nothing."""
    scene = scene_of([[(1.1, 1.4, 0.2)], [(0.6, 1.2, -0.2)]], 0.06)
    many = np.random.default_rng(2).random((4000, 3))
    monkeypatch.setattr(peak_integrals, "_shares", lambda: np.concatenate([many[:, :1], ndtri(many[:, 1:])], axis=1))
    others = scene.places[:, :, None] + np.array([[0, 0, 0], [0, 0.2, 0], [0, 0, -0.3], [0, -0.2, 0.1], [0, 0, 0]])
    others[1, 0, 4, 1] = VIEW.polar_max_rad + 0.6
    height = np.array([[seen(scene, t, 0, others[t, 0])[0]] for t in range(2)])
    worth = np.ones(height.shape, dtype=bool)
    found = of_peaks(scene.pursuit, scene.trials, scene.peaks, scene.noise, others, height, worth)
    for t in range(2):
        wanted = [integral(scene, t, 0, others[t, 0, h], others[t, 0, 0] if h else None) for h in range(4)]
        whole = [integral(scene, t, 0, others[t, 0, h]) for h in range(4)]
        np.testing.assert_allclose(found[t, 0, :4], wanted, rtol=0.12)
        assert np.all(np.array(whole[1:]) > 5 * np.array(wanted[1:]))
    assert np.all(found[:, 0, 4] > 0)
    assert np.all(found[:, 0, 4] < 1e-200)


def test_where_a_scatterer_hides_a_user_a_fiftieth_of_it_counts_as_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two users, where the first one is: of gains that are anything nothing is left there."""
    scene = scene_of([[(1.1, 1.4, 0.2), (0.6, 1.0, -0.2)]], 0.03)
    place = scene.places[0, 0]
    wave = waves_of(SURFACE, 1 / place[:1], place[1:2], place[2:]) @ scene.trials.beams[0].T
    scene.peaks.basis[0, 0], scene.peaks.share[0] = wave[0] / np.linalg.norm(wave), 0
    scene.peaks.basis[0, 1] = 0
    scene.peaks.samples[0] = left(scene.peaks.basis[0], scene.peaks.share[0], scene.peaks.samples[0])
    many = np.random.default_rng(3).random((4000, 3))
    monkeypatch.setattr(peak_integrals, "_shares", lambda: np.concatenate([many[:, :1], ndtri(many[:, 1:])], axis=1))
    places, some = np.broadcast_to(place, (1, 2, 1, 3)), np.ones((1, 2, 1))
    found = of_peaks(scene.pursuit, scene.trials, scene.peaks, scene.noise, places, 2 * some, some > 0)
    wanted = [integral(scene, 0, user, place) for user in range(2)]
    np.testing.assert_allclose(found[0, :, 0], wanted, rtol=0.1)


def test_a_peak_far_below_what_is_beside_it_holds_a_number() -> None:
    """Thousands of nats within a beam, where noise is next to none."""
    scene = scene_of([[(1.1, 1.4, 0.2)], [(0.6, 1.2, -0.2)]], 0.6)
    beside = scene.places[:, :, None] + np.array([0, 0.15, 0.0])
    some = np.ones((2, 1, 1))
    found = of_peaks(scene.pursuit, scene.trials, scene.peaks, scene.noise / 100, beside, 3 * some, some > 0)
    assert np.all(found > 1e200)
    assert np.isfinite(found).all()
