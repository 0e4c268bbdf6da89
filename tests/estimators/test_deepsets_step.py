"""Steps by hand: gradients are autograd's in double precision, Adam is the paper's."""

import numpy as np
import pytest
from scipy.special import ndtr

from engine.estimators.deepsets.network import NUMPY, Architecture, _as_weights, forward, initial
from engine.estimators.deepsets.step_cpu import Step, _gelu

torch = pytest.importorskip("torch")
from engine.estimators.deepsets.autograd import TORCH  # noqa: E402


@pytest.mark.parametrize(
    ("architecture", "sets", "elements"),
    [
        (Architecture(outputs=1), 32, 20),
        (Architecture(outputs=2), 32, 40),
        (Architecture(7, (16, 24), 12, (20, 8), 5, summed=4), 5, 6),
        (Architecture(3, (16,), 12, (), 2), 1, 1),
    ],
)
def test_gradients_are_those_of_autograd(architecture: Architecture, sets: int, elements: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((sets, elements, architecture.features)).astype(np.float32)
    place = generator.standard_normal((sets, architecture.outputs)).astype(np.float32)
    start = initial(architecture, [3])
    exact = {name: torch.tensor(part.astype(float), requires_grad=True) for name, part in start.items()}
    outputs = forward(TORCH, exact, torch.tensor(x.astype(float))[None])[0]
    ((outputs - torch.tensor(place)) ** 2).mean().backward()

    step = Step(architecture, sets + 3, elements + 2)
    for name, part in start.items():
        step.parameters[name][:] = part[0]
    summed = architecture.summed
    told = np.concatenate(_as_weights(NUMPY, x[..., :summed].sum(axis=1)), axis=1) if summed else None
    for rows in (slice(sets // 2, None), slice(None)):  # what a smaller batch left does no harm
        found = step.forward(x[rows, :, summed:], None if told is None else told[rows])
        step.backward(2 * (found - place[rows]) / found.size)
    assert np.abs(found - outputs.detach().numpy()).max() < 1e-6
    for name, part in exact.items():
        assert _apart(step.gradients[name], part.grad.numpy()[0]) < 2e-5, name
    found = step.forward(x[..., summed:], told)
    step.backward(2 * (found - 1.01 * place) / found.size)  # the test can fail
    assert _apart(step.gradients["decoder.0.weight"], exact["decoder.0.weight"].grad.numpy()[0]) > 1e-3


def _apart(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(found - exact).max() / max(np.abs(exact).max(), 1e-12))


def test_gelu_and_its_slope_everywhere() -> None:
    v = np.concatenate([np.linspace(-9, 9, 9001), [-1e30, -40, 0, 40, 1e30]])[None]
    x, slope = v.astype(np.float32), np.empty(v.shape, np.float32)
    bias = np.full(v.shape[1], 0.25, np.float32)
    _gelu(x, bias, slope)
    v = v.astype(np.float32) + bias.astype(float)
    assert np.allclose(x, v * ndtr(v), rtol=3e-7, atol=1e-7)
    assert np.allclose(slope, ndtr(v) + v * np.exp(-0.5 * np.minimum(v * v, 1e3)) / np.sqrt(2 * np.pi), atol=3e-7)


def test_adam_is_algorithm_1() -> None:
    """Kingma, Ba, ICLR 2015, in double precision; that PyTorch's does the same, `test_deepsets_training` shows."""
    step = Step(Architecture(3, (8,), 6, (5,), 2), 1, 1)
    exact, mean, square = np.zeros((3, step.gradient.size))
    generator = np.random.default_rng(1)
    for t in range(1, 31):
        step.gradient[:] = 10.0 ** generator.uniform(-9, 2, step.gradient.size) * (-1 if t % 3 else 1)
        step.update(1e-2)
        g = step.gradient.astype(float)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        exact -= 1e-2 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    found = np.concatenate([part.ravel() for part in step.parameters.values()])
    assert np.abs(found - exact).max() < 1e-6
    assert np.abs(found).mean() > 1e-2
