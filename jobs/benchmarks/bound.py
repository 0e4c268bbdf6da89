"""What Fig. 1's bounds cost: all of its blocks in one process on one core, and some realizations the direct way."""

import time
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from engine.backend import backend
from engine.execution.task import Evaluator
from engine.streams import Streams
from jobs.benchmarks.bound_literal import literal_bound
from jobs.benchmarks.measurement import Measurement
from scenarios.leakage import LeakageBound, fig1

_MIDDLE = (fig1.n_points // 2,)
_DIRECT_REALIZATIONS = 2


def measurements() -> Iterator[Measurement]:
    """A quarter of a minute."""
    evaluator = Evaluator(fig1, backend("cpu"))
    with threadpool_limits(1):
        whole = _whole_figure(evaluator)
        each, bound = _one_block(evaluator)
        direct_each, direct = _directly()
    yield Measurement("Fig. 1, compute", whole, "cpu-s", "≤ 2 cpu-s", whole <= 2, "10 × 1000 realizations, one core")
    agreement = float(np.max(np.abs(bound[: len(direct)] / direct - 1)))
    yield Measurement(
        "Fig. 1, one realization", direct_each / each, "times faster", "–", True,
        f"K = {fig1.values(_MIDDLE)['n_sensors']}; a loop over ranges and sensors, scipy's Fresnel integrals, one "
        f"quadrature per information: {direct_each:.3g} s; bounds agree to {agreement:.0e}",
    )  # fmt: skip


def _whole_figure(evaluator: Evaluator) -> float:
    """Processor seconds of all blocks of all points."""
    started = time.process_time()
    for i in range(fig1.n_points):
        for number in range(fig1.realizations // fig1.block):
            evaluator.block((i,), number)
    return time.process_time() - started


def _one_block(evaluator: Evaluator) -> tuple[float, np.ndarray]:
    """Processor seconds of a realization of the middle point, and its bounds (realization, noise, snapshots)."""
    started = time.process_time()
    variables = evaluator.block(_MIDDLE)
    return (time.process_time() - started) / fig1.block, variables["bcrlb_range_m2"][1]


def _directly() -> tuple[float, np.ndarray]:
    """The same for the first realizations, the direct way."""
    scenario = fig1.at(_MIDDLE)
    assert isinstance(scenario, LeakageBound)
    drawn = scenario.draw(Streams(fig1.seed, 0), fig1.block)
    started = time.process_time()
    bounds = [literal_bound(scenario, drawn, i) for i in range(_DIRECT_REALIZATIONS)]
    return (time.process_time() - started) / _DIRECT_REALIZATIONS, np.array(bounds)
