"""Training: stacked is separate, interrupted is uninterrupted, and something is learned."""

import math
from pathlib import Path

import numpy as np
import pytest

from engine import InputError
from engine.estimators.deepsets.epochs import Samples
from engine.estimators.deepsets.features import KNOWN, OUTPUTS
from engine.estimators.deepsets.network import NUMPY, Architecture, forward, initial
from engine.estimators.deepsets.rounds import AmortisedRecipe
from engine.estimators.deepsets.stack_training import Recipe, StackTraining

torch = pytest.importorskip("torch")
from engine.estimators.deepsets.amortised_training import AmortisedTraining, Round  # noqa: E402
from engine.estimators.deepsets.autograd import TORCH  # noqa: E402

SMALL = Architecture(3, (16, 16), 12, (12, 8), 2)


def _samples(n: int, seed: int, networks: int = 3) -> Samples:
    """Places that two of five sensors tell, network by network with more noise."""
    generator = np.random.default_rng(seed)
    place = generator.standard_normal((n, 2))
    position = np.stack([np.linspace(-1, 1, 5), np.linspace(1, -1, 5) ** 2], axis=-1)
    clean = place @ np.array([[1.0, 0, 0, 0.5, 0], [0, 1.0, 0, 0, -0.5]])
    z = np.stack([clean + 0.3 * m * generator.standard_normal((n, 5)) for m in range(networks)])
    return Samples(z.astype(np.float32), position, np.broadcast_to(place, (networks, n, 2)))


def _trained(state: Path | None = None, *, at_once: int = 1, members: tuple[int, ...] = (0, 1, 2), epochs: int = 6):
    pick = list(members)
    parts = [Samples(one.z[pick], one.position, one.place[pick]) for one in (_samples(256, 1), _samples(128, 2))]
    return StackTraining(
        SMALL, Recipe(learning_rate=1e-2, patience=2, epochs=epochs), *parts, seeds=[10 + m for m in pick],
        order_seed=3, state=state, at_once=at_once,
    )  # fmt: skip


def _differs(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def test_numpy_and_torch_compute_the_same() -> None:
    architecture = Architecture(7, (16, 16), 12, (12, 8), 5, summed=4, known=3)
    parameters = initial(architecture, [1, 2])
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype(np.float32)
    mask = np.arange(6) < np.array([[2], [6], [4]])
    known = np.random.default_rng(1).standard_normal((2, 3, 3)).astype(np.float32)
    tensors = {name: torch.from_numpy(part) for name, part in parameters.items()}
    found = forward(TORCH, tensors, *map(torch.from_numpy, (x, mask, known))).numpy()
    assert np.allclose(found, forward(NUMPY, parameters, x, mask, known), atol=1e-5)
    assert not np.allclose(found, forward(NUMPY, parameters, x, mask, known + 0.1), atol=1e-3)  # the test can fail


def test_stacked_networks_are_those_trained_alone() -> None:
    """Alone and one at a time they are trained by hand, more at once by autograd."""
    alone = [_trained(members=(m,)) for m in range(3)]
    for training in alone:
        list(training)
    for at_once in (1, 2, 3):
        stacked = _trained(at_once=at_once)
        list(stacked)
        for m, training in enumerate(alone):
            assert stacked.best_epoch[m] == training.best_epoch[0]
            mine = {name: part[m : m + 1] for name, part in stacked.best.items()}
            assert _differs(mine, training.best) < 2e-4
            assert stacked.best_loss[m] == pytest.approx(training.best_loss[0], rel=1e-4)
        assert _differs({k: v[:1] for k, v in stacked.best.items()}, alone[1].best) > 0.1  # the test can fail


def test_it_learns_and_stops() -> None:
    training = _trained(epochs=60, at_once=3)
    epochs = list(training)
    first = np.array(epochs[0].validation_loss)
    assert training.best_loss[0] < 0.1 * min(1.0, first[0])
    assert training.best_loss[0] < training.best_loss[1] < training.best_loss[2]
    assert epochs[-1].running == 0
    assert math.isnan(epochs[-1].validation_loss[0]) or epochs[-1].number - training.best_epoch[0] <= 2
    assert all(len(epochs) >= best + 2 for best in training.best_epoch)


@pytest.mark.parametrize(("stop_after", "at_once"), [(1, 1), (4, 1), (4, 2)])
def test_an_interrupted_training_ends_as_if_it_were_not(tmp_path: Path, stop_after: int, at_once: int) -> None:
    whole = _trained(at_once=at_once, epochs=8)
    list(whole)
    state = tmp_path / "state"
    first = iter(_trained(state, at_once=at_once, epochs=8))
    for _ in range(stop_after):
        next(first)
    del first  # as after SIGKILL: nothing but the file is left
    again = _trained(state, at_once=at_once, epochs=8)
    assert len(again.history) == stop_after
    list(again)
    assert again.best_epoch == whole.best_epoch
    assert _differs(again.best, whole.best) == 0
    assert [e.number for e in again.history] == [e.number for e in whole.history]
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(InputError, match="is the state of another training"):
        _trained(state, epochs=9)


def test_the_amortised_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    architecture = Architecture(6, (8, 8), 8, (8, 8), OUTPUTS, summed=2, known=KNOWN)

    def fresh(number: int) -> Round:
        generator = np.random.default_rng(number)
        return Round(*(generator.standard_normal(shape) for shape in ((40, 5, 6), (40, KNOWN), (40, 2))))

    def trained(state: Path | None) -> AmortisedTraining:
        recipe = AmortisedRecipe(batch=16, passes=2, samples=200, saved_every=80)
        return AmortisedTraining(architecture, recipe, fresh, seed=4, state=state)

    whole = trained(None)
    assert [done.samples for done in whole] == [80, 160, 200]
    cut = iter(trained(tmp_path / "state"))
    next(cut)
    again = trained(tmp_path / "state")
    list(again)
    assert _differs(again.parameters(), whole.parameters()) == 0
    assert _differs(again.parameters(), initial(architecture, [4])) > 1e-4
