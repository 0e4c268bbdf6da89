"""Descriptions of estimators as plain JSON types, and back: a class by its import path, beside its fields."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel


def description(estimator: BaseModel) -> dict[str, Any]:
    """An estimator as plain JSON types: its class as `module:name` and its fields."""
    kind = type(estimator)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", **estimator.model_dump(mode="json")}


def reader(base: type[BaseModel]) -> Callable[[Any], Any]:
    """A function that makes of a `description` the `base` that it describes, and hands on anything else."""

    def read(given: Any) -> Any:
        if not isinstance(given, Mapping) or "class" not in given:
            return given
        module_name, _, class_name = str(given["class"]).partition(":")
        try:
            kind = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"cannot import the estimator {given['class']!r}: {error}") from None
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise ValueError(f"{given['class']!r} is not an estimator")
        return kind.model_validate({key: value for key, value in given.items() if key != "class"})

    return read
