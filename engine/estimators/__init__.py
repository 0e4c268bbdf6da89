"""Estimators of a focal point from far-field powers: frozen descriptions, prepared once, then pure functions.

    problem = Problem(array, grid, snr=(1e10,), n_snapshots=(50,))
    workbench = Workbench(problem, numpy)
    estimate = MaximumLikelihood(leakage="spherical").prepare(workbench)
    estimates = estimate(workbench.batch(observations))

A new estimator is a subclass of `Estimator` in a file of its own, passed as an object wherever one is asked for.
"""

from engine.estimators.estimator import AnyEstimator, Estimator
from engine.estimators.least_squares import LeastSquares
from engine.estimators.maximum_likelihood import MaximumLikelihood
from engine.estimators.posterior_mean import PosteriorMean
from engine.estimators.problem import Estimates, Observations, Problem
from engine.estimators.workbench import Batch, Workbench

__all__ = [
    "AnyEstimator",
    "Batch",
    "Estimates",
    "Estimator",
    "LeastSquares",
    "MaximumLikelihood",
    "Observations",
    "PosteriorMean",
    "Problem",
    "Workbench",
]
