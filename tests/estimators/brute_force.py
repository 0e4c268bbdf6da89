"""Likelihood and posterior the slow, obvious way, sharing no code with `engine`: SciPy's special functions over fine
tables, which are made finer around all that matters until nothing changes."""

from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

_KEPT, _CHUNK = 200_000, 2_000_000
_NEGLIGIBLE, _ALLOWED, _FLAT, _LOOKED_AT = 25.0, 8.0, 0.3, 40


def leakages(model: str, array: Any, range_m: np.ndarray, angle_rad: np.ndarray, sensor_rad: np.ndarray) -> np.ndarray:
    """g: places (..., P), sensors (..., K) → (..., P, K); spec A2."""
    if model == "spherical":
        x = array.spacing_m * (np.arange(array.n_elements) - (array.n_elements - 1) / 2)
        d, cosine = range_m[..., None], np.cos(angle_rad)[..., None]
        away = (x * x - 2 * d * x * cosine) / (np.sqrt(d * d + x * x - 2 * d * x * cosine) + d)
        b = np.exp(-2j * np.pi / array.wavelength_m * away)
        a = np.exp(-2j * np.pi / array.wavelength_m * np.cos(sensor_rad)[..., None, :] * x[:, None])
        return np.abs(b @ a) ** 2 / array.n_elements
    assert model == "fresnel_closed"
    s, u = np.sin(angle_rad)[..., None], np.cos(sensor_rad)[..., None, :] - np.cos(angle_rad)[..., None]
    root = np.sqrt(2 * range_m / array.wavelength_m)[..., None]
    half = array.n_elements * array.spacing_m * s / (array.wavelength_m * root)
    (s_low, c_low), (s_high, c_high) = special.fresnel(half - u / s * root), special.fresnel(half + u / s * root)
    return array.n_elements / (4 * half**2) * ((c_low + c_high) ** 2 + (s_low + s_high) ** 2)


def _log_bessel_scaled(order: int, x: np.ndarray) -> np.ndarray:
    """log I_ν(x) e^−x: Debye's expansion from order 20 on, Hankel's beyond 1e6, SciPy's own elsewhere."""
    if order >= 20:
        q = np.sqrt(order**2 + x * x)
        p = order / q
        u_1 = (3 * p - 5 * p**3) / 24
        u_2 = (81 * p**2 - 462 * p**4 + 385 * p**6) / 1152
        u_3 = (30375 * p**3 - 369603 * p**5 + 765765 * p**7 - 425425 * p**9) / 414720
        eta = q - x + order * np.log(x / (order + q))
        return eta - 0.5 * np.log(2 * np.pi * q) + np.log1p(u_1 / order + u_2 / order**2 + u_3 / order**3)
    far = x > 1e6
    m, large = 4.0 * order**2, np.where(far, x, 1e6)
    hankel = np.log1p(-(m - 1) / (8 * large) + (m - 1) * (m - 9) / (128 * large**2)) - 0.5 * np.log(2 * np.pi * large)
    return np.where(far, hankel, np.log(special.ive(order, np.where(far, 1.0, x))))


class Whole(NamedTuple):
    """One observation under a model: what a place's log-likelihood and the posterior are."""

    model: str
    problem: Any
    statistic: np.ndarray
    """(K,)"""
    sensor_m: np.ndarray
    sensor_rad: np.ndarray

    def log_likelihood(self, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
        """Of places (P,), with all its constants."""
        array, snapshots = self.problem.array, self.problem.n_snapshots[0]
        unit = 2 * snapshots * self.problem.snr[0] * (array.wavelength_m / (4 * np.pi * self.sensor_m)) ** 2
        found, step = (
            np.empty(len(range_m)),
            max(
                1, _CHUNK // (len(unit) * (array.n_elements if self.model == "spherical" and len(unit) < 8 else 8)) * 8
            ),
        )
        for start in range(0, len(range_m), step):
            here = slice(start, start + step)
            noncentrality = unit * leakages(self.model, array, range_m[here], angle_rad[here], self.sensor_rad)
            noncentrality = np.maximum(noncentrality, 1e-25)
            x = np.sqrt(noncentrality * self.statistic)
            terms = -0.5 * (np.sqrt(self.statistic) - np.sqrt(noncentrality)) ** 2 - np.log(2)
            terms += (snapshots - 1) / 2 * np.log(self.statistic / noncentrality)
            found[here] = np.sum(terms + _log_bessel_scaled(snapshots - 1, x), axis=-1)
        return found

    def log_prior(self, range_m: np.ndarray) -> np.ndarray:
        """Of ranges, density in the range; the angle's is uniform."""
        low, high = self.problem.grid.range_min_m, self.problem.grid.range_max_m
        t = np.clip((range_m - low) / (high - low), 1e-300, 1)
        return (self.problem.range_alpha - 1) * np.log(t) + (self.problem.range_beta - 1) * np.log(
            np.clip(1 - t, 1e-300, 1)
        )

    def at_curvatures(self, places: np.ndarray) -> np.ndarray:
        """Log-likelihood at cos φ and 1/d, (P, 2)."""
        return self.log_likelihood(1 / places[:, 1], np.arccos(np.clip(places[:, 0], -1, 1)))

    def climbed(self, range_m: float, angle_rad: float) -> tuple[float, float, float]:
        """A local maximum of the likelihood near a place: range, angle, log-likelihood."""
        grid, aperture = self.problem.grid, self.problem.array.aperture_m
        unit = np.array([range_m * 0.01, 0.1 * self.problem.array.wavelength_m / aperture])

        def loss(x: np.ndarray) -> float:
            d, phi = np.array([range_m, angle_rad]) + x * unit
            if not (grid.range_min_m <= d <= grid.range_max_m and grid.angle_min_rad <= phi <= grid.angle_max_rad):
                return 1e300
            return -float(self.log_likelihood(np.array([d]), np.array([phi]))[0])

        best = optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-6})
        d, phi = np.array([range_m, angle_rad]) + best.x * unit
        return float(d), float(phi), -best.fun


class Exact(NamedTuple):
    """Of one observation: the highest log-likelihood that was seen, and the posterior's moments."""

    highest: float
    mean: np.ndarray
    """range (m), angle (rad)"""
    deviation: np.ndarray
    places: int
    converged: bool


def exact(whole: Whole) -> Exact:
    """Midpoint rule over cells of cos φ and 1/d: those that matter are halved along an axis until they are flat."""
    grid, array = whole.problem.grid, whole.problem.array
    k = 2 * np.pi / array.wavelength_m
    low = np.array([np.cos(grid.angle_max_rad), 1 / grid.range_max_m])
    high = np.array([np.cos(grid.angle_min_rad), 1 / grid.range_min_m])
    waves = np.array([k * array.n_elements * array.spacing_m, k * array.aperture_m**2 / 8])
    counts = np.maximum(64, (np.array([8, 12]) * (high - low) * waves / np.pi).astype(int))
    steps = (high - low) / counts
    index = np.stack(np.meshgrid(*(np.arange(c) for c in counts), indexing="ij"), axis=-1).reshape(-1, 2)
    highest, places = -np.inf, 0
    for _ in range(80):
        places += len(index)
        value = whole.at_curvatures(low + (index + 0.5) * steps)
        highest = max(highest, float(value.max()))
        order = np.argsort(-value, kind="stable")
        rough = _roughness(whole, low, index[order[:_LOOKED_AT]], steps, value[order[:_LOOKED_AT]])
        if rough.max() < _FLAT:
            return Exact(highest, *_moments(whole, low + (index + 0.5) * steps, value), places, True)
        within = _NEGLIGIBLE + _ALLOWED * float(rough.sum())
        kept = order[value[order] > value[order[0]] - within]
        if len(kept) > _KEPT:
            break
        axis = int(np.argmax(rough))
        index = np.repeat(index[kept], 2, axis=0)
        index[:, axis] = 2 * index[:, axis] + np.tile([0, 1], len(kept))
        steps = np.where(np.arange(2) == axis, steps / 2, steps)
    return Exact(highest, *_moments(whole, low + (index + 0.5) * steps, value), places, False)


def _roughness(whole: Whole, low: np.ndarray, index: np.ndarray, steps: np.ndarray, value: np.ndarray) -> np.ndarray:
    """By how much the log-likelihood bends over half a cell to both sides, at most of some cells, along either axis."""
    found = []
    for axis in (0, 1):
        beside = [
            whole.at_curvatures(low + (index + 0.5 + side * (np.arange(2) == axis)) * steps) for side in (-0.5, 0.5)
        ]
        found.append(np.max(np.abs(beside[0] + beside[1] - 2 * value)))
    return np.array(found)


def _moments(whole: Whole, places: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    u, q = places.T
    phi, d = np.arccos(u), 1 / q
    log_mass = value + whole.log_prior(d) + 2 * np.log(d) - np.log(np.sin(phi))  # dd = d² dq, dφ = du / sin φ
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    mean = np.array([mass @ d, mass @ phi])
    return mean, np.sqrt(np.array([mass @ (d - mean[0]) ** 2, mass @ (phi - mean[1]) ** 2]))


def whole_of(scene: Any, b: int) -> Whole:
    """User b of a random scene."""
    seen = scene.seen
    return Whole(scene.model, scene.problem, seen.statistic[b, 0, 0], seen.sensor_range_m[b], seen.sensor_angle_rad[b])
