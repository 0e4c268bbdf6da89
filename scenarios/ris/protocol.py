"""The cycles of transmission, localization and optimisation, Cao et al., Fig. 2, for a batch of trials.

Each cycle transmits once with the surface's current phases. In the first cycles these are random; afterwards, where a
method optimises them, each cycle's are chosen for the places estimated so far. Equation numbers are that paper's.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Self

from array_api_compat import array_namespace
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.estimators.paths import AnyPathEstimator, Cycles, Localizer, PathEstimates, PathProblem
from engine.numerics.circle_manifold import optimise
from engine.numerics.cycle_bound import Weighting, objective_after
from engine.numerics.path_information import Paths, weak_prior
from engine.numerics.wavefront import PHASE_THRESHOLD_RAD, departure_from_plane_rad
from scenarios.ris.hardware import Hardware

Array = Any

LOST_PROBABILITY = 0.01
MARGIN_CYCLES = 2


class Method(BaseModel):
    """An estimator, and how the phases of the surface are chosen for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    estimator: AnyPathEstimator = Field(description="where users and scatterers are, from the cycles so far")
    phases: Literal["random", "optimised"] = Field("optimised", description="phases of the surface")
    random_cycles: int | None = Field(
        13, ge=1, description="random cycles C₀ before the first optimised one; by `cycles_before_lock` if None"
    )
    weighting: Weighting = Field("rel", description="weights of the bounds that the phases minimise, Eq. 41")
    name: str = Field("", description="name along the dimension `estimator`; the estimator's if empty")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.estimator.name)
        return self


class Outcome(NamedTuple):
    """What a method leaves of B trials at S noise variances."""

    estimates: list[PathEstimates]
    """after each recorded cycle, (B, S, …)"""
    beams: Array
    """phases of the surface times the channel to the base station, as estimators are told, (B, S or 1, C, N)"""


def cycles_before_lock(n_elements: int, n_scatterers: int, scatterer_power: float, snr: float) -> int:
    """Random cycles after which few users are lost: 0.01 by the formula, and two more.

    Measured with the closed loop's search: 0.036 at 0 dB, 0.016 at 5 dB, 0.003 at 10 dB with 4 users and 2 scatterers,
    0.051 for one user alone at 0 dB (docs/evidence/cycles-before-lock.json has intervals and other settings). Each
    estimate says how probable that is.

    1 + K + ln(4N/P)/ln(1 + s): 4N places that differ, s = 1/(1/SNR + Σ 10^{−κ/10}), the scatterers counted as noise;
    each of them costs a cycle. n_scatterers K, of scatterer_power relative to the direct path; snr: of one cycle.

    >>> [cycles_before_lock(625, 2, 0.1, 10 ** (db / 10)) for db in (0, 5, 10, 20, 30)]
    [26, 17, 14, 13, 12]
    """
    ratio = 1 / (1 / snr + n_scatterers * scatterer_power)
    return math.ceil(1 + n_scatterers + math.log(4 * n_elements / LOST_PROBABILITY) / math.log1p(ratio)) + MARGIN_CYCLES


def prepare_cycles(
    method: Method, problem: PathProblem, recorded: Sequence[int], random_cycles: Sequence[int], xp: Any
) -> Callable[..., Outcome]:
    """A function of one block that runs every cycle of a method and keeps the estimates after some of them.

    recorded: numbers of cycles, ascending; the last is C. random_cycles: C₀ at each of S noise variances. The function
    takes the users' channels (B, L, N), the channel to the base station (N,), random phases as phasors (B, C, N),
    noise CN(0, 1) (B, C, L), the noise variances (B, S) and the `Hardware`, exact if None.
    """
    localizer = method.estimator.prepare(problem, xp)
    n_cycles = recorded[-1]
    first = [min(count, n_cycles) for count in random_cycles]

    def run(
        channels: Array,
        to_base: Array,
        phasors: Array,
        noise: Array,
        noise_variance: Array,
        hardware: Hardware | None = None,
    ) -> Outcome:
        size, hardware = channels.shape[0], hardware or Hardware(to_base)
        random_beams = phasors[:, :n_cycles, :] * to_base
        if method.phases == "random":
            estimates, sent = _follow(
                localizer, problem, method, recorded, n_cycles, channels, random_beams, noise, noise_variance, hardware
            )
            return Outcome(estimates, sent[:, None, ...])
        levels: dict[int, tuple[list[PathEstimates], Array]] = {}
        for count in dict.fromkeys(first):
            # Noise levels that leave the random phases together go on as trials of their own, side by side.
            here = [level for level, other in enumerate(first) if other == count]
            own = [_repeated(xp, part, len(here)) for part in (channels, random_beams, noise)]
            variance = xp.reshape(xp.stack([noise_variance[:, level] for level in here], axis=1), (-1, 1))
            real = hardware._replace(
                turn=_repeated(xp, hardware.turn, len(here)), drift=_repeated(xp, hardware.drift, len(here))
            )
            estimates, beams = _follow(
                localizer, problem, method, recorded, count, own[0], own[1], own[2], variance, real
            )
            apart = [
                PathEstimates(*(xp.reshape(part, (size, len(here), *part.shape[2:])) for part in estimate))
                for estimate in estimates
            ]
            beams = xp.reshape(beams, (size, len(here), *beams.shape[1:]))
            for i, level in enumerate(here):
                levels[level] = (
                    [PathEstimates(*(part[:, i, ...] for part in estimate)) for estimate in apart],
                    beams[:, i, ...],
                )
        joined = [
            PathEstimates(*(xp.stack(parts, axis=1) for parts in zip(*same, strict=True)))
            for same in zip(*(levels[level][0] for level in range(len(first))), strict=True)
        ]
        return Outcome(joined, xp.stack([levels[level][1] for level in range(len(first))], axis=1))

    return run


def _follow(
    localizer: Localizer,
    problem: PathProblem,
    method: Method,
    recorded: Sequence[int],
    n_random: int,
    channels: Array,
    random_beams: Array,
    noise: Array,
    noise_variance: Array,
    hardware: Hardware,
) -> tuple[list[PathEstimates], Array]:
    """Estimates after the recorded cycles, and all beams (G, C, N) as estimators are told them.

    noise_variance (G, S) as `Cycles` has it.
    """
    xp = array_namespace(channels, random_beams)
    observer = localizer.begin()
    toward = xp.matrix_transpose(channels)
    scale = xp.sqrt(noise_variance)[:, :, None, None]

    def transmit(beams: Array, start: int) -> Array:
        told, stop = hardware.told(beams), start + beams.shape[1]
        signal = hardware.received(hardware.applied(beams) @ toward, start)
        observer.observe(Cycles(told, signal[:, None, ...] + scale * noise[:, None, start:stop, :], noise_variance))
        return told

    estimates, done, estimate, sent = [], 0, None, random_beams[:, :0, :]
    for stop in sorted({*(count for count in recorded if count < n_random), n_random}):
        sent = xp.concat([sent, transmit(random_beams[:, done:stop, :], done)], axis=1)
        done = stop
        estimate = observer.estimate(stating=stop in recorded)
        if stop in recorded:
            estimates.append(estimate)
    for cycle in range(n_random, recorded[-1]):
        start = random_beams[:, cycle, :]
        beam = _next_beam(problem, method, estimate, sent, start)
        sent = xp.concat([sent, transmit(beam[:, None, :], cycle)], axis=1)
        estimate = observer.estimate(stating=cycle + 1 in recorded)
        if cycle + 1 in recorded:
            estimates.append(estimate)
    return estimates, sent


def _next_beam(problem: PathProblem, method: Method, estimate: Any, sent: Array, start: Array) -> Array:
    """Algorithm 2 from a random start: the beam (G, N) that lowers the bounds at the estimated places most."""
    paths = Paths(*(part[:, 0, ...] for part in estimate[:8]))
    departure = departure_from_plane_rad(problem.surface, *paths[:3])
    f = objective_after(
        problem.surface,
        paths,
        sent,
        estimate.noise_variance[:, 0],
        weighting=method.weighting,
        far=departure <= PHASE_THRESHOLD_RAD,
        prior=weak_prior(paths.gain, width=_widths(problem)),
    )
    return optimise(f, start).beam


def _widths(problem: PathProblem) -> tuple[float, float, float]:
    """What is known of a place beforehand: range (m), polar angle and azimuth (rad) are in view."""
    view = problem.view
    return (
        view.range_max_m - view.range_min_m,
        view.polar_max_rad - view.polar_min_rad,
        view.azimuth_max_rad - view.azimuth_min_rad,
    )


def _repeated(xp: Any, array: Array | None, copies: int) -> Array:
    """(B, …) → (B·copies, …), the copies of one trial side by side; None stays."""
    if array is None:
        return None
    shape = (array.shape[0], copies, *array.shape[1:])
    return xp.reshape(xp.broadcast_to(array[:, None, ...], shape), (shape[0] * copies, *shape[2:]))
