"""Expected powers at any place, traced when they are asked for, and kept for the next one who asks."""

from collections.abc import Callable

import numpy as np

from engine.channels.surroundings import indoors
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
        self._rows: dict[tuple[float, float], int] = {}
        self._power = np.empty((0, 0))

    def of_set(self, number: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Ranges (m) and angles (rad), (n,) each → powers at the sensors of one set, (n, K)."""

        def powers(range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
            return self._at(range_m, angle_rad)[:, number]

        return powers

    def _at(self, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
        keys = list(zip(range_m.tolist(), angle_rad.tolist(), strict=True))
        if len(self._rows) + len(keys) > _KEPT:
            self._rows, self._power = {}, self._power[:0]
        new = list(dict.fromkeys(key for key in keys if key not in self._rows))
        if new:
            traced = self._traced(np.array(new))
            first = len(self._rows)
            self._rows |= {key: first + i for i, key in enumerate(new)}
            self._power = traced if not first else np.concatenate([self._power, traced])
        return self._power[[self._rows[key] for key in keys]].astype(float)

    def _traced(self, places: np.ndarray) -> np.ndarray:
        """(n, sets, K), single precision; NaN where nobody can be."""
        scene = self._traces.scene
        found = []
        for start in range(0, len(places), _AT_ONCE):
            at = scene.user_position_m(Users(*places[start : start + _AT_ONCE].T))
            h, paths = self._traces.tracer.channels(at)
            power = self._traces.expected_power_one_by_one(h)
            power[(paths == 0) | indoors(scene.surroundings, at)] = np.nan
            found.append(power.astype(np.float32))
        return np.concatenate(found)
