"""The field that an edge between two faces throws into all directions: the uniform theory of diffraction.

Kouyoumjian and Pathak, "A uniform geometrical theory of diffraction for an edge in a perfectly conducting surface",
Proc. IEEE 62 (1974); faces of finite conductivity as by Luebbers, "Finite conductivity uniform GTD versus knife edge
diffraction in prediction of propagation path loss", IEEE Trans. AP 32 (1984): the two terms of reflection carry the
faces' Fresnel coefficients, here as matrices, since edge and faces have planes of incidence of their own.

Angles φ′ (towards the source) and φ (towards the place) turn about the edge from face 0 to face n, at nπ. β is the
angle between ray and edge. Fields have the components (φ̂, β̂): φ̂′ = ŝ′ × ê / sin β and φ̂ = −ŝ × ê / sin β, β̂ = ŝ × φ̂.
"""

import numpy as np

from engine.channels.specular import fresnel_coefficients

_GRAZING = 1e-12


def boundary_offsets_rad(exterior_rad: np.ndarray, incident_rad: np.ndarray, diffracted_rad: np.ndarray) -> np.ndarray:
    """How far a direction lies on the lit side of the boundary that each term mends: (4, ...).

    Terms: the shadows of the wave from over face n and from over face 0, and the reflections' at face n and at face 0.
    """
    apart, together = diffracted_rad - incident_rad, diffracted_rad + incident_rad
    angle = np.stack([np.pi + apart, np.pi - apart, np.pi + together, np.pi - together])
    period = 2 * exterior_rad
    return angle - period * np.round(angle / period)  # the integers N± nearest to the pole


def boundary_terms(
    offset_rad: np.ndarray,
    exterior_rad: np.ndarray,
    sine: np.ndarray,
    reach: np.ndarray,
    side: np.ndarray | None = None,
) -> np.ndarray:
    """√k times D₁ … D₄ of Kouyoumjian and Pathak, Eq. (25), by their offsets δ from the boundary.

    With ψ = δ/2n the product cot ψ F(2kL sin² δ/2) is written without its pole: (cos ψ sin(δ/2) / sin ψ) √(2kL) G(u),
    u = √(2kL) sin(δ/2), G(u) = F(u²)/u = √π e^{jπ/4} w(u e^{j3π/4}), w Faddeeva's function. sine: sin β; reach: kL.
    side: ±1 for the side of the boundary that the term belongs to, δ's own by default; the other one continues it
    analytically, which is the term plus the whole wave that ends there.
    """
    from scipy.special import wofz

    n = exterior_rad / np.pi
    half = offset_rad / 2
    side = np.where(half < 0, -1.0, 1.0) if side is None else side
    below = np.sin(half / n)
    ratio = np.where(np.abs(below) > _GRAZING, np.sin(half) / np.where(np.abs(below) > _GRAZING, below, 1.0), n)
    scale = np.sqrt(2 * reach)
    transition = np.sqrt(np.pi) * np.exp(0.25j * np.pi) * wofz(np.exp(0.75j * np.pi) * side * scale * np.sin(half))
    factor = -np.exp(-0.25j * np.pi) / (2 * n * np.sqrt(2 * np.pi) * sine)
    return factor * np.cos(half / n) * ratio * scale * side * transition


def face_reflection(azimuth_rad: np.ndarray, cosine: np.ndarray, permittivity: np.ndarray) -> np.ndarray:
    """Reflection at a face, incident (φ̂′, β̂′) → reflected (φ̂, β̂): (..., 2, 2).

    azimuth_rad: of the source about the edge, from the face on; cosine: cos β = ŝ′·ê, ê being the face's tangent × its
    normal. A perfect conductor gives diag(−1, 1).
    """
    sine = np.sqrt(1 - cosine * cosine)
    normal = np.abs(sine * np.sin(azimuth_rad))  # cosine of the angle of incidence
    r_te, r_tm = fresnel_coefficients(normal, permittivity)
    size = np.sqrt(np.maximum(1 - normal * normal, 0.0))
    head_on = size < _GRAZING  # there R_TE = −R_TM, and any plane of incidence will do
    divisor = np.where(head_on, 1.0, size)
    c = np.where(head_on, 1.0, cosine * np.sin(azimuth_rad) / divisor)
    s = np.where(head_on, 0.0, np.cos(azimuth_rad) / divisor)
    mixed = (r_te + r_tm) * c * s
    rows = [[r_te * c * c - r_tm * s * s, mixed], [-mixed, r_tm * c * c - r_te * s * s]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def diffraction_matrix(
    exterior_rad: np.ndarray,
    incident_rad: np.ndarray,
    diffracted_rad: np.ndarray,
    *,
    cosine: np.ndarray,
    reach: np.ndarray,
    permittivity: np.ndarray,
    side: np.ndarray | None = None,
) -> np.ndarray:
    """√k D, incident (φ̂′, β̂′) → diffracted (φ̂, β̂): (..., 2, 2).

    cosine: cos β; reach: kL, L = ss′/(s + s′) sin² β for a spherical wave; permittivity: η of both faces; side: of the
    four terms, (4, ...), see `boundary_terms`. Luebbers takes a face's coefficient at the source's angle for the face
    on its side, and at the place's for the other one; which is which is here said by φ′ < φ: reciprocal, and
    continuous.
    """
    offset = boundary_offsets_rad(exterior_rad, incident_rad, diffracted_rad)
    d = boundary_terms(offset, exterior_rad, np.sqrt(1 - cosine * cosine), reach, side)
    nearer = incident_rad <= diffracted_rad
    # A place at φ is where a wave from π − φ would be reflected to.
    at_0 = np.where(nearer, incident_rad, np.pi - diffracted_rad)
    at_n = np.where(nearer, np.pi - (exterior_rad - diffracted_rad), exterior_rad - incident_rad)
    reflected_0 = face_reflection(at_0, cosine, permittivity)
    reflected_n = face_reflection(at_n, -cosine, permittivity)
    through = -(d[0] + d[1])[..., None, None] * np.eye(2)
    return through + d[2][..., None, None] * reflected_n + d[3][..., None, None] * reflected_0
