"""The likelihood of one place under a closed form of the leakage, in a compiled loop over the sensors. Imports numba.

The same numbers as `leakage_cpu` and `local_cpu` give one after the other, but for rounding, without arrays in between:
what follows a likelihood from place to place becomes a loop of its own, `climb_cpu` and `trace_cpu`.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from engine.numerics.aperture_integral import ApertureIntegral
from engine.numerics.compiled import compiled
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_cpu import fresnel_table, two_edges
from engine.numerics.local_cpu import GROUP, bessel_tables, information_pieces, term


class Optics(NamedTuple):
    """Array and closed form: `engine.numerics.aperture_integral.Closed`."""

    n_elements: float
    wavelength_m: float
    length: float
    """NΔ/λ"""
    factor: float
    foreshortened: bool


class Heard(NamedTuple):
    """What each of n searches knows: one observation of one realization, all of one L."""

    statistic: np.ndarray
    """S (n, K)"""
    per_leakage: np.ndarray
    """∂ρ/∂g (n, K)"""
    cosine: np.ndarray
    """of the sensors' angles, (n, K)"""
    constant: np.ndarray
    """Σ log_constant (n,)"""
    n_snapshots: float


class Area(NamedTuple):
    """Where users are, and the prior of the range there: Beta(α, β)."""

    range_min_m: float
    range_max_m: float
    angle_min_rad: float
    angle_max_rad: float
    range_alpha: float
    range_beta: float


class Tables(NamedTuple):
    """Of Fresnel integrals, Bessel functions of one L, and the information of a power."""

    fresnel: np.ndarray
    bessel: np.ndarray
    information: np.ndarray


def optics_of(model: LeakageModel, array: UniformLinearArray) -> Optics | None:
    """None of a model that is no closed form known here."""
    if not isinstance(model.table, ApertureIntegral) or model.table.closed is None:
        return None
    closed, length = model.table.closed, array.n_elements * array.spacing_m / array.wavelength_m
    return Optics(float(array.n_elements), array.wavelength_m, length, closed.factor, closed.foreshortened)


@functools.cache
def tables(n_snapshots: int) -> Tables:
    return Tables(fresnel_table(), np.ascontiguousarray(bessel_tables((n_snapshots,))[0]), information_pieces())


def _place_plain(
    range_m: float, angle_rad: float, i: int, heard: Any, optics: Any, kept: Any, parts: Any
) -> tuple[float, float, float, float, float, float]:
    """Log-likelihood, gradient (range, angle) and information (rr, ra, aa) of search i at a place; kept: `Tables`."""
    sine, cos_phi = np.sin(angle_rad), np.cos(angle_rad)
    s = abs(sine) if optics.foreshortened else 1.0
    cotangent = cos_phi / sine if optics.foreshortened else 0.0
    stretch = optics.factor * np.sqrt(2.0 * range_m / optics.wavelength_m)
    half_width = optics.length * optics.factor * optics.factor * s / stretch
    scale = optics.n_elements / (4.0 * half_width * half_width)
    shift = stretch * (sine / s)
    stretch = stretch / s
    relative = 0.5 / range_m
    n = heard.n_snapshots
    value, gr, ga, jrr, jra, jaa = heard.constant[i], 0.0, 0.0, 0.0, 0.0, 0.0
    product, logs = 1.0, 0.0
    n_sensors = heard.cosine.shape[1]
    # One loop each: together they take half as long again.
    for k in range(n_sensors):
        tau = (heard.cosine[i, k] - cos_phi) * stretch
        g, by_t, by_tau = two_edges(half_width, tau, scale, kept.fresnel)
        parts[0, k] = g
        parts[1, k] = (by_tau * tau - by_t * half_width) * relative
        parts[2, k] = by_t * half_width * cotangent + by_tau * (shift - tau * cotangent)
    for k in range(n_sensors):
        part, v, score, weight = term(
            parts[0, k], heard.statistic[i, k], heard.per_leakage[i, k], n, kept.bessel, kept.information
        )
        value += part
        parts[0, k] = v
        r, a = parts[1, k], parts[2, k]
        gr += score * r
        ga += score * a
        jrr += weight * r * r
        jra += weight * r * a
        jaa += weight * a * a
    for k in range(n_sensors):
        product *= parts[0, k]
        if k % GROUP == GROUP - 1 or k == n_sensors - 1:
            logs += np.log(product)
            product = 1.0
    return value + (n - 0.5) * logs, gr, ga, jrr, jra, jaa


place = compiled(_place_plain)


def _log_prior_plain(range_m: float, area: Any) -> float:
    """`Problem.log_range_prior` of a range inside the area."""
    width, total = area.range_max_m - area.range_min_m, 0.0
    if area.range_alpha != 1.0:
        total += (area.range_alpha - 1.0) * np.log(max((range_m - area.range_min_m) / width, 1e-300))
    if area.range_beta != 1.0:
        total += (area.range_beta - 1.0) * np.log(max((area.range_max_m - range_m) / width, 1e-300))
    return total


log_prior = compiled(_log_prior_plain)


def _clipped_plain(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


clipped = compiled(_clipped_plain)


def _damped_step_plain(
    range_m: float,
    angle_rad: float,
    slopes: tuple[float, float],
    information: tuple[float, float, float],
    damping: float,
    area: Any,
) -> tuple[float, float]:
    """`engine.estimators.peaks.damped_step` of one place; slopes: range, angle; information: rr, ra, aa."""
    by_range, by_angle = slopes
    stopped_m = (range_m <= area.range_min_m and by_range < 0.0) or (range_m >= area.range_max_m and by_range > 0.0)
    stopped_rad = (angle_rad <= area.angle_min_rad and by_angle < 0.0) or (
        angle_rad >= area.angle_max_rad and by_angle > 0.0
    )
    by_range, by_angle = (0.0 if stopped_m else by_range), (0.0 if stopped_rad else by_angle)
    a, c = information[0] * (1.0 + damping), information[2] * (1.0 + damping)
    b = 0.0 if stopped_m or stopped_rad else information[1]
    determinant = a * c - b * b
    if not determinant > 0.0:
        return 0.0, 0.0
    return (c * by_range - b * by_angle) / determinant, (a * by_angle - b * by_range) / determinant


damped_step = compiled(_damped_step_plain)
