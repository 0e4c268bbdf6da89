"""Algorithm 2 on a CPU: compiled loops. Imports numba.

The arithmetic of `engine.numerics.circle_manifold` and `cycle_bound`, its oracles, in real numbers: with e = a ⊙ s, a
user's v is that of Σ_n e_n and the three Σ_n slope_n e_n, and the Riemannian gradient is j t_n s_n with t_n =
Im(g_n s_n*), so that a step needs t alone, and neither a sine nor a complex gradient.

Measured for 4 users and 625 elements, one core: 4.3 µs an evaluation, the gradient where a step is taken included, and
0.3 ms a search of 70 evaluations, whatever the number of earlier cycles; on arrays 5 ms; as the paper reads, with 16
earlier cycles summed anew at every evaluation, 100 ms (`jobs.benchmarks.ris_literal_bound`). `objective_after` takes
another 0.25 ms a trial in batches of 64, 0.5 ms alone.
"""

from typing import Any

import numpy as np

from engine.numerics.armijo import Armijo, Optimised
from engine.numerics.compiled import compiled
from engine.numerics.cycle_bound import Objective, present_value

_LANES = 32
"""Elements are padded to a multiple with ones that see nothing, so that no loop has a remainder."""


def _sums_plain(user: Any, beam: Any, out: Any) -> None:
    """Σ slope e (3) and Σ e, real and imaginary parts in out (8,); user: rows Re a, Im a, slope (3), (5, N)."""
    ar, ai, d0, d1, d2 = user[0], user[1], user[2], user[3], user[4]
    sr, si = beam[0], beam[1]
    r0, r1, r2, r3, i0, i1, i2, i3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(user.shape[1]):
        er = ar[n] * sr[n] - ai[n] * si[n]
        ei = ar[n] * si[n] + ai[n] * sr[n]
        r0 += d0[n] * er
        r1 += d1[n] * er
        r2 += d2[n] * er
        r3 += er
        i0 += d0[n] * ei
        i1 += d1[n] * ei
        i2 += d2[n] * ei
        i3 += ei
    out[0], out[1], out[2], out[3] = r0, r1, r2, r3
    out[4], out[5], out[6], out[7] = i0, i1, i2, i3


_sums = compiled(_sums_plain)


def _add_turn_plain(user: Any, beam: Any, factor: Any, turn: Any) -> None:
    """turn += Im{e* (Σ slope factor (3) + factor)}; factor (8,): real, then imaginary parts."""
    ar, ai, d0, d1, d2 = user[0], user[1], user[2], user[3], user[4]
    sr, si = beam[0], beam[1]
    r0, r1, r2, r3 = factor[0], factor[1], factor[2], factor[3]
    i0, i1, i2, i3 = factor[4], factor[5], factor[6], factor[7]
    for n in range(user.shape[1]):
        er = ar[n] * sr[n] - ai[n] * si[n]
        ei = ar[n] * si[n] + ai[n] * sr[n]
        gr = d0[n] * r0 + d1[n] * r1 + d2[n] * r2 + r3
        gi = d0[n] * i0 + d1[n] * i1 + d2[n] * i2 + i3
        turn[n] += er * gi - ei * gr


_add_turn = compiled(_add_turn_plain)


def _retract_plain(beam: Any, turn: Any, step: float, out: Any) -> None:
    """s − step · j t s, back on the circles, Eqs. (47) and (48); arrays (2, N), turn (N,)."""
    sr, si, xr, xi = beam[0], beam[1], out[0], out[1]
    for n in range(turn.shape[0]):
        angle = step * turn[n]
        r = sr[n] + angle * si[n]
        i = si[n] - angle * sr[n]
        inverse = 1.0 / np.sqrt(r * r + i * i)
        xr[n] = r * inverse
        xi[n] = i * inverse


_retract = compiled(_retract_plain)


def _updated_plain(
    sums: Any, gain: complex, covariance: Any, weight: Any, half: float, work: Any, factor: Any
) -> float:
    """tr(W F⁻¹) of a user, and in factor (8,) what `_add_turn` needs for its gradient; work (≥ 6, ≥ 5).

    As `engine.numerics.cycle_bound._updated`.
    """
    u, w, p, q, x, y = work[0], work[1], work[2], work[3], work[4], work[5]
    b, c = gain.real, gain.imag
    for i in range(3):  # −j α (r + j i)
        r, m = sums[i], sums[4 + i]
        u[i], w[i] = c * r + b * m, c * m - b * r
    u[3], w[3] = sums[3], sums[7]
    u[4], w[4] = -sums[7], sums[3]
    m_uu, m_uw, m_ww = half, 0.0, half
    for i in range(5):
        a_u, a_w = 0.0, 0.0
        for k in range(5):
            a_u += covariance[i, k] * u[k]
            a_w += covariance[i, k] * w[k]
        p[i], q[i] = a_u, a_w
        m_uu += u[i] * a_u
        m_uw += u[i] * a_w
        m_ww += w[i] * a_w
    inverse = 1.0 / (m_uu * m_ww - m_uw * m_uw)
    value, x_p, x_q, y_p, y_q = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(5):
        x[i] = (p[i] * m_ww - q[i] * m_uw) * inverse
        y[i] = (q[i] * m_uu - p[i] * m_uw) * inverse
    for i in range(3):
        value += weight[i] * (covariance[i, i] - x[i] * p[i] - y[i] * q[i])
        u[i], w[i] = weight[i] * half * x[i], weight[i] * half * y[i]
        x_p += u[i] * p[i]
        x_q += u[i] * q[i]
        y_p += w[i] * p[i]
        y_q += w[i] * q[i]
    scale = -2.0 / half
    for i in range(5):
        a_u = covariance[i, 0] * u[0] + covariance[i, 1] * u[1] + covariance[i, 2] * u[2]
        a_w = covariance[i, 0] * w[0] + covariance[i, 1] * w[1] + covariance[i, 2] * w[2]
        p[i] = scale * (a_u - x[i] * x_p - y[i] * x_q)
        q[i] = scale * (a_w - x[i] * y_p - y[i] * y_q)
    for i in range(3):  # j α* (p + j q)
        factor[i], factor[4 + i] = c * p[i] - b * q[i], b * p[i] + c * q[i]
    factor[3], factor[7] = p[3] + q[4], q[3] - p[4]
    return value


_updated = compiled(_updated_plain)


def _copy_plain(beam: Any, out: Any) -> None:
    for part in range(2):
        for n in range(beam.shape[1]):
            out[part, n] = beam[part, n]


_copy = compiled(_copy_plain)


def _value_plain(
    users: Any, gain: Any, covariance: Any, weight: Any, half: float, beam: Any, work: Any, factor: Any
) -> float:
    """f of one trial, and each user's factor (L, 8) of the gradient; work (7, 8)."""
    value = 0.0
    for k in range(users.shape[0]):
        _sums(users[k], beam, work[6])
        value += _updated(work[6], gain[k], covariance[k], weight[k], half, work, factor[k])
    return value


_value = compiled(_value_plain)


def _gradient_plain(users: Any, beam: Any, factor: Any, turn: Any) -> tuple[float, float]:
    """The Riemannian gradient as turns (N,), its squared norm and largest part."""
    for n in range(turn.shape[0]):
        turn[n] = 0.0
    for k in range(users.shape[0]):
        _add_turn(users[k], beam, factor[k], turn)
    squared, largest = 0.0, 0.0
    for n in range(turn.shape[0]):
        squared += turn[n] * turn[n]
        largest = max(largest, abs(turn[n]))
    return squared, largest


_gradient = compiled(_gradient_plain)


def _search_plain(
    users: Any,
    gain: Any,
    covariance: Any,
    weight: Any,
    noise_variance: Any,
    rule: Any,
    beams: Any,
    values: Any,
    counts: Any,
) -> None:
    """Every trial's search: users (B, L, 5, N), gain (B, L), covariance (B, L, 5, 5), weight (B, L, 3).

    beams (B, 2, N) holds the starts and becomes the results; values (B, 2) becomes f at both, counts (B, 2) the
    iterations and evaluations. rule: the fields of `Armijo`.
    """
    sufficient, first_turn, shorten, lengthen, n_iterations, tolerance, n_failures = rule
    n_users, n_elements = users.shape[1], users.shape[3]
    candidate, turn = np.empty((2, n_elements)), np.empty(n_elements)
    factor, work = np.empty((n_users, 8)), np.empty((7, 8))
    for b in range(users.shape[0]):
        half = 0.5 * noise_variance[b]
        value = _value(users[b], gain[b], covariance[b], weight[b], half, beams[b], work, factor)
        values[b, 0] = value
        squared, largest = _gradient(users[b], beams[b], factor, turn)
        step = first_turn / largest
        iterations, evaluations, failures = 0, 1, 0
        while largest > 0.0 and iterations < n_iterations and failures < n_failures:
            _retract(beams[b], turn, step, candidate)
            tried = _value(users[b], gain[b], covariance[b], weight[b], half, candidate, work, factor)
            evaluations += 1
            if not tried <= value - sufficient * step * squared:
                step *= shorten
                failures += 1
                continue
            _copy(candidate, beams[b])
            ended = value - tried < tolerance * value
            value = tried
            iterations += 1
            if ended:
                break
            squared, largest = _gradient(users[b], beams[b], factor, turn)
            step *= lengthen
            failures = 0
        values[b, 1] = value
        counts[b, 0], counts[b, 1] = iterations, evaluations


_search = compiled(_search_plain)


def optimise_on_cpu(f: Objective, start: np.ndarray, rule: Armijo) -> Optimised:
    """As `engine.numerics.circle_manifold.optimise`, one trial after the other."""
    wave, slope, gain, _ = f.waves
    n_users, n_elements = wave.shape[-2:]
    leading = np.broadcast_shapes(
        start.shape[:-1], wave.shape[:-2], f.covariance.shape[:-3], f.weight.shape[:-2], np.shape(f.noise_variance)
    )
    size, padded = int(np.prod(leading)), -(-n_elements // _LANES) * _LANES

    def flat(part: np.ndarray, *shape: int) -> np.ndarray:
        return np.array(np.broadcast_to(part, (*leading, *shape))).reshape(size, *shape)  # writable: one compilation

    users = np.zeros((*leading, n_users, 5, padded))
    users[..., 0, :n_elements], users[..., 1, :n_elements] = wave.real, wave.imag
    users[..., 2:, :n_elements] = slope
    beams = np.ones((*leading, 2, padded))
    beams[..., 0, :n_elements], beams[..., 1, :n_elements] = start.real, start.imag
    beams = beams.reshape(size, 2, padded)
    values, counts = np.empty((size, 2)), np.empty((size, 2), dtype=np.int64)
    _search(
        users.reshape(size, n_users, 5, padded),
        flat(gain, n_users),
        flat(f.covariance, n_users, 5, 5),
        flat(f.weight, n_users, 3),
        flat(f.noise_variance),
        _as_numbers(rule),
        beams,
        values,
        counts,
    )
    beam = (beams[:, 0, :n_elements] + 1j * beams[:, 1, :n_elements]).reshape(*leading, n_elements)
    return Optimised(
        beam,
        np.broadcast_to(present_value(f), leading),
        *(values[:, i].reshape(leading) for i in range(2)),
        *(counts[:, i].reshape(leading) for i in range(2)),
    )


def _as_numbers(rule: Armijo) -> tuple[float, float, float, float, int, float, int]:
    return (
        rule.sufficient,
        rule.first_turn_rad,
        rule.shorten,
        rule.lengthen,
        rule.n_iterations,
        rule.tolerance,
        rule.n_failures,
    )
