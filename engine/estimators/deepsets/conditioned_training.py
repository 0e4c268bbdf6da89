"""Training of conditioned networks; imports torch by way of `amortised_training`."""

from typing import Any

from engine.estimators.deepsets.amortised_training import TORCH, AmortisedTraining
from engine.estimators.deepsets.network import forward


class ConditionedTraining(AmortisedTraining):
    """As an amortised network's, by the same loss; the outputs are the place itself and logarithms of its variances."""

    def _said(self, drawn: Any) -> tuple[Any, Any]:
        outputs = forward(TORCH, self.group.parameters, drawn.x[None])[0]
        return outputs[:, :2], outputs[:, 2:]
