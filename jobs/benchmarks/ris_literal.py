"""Algorithm 1 of Cao et al. (arXiv 2501.17868) as it reads: the oracle of `OnGrid`, and no measure of speed.

One trial at a time, a dictionary per user, and in every cycle the products with it and all correlations from all rows
so far: slow for what it repeats (5.5 cpu-s a trial in the laboratory's view). What a competent researcher writes, and
what speed is measured by, is `ris_shared_literal`.
"""

from typing import NamedTuple

import numpy as np

from engine.numerics.candidates import Candidates
from engine.numerics.geometry import UniformPlanarArray


class Found(NamedTuple):
    """Candidates' numbers of the users (L,) and of the scatterers (K,), and the gains (L,), (L, K)."""

    users: np.ndarray
    scatterers: np.ndarray
    gains: np.ndarray
    scatterer_gains: np.ndarray


def waves(surface: UniformPlanarArray, candidates: Candidates) -> np.ndarray:
    """A = [A_NF, A_FF], Eqs. (12), (13): spherical waves as e^{−jk(d − r)}, plane ones as e^{jk u·p}; (N, M)."""
    y, z = surface.positions_m(np)
    k = surface.wavenumber_rad_per_m
    columns = np.empty((surface.n_elements, len(candidates.polar_rad)), dtype=complex)
    for m, (kappa, theta, phi) in enumerate(zip(*candidates, strict=True)):
        u_x, u_y, u_z = np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)
        if kappa == 0:
            columns[:, m] = np.exp(1j * k * (y * u_y + z * u_z))
        else:
            r = 1 / kappa
            d = np.sqrt((r * u_x) ** 2 + (r * u_y - y) ** 2 + (r * u_z - z) ** 2)
            columns[:, m] = np.exp(-1j * k * (d - r))
    return columns


def strongest(dictionary: np.ndarray, signal: np.ndarray) -> int:
    """argmax |φ_m^H y|²/‖φ_m‖², Eq. (19)."""
    return int(np.argmax(np.abs(dictionary.conj().T @ signal) ** 2 / np.sum(np.abs(dictionary) ** 2, axis=0)))


def gain(atom: np.ndarray, signal: np.ndarray) -> complex:
    """φ^† y, Eq. (21)."""
    return np.vdot(atom, signal) / np.vdot(atom, atom)


def algorithm_1(dictionaries: list[np.ndarray], samples: np.ndarray, n_scatterers: int) -> Found:
    """dictionaries: Φ_l (C, M) of each user; samples (C, L)."""
    n_users = len(dictionaries)
    y = [samples[:, user] for user in range(n_users)]
    users = [strongest(dictionaries[user], y[user]) for user in range(n_users)]
    alone = []
    for user in range(n_users):
        atom = dictionaries[user][:, users[user]]
        alone.append(y[user] - atom * gain(atom, y[user]))  # Eq. (22)
    residual, support = list(alone), []
    chosen = [np.zeros((len(samples), 0), dtype=complex)] * n_users
    scatterer_gains = [np.zeros(0, dtype=complex)] * n_users
    for _ in range(n_scatterers):
        score = np.zeros(dictionaries[0].shape[1])
        for user in range(n_users):
            phi = dictionaries[user]
            score += np.abs(phi.conj().T @ residual[user]) ** 2 / np.sum(np.abs(phi) ** 2, axis=0)
        support.append(int(np.argmax(score)))  # Eq. (24)
        for user in range(n_users):
            chosen[user] = dictionaries[user][:, support]
            scatterer_gains[user] = np.linalg.pinv(chosen[user]) @ alone[user]  # Eq. (25)
            residual[user] = alone[user] - chosen[user] @ scatterer_gains[user]  # Eq. (27)
    gains = np.empty(n_users, dtype=complex)
    for user in range(n_users):
        cleaned = y[user] - chosen[user] @ scatterer_gains[user]  # Eq. (28)
        users[user] = strongest(dictionaries[user], cleaned)  # Eq. (29)
        gains[user] = gain(dictionaries[user][:, users[user]], cleaned)
    return Found(np.array(users), np.array(support, dtype=int), gains, np.array(scatterer_gains))


def localize(
    users_waves: list[np.ndarray], beams: np.ndarray, samples: np.ndarray, n_scatterers: int, first: int
) -> list[Found]:
    """Estimates after each cycle from the `first` on: A_l (N, M) of each user, beams (C, N), samples (C, L)."""
    found = []
    for n_cycles in range(first, len(beams) + 1):
        dictionaries = [beams[:n_cycles] @ atoms for atoms in users_waves]  # Eq. (16)
        found.append(algorithm_1(dictionaries, samples[:n_cycles], n_scatterers))
    return found
