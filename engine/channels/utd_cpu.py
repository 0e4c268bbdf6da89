"""What an edge makes of one wave, in compiled loops: `engine.channels.utd`, one direction at a time. Imports numba.

With F and its pole written as there, the constants of a term are −1/(2√2 n sin β), and what is left of the transition
function is w(x e^{j3π/4}), x = ±√(2kL) sin(δ/2): the conjugate of w(x e^{jπ/4}), which `engine.numerics.fresnel`
tabulates; beyond the boundary, w(−z) = 2e^{−z²} − w(z) (Abramowitz and Stegun, Handbook of Mathematical Functions,
7.1.11).
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.fresnel import auxiliary_tables
from engine.numerics.turns_cpu import quarters

_PER_QUARTER = 2 / np.pi
_TO_FRESNEL = np.sqrt(2 / np.pi)
_GRAZING = 1e-12
_NEAR_RAD = np.pi / 2  # as in `engine.channels.diffraction`


def transition_table() -> np.ndarray:
    """Of w(x e^{jπ/4}) over 1/(1 + x √(2/π)): (pieces, 12), of each piece both parts, by powers."""
    return np.ascontiguousarray(np.concatenate(auxiliary_tables(np)).T)


def _transition_plain(x: float, table: Any) -> tuple[float, float]:
    """Real and imaginary part of w(x e^{j3π/4}), x of either sign."""
    size = abs(x)
    at = len(table) / (1 + size * _TO_FRESNEL)
    piece = min(int(at), len(table) - 1)
    v = at - piece - 0.5
    row = table[piece]
    real = ((((row[0] * v + row[1]) * v + row[2]) * v + row[3]) * v + row[4]) * v + row[5]
    imag = ((((row[6] * v + row[7]) * v + row[8]) * v + row[9]) * v + row[10]) * v + row[11]
    real, imag = real + imag, real - imag  # conj(G (1 − j)), G as tabulated
    if x < 0:
        cosine, sine = quarters(size * size * _PER_QUARTER)
        real, imag = 2 * cosine - real, 2 * sine - imag
    return real, imag


transition = compiled(_transition_plain)


def _fresnel_coefficients_plain(cosine: float, eta: complex) -> tuple[complex, complex]:
    """Reflection perpendicular (TE) and parallel (TM), ITU-R P.2040, Eq. (37), without complex divisions:
    (p − q)/(p + q) = (|p|² − |q|² + 2j Im(p q*))/|p + q|²."""
    real, imag = eta.real - (1 - cosine * cosine), eta.imag
    a = np.sqrt((np.sqrt(real * real + imag * imag) + real) / 2)
    b = imag / (2 * a) if a > 0 else 0.0
    size = a * a + b * b
    te = complex(cosine * cosine - size, -2 * cosine * b) * (1 / ((cosine + a) ** 2 + b * b))
    x, y = eta.real * cosine, eta.imag * cosine
    tm = complex(x * x + y * y - size, 2 * (y * a - x * b)) * (1 / ((x + a) ** 2 + (y + b) ** 2))
    return te, tm


fresnel_coefficients = compiled(_fresnel_coefficients_plain)


def _offset_plain(term: int, exterior: float, incident: float, diffracted: float) -> tuple[float, float]:
    """How far a direction lies on the lit side of the boundary that one of the four terms mends, and the integer N."""
    turned = diffracted - incident if term < 2 else diffracted + incident
    angle = np.pi + turned if term % 2 == 0 else np.pi - turned
    whole = np.rint(angle / (2 * exterior))
    return angle - 2 * exterior * whole, whole


offset_rad = compiled(_offset_plain)


def _side_plain(offset: float, given: float) -> float:
    """Of a boundary, ±1: as given where that is not 0 and the boundary near, else the offset's own."""
    own = -1.0 if offset < 0 else 1.0
    return given if given != 0 and abs(offset) < _NEAR_RAD else own


side_of = compiled(_side_plain)


def _term_plain(offset: float, n: float, scale: float, given: float, table: Any) -> complex:
    """√k D₁ … D₄ but for −1/(2√2 n sin β), by the offset δ; given: the side of the boundary, 0 for δ's own."""
    side = side_of(offset, given)
    _, sine = quarters(offset / 2 * _PER_QUARTER)
    cosine_n, sine_n = quarters(offset / (2 * n) * _PER_QUARTER)
    ratio = sine / sine_n if abs(sine_n) > _GRAZING else n
    real, imag = transition(side * scale * sine, table)
    size = cosine_n * ratio * scale * side
    return complex(size * real, size * imag)


_term = compiled(_term_plain)


def _at_face_plain(azimuth: float, cosine: float, eta: complex) -> tuple[complex, complex, complex]:
    """Reflection at a face: of φ̂ to φ̂, of β̂ to φ̂ (the other way it is minus that), and of β̂ to β̂."""
    cos_az, sin_az = quarters(azimuth * _PER_QUARTER)
    normal = abs(np.sqrt(1 - cosine * cosine) * sin_az)
    r_te, r_tm = fresnel_coefficients(normal, eta)
    size = np.sqrt(max(1 - normal * normal, 0.0))
    c, s = (cosine * sin_az / size, cos_az / size) if size >= _GRAZING else (1.0, 0.0)
    return r_te * c * c - r_tm * s * s, (r_te + r_tm) * c * s, r_tm * c * c - r_te * s * s


_at_face = compiled(_at_face_plain)


def _face_azimuth_plain(term: int, exterior: float, incident: float, diffracted: float) -> float:
    """At which a term of reflection has its coefficient: of a wave at face n (term 2) or face 0 (3)."""
    if incident <= diffracted:
        return np.pi - (exterior - diffracted) if term == 2 else incident
    return exterior - incident if term == 2 else np.pi - diffracted


face_azimuth_rad = compiled(_face_azimuth_plain)


def _diffracted_plain(
    across: complex, along: complex, exterior: float, incident: float, diffracted: float, cosine: float, reach: float,
    eta: complex, given: Any, table: Any,
) -> tuple[complex, complex]:  # fmt: skip
    """√k D times the parts φ̂′ and β̂′ of a wave: those of what is thrown.

    given (4,): the side of the boundary that each term belongs to, 0 for its own, as in `DiffractedPaths.side`.
    """
    n, scale = exterior / np.pi, np.sqrt(2 * reach)
    out_across, out_along = 0j, 0j
    for term in range(4):
        offset, _ = offset_rad(term, exterior, incident, diffracted)
        d = _term(offset, n, scale, given[term], table)
        if term < 2:
            out_across, out_along = out_across - d * across, out_along - d * along
        else:
            azimuth = face_azimuth_rad(term, exterior, incident, diffracted)
            first, mixed, last = _at_face(azimuth, -cosine if term == 2 else cosine, eta)
            out_across += d * (first * across + mixed * along)
            out_along += d * (last * along - mixed * across)
    size = -1 / (2 * np.sqrt(2.0) * n * np.sqrt(1 - cosine * cosine))
    return size * out_across, size * out_along


diffracted_parts = compiled(_diffracted_plain)
