"""What a family offers to train: an object that a family's modules hold, and `nearfield train` finds there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from engine import InputError, Scenario, Sweep
from scenarios.learning.curves import losses_against_epochs
from scenarios.learning.options import Options, asked_for
from scenarios.learning.training import Training


class Request(NamedTuple):
    """What is asked for: the sweep to train on, where files go, how, and a store to take data from."""

    sweep: Sweep
    folder: Path
    options: Options
    data: str | None = None


def _whole(sweep: Sweep) -> Sweep:
    return sweep


@dataclass(frozen=True)
class Offer:
    """Trainings on any sweep of a `kind` of scenario, or on one `sweep`, for which the offer's name stands.

    name: `family:name`. about: one line for who chooses. trainings: from what is asked for to independent trainings, a
    file each.
    options: the thorough way, from `source`; with `samples` every sample is new. quick, quick_sweep: about two minutes
    of it, and what that trains on; the same if left out. data: the named sweep whose stores --data may name, none if
    empty. curves: a figure of the files that were trained.
    """

    name: str
    about: str
    trainings: Callable[[Request], Sequence[Training]]
    kind: type[Scenario] | None = None
    sweep: Sweep | None = None
    options: Options = field(default_factory=Options)
    quick: Options | None = None
    quick_sweep: Callable[[Sweep], Sweep] = _whole
    source: str = "the default"
    data: str = ""
    needs_torch: bool = False
    curves: Callable[[list[Path]], Any] | None = losses_against_epochs

    def __post_init__(self) -> None:
        if (self.kind is None) == (self.sweep is None):
            raise InputError("an offer of trainings is for a kind of scenario, or for a sweep: give one of the two")
        if self.quick and bool(self.quick.samples) != bool(self.options.samples):
            raise InputError("every sample of a training is new, or none: give an offer's options and quick alike")

    def chosen(self, name: str, changes: Mapping[str, Any], *, quick: bool, data: str | None) -> Options:
        """Options of a training that was asked for by this name. InputError for what does not apply to it."""
        if data is not None and not self.data:
            raise InputError(f"--data: {name} draws its users itself, given the store {data}: leave it out")
        if self.options.samples and changes.keys() & {"epochs", "patience"}:
            raise InputError(f"{name} sees every sample once: give --samples rather than --epochs or --patience")
        default = self.quick or self.options if quick else self.options
        return asked_for(default, changes, quick=quick, source=self.source)
