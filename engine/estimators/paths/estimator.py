"""What an estimator of propagation paths is."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from engine.estimators.described import description, reader
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem
from engine.numerics.candidates import CandidateGrid


class Observer(Protocol):
    """Follows one batch of trials through its cycles, keeping what grows by a row a cycle."""

    def observe(self, cycles: Cycles) -> None:
        """Take further cycles of the same trials, at least one."""

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        """Where users and scatterers are, from all cycles so far; stating: and how sure that is, which takes time."""


class Localizer(Protocol):
    """What `prepare` builds once in a worker; `begin` starts one batch and changes nothing in it."""

    def begin(self) -> Observer: ...


class PathEstimator(BaseModel, ABC):
    """A frozen description: which dictionary, which refinement."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field("", description="name along the dimension `estimator`; the class's if empty")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", type(self).__name__)
        return self

    def lattice(self, problem: PathProblem) -> CandidateGrid | None:
        """The grid on which its users are; None of an estimator that leaves it, or has none."""
        return None

    @abstractmethod
    def prepare(self, problem: PathProblem, xp: Any) -> Localizer:
        """Builds what is costly, once in a worker, in the array namespace `xp`."""


AnyPathEstimator = Annotated[PathEstimator, BeforeValidator(reader(PathEstimator)), PlainSerializer(description)]
"""A field that holds such an estimator of any class, as an object; stored with its class's import path."""
