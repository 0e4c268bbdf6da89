"""What the estimators of a run share: tables built once in a worker, passes over the grid made once in a block."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.errors import InputError
from engine.estimators.assumed_leakage import AssumedLeakage
from engine.estimators.candidates import Candidates, ModelledCandidates, TabulatedCandidates
from engine.estimators.problem import Estimates, Observations, Problem, Surface
from engine.estimators.search import GridSearch, Ridges
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_names import model_names
from engine.numerics.pattern import resolving

Array = Any


class _Computed:
    """Holds what was computed of it."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(self, *arguments)`, computed when it is first asked for."""
        key = (function, *arguments)
        if key not in self._known:
            self._known[key] = function(self, *arguments)
        return self._known[key]


class Workbench(_Computed):
    """Prepared once in each worker: the tables of every leakage that some estimator assumes.

    expected: of each leakage that no model says, a table as `TabulatedCandidates` takes it. exact: of those that are
    known off the grid as well, the function that says them, see `engine.estimators.refined.Exact`.
    """

    def __init__(
        self,
        problem: Problem,
        xp: Any,
        expected: Mapping[AssumedLeakage, np.ndarray] = MappingProxyType({}),
        exact: Mapping[AssumedLeakage, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType({}),
    ) -> None:
        self.problem, self.xp, self._expected, self.exact = problem, xp, expected, exact
        self._searches: dict[AssumedLeakage, GridSearch] = {}
        self._resolving: dict[float, Workbench] = {}
        super().__init__()

    @functools.cached_property
    def host(self) -> "Workbench":
        """The same with NumPy arrays."""
        return self if is_numpy_namespace(self.xp) else Workbench(self.problem, np, self._expected, self.exact)

    def expected(self, assumed: AssumedLeakage) -> np.ndarray:
        """The table of a leakage that no model says, (candidates, K)."""
        return self._expected[assumed]

    def resolving(self, fineness: float = 1.0) -> "Workbench":
        """The same with candidates that resolve the peaks of likelihoods, `engine.numerics.pattern.resolving`."""
        if fineness not in self._resolving:
            grid = resolving(self.problem.array, self.problem.grid, fineness)
            self._resolving[fineness] = Workbench(replace(self.problem, grid=grid), self.xp)
        return self._resolving[fineness]

    def search(self, assumed: AssumedLeakage) -> GridSearch:
        """The grid search under a model or table; what it needs is built when it is first asked for."""
        if assumed not in self._searches:
            self._searches[assumed] = GridSearch(self.problem, self._candidates(assumed), self.xp)
        return self._searches[assumed]

    def _candidates(self, assumed: AssumedLeakage) -> Candidates:
        if assumed in self._expected:
            return TabulatedCandidates(self.problem, self._expected[assumed])
        if not isinstance(assumed, LeakageModel):
            raise InputError(
                f"an estimator assumes the leakage {assumed!r}, which only a scenario with surroundings tabulates: "
                f"choose one of {', '.join(model_names())}"
            )
        return ModelledCandidates(self.problem, assumed)

    def batch(self, observations: Observations) -> "Batch":
        """Observations in this namespace, beside room for what estimators share about them."""
        parts = (self.xp.asarray(part) for part in observations)
        return Batch(self, Observations(*parts))


class Batch(_Computed):
    """One block of observations, and what more than one estimator needs of it, computed once."""

    def __init__(self, workbench: Workbench, observations: Observations) -> None:
        self.workbench, self.observations = workbench, observations
        super().__init__()

    def resolving(self, fineness: float = 1.0) -> "Batch":
        """The same observations on the workbench whose candidates resolve peaks, see `Workbench.resolving`."""
        return self.once(_resolving, fineness)

    def nearest(self, model: AssumedLeakage) -> Array:
        """See `GridSearch.nearest`."""
        return self.once(_nearest, model)

    def likelihood(self, model: AssumedLeakage) -> Surface:
        """See `GridSearch.likelihood`."""
        surface: Surface = self.once(_likelihood, model)[0]
        return surface

    def ridges(self, model: AssumedLeakage) -> Ridges:
        """See `GridSearch.likelihood`."""
        looked: Ridges = self.once(_likelihood, model)[2]
        return looked

    def likeliest(self, model: AssumedLeakage) -> Array:
        """Index of the most likely candidate, (B, M)."""
        return self.once(_likeliest, model)

    def at(self, candidate: Array) -> Estimates:
        """The places of candidates (B, M), as estimates (B, S, L)."""
        xp = self.workbench.xp
        shape = self.observations.statistic.shape[:3]
        return Estimates(*(xp.reshape(part, shape) for part in self.workbench.problem.places(xp, candidate)))


def _resolving(batch: Batch, fineness: float) -> Batch:
    return Batch(batch.workbench.resolving(fineness), batch.observations)


def _nearest(batch: Batch, model: AssumedLeakage) -> Array:
    return batch.workbench.search(model).nearest(batch.observations)


def _likelihood(batch: Batch, model: AssumedLeakage) -> tuple[Surface, Callable[[], Array], Ridges]:
    return batch.workbench.search(model).likelihood(batch.observations)


def _likeliest(batch: Batch, model: AssumedLeakage) -> Array:
    return batch.once(_likelihood, model)[1]()
