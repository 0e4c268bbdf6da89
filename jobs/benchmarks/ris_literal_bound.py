"""Algorithm 2 as it reads: at every evaluation, each user's information summed over all cycles anew. Plain NumPy.

The same answers as `engine.numerics.circle_manifold`, whose oracle it is.
"""

import numpy as np

from engine.numerics.armijo import Armijo
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths
from engine.numerics.wavefront import wavefront


def literal_objective(
    array: UniformPlanarArray,
    paths: Paths,
    beams: np.ndarray,
    noise_variance: float,
    beam: np.ndarray,
    weight: np.ndarray,
    far: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Σ_l tr(W_l F_l⁻¹), Eq. (41), and its gradient, Eq. (45), after cycles with `beams` (C, N) and `beam`; one trial.

    paths: of L users; weight: diagonal of W over r, θ, φ, (L, 3); far: (L,), whose range is no parameter.
    """
    value, gradient = 0.0, np.zeros(array.n_elements, dtype=complex)
    for user, alpha in enumerate(paths.gain):
        place = (paths.inverse_range_per_m[user], paths.polar_rad[user], paths.azimuth_rad[user])
        a, by_kappa, by_polar, by_azimuth = wavefront(array, *(np.asarray(part) for part in place))
        by_range = np.zeros_like(a) if far[user] else -(place[0] ** 2) * by_kappa
        q = np.stack([alpha * by_range, alpha * by_polar, alpha * by_azimuth, a, 1j * a])
        information = np.diag([1.0 if far[user] else 0.0, 0, 0, 0, 0])
        for past in [*beams, beam]:
            v = q @ past
            information += 2 / noise_variance * np.real(np.outer(v.conj(), v))  # Eq. (35)
        inverse = np.linalg.inv(information)
        w = np.diag([*weight[user], 0, 0])
        if far[user]:
            w[0, 0] = 0
        value += np.trace(w @ inverse)
        gradient -= 4 / noise_variance * q.conj().T @ (inverse @ w @ inverse @ (q @ beam))
    return value, gradient


def literal_optimise(
    array: UniformPlanarArray,
    paths: Paths,
    beams: np.ndarray,
    noise_variance: float,
    start: np.ndarray,
    weight: np.ndarray,
    far: np.ndarray,
    rule: Armijo,
) -> tuple[np.ndarray, float, int, int]:
    """Eqs. (46) to (48) with Armijo's rule for one trial: beam, value, iterations and evaluations."""

    def evaluate(beam: np.ndarray) -> tuple[float, np.ndarray]:
        value, g = literal_objective(array, paths, beams, noise_variance, beam, weight, far)
        return value, g - np.real(g * beam.conj()) * beam

    beam, (value, direction) = start, evaluate(start)
    step = rule.first_turn_rad / np.max(np.abs(direction))
    iterations, evaluations, failures = 0, 1, 0
    while iterations < rule.n_iterations and failures < rule.n_failures:
        moved = beam - step * direction
        candidate = moved / np.abs(moved)
        tried, its_direction = evaluate(candidate)
        evaluations += 1
        if tried > value - rule.sufficient * step * np.linalg.norm(direction) ** 2:
            step, failures = step * rule.shorten, failures + 1
            continue
        ended = value - tried < rule.tolerance * value
        beam, value, direction = candidate, tried, its_direction
        step, iterations, failures = step * rule.lengthen, iterations + 1, 0
        if ended:
            break
    return beam, value, iterations, evaluations
