"""What a trial of localization through the surface costs, beside the algorithm as it reads, in one process on one core.

The laboratory's field of view, hybrid dictionary of 55 808 waves, 625 elements, 4 users, 2 scatterers, 20 cycles of
which 13 are random, 10 dB. The direct way: a product with the dictionary for every user in every cycle from all rows
so far, Algorithm 1 on it, Algorithm 2 with every user's information summed over all cycles at each evaluation; the
dictionary itself is built once and not part of its time, as ours is not. Ours is all that a scenario does: channels,
cycles and bounds as well.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.armijo import Armijo
from engine.numerics.candidates import field_grid
from engine.numerics.path_information import Paths, path_covariance
from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from jobs.benchmarks.ris_literal import algorithm_1, waves
from jobs.benchmarks.ris_literal_bound import literal_optimise
from scenarios.ris import CLOSED_LOOP, Method, RisLocalization

_BLOCK = 32


def measurements() -> Iterator[Measurement]:
    """About a minute."""
    with threadpool_limits(1):
        direct, places = _direct()
        on_grid, found = _ours(Method(estimator=OnGrid(), name="on-grid"), (13, 20))
        loop, _ = _ours(CLOSED_LOOP, (20,))
    first, last = (100 * np.isclose(ours, theirs, atol=1e-9).mean() for ours, theirs in zip(found, places, strict=True))
    ratio = direct / on_grid
    same = f"{first:.0f} % of users at the same candidate after the random cycles, {last:.0f} % after all"
    against = f"{loop * 1e3:.3g} ms; {on_grid / loop:.2g} times cheaper than our own on-grid trial"
    yield Measurement(
        "on-grid trial through a surface", ratio, "times", "≥ 50 times", ratio >= 50,
        f"{direct:.3g} s against {on_grid * 1e3:.3g} ms, one core; {same}",
    )  # fmt: skip
    how = "20 cycles, blocks of 32 trials"
    yield Measurement("closed-loop trial", loop, "cpu-s", "≤ 0.1 cpu-s", loop <= 0.1, how)
    yield Measurement(
        "closed-loop trial against the direct on-grid one", direct / loop, "times", "≥ 4 times", direct >= 4 * loop,
        f"{direct:.3g} s against {against}",
    )  # fmt: skip


def _ours(method: Method, recorded: tuple[int, ...]) -> tuple[float, list[np.ndarray]]:
    """Seconds of a trial in blocks of 32, best of three, and the first trial's angles when recorded, (L, 2) each."""
    scene = RisLocalization(snr_db=10.0, methods=(method,), recorded_cycles=recorded)
    simulate = scene.prepare(np)
    drawn = scene.draw(Streams(0, 0), _BLOCK)
    variables = simulate(drawn)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        simulate(drawn)
        seconds.append((time.process_time() - started) / _BLOCK)
    polar, azimuth = (variables[f"estimate_{angle}_rad"][1][0, 0, 0] for angle in ("polar", "azimuth"))
    return min(seconds), [np.stack([polar[i], azimuth[i]], axis=-1) for i in range(len(recorded))]


def _direct() -> tuple[float, list[np.ndarray]]:
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
    return time.process_time() - started, [angles[0], angles[-1]]


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
