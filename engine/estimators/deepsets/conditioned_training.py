"""Training of conditioned networks; imports torch by way of `amortised_training`."""

from typing import Any, NamedTuple

from engine.estimators.deepsets.amortised_training import TORCH, AmortisedTraining
from engine.estimators.deepsets.network import forward


class ConditionedRound(NamedTuple):
    """Samples for a conditioned network: standardised elements, and the places to say of them."""

    x: Any
    """(n, K, F)"""
    place: Any
    """(n, 2)"""


class ConditionedTraining(AmortisedTraining):
    """As an amortised network's, by the same loss; the outputs are the place itself and logarithms of its variances."""

    def _said(self, drawn: Any) -> tuple[Any, Any]:
        outputs = forward(TORCH, self.group.parameters, drawn.x[None])[0]
        return outputs[:, :2], outputs[:, 2:]
