"""What an estimator assumes of the leakage: a model of it, or a table that its scenario makes."""

from typing import Annotated, Any, Literal, get_args

from pydantic import PlainSerializer, PlainValidator

from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_names import model_given, stored_model_name

Tabulated = Literal["ray_traced", "free_space"]
"""Leakage that a scenario tabulates for every candidate: traced in its surroundings, or as if there were none."""
AssumedLeakage = LeakageModel | Tabulated


def require_a_model(leakage: AssumedLeakage, instead: str) -> None:
    """ValueError where an estimator would leave the grid of a tabulated leakage."""
    if not isinstance(leakage, LeakageModel):
        raise ValueError(f"the leakage {leakage!r} is known on the grid alone: set {instead}")


def model_of(leakage: AssumedLeakage) -> LeakageModel:
    """The model itself, for what needs leakages off the grid. ValueError where there is a table alone."""
    require_a_model(leakage, instead="a model such as leakage='spherical'")
    assert isinstance(leakage, LeakageModel)
    return leakage


def _read(given: Any) -> Any:
    tables = get_args(Tabulated)
    return given if given in tables else model_given(given, tables)


def _stored(assumed: AssumedLeakage) -> str:
    return stored_model_name(assumed) if isinstance(assumed, LeakageModel) else assumed


AnyAssumedLeakage = Annotated[
    AssumedLeakage, PlainValidator(_read, json_schema_input_type=str), PlainSerializer(_stored, return_type=str)
]
"""A field that holds either, a model as an object or by its name; stored by its name."""
