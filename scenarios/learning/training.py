"""What a training is: independent of others, and able to continue where it was stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from engine import InputError
from engine.estimators import Problem
from engine.estimators.deepsets import Checkpoint
from engine.estimators.deepsets.rounds import AmortisedProgress
from engine.estimators.deepsets.setting import require_setting


class Report(NamedTuple):
    """What a training tells while it runs; the last report names the file."""

    text: str
    path: str = ""


class Training(Protocol):
    """Called, it trains, or continues, and writes its file; nothing to do where that is already there."""

    def __call__(self) -> Iterator[Report]: ...


def already_trained(name: str, path: Path, problem: Problem, seed: int) -> Report:
    """What to tell of networks that are there. InputError where they were trained elsewhere, or on other users."""
    card = Checkpoint(path=str(path)).read().card
    require_setting(card, problem, str(path))
    if card.seed != seed:
        raise InputError(f"{path} was trained with seed {card.seed}, given {seed}: choose another --output")
    return Report(f"{name}: already trained", str(path))


def progress(name: str, done: AmortisedProgress, samples: int) -> Report:
    """What to tell of a training that sees so many samples, each of them new."""
    return Report(
        f"{name}: {done.samples} of {samples} samples, {done.steps} steps, loss {done.loss:.4f}, "
        f"negative log-likelihood of unseen rounds {done.validation_nll:.4f}; {done.seconds:.0f} cpu-s"
    )
