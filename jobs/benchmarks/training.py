"""Training speed: stacked networks beside the plain PyTorch loop, at equal result, one core.

Each is measured in processes of its own, in turn, because the allocator's setting that ours makes is the process's.
"""

import itertools
import json
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np

_NETWORKS, _SAMPLES, _BATCH, _ROUNDS = 2, 640, 32, 3


class Row(NamedTuple):
    """Samples a processor second by the plain loop and by ours, and how far the trained networks' outputs differ."""

    n_sensors: int
    plain: float
    ours: float
    difference: float

    @property
    def ratio(self) -> float:
        return self.ours / self.plain


def benchmarks() -> list[Row]:
    """K = 20 and 40; about a minute. Best of three turns, which other processes disturb least."""
    rows = []
    for n_sensors in (20, 40):
        found: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
        for _ in range(_ROUNDS):
            for which, results in found.items():
                words = [sys.executable, "-m", "jobs.benchmarks.training", which, str(n_sensors)]
                results.append(json.loads(subprocess.check_output(words, text=True)))
        outputs = [np.array(results[0]["outputs"]) for results in found.values()]
        speed = {which: max(result["speed"] for result in results) for which, results in found.items()}
        rows.append(Row(n_sensors, speed["plain"], speed["ours"], float(np.abs(outputs[0] - outputs[1]).max())))
    return rows


def _data(n_sensors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z (M, n, K), positions (K, 2), places (M, n, 2), all standardised."""
    generator = np.random.default_rng(0)
    shape = (_NETWORKS, _SAMPLES)
    z, position = generator.standard_normal((*shape, n_sensors)), generator.standard_normal((n_sensors, 2))
    return z.astype(np.float32), position.astype(np.float32), generator.standard_normal((*shape, 2)).astype(np.float32)


def _order() -> np.ndarray:
    return np.random.default_rng([0, 1]).permutation(_SAMPLES)


def _plain(n_sensors: int) -> tuple[float, list[Any]]:
    """One network after the other, as the tutorial has it: modules, autograd, Adam."""
    import torch
    from torch import nn

    from engine.estimators.deepsets.network import Architecture, initial

    torch.set_num_threads(1)
    start = initial(Architecture(), list(range(_NETWORKS)))

    class DeepSets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = (3, 256, 256, 256, 256)
            self.encoder = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(widths)])
            self.attention = nn.Linear(256, 256, bias=False)
            self.query = nn.Linear(256, 1, bias=False)
            widths = (256, 256, 128, 64, 2)
            self.decoder = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(widths)])

        def forward(self, x: Any) -> Any:
            for layer in self.encoder:
                x = nn.functional.gelu(layer(x))
            weight = torch.softmax(self.query(torch.tanh(self.attention(x))), dim=1)
            x = (weight * x).sum(dim=1)
            for layer in self.decoder[:-1]:
                x = nn.functional.gelu(layer(x))
            return self.decoder[-1](x)

    z, position, place = (torch.from_numpy(part) for part in _data(n_sensors))
    outputs, seconds = [], 0.0
    for i in range(_NETWORKS):
        model = DeepSets()
        state = {
            name: torch.from_numpy(start[name][i].T if name.endswith("weight") else start[name][i, 0])
            for name in model.state_dict()
        }
        model.load_state_dict(state)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        x = torch.cat([z[i][..., None], position.expand(*z[i].shape, 2)], dim=-1)
        started = time.process_time()
        for rows in torch.from_numpy(_order()).split(_BATCH):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[rows]), place[i][rows]).backward()
            optimizer.step()
        seconds += time.process_time() - started
        outputs.append(model(x[:32]).detach().tolist())
    return _NETWORKS * _SAMPLES / seconds, outputs


def _ours(n_sensors: int) -> tuple[float, list[Any]]:
    """The same networks, data and order by `StackTraining`."""
    from engine.estimators.deepsets.network import NUMPY, Architecture, forward
    from engine.estimators.deepsets.stack_training import Recipe, Samples, StackTraining

    z, position, place = _data(n_sensors)
    few = Samples(z[:, :1], position, place[:, :1])
    training = StackTraining(
        Architecture(), Recipe(batch=_BATCH, epochs=1), Samples(z, position, place), few,
        seeds=list(range(_NETWORKS)), order_seed=0,
    )  # fmt: skip
    started = time.process_time()
    list(training)
    seconds = time.process_time() - started
    x = np.concatenate([z[:, :32, :, None], np.broadcast_to(position, (_NETWORKS, 32, n_sensors, 2))], axis=-1)
    return _NETWORKS * _SAMPLES / seconds, forward(NUMPY, training.best, x).tolist()


if __name__ == "__main__":
    found = {"plain": _plain, "ours": _ours}[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps({"speed": found[0], "outputs": found[1]}))
