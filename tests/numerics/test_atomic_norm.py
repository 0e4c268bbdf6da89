"""The atomic-norm fit: at its optimum by duality, which proves it."""

import math
from typing import Any

import numpy as np
import pytest

from engine.numerics import atomic_norm
from engine.numerics.atomic_descent import NOWHERE, Atoms, Signals, plane
from engine.numerics.atomic_norm import (
    _highest_peaks,
    _on_edge,
    _summits,
    decompose,
    duality_gap,
    objective,
    residual,
    strongest_wave,
)
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.wavefront import wave

ARRAY = UniformPlanarArray(6, 5, 0.005, SPEED_OF_LIGHT_M_PER_S / 28e9)
N, GROUPS, SIGNALS, CYCLES = 30, 3, 2, 14


def signals(snr_db: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    beams = np.exp(2j * np.pi * rng.random((GROUPS, CYCLES, N)))
    places = rng.uniform(0.3, 0.65, (2, GROUPS, SIGNALS, 1)) * [1, -1]  # far enough apart for a norm to tell
    truth = Atoms(*places, np.exp(2j * np.pi * rng.random((GROUPS, SIGNALS, 2))) * [1, 0.5])
    variance = N / 10 ** (snr_db / 10)
    noise = rng.normal(size=(2, GROUPS, SIGNALS, CYCLES)) * math.sqrt(variance / 2)
    samples = -residual(ARRAY, beams, np.zeros((GROUPS, SIGNALS, CYCLES)), truth) + noise[0] + 1j * noise[1]
    penalty = np.full((GROUPS, SIGNALS), 0.5 * math.sqrt(variance * CYCLES * N * math.log(4 * N)))
    return beams, samples, penalty


def dense_waves(points: int) -> np.ndarray:
    """Element by element, of a fine grid of directions in sight: (waves, N)."""
    u_y, u_z = (part.ravel() for part in np.meshgrid(np.linspace(-1, 1, points), np.linspace(-1, 1, points)))
    seen = u_y**2 + u_z**2 < 1
    y, z = ((np.arange(n) - (n - 1) / 2) * 0.005 for n in (6, 5))
    k = 2 * np.pi * 28e9 / SPEED_OF_LIGHT_M_PER_S
    phase = u_y[seen, None, None] * y[:, None] + u_z[seen, None, None] * z
    return np.exp(1j * k * phase).reshape(-1, N)


def by_shrinkage(phi: np.ndarray, samples: np.ndarray, tau: float, steps: int) -> float:
    """min ½‖y − Φ c‖² + τ Σ|c| over gains of given waves, by FISTA (Beck, Teboulle, 2009)."""
    length = 1 / np.linalg.norm(phi, 2) ** 2
    gain = ahead = np.zeros(phi.shape[1], dtype=complex)
    momentum = 1.0
    for _ in range(steps):
        moved = ahead + length * phi.conj().T @ (samples - phi @ ahead)
        size = np.abs(moved)
        new = moved * np.maximum(1 - length * tau / np.maximum(size, 1e-300), 0)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - gain)
        gain, momentum = new, following
    return float(0.5 * np.linalg.norm(samples - phi @ gain) ** 2 + tau * np.abs(gain).sum())


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 30.0])
def test_the_objective_is_within_one_percent_of_its_minimum(snr_db: float) -> None:
    """Between a bound from below, a point of the dual problem, and another solver's from above, both on fine grids."""
    beams, samples, penalty = signals(snr_db)
    atoms = decompose(ARRAY, beams, samples, penalty)
    value = objective(ARRAY, beams, samples, penalty, atoms)
    waves = dense_waves(121)
    for g, v in np.ndindex(GROUPS, SIGNALS):
        phi, y, tau = beams[g] @ waves.T, samples[g, v], penalty[g, v]
        field = sum(
            gain * np.exp(2j * np.pi * 28e9 / SPEED_OF_LIGHT_M_PER_S * phase)
            for gain, phase in zip(atoms.gain[g, v], phases(atoms.u_y[g, v], atoms.u_z[g, v]), strict=True)
        )
        rest = y - beams[g] @ field
        assert value[g, v] == pytest.approx(0.5 * np.linalg.norm(rest) ** 2 + tau * np.abs(atoms.gain[g, v]).sum())
        scaled = rest * min(1.0, tau / np.abs(phi.conj().T @ rest).max())
        below = 0.5 * (np.linalg.norm(y) ** 2 - np.linalg.norm(y - scaled) ** 2)
        assert value[g, v] <= 1.0105 * below  # the fine grid's own peaks are missed by a few parts in ten thousand
        if v:
            continue
        above = by_shrinkage(beams[g] @ dense_waves(41).T, y, tau, 300)
        assert below <= above
        assert value[g, v] <= 1.01 * above
    gap = duality_gap(ARRAY, beams, samples, penalty, atoms) / value
    assert np.all((gap > -1e-3) & (gap < 0.0105))
    few = decompose(ARRAY, beams, samples, penalty, n_atoms=1)
    worse = duality_gap(ARRAY, beams, samples, penalty, few) / objective(ARRAY, beams, samples, penalty, few)
    assert np.median(worse) > 0.1
    assert np.all((np.abs(few.gain) > 0).sum(axis=-1) == 1)


def phases(u_y: np.ndarray, u_z: np.ndarray) -> np.ndarray:
    """u·p at every element, (n, N)."""
    y, z = ((np.arange(n) - (n - 1) / 2) * 0.005 for n in (6, 5))
    return (u_y[:, None, None] * y[:, None] + u_z[:, None, None] * z).reshape(-1, N)


def test_a_tighter_tolerance_comes_nearer_and_gains_are_optimal() -> None:
    beams, samples, penalty = signals(15.0)
    loose, tight = (decompose(ARRAY, beams, samples, penalty, tolerance=share) for share in (0.1, 1e-3))
    values = [objective(ARRAY, beams, samples, penalty, atoms) for atoms in (loose, tight)]
    assert np.all(values[1] <= values[0] * (1 + 1e-3))
    assert duality_gap(ARRAY, beams, samples, penalty, tight).max() < 0.006 * values[1].max()
    # At the atoms the correlation with the residual is τ, in the gain's own phase.
    rest = residual(ARRAY, beams, samples, tight)
    back = beams.conj().swapaxes(-1, -2)[:, None] @ rest[..., None]
    at = np.sum(plane(ARRAY, tight.u_y, tight.u_z).conj() * back[..., 0][..., None, :], axis=-1)
    strong = np.abs(tight.gain) > 0.02
    expected = (penalty[..., None] * np.exp(1j * np.angle(tight.gain)))[strong]
    np.testing.assert_allclose(at[strong], expected, atol=0.02 * penalty.max())


def test_a_signal_does_not_depend_on_the_others() -> None:
    beams, samples, penalty = signals(15.0)
    samples = samples * np.array([1.0, 0.01])[:, None]  # one that ends soon beside one that does not
    for n_atoms in (6, None):
        whole = decompose(ARRAY, beams, samples, penalty, n_atoms=n_atoms)
        alone = decompose(ARRAY, beams[1:2], samples[1:2], penalty[1:2], n_atoms=n_atoms)
        single = decompose(ARRAY, beams[1:2], samples[1:2, :1], penalty[1:2, :1], n_atoms=n_atoms)
        for field, group, one in zip(whole, alone, single, strict=True):
            np.testing.assert_array_equal(group, field[1:2])
            np.testing.assert_array_equal(one, field[1:2, :1])
        assert not whole.gain[:, 1].any()


def test_plane_waves_and_their_raster() -> None:
    polar, azimuth = np.array([0.9, 1.7]), np.array([-0.4, 0.8])
    u_y, u_z = np.sin(polar) * np.sin(azimuth), np.cos(polar)
    np.testing.assert_allclose(plane(ARRAY, u_y, u_z), wave(ARRAY, np.zeros(2), polar, azimuth), atol=1e-13)
    one = plane(ARRAY, u_y, u_z)
    each = Signals(ARRAY, np.broadcast_to(np.eye(N, dtype=complex), (2, N, N)), one, np.ones(2))
    for oversampling, off in ((4, 4e-3), (16, 3e-4)):
        found = strongest_wave(each, one, oversampling)
        np.testing.assert_allclose(found[0], u_y, atol=off)
        np.testing.assert_allclose(found[1], u_z, atol=off)
        np.testing.assert_allclose(found[2], N, rtol=0.08 / oversampling**2)
        assert np.all(found[2] <= N * (1 + 1e-12))


def test_the_strongest_wave_lies_in_sight() -> None:
    """Of noise that correlates best beyond |u| = 1, the highest within, or on the edge."""
    rng = np.random.default_rng(1)
    rest = rng.normal(size=(40, N, 2)) @ [1, 1j]
    each = Signals(ARRAY, np.broadcast_to(np.eye(N, dtype=complex), (40, N, N)), rest, np.ones(40))
    u_y, u_z, height = strongest_wave(each, rest)
    assert np.all(u_y**2 + u_z**2 <= 1 + 1e-12)
    waves = np.exp(1j * 2 * np.pi * 28e9 / SPEED_OF_LIGHT_M_PER_S * phases(u_y, u_z))
    np.testing.assert_allclose(height, np.abs(np.sum(waves.conj() * rest, axis=-1)))
    highest = np.abs(dense_waves(161).conj() @ rest.T).max(axis=0)
    assert np.all(height > (1 - 0.08 / 16) * highest)
    assert np.all(height < 1.02 * highest)  # 161 points a side miss as much, on the edge


@pytest.mark.parametrize("oversampling", [4, 8])
def test_a_wave_along_the_surface_is_found_between_the_points_of_its_edge(oversampling: int) -> None:
    """|u| = 1, by a parabola: to a twentieth of a step."""
    angle = np.linspace(-3.1, 3.1, 47)
    waves = np.exp(2j * np.pi * 28e9 / SPEED_OF_LIGHT_M_PER_S * phases(np.cos(angle), np.sin(angle)))
    u_y, u_z = _on_edge(ARRAY, waves, oversampling)
    np.testing.assert_allclose(u_y**2 + u_z**2, 1)
    off = np.angle(np.exp(1j * (np.arctan2(u_z, u_y)[:, 0] - angle)))
    step = ARRAY.wavelength_m / 0.005 / math.hypot(6, 5) / oversampling
    # Waves from either side of the surface's own plane are one where the elements are half a wavelength apart.
    mirrored = np.abs(np.sum(waves.conj() * np.exp(
        2j * np.pi * 28e9 / SPEED_OF_LIGHT_M_PER_S * phases(u_y[:, 0], u_z[:, 0])), axis=-1)) / N  # fmt: skip
    assert np.all(mirrored > 1 - 0.01 * (4 / oversampling) ** 2)
    assert np.median(np.abs(off)) < 0.05 * step
    assert [float(part[0, 0]) for part in _on_edge(ARRAY, np.zeros((1, N), complex), oversampling)] == [1, 0]  # of none


def test_atoms_come_first_and_places_of_none_are_nowhere() -> None:
    beams, samples, penalty = signals(15.0)
    for n_atoms in (None, 7):
        atoms = decompose(ARRAY, beams, samples, penalty, n_atoms=n_atoms)
        assert atoms.gain.shape[-1] == (n_atoms or 2 * CYCLES)
        used = atoms.gain != 0
        assert np.all(used[..., :-1] >= used[..., 1:])
        assert used.any(axis=-1).all()
        assert n_atoms or not used.all(axis=-1).any()
        for cosine in (atoms.u_y, atoms.u_z):
            assert np.all(cosine[~used] == NOWHERE)
            assert np.all(np.abs(cosine[used]) <= 1)


def made_of(array: UniformPlanarArray, u: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Σ c e^{jk u·p}, element by element; u (n, 2), gain (n,)."""
    total = []
    for i, j in np.ndindex(array.n_y, array.n_z):
        place = array.spacing_m * np.array([i - (array.n_y - 1) / 2, j - (array.n_z - 1) / 2])
        total.append(np.sum(gain * np.exp(2j * np.pi / array.wavelength_m * (u @ place))))
    return np.array(total)


def test_peaks_come_by_height_and_in_sight() -> None:
    """In whatever unit. The highest lies beyond |u| = 1; where no peak is left, it is a place in sight all the same."""
    array = UniformPlanarArray(17, 15, 0.0045, 0.01)
    u = np.array([[0.35, -0.3], [-0.45, 0.1], [0.1, 0.55], [-0.95, 0.75]])
    for unit in (1e-3, 1e3):
        back = unit * np.stack([made_of(array, u, np.array(sizes)) for sizes in ([2, 4, 3, 5j], [3j, 2, 4, 5])])
        for count in (3, 2):
            places = np.stack(_highest_peaks(array, back, 4, count), axis=-1)
            np.testing.assert_allclose(places[0], u[[1, 2, 0]][:count], atol=0.03)
            np.testing.assert_allclose(places[1], u[[2, 0, 1]][:count], atol=0.03)
        with_none_left = np.stack(_highest_peaks(array, back, 4, 400), axis=-1)
        assert np.all(np.linalg.norm(with_none_left, axis=-1) < 1)
        assert len(np.unique(with_none_left[0], axis=0)) < 400


@pytest.mark.parametrize("seed", range(4))
def test_a_paraboloids_summit_is_where_it_is_and_as_high(seed: int) -> None:
    """Over a raster that is one within two points of its summit; everywhere else is none."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2, 2))
    bend = 0.05 * (root @ root.T + 2 * np.eye(2))
    aside, height = rng.uniform(-0.35, 0.35, 2), 7.0
    raster = np.zeros((2, 9, 11))
    for i, j in np.ndindex(3, 3):
        off = np.array([i - 1, j - 1]) - aside
        raster[1, (8 + i - 1) % 9, 3 + j - 1] = height - off @ bend @ off / 2  # round the raster's end
    found = _summits(raster)
    assert raster[1, 8, 3] == raster.max()
    assert np.count_nonzero(found[0]) == 1
    assert [part[1, 8, 3] for part in found] == pytest.approx([height, *aside])


def test_a_summits_place_is_within_half_a_step_and_a_saddles_is_the_point() -> None:
    for top in np.array([[0.9, 0.45], [-0.9, -0.45], [0.45, 0.9], [-0.45, -0.9]]):  # a ridge between its neighbours
        along, raster = top / np.linalg.norm(top), np.zeros((1, 5, 6))
        for i, j in np.ndindex(3, 3):
            off = np.array([i - 1, j - 1]) - top
            raster[0, 1 + i, 1 + j] = 50 - 0.02 * (off @ along) ** 2 - 20 * (along[0] * off[1] - along[1] * off[0]) ** 2
        assert raster[0, 2, 2] == raster.max()
        height, *aside = (part[0, 2, 2] for part in _summits(raster))
        assert height > raster[0, 2, 2]
        assert aside == pytest.approx(np.clip(top, -0.5, 0.5))
    saddle = np.array([[9.9, 9.8, 6.0], [9.7, 10.0, 9.7], [6.0, 9.8, 9.9]])
    found = _summits(np.pad(saddle, ((1, 2), (1, 2)))[None])
    assert [part[0, 2, 2] for part in found] == [10.0, 0.0, 0.0]


def test_of_a_long_surface_the_edge_is_searched_as_finely() -> None:
    """What correlates at the place found, of what does at the true one."""
    for n_y, n_z in ((40, 2), (2, 40)):
        array = UniformPlanarArray(n_y, n_z, 0.0045, 0.01)
        angle = np.linspace(0.1, 6.2, 61)
        u = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        back = np.stack([made_of(array, one[None], np.ones(1)) for one in u])
        places = np.concatenate(_on_edge(array, back, 4), axis=-1)
        for wave_there, place in zip(back, places, strict=True):
            assert abs(np.vdot(made_of(array, place[None], np.ones(1)), wave_there)) > 0.99 * 80


def test_it_ends_after_so_many_rounds_or_where_one_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    beams, samples, penalty = signals(15.0)
    moved, one_round = [], atomic_norm._round

    def counted(some: Signals, atoms: Atoms) -> Atoms:
        moved.append(len(some.penalty))
        return one_round(some, atoms)

    monkeypatch.setattr(atomic_norm, "_round", counted)

    def rounds_taken(samples: np.ndarray, **options: Any) -> tuple[float, Atoms]:
        moved.clear()
        atoms = decompose(ARRAY, beams, samples, penalty, **options)
        assert atoms.gain.shape[:2] == (GROUPS, SIGNALS)
        return sum(moved) / (GROUPS * SIGNALS), atoms

    values = []
    for rounds in (1, 2):
        taken, atoms = rounds_taken(samples, rounds=rounds, tolerance=1e-9)
        assert taken == rounds
        assert np.count_nonzero(atoms.gain, axis=-1).max() <= 4 * rounds
        values.append(objective(ARRAY, beams, samples, penalty, atoms))
    assert np.all(values[1] < values[0])
    assert rounds_taken(samples, n_atoms=1, tolerance=1e-9)[0] < 6
    assert rounds_taken(np.zeros_like(samples))[0] == 1  # where f = 0 is its minimum


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**20])
def test_samples_may_be_in_whatever_unit(unit: float) -> None:
    beams, samples, penalty = signals(15.0)
    here, there = decompose(ARRAY, beams, samples, penalty), decompose(ARRAY, beams, unit * samples, unit * penalty)
    np.testing.assert_allclose(there.gain, unit * here.gain, rtol=1e-6, atol=1e-9 * unit)
    np.testing.assert_allclose((there.u_y, there.u_z), (here.u_y, here.u_z), rtol=1e-6)
    for measure in (objective, duality_gap):
        values = (
            measure(ARRAY, beams, samples, penalty, here),
            measure(ARRAY, beams, unit * samples, unit * penalty, there),
        )
        np.testing.assert_allclose(values[1], unit**2 * values[0], rtol=1e-6, atol=1e-9 * unit**2)
