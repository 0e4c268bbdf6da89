"""What beams receive from places, on a CPU: a compiled loop. Imports numba.

Waves are made and multiplied with the beams without arrays in between: 6 µs a place with 625 elements and 17 beams on
one core, where arrays take 27. `engine.numerics.wavefront.wave` is its oracle.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.turns_cpu import quarters


def _received_plain(places: Any, elements: Any, wavenumber: float, beams: Any, out: Any) -> None:
    """What C beams of each of T trials receive from P places: places (T, P, 3), beams (T, C, N), out (T, P, C)."""
    n_trials, n_cycles, n_elements = beams.shape
    split = np.empty((2, n_cycles, n_elements))
    waves = np.empty((2, n_elements))
    to_quarters = wavenumber * (2.0 / np.pi)
    for t in range(n_trials):
        for c in range(n_cycles):
            for n in range(n_elements):
                split[0, c, n], split[1, c, n] = beams[t, c, n].real, beams[t, c, n].imag
        for p in range(places.shape[1]):
            kappa, sine = places[t, p, 0], np.sin(places[t, p, 1])
            along_y, along_z = sine * np.sin(places[t, p, 2]), np.cos(places[t, p, 1])
            for n in range(n_elements):
                along = elements[0, n] * along_y + elements[1, n] * along_z
                curved = kappa * elements[2, n]
                delta = (curved - 2.0 * along) / (1.0 + np.sqrt(1.0 - kappa * (2.0 * along - curved)))
                waves[0, n], waves[1, n] = quarters(delta * to_quarters)
            for c in range(n_cycles):
                real, imag = 0.0, 0.0
                for n in range(n_elements):
                    real += split[0, c, n] * waves[0, n] + split[1, c, n] * waves[1, n]
                    imag += split[1, c, n] * waves[0, n] - split[0, c, n] * waves[1, n]
                out[t, p, c] = real + 1j * imag


_received = compiled(_received_plain)


def received_on_cpu(array: UniformPlanarArray, beams: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What C beams receive from P places, (T, P, C); see `engine.numerics.path_projection.responses`."""
    y, z = array.positions_m(np)
    elements = np.stack([y, z, y * y + z * z])
    out = np.empty((*places.shape[:2], beams.shape[1]), dtype=complex)
    _received(*(read_only(part) for part in (places, elements)), array.wavenumber_rad_per_m, read_only(beams), out)
    return out


def read_only(array: np.ndarray) -> np.ndarray:
    """Contiguous, and read-only whether it came so or not: one type to compile for."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
