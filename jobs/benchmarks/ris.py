"""What a trial of localization through the surface costs, beside what a competent researcher writes, on one core.

The laboratory's field of view, hybrid dictionary of 55 808 waves, 625 elements, 4 users, 2 scatterers, 20 cycles of
which 13 are random, 10 dB. The direct way, `ris_shared_literal`: one dictionary for all users, single precision, BLAS,
and of every cycle its own row only; one trial at a time, and with the rows of 32 trials from one product. Its channels
and bounds are not part of its time, nor is building the dictionary. Ours is all that a scenario does: channels, bounds
and stated covariances as well.
"""

import time
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators.paths.on_grid import OnGrid
from engine.numerics.candidates import field_grid
from engine.streams import Streams
from jobs.benchmarks.measurement import Measurement
from jobs.benchmarks.ris_literal import waves
from jobs.benchmarks.ris_shared_literal import Trial, next_beam
from scenarios.ris import CLOSED_LOOP, Method, RisLocalization

_BLOCK, _ALONE, _RANDOM = 32, 8, 13
_GOAL = 20


def measurements() -> Iterator[Measurement]:
    """About a minute."""
    with threadpool_limits(1):
        direct, places = _direct()
        on_grid, found = _ours(Method(estimator=OnGrid(), name="on-grid"), (_RANDOM, 20))
        loop, _ = _ours(CLOSED_LOOP, (20,))
    first, last = (100 * np.isclose(ours, theirs, atol=1e-6).mean() for ours, theirs in zip(found, places, strict=True))
    same = f"{first:.0f} % of angles at the same candidate after the random cycles, {last:.0f} % after all"
    alone, together = direct
    for what, seconds, how in (
        ("on-grid trial", on_grid, f"; {same}"),
        ("closed-loop trial", loop, f"; {on_grid / loop:.2g} times cheaper than our own on-grid trial"),
    ):
        ratio = alone / seconds
        yield Measurement(
            f"{what} against a direct on-grid one", ratio, "times", f"≥ {_GOAL} times", ratio >= _GOAL,
            f"{alone:.3g} s one by one (rows of {_BLOCK} trials at once {together:.3g} s, {together / seconds:.2g} "
            f"times) against {seconds * 1e3:.3g} ms, one core{how}",
        )  # fmt: skip
    yield Measurement("closed-loop trial", loop, "cpu-s", "≤ 0.1 cpu-s", loop <= 0.1, "20 cycles, blocks of 32 trials")


def _ours(method: Method, recorded: tuple[int, ...]) -> tuple[float, list[np.ndarray]]:
    """Seconds of a trial in blocks of 32, best of three, and the angles when recorded, (32, L, 2) each."""
    scene = RisLocalization(snr_db=10.0, methods=(method,), recorded_cycles=recorded)
    simulate = scene.prepare(np)
    drawn = scene.draw(Streams(0, 0), _BLOCK)
    variables = simulate(drawn)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        simulate(drawn)
        seconds.append((time.process_time() - started) / _BLOCK)
    polar, azimuth = (variables[f"estimate_{angle}_rad"][1][:, 0, 0] for angle in ("polar", "azimuth"))
    return min(seconds), [np.stack([polar[:, i], azimuth[:, i]], axis=-1) for i in range(len(recorded))]


def _direct() -> tuple[tuple[float, float], list[np.ndarray]]:
    """Seconds of a trial the direct way, alone (best of eight) and in blocks of 32; angles as `_ours`."""
    scene = RisLocalization(snr_db=10.0)
    candidates = field_grid(scene.surface(), scene.view(), "hybrid", angle_step_rad=0.02, range_step_m=0.25)
    places = candidates.candidates()
    atoms = waves(scene.surface(), places).astype(np.complex64)
    alone = min(_followed(scene, atoms, places, slice(i, i + 1))[0] for i in range(_ALONE))
    seconds, angles = _followed(scene, atoms, places, slice(_BLOCK))
    return (alone, seconds / _BLOCK), angles


def _followed(
    scene: RisLocalization, atoms: np.ndarray, places: tuple[np.ndarray, ...], which: slice
) -> tuple[float, list[np.ndarray]]:
    """Seconds that some of the 32 trials take together, and their angles at the first estimate and the last."""
    drawn = scene.draw(Streams(0, 0), _BLOCK)
    channels = scene.cascade().from_users(scene.paths(drawn, np))[which]
    random = (np.exp(1j * drawn.surface_phase_rad) * scene.cascade().to_base_station(np))[which]
    noise = np.sqrt(scene.noise_variance()[0]) * drawn.noise[which]
    trials = [Trial(scene.n_cycles, len(places[0]), scene.n_users, scene.n_scatterers) for _ in channels]
    angles = []
    started = time.process_time()
    beams, new = random[:, :0], random[:, :_RANDOM]
    for count in range(_RANDOM, scene.n_cycles + 1):
        samples = new @ channels.swapaxes(1, 2) + noise[:, beams.shape[1] : count]
        beams = np.concatenate([beams, new], axis=1)
        rows = (new.astype(np.complex64).reshape(-1, len(atoms)) @ atoms).reshape(*new.shape[:2], -1)
        estimates = []
        for trial, its_rows, its_samples in zip(trials, rows, samples, strict=True):
            trial.add(its_rows, its_samples)
            estimates.append(trial.estimate())
        angles.append(np.stack([np.stack([part[users] for part in places[1:]], axis=-1) for users, _ in estimates]))
        if count < scene.n_cycles:
            new = np.stack([
                next_beam(scene.surface(), tuple(part[users] for part in places), gains, sent,
                          float(scene.noise_variance()[0]), start)[None]
                for (users, gains), sent, start in zip(estimates, beams, random[:, count], strict=True)
            ])  # fmt: skip
    return time.process_time() - started, [angles[0], angles[-1]]
