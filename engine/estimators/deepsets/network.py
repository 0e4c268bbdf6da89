"""DeepSets with attention pooling, many networks of one shape at once, in NumPy or PyTorch.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section IV and Table II; Zaheer et al., "Deep Sets", NeurIPS 2017; Lee et al.,
"Set Transformer", ICML 2019. Inference needs NumPy alone; `autograd` hands the same functions PyTorch's operations.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = Any
Parameters = Mapping[str, Array]
"""Name → array with a leading axis of M networks: `encoder.0.weight` (M, in, out), `encoder.0.bias` (M, 1, out), …"""

TEMPERATURES = (1.0, 8.0, 64.0)


@dataclass(frozen=True)
class Architecture:
    """Table II; widths of the layers. `outputs` are 1, a network for each coordinate, or 2, range and angle together;
    an amortised network has more, `features.OUTPUTS`."""

    features: int = 3
    encoder: tuple[int, ...] = (256, 256, 256, 256)
    attention: int = 256
    decoder: tuple[int, ...] = (256, 128, 64)
    outputs: int = 2
    summed: int = 0
    """leading features that are no input of the encoder but log-likelihoods, summed over the set for the decoder"""
    known: int = 0
    """what the decoder is told of the set as a whole"""

    def shapes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of every layer, by its name."""
        widths = [
            (self.features - self.summed, *self.encoder),
            (
                self.encoder[-1] + (len(TEMPERATURES) + 1) * self.summed + self.known,
                *self.decoder,
                self.outputs,
            ),
        ]
        return {
            **{f"encoder.{i}": pair for i, pair in enumerate(zip(widths[0][:-1], widths[0][1:], strict=True))},
            "attention": (self.encoder[-1], self.attention),
            "query": (self.attention, 1),
            **{f"decoder.{i}": pair for i, pair in enumerate(zip(widths[1][:-1], widths[1][1:], strict=True))},
        }


class Operations(NamedTuple):
    """What the network does, by the library that does it."""

    linear: Callable[[Array, Array, Array], Array]
    """x (M, R, in), weight (M, in, out), bias (M, 1, out): x weight + bias"""
    product: Callable[[Array, Array], Array]
    gelu: Callable[[Array], Array]
    tanh: Callable[[Array], Array]
    exp: Callable[[Array], Array]
    log_softmax: Callable[[Array], Array]
    """over the last axis"""
    masked: Callable[[Array, Array], Array]
    """−∞ where the mask is false"""
    joined: Callable[[list[Array]], Array]
    """along the last axis"""


def initial(architecture: Architecture, seeds: list[int]) -> dict[str, np.ndarray]:
    """Weights and biases uniform in ±1/√in, one network for each seed, whatever stands beside it; single precision.

    W and q of Eq. (27) have no bias.
    """
    parameters: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for name, (n_in, n_out) in architecture.shapes().items():
            limit = 1 / math.sqrt(n_in)
            parameters.setdefault(f"{name}.weight", []).append(generator.uniform(-limit, limit, (n_in, n_out)))
            if name not in ("attention", "query"):
                parameters.setdefault(f"{name}.bias", []).append(generator.uniform(-limit, limit, (1, n_out)))
    return {name: np.stack(parts).astype(np.float32) for name, parts in parameters.items()}


def forward(
    to: Operations, parameters: Parameters, x: Array, mask: Array | None = None, known: Array | None = None
) -> Array:
    """Outputs (M, B, O) of M networks for sets x (M, B, K, F); mask (B, K) is false where a set has no element.

    known (M, B, C): what is told of each set as a whole.
    """
    m, b, k, features = x.shape
    summed = features - parameters["encoder.0.weight"].shape[1]
    h = _layers(to, parameters, "encoder", x[..., summed:].reshape(m, b * k, -1), last=True)
    score = to.product(to.tanh(to.product(h, parameters["attention.weight"])), parameters["query.weight"])
    score = score.reshape(m, b, k)
    weight = to.exp(to.log_softmax(score if mask is None else to.masked(score, mask)))  # Eq. (27)
    pooled = to.product(weight.reshape(m, b, 1, k), h.reshape(m, b, k, -1))  # Eq. (26)
    pooled = pooled.reshape(m, b, -1)
    if summed:
        evidence = x[..., :summed] if mask is None else x[..., :summed] * mask[:, :, None]
        pooled = to.joined([pooled, *_as_weights(to, evidence.sum(-2))])
    if known is not None:
        pooled = to.joined([pooled, known])
    return _layers(to, parameters, "decoder", pooled, last=False)


def _layers(to: Operations, parameters: Parameters, part: str, x: Array, *, last: bool) -> Array:
    """Linear layers with GELU between them, and after the `last` one if so."""
    count = sum(name.startswith(part) and name.endswith("weight") for name in parameters)
    for i in range(count):
        x = to.linear(x, parameters[f"{part}.{i}.weight"], parameters[f"{part}.{i}.bias"])
        x = to.gelu(x) if last or i < count - 1 else x
    return x


def _as_weights(to: Operations, log_likelihood: Array) -> list[Array]:
    """Posterior weights of the last axis's templates, as they are and tempered, and how far behind the best each is.

    Where the posterior is narrower than the templates' spacing one weight is 1, and only the tempered ones tell more.
    """
    tempered = [to.log_softmax(log_likelihood / temperature) for temperature in TEMPERATURES]
    return [*map(to.exp, tempered), (1 - tempered[0]) ** 0.25 - 1]


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return x * ndtr(x)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    away = x - np.max(x, axis=-1, keepdims=True)
    return away - np.log(np.sum(np.exp(away), axis=-1, keepdims=True))


NUMPY = Operations(
    linear=lambda x, weight, bias: x @ weight + bias,
    product=np.matmul,
    gelu=_gelu,
    tanh=np.tanh,
    exp=np.exp,
    log_softmax=_log_softmax,
    masked=lambda score, mask: np.where(mask, score, -np.inf),
    joined=lambda parts: np.concatenate(parts, axis=-1),
)
