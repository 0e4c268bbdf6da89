"""Learned estimators: sets of sensors in, a place out. Inference needs NumPy alone."""

from engine.estimators.deepsets.checkpoint import Checkpoint
from engine.estimators.deepsets.conditioned import ConditionedDeepSets
from engine.estimators.deepsets.estimator import AmortisedDeepSets, DeepSets

__all__ = ["AmortisedDeepSets", "Checkpoint", "ConditionedDeepSets", "DeepSets"]
