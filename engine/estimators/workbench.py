"""What the estimators of a run share: tables built once in a worker, passes over the grid made once in a block."""

from collections.abc import Callable
from typing import Any

from engine.estimators.problem import Estimates, Observations, Problem, Surface
from engine.estimators.search import GridSearch
from engine.numerics.leakage import LeakageModel

Array = Any


class Workbench:
    """Prepared once in each worker: the tables of every leakage model that some estimator assumes."""

    def __init__(self, problem: Problem, xp: Any) -> None:
        self.problem, self.xp = problem, xp
        self._searches: dict[LeakageModel, GridSearch] = {}

    def search(self, model: LeakageModel) -> GridSearch:
        """The grid search under a model; its table is built when it is first asked for."""
        if model not in self._searches:
            self._searches[model] = GridSearch(self.problem, model, self.xp)
        return self._searches[model]

    def batch(self, observations: Observations) -> "Batch":
        """Observations in this namespace, beside room for what estimators share about them."""
        parts = (self.xp.asarray(part) for part in observations)
        return Batch(self, Observations(*parts))


class Batch:
    """One block of observations, and what more than one estimator needs of it, computed once."""

    def __init__(self, workbench: Workbench, observations: Observations) -> None:
        self.workbench, self.observations = workbench, observations
        self._known: dict[Any, Any] = {}

    def once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(batch, *arguments)`, computed when it is first asked for."""
        key = (function, *arguments)
        if key not in self._known:
            self._known[key] = function(self, *arguments)
        return self._known[key]

    def nearest(self, model: LeakageModel) -> Array:
        """See `GridSearch.nearest`."""
        return self.once(_nearest, model)

    def likelihood(self, model: LeakageModel) -> Surface:
        """See `GridSearch.likelihood`."""
        return self.once(_likelihood, model)

    def at(self, candidate: Array) -> Estimates:
        """The places of candidates (B, M), as estimates (B, S, L)."""
        xp = self.workbench.xp
        shape = self.observations.statistic.shape[:3]
        return Estimates(*(xp.reshape(part, shape) for part in self.workbench.problem.places(xp, candidate)))


def _nearest(batch: Batch, model: LeakageModel) -> Array:
    return batch.workbench.search(model).nearest(batch.observations)


def _likelihood(batch: Batch, model: LeakageModel) -> Surface:
    return batch.workbench.search(model).likelihood(batch.observations)
