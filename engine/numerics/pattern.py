"""The leakage of every candidate, tabulated once over u = cos θ and interpolated at any sensor.

g(u) holds no frequency above a model's `bandwidth_rad`: |aᴴb|² is as wide as the array's autocorrelation. A table at
twice the Nyquist rate therefore carries it all, and a sensor costs a few rows of it, each a contiguous run over the
candidates. Interpolation is that of a non-uniform Fourier transform: a kernel ψ of a few nodes' width, and
samples that were filtered beforehand so that band times filter times kernel is one. The kernel is that of Barnett,
Magland, af Klinteberg, "A parallel nonuniform fast Fourier transform library based on an 'exponential of semicircle'
kernel", SIAM J. Sci. Comput. 41 (2019).

Error bound. For g = e^{jωx}, x in nodes, let E(ω) be the interpolant's largest error over x. Every pattern is a sum of
such exponentials, g = Σ_m R_m e^{jω_m x} with R the autocorrelation of b/√N, and |R_m| ≤ 1 − |m|/N because |b_n| = 1.
Hence |error| ≤ Σ_m (1 − |m|/N) E(ω_m); an integral over the aperture replaces the sum by N ∫ (1 − |ν|) E(νπ/2) dν.
`error_bound` is the larger of the two. tests/numerics/test_pattern.py holds every model's table to it.

Where a model is told the sensors' ranges R, the table holds the first Chebyshev coefficients of g over 1/R, each as
above: `engine.numerics.pattern_ranges` says how many, and bounds what is left out.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import LeakageModel, sensor_place
from engine.numerics.pattern_ranges import SensorRanges

Array = Any

TAPS = 6
_OVERSAMPLING = 2.0
_SHARPNESS = 2.3
"""β of a kernel, over its taps."""
_FILTER_REACH = 16
_SLAB_BYTES = 850_000
"""A slab's share of the second-level cache (1 MiB here). Measured for least squares, K = 40, 100 × 180 candidates, per
search: slabs of 512 candidates 0.26 ms, 256 0.31 ms, 128 0.43 ms."""
_LANES = 16
_ANGLES, _RANGES, _LEAST_RANGES, _LEAST, _MOST = 4.0, 6.0, 32.0, 17, 60_000


@dataclass(frozen=True)
class SearchGrid:
    """Candidates: every pair of `n_ranges` uniform ranges and `n_angles` uniform angles, both ends included.

    Candidate i has angle i // n_ranges and range i % n_ranges: neighbours in memory share an angle, which the data fix
    far better than the range, so that whole slabs of a table drop out of a likelihood early.
    """

    range_min_m: float
    range_max_m: float
    angle_min_rad: float
    angle_max_rad: float
    n_ranges: int = 100
    n_angles: int = 180

    @property
    def size(self) -> int:
        return self.n_ranges * self.n_angles

    def ranges_m(self) -> np.ndarray:
        return np.linspace(self.range_min_m, self.range_max_m, self.n_ranges)

    def angles_rad(self) -> np.ndarray:
        return np.linspace(self.angle_min_rad, self.angle_max_rad, self.n_angles)

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad) of every candidate, (size,) each."""
        return np.tile(self.ranges_m(), self.n_angles), np.repeat(self.angles_rad(), self.n_ranges)


class ResolvingGrid(SearchGrid):
    """Candidates uniform in cos φ, in which patterns are equally fine everywhere, and in ln d; order as `SearchGrid`.

    In 1/d patterns would be so too, but a mean over a prior of d needs more at far ranges: at 867 × 32 candidates,
    uniform in 1/d, twice as many posterior means were off by a decimetre (K = 20 and 40).
    """

    def ranges_m(self) -> np.ndarray:
        ranges = np.geomspace(self.range_min_m, self.range_max_m, self.n_ranges)
        return np.clip(ranges, self.range_min_m, self.range_max_m)

    def angles_rad(self) -> np.ndarray:
        angles = np.arccos(np.linspace(math.cos(self.angle_min_rad), math.cos(self.angle_max_rad), self.n_angles))
        return np.clip(angles, self.angle_min_rad, self.angle_max_rad)

    def cell(self, range_m: Array, angle_rad: Array) -> tuple[Array, Array]:
        """Spacing of the candidates in range (m) and angle (rad) around places of any shape."""
        xp = array_namespace(range_m, angle_rad)
        factor = math.log(self.range_max_m / self.range_min_m) / (self.n_ranges - 1)
        cosine = (math.cos(self.angle_min_rad) - math.cos(self.angle_max_rad)) / (self.n_angles - 1)
        return factor * range_m, cosine / xp.sin(angle_rad)


def resolving(array: UniformLinearArray, grid: SearchGrid, fineness: float = 1.0) -> ResolvingGrid:
    """Candidates on the grid's rectangle, so close that some lie in the basin of each peak of a likelihood.

    `_ANGLES` and `_RANGES` times as many as sampling theory asks of a pattern, as functions of cos φ and 1/d, whose
    fastest phases are kNΔ cos φ and k(D/2)² sin²φ/2d; times `fineness` along each. At least `_LEAST_RANGES`, for the
    mean over a prior. At most `_MOST` candidates, fineness² times as many.

    Measured at N = 100, 2 to 12 m, on the closed form, −65 to −85 dBm, L = 1 and 50: share of users, at the worst
    point, for whom climbs from the likeliest angles end 0.05 or more below the highest likelihood known. K = 40: 12 %
    from 100 × 180 uniform candidates, 5 % from 100 × 360, 2 % from 100 × 720 (400 users), 0.7 % from these; K = 20:
    2.7 % (150 users).
    """
    k = array.wavenumber_rad_per_m
    cosines = math.cos(grid.angle_min_rad) - math.cos(grid.angle_max_rad)
    n_angles = _ANGLES * cosines * k * array.n_elements * array.spacing_m / math.pi
    curvatures = 1 / grid.range_min_m - 1 / grid.range_max_m
    n_ranges = max(_LEAST_RANGES, _RANGES * curvatures * k * array.aperture_m**2 / 8 / math.pi)
    fineness *= min(1.0, math.sqrt(_MOST / (n_angles * n_ranges)))
    counts = (max(_LEAST, math.ceil(fineness * n)) for n in (n_ranges, n_angles))
    return ResolvingGrid(grid.range_min_m, grid.range_max_m, grid.angle_min_rad, grid.angle_max_rad, *counts)


def kernel(x: np.ndarray, taps: int = TAPS) -> np.ndarray:
    """ψ(x), x in nodes: exp(β(√(1 − (2x/w)²) − 1)) for |x| < w/2, else 0; w taps."""
    inside = 1 - (2 * x / taps) ** 2
    return np.where(inside > 0, np.exp(_SHARPNESS * taps * (np.sqrt(np.maximum(inside, 0.0)) - 1)), 0.0)


def _kernel_transform(omega: np.ndarray, taps: int) -> np.ndarray:
    """Ψ(ω) = ∫ ψ(x) cos ωx dx, by Gauss-Legendre quadrature in the semicircle's own angle."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    angle = (nodes + 1) * math.pi / 4
    x = taps / 2 * np.sin(angle)
    density = np.exp(_SHARPNESS * taps * (np.cos(angle) - 1)) * np.cos(angle) * (taps / 2) * (math.pi / 4) * weights
    return 2 * np.cos(omega[..., None] * x) @ density


@functools.cache
def _filter(taps: int) -> np.ndarray:
    """Taps p_{−P…P} whose response is 1/Ψ over the band, by least squares; small beyond it."""
    inner = np.linspace(0, math.pi / _OVERSAMPLING, 400)
    outer = np.linspace(math.pi / _OVERSAMPLING, math.pi, 100)[1:]
    lags = np.arange(_FILTER_REACH + 1)
    basis = np.where(lags == 0, 1.0, 2.0) * np.cos(np.concatenate([inner, outer])[:, None] * lags)
    weight = np.concatenate([_kernel_transform(inner, taps), np.full(outer.shape, 1e-9)])
    target = np.concatenate([np.ones(inner.shape), np.zeros(outer.shape)])
    half, *_ = np.linalg.lstsq(basis * weight[:, None], target, rcond=None)
    return np.concatenate([half[:0:-1], half])


def exponential_error(omega: np.ndarray, taps: int = TAPS) -> np.ndarray:
    """E(ω), ω (...) in radians per node: the largest error of the interpolant of e^{jωx} over x in [0, 1)."""
    lags = np.arange(-_FILTER_REACH, _FILTER_REACH + 1)
    response = np.cos(omega[..., None] * lags) @ _filter(taps)
    offset = np.linspace(0, 1, 65)
    nodes = np.arange(1 - taps // 2 - taps % 2, taps // 2 + 1 + taps % 2)
    away = offset[:, None] - nodes  # (offset, node)
    gain = np.sum(kernel(away, taps) * np.exp(-1j * omega[..., None, None] * away), axis=-1)
    return np.max(np.abs(1 - response[..., None] * gain), axis=-1)


@functools.cache
def error_bound(n_elements: int) -> float:
    """Largest error of an interpolated leakage: the bound above, and four units of single precision at g = N."""
    return _bound(n_elements, TAPS, lambda share: 1 - share) + n_elements * 4 * 2.0**-24


def ranged_error_bound(n_elements: int, ranges: SensorRanges) -> float:
    """As `error_bound`, of a table over the sensors' ranges: every order's interpolation, and the orders left out."""
    orders = zip(range(ranges.orders), ranges.taps, strict=True)
    parts = [_bound(n_elements, taps, lambda share, j=j: ranges.size_of(j, share)) for j, taps in orders]  # type: ignore[misc]
    return sum(parts) + ranges.left_out(n_elements) + n_elements * 4 * 2.0**-24


def _bound(n_elements: int, taps: int, size: Callable[[np.ndarray], np.ndarray]) -> float:
    """Σ_m size(|m|/N) E(ω_m), or N ∫ size(|ν|) E(νπ/2) dν where that is larger."""
    edge = math.pi / _OVERSAMPLING
    nodes, weights = np.polynomial.legendre.leggauss(400)
    fraction = (nodes + 1) / 2
    integral = n_elements * float(weights @ (size(fraction) * exponential_error(fraction * edge, taps)))
    lags = np.arange(n_elements)
    share = np.where(lags == 0, 1.0, 2.0) * size(lags / n_elements)
    total = float(share @ exponential_error(edge * lags / (n_elements - 1), taps))
    return max(integral, total)


@dataclass(frozen=True, eq=False)
class PatternTable:
    """Filtered samples of every candidate's leakage, ready to be interpolated.

    slabs: (n_slabs, rows, width) single precision. A slab holds `per_slab` candidates, as many whole angles as fit, one
    candidate a column, and then zeros up to a whole number of vectors. Row r stands at u = first_u + r step_u; with
    `ranges`, as many such rows follow each other as there are orders.
    """

    slabs: np.ndarray
    per_slab: int
    first_u: float
    step_u: float
    ranges: SensorRanges | None = None

    def taps(self, sensor_angle_rad: np.ndarray, inverse_range_per_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First row of each run (..., J) and the weights of all runs' rows (..., taps), for sensors (...).

        J runs of TAPS rows; of two, the second is of SLOPE_TAPS. Without `ranges` there is one.
        """
        position = (np.cos(sensor_angle_rad) - self.first_u) / self.step_u
        orders = (TAPS,) if self.ranges is None else self.ranges.taps
        amounts = None if self.ranges is None else self.ranges.polynomials(inverse_range_per_m)
        rows, firsts, weights = self.slabs.shape[1] // len(orders), [], []
        for j, taps in enumerate(orders):
            first = np.floor(position + (taps % 2) / 2).astype(np.int32) - ((taps + 1) // 2 - 1)
            weight = kernel(position[..., None] - first[..., None] - np.arange(taps), taps)
            firsts.append(first + np.int32(j * rows))
            weights.append(weight if amounts is None else weight * amounts[..., j, None])
        return np.stack(firsts, axis=-1), np.concatenate(weights, axis=-1).astype(np.float32)

    def interpolate(self, sensor_angle_rad: np.ndarray, inverse_range_per_m: np.ndarray | None = None) -> np.ndarray:
        """g of every candidate at sensors (K,): (K, candidates, and zeros). The search's loops do this in passing."""
        inverse = np.zeros_like(sensor_angle_rad) if inverse_range_per_m is None else inverse_range_per_m
        first, weights = self.taps(sensor_angle_rad, inverse)
        orders = (TAPS,) if self.ranges is None else self.ranges.taps
        at = np.concatenate([first[:, j, None] + np.arange(taps) for j, taps in enumerate(orders)], axis=-1)
        rows = self.slabs[:, at, : self.per_slab]  # (slab, sensor, tap, column)
        return np.einsum("sktc,kt->ksc", rows, weights).reshape(len(first), -1)


@functools.lru_cache(maxsize=4)
def tabulate(
    model: LeakageModel, array: UniformLinearArray, grid: SearchGrid, ranges: SensorRanges | None = None
) -> PatternTable:
    """The table of a model over a grid; kept, since every point of a sweep shares it."""
    band = model.bandwidth_rad(array) * (1.0 if ranges is None else ranges.widening)
    step = math.pi / (_OVERSAMPLING * band)
    margin = TAPS // 2 + 1
    rows = 2 * (math.ceil(1 / step) + margin) + 1
    first_u = -step * (rows - 1) / 2
    orders = (TAPS,) if ranges is None else ranges.taps
    n_slabs, per_slab, width = _slabs(grid, rows)  # of two orders: 512 columns 0.33 ms a search, 208 columns 0.37 ms
    samples_u = first_u + step * np.arange(-_FILTER_REACH, rows + _FILTER_REACH)
    candidates = grid.candidates()
    slabs = np.zeros((n_slabs, rows * len(orders), width), dtype=np.float32)
    for slab in range(n_slabs):
        here = slice(slab * per_slab, (slab + 1) * per_slab)
        range_m, angle_rad = (part[here] for part in candidates)
        if ranges is None:
            place = sensor_place(model, samples_u, None)
            samples = [model.table(array, range_m=range_m, angle_rad=angle_rad, **place).value]
        else:
            samples = ranges.coefficients(model, array, range_m, angle_rad, samples_u)
        for j, (taps, values) in enumerate(zip(orders, samples, strict=True)):
            filtered = sum(tap * values[:, i : i + rows] for i, tap in enumerate(_filter(taps)))
            slabs[slab, j * rows : (j + 1) * rows, : values.shape[0]] = filtered.T
    slabs.setflags(write=False)
    return PatternTable(slabs, per_slab, first_u, step, ranges)


def stacked(values: np.ndarray, grid: SearchGrid) -> PatternTable:
    """A table with a row for each of K sensors, which need no interpolation: values (candidates, K) of any model."""
    rows = values.shape[1] + TAPS - 1  # a sensor reads TAPS rows, all but the first with weight 0
    n_slabs, per_slab, width = _slabs(grid, rows)
    slabs = np.zeros((n_slabs, rows, width), dtype=np.float32)
    for slab in range(n_slabs):
        here = values[slab * per_slab : (slab + 1) * per_slab]
        slabs[slab, : values.shape[1], : len(here)] = here.T
    slabs.setflags(write=False)
    return PatternTable(slabs, per_slab, first_u=0.0, step_u=1.0)


def _slabs(grid: SearchGrid, rows: int) -> tuple[int, int, int]:
    """How many slabs, candidates in one, and its width."""
    angles_per_slab = max(1, int(_SLAB_BYTES / (4 * rows)) // _LANES * _LANES // grid.n_ranges)
    angles_per_slab = min(angles_per_slab, grid.n_angles)
    per_slab = angles_per_slab * grid.n_ranges
    return -(-grid.n_angles // angles_per_slab), per_slab, -(-per_slab // _LANES) * _LANES


def subset(table: PatternTable, columns: np.ndarray, n_ranges: int) -> PatternTable:
    """The table of some of the candidates, which are whole angles of `n_ranges` each."""
    per_slab = max(1, table.per_slab // n_ranges) * n_ranges
    width = -(-per_slab // _LANES) * _LANES
    slabs = np.zeros((-(-len(columns) // per_slab), table.slabs.shape[1], width), dtype=np.float32)
    for slab in range(slabs.shape[0]):
        chosen = columns[slab * per_slab : (slab + 1) * per_slab]
        slabs[slab, :, : len(chosen)] = table.slabs[chosen // table.per_slab, :, chosen % table.per_slab].T
    return PatternTable(slabs, per_slab, table.first_u, table.step_u, table.ranges)
