"""What an estimator is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from engine.estimators.problem import Estimates
from engine.estimators.workbench import Batch, Workbench
from engine.imports import class_named
from engine.numerics.leakage import LeakageModel


class Estimator(BaseModel, ABC):
    """A frozen description. `leakage` is the model that it assumes, whichever one generated the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    leakage: LeakageModel = Field("spherical", description="leakage model that the estimator assumes")
    name: str = Field("", description="name along the dimension `estimator`; the class's if empty")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", _in_words(type(self).__name__))
        return self

    @abstractmethod
    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        """Builds what is costly, once in a worker; returns a pure function of a batch."""


def _in_words(name: str) -> str:
    """The class's name in lower case, words joined by underscores.

    >>> _in_words("LeastSquares")
    'least_squares'
    """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def description(estimator: Estimator) -> dict[str, Any]:
    """An estimator as plain JSON types: its class as `module:name` and its fields."""
    kind = type(estimator)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", **estimator.model_dump(mode="json")}


def from_description(given: Any) -> Any:
    """The estimator that `description` describes; anything else is handed on."""
    if not isinstance(given, Mapping) or "class" not in given:
        return given
    kind = class_named(str(given["class"]), Estimator, "estimator")
    return kind.model_validate({key: value for key, value in given.items() if key != "class"})


AnyEstimator = Annotated[Estimator, BeforeValidator(from_description), PlainSerializer(description)]
"""A field that holds an estimator of any class, as an object; stored with its class's import path."""
