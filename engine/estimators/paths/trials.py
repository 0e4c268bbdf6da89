"""Trials, what their beams receive from a grid, and the paths found in them: records that a search passes on."""

from typing import Any, NamedTuple

from engine.estimators.paths.problem import Cycles

Array = Any


class Trials(NamedTuple):
    """T trials; what trial t saw came through beams[group[t]]."""

    beams: Array
    """complex (G, C, N)"""
    group: Array
    """(T,)"""
    samples: Array
    """complex (T, L, C)"""
    noise_variance: Array
    """(T,)"""
    powers: Array | None = None
    """of a scattered path in a sample, where gains count as random, (T, V); over s² where σ² is unknown"""
    received: Array | None = None
    """what a path of gain one brings to it, (T,)"""

    def of_group(self, values: Array) -> Array:
        """Values (G, …) of each trial's group, (T, …): as they are where each trial is a group of its own."""
        group = self.group
        if group.shape[0] == values.shape[0] and bool((group[1:] > group[:-1]).all()):
            return values
        return values[group]

    def take(self, index: Array) -> "Trials":
        powers, received = (None if part is None else part[index] for part in (self.powers, self.received))
        return Trials(self.beams, self.group[index], self.samples[index], self.noise_variance[index], powers, received)


class Rows(NamedTuple):
    """What the beams of G groups receive from the M candidates."""

    value: Array
    """complex (G, C, M)"""
    energy: Array
    """summed over the cycles, (G, M)"""


class Paths(NamedTuple):
    """L users and the scatterers found so far, of T trials."""

    places: Array
    """κ, θ, φ (T, L + K, 3), users first; NaN where no scatterer was found"""
    gain: Array
    """complex (T, L, 1 + K), the direct path first; 0 where no scatterer was found"""
    energy: Array
    """‖residual‖² of each user, (T, L)"""
    count: Array
    """scatterers found, (T,)"""
    evidence: Array
    """nats, (T,); 0 where it is not asked for, see `engine.estimators.paths.evidence`"""
    noise: Array
    """variance of a sample besides the paths found, (T,)"""
    unseen: Array
    """of that, what scatterers bring that are not found, (T,)"""
    ridge: Array
    """that noise over the power of scattered gains, as far as these paths tell it, (T,); 0: gains are anything"""

    def take(self, index: Array) -> "Paths":
        return Paths(*(part[index] for part in self))

    def replaced(self, index: Array, other: "Paths") -> "Paths":
        """With others in the places that `index` names."""
        return Paths(*(put(mine, index, theirs) for mine, theirs in zip(self, other, strict=True)))


def with_scatterer(paths: Paths, column: int, place: Array) -> Paths:
    """One scatterer more, at `place` (T, 3), in a column of the places; not fitted.

    What is not found is a share less of the noise.
    """
    places = put(paths.places, (slice(None), column), place)
    less = paths.unseen / (paths.places.shape[1] - column)
    noise = paths.noise - less
    ridge = paths.ridge * (noise / put(paths.noise, paths.noise == 0, 1.0))
    return paths._replace(places=places, count=paths.count + 1, noise=noise, unseen=paths.unseen - less, ridge=ridge)


def trials_of(cycles: Cycles, xp: Any) -> Trials:
    """The copies of all groups, one after the other."""
    n_groups, n_copies, n_cycles, n_users = cycles.samples.shape
    samples = xp.reshape(xp.matrix_transpose(cycles.samples), (n_groups * n_copies, n_users, n_cycles))
    group = xp.arange(n_groups * n_copies) // n_copies
    return Trials(cycles.beams, group, samples, xp.reshape(cycles.noise_variance, (-1,)))


def joined(first: Cycles | None, further: Cycles, xp: Any) -> Cycles:
    """Cycles of the same trials, one after the other."""
    if first is None:  # may be a part of a larger array: contiguous, for all that reads it often
        return further._replace(beams=xp.concat([further.beams], axis=1))
    beams = xp.concat([first.beams, further.beams], axis=1)
    return Cycles(beams, xp.concat([first.samples, further.samples], axis=2), further.noise_variance)


def put(array: Array, index: Any, values: Array) -> Array:
    changed = array.copy()
    changed[index] = values
    return changed


def power(value: Array) -> Array:
    return value.real**2 + value.imag**2
