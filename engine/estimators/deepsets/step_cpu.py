"""Forward, backward and Adam of one network by hand, on one CPU core. Imports numba, and no PyTorch.

What autograd cannot know saves the time: every buffer is there before the first step; a layer's bias, GELU and GELU's
slope are one pass over what the matrix product left; the slope becomes the gradient in its place; the data need no
gradient. Matrix products are NumPy's. The network is that of `network.forward`, in single precision.
"""

import math
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial
from scipy.special import erfcx

from engine.estimators.deepsets.network import Architecture, initial
from engine.numerics.compiled import compiled

_MEAN_SHARE, _SQUARE_SHARE, _EPSILON = 0.1, 0.001, np.float32(1e-8)  # 1 − β₁, 1 − β₂, ε
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_LOG2_E = np.float32(1 / math.log(2))
_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
_LOWEST_EXPONENT, _HIGHEST_EXPONENT = np.float32(-126), np.float32(126)
_EXPONENT_OF_1, _FRACTION_BITS = np.int32(127), np.int32(23)


def _fitted(function: Any, degree: int) -> tuple[np.float32, ...]:
    """A polynomial for `function` on [0, 1], lowest power first."""
    fit = chebyshev.Chebyshev.interpolate(function, degree, domain=[0, 1])
    return tuple(np.float32(c) for c in fit.convert(kind=polynomial.Polynomial).coef)


_TAIL = np.float32(0.4)
_EXP_2 = _fitted(np.exp2, 6)  # error 1e-8
_MILLS = _fitted(lambda t: erfcx((1 / np.maximum(t, 1e-9) - 1) / (0.4 * math.sqrt(2))) / 2, 8)
"""Φ(−u) e^{u²/2} as a polynomial in t = 1/(1 + 0.4 u); times e^{−u²/2}, which GELU's slope needs too: error 4e-8."""


def _exp_2_plain(x: Any) -> Any:
    """2^x for x in ±126."""
    whole = np.floor(x)
    f = x - whole
    c0, c1, c2, c3, c4, c5, c6 = _EXP_2
    power = np.int32((np.int32(whole) + _EXPONENT_OF_1) << _FRACTION_BITS).view(np.float32)
    return power * (c0 + f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * c6))))))


_exp_2 = compiled(_exp_2_plain)


def _gelu_plain(x: Any, bias: Any, slope: Any) -> None:
    """x (R, W) becomes GELU(x + bias), slope its derivative."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = _MILLS
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            v = x[r, c] + bias[c]
            e = _exp_2(max(-v * v * (_HALF * _LOG2_E), _LOWEST_EXPONENT))
            t = _ONE / (_ONE + _TAIL * abs(v))
            tail = e * (c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * (c5 + t * (c6 + t * (c7 + t * c8))))))))
            below = tail if v < _ZERO else _ONE - tail
            x[r, c] = v * below
            slope[r, c] = below + v * (_DENSITY * e)


def _through_gelu_plain(slope: Any, gradient: Any, bias: Any) -> None:
    """slope (R, W) becomes the gradient by what GELU was taken of; bias (W,) its sum."""
    bias[:] = _ZERO
    for r in range(slope.shape[0]):
        for c in range(slope.shape[1]):
            g = slope[r, c] * gradient[r, c]
            slope[r, c] = g
            bias[c] += g


def _through_pooling_plain(gradient: Any, weight: Any, pooled: Any) -> None:
    """Add weight (B, K) times the gradient by each set's pooled elements (B, W) to that by the elements (B K, W)."""
    for b in range(weight.shape[0]):
        for k in range(weight.shape[1]):
            r, w = b * weight.shape[1] + k, weight[b, k]
            for c in range(gradient.shape[1]):
                gradient[r, c] += w * pooled[b, c]


def _score_plain(x: Any, query: Any, scores: Any) -> None:
    """x (R, A) becomes tanh x, scores (R,) its products with the query (A,)."""
    for r in range(x.shape[0]):
        score = _ZERO
        for c in range(x.shape[1]):
            t = min(max(x[r, c] * (_TWO * _LOG2_E), _LOWEST_EXPONENT), _HIGHEST_EXPONENT)
            t = _ONE - _TWO / (_ONE + _exp_2(t))
            x[r, c] = t
            score += t * query[c]
        scores[r] = score


def _through_score_plain(tanh: Any, query: Any, scores: Any) -> None:
    """From the gradient by the scores (R,) that by what tanh (R, A) was taken of, in its place."""
    for r in range(tanh.shape[0]):
        for c in range(tanh.shape[1]):
            tanh[r, c] = scores[r] * query[c] * (_ONE - tanh[r, c] * tanh[r, c])


def _adam_plain(parameters: Any, gradient: Any, mean: Any, square: Any, rate: Any, widen: Any) -> None:
    """Kingma, Ba, "Adam", ICLR 2015, Algorithm 1: rate is α/(1 − β₁ᵗ), widen 1/√(1 − β₂ᵗ)."""
    for i in range(parameters.shape[0]):
        g = gradient[i]
        mean[i] += np.float32(_MEAN_SHARE) * (g - mean[i])
        square[i] += np.float32(_SQUARE_SHARE) * (g * g - square[i])
        parameters[i] -= rate * mean[i] / (np.sqrt(square[i]) * widen + _EPSILON)


_gelu, _through_gelu = compiled(_gelu_plain), compiled(_through_gelu_plain)
_score, _through_score = compiled(_score_plain), compiled(_through_score_plain)
_through_pooling, _adam = compiled(_through_pooling_plain), compiled(_adam_plain)


class _Layers:
    """Linear layers with GELU between them, and after the `last` one if so, for at most `rows` rows."""

    def __init__(
        self, parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], part: str, rows: int, *, last: bool
    ) -> None:
        def of(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
            return [array for name, array in arrays.items() if name.startswith(part) and name.endswith(kind)]

        self.weights, self.biases = of(parameters, "weight"), of(parameters, "bias")
        self.weight_gradients, self.bias_gradients = of(gradients, "weight"), of(gradients, "bias")
        widths = [weight.shape[1] for weight in self.weights]
        self.outputs = [np.empty((rows, width), np.float32) for width in widths]
        self.slopes = [np.empty((rows, width), np.float32) for width in widths[: len(widths) if last else -1]]
        self.scratch = np.empty(rows * max(weight.shape[0] for weight in self.weights), np.float32)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The last layer's outputs (R, out) for x (R, in)."""
        self.inputs = [x]
        for i, (weight, bias, outputs) in enumerate(zip(self.weights, self.biases, self.outputs, strict=True)):
            x = np.matmul(x, weight, out=outputs[: len(x)])
            if i < len(self.slopes):
                _gelu(x, bias[0], self.slopes[i][: len(x)])
            else:
                x += bias
            self.inputs.append(x)
        return x

    def backward(self, gradient: np.ndarray) -> np.ndarray:
        """Gradients by weights and biases from that by the outputs; returned is that by the first layer's product."""
        for i in reversed(range(len(self.weights))):
            if i < len(self.slopes):
                slope = self.slopes[i][: len(gradient)]
                _through_gelu(slope, gradient, self.bias_gradients[i][0])
                gradient = slope
            else:
                np.sum(gradient, axis=0, keepdims=True, out=self.bias_gradients[i])
            np.matmul(self.inputs[i].T, gradient, out=self.weight_gradients[i])
            if i:
                gradient = self.through(gradient, self.weights[i])
        return gradient

    def through(self, gradient: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The gradient (R, in) by what a layer took, from that by its product (R, out)."""
        shape = len(gradient), len(weight)
        return np.matmul(gradient, weight.T, out=self.scratch[: math.prod(shape)].reshape(shape))


class Step:
    """One network, its gradient and Adam's moments, each flat and, by name as `network.initial` has them but for the
    axis of networks, in views of it."""

    def __init__(self, architecture: Architecture, sets: int, elements: int) -> None:
        """For at most so many sets of at most so many elements at once."""
        shapes = {name: part.shape[1:] for name, part in initial(architecture, [0]).items()}
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])

        def views(flat: np.ndarray) -> dict[str, np.ndarray]:
            parts = zip(shapes.items(), np.split(flat, ends[:-1]), strict=True)
            return {name: part.reshape(shape) for (name, shape), part in parts}

        self._flat, self.gradient, self._mean, self._square = np.zeros((4, ends[-1]), np.float32)
        self.parameters, self.gradients = views(self._flat), views(self.gradient)
        kinds = {"parameters": self.parameters, "mean": views(self._mean), "square": views(self._square)}
        self._state = {f"{kind}/{name}": part for kind, parts in kinds.items() for name, part in parts.items()}
        self.steps = 0
        rows = sets * elements
        self._encoder = _Layers(self.parameters, self.gradients, "encoder", rows, last=True)
        self._decoder = _Layers(self.parameters, self.gradients, "decoder", sets, last=False)
        self._tanh = np.empty((rows, architecture.attention), np.float32)
        self._scores = np.empty(rows, np.float32)

    def load(self, tensors: dict[str, np.ndarray], steps: int) -> None:
        """Parameters and moments (1, …) after so many steps, by the names that training states have."""
        self.steps = steps
        for name, part in self._state.items():
            part[:] = tensors[name][0]

    def store(self, tensors: dict[str, np.ndarray]) -> None:
        """The inverse of `load`."""
        for name, part in self._state.items():
            tensors[name][0] = part

    def forward(self, x: np.ndarray, told: np.ndarray | None = None) -> np.ndarray:
        """Outputs (B, O) for sets x (B, K, F), in whose place the next outputs are put; x is needed until then.

        told (B, C): what the decoder takes beside the pooled elements.
        """
        b, k, features = x.shape
        self._hidden = self._encoder.forward(x.reshape(b * k, features))
        tanh = np.matmul(self._hidden, self.parameters["attention.weight"], out=self._tanh[: b * k])
        _score(tanh, self.parameters["query.weight"][:, 0], self._scores[: b * k])
        scores = self._scores[: b * k].reshape(b, k)
        weight = np.exp(scores - scores.max(axis=1, keepdims=True))
        self._weight = weight / weight.sum(axis=1, keepdims=True)  # Eq. (27)
        pooled = (self._weight[:, None] @ self._hidden.reshape(b, k, -1))[:, 0]  # Eq. (26)
        return self._decoder.forward(pooled if told is None else np.concatenate([pooled, told], axis=1))

    def backward(self, gradient: np.ndarray) -> None:
        """`self.gradient` from the gradient of a loss by the outputs (B, O) of the last `forward`; once, as what that
        left is overwritten."""
        b, k = self._weight.shape
        width = self._hidden.shape[1]
        by_pooled = self._decoder.through(self._decoder.backward(gradient), self.parameters["decoder.0.weight"][:width])
        along = (self._hidden.reshape(b, k, width) @ by_pooled[:, :, None])[:, :, 0]
        along -= np.sum(self._weight * along, axis=1, keepdims=True)
        by_scores = (self._weight * along).reshape(-1)
        tanh = self._tanh[: b * k]
        np.matmul(tanh.T, by_scores, out=self.gradients["query.weight"][:, 0])
        _through_score(tanh, self.parameters["query.weight"][:, 0], by_scores)
        np.matmul(self._hidden.T, tanh, out=self.gradients["attention.weight"])
        by_hidden = self._encoder.through(tanh, self.parameters["attention.weight"])
        _through_pooling(by_hidden, self._weight, by_pooled)
        self._encoder.backward(by_hidden)

    def update(self, learning_rate: float) -> None:
        """One step of Adam."""
        self.steps += 1
        rate = learning_rate / (1 - (1 - _MEAN_SHARE) ** self.steps)
        widen = 1 / math.sqrt(1 - (1 - _SQUARE_SHARE) ** self.steps)
        _adam(self._flat, self.gradient, self._mean, self._square, np.float32(rate), np.float32(widen))
