"""How well directions can be found by who takes spherical waves for plane ones: the misspecified Cramér-Rao bound.

What a plane-wave fit converges to is not the true direction but the pseudo-true one, which lies nearest to the truth in
the sense of Kullback and Leibler; there its covariance is the sandwich A⁻¹ B A⁻¹ (Q. H. Vuong, "Cramér-Rao bounds for
misspecified models", 1986; S. Fortunati, F. Gini, M. Greco, C. Richmond, "Performance bounds for parameter estimation
under misspecified models", IEEE Signal Process. Mag. 34(6), 2017). One path and its complex gain, seen through beams;
others are taken as known.

Symbols: m what the beams receive of the true wave, μ = γ b(θ, φ) of the plane one, e = m − μ, k wavenumber,
t = u·p the elements' places along the direction.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_fit import fit_paths
from engine.numerics.resolution import beam_widths
from engine.numerics.wavefront import wave

Array = Any

STEP_BEAMS = 0.25
"""Of a beam's width: how far apart the directions are that are tried first; a lobe is four times as wide and more."""
LOBES = 4
"""Of the highest ones, fitted each."""
SAME_BEAMS = 0.5
"""Directions nearer than this belong to one lobe."""
NEWTON_STEPS = 3
MOST_FIT_STEPS = 200


class PlaneWaveBound(NamedTuple):
    """Of L users seen through C beams each."""

    bias_rad: Array
    """pseudo-true direction less the true one, θ and φ, (..., L, 2)"""
    covariance_rad2: Array
    """of θ and φ about the pseudo-true ones, at a noise variance of one, (..., L, 2, 2): multiply by σ²"""


def plane_wave_bound(
    array: UniformPlanarArray,
    beams: Array,
    *,
    inverse_range_per_m: Array,
    polar_rad: Array,
    azimuth_rad: Array,
    gain: Array,
) -> PlaneWaveBound:
    """beams (G, C, N); the users' true κ, θ, φ and gain (G, L). Pseudo-true is the best of all directions."""
    xp = array_namespace(beams, polar_rad)
    n_groups, n_users = polar_rad.shape
    true = gain[..., None] * (wave(array, inverse_range_per_m, polar_rad, azimuth_rad) @ xp.matrix_transpose(beams))
    samples = xp.reshape(true, (n_groups * n_users, 1, -1))
    group = xp.arange(n_groups * n_users) // n_users
    theta, phi = (xp.reshape(part, (-1,)) for part in (polar_rad, azimuth_rad))
    best = _pseudo_true(array, beams, group, samples, theta, phi)
    own, seen = xp.take(beams, group, axis=0), samples[:, 0, :]
    for _ in range(NEWTON_STEPS):
        gradient, information, bent = _derivatives(array, own, seen, best)
        step = xp.linalg.solve(information - bent, gradient[..., None])[..., 0]
        best = best + step[:, :2]
    _, information, bent = _derivatives(array, own, seen, best)
    bread = xp.linalg.inv(information - bent)
    covariance = (bread @ information @ bread)[:, :2, :2]
    bias = best - xp.stack([theta, phi], axis=-1)
    return PlaneWaveBound(xp.reshape(bias, (n_groups, n_users, 2)), xp.reshape(covariance, (n_groups, n_users, 2, 2)))


def _pseudo_true(
    array: UniformPlanarArray, beams: Array, group: Array, samples: Array, theta: Array, phi: Array
) -> Array:
    """θ, φ (T, 2) of the plane wave that leaves the least of each of the samples (T, 1, C): fits of a grid's lobes.

    The grid reaches as far as the directions differ from which the surface's parts see a user where its reactive near
    field begins, and half a beam more.
    """
    xp = array_namespace(beams, theta)
    own, widths = xp.take(beams, group, axis=0), beam_widths(array)
    halves_m = [(n - 1) * array.spacing_m / 2 for n in (array.n_y, array.n_z)]
    reach = [half / array.fresnel_range_m + width / 2 for half, width in zip(halves_m, widths, strict=True)]
    along_y, along_z = (
        np.linspace(-end, end, 2 * int(np.ceil(end / (STEP_BEAMS * width))) + 1)
        for end, width in zip(reach, widths, strict=True)
    )
    grid = [(dy, dz) for dy in along_y.tolist() for dz in along_z.tolist()]
    tried, scores = [], []
    for dy, dz in grid:
        u_z = xp.clip(xp.cos(theta) + dz, -0.999, 0.999)
        polar = xp.acos(u_z)
        azimuth = xp.asin(xp.clip((xp.sin(theta) * xp.sin(phi) + dy) / xp.sin(polar), -0.999, 0.999))
        seen = xp.sum(own * wave(array, xp.zeros_like(polar), polar, azimuth)[:, None, :], axis=-1)
        scores.append(xp.abs(xp.vecdot(seen, samples[:, 0, :])) ** 2 / xp.real(xp.vecdot(seen, seen)))
        tried.append(xp.stack([polar, azimuth], axis=-1))
    places, heights = xp.stack(tried, axis=1), xp.stack(scores, axis=1)
    offsets = xp.asarray(np.array(grid) / np.array(widths))
    trial = xp.arange(theta.shape[0])
    bounds = xp.asarray(np.array([[0.0, 1e-6, -np.pi / 2], [0.0, np.pi - 1e-6, np.pi / 2]]))
    best, least = xp.stack([theta, phi], axis=-1), xp.full_like(theta, np.inf)
    for _ in range(LOBES):
        index = xp.argmax(heights, axis=1)
        start = xp.concat([xp.zeros_like(best[:, :1]), places[trial, index]], axis=-1)[:, None, :]
        fit = fit_paths(array, beams, group, samples, start, bounds, tolerance=1e-14, most_steps=MOST_FIT_STEPS)
        better = fit.energy[:, 0] < least
        least = xp.where(better, fit.energy[:, 0], least)
        best = xp.where(better[:, None], fit.places[:, 0, 1:], best)
        same = xp.all(xp.abs(offsets[None, ...] - offsets[index][:, None, :]) <= SAME_BEAMS, axis=-1)
        heights = xp.where(same, xp.full_like(heights, -np.inf), heights)
    return best


def _derivatives(array: UniformPlanarArray, beams: Array, samples: Array, place: Array) -> tuple[Array, Array, Array]:
    """Of −‖e‖² by θ, φ, Re γ, Im γ, at the best gain: 2 Re{Jᴴe} (T, 4), 2 Re{JᴴJ} and 2 Re Σ e* ∂²μ (T, 4, 4).

    beams (T, C, N), samples (T, C), place (T, 2). At noise variance one: B is the second, A the third less the second.
    """
    xp = array_namespace(beams, place)
    y, z = array.positions_m(xp)
    k, theta, phi = array.wavenumber_rad_per_m, place[:, :1], place[:, 1:]
    t = y * xp.sin(theta) * xp.sin(phi) + z * xp.cos(theta)
    t_theta = y * xp.cos(theta) * xp.sin(phi) - z * xp.sin(theta)
    t_phi = y * xp.sin(theta) * xp.cos(phi)
    a = xp.cos(k * t) + 1j * xp.sin(k * t)
    twice = (
        (-t, t_theta * t_theta),
        (y * xp.cos(theta) * xp.cos(phi), t_theta * t_phi),
        (-y * xp.sin(theta) * xp.sin(phi), t_phi * t_phi),
    )
    waves = [a, 1j * k * t_theta * a, 1j * k * t_phi * a, *((1j * k * one - k * k * two) * a for one, two in twice)]
    b, b_theta, b_phi, *second = (xp.sum(beams * part[:, None, :], axis=-1) for part in waves)
    gain = (xp.vecdot(b, samples) / xp.vecdot(b, b))[:, None]
    left = samples - gain * b
    jacobian = xp.stack([gain * b_theta, gain * b_phi, b, 1j * b], axis=1)
    gradient = 2 * xp.real(xp.sum(xp.conj(jacobian) * left[:, None, :], axis=-1))
    information = 2 * xp.real(xp.conj(jacobian) @ xp.matrix_transpose(jacobian))
    none = xp.zeros_like(b)
    by_theta_theta, by_theta_phi, by_phi_phi = (gain * part for part in second)
    rows = (
        (by_theta_theta, by_theta_phi, b_theta, 1j * b_theta),
        (by_theta_phi, by_phi_phi, b_phi, 1j * b_phi),
        (b_theta, b_phi, none, none),
        (1j * b_theta, 1j * b_phi, none, none),
    )
    bent = xp.stack([xp.stack([xp.sum(xp.conj(left) * one, axis=-1) for one in row], axis=-1) for row in rows], axis=-2)
    return gradient, information, 2 * xp.real(bent)
