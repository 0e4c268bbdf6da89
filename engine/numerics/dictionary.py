"""What beams receive from every candidate wave: rows of a dictionary, Φ = W A of Cao et al., Eqs. (12) to (16).

A beam's row is a smooth function of the wave's direction cosines u_y, u_z and of κ = 1/r: an aperture of D metres lets
through 2D/λ oscillations per unit of u. So a row is computed in two steps, each a matrix product:

- `compress`: B coefficients of the row in a product basis of real functions p(u_y) p(u_z) q(κ). The functions along
  each axis are the leading singular vectors of what the elements see along it, so there are as few as can be: about
  26 × 26 × 7 for 625 elements where the laboratory's dictionary has 55 808 waves and its far field alone 2704.
- `expand`: the coefficients times the basis at every candidate, one axis after the other. Plane waves (κ = 0) are one
  of the levels of κ and so are separable as well.

Both are linear: a sum over beams may be taken over coefficients, and expanded once. Laboratory view, 625 elements,
multiplications per row: 34.9 million complex ones directly; 0.7 million complex and 2.5 million real ones here.

Measured, laboratory view, one core, cpu-ms: a row 0.25 to compress and 0.25 to add to the norms, a score of every
candidate 0.25 (directly 8 a row). The wide view's 429 975 spherical waves, 32 trials of 20 cycles: 0.6 GB in all.

Scores are computed on a lattice of polar angles, levels and azimuths (P, R, Q), of which the candidates are a part.

Numbers do not depend on the batch: the product with the waves runs in tiles of TILE beams, filled up with zeros, and
everything else on one row at a time, so that a row's rounding is its own.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from engine.errors import InputError
from engine.numerics.candidates import CandidateGrid, Candidates
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import path_difference

Array = Any

TILE = 16
"""Beams that are multiplied with the basis at a time."""
VECTOR = 8
"""Azimuths of the lattice are filled up to a multiple of this, which a CPU handles at once."""
ERROR = 1e-7
"""Root mean square error over the elements at the worst place, which is a row's error over √N."""
N_AXES = 4
"""Of what the error is shared out to: two directions, levels, and what lies between the places that are looked at."""


class Dictionary:
    """The waves of a grid as seen by an array, in the array namespace `xp`.

    `candidates` holds the M waves, on the host; `lattice` is (P, R, Q), and `allowed` says which of it are candidates.
    """

    def __init__(self, array: UniformPlanarArray, grid: CandidateGrid, xp: Any, *, error: float = ERROR) -> None:
        self.array, self.xp = array, xp
        self.candidates: Candidates = grid.candidates()
        self.size = grid.size
        used = grid.allowed.any(axis=(0, 1))
        allowed = grid.allowed[:, :, used]
        levels_per_m = grid.inverse_range_per_m[used]
        basis = _Basis(array, grid, levels_per_m, error)
        self.n_levels = basis.n_levels
        self.n_coefficients = basis.n_y * basis.n_z * basis.n_levels
        lattice = _filled_up(np.moveaxis(allowed, 2, 1), VECTOR, axis=2)
        self.lattice = lattice.shape
        self.allowed = xp.asarray(lattice)
        self._places = tuple(xp.asarray(part) for part in (levels_per_m, grid.polar_rad, grid.azimuth_rad))
        self._index = None if allowed.all() else xp.asarray(np.flatnonzero(allowed))
        self._quadrants = [xp.asarray(np.ascontiguousarray(block.T)) for block in basis.waves()]
        self._sizes = (basis.parts_z, basis.parts_y, basis.n_levels)
        azimuth_lines = _filled_up(np.moveaxis(basis.azimuth(), 2, 1), VECTOR, axis=2)
        self._polar, self._azimuth, self._azimuth_lines, self._levels, self._turned_levels = (
            xp.asarray(np.ascontiguousarray(part))
            for part in (
                basis.polar(),
                basis.azimuth(),
                azimuth_lines,
                basis.levels,
                basis.levels.T * np.exp(-1j * basis.phase_rad),
            )
        )
        self._level_lines = _filled_up(basis.levels.T, VECTOR, axis=0)

    def compress(self, beams: Array) -> Array:
        """Coefficients of the rows of `beams`, complex (..., N) → (..., B)."""
        flat = self.xp.reshape(beams, (-1, self.array.n_elements))
        return self.xp.reshape(self._tiled(self._compress_tile, flat), (*beams.shape[:-1], self.n_coefficients))

    def expand(self, coefficients: Array) -> Array:
        """Rows from their coefficients, complex (..., B) → (..., M): beams (..., N) times waves (N, M)."""
        flat = self.xp.reshape(coefficients, (-1, self.n_coefficients))
        return self.xp.reshape(self._tiled(self._expand_tile, flat), (*coefficients.shape[:-1], self.size))

    def rows(self, beams: Array) -> Array:
        """φ = beams · waves, complex (..., N) → (..., M), in the order of `candidates`."""
        return self.expand(self.compress(beams))

    def _tiled(self, function: Callable[[Array], Array], rows: Array) -> Array:
        """`function` of (TILE, ·) on (n, ·), the last tile filled up with zeros."""
        xp, n = self.xp, rows.shape[0]
        missing = -n % TILE
        if missing:
            rows = xp.concat([rows, xp.zeros((missing, rows.shape[1]), dtype=rows.dtype)], axis=0)
        tiles = [function(rows[i : i + TILE, :]) for i in range(0, n, TILE)]
        joined = tiles[0] if len(tiles) == 1 else xp.concat(tiles, axis=0)
        return joined[:n, :]

    def _compress_tile(self, beams: Array) -> Array:
        """A beam's even and odd parts in y and in z see even and odd functions only: a quarter of the work.

        Beams are columns of the product: BLAS sums a column alike wherever it is. Rows it does not, with kernels that
        take three at a time (Haswell, Zen): a beam's last bits depended on which of a tile it was.
        """
        xp = self.xp
        beams = xp.reshape(beams, (TILE, self.array.n_y, self.array.n_z))
        parts_z, parts_y, n_levels = self._sizes
        blocks, columns = iter(self._quadrants), []
        for odd_z in (0, 1):
            along_z = _folded(xp, beams, 2, odd_z)
            row = []
            for odd_y in (0, 1):
                part = xp.reshape(_folded(xp, along_z, 1, odd_y), (TILE, -1))
                shape = (TILE, parts_z[odd_z], parts_y[odd_y], n_levels)
                row.append(xp.reshape(xp.matrix_transpose(next(blocks) @ xp.matrix_transpose(part)), shape))
            columns.append(xp.concat(row, axis=2))
        return xp.reshape(xp.concat(columns, axis=1), (TILE, self.n_coefficients))

    def _expand_tile(self, coefficients: Array) -> Array:
        xp = self.xp
        parts = self._along_polar(coefficients)
        parts = xp.reshape(self._azimuth @ parts, (TILE, 2, -1, parts.shape[-1]))
        rows = xp.reshape((parts[:, 0, :, :] + 1j * parts[:, 1, :, :]) @ self._turned_levels, (TILE, -1))
        return rows if self._index is None else xp.take(rows, self._index, axis=1)

    def _along_polar(self, coefficients: Array) -> Array:
        """Real and imaginary parts, summed over the functions of u_z, which the polar angle fixes: (n, 2, P, I, J)."""
        xp = self.xp
        parts_z, parts_y, n_levels = self._sizes
        n = coefficients.shape[0]
        parts = xp.stack([xp.real(coefficients), xp.imag(coefficients)], axis=1)
        parts = self._polar @ xp.reshape(parts, (n, 2, sum(parts_z), sum(parts_y) * n_levels))
        return xp.reshape(parts, (n, 2, self.lattice[0], sum(parts_y), n_levels))

    def power(self, coefficients: Array) -> Array:
        """Σ |row|² over the n rows of one group, complex (n, B) → real (P, R, Q)."""
        parts = self._along_polar(coefficients)
        if self.xp is not np:
            return self.xp.sum(self._squares(parts), axis=0)
        from engine.numerics.dictionary_cpu import accumulate

        total = np.zeros(self.lattice)
        accumulate(parts, self._azimuth_lines, self._level_lines, total)
        return total

    def strongest(self, coefficients: Array, weight: Array) -> Array:
        """argmax of weight Σ_l |row_l|² on the lattice: complex (V, L, B), real ≥ 0 (P, R, Q) → integer (V,)."""
        xp = self.xp
        n, n_users, _ = coefficients.shape
        parts = self._along_polar(xp.reshape(coefficients, (n * n_users, self.n_coefficients)))
        if xp is not np:
            squares = xp.reshape(self._squares(parts), (n, n_users, -1))
            return xp.argmax(xp.sum(squares, axis=1) * xp.reshape(weight, (-1,)), axis=-1)
        from engine.numerics.dictionary_cpu import strongest

        best = np.zeros(n, dtype=np.int64)
        parts = parts.reshape(n, n_users, *parts.shape[1:])
        strongest(parts, self._azimuth_lines, self._level_lines, weight, best)
        return best

    def _squares(self, parts: Array) -> Array:
        """|row|², (n, 2, P, I, J) → (n, P, R, Q)."""
        xp = self.xp
        parts = self._levels @ (xp.matrix_transpose(parts) @ self._azimuth_lines)
        return parts[:, 0, ...] ** 2 + parts[:, 1, ...] ** 2

    def places(self, index: Array) -> tuple[Array, Array, Array]:
        """κ (1/m), θ and φ (rad) of indices into the lattice, each of the index's shape."""
        xp = self.xp
        _, n_levels, n_azimuths = self.lattice
        flat = xp.reshape(index, (-1,))
        parts = (flat // n_azimuths % n_levels, flat // (n_azimuths * n_levels), flat % n_azimuths)
        kappa, polar, azimuth = (
            xp.reshape(xp.take(values, part), index.shape) for values, part in zip(self._places, parts, strict=True)
        )
        return kappa, polar, azimuth


def _filled_up(values: np.ndarray, multiple: int, axis: int) -> np.ndarray:
    """With zeros behind, to a whole multiple."""
    missing = [(0, -n % multiple if i == axis else 0) for i, n in enumerate(values.shape)]
    return np.ascontiguousarray(np.pad(values, missing))


def _folded(xp: Any, beams: Array, axis: int, odd: int) -> Array:
    """Sums (or differences) of what mirror images see, on the half axis from the centre outwards."""
    n = beams.shape[axis]
    half = n // 2
    before, after = (slice(None),) * axis, (slice(None),) * (beams.ndim - axis - 1)
    upper = beams[(*before, slice(n - half, n), *after)]
    lower = xp.flip(beams[(*before, slice(0, half), *after)], axis=axis)
    if odd:
        return upper - lower
    if n % 2 == 0:
        return upper + lower
    return xp.concat([beams[(*before, slice(half, half + 1), *after)], upper + lower], axis=axis)


class _Basis:
    """Real functions of u_y, u_z, and of the levels of κ, in which every element's wave is a sum; built on the host.

    Along u they are sums of Legendre polynomials on [−U, U], even ones first; along κ, values at the levels.
    """

    def __init__(self, array: UniformPlanarArray, grid: CandidateGrid, levels_per_m: np.ndarray, error: float) -> None:
        self.array, self.grid, self.levels_per_m = array, grid, levels_per_m
        self.u_z = np.cos(grid.polar_rad)
        self.u_y = np.sin(grid.polar_rad)[:, None] * np.sin(grid.azimuth_rad)
        self.limit_y, self.limit_z = (max(float(np.abs(u).max()), 1e-6) for u in (self.u_y, self.u_z))
        y, z = array.positions_m(np)
        squared = (y * y + z * z).max()
        # An element's phase advances with κ by k(|p|² − t²)/2: turned by half the largest, all stay near zero.
        self.phase_rad = array.wavenumber_rad_per_m * levels_per_m * squared / 4
        nearest_m, edge_m = 1 / max(float(levels_per_m.max()), 1e-9), math.sqrt(squared)
        # The functions' product needs every pair of cosines, also where |u| > 1, and there R = 0 at u − √(u² − 1) of r.
        corner = math.hypot(self.limit_y, self.limit_z)
        least_m = edge_m * max(1.5, 1.1 * (corner + math.sqrt(corner**2 - 1)) if corner > 1 else 0.0)
        if nearest_m < least_m:
            raise InputError(
                f"range: given a candidate at {nearest_m:.3g} m from a surface that reaches {edge_m:.3g} m from its "
                f"centre, needed at least {least_m:.3g} m: raise the nearest range of the view"
            )
        # A polynomial needs as many terms as e^{jcx} has radians on [0, 1], and some; nearer waves are steeper by 1/R.
        steepest = 1 / (1 - edge_m / nearest_m)
        half_width = array.spacing_m * max(array.n_y - 1, array.n_z - 1) / 2
        radians = array.wavenumber_rad_per_m * half_width * max(self.limit_y, self.limit_z) * steepest
        # Beyond them a Bessel function of that argument falls off over its cube root.
        self.nodes, self.weights = legendre.leggauss(2 * math.ceil(radians / 2 + 8 + 3 * radians ** (1 / 3)))
        ends = np.asarray([levels_per_m.min(), levels_per_m.max()])
        error = error / N_AXES  # they may all be off at one place
        self.functions_y, self.parts_y = self._directions(ends, self.limit_y, self.limit_z, False, error)
        self.functions_z, self.parts_z = self._directions(ends, self.limit_z, self.limit_y, True, error)
        self.n_y, self.n_z = sum(self.parts_y), sum(self.parts_z)
        self.levels = self._levels(error)
        self.n_levels = self.levels.shape[1]

    def _waves(self, kappa: np.ndarray, u_y: np.ndarray, u_z: np.ndarray, elements: Any = slice(None)) -> np.ndarray:
        """Turned waves at some elements."""
        y, z = (part[elements] for part in self.array.positions_m(np))
        t = y * u_y[..., None] + z * u_z[..., None]
        delta = path_difference(kappa[..., None], t, y * y + z * z)
        return np.exp(-1j * self.array.wavenumber_rad_per_m * delta)

    def _directions(
        self, kappa: np.ndarray, limit: float, other_limit: float, along_z: bool, error: float
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Legendre coefficients of functions along one direction cosine, and how many are even and odd."""
        half = len(self.nodes) // 2
        u = self.nodes * limit
        across = np.asarray([-other_limit, 0.0, other_limit])
        u, across, kappa = np.broadcast_arrays(u[:, None, None], across[:, None], kappa)
        seen = self._waves(kappa, across, u) if along_z else self._waves(kappa, u, across)
        seen = np.concatenate([seen.real, seen.imag], axis=-1).reshape(len(self.nodes), -1)
        functions, parts = [], []
        for sign in (1, -1):
            samples = (seen[half:] + sign * seen[:half][::-1]) / 2
            vectors = _leading(samples, np.sqrt(self.weights[half:]), self.array.n_elements, error)
            both = np.concatenate([sign * vectors[::-1], vectors]) / math.sqrt(2)
            projector = legendre.legvander(self.nodes, len(self.nodes) - 1) * self.weights[:, None]
            functions.append((np.arange(len(self.nodes)) + 0.5)[:, None] * (projector.T @ both))
            parts.append(both.shape[1])
        return np.concatenate(functions, axis=1), (parts[0], parts[1])

    def _levels(self, error: float) -> np.ndarray:
        """Orthonormal functions of the level, (R, n)."""
        corners = [u * np.asarray([-1.0, 0.0, 1.0]) for u in (self.limit_y, self.limit_z)]
        kappa, u_y, u_z = np.meshgrid(self.levels_per_m, *corners, indexing="ij")
        seen = self._waves(kappa, u_y, u_z) * np.exp(1j * self.phase_rad)[:, None, None, None]
        seen = np.concatenate([seen.real, seen.imag], axis=-1).reshape(len(self.levels_per_m), -1)
        return _leading(seen, np.ones(len(seen)), self.array.n_elements, error)

    def waves(self) -> list[np.ndarray]:
        """The elements' waves in this basis, y ≥ 0 and z ≥ 0 only: (elements, functions) for each pair of parities."""
        n_y, n_z = self.array.n_y, self.array.n_z
        vander = legendre.legvander(self.nodes, len(self.nodes) - 1)
        along_y = (vander @ self.functions_y * self.weights[:, None]).T
        along_z = (vander @ self.functions_z * self.weights[:, None]).T
        along_levels = (self.levels * np.exp(1j * self.phase_rad)[:, None]).T
        kappa, u_z, u_y = np.meshgrid(
            self.levels_per_m, self.nodes * self.limit_z, self.nodes * self.limit_y, indexing="ij"
        )
        rows_y, rows_z = np.arange(n_y // 2, n_y), np.arange(n_z // 2, n_z)
        waves = np.empty((len(rows_y), len(rows_z), self.n_z, self.n_y, self.n_levels), dtype=complex)
        for i, row_y in enumerate(rows_y):
            for j, row_z in enumerate(rows_z):  # an element at a time: a few megabytes
                seen = self._waves(kappa, u_y, u_z, [row_y * n_z + row_z])[..., 0]
                seen = along_z @ (seen @ along_y.T)
                waves[i, j] = np.moveaxis(np.tensordot(along_levels, seen, 1), 0, -1)
        blocks = []
        for odd_z in (0, 1):
            for odd_y in (0, 1):
                part_z = slice(self.parts_z[0], None) if odd_z else slice(self.parts_z[0])
                part_y = slice(self.parts_y[0], None) if odd_y else slice(self.parts_y[0])
                # The element at the centre of an odd number is its own mirror image: it has no odd part.
                block = waves[odd_y * (n_y % 2) :, odd_z * (n_z % 2) :, part_z, part_y]
                blocks.append(
                    np.ascontiguousarray(block.reshape(math.prod(block.shape[:2]), math.prod(block.shape[2:])))
                )
        return blocks

    def polar(self) -> np.ndarray:
        """The functions of u_z at every polar angle, (P, n_z)."""
        return legendre.legvander(self.u_z / self.limit_z, len(self.nodes) - 1) @ self.functions_z

    def azimuth(self) -> np.ndarray:
        """The functions of u_y in every direction, (P, Q, n_y)."""
        return legendre.legvander(self.u_y / self.limit_y, len(self.nodes) - 1) @ self.functions_y


def _leading(samples: np.ndarray, root_weights: np.ndarray, n_elements: int, error: float) -> np.ndarray:
    """Fewest orthonormal vectors, scaled to function values, that leave at most `error` at any place.

    samples (places, parts × elements): real and imaginary parts; the error is the root mean square over elements.
    """
    vectors, _, _ = np.linalg.svd(root_weights[:, None] * samples, full_matrices=False)
    left = root_weights[:, None] * samples
    for n in range(vectors.shape[1] + 1):
        rest = (left / root_weights[:, None]).reshape(len(samples), -1, 2 * n_elements)
        if math.sqrt(np.max(np.sum(rest * rest, axis=-1)) / n_elements) <= error:
            break
        left = left - vectors[:, n : n + 1] @ (vectors[:, n : n + 1].T @ left)
    return vectors[:, :n] / root_weights[:, None]
