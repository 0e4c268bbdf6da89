"""What an estimate costs, beside the direct way, in one process on one core.

K = 40 sensors, 100 × 180 candidates, new sensors in every realization, −75 dBm, one snapshot count: a search is one
realization. The direct way is the script that a researcher would write: Fresnel integrals of SciPy over the whole
table, then a sum; what `engine` prepares once (a table over cos θ, compiled loops) is not part of its time, as
workers keep it.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import fresnel
from threadpoolctl import threadpool_limits

from engine.estimators import (
    Batch,
    Estimates,
    Estimator,
    LeastSquares,
    MaximumLikelihood,
    Observations,
    PosteriorMean,
    Workbench,
)
from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from scenarios.leakage.estimation import LeakageEstimation

_BLOCK = 50


def direct_least_squares(scenario: LeakageEstimation, observations: Observations, realization: int) -> int:
    """Eq. (28) with the closed form, written plainly: the index of the nearest candidate."""
    array, problem = scenario.array(), scenario.problem()
    ranges_m, angles_rad = problem.grid.candidates()
    d, phi = ranges_m[:, None], angles_rad[:, None]
    theta = observations.sensor_angle_rad[realization]
    s, u = np.sin(phi), np.cos(theta) - np.cos(phi)
    half_width = array.n_elements * array.spacing_m / 2 * s * np.sqrt(2 / (array.wavelength_m * d))
    centre = u / s * np.sqrt(2 * d / array.wavelength_m)
    s_low, c_low = fresnel(half_width - centre)
    s_high, c_high = fresnel(half_width + centre)
    g = array.n_elements / (4 * half_width**2) * ((c_low + c_high) ** 2 + (s_low + s_high) ** 2)
    gain = (array.wavelength_m / (4 * np.pi * observations.sensor_range_m[realization])) ** 2
    z = observations.statistic[realization, 0, 0] / (2 * problem.n_snapshots[0]) - 1
    return int(np.argmin(np.sum((z - problem.snr[0] * gain * g) ** 2, axis=-1)))


def measurements() -> Iterator[Measurement]:
    """About ten seconds. Best of several repetitions, which other processes disturb least."""
    with threadpool_limits(1):
        rows = [*_one_observation(50), *_one_observation(1), _ten_observations()]
    yield from rows


def _prepared(
    noise_dbm: tuple[float, ...], snapshots: tuple[int, ...]
) -> tuple[LeakageEstimation, Workbench, Observations]:
    scenario = LeakageEstimation(n_sensors=40, noise_dbm=noise_dbm, n_snapshots=snapshots)
    draws = scenario.draw(Streams(0, 0), _BLOCK)
    seen = scenario.prepare(np)(draws, intermediates=True)
    observations = Observations(seen["statistic"][1], draws.sensor_range_m, draws.sensor_angle_rad)
    return scenario, Workbench(scenario.problem(), np), observations


def _one_observation(snapshots: int) -> list[Measurement]:
    scenario, workbench, observations = _prepared((-75.0,), (snapshots,))
    nearest = LeastSquares(leakage="fresnel_closed")
    likelihood = (MaximumLikelihood(leakage="fresnel_closed"), PosteriorMean(leakage="fresnel_closed"))
    direct = _fastest(lambda: direct_least_squares(scenario, observations, 0), 3)
    squares = _per_search(workbench, observations, (nearest,))
    both = _per_search(workbench, observations, likelihood)
    return [
        Measurement(
            f"least squares, L = {snapshots}", direct / squares, "times", "≥ 300 times", direct >= 300 * squares,
            _how(direct, squares),
        ),
        Measurement(
            f"maximum likelihood + posterior mean, L = {snapshots}", both / squares, "times", "≤ 5 times least squares",
            both <= 5 * squares, _how(squares, both),
        ),
    ]  # fmt: skip


def _how(reference: float, ours: float) -> str:
    """What was compared, in seconds of a search."""
    return f"a realization: {reference * 1e3:.3g} ms against {ours * 1e3:.3g} ms, one core"


def _ten_observations() -> Measurement:
    """Five noise powers and two snapshot counts of one realization share its leakages."""
    scenario, workbench, observations = _prepared((-65.0, -70.0, -75.0, -80.0, -85.0), (1, 50))
    direct = _fastest(lambda: direct_least_squares(scenario, observations, 0), 3)
    squares = _per_search(workbench, observations, (LeastSquares(leakage="fresnel_closed"),)) / 10
    ratio = direct / squares
    return Measurement(
        "least squares, ten observations a realization", ratio, "times", "≥ 1000 times", ratio >= 1000,
        _how(direct, squares),
    )  # fmt: skip


def _per_search(workbench: Workbench, observations: Observations, estimators: tuple[Estimator, ...]) -> float:
    """Seconds for a realization, everything from observations to estimates."""
    functions: list[Callable[[Batch], Estimates]] = [estimator.prepare(workbench) for estimator in estimators]

    def once() -> None:
        batch = workbench.batch(observations)
        for function in functions:
            function(batch)

    once()
    return _fastest(once, 5) / _BLOCK


def _fastest(function: Callable[[], object], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
