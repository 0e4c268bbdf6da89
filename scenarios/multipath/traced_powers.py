"""Expected powers at any place, traced when they are asked for, and kept for the next one who asks."""

from collections.abc import Callable

import numpy as np

from engine.channels.surroundings import indoors, within
from scenarios.multipath.scene import Traces, Users

_AT_ONCE = 2000
_KEPT = 60_000
"""Places; 48 MB at 200 sensors, in single precision. Searches for one user at several noise powers, and by several sets
of sensors, ask for many of the same."""


class TracedPowers:
    """Of one scene. A place's powers do not depend on what else was asked for, before or with it: kept or traced anew,
    they are the same bits."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._rows: dict[complex, int] = {}
        self._power = np.empty((0, 0, 0), dtype=np.float32)
        sensor_h = traces.sensor_h.T
        self._sensor_re, self._sensor_im = np.ascontiguousarray(sensor_h.real), np.ascontiguousarray(sensor_h.imag)
        self._near = within(traces.scene.surroundings, traces.scene.user_range_max_m)

    def of_set(self, number: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Ranges (m) and angles (rad), (n,) each → powers at the sensors of one set, (n, K)."""

        def powers(range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
            return self._at(range_m, angle_rad)[:, number]

        return powers

    def _at(self, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
        keys = (range_m + 1j * angle_rad).tolist()
        new = [i for i, key in enumerate(keys) if key not in self._rows]
        if len(self._rows) + len(new) > len(self._power):
            self._forget(len(keys))
            new = list(range(len(keys)))
        if new:
            row = np.arange(len(self._rows), len(self._rows) + len(new))
            self._power[row] = self._traced(np.stack([range_m[new], angle_rad[new]], axis=-1))
            self._rows |= zip((keys[i] for i in new), row.tolist(), strict=True)
        return self._power[[self._rows[key] for key in keys]].astype(float)

    def _forget(self, n: int) -> None:
        """All that is kept, and room for n places at least. What is not written takes no memory."""
        scene = self._traces.scene
        self._rows, self._power = {}, np.empty((max(_KEPT, n), scene.sensor_sets, scene.n_sensors), dtype=np.float32)

    def _traced(self, places: np.ndarray) -> np.ndarray:
        """(n, sets, K), single precision; NaN where nobody can be."""
        scene = self._traces.scene
        found = []
        for start in range(0, len(places), _AT_ONCE):
            at = scene.user_position_m(Users(*places[start : start + _AT_ONCE].T))
            h, paths = self._traces.channels(at)
            power = self._leaked(scene.beams(h))
            power[(paths == 0) | indoors(self._near, at)] = np.nan
            found.append(power.astype(np.float32))
        return np.concatenate(found)

    def _leaked(self, beams: np.ndarray) -> np.ndarray:
        """|h_kᴴ w|² of beams w (n, N), by sums of whose rounding their number is no part: (n, sets, K)."""
        from engine.channels.specular_cpu import leaked

        power = np.empty((len(beams), self._sensor_re.shape[1]))
        parts = (np.ascontiguousarray(part) for part in (beams.real, beams.imag))
        leaked(*parts, self._sensor_re, self._sensor_im, power)
        return power.reshape(len(beams), self._traces.scene.sensor_sets, -1)
