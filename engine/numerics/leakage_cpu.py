"""The leakage of single places in double precision on a CPU: compiled loops. Imports numba.

The same numbers as `engine.numerics.leakage` gives, its oracle. Measured at K = 40, N = 100, one core, for a place
and sensor with the gradient: a closed form 30 ns, a sum over the elements 90 ns, one with
the sensors' distances 150 ns, after 0.25 µs for each sensor.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from engine.numerics.aperture_integral import ApertureIntegral, Edges
from engine.numerics.compiled import compiled
from engine.numerics.element_sum import ElementSum
from engine.numerics.fresnel import auxiliary_tables
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel, LeakageTable, sensor_place
from engine.numerics.turns_cpu import quarters
from engine.numerics.two_sided_sum import TwoSidedSum

_LANES = 16
"""Sensors summed at a time. Measured for a place and sensor: 8 290 ns, 16 90 ns, 24 100 ns, 40 90 ns."""


def _fresnel_plain(x: float, table: Any) -> tuple[float, float, float, float]:
    """C, S, C', S' of `engine.numerics.fresnel`; table (pieces, 2, degree + 1)."""
    magnitude = abs(x)
    cosine, sine = quarters(magnitude * magnitude)
    place = table.shape[0] / (1.0 + magnitude)
    piece = min(np.uint64(place), np.uint64(table.shape[0] - 1))
    v = place - np.float64(piece) - 0.5
    row = table[piece]
    real = ((((row[0, 0] * v + row[0, 1]) * v + row[0, 2]) * v + row[0, 3]) * v + row[0, 4]) * v + row[0, 5]
    imag = ((((row[1, 0] * v + row[1, 1]) * v + row[1, 2]) * v + row[1, 3]) * v + row[1, 4]) * v + row[1, 5]
    half = 0.0 if x == 0.0 else np.copysign(0.5, x)
    c = half - 2.0 * half * (real * cosine - imag * sine)
    s = half - 2.0 * half * (real * sine + imag * cosine)
    return c, s, cosine, sine


_fresnel = compiled(_fresnel_plain)


def _two_edges_plain(half_width: float, tau: float, scale: float, table: Any) -> tuple[float, float, float]:
    """g, ∂g/∂T, ∂g/∂τ of `engine.numerics.aperture_integral.two_edges`; scale: N/(4T²)."""
    c_low, s_low, dc_low, ds_low = _fresnel(half_width - tau, table)
    c_high, s_high, dc_high, ds_high = _fresnel(half_width + tau, table)
    c, s = c_low + c_high, s_low + s_high
    g = (c * c + s * s) * scale
    high = 2.0 * scale * (c * dc_high + s * ds_high)
    low = 2.0 * scale * (c * dc_low + s * ds_low)
    return g, high + low - g * (2.0 / half_width), high - low


two_edges = compiled(_two_edges_plain)


def _closed_plain(place: Any, cosine: Any, n_elements: int, table: Any, out: Any) -> None:
    """g and its gradient at P places of each of B realizations and K sensors, out (3, B, P, K).

    place (B, P, 8) holds T, the stretch and cos φ of τ = (cos θ − cos φ) · stretch, and the derivatives of T and τ:
    ∂T/∂d, ∂τ/∂d = τ times the next, ∂T/∂φ, ∂τ/∂φ = the next + τ times the last. cosine (B, K).
    """
    for b in range(place.shape[0]):
        for p in range(place.shape[1]):
            half_width, stretch, cos_phi = place[b, p, 0], place[b, p, 1], place[b, p, 2]
            t_range, tau_range, t_angle = place[b, p, 3], place[b, p, 4], place[b, p, 5]
            shift, tau_angle = place[b, p, 6], place[b, p, 7]
            scale = n_elements / (4.0 * half_width * half_width)
            for k in range(cosine.shape[1]):
                tau = (cosine[b, k] - cos_phi) * stretch
                g, by_t, by_tau = two_edges(half_width, tau, scale, table)
                out[0, b, p, k] = g
                out[1, b, p, k] = by_t * t_range + by_tau * (tau * tau_range)
                out[2, b, p, k] = by_t * t_angle + by_tau * (shift + tau * tau_angle)


_closed = compiled(_closed_plain)


def _summed_plain(
    delta: Any, by_range: Any, by_angle: Any, cosine: Any, wavelength: float, spacing: float, out: Any
) -> None:
    """Eq. (9) as a sum over N elements at P places of each of B realizations and K sensors, out (3, B, P, K).

    delta, by_range, by_angle: δ_n, ∂δ_n/∂d, ∂δ_n/∂φ (B, P, N); cosine: u (B, K). Elements are evenly spaced, hence
    aᴴb is, up to its phase, a polynomial in w = exp(−jkΔu) with coefficients b_n: Horner's rule, _LANES sensors at a
    time, for b, ∂δ/∂d b and ∂δ/∂φ b at once.
    """
    n_elements, n_sensors = delta.shape[2], cosine.shape[1]
    wavenumber = 2.0 * np.pi / wavelength
    b = np.empty((n_elements, 6))
    # Real and imaginary parts of three sums and of w: one array, as LLVM needs no checks then.
    sums = np.zeros(8 * _LANES)
    for i in range(delta.shape[0]):
        for p in range(delta.shape[1]):
            for n in range(n_elements):
                c, s = quarters(delta[i, p, n] * (4.0 / wavelength))
                r, a = by_range[i, p, n], by_angle[i, p, n]
                b[n, 0], b[n, 1], b[n, 2], b[n, 3], b[n, 4], b[n, 5] = c, -s, r * c, -r * s, a * c, -a * s
            for k in range(0, n_sensors, _LANES):
                sums[:] = 0.0
                used = min(_LANES, n_sensors - k)
                for q in range(used):
                    c, s = quarters(cosine[i, k + q] * (4.0 * spacing / wavelength))
                    sums[6 * _LANES + q], sums[7 * _LANES + q] = c, -s
                for n in range(n_elements - 1, -1, -1):
                    _multiply_and_add(sums, b[n])
                for q in range(used):
                    fr, fi = sums[q], sums[_LANES + q]
                    out[0, i, p, k + q] = (fr * fr + fi * fi) / n_elements
                    scale = 2.0 * wavenumber / n_elements
                    out[1, i, p, k + q] = scale * (fr * sums[3 * _LANES + q] - fi * sums[2 * _LANES + q])
                    out[2, i, p, k + q] = scale * (fr * sums[5 * _LANES + q] - fi * sums[4 * _LANES + q])


def _multiply_and_add_plain(sums: Any, b: Any) -> None:
    """sums · w + b, for three sums of _LANES sensors."""
    b0, b1, b2, b3, b4, b5 = b[0], b[1], b[2], b[3], b[4], b[5]
    for q in range(_LANES):
        wr, wi = sums[6 * _LANES + q], sums[7 * _LANES + q]
        r, i = sums[q], sums[_LANES + q]
        sums[q], sums[_LANES + q] = b0 + r * wr - i * wi, b1 + r * wi + i * wr
        r, i = sums[2 * _LANES + q], sums[3 * _LANES + q]
        sums[2 * _LANES + q], sums[3 * _LANES + q] = b2 + r * wr - i * wi, b3 + r * wi + i * wr
        r, i = sums[4 * _LANES + q], sums[5 * _LANES + q]
        sums[4 * _LANES + q], sums[5 * _LANES + q] = b4 + r * wr - i * wi, b5 + r * wi + i * wr


_multiply_and_add = compiled(_multiply_and_add_plain)
_summed = compiled(_summed_plain)


def _waves_plain(cosine: Any, inverse: Any, x: Any, wavelength: float, out: Any) -> None:
    """h_n = exp(+jk(r_n − R)) of sensors (B, K), 1/R in `inverse`: Re and Im into out (B, blocks, N, 2 _LANES).

    _LANES sensors at a time, the last block filled up with copies of the last sensor.
    """
    n_sensors = cosine.shape[1]
    u, kappa = np.empty(_LANES), np.empty(_LANES)
    for i in range(cosine.shape[0]):
        for block in range(out.shape[1]):
            for q in range(_LANES):
                k = min(block * _LANES + q, n_sensors - 1)
                u[q], kappa[q] = cosine[i, k], inverse[i, k]
            for n in range(x.shape[0]):
                wave, xn = out[i, block, n], x[n]
                for q in range(_LANES):
                    root = np.sqrt(1.0 - 2.0 * kappa[q] * xn * u[q] + kappa[q] * kappa[q] * xn * xn)
                    delta = xn * (kappa[q] * xn - 2.0 * u[q]) / (1.0 + root)
                    c, s = quarters(delta * (4.0 / wavelength))
                    wave[q], wave[_LANES + q] = c, s


_waves = compiled(_waves_plain)


def _weighed_plain(
    delta: Any, by_range: Any, by_angle: Any, waves: Any, rows: Any, wavelength: float, n_sensors: int, out: Any
) -> None:
    """As `_summed`, of waves to sensors that are no plane ones: Σ_n h_n b_n, out (3, B, P, K).

    waves: h of some realizations' sensors, as `_waves` leaves it; rows (B,): which of them.
    """
    n_elements = delta.shape[2]
    scale = 4.0 * np.pi / wavelength / n_elements
    b = np.empty((n_elements, 6))
    sums = np.zeros(6 * _LANES)
    for i in range(delta.shape[0]):
        for p in range(delta.shape[1]):
            for n in range(n_elements):
                c, s = quarters(delta[i, p, n] * (4.0 / wavelength))
                r, a = by_range[i, p, n], by_angle[i, p, n]
                b[n, 0], b[n, 1], b[n, 2], b[n, 3], b[n, 4], b[n, 5] = c, -s, r * c, -r * s, a * c, -a * s
            for block in range(waves.shape[1]):
                sums[:] = 0.0
                for n in range(n_elements):
                    _add_weighed(sums, b[n], waves[rows[i], block, n])
                for q in range(min(_LANES, n_sensors - block * _LANES)):
                    k, fr, fi = block * _LANES + q, sums[q], sums[_LANES + q]
                    out[0, i, p, k] = (fr * fr + fi * fi) / n_elements
                    out[1, i, p, k] = scale * (fr * sums[3 * _LANES + q] - fi * sums[2 * _LANES + q])
                    out[2, i, p, k] = scale * (fr * sums[5 * _LANES + q] - fi * sums[4 * _LANES + q])


def _add_weighed_plain(sums: Any, b: Any, h: Any) -> None:
    """sums + b · h, for three sums of _LANES sensors."""
    b0, b1, b2, b3, b4, b5 = b[0], b[1], b[2], b[3], b[4], b[5]
    for q in range(_LANES):
        hr, hi = h[q], h[_LANES + q]
        sums[q] += b0 * hr - b1 * hi
        sums[_LANES + q] += b0 * hi + b1 * hr
        sums[2 * _LANES + q] += b2 * hr - b3 * hi
        sums[3 * _LANES + q] += b2 * hi + b3 * hr
        sums[4 * _LANES + q] += b4 * hr - b5 * hi
        sums[5 * _LANES + q] += b4 * hi + b5 * hr


_add_weighed = compiled(_add_weighed_plain)
_weighed = compiled(_weighed_plain)


class Waves(NamedTuple):
    """Waves from the elements to the sensors of some realizations, made once for many places.

    parts: as `_waves` leaves them, 16 bytes a sensor and element; rows (B,): which of them each realization has.
    """

    parts: np.ndarray
    rows: np.ndarray


def waves_to(
    model: LeakageModel, array: UniformLinearArray, sensor_angle_rad: Any, sensor_inverse_range_per_m: Any
) -> Waves | None:
    """Toward sensors (B, K) each; None where a model's loop needs none."""
    if not isinstance(model.table, TwoSidedSum):
        return None
    place = sensor_place(model, np.cos(sensor_angle_rad), sensor_inverse_range_per_m)
    size, n_sensors = place["cosine"].shape
    parts = np.zeros((size, -(-n_sensors // _LANES), array.n_elements, 2 * _LANES))
    inverse = np.array(place["inverse_range_per_m"])  # writable, as loops want it
    _waves(place["cosine"], inverse, array.positions_m(np), array.wavelength_m, parts)
    return Waves(parts, np.arange(size))


def compiled_leakage(
    model: LeakageModel,
    array: UniformLinearArray,
    *,
    range_m: Any,
    angle_rad: Any,
    sensor_angle_rad: Any,
    sensor_inverse_range_per_m: Any = None,
    sensor_cosine: Any = None,
    waves: Waves | None = None,
) -> LeakageTable:
    """As `engine.numerics.leakage`: range_m, angle_rad (B, P), sensors (B, K); a model without a loop by its own
    arrays. sensor_cosine: of their angles, and waves: `waves_to` them, where they are known already."""
    out = np.empty((3, *range_m.shape, sensor_angle_rad.shape[-1]))
    cosine = np.cos(sensor_angle_rad) if sensor_cosine is None else sensor_cosine
    place = sensor_place(model, cosine, sensor_inverse_range_per_m)
    match model.table:
        case ApertureIntegral(edges):
            stacked = np.empty((*range_m.shape, len(Edges._fields)))
            for i, part in enumerate(edges(array, range_m, angle_rad)):
                stacked[..., i] = part
            _closed(stacked, cosine, array.n_elements, fresnel_table(), out)
        case ElementSum(path_difference):
            delta = path_difference(range_m, angle_rad, array.positions_m(np))
            _summed(*delta, cosine, array.wavelength_m, array.spacing_m, out)
        case TwoSidedSum(path_difference):
            known = waves or waves_to(model, array, sensor_angle_rad, sensor_inverse_range_per_m)
            assert known is not None
            delta = path_difference(range_m, angle_rad, array.positions_m(np))
            _weighed(*delta, known.parts, known.rows, array.wavelength_m, cosine.shape[-1], out)
        case table:
            for part, given in zip(out, table(array, range_m=range_m, angle_rad=angle_rad, **place), strict=True):
                part[...] = given  # what goes into further loops is writable and contiguous
    return LeakageTable(*out)


@functools.cache
def fresnel_table() -> np.ndarray:
    return np.ascontiguousarray(np.stack(auxiliary_tables(np)).transpose(2, 0, 1))
