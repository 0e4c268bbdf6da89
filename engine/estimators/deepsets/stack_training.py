"""Training many networks of one shape together: on a CPU core one after the other by hand, on a GPU at once.

Networks of one stack share their minibatches; each stops for itself, on its own validation loss. What a network becomes
does not depend on the stack that it is trained in (tests/estimators/test_deepsets_training.py). Within Ray Train every
replica takes its share of each minibatch and gradients are averaged, so that replicas say the same.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.errors import InputError
from engine.estimators.deepsets.checkpoint import read_tensors, write_tensors
from engine.estimators.deepsets.epochs import Epochs, Samples
from engine.estimators.deepsets.network import Architecture, initial
from engine.estimators.deepsets.replica import Replica


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: Table II, and what it is silent about."""

    learning_rate: float = 1e-3
    batch: int = 32
    patience: int = 10
    """epochs without a lower validation loss before a network stops"""
    epochs: int = 200
    """at most"""


class Epoch(NamedTuple):
    """Where a training is: mean losses of this epoch for each network, NaN for the ones that had stopped."""

    number: int
    training_loss: list[float]
    validation_loss: list[float]
    best_epoch: list[int]
    running: int
    """networks that go on"""
    seconds: float


class StackTraining:
    """Trains a stack of M networks; an iterator of `Epoch`s that can stop and be made again from its state file.

    seeds: one for each network, of its first weights; order_seed: of the minibatches' order, one for the stack.
    at_once: networks that share a matrix product on a GPU; 1 on a CPU, where more are PyTorch's and slower.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        training: Samples,
        validation: Samples,
        *,
        seeds: list[int],
        order_seed: int,
        state: Path | None = None,
        at_once: int = 1,
        device: str = "cpu",
    ) -> None:
        self.architecture, self.recipe, self.state = architecture, recipe, state
        self.order_seed, self.at_once = order_seed, at_once
        self.samples = training.z.shape[1]
        self.replica = Replica.here()
        if recipe.batch % self.replica.size:
            raise InputError(f"a batch of {recipe.batch} cannot be shared by {self.replica.size} replicas equally")
        self._epochs = self._on(device, *(_single(samples) for samples in (training, validation)))
        self.history: list[Epoch] = []
        self.best_loss = [math.inf] * len(seeds)
        self.best_epoch = [0] * len(seeds)
        self.best = initial(architecture, seeds)
        self._identity = json.dumps(
            [asdict(architecture), asdict(recipe), seeds, order_seed, tuple(training.z.shape), _digest(training.z)]
        )
        self.running = list(range(len(seeds)))
        self._tensors = {f"parameters/{name}": part.copy() for name, part in self.best.items()}
        for moment in ("mean", "square"):
            self._tensors |= {f"{moment}/{name}": np.zeros_like(part) for name, part in self.best.items()}
        if state is not None and state.exists():
            self._restore(state)

    def __iter__(self) -> Iterator[Epoch]:
        while self.running and len(self.history) < self.recipe.epochs:
            started = time.perf_counter()
            number = len(self.history) + 1
            losses = np.full((2, len(self.best_loss)), math.nan)
            batches = self._batches(number)
            for i in range(0, len(self.running), self.at_once):
                members = self.running[i : i + self.at_once]
                here = {name: part[i : i + self.at_once] for name, part in self._tensors.items()}
                losses[:, members] = self._epochs.epoch(members, here, (number - 1) * len(batches), batches)
            self._judge(number, losses[1])
            epoch = Epoch(
                number, losses[0].tolist(), losses[1].tolist(), list(self.best_epoch), len(self.running),
                time.perf_counter() - started,
            )  # fmt: skip
            self.history.append(epoch)
            self._save()
            yield epoch

    def _on(self, device: str, training: Samples, validation: Samples) -> Epochs:
        rate = self.recipe.learning_rate
        if device == "cpu" and self.at_once == 1:
            from engine.estimators.deepsets.epochs_cpu import CompiledEpochs

            return CompiledEpochs(
                self.architecture, training, validation, batch=self.recipe.batch, learning_rate=rate,
                replica=self.replica,
            )  # fmt: skip
        from engine.estimators.deepsets.autograd import AutogradEpochs

        return AutogradEpochs(training, validation, learning_rate=rate, device=device, replica=self.replica)

    def _batches(self, number: int) -> list[np.ndarray]:
        """This replica's rows of each of the epoch's minibatches."""
        order = np.random.default_rng([self.order_seed, number]).permutation(self.samples)
        order = order[: self.samples - self.samples % self.replica.size]
        starts = range(0, len(order), self.recipe.batch)
        return [order[i : i + self.recipe.batch][self.replica.rank :: self.replica.size] for i in starts]

    def _judge(self, number: int, validation: np.ndarray) -> None:
        """Keep the best parameters; drop networks that found none better for as long as the recipe's patience."""
        for i, member in enumerate(self.running):
            if validation[member] < self.best_loss[member]:
                self.best_loss[member], self.best_epoch[member] = float(validation[member]), number
                for name, part in self.best.items():
                    part[member] = self._tensors[f"parameters/{name}"][i]
        left = [i for i, m in enumerate(self.running) if number - self.best_epoch[m] < self.recipe.patience]
        if len(left) < len(self.running):
            self._tensors = {name: part[left] for name, part in self._tensors.items()}
            self.running = [self.running[i] for i in left]

    def _save(self) -> None:
        """Everything that a later process needs, in one file that is replaced as a whole."""
        if self.state is None or self.replica.rank:
            return
        tensors = {f"best/{name}": part for name, part in self.best.items()}
        progress = {
            "history": self.history, "best_loss": self.best_loss, "best_epoch": self.best_epoch,
            "running": self.running,
        }  # fmt: skip
        texts = {"training": self._identity, "progress": json.dumps(progress)}
        write_tensors(self.state, tensors | (self._tensors if self.running else {}), texts)

    def _restore(self, path: Path) -> None:
        tensors, texts = read_tensors(path)
        if texts.get("training") != self._identity:
            raise InputError(f"{path} is the state of another training: remove it, or train into another folder")
        progress = json.loads(texts["progress"])
        self.history = [Epoch(*line) for line in progress["history"]]
        self.best_loss, self.best_epoch = progress["best_loss"], progress["best_epoch"]
        self.running = progress["running"]
        self.best = {k.removeprefix("best/"): v.copy() for k, v in tensors.items() if k.startswith("best/")}
        self._tensors = {name: part.copy() for name, part in tensors.items() if not name.startswith("best/")}


def _single(samples: Samples) -> Samples:
    return Samples(*(np.ascontiguousarray(part, np.float32) for part in samples))


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
