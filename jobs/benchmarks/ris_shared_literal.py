"""Algorithms 1 and 2 of Cao et al. (arXiv 2501.17868) as a competent researcher writes them: what speed is measured by.

Single precision, BLAS, one dictionary that all users share, and of a new cycle its own row alone: norms are added up,
correlations of all users are one product, and what earlier cycles say of the bounds is summed once a search. One trial
at a time, but that rows of several may come from one product with the dictionary. Shares no code with what it measures.
"""

import numpy as np

from engine.numerics.geometry import UniformPlanarArray

SUFFICIENT, SHORTEN, LENGTHEN, FIRST_TURN_RAD = 1e-4, 0.35, 1.8, 0.5
N_ITERATIONS, N_FAILURES, TOLERANCE = 60, 30, 1e-4


class Trial:
    """One trial: what its beams receive from the M candidates, (C, M), and the samples (C, L)."""

    def __init__(self, n_cycles: int, n_candidates: int, n_users: int, n_scatterers: int) -> None:
        self.rows = np.empty((n_cycles, n_candidates), dtype=np.complex64)
        self.samples = np.empty((n_cycles, n_users), dtype=np.complex64)
        self.norms = np.zeros(n_candidates, dtype=np.float32)
        self.n_scatterers, self.count = n_scatterers, 0

    def add(self, rows: np.ndarray, samples: np.ndarray) -> None:
        """Further cycles: their rows (C', M) and samples (C', L)."""
        end = self.count + len(rows)
        self.rows[self.count : end], self.samples[self.count : end] = rows, samples
        for row in rows:
            self.norms += _power(row)
        self.count = end

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        """Algorithm 1: the users' candidates (L,) and gains (L,)."""
        rows, y = self.rows[: self.count], self.samples[: self.count]
        users = np.argmax(self._scores(y), axis=1)
        alone = y - rows[:, users] * _gains(rows[:, users], y)  # Eqs. (21), (22)
        residual, support = alone, list[int]()
        for _ in range(self.n_scatterers):
            support.append(int(np.argmax(self._scores(residual).sum(axis=0))))  # Eq. (24)
            chosen = rows[:, support]
            scattered = chosen @ np.linalg.lstsq(chosen, alone)[0]  # Eq. (25)
            residual = alone - scattered  # Eq. (27)
        cleaned = y - scattered if support else y  # Eq. (28)
        users = np.argmax(self._scores(cleaned), axis=1)
        return users, _gains(rows[:, users], cleaned)

    def _scores(self, signals: np.ndarray) -> np.ndarray:
        """|φ_m^H r|²/‖φ_m‖², Eq. (19), of each of the signals (C, L): (L, M)."""
        return _power(signals.T.conj() @ self.rows[: self.count]) / self.norms


def next_beam(
    array: UniformPlanarArray,
    places: tuple[np.ndarray, np.ndarray, np.ndarray],
    gains: np.ndarray,
    beams: np.ndarray,
    noise_variance: float,
    start: np.ndarray,
) -> np.ndarray:
    """Algorithm 2 from `start` (N,) after `beams` (C, N), weights one over the present bounds: the beam (N,).

    places: κ, θ, φ of the users, (L,) each; a range is no parameter where κ = 0.
    """
    q, far = _derivatives(array, places, gains.astype(complex)), places[0] == 0
    information = np.zeros((len(far), 5, 5))
    information[far, 0, 0] = 1.0
    v = q @ beams.T
    information += 2 / noise_variance * np.real(v.conj() @ v.swapaxes(1, 2))  # Eq. (35)
    weight = np.zeros_like(information[:, 0])
    weight[:, :3] = 1 / np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)[:, :3]
    weight[far, 0] = 0.0

    def evaluate(beam: np.ndarray) -> tuple[float, np.ndarray]:
        """Eqs. (41), (45) and (46)."""
        v = q @ beam
        outer = np.real(v.conj()[:, :, None] * v[:, None, :])
        inverse = np.linalg.inv(information + 2 / noise_variance * outer)
        value = float(np.sum(weight * np.diagonal(inverse, axis1=1, axis2=2)))
        turned = inverse @ (weight[..., None] * (inverse @ v[..., None]))
        g = -4 / noise_variance * (turned.reshape(1, -1).conj() @ q.reshape(-1, q.shape[-1])).conj()[0]
        return value, g - np.real(g * beam.conj()) * beam

    beam, (value, direction) = start, evaluate(start)
    step, failures, iterations = FIRST_TURN_RAD / np.max(np.abs(direction)), 0, 0
    while iterations < N_ITERATIONS and failures < N_FAILURES:
        moved = beam - step * direction  # Eq. (47)
        candidate = moved / np.abs(moved)  # Eq. (48)
        tried, its_direction = evaluate(candidate)
        if tried > value - SUFFICIENT * step * np.vdot(direction, direction).real:
            step, failures = step * SHORTEN, failures + 1
            continue
        ended = value - tried < TOLERANCE * value
        beam, value, direction = candidate, tried, its_direction
        step, failures, iterations = step * LENGTHEN, 0, iterations + 1
        if ended:
            break
    return beam


def _derivatives(
    array: UniformPlanarArray, places: tuple[np.ndarray, np.ndarray, np.ndarray], gains: np.ndarray
) -> np.ndarray:
    """Q^T: α ∂a by range, polar angle and azimuth, a, and j a, complex (L, 5, N); Eqs. (59) to (64)."""
    kappa, polar, azimuth = (part[:, None] for part in places)
    y, z = array.positions_m(np)
    k, far = array.wavenumber_rad_per_m, kappa == 0
    r = 1 / np.where(far, 1.0, kappa)
    u_x, u_y, u_z = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)
    along = y * u_y + z * u_z
    distance = np.sqrt((r * u_x) ** 2 + (r * u_y - y) ** 2 + (r * u_z - z) ** 2)
    wave = np.exp(np.where(far, 1j * k * along, -1j * k * (distance - r)))
    by_angle = np.where(far, 1.0, r / distance)
    by_polar = 1j * k * by_angle * (y * np.cos(polar) * np.sin(azimuth) - z * np.sin(polar)) * wave
    by_azimuth = 1j * k * by_angle * (y * np.sin(polar) * np.cos(azimuth)) * wave
    by_range = np.where(far, 0.0, -1j * k * ((r - along) / distance - 1)) * wave
    alpha = gains[:, None]
    return np.stack([alpha * by_range, alpha * by_polar, alpha * by_azimuth, wave, 1j * wave], axis=1)


def _gains(atoms: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """φ^† y of each pair of columns, Eq. (21)."""
    return np.sum(atoms.conj() * signals, axis=0) / np.sum(_power(atoms), axis=0)


def _power(values: np.ndarray) -> np.ndarray:
    return values.real**2 + values.imag**2
