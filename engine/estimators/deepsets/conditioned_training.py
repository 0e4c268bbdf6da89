"""Training of conditioned networks; imports torch by way of `training`."""

from typing import Any, NamedTuple

from engine.estimators.deepsets.features import LOG_VARIANCE
from engine.estimators.deepsets.network import forward
from engine.estimators.deepsets.training import TORCH, AmortisedTraining


class ConditionedRound(NamedTuple):
    """Samples for a conditioned network: standardised elements, and the places to say of them."""

    x: Any
    """(n, K, F)"""
    place: Any
    """(n, 2)"""


class ConditionedTraining(AmortisedTraining):
    """As an amortised network's, by the same loss; the outputs are the place itself and logarithms of its variances."""

    def _loss(self, drawn: Any) -> Any:
        outputs = forward(TORCH, self.group.parameters, drawn.x[None])[0]
        log_variance = outputs[:, 2:].clamp(*LOG_VARIANCE)
        likelihood = 0.5 * ((outputs[:, :2] - drawn.place) ** 2 * (-log_variance).exp() + log_variance)
        return ((0.5 * log_variance).exp().detach() * likelihood).mean()
