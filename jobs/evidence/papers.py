"""What the papers' equations differ by, from sums written out here: nothing of the engine is used."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from jobs.evidence.record import Evidence

_SPEED_M_PER_S = 299_792_458.0
_SEED, _DRAWS = 20261129, 20_000
_ELEMENTS, _LAMBDA_M = 100, _SPEED_M_PER_S / 15e9
_SPACING_M = _LAMBDA_M / 2
_WAVENUMBER = 2 * math.pi / _LAMBDA_M
_ALONG_M = (np.arange(_ELEMENTS) - (_ELEMENTS - 1) / 2) * _SPACING_M
_SECTOR_RAD = (math.pi / 6, 5 * math.pi / 6)

_SURFACE, _CYCLES, _USERS = 25, 20, 400


def _measured(_store: str) -> dict[str, Any]:
    return {"leakage": _leakage(), "known gain": _known_gain(), "signal at 100 m (dB)": _signal_db()}


def _leakage() -> dict[str, float]:
    """Relative L2 errors of what stands for the leakage, Eq. (9), over users of Table I and sensors in their sector."""
    random = np.random.default_rng(_SEED)
    d, away = random.uniform(2, 12, _DRAWS), random.uniform(100, 150, _DRAWS)
    phi, theta = (random.uniform(*_SECTOR_RAD, _DRAWS) for _ in range(2))
    plane = -_ALONG_M * np.cos(theta)[:, None]
    spherical = _power(_way(d, phi) - plane)
    bent = _ALONG_M**2 * np.sin(phi)[:, None] ** 2 / (2 * d[:, None]) - _ALONG_M * np.cos(phi)[:, None]
    quadratic = _power(bent - plane)
    u, s = np.cos(theta) - np.cos(phi), np.sin(phi)
    half, reach = _ELEMENTS * _SPACING_M / 2 * np.sqrt(2 / (_LAMBDA_M * d)), np.sqrt(2 * d / _LAMBDA_M)
    closed = _closed(half * s, u / s * reach)
    printed = _closed(2 * half, 2 * u * reach)  # Eq. (10): twice the arguments, and no sin φ
    both = _power(_way(d, phi) - _way(away, theta))
    return {
        "closed form over quadratic phase": _relative(closed, quadratic),
        "quadratic phase over spherical": _relative(quadratic, spherical),
        "as printed over spherical": _relative(printed, spherical),
        "mean as printed over spherical": float(printed.mean() / spherical.mean()),
        "plane sensors over exact distances": _relative(spherical, both),
        "user at 1/(1/d − 1/R) over exact distances": _relative(
            _power(_way(1 / (1 / d - 1 / away), phi) - plane), both
        ),
    }


def _way(range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """From a place to each element, less the range."""
    r, cosine = range_m[:, None], np.cos(angle_rad)[:, None]
    return np.sqrt(r**2 + _ALONG_M**2 - 2 * r * _ALONG_M * cosine) - r


def _power(way_m: np.ndarray) -> np.ndarray:
    return np.abs(np.exp(-1j * _WAVENUMBER * way_m).sum(axis=1)) ** 2 / _ELEMENTS


def _closed(t: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """The Fresnel integrals of Eq. (10) with T = t and τ."""
    from scipy.special import fresnel

    sine, cosine = (below + above for below, above in zip(fresnel(t - tau), fresnel(t + tau), strict=True))
    return _ELEMENTS / (4 * t**2) * (cosine**2 + sine**2)


def _relative(ours: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(ours - truth) / np.linalg.norm(truth))


def _known_gain() -> dict[str, float]:
    """By what the deviation of the Cramér-Rao bound is too small where the complex gain is taken as known.

    Users at 0.5 to 1.8 m of a surface of 25 × 25 elements half a wavelength apart at 28 GHz, 20 cycles of random
    phases; root of the mean square over users, by inverse range and the two angles.
    """
    random = np.random.default_rng(_SEED)
    wavelength_m = _SPEED_M_PER_S / 28e9
    along = (np.arange(_SURFACE) - (_SURFACE - 1) / 2) * wavelength_m / 2
    x, y = (part.ravel() for part in np.meshgrid(along, along))

    def wave(inverse_range: float, azimuth: float, elevation: float) -> np.ndarray:
        r = 1 / inverse_range
        toward = x * math.sin(azimuth) * math.cos(elevation) + y * math.sin(elevation)
        return np.exp(-2j * math.pi / wavelength_m * (np.sqrt(r**2 + x**2 + y**2 - 2 * r * toward) - r))

    squares = np.zeros(3)
    for _ in range(_USERS):
        place = np.array([1 / random.uniform(0.5, 1.8), *random.uniform(-1, 1, 2)])
        phases = np.exp(2j * math.pi * random.random((_CYCLES, x.size)))
        slopes = [
            phases @ (wave(*(place + step)) - wave(*(place - step))) / (2 * step.sum())
            for step in np.diag([1e-5, 1e-6, 1e-6])
        ]
        seen = phases @ wave(*place)
        known, unknown = (_variances(columns) for columns in (slopes, [*slopes, seen, 1j * seen]))
        squares += unknown / known
    return dict(zip(("inverse range", "azimuth", "elevation"), np.sqrt(squares / _USERS).tolist(), strict=True))


def _variances(columns: list[np.ndarray]) -> np.ndarray:
    jacobian = np.stack(columns, axis=1)
    return np.diag(np.linalg.inv(np.real(jacobian.conj().T @ jacobian)))[:3]


def _signal_db() -> float:
    """Mean received power over the noise of Table I, a sensor at 100 m: 23 dBm, −65 dBm, mean leakage 1."""
    return 23 + 20 * math.log10(_LAMBDA_M / (4 * math.pi * 100)) + 65


def words(numbers: dict[str, Any]) -> Iterator[str]:
    found, gain = numbers["leakage"], numbers["known gain"]
    printed, mean = found["as printed over spherical"], found["mean as printed over spherical"]
    yield f"Against the sum of Eq. 9 its relative L2 error is {printed:.2f} and its mean {mean:.2f} of the sum's"
    yield f"the corrected closed form is within {_percent(found['closed form over quadratic phase'])} of the quadratic"
    yield f"differs by {_percent(found['quadratic phase over spherical'])} (relative L2) from the spherical sum"
    yield (
        f"are within {_percent(found['user at 1/(1/d − 1/R) over exact distances'])} (relative L2) of exact distances; "
        f"plane waves alone within {_percent(found['plane sensors over exact distances'])}"
    )
    yield f"understates the standard deviation of the inverse range by a factor of {gain['inverse range']:.2f}"
    yield f"which gives {numbers['signal at 100 m (dB)']:.0f} dB at 100 m".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.1g} %"


EVIDENCE = Evidence(
    "what the papers' equations differ by from sums written out",
    None,
    _measured,
    {"docs/numbers.md": words},
    f"{_DRAWS} users and sensors of Table I; {_USERS} users of a surface of {_SURFACE} × {_SURFACE}; seed {_SEED}",
)
