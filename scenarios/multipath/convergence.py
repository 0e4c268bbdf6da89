"""How many rays, reflections and paths the scene needs: the study that its defaults come from.

The rule: of each setting the smallest value at which, as at all larger ones, the expected powers of 95 % of users are
within 5 % of those at the finest value; walls and ground themselves are known no better.
"""

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from engine import Streams
from scenarios.multipath.scene import INCLUDED, MultipathScene, Traces, Users, tracer_of

SETTINGS: dict[str, tuple[int, ...]] = {
    "samples": (1000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000),
    "max_depth": (0, 1, 2, 3, 4, 6),
    "max_paths": (1, 2, 3, 5, 7, 10, 20, 1000),
    "sensor_subarrays": (1, 5, 10, 20, 50, 100),
    "diffraction": (0, 1),
}
"""The last value of each is what the others are held to."""
TOLERANCE = 0.05


class Row(NamedTuple):
    """One setting: error of a user's expected powers against the finest, median and 95th percentile; time."""

    setting: str
    value: int
    median: float
    worst: float
    milliseconds: float
    """cpu-time of a user"""
    seconds: float
    """cpu-time of scene and sensors, once a worker"""


class _Traced(NamedTuple):
    """Expected powers of users under one setting, and what they took."""

    power: np.ndarray
    """at all sensors of all sets, (n, A · K)"""
    included: np.ndarray
    """whether a user counts, (n,)"""
    seconds: float
    """cpu-time of all users"""
    once: float
    """cpu-time of scene and sensors"""


def study(scenario: MultipathScene, users: int, settings: Mapping[str, tuple[int, ...]] | None = None) -> list[Row]:
    """One setting at a time, the others as they are; the scenario's own values are among those that are tried.

    settings: `SETTINGS`, or others of them.

    Errors are ‖p − p_ref‖/‖p_ref‖ over all sensors, of users that count.
    """
    drawn = scenario.draw_users(Streams(0, 0), users)
    _traced(scenario, drawn)  # compiles the kernels
    rows = []
    for setting, values in (settings or SETTINGS).items():
        tried = sorted({*values, getattr(scenario, setting)})
        found = [_traced(scenario.replace(**{setting: value}), drawn) for value in tried]
        rows += [_row(setting, value, one, found[-1]) for value, one in zip(tried, found, strict=True)]
    return rows


def recommended(rows: Iterable[Row]) -> dict[str, int]:
    """By the rule: setting → value."""
    advised: dict[str, int] = {}
    settled: set[str] = set()
    for row in sorted(rows, key=lambda row: -row.value):
        if row.worst >= TOLERANCE:
            settled.add(row.setting)
        elif row.setting not in settled:
            advised[row.setting] = row.value
    return advised


def _traced(scenario: MultipathScene, drawn: Users) -> _Traced:
    tracer_of.cache_clear()
    started = time.process_time()
    traces = Traces(scenario)
    built = time.process_time()
    h, _, status = traces.user_channels(drawn)
    traced = time.process_time()
    power = traces.expected_power(h).reshape(len(drawn.user_range_m), -1)
    return _Traced(power, status == INCLUDED, traced - built, built - started)


def _row(setting: str, value: int, found: _Traced, reference: _Traced) -> Row:
    included = reference.included
    scale = np.linalg.norm(reference.power, axis=1)[included]
    error = np.linalg.norm(found.power - reference.power, axis=1)[included] / scale
    median, worst = np.quantile(error, (0.5, 0.95))
    milliseconds = found.seconds / len(found.power) * 1e3
    return Row(setting, value, float(median), float(worst), milliseconds, found.once)
