"""The cycles of transmission, localization and optimisation, Cao et al., Fig. 2, for a batch of trials.

Each cycle transmits once with the surface's current phases. In the first cycles these are random; afterwards, where a
method optimises them, each cycle's are chosen for the places estimated so far. Equation numbers are that paper's.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.estimators.paths import AnyPathEstimator, Cycles, PathEstimates, PathProblem
from engine.numerics.circle_manifold import Weights, optimise_phases

Array = Any


class Method(BaseModel):
    """An estimator, and how the phases of the surface are chosen for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    estimator: AnyPathEstimator = Field(description="where users and scatterers are, from the cycles so far")
    phases: Literal["random", "optimised"] = Field("optimised", description="phases of the surface")
    random_cycles: int = Field(13, ge=1, description="random cycles C₀ before the first optimised one")
    weights: Weights = Field("rel", description="weights of the bounds that the phases minimise, Eq. 41")
    name: str = Field("", description="name along the dimension `method`; the estimator's and the phases' if empty")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", f"{self.estimator.name}, {self.phases} phases")
        return self


class Outcome(NamedTuple):
    """What a method leaves: estimates after each of R recorded cycles, and the beams that it used."""

    estimates: list[PathEstimates]
    """R of them, in groups as `Cycles` has them"""
    beams: Array
    """(G, C, N)"""


def prepare_cycles(
    method: Method, problem: PathProblem, recorded: Sequence[int], xp: Any
) -> Callable[[Array, Array, Array, Array, Array], Outcome]:
    """A function of one block that runs every cycle of a method and records the estimates after some of them.

    recorded: numbers of cycles, ascending; the last is C. The function takes the channels of the users (B, L, N), the
    channel to the base station (N,), the random phases as phasors (B, C, N), noise CN(0, 1) as (B, C, L) and the noise
    variances (S,). Its groups are the B trials with S copies each where phases are random, so that copies share
    their beams; otherwise the B·S pairs of trial and noise variance, one copy each.
    """
    localizer = method.estimator.prepare(problem, xp)
    n_cycles = recorded[-1]
    first = n_cycles if method.phases == "random" else min(method.random_cycles, n_cycles)

    def run(channels: Array, to_base: Array, phasors: Array, noise: Array, noise_variance: Array) -> Outcome:
        size, copies = channels.shape[0], noise_variance.shape[0]
        adaptive = first < n_cycles
        groups = size * copies if adaptive else size
        if adaptive:
            channels, phasors, noise = (_repeated(xp, part, copies) for part in (channels, phasors, noise))
        variance = xp.reshape(
            xp.broadcast_to(noise_variance, (size, copies)), (groups, 1 if adaptive else copies)
        )  # fmt: skip
        observer = localizer.begin()
        sent: list[Array] = []
        estimates: list[PathEstimates] = []

        def transmit(surface: Array, cycles: slice) -> None:
            """Observe the cycles with these phases of the surface, (G, c, N)."""
            beams = surface * to_base
            clean = beams @ xp.matrix_transpose(channels)
            noisy = clean[:, None] + noise[:, None, cycles] * xp.sqrt(variance)[..., None, None]
            sent.append(beams)
            observer.observe(Cycles(beams, noisy, variance))

        done = 0
        for stop in [*(count for count in recorded if count < first), first]:
            transmit(phasors[:, done:stop], slice(done, stop))
            done = stop
            if stop in recorded:
                estimates.append(observer.estimate())
        current = estimates[-1] if first in recorded else observer.estimate() if adaptive else None
        for cycle in range(first, n_cycles):
            beams = xp.concat(sent, axis=1)
            surface = optimise_phases(problem, current, beams, ...)
            transmit(surface[:, None], slice(cycle, cycle + 1))
            current = observer.estimate()
            if cycle + 1 in recorded:
                estimates.append(current)
        return Outcome(estimates, xp.concat(sent, axis=1))

    return run


def _repeated(xp: Any, array: Array, copies: int) -> Array:
    """(B, …) → (B·copies, …), the copies of one trial side by side."""
    shape = (array.shape[0], copies, *array.shape[1:])
    return xp.reshape(xp.broadcast_to(array[:, None], shape), (shape[0] * copies, *shape[2:]))
