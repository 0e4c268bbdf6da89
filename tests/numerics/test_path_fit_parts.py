"""Parts of the joint fit, each against what NumPy and differences say of it: loops and arrays alike."""

import math
from typing import Any

import numpy as np
import pytest

from engine.numerics import path_fit, path_fit_cpu
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_projection import responses
from engine.numerics.path_projection_cpu import invert, log_determinant, project

ARRAY = UniformPlanarArray(5, 4, 0.02, 0.031)
ROUNDS = 2 * math.pi / 0.031


def random(*shape: int, seed: int = 0) -> np.ndarray:
    parts = np.random.default_rng(seed).normal(size=(2, *shape))
    return parts[0] + 1j * parts[1]


def some_places(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0.0, 0.4, -1.2], [6.0, 2.6, 1.2], (n, 3))


def heard(beams: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What each beam (C, N) receives from κ, θ, φ: by the distance from every element, less that from the middle."""
    kappa, polar, azimuth = place
    towards = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
    total = np.zeros(len(beams), complex)
    for n in range(20):
        element = np.array([0.0, (n // 4 - 2) * 0.02, (n % 4 - 1.5) * 0.02])
        longer = np.linalg.norm(towards / kappa - element) - 1 / kappa if kappa else -towards @ element
        total += beams[:, n] * np.exp(-1j * ROUNDS * longer)
    return total


def by_differences(values: Any, place: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Slopes of something by each of the coordinates of one or more places, (3P, ...), central."""
    slopes = []
    for a in range(place.size):
        off = np.zeros(place.size)
        off[a] = step
        off = off.reshape(place.shape)
        slopes.append((values(place + off) - values(place - off)) / (2 * step))
    return np.stack(slopes)


@pytest.mark.parametrize("kappa", [0.0, 0.4, 5.0])
@pytest.mark.parametrize("plain", [False, True])
def test_what_beams_receive_and_its_slopes(kappa: float, plain: bool) -> None:
    beams, y_and_z = random(3, 20), ARRAY.positions_m(np)
    elements = np.stack([*y_and_z, y_and_z[0] ** 2 + y_and_z[1] ** 2])
    for place in some_places(6, seed=1):
        place[0] = kappa
        out, waves = np.full((4, 5), 7j), np.full((5, 20), 7.0)
        respond = path_fit_cpu._respond_plain if plain else path_fit_cpu._respond
        respond(place, elements, ARRAY.wavenumber_rad_per_m, np.stack([beams.real, beams.imag]), waves, out)
        np.testing.assert_allclose(out[0, :3], heard(beams, place), atol=1e-9)
        place[0] += 0.05  # there are places on either side
        respond(place, elements, ARRAY.wavenumber_rad_per_m, np.stack([beams.real, beams.imag]), waves, out)
        slopes = by_differences(lambda at: heard(beams, at), place)
        np.testing.assert_allclose(out[1:, :3], slopes, atol=1e-5)
        assert np.all(out[:, 3:] == 7j)  # rows of priors are not its own


class Scene:
    """L users, K scatterers, places and samples; what is minimised in plain linear algebra."""

    def __init__(self, n_users: int, n_scatterers: int, *, ridge: float, noise: float, seed: int = 0) -> None:
        self.n_users, self.n_scatterers, self.ridge, self.noise = n_users, n_scatterers, ridge, noise
        self.n_cycles, self.n_paths = 9, n_users + n_scatterers
        self.beams, self.samples = random(9, 20, seed=seed), 5 * random(n_users, 9, seed=seed + 1)
        self.places = some_places(self.n_paths, seed=seed + 2)
        self.places[:, 0] += 0.5

    def columns(self, places: np.ndarray, user: int) -> np.ndarray:
        """A user's, and the scatterers', over √ridge times what the gain is, (C + K, 1 + K)."""
        own = [user, *range(self.n_users, self.n_paths)]
        above = np.stack([heard(self.beams, places[p]) for p in own], axis=1)
        below = math.sqrt(self.ridge) * np.eye(1 + self.n_scatterers)[1:]
        return np.concatenate([above, below])

    def longer_samples(self, user: int) -> np.ndarray:
        return np.concatenate([self.samples[user], np.zeros(self.n_scatterers)])

    def gains(self, places: np.ndarray, user: int) -> np.ndarray:
        return np.linalg.lstsq(self.columns(places, user), self.longer_samples(user), rcond=None)[0]

    def minimised(self, places: np.ndarray) -> float:
        total = 0.0
        for user in range(self.n_users):
            columns = self.columns(places, user)
            rest = self.longer_samples(user) - columns @ self.gains(places, user)
            total += np.vdot(rest, rest).real
            total += self.noise * np.linalg.slogdet(columns.conj().T @ columns)[1]
        return total

    def gauss_newton(self) -> np.ndarray:
        """Re Σ_l JᴴJ, J = P⊥ ∂B γ̂ of all users' gains at these places, by differences, (3P, 3P)."""
        total = np.zeros((3 * self.n_paths,) * 2)
        for user in range(self.n_users):
            columns, gains = self.columns(self.places, user), self.gains(self.places, user)
            slopes = by_differences(lambda at, u=user, c=gains: self.columns(at, u) @ c, self.places)
            outside = slopes - slopes @ (columns @ np.linalg.pinv(columns)).T
            total += (outside.conj() @ outside.T).real
        return total

    def equations(self, plain: bool) -> tuple[np.ndarray, np.ndarray, float]:
        """By the loops: half of the gradient, the matrix, and what is minimised."""
        users, scatterers, rows = self.n_users, self.n_scatterers, self.n_cycles + self.n_scatterers
        responses, y_and_z = np.zeros((self.n_paths, 4, rows), complex), ARRAY.positions_m(np)
        elements, split = np.stack([*y_and_z, y_and_z[0] ** 2 + y_and_z[1] ** 2]), np.stack(
            [self.beams.real, self.beams.imag]
        )  # fmt: skip
        for p in range(self.n_paths):
            path_fit_cpu._respond(self.places[p], elements, ROUNDS, split, np.empty((5, 20)), responses[p])
            if p >= users:
                responses[p, 0, self.n_cycles + p - users] = math.sqrt(self.ridge)
        shapes: Any = ((scatterers, rows), (scatterers,) * 2, (users, rows), (users, scatterers + 1), (users, rows),
                       (users, 1 + scatterers))  # fmt: skip
        basis, triangle, own, corner, residual, gain = (np.zeros(shape, complex) for shape in shapes)
        seen = np.stack([self.longer_samples(user) for user in range(users)])
        value = project(responses, seen, basis, triangle, own, corner, residual, gain, np.zeros(users))
        inverse, onto = (np.full(shape, np.nan + 0j) for shape in ((scatterers,) * 2, (users, scatterers)))
        if self.noise:  # nobody looks at them otherwise
            value += self.noise * log_determinant(triangle, corner)
            inverse[:] = 0
            invert(triangle, corner, inverse, onto)
        n = 3 * self.n_paths
        parts, gradient, normal = np.full((scatterers + 1, n), 7j), np.full(n, 7.0), np.full((n, n), 7.0)
        found = path_fit_cpu._normal_equations_plain if plain else path_fit_cpu._normal_equations
        found(responses, basis, own, residual, gain, corner, inverse, onto, self.noise, parts, gradient, normal)
        return gradient, normal, value


@pytest.mark.parametrize(("n_users", "n_scatterers"), [(1, 0), (2, 1), (3, 2), (1, 3)])
@pytest.mark.parametrize(("ridge", "noise"), [(0.0, 0.0), (3.0, 0.0), (0.0, 2.0), (5.0, 0.5)])
@pytest.mark.parametrize("plain", [False, True])
def test_normal_equations(n_users: int, n_scatterers: int, ridge: float, noise: float, plain: bool) -> None:
    """Half the gradient of what is minimised by differences, and the Gauss-Newton matrix, of which the lower half."""
    scene = Scene(n_users, n_scatterers, ridge=ridge, noise=noise)
    gradient, normal, value = scene.equations(plain)
    assert value == pytest.approx(scene.minimised(scene.places))
    expected = by_differences(scene.minimised, scene.places) / 2
    np.testing.assert_allclose(gradient, expected, atol=1e-6 * abs(expected).max())
    matrix = scene.gauss_newton()
    np.testing.assert_allclose(np.tril(normal), np.tril(matrix), atol=1e-6 * abs(matrix).max())


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_equations_are_solved_where_they_have_a_minimum(n: int, plain: bool) -> None:
    rng = np.random.default_rng(n)
    solve = path_fit_cpu._solve_plain if plain else path_fit_cpu._solve
    root, vector = rng.normal(size=(n, n)), rng.normal(size=n)
    matrix = root @ root.T + 0.1 * np.eye(n)
    below, solution = np.tril(matrix) + np.triu(np.full((n, n), np.nan), 1), vector.copy()
    assert solve(below, solution)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, vector))
    for least in (0.0, -1.0):
        assert not solve(np.tril(matrix) * (np.arange(n) < n - 1)[:, None] + np.diag(least * np.ones(n)), vector.copy())


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_damped_steps(seed: int, arrays: bool) -> None:
    """By an equation for what is free alone; the decrease is that of the parabola through g and H."""
    rng = np.random.default_rng(seed)
    bounds, n = np.array([[0.0, -1.0, 2.0], [1.0, 1.0, 3.0]]), 9
    place = rng.uniform(*bounds, (3, 3))
    place[0], place[1] = bounds[0], bounds[1]  # held or not, as the gradient says
    root, gradient, damping = rng.normal(size=(n, n)), rng.normal(size=n), 0.3
    normal = root @ root.T
    normal[7, :] = normal[:, 7] = 0  # nobody receives it
    held = np.zeros(n, bool)
    held[7] = True
    for a in range(6):
        held[a] = gradient[a] > 0 if a < 3 else gradient[a] < 0
    assert 1 < held.sum() < n
    free = np.flatnonzero(~held)
    inner = normal[np.ix_(free, free)]
    damped = inner + damping * np.diag(np.diag(inner))
    step = np.zeros(n)
    step[free] = np.linalg.solve(damped, -gradient[free])
    decrease = -2 * gradient @ step - step @ normal @ step
    if arrays:
        some: dict[str, Any] = dict.fromkeys(path_fit._State._fields)
        some |= {"places": place[None], "gradient": gradient[None], "normal": normal[None]}
        found, by = path_fit._damped_step(path_fit._State(**some | {"damping": np.array([damping])}), bounds)
        found, by = found[0], by[0]
    else:
        found, matrix, freed = np.full(n, 7.0), np.full((n, n), 7.0), np.zeros(n, bool)
        below = np.tril(normal) + np.triu(np.full((n, n), np.nan), 1)
        step_of = path_fit_cpu._damped_step_plain if seed % 2 else path_fit_cpu._damped_step
        by = step_of(place.reshape(-1), bounds, gradient, below, damping, freed, matrix, found)
        np.testing.assert_array_equal(freed, ~held)
    np.testing.assert_allclose(found, step)
    assert by == pytest.approx(decrease)


def test_no_step_where_rounding_left_no_minimum() -> None:
    """Of a matrix that is not definite, however it is damped."""
    n, found = 3, np.full(3, 7.0)
    normal = np.array([[1.0, 0, 0], [2.0, 1.0, 0], [0, 0, 1.0]])
    place, bounds = np.zeros(3), np.array([[-1.0] * 3, [1.0] * 3])
    parts: Any = (place, bounds, np.ones(3), normal, 0.5, np.zeros(n, bool), np.zeros((n, n)), found)
    assert path_fit_cpu._damped_step(*parts) == path_fit_cpu._damped_step_plain(*parts) == -1.0


def test_damping_rises_until_there_is_a_minimum() -> None:
    """Along a line of elements polar angle and azimuth do the same: without damping, rounding decides."""
    line, n = UniformPlanarArray(12, 1, 0.005, 0.0107), 8
    places = np.random.default_rng(1).uniform([0.1, 1.1, -0.5], [1.9, 2.0, 0.5], (n, 3, 3))
    beams, gain = np.exp(1j * random(1, 8, 12).real * 9), random(n, 2, 2, seed=1)
    waves = responses(line, np.repeat(beams, n, axis=0), places)
    samples = gain[..., :1] * waves[:, :2] + gain[..., 1:] @ waves[:, 2:] + 0.1 * random(n, 2, 8, seed=2)
    bounds, start, none = (
        np.array([[0.0, 0.8, -0.8], [4.0, 2.3, 0.8]]),
        places + np.array([0.05, 0.02, -0.02]),
        np.zeros(n),
    )

    def left(most_steps: int, damping: float) -> np.ndarray:
        settings = (1e-6, most_steps, damping, damping, 1e10, 0.1, 8.0)
        fit = path_fit_cpu.fit_on_cpu(line, beams, none.astype(int), samples, start, bounds, none, none, settings)
        return fit[2].sum(axis=-1)

    energies = left(50, 1e-30)
    assert np.all(energies < 0.2 * left(0, 1e-30))
    assert np.median(energies / left(50, 1e-4)) < 1.2
