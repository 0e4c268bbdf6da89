"""Expectations over the user's range."""

import math

import numpy as np
from scipy.special import roots_jacobi

from engine.numerics.geometry import UniformLinearArray


def beta_nodes(low: float, high: float, alpha: float, beta: float, *, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of E[f(d)] for d ~ Beta(α, β) scaled to [low, high], 0 < low < high.

    Gauss-Jacobi in the curvature κ = 1/d, in which near-field phases are linear: at 32 nodes the Fisher information
    of the default scene is good to 3e-6, against 4e-4 for the same rule in d. Returns two arrays (n_nodes,), the
    weights adding up to one.

    >>> d, w = beta_nodes(2.0, 12.0, 2.0, 2.0, n_nodes=16)
    >>> round(float(w @ d), 9), round(float(w @ (d - 7) ** 2), 9)
    (7.0, 5.0)
    """
    # d − low ∝ (1 − x) d and high − d ∝ (1 + x) d with x linear in κ, and dd ∝ d² dx.
    x, jacobi = roots_jacobi(n_nodes, alpha - 1, beta - 1)
    kappa = 1 / high + (1 / low - 1 / high) * (x + 1) / 2
    d = 1 / kappa
    weights = jacobi * d ** (alpha + beta)
    return d, weights / weights.sum()


def nodes_needed(array: UniformLinearArray, low: float, high: float) -> int:
    """Nodes that resolve the change of the wavefront's phase over the aperture between two ranges.

    The quadratic phase at the edge, kx²/(2d), changes by Φ = k(NΔ/2)²(1/low − 1/high)/2 radians; 12 + Φ nodes give
    every information matrix to 5e-5 and its average over realizations to 1e-7 (tests/numerics/test_quadrature.py).
    """
    edge_m = array.n_elements * array.spacing_m / 2
    phase = array.wavenumber_rad_per_m * edge_m**2 * (1 / low - 1 / high) / 2
    return 12 + math.ceil(phase)
