"""Networks in PyTorch, many at once: training on a GPU, and the oracle of `step_cpu`. Imports torch."""

import ctypes
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.errors import InputError
from engine.estimators.deepsets.epochs import Samples
from engine.estimators.deepsets.network import Operations, forward
from engine.estimators.deepsets.replica import Replica

try:
    import torch
except ImportError:
    raise InputError("training needs PyTorch: pip install 'nearfield[ml]'") from None

_VALIDATED_AT_ONCE = 256
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

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


def use_one_core(device: str) -> None:
    """Trainings are independent: they are spread over the cores, rather than the cores over each training."""
    if device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()


class Group:
    """Networks that share a step: parameters and Adam's moments, each (m, …)."""

    def __init__(self, device: str, learning_rate: float) -> None:
        self.device, self.learning_rate = device, learning_rate
        self.parameters: dict[str, torch.Tensor] = {}
        self.adam: Any = None

    def set(self, parameters: dict[str, np.ndarray], moments: dict[str, np.ndarray], steps: int) -> None:
        """Parameters and moments of the group's members, by name (m, …)."""
        self.parameters = {
            name: torch.tensor(part, device=self.device, requires_grad=True) for name, part in parameters.items()
        }
        self.adam = torch.optim.Adam(self.parameters.values(), self.learning_rate, fused=True)
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


class AutogradEpochs:
    """Epochs of networks that share their matrix products; see `epochs.Epochs`."""

    def __init__(
        self, training: Samples, validation: Samples, *, learning_rate: float, device: str, replica: Replica
    ) -> None:
        use_one_core(device)
        self.learning_rate, self.device, self.replica = learning_rate, device, replica
        self.training, self.validation = (
            Samples(*(torch.as_tensor(part, device=device) for part in samples)) for samples in (training, validation)
        )

    def epoch(
        self, members: list[int], tensors: dict[str, np.ndarray], steps: int, batches: Iterable[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        group = Group(self.device, self.learning_rate)
        parameters = {k.removeprefix("parameters/"): v for k, v in tensors.items() if k.startswith("parameters/")}
        group.set(parameters, tensors, steps)
        total, count = torch.zeros(len(members), device=self.device), 0
        for rows in batches:
            loss = self._losses(group, members, self.training, torch.as_tensor(rows, device=self.device))
            group.adam.zero_grad()
            loss.sum().backward()
            self.replica.averaged([part.grad for part in group.parameters.values() if part.grad is not None])
            group.adam.step()
            total += loss.detach() * len(rows)
            count += len(rows)
        total /= count
        self.replica.averaged([total])
        for name, part in group.tensors().items():
            tensors[name][:] = part
        return total.cpu().numpy(), self._validate(group, members)

    def _validate(self, group: Group, members: list[int]) -> np.ndarray:
        total = torch.zeros(len(members), device=self.device)
        n = self.validation.z.shape[1]
        with torch.no_grad():
            for rows in torch.arange(n, device=self.device).split(_VALIDATED_AT_ONCE):
                total += self._losses(group, members, self.validation, rows) * len(rows)
        return (total / n).cpu().numpy()

    def _losses(self, group: Group, members: list[int], samples: Samples, rows: Any) -> Any:
        """Mean squared error of each member over the rows, (m,); coordinates in units of their deviation."""
        z = samples.z[members][:, rows] if len(members) > 1 else samples.z[members[0], rows][None]
        x = torch.cat([z[..., None], samples.position.expand(*z.shape, 2)], -1)
        outputs = forward(TORCH, group.parameters, x)
        place = samples.place[members][:, rows]
        return ((outputs - place) ** 2).mean((1, 2))
