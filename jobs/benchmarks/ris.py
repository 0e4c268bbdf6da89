"""What a trial of localization through the surface costs, beside the algorithm as it reads, in one process on one core.

The laboratory's field of view, hybrid dictionary of 55 808 waves, 625 elements, 4 users, 2 scatterers, 20 cycles of
which 13 are random, 10 dB. The direct way: a product with the dictionary for every user in every cycle from all rows
so far, Algorithm 1 on it, Algorithm 2 with every user's information summed over all cycles at each evaluation; the
dictionary itself is built once and not part of its time, as ours is not. Ours is all that a scenario does: channels,
cycles and bounds as well.
"""

import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.candidates import field_grid
from engine.numerics.circle_manifold import Armijo
from engine.numerics.path_information import Paths, path_covariance
from engine.streams import Streams
from jobs.benchmarks.estimators import Row
from jobs.benchmarks.ris_literal import algorithm_1, waves
from jobs.benchmarks.ris_literal_bound import literal_optimise
from scenarios.ris import CLOSED_LOOP, Method, RisLocalization

_BLOCK = 32


def benchmarks() -> list[Row]:
    """Measure; about two minutes."""
    with threadpool_limits(1):
        direct, places = _direct()
        on_grid, found = _ours(Method(estimator=OnGrid(), name="on-grid"))
        loop, _ = _ours(CLOSED_LOOP)
    same = np.isclose(found[:, 0], places[0], atol=1e-9).mean(), np.isclose(found[:, 1], places[1], atol=1e-9).mean()
    ratio, cheaper = direct / on_grid, on_grid / loop
    return [
        Row(
            f"on-grid trial through a surface, hybrid ({100 * same[0]:.0f} % of users at the same candidate after the "
            f"random cycles, {100 * same[1]:.0f} % after all)",
            direct, on_grid, ratio, "≥ 50 times", ratio >= 50,
        ),
        Row("closed-loop trial against on-grid trial", on_grid, loop, cheaper, "≥ 4 times", cheaper >= 4),
        Row("closed-loop trial", 0.1, loop, 0.1 / loop, "≤ 0.1 cpu-s", loop <= 0.1),
    ]  # fmt: skip


def _ours(method: Method) -> tuple[float, np.ndarray]:
    """Seconds of a trial in blocks of 32, and the first trial's angles at the first estimate and the last, (L, 2)."""
    scene = RisLocalization(snr_db=10.0, methods=(method,), recorded_cycles=(13, 20))
    simulate = scene.prepare(np)
    drawn = scene.draw(Streams(0, 0), _BLOCK)
    seconds, variables = [], {}
    for _ in range(3):
        started = time.process_time()
        variables = simulate(drawn)
        seconds.append((time.process_time() - started) / _BLOCK)
    angles = variables["estimate_polar_rad"][1][0, 0, 0], variables["estimate_azimuth_rad"][1][0, 0, 0]
    return min(seconds), np.stack([part.T for part in angles], axis=-1)


def _direct() -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Seconds of one trial the direct way, and its angles at the first estimate and the last, (L, 2) each."""
    scene = RisLocalization(snr_db=10.0)
    drawn = scene.draw(Streams(0, 0), _BLOCK)
    surface, variance = scene.surface(), float(scene.noise_variance()[0])
    channels = scene.cascade().from_users(scene.paths(drawn, np))[0]
    candidates = field_grid(surface, scene.view(), "hybrid", angle_step_rad=0.02, range_step_m=0.25).candidates()
    atoms = waves(surface, candidates)
    random = np.exp(1j * drawn.surface_phase_rad[0]) * scene.cascade().to_base_station(np)
    angles = []
    started = time.process_time()
    beams = random[:13]
    for cycle in range(13, scene.n_cycles + 1):
        samples = beams @ channels.T + np.sqrt(variance) * drawn.noise[0, :cycle]
        found = algorithm_1([beams @ atoms for _ in range(scene.n_users)], samples, scene.n_scatterers)
        kappa, polar, azimuth = (part[found.users] for part in candidates)
        angles.append(np.stack([polar, azimuth], axis=-1))
        if cycle < scene.n_cycles:
            beams = np.concatenate(
                [beams, _next(surface, kappa, polar, azimuth, found.gains, beams, variance, random[cycle])]
            )
    return time.process_time() - started, (angles[0], angles[-1])


def _next(
    surface: Any, kappa: Any, polar: Any, azimuth: Any, gains: Any, beams: Any, variance: float, start: Any
) -> np.ndarray:
    """The next beam, (1, N), with the weights that ours has: one over the present bounds."""
    none = np.zeros(0)
    paths = Paths(kappa, polar, azimuth, gains, none, none, none, np.zeros((len(gains), 0), dtype=complex))
    far = kappa == 0
    covariance = path_covariance(surface, paths, beams, np.asarray(variance), variant="gain", far=far)
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    weight = np.where(variances > 0, 1 / np.where(variances > 0, variances, 1), 0)
    return literal_optimise(surface, paths, beams, variance, start, weight, far, Armijo())[0][None]
