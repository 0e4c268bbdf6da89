"""What the grid passes cost where sensors stand at their ranges, beside plane waves toward them, on one core.

K = 40 sensors at 100 to 150 m, a block of 50 realizations, −75 dBm; least squares on 100 × 180 candidates, the
likelihood on the candidates that resolve its peaks. Tables are prepared once and no part of the time.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators import Batch, Observations, Workbench
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_models.spherical import SPHERICAL
from engine.numerics.leakage_models.two_sided import TWO_SIDED
from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from scenarios.leakage.estimation import LeakageEstimation

_BLOCK, _REPETITIONS, _GOAL = 50, 9, 1.5
_PASSES: dict[str, Callable[[Batch, LeakageModel], object]] = {
    "least squares": lambda batch, model: batch.nearest(model),
    "likelihood": lambda batch, model: batch.resolving().likelihood(model),
}


def measurements() -> Iterator[Measurement]:
    """About ten seconds. Both models' passes take turns, and the best of several counts: others disturb little."""
    with threadpool_limits(1):
        rows = [_row(name, count) for name in _PASSES for count in (1, 50)]
    yield from rows


def _row(name: str, n_snapshots: int) -> Measurement:
    scenario = LeakageEstimation(leakage=TWO_SIDED, n_sensors=40, noise_dbm=(-75.0,), n_snapshots=(n_snapshots,))
    drawn = scenario.draw(Streams(0, 0), _BLOCK)
    seen = Observations(scenario.observe(np, drawn)[2], drawn.sensor_range_m, drawn.sensor_angle_rad)
    workbench = Workbench(scenario.problem(), np)
    best = dict.fromkeys((SPHERICAL, TWO_SIDED), np.inf)
    for _ in range(_REPETITIONS):
        for model in best:
            best[model] = min(best[model], _seconds(workbench, seen, name, model) / _BLOCK)
    plane, ranged = best.values()
    return Measurement(
        f"{name} with sensors at their ranges, L = {n_snapshots}", ranged / plane, "times",
        f"≤ {_GOAL:g} times plane waves", ranged <= _GOAL * plane,
        f"a realization: {plane * 1e3:.3g} ms against {ranged * 1e3:.3g} ms, one core",
    )  # fmt: skip


def _seconds(workbench: Workbench, seen: Observations, name: str, model: LeakageModel) -> float:
    batch = workbench.batch(seen)
    started = time.perf_counter()
    _PASSES[name](batch, model)
    return time.perf_counter() - started
