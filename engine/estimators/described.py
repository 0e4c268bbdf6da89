"""Descriptions of estimators as plain JSON types, and back: a class by its import path, beside its fields."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from engine.imports import class_named, stored_name


def description(estimator: BaseModel) -> dict[str, Any]:
    """An estimator as plain JSON types: its class as `module:name` and its fields."""
    return {"class": stored_name(type(estimator)), **estimator.model_dump(mode="json")}


def reader(base: type[BaseModel]) -> Callable[[Any], Any]:
    """A function that makes of a `description` the `base` that it describes, and hands on anything else."""

    def read(given: Any) -> Any:
        if not isinstance(given, Mapping) or "class" not in given:
            return given
        kind = class_named(str(given["class"]), base, "estimator")
        return kind.model_validate({key: value for key, value in given.items() if key != "class"})

    return read
