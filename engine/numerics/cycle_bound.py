"""The bounds after one more cycle as a function f of its beam s, and its gradient: Cao et al., Eqs. (41) to (45).

f(s) = Σ_l tr(W_l F_l⁻¹), where F_l = F_l,old + (2/σ²) Re{v* vᵀ}, v = Q_lᵀ s, is the information about user l's range,
angles and complex gain after one more cycle: what earlier cycles brought is summed once, so that an evaluation costs
2·4·L·N multiplications however many they were.

s may be the surface's phases, where the waves are multiplied with the channel to the base station, or the beam, which
is the phases times that channel: |h_RB| = 1, and rotating each s_n changes nothing but the name.
"""

from typing import Any, Literal, NamedTuple

from array_api_compat import array_namespace

from engine.errors import InputError
from engine.numerics.definite import diagonal, inverse, with_diagonal
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths, Sensitivity, user_information, user_sensitivity

Array = Any
Weighting = Literal["rel", "unit", "pos"]

RESOLVED = 1e-8
"""Of what the data tell of a parameter, at least this much is known of it whatever else is unknown: after one or two
cycles at a high signal-to-noise ratio, rounding hides the prior behind what they do tell."""


class Objective(NamedTuple):
    """f, of one trial (...) each."""

    waves: Sensitivity
    """of the L users, by range"""
    covariance: Array
    """F_old⁻¹, (..., L, 5, 5)"""
    weight: Array
    """the diagonal of W over range, θ, φ, (..., L, 3)"""
    noise_variance: Array
    """E|noise|², (...)"""


def objective_after(
    array: UniformPlanarArray,
    paths: Paths,
    beams: Array,
    noise_variance: Array,
    *,
    weighting: Weighting = "rel",
    far: Array | None = None,
    prior: Array | None = None,
) -> Objective:
    """f after the cycles with `beams` (..., C, N), at the users' places and gains in `paths`; arguments as for bounds.

    weighting: `rel`, each variance over its present bound, which improves all of them alike; `unit`, W = 1; `pos`, 1,
    r² and r² sin²θ, the expected squared distance. Far users' ranges have weight 0, Eq. (43). Raises InputError where
    the cycles so far do not determine a user and no `prior` helps.
    """
    xp = array_namespace(*paths, beams, noise_variance)
    waves = user_sensitivity(array, paths, far=far)
    information = user_information(waves, beams, noise_variance, prior=prior)
    covariance = _inverse(information if prior is None else _resolved(information))
    one = xp.ones_like(paths.polar_rad)
    if weighting == "rel":
        weight = 1 / diagonal(covariance)[..., :3]
    elif weighting == "unit":
        weight = xp.stack([one, one, one], axis=-1)
    elif weighting == "pos":
        kappa = xp.where(waves.far, one, paths.inverse_range_per_m)
        squared = xp.where(waves.far, one, 1 / (kappa * kappa))  # a plane wave's angles by themselves
        weight = xp.stack([one, squared, squared * xp.sin(paths.polar_rad) ** 2], axis=-1)
    else:
        raise InputError(f"weighting: given {weighting!r}, needed 'rel', 'unit' or 'pos'")
    return _objective(waves, covariance, weight, noise_variance)


def objective(waves: Sensitivity, information: Array, weight: Array, noise_variance: Array) -> Objective:
    """f by its parts: F_old (..., L, 5, 5), as `user_information` gives it, and the diagonal of W (..., L, 3)."""
    return _objective(waves, _inverse(information), weight, noise_variance)


def evaluate(f: Objective, beam: Array) -> tuple[Array, Array]:
    """f (...) and its gradient g complex (..., N), df = Re{g^H ds}, Eq. (45), at beam (..., N)."""
    xp = array_namespace(f.covariance, beam)
    slope, gain = f.waves.slope, f.waves.gain[..., None]
    rows = xp.concat([slope, xp.ones_like(slope[..., :1, :])], axis=-2)
    seen = f.waves.wave * beam[..., None, :]
    sums = rows @ xp.stack([xp.real(seen), xp.imag(seen)], axis=-1)
    v = sums[..., 0] + 1j * sums[..., 1]
    v = xp.concat([-1j * gain * v[..., :3], v[..., 3:], 1j * v[..., 3:]], axis=-1)
    half = (f.noise_variance / 2)[..., None]
    first, second, reduced = _updated(f, xp.real(v), xp.imag(v), half)
    value = xp.sum(reduced, axis=-1)
    z = first + 1j * second  # G v
    z = xp.concat([1j * xp.conj(gain) * z[..., :3], z[..., 3:4] - 1j * z[..., 4:]], axis=-1)
    turned = xp.matrix_transpose(rows) @ xp.stack([xp.real(z), xp.imag(z)], axis=-1)
    gradient = xp.sum(xp.conj(f.waves.wave) * (turned[..., 0] + 1j * turned[..., 1]), axis=-2)
    return value, gradient * (-4 / f.noise_variance)[..., None]


def present_value(f: Objective) -> Array:
    """tr(W F_old⁻¹), (...)."""
    xp = array_namespace(f.covariance)
    return xp.sum(f.weight * diagonal(f.covariance)[..., :3], axis=(-2, -1))


def _objective(waves: Sensitivity, covariance: Array, weight: Array, noise_variance: Array) -> Objective:
    xp = array_namespace(covariance, weight)
    near = xp.astype(~waves.far, xp.float64)
    ranged = xp.stack([near, xp.ones_like(near), xp.ones_like(near)], axis=-1)
    return Objective(waves, covariance, weight * ranged, noise_variance)


def _resolved(information: Array) -> Array:
    """Information that a prior makes regular, and rounding does not: with `RESOLVED` of it added where it would."""
    xp = array_namespace(information)
    hidden = xp.any(~xp.isfinite(diagonal(inverse(information, diagonal(information)))), axis=-1)
    added = xp.where(hidden[..., None], RESOLVED * diagonal(information), xp.zeros_like(diagonal(information)))
    return with_diagonal(information, added)


def _inverse(information: Array) -> Array:
    xp = array_namespace(information)
    covariance = inverse(information, diagonal(information))
    unknown = xp.any(~xp.isfinite(diagonal(covariance)), axis=-1)
    if bool(xp.any(unknown)):
        n = int(xp.sum(xp.astype(unknown, xp.int64)))
        raise InputError(
            f"information: singular for {n} of {unknown.size} users (too few cycles so far, or a place that is not "
            f"finite): observe at least 3 cycles first, or give a prior"
        )
    return covariance


def _updated(f: Objective, u: Array, w: Array, half: Array) -> tuple[Array, Array, Array]:
    """F⁻¹ W F⁻¹ u and the same of w (..., L, 5), and tr(W F⁻¹) (..., L), for F = F_old + (u uᵀ + w wᵀ)/half.

    By Woodbury's identity F⁻¹ = A − P M⁻¹ Pᵀ with A = F_old⁻¹, P = A [u w] and M = half + [u w]ᵀ P, hence F⁻¹ [u w] =
    half P M⁻¹.
    """
    xp = array_namespace(u)
    p, q = (xp.sum(f.covariance * part[..., None, :], axis=-1) for part in (u, w))
    m_uu, m_ww = half + xp.sum(u * p, axis=-1), half + xp.sum(w * q, axis=-1)
    m_uw = xp.sum(u * q, axis=-1)
    determinant = m_uu * m_ww - m_uw * m_uw
    i_uu, i_ww, i_uw = (part / determinant for part in (m_ww, m_uu, -m_uw))
    weight = xp.concat([f.weight, xp.zeros_like(f.weight[..., :2])], axis=-1)
    x = p * i_uu[..., None] + q * i_uw[..., None]
    y = p * i_uw[..., None] + q * i_ww[..., None]
    value = xp.sum(weight * (xp.stack([f.covariance[..., i, i] for i in range(5)], axis=-1) - x * p - y * q), axis=-1)
    scaled = half[..., None]

    def applied(vector: Array) -> Array:
        along_p, along_q = xp.sum(vector * p, axis=-1)[..., None], xp.sum(vector * q, axis=-1)[..., None]
        return xp.sum(f.covariance * vector[..., None, :], axis=-1) - x * along_p - y * along_q

    return applied(weight * x * scaled), applied(weight * y * scaled), value
