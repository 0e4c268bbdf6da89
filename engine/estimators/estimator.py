"""What an estimator is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from engine.errors import InputError
from engine.estimators.assumed_leakage import AnyAssumedLeakage
from engine.estimators.described import description, reader
from engine.estimators.doubt import unchecked
from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.leakage_models.spherical import SPHERICAL

FINENESS: float = Field(
    1.0, ge=0.25, le=16, description="of the grid that peaks are found on: 2 has twice the angles and ranges"
)


class Estimator(BaseModel, ABC):
    """A frozen description. `leakage` is the model that it assumes, whichever one generated the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    leakage: AnyAssumedLeakage = Field(SPHERICAL, description="leakage that the estimator assumes")
    name: str = Field("", description="name along the dimension `estimator`; the class's if empty")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", _in_words(type(self).__name__))
        return self

    def training_seeds(self) -> frozenset[int]:
        """Seeds of the data that the estimator was trained, chosen or tuned on: no run may judge it on them."""
        return frozenset()

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Standard deviations of the errors that the estimator expects of its estimates; NaN if it cannot say.

        Costly, and not for Monte Carlo runs, which measure errors: for measurements of which nothing else is known.
        """
        xp = batch.workbench.xp
        return Estimates(*(xp.full_like(part, math.nan) for part in estimates))

    def self_check(self, batch: Batch, estimates: Estimates) -> Any:
        """What the estimator knows against its estimates, a sum of `engine.estimators.doubt.Doubt`: (B, S, L)."""
        return unchecked(estimates)

    @abstractmethod
    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        """Builds what is costly, once in a worker; returns a pure function of a batch."""


def require_unseen(estimators: Iterable[Estimator], seed: int) -> None:
    """InputError where an estimator was trained on what this seed draws."""
    for estimator in estimators:
        if seed in estimator.training_seeds():
            raise InputError(f"seed {seed} drew the data that {estimator.name} was trained on: choose another --seed")


def no_estimates(batch: Batch) -> Estimates:
    """For an estimator that is not asked."""
    xp, shape = batch.workbench.xp, batch.observations.statistic.shape[:3]
    return Estimates(xp.full(shape, math.nan), xp.full(shape, math.nan))


def _in_words(name: str) -> str:
    """The class's name in lower case, words joined by underscores.

    >>> _in_words("LeastSquares")
    'least_squares'
    """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


AnyEstimator = Annotated[Estimator, BeforeValidator(reader(Estimator)), PlainSerializer(description)]
"""A field that holds an estimator of any class, as an object; stored with its class's import path."""
