"""Fisher information of power measurements about the focal point, prior information, and the Bayesian bound.

Symmetric 2 × 2 matrices in (range, angle) are kept as their three entries along the last axis:
range-range (1/m²), range-angle (1/(m rad)), angle-angle (1/rad²).
"""

from typing import Any, Literal

from array_api_compat import array_namespace

from engine.errors import InputError
from engine.numerics.leakage import LeakageTable
from engine.numerics.noncentral_chi2 import information

Array = Any
PriorInformation = Literal["as_printed", "formula", "exact"]


def expected_information(table: LeakageTable, path_gain: Array, weights: Array, snr: Array) -> Array:
    """E_d[J_F] for one snapshot, Eq. (23) averaged over the range.

    table: leakage (..., P, K) at P ranges; path_gain: β_k (..., K); weights: (P,), adding up to one; snr:
    P_t/σ² (S,), so that ρ_k = 2 (P_t/σ²) β_k g_k. Returns (..., S, 3).
    """
    xp = array_namespace(table.value, path_gain)
    gain = path_gain[..., None, :]
    by_range, by_angle = table.by_range_per_m * gain, table.by_angle_per_rad * gain
    weighted_range, weighted_angle = by_range * weights[:, None], by_angle * weights[:, None]
    products = xp.stack([weighted_range * by_range, weighted_range * by_angle, weighted_angle * by_angle], axis=-1)
    scale = 2.0 * snr[:, None, None]
    rho = (table.value * gain)[..., None, :, :] * scale
    leading, pairs = table.value.shape[:-2], table.value.shape[-2] * table.value.shape[-1]
    j2 = xp.reshape(information(rho), (*leading, snr.shape[0], pairs))
    return (j2 @ xp.reshape(products, (*leading, pairs, 3))) * (scale[..., 0] * scale[..., 0])


def prior_information(kind: PriorInformation, *, alpha: float, beta: float, width_m: float) -> float:
    """Prior information about the range, in 1/m², for Beta(α, β) scaled to an interval of `width_m`.

    `as_printed`: 0.0185, the value in the paper's Section V-A whatever the interval. `formula`: the paper's
    (α+β−2)(α+β−1)/R². `exact`: E[(∂ ln p/∂d)²] = (α+β−1)(α+β−2)[1/(α−2) + 1/(β−2)]/R², infinite unless
    α, β > 2; only this one makes the bound a bound at low signal-to-noise ratio. Raises InputError where
    it is infinite.

    >>> round(prior_information("formula", alpha=2, beta=2, width_m=10), 12)
    0.06
    >>> round(prior_information("exact", alpha=3, beta=3, width_m=10), 12)
    0.4
    """
    if kind == "as_printed":
        return 0.0185
    total = alpha + beta
    if kind == "formula":
        return (total - 2) * (total - 1) / width_m**2
    if alpha <= 2 or beta <= 2:
        raise InputError(
            f"prior_information 'exact' is infinite for Beta({alpha:g}, {beta:g}): choose prior_alpha and "
            f"prior_beta above 2, or 'formula' or 'as_printed'"
        )
    return (total - 1) * (total - 2) * (1 / (alpha - 2) + 1 / (beta - 2)) / width_m**2


def bayesian_bound(information_matrix: Array, prior: float) -> tuple[Array, Array]:
    """Diagonal of (J + J_prior)⁻¹, Eq. (25), J_prior in the range-range entry alone.

    information_matrix: (..., 3). Returns the bounds on the range (m²) and on the angle (rad²), each (...).
    """
    range_range = information_matrix[..., 0] + prior
    cross, angle_angle = information_matrix[..., 1], information_matrix[..., 2]
    squared = cross * cross
    return 1 / (range_range - squared / angle_angle), 1 / (angle_angle - squared / range_range)
