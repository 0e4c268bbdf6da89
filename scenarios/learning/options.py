"""How to train, and what was asked for instead."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine import InputError

TRAINING_SEED = 1_000_003
"""Default seed of training data: no run may use it that judges what was trained on it."""


@dataclass(frozen=True)
class Options:
    """Sizes of the data, the form of the networks, and what overrides the recipe."""

    seed: int = TRAINING_SEED
    training: int = 35_000
    validation: int = 15_000
    test: int = 1_000
    samples: int = 0
    """that a training sees, each of them new; 0 where it goes through the same ones, epoch after epoch"""
    outputs: Literal[1, 2] = 2
    epochs: int = 200
    patience: int = 10
    batch: int = 32
    label: str = ""
    """what a reader of the file must know"""
    device: str = "cpu"
    at_once: int = 1
    """networks that share a matrix product"""

    def __post_init__(self) -> None:
        for name in ("training", "validation", "test", "epochs", "patience", "batch", "at_once"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: given {getattr(self, name)}, needed at least 1")
        if self.samples < 0:
            raise InputError(f"samples: given {self.samples}, needed at least 1, or 0 to train in epochs")


def asked_for(default: Options, changes: Mapping[str, Any], *, quick: bool, source: str) -> Options:
    """The default with fields changed, and a label that says so.

    changes: `samples` are those that a training sees; where it goes in epochs, those of the training set, and those of
    the validation set are in proportion. quick, source: what the default is, and where the thorough one comes from.
    """
    if default.samples:
        return replace(default, **changes, label=_samples_label(default, changes, quick))
    changes = dict(changes)
    if "samples" in changes:
        training = changes.pop("samples")
        changes |= {"training": training, "validation": -(-training * default.validation // default.training)}
    told = ", ".join(f"{name} {changes[name]}" for name in ("training", "epochs", "patience") if name in changes)
    label = f"{'quick' if quick else f'other than {source}'}: {told}" if told else default.label
    return replace(default, **changes, label=label)


def _samples_label(default: Options, changes: Mapping[str, Any], quick: bool) -> str:
    told = f"{changes.get('samples', default.samples)} samples"
    return f"quick: {told}" if quick else told if "samples" in changes else ""
