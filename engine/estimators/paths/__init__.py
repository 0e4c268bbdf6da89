"""Estimators of propagation paths seen through a reconfigurable surface: frozen descriptions, prepared once."""

from engine.estimators.paths.estimator import AnyPathEstimator, Localizer, Observer, PathEstimator
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem

__all__ = ["AnyPathEstimator", "Cycles", "Localizer", "Observer", "PathEstimates", "PathEstimator", "PathProblem"]
