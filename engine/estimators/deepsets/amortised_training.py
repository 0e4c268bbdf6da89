"""Training the amortised network. Imports torch."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InputError
from engine.estimators.deepsets.autograd import TORCH, Group, torch, use_one_core
from engine.estimators.deepsets.checkpoint import read_tensors, write_tensors
from engine.estimators.deepsets.features import LOG_VARIANCE, chosen
from engine.estimators.deepsets.network import Architecture, forward, initial
from engine.estimators.deepsets.rounds import AmortisedProgress, AmortisedRecipe, ConditionedRound, Round

_CLIPPED_NORM = 1.0
_BETA = 0.5
Fresh = Round | ConditionedRound


class AmortisedTraining:
    """Trains one network on round after round of fresh samples; an iterator of progress, resumed from its state."""

    def __init__(
        self,
        architecture: Architecture,
        recipe: AmortisedRecipe,
        fresh: Callable[[int], Fresh],
        *,
        seed: int,
        state: Path | None = None,
        validation: Sequence[Fresh] = (),
    ) -> None:
        self.architecture, self.recipe, self.fresh, self.seed, self.state = architecture, recipe, fresh, seed, state
        self.validation = [_as_tensors(drawn) for drawn in validation]
        use_one_core("cpu")
        self.group = Group("cpu", recipe.learning_rate)
        self.history: list[AmortisedProgress] = []
        self._identity = json.dumps([asdict(architecture), asdict(recipe), seed])
        first = initial(architecture, [seed])
        if state is not None and state.exists():
            tensors, texts = read_tensors(state)
            if texts.get("training") != self._identity:
                raise InputError(f"{state} is the state of another training: remove it, or train into another folder")
            self.history = [AmortisedProgress(*line) for line in json.loads(texts["progress"])]
            # A file's tensors come in any order, and the norm that clips the gradients is summed in theirs.
            parameters = {name: tensors[f"parameters/{name}"] for name in first}
            self.group.set(parameters, tensors, self.history[-1].steps)
        else:
            self.group.set(first, {}, 0)

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: part.detach().numpy().copy() for name, part in self.group.parameters.items()}

    def __iter__(self) -> Iterator[AmortisedProgress]:
        done = self.history[-1] if self.history else AmortisedProgress(0, 0, 0, math.nan, 0.0, math.nan)
        samples, steps, rounds = done.samples, done.steps, done.rounds
        started = time.process_time() - done.seconds
        losses: list[float] = []
        while samples < self.recipe.samples:
            drawn = _as_tensors(self.fresh(rounds))
            order = np.random.default_rng([self.seed, rounds])
            for _ in range(self.recipe.passes):
                for rows in torch.from_numpy(order.permutation(len(drawn.x))).split(self.recipe.batch):
                    self.group.adam.param_groups[0]["lr"] = self._rate(steps, samples)
                    losses.append(self._step(type(drawn)(*(part[rows] for part in drawn))))
                    steps += 1
            before, samples, rounds = samples, samples + len(drawn.x), rounds + 1
            if (
                samples // self.recipe.saved_every != before // self.recipe.saved_every
                or samples >= self.recipe.samples
            ):
                seconds = time.process_time() - started
                done = AmortisedProgress(samples, steps, rounds, float(np.mean(losses)), seconds, *self._validate())
                self.history.append(done)
                losses = []
                if self.state is not None:
                    texts = {"training": self._identity, "progress": json.dumps(self.history)}
                    write_tensors(self.state, self.group.tensors(), texts)
                yield self.history[-1]

    def _rate(self, steps: int, samples: int) -> float:
        """Up from 0, then down along half a cosine."""
        warm = min(1.0, (steps + 1) / self.recipe.warm_up_steps)
        return self.recipe.learning_rate * warm * (0.502 + 0.5 * math.cos(math.pi * samples / self.recipe.samples))

    def _validate(self) -> tuple[float, float]:
        """Loss and negative log-likelihood, NaN without rounds to look at."""
        with torch.no_grad():
            found = [(*self._said(drawn), drawn.place) for drawn in self.validation]
            each = [[float(beta_likelihood(*one, beta)) for beta in (_BETA, 0.0)] for one in found]
        loss, nll = np.mean(each, axis=0) if each else (math.nan, math.nan)
        return float(loss), float(nll)

    def _step(self, drawn: Fresh) -> float:
        loss = beta_likelihood(*self._said(drawn), drawn.place)
        self.group.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.group.parameters.values(), _CLIPPED_NORM)
        self.group.adam.step()
        return float(loss.detach())

    def _said(self, drawn: Any) -> tuple[Any, Any]:
        """Places and the logarithms of their variances, (n, 2) each."""
        outputs = forward(TORCH, self.group.parameters, drawn.x[None], known=drawn.known[None])[0]
        return chosen(TORCH, outputs, drawn.known), outputs[:, 2:4]


def beta_likelihood(said: Any, log_variance: Any, place: Any, beta: float = _BETA) -> Any:
    """The loss that `AmortisedRecipe` speaks of, of places said with logarithms of their variances, (n, 2) each.

    β = 0 is the Gaussian negative log-likelihood itself, but for a constant.
    """
    log_variance = log_variance.clamp(*LOG_VARIANCE)
    likelihood = 0.5 * ((said - place) ** 2 * torch.exp(-log_variance) + log_variance)
    return (torch.exp(beta * log_variance).detach() * likelihood).mean()


def _as_tensors(drawn: Fresh) -> Fresh:
    return type(drawn)(*(torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in drawn))
