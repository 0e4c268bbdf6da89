"""Log-likelihood of the powers at all sensors, for many places, in compiled loops. Imports numba.

In the form of `engine.numerics.likelihood_fit`, in double precision: what arrays take 65 ns for, of a place and sensor,
takes 5.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.likelihood_fit import DEGREE, likelihood_fit
from engine.numerics.noncentral_chi2 import log_constant

_GROUP = 8
"""Sensors whose logarithms are taken as one, of a product: v > 1e-30 each."""
assert DEGREE == 8


def _add_plain(power: Any, unit: float, root: Any, slope: float, offset: float, coefficients: Any, out: Any) -> None:
    """out (n,) += Σ_k −½(y − s)² + r(ys), y = √(unit power), power (n, K), s = root (K,); −∞ where a power is NaN."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = coefficients
    n_sensors = len(root)
    scale, square = np.sqrt(unit), offset * offset
    v = np.empty(n_sensors)
    for i in range(len(out)):
        total = 0.0
        for k in range(n_sensors):
            y = scale * np.sqrt(np.float64(power[i, k]))
            x = y * root[k]
            f = offset / (x + np.sqrt(square + x * x))
            apart = y - root[k]
            smooth = (((((((c0 * f + c1) * f + c2) * f + c3) * f + c4) * f + c5) * f + c6) * f + c7) * f + c8
            total += smooth - 0.5 * apart * apart
            v[k] = f
        product, logs = 1.0, 0.0
        for k in range(n_sensors):
            product *= v[k]
            if k % _GROUP == _GROUP - 1 or k == n_sensors - 1:
                logs += np.log(product)
                product = 1.0
        total += slope * logs
        out[i] = out[i] + total if total == total else -np.inf


_add = compiled(_add_plain)


def powers_log_likelihood(power: np.ndarray, *, statistic: np.ndarray, snr: float, n_snapshots: int) -> np.ndarray:
    """Of S (K,) over L snapshots at places with expected powers over P_t ≥ 0, (n, K): (n,); −∞ where one is NaN.

    power may be in single precision. snr: P_t/σ², so that λ = 2L snr power, Eq. (13). Error: that of `likelihood_fit`,
    below 1e-4 a sensor for L ≤ 1000.
    """
    fit = likelihood_fit(n_snapshots)
    out = np.full(len(power), float(np.sum(log_constant(statistic, n_snapshots))))
    _add(power, 2 * snr * n_snapshots, np.sqrt(statistic), fit.slope, fit.offset, fit.coefficients, out)
    return out
