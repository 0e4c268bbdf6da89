"""Epochs of networks one after the other on a CPU core, by compiled steps: one's activations fill the cache.

Measured on one core of a busy machine, Table II, batch 32, samples a cpu-second at K = 20 and 40: 2290 and 1180, the
plain PyTorch loop 1290 and 770 in the same minutes; 84 and 88 % of the time is matrix products (jobs/benchmarks).
"""

from collections.abc import Iterable

import numpy as np
from threadpoolctl import threadpool_limits

from engine.estimators.deepsets.epochs import Samples
from engine.estimators.deepsets.network import Architecture
from engine.estimators.deepsets.replica import Replica
from engine.estimators.deepsets.step_cpu import Step


class CompiledEpochs:
    """See `epochs.Epochs`; one member at a time."""

    def __init__(
        self,
        architecture: Architecture,
        training: Samples,
        validation: Samples,
        *,
        batch: int,
        learning_rate: float,
        replica: Replica,
    ) -> None:
        self.training, self.validation, self.batch = training, validation, batch
        self.learning_rate, self.replica = learning_rate, replica
        n_sensors = len(training.position)
        self.step = Step(architecture, batch, n_sensors)
        self.x = np.empty((batch, n_sensors, 3), np.float32)
        self.x[..., 1:] = training.position

    def epoch(
        self, members: list[int], tensors: dict[str, np.ndarray], steps: int, batches: Iterable[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        (member,) = members
        rows = np.arange(self.validation.z.shape[1])
        with threadpool_limits(1):  # trainings, being independent, are spread over the cores
            self.step.load(tensors, steps)
            training = self._mean_loss(self.training, member, batches, learns=True)
            validation = self._mean_loss(
                self.validation, member, np.split(rows, range(self.batch, len(rows), self.batch)), learns=False
            )
            self.step.store(tensors)
        self.replica.averaged([training])
        return training, validation

    def _mean_loss(self, samples: Samples, member: int, batches: Iterable[np.ndarray], *, learns: bool) -> np.ndarray:
        """Mean squared error over the batches, (1,); coordinates in units of their deviation."""
        z, place = samples.z[member], samples.place[member]
        total, count = 0.0, 0
        for rows in batches:
            x = self.x[: len(rows)]
            x[..., 0] = z[rows]
            error = self.step.forward(x) - place[rows]
            total += float(np.vdot(error, error))
            count += error.size
            if learns:
                self.step.backward(error * np.float32(2 / error.size))
                self.replica.averaged([self.step.gradient])
                self.step.update(self.learning_rate)
        return np.array([total / count], np.float32)
