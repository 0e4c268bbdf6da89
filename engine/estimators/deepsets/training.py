"""Training many networks of one shape together. The only file that imports torch.

Networks of one stack share their minibatches and their steps; each stops for itself, on its own validation loss. What a
network becomes does not depend on the stack that it is trained in (tests/estimators/test_deepsets_training.py). Within
Ray Train every replica takes its share of each minibatch and gradients are averaged, so that replicas say the same.
"""

import ctypes
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import InputError
from engine.estimators.deepsets.checkpoint import read_tensors, write_tensors
from engine.estimators.deepsets.features import LOG_VARIANCE, gated
from engine.estimators.deepsets.network import Architecture, Operations, forward, initial

try:
    import torch
except ImportError:
    raise InputError("training needs PyTorch: pip install 'nearfield[ml]'") from None

_VALIDATED_AT_ONCE = 256
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_CLIPPED_NORM = 1.0

TORCH = Operations(
    linear=lambda x, weight, bias: torch.baddbmm(bias, x, weight),
    product=torch.matmul,
    gelu=torch.nn.functional.gelu,
    tanh=lambda x: 2 * torch.sigmoid(2 * x) - 1,  # the same; forward and back 0.8 ms where torch.tanh takes 1.3
    exp=torch.exp,
    log_softmax=lambda x: torch.log_softmax(x, -1),
    masked=lambda score, mask: score.masked_fill(~mask, -math.inf),
    joined=lambda parts: torch.cat(parts, -1),
)


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: Table II, and what it is silent about."""

    learning_rate: float = 1e-3
    batch: int = 32
    patience: int = 10
    """epochs without a lower validation loss before a network stops"""
    epochs: int = 200
    """at most"""


class Samples(NamedTuple):
    """Standardised data of one sensor set for a stack of M networks; arrays, or tensors once training has them."""

    z: Any
    """compressed powers of each network, (M, n, K), single precision"""
    position: Any
    """the sensors' range and angle, (K, 2)"""
    place: Any
    """what each network must say, (M, n, O)"""


class Epoch(NamedTuple):
    """Where a training is: mean losses of this epoch for each network, NaN for the ones that had stopped."""

    number: int
    training_loss: list[float]
    validation_loss: list[float]
    best_epoch: list[int]
    running: int
    """networks that go on"""
    seconds: float


def keep_freed_memory() -> None:
    """Have glibc reuse freed blocks rather than unmap them: activations beyond 128 KiB are mapped anew at every step.

    Measured, one core, Table II at K = 40: 703 samples a cpu-second without, 800 with.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def _use_one_core(device: str) -> None:
    """Trainings are independent: they are spread over the cores, rather than the cores over each training."""
    if device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()


class Replica(NamedTuple):
    """Which share of every minibatch is trained here; (0, 1) without Ray Train."""

    rank: int
    size: int

    @classmethod
    def here(cls) -> "Replica":
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls(0, 1)

    def averaged(self, tensors: list["torch.Tensor"]) -> None:
        """Replace tensors by their means over all replicas, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([part.reshape(-1) for part in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for part, mean in zip(tensors, flat.split([part.numel() for part in tensors]), strict=True):
            part.copy_(mean.reshape(part.shape))


class Group:
    """Networks that share a step: parameters, Adam's moments and the best parameters so far, each (m, …)."""

    def __init__(self, members: list[int], device: str, recipe: Recipe) -> None:
        self.members, self.device, self.recipe = members, device, recipe
        self.parameters: dict[str, torch.Tensor] = {}
        self.adam: Any = None

    def set(self, parameters: dict[str, np.ndarray], moments: dict[str, np.ndarray], steps: int) -> None:
        """Parameters and moments of the group's members, by name (m, …)."""
        self.parameters = {
            name: torch.tensor(part, device=self.device, requires_grad=True) for name, part in parameters.items()
        }
        self.adam = torch.optim.Adam(self.parameters.values(), self.recipe.learning_rate, fused=True)
        if steps:
            for name, parameter in self.parameters.items():
                self.adam.state[parameter] = {
                    "step": torch.tensor(float(steps), device=self.device),
                    "exp_avg": torch.tensor(moments[f"mean/{name}"], device=self.device),
                    "exp_avg_sq": torch.tensor(moments[f"square/{name}"], device=self.device),
                }

    def tensors(self) -> dict[str, np.ndarray]:
        """Parameters and moments on the host."""
        found = {}
        for name, parameter in self.parameters.items():
            found[f"parameters/{name}"] = parameter.detach().cpu().numpy().copy()
            state = self.adam.state.get(parameter, {})
            for key, label in (("exp_avg", "mean"), ("exp_avg_sq", "square")):
                found[f"{label}/{name}"] = (state[key] if state else torch.zeros_like(parameter)).cpu().numpy().copy()
        return found


class StackTraining:
    """Trains a stack of M networks; an iterator of `Epoch`s that can stop and be made again from its state file.

    seeds: one for each network, of its first weights; order_seed: of the minibatches' order, one for the stack.
    at_once: networks that share a matrix product; on a CPU one network's activations fill the cache, on a GPU all.
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
        self.architecture, self.recipe, self.state, self.device = architecture, recipe, state, device
        self.order_seed, self.at_once = order_seed, at_once
        self.replica = Replica.here()
        if recipe.batch % self.replica.size:
            raise InputError(f"a batch of {recipe.batch} cannot be shared by {self.replica.size} replicas equally")
        _use_one_core(device)
        self.training, self.validation = (
            Samples(*(torch.as_tensor(np.ascontiguousarray(part, np.float32), device=device) for part in samples))
            for samples in (training, validation)
        )
        self.history: list[Epoch] = []
        self.best_loss = [math.inf] * len(seeds)
        self.best_epoch = [0] * len(seeds)
        self.best = initial(architecture, seeds)
        self._identity = json.dumps(
            [asdict(architecture), asdict(recipe), seeds, order_seed, tuple(training.z.shape), _digest(training.z)]
        )
        self._groups = self._grouped(list(range(len(seeds))))
        for group in self._groups:
            group.set({name: part[group.members] for name, part in self.best.items()}, {}, 0)
        if state is not None and state.exists():
            self._restore(state)

    def __iter__(self) -> Iterator[Epoch]:
        while self._groups and len(self.history) < self.recipe.epochs:
            started = time.perf_counter()
            number = len(self.history) + 1
            losses = np.full((2, len(self.best_loss)), math.nan)
            for group in self._groups:
                losses[0, group.members] = self._train(group, number)
                losses[1, group.members] = self._validate(group)
            self._judge(number, losses[1])
            running = sum(len(group.members) for group in self._groups)
            epoch = Epoch(
                number, losses[0].tolist(), losses[1].tolist(), list(self.best_epoch), running,
                time.perf_counter() - started,
            )  # fmt: skip
            self.history.append(epoch)
            self._save()
            yield epoch

    def _grouped(self, members: list[int]) -> list[Group]:
        return [
            Group(members[i : i + self.at_once], self.device, self.recipe) for i in range(0, len(members), self.at_once)
        ]

    def _train(self, group: Group, number: int) -> np.ndarray:
        """One epoch; the mean loss of each member over it."""
        n = self.training.z.shape[1]
        shuffled = np.random.default_rng([self.order_seed, number]).permutation(n)
        order = torch.as_tensor(shuffled[: n - n % self.replica.size], device=self.device)
        total = torch.zeros(len(group.members), device=self.device)
        count = 0
        for batch in order.split(self.recipe.batch):
            mine = batch[self.replica.rank :: self.replica.size]
            loss = self._losses(group, self.training, mine)
            group.adam.zero_grad()
            loss.sum().backward()
            self.replica.averaged([part.grad for part in group.parameters.values() if part.grad is not None])
            group.adam.step()
            total += loss.detach() * len(mine)
            count += len(mine)
        total /= count
        self.replica.averaged([total])
        return total.cpu().numpy()

    def _validate(self, group: Group) -> np.ndarray:
        total = torch.zeros(len(group.members), device=self.device)
        n = self.validation.z.shape[1]
        with torch.no_grad():
            for batch in torch.arange(n, device=self.device).split(_VALIDATED_AT_ONCE):
                total += self._losses(group, self.validation, batch) * len(batch)
        return (total / n).cpu().numpy()

    def _losses(self, group: Group, samples: Samples, rows: Any) -> Any:
        """Mean squared error of each member over the rows, (m,); coordinates in units of their deviation."""
        z = samples.z[group.members][:, rows] if len(group.members) > 1 else samples.z[group.members[0], rows][None]
        x = torch.cat([z[..., None], samples.position.expand(*z.shape, 2)], -1)
        outputs = forward(TORCH, group.parameters, x)
        place = samples.place[group.members][:, rows]
        return ((outputs - place) ** 2).mean((1, 2))

    def _judge(self, number: int, validation: np.ndarray) -> None:
        """Keep the best parameters; drop networks that found none better for as long as the recipe's patience."""
        for i, group in enumerate(self._groups):
            host: dict[str, np.ndarray] = {}
            for j, member in enumerate(group.members):
                if validation[member] < self.best_loss[member]:
                    self.best_loss[member], self.best_epoch[member] = float(validation[member]), number
                    for name, part in group.parameters.items():
                        self.best[name][member] = part[j].detach().cpu().numpy()
            left = [m for m in group.members if number - self.best_epoch[m] < self.recipe.patience]
            if left != group.members:
                host = group.tensors()
                rows = [group.members.index(m) for m in left]
                self._groups[i] = self._rebuilt(left, {k: v[rows] for k, v in host.items()}, number)
        self._groups = [group for group in self._groups if group.members]

    def _rebuilt(self, members: list[int], tensors: dict[str, np.ndarray], number: int) -> Group:
        group = Group(members, self.device, self.recipe)
        if members:
            parameters = {k.removeprefix("parameters/"): v for k, v in tensors.items() if k.startswith("parameters/")}
            group.set(parameters, tensors, number * self.steps_per_epoch)
        return group

    @property
    def steps_per_epoch(self) -> int:
        n = self.training.z.shape[1]
        return -(-(n - n % self.replica.size) // self.recipe.batch)

    def _save(self) -> None:
        """Everything that a later process needs, in one file that is replaced as a whole."""
        if self.state is None or self.replica.rank:
            return
        tensors = {f"best/{name}": part for name, part in self.best.items()}
        parts = [group.tensors() for group in self._groups]
        for name in parts[0] if parts else ():
            tensors[name] = np.concatenate([part[name] for part in parts])
        progress = {
            "history": self.history, "best_loss": self.best_loss, "best_epoch": self.best_epoch,
            "running": [member for group in self._groups for member in group.members],
        }  # fmt: skip
        write_tensors(self.state, tensors, {"training": self._identity, "progress": json.dumps(progress)})

    def _restore(self, path: Path) -> None:
        tensors, texts = read_tensors(path)
        if texts.get("training") != self._identity:
            raise InputError(f"{path} is the state of another training: remove it, or train into another folder")
        progress = json.loads(texts["progress"])
        self.history = [Epoch(*line) for line in progress["history"]]
        self.best_loss, self.best_epoch = progress["best_loss"], progress["best_epoch"]
        self.best = {k.removeprefix("best/"): v.copy() for k, v in tensors.items() if k.startswith("best/")}
        running = progress["running"]
        self._groups = []
        for empty in self._grouped(running):
            rows = [running.index(member) for member in empty.members]
            here = {name: part[rows] for name, part in tensors.items() if not name.startswith("best/")}
            self._groups.append(self._rebuilt(empty.members, here, len(self.history)))


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


class Round(NamedTuple):
    """Fresh samples for an amortised network: elements, what to say of them, and the middle in each frame's unit."""

    x: Any
    """(n, K, FEATURES)"""
    place: Any
    """(n, 2)"""
    middle: Any
    """(n,)"""


@dataclass(frozen=True)
class AmortisedRecipe:
    """How an amortised network is trained: every round of samples is new, and seen `passes` times.

    The loss is the Gaussian negative log-likelihood weighted by the square root of the variance, β-NLL (Seitzer et
    al., "On the pitfalls of heteroscedastic uncertainty estimation", ICLR 2022): its minimum is at the posterior
    mean, as that of squared errors, but noise powers of which little can be known do not drown the others.
    """

    learning_rate: float = 1.2e-3
    batch: int = 128
    passes: int = 4
    samples: int = 500_000
    warm_up_steps: int = 300
    saved_every: int = 25_000


class AmortisedProgress(NamedTuple):
    """How far a training is: samples drawn, steps, mean loss since the last report, seconds of processor time, and the
    mean loss over the rounds that are never trained on."""

    samples: int
    steps: int
    rounds: int
    loss: float
    seconds: float
    validation_loss: float


class AmortisedTraining:
    """Trains one network on round after round of fresh samples; an iterator of progress, resumed from its state."""

    def __init__(
        self,
        architecture: Architecture,
        recipe: AmortisedRecipe,
        fresh: Callable[[int], Round],
        *,
        seed: int,
        state: Path | None = None,
        validation: Sequence[Round] = (),
    ) -> None:
        self.architecture, self.recipe, self.fresh, self.seed, self.state = architecture, recipe, fresh, seed, state
        self.validation = [_as_tensors(drawn) for drawn in validation]
        _use_one_core("cpu")
        self.group = Group([0], "cpu", Recipe(learning_rate=recipe.learning_rate))
        self.history: list[AmortisedProgress] = []
        self._identity = json.dumps([asdict(architecture), asdict(recipe), seed])
        if state is not None and state.exists():
            tensors, texts = read_tensors(state)
            if texts.get("training") != self._identity:
                raise InputError(f"{state} is the state of another training: remove it, or train into another folder")
            self.history = [AmortisedProgress(*line) for line in json.loads(texts["progress"])]
            parameters = {k.removeprefix("parameters/"): v for k, v in tensors.items() if k.startswith("parameters/")}
            self.group.set(parameters, tensors, self.history[-1].steps)
        else:
            self.group.set(initial(architecture, [seed]), {}, 0)

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
                    losses.append(self._step(Round(*(part[rows] for part in drawn))))
                    steps += 1
            before, samples, rounds = samples, samples + len(drawn.x), rounds + 1
            if (
                samples // self.recipe.saved_every != before // self.recipe.saved_every
                or samples >= self.recipe.samples
            ):
                seconds = time.process_time() - started
                done = AmortisedProgress(samples, steps, rounds, float(np.mean(losses)), seconds, self._validate())
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

    def _validate(self) -> float:
        with torch.no_grad():
            losses = [float(self._loss(drawn)) for drawn in self.validation]
        return float(np.mean(losses)) if losses else math.nan

    def _step(self, drawn: Round) -> float:
        loss = self._loss(drawn)
        self.group.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.group.parameters.values(), _CLIPPED_NORM)
        self.group.adam.step()
        return float(loss.detach())

    def _loss(self, drawn: Round) -> Any:
        outputs = forward(TORCH, self.group.parameters, drawn.x[None])[0]
        said = torch.stack([outputs[:, 0], gated(torch.exp, outputs, drawn.middle)], -1)
        log_variance = outputs[:, 2:4].clamp(*LOG_VARIANCE)
        likelihood = 0.5 * ((said - drawn.place) ** 2 * torch.exp(-log_variance) + log_variance)
        return (torch.exp(0.5 * log_variance).detach() * likelihood).mean()


def _as_tensors(drawn: Round) -> Round:
    return Round(*(torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in drawn))
