"""The atomic-norm fit: at its optimum by duality, which proves it."""

import math

import numpy as np
import pytest

from engine.numerics.atomic_norm import Atoms, decompose, duality_gap, objective, plane, residual, strongest_wave
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


@pytest.mark.parametrize("snr_db", [5.0, 15.0])
def test_the_optimum_is_proved_by_duality(snr_db: float) -> None:
    beams, samples, penalty = signals(snr_db)
    atoms = decompose(ARRAY, beams, samples, penalty, n_atoms=16, tolerance=1e-3, descents=25, oversampling=16)
    value = objective(ARRAY, beams, samples, penalty, atoms)
    gap = duality_gap(ARRAY, beams, samples, penalty, atoms) / value
    assert gap.max() < 0.01
    assert np.median(gap) < 0.003
    # The correlation with every wave on a finer raster than any that was looked at: the dual certificate.
    rest = residual(ARRAY, beams, samples, atoms)
    u_y, u_z = (part.ravel() for part in np.meshgrid(np.linspace(-1, 1, 91), np.linspace(-1, 1, 91)))
    visible = u_y**2 + u_z**2 < 1
    dense = beams.conj().swapaxes(-1, -2)[:, None] @ rest[..., None]
    correlation = np.abs(plane(ARRAY, u_y[visible], u_z[visible]).conj() @ dense)[..., 0]
    assert np.all(correlation.max(axis=-1) < 1.01 * penalty)
    # At the atoms themselves it is τ: the gains are optimal.
    at = np.abs(np.sum(plane(ARRAY, atoms.u_y, atoms.u_z).conj() * dense[..., 0][..., None, :], axis=-1))
    strong = np.abs(atoms.gain) > 0.02
    np.testing.assert_allclose(at[strong], np.broadcast_to(penalty[..., None], at.shape)[strong], rtol=0.01)
    few = decompose(ARRAY, beams, samples, penalty, n_atoms=1, tolerance=1e-4)
    assert (
        np.median(duality_gap(ARRAY, beams, samples, penalty, few) / objective(ARRAY, beams, samples, penalty, few))
        > 0.1
    )


def test_a_signal_does_not_depend_on_the_others() -> None:
    beams, samples, penalty = signals(15.0)
    whole = decompose(ARRAY, beams, samples, penalty, n_atoms=6, tolerance=1e-2)
    alone = decompose(ARRAY, beams[1:2], samples[1:2], penalty[1:2], n_atoms=6, tolerance=1e-2)
    for field, one in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(one, field[1:2])


def test_plane_waves_and_their_raster() -> None:
    polar, azimuth = np.array([0.9, 1.7]), np.array([-0.4, 0.8])
    u_y, u_z = np.sin(polar) * np.sin(azimuth), np.cos(polar)
    np.testing.assert_allclose(plane(ARRAY, u_y, u_z), wave(ARRAY, np.zeros(2), polar, azimuth), atol=1e-13)
    one = plane(ARRAY, u_y, u_z).reshape(2, 1, N)
    found = strongest_wave(ARRAY, np.broadcast_to(np.eye(N, dtype=complex), (2, N, N)), one, oversampling=16)
    np.testing.assert_allclose(found[0][:, 0], u_y, atol=2.1415 / 6 / 16 / 2)
    np.testing.assert_allclose(found[1][:, 0], u_z, atol=2.1415 / 5 / 16 / 2)
    np.testing.assert_allclose(found[2][:, 0], N, rtol=5e-3)
