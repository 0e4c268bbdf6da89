"""Training speed: our steps on a CPU core beside the plain PyTorch loop, at equal result.

Each is measured in processes of its own, in turn, as the allocator's state is the process's: after ours, the plain loop
was up to 1.25 times faster than alone, its activations being mapped already (ours was then still 1.38 times as fast).
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from jobs.benchmarks.measurement import Measurement

_NETWORKS, _SAMPLES, _BATCH, _ROUNDS, _TURNS = 2, 640, 32, 3, 2


def measurements() -> Iterator[Measurement]:
    """K = 20 and 40; about two minutes. Nothing without PyTorch, which is the plain loop's."""
    if find_spec("torch") is not None:
        yield from map(_speed, (20, 40))


def _speed(n_sensors: int) -> Measurement:
    """Best of three processes' two turns each, which others disturb least."""
    found: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(_ROUNDS):
        for which, results in found.items():
            words = [sys.executable, "-m", "jobs.benchmarks.training", which, str(n_sensors)]
            results.append(json.loads(subprocess.check_output(words, text=True)))
    plain, ours = (min(result["seconds"] for result in results) for results in found.values())
    outputs = [np.array(results[0]["outputs"]) for results in found.values()]
    products = min(result["products"] for result in found["ours"])
    trained, ratio = _NETWORKS * _SAMPLES, plain / ours
    how = (
        f"{trained / ours:.0f} samples a cpu-second against {trained / plain:.0f}, one core; equal to "
        f"{float(np.abs(outputs[0] - outputs[1]).max()):.0e}; {products / ours:.0%} of the time is matrix products"
    )
    what = f"DeepSets training, K = {n_sensors}"
    return Measurement(what, ratio, "times the plain loop", "≥ 1.25 times", ratio >= 1.25, how)


def _measured(which: str, n_sensors: int) -> dict[str, Any]:
    """What one process has to say: the shortest turn, what was trained, and matrix products alone."""
    way = {"plain": _plain, "ours": _ours}[which]
    z, position, place = _data(n_sensors)
    with threadpool_limits(1):
        way(z[:, :_BATCH], position, place[:, :_BATCH])  # compiles, and fills pools
        turns = [way(z, position, place) for _ in range(_TURNS)]
        products = min(_products(n_sensors) for _ in range(_TURNS))
    seconds = min(turn[0] for turn in turns)
    return {"seconds": seconds, "outputs": turns[0][1].tolist(), "products": products}


def _data(n_sensors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z (M, n, K), positions (K, 2), places (M, n, 2), all standardised."""
    generator = np.random.default_rng(0)
    shape = (_NETWORKS, _SAMPLES)
    z, position = generator.standard_normal((*shape, n_sensors)), generator.standard_normal((n_sensors, 2))
    return z.astype(np.float32), position.astype(np.float32), generator.standard_normal((*shape, 2)).astype(np.float32)


def _elements(z: np.ndarray, position: np.ndarray) -> np.ndarray:
    return np.concatenate([z[..., None], np.broadcast_to(position, (*z.shape, 2))], axis=-1)


def _plain(z: np.ndarray, position: np.ndarray, place: np.ndarray) -> tuple[float, np.ndarray]:
    """One network after the other, as the tutorial has it: modules, autograd, Adam. Seconds, and outputs."""
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

    order = np.random.default_rng([0, 1]).permutation(z.shape[1])
    outputs, seconds = [], 0.0
    for i in range(_NETWORKS):
        model = DeepSets()
        state = {
            name: torch.from_numpy(start[name][i].T if name.endswith("weight") else start[name][i, 0])
            for name in model.state_dict()
        }
        model.load_state_dict(state)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        x, y = torch.from_numpy(_elements(z[i], position)), torch.from_numpy(place[i])
        started = time.process_time()
        for rows in torch.from_numpy(order).split(_BATCH):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
        seconds += time.process_time() - started
        outputs.append(model(x[:_BATCH]).detach().numpy())
    return seconds, np.array(outputs)


def _ours(z: np.ndarray, position: np.ndarray, place: np.ndarray) -> tuple[float, np.ndarray]:
    """The same networks, data and order by `StackTraining`."""
    from engine.estimators.deepsets.epochs import Samples
    from engine.estimators.deepsets.network import NUMPY, Architecture, forward
    from engine.estimators.deepsets.stack_training import Recipe, StackTraining

    training = StackTraining(
        Architecture(), Recipe(batch=_BATCH, epochs=1), Samples(z, position, place),
        Samples(z[:, :1], position, place[:, :1]), seeds=list(range(_NETWORKS)), order_seed=0,
    )  # fmt: skip
    started = time.process_time()
    list(training)
    seconds = time.process_time() - started
    return seconds, forward(NUMPY, training.best, _elements(z[:, :_BATCH], position))


def _products(n_sensors: int) -> float:
    """Seconds that the matrix products of the layers with 256 inputs and outputs take as NumPy has them."""
    x, gradient = np.ones((2, _BATCH * n_sensors, 256), np.float32)
    weight, by_weight, out = np.zeros((256, 256), np.float32), np.empty((256, 256), np.float32), np.empty_like(x)
    started = time.process_time()
    for _ in range(4 * _NETWORKS * _SAMPLES // _BATCH):
        np.matmul(x, weight, out=out)
        np.matmul(x.T, gradient, out=by_weight)
        np.matmul(gradient, weight.T, out=out)
    return time.process_time() - started


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], int(sys.argv[2]))))
