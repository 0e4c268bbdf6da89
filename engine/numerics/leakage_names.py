"""Leakage models by name: what a store, a settings file or a command line says, and the field that takes either.

A name is a file of `engine.numerics.leakage_models`, or `module:ATTRIBUTE` of anybody's own record; `engine.imports`
says which modules may be named.
"""

import pkgutil
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from engine.imports import object_named, stored_path
from engine.numerics import leakage_models
from engine.numerics.leakage import LeakageModel, name_of, path_of

_LONGEST_NAME = 200


def model_names() -> list[str]:
    """The models of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(leakage_models.__path__))


def model_named(name: str) -> LeakageModel:
    """The model of this name. Raises ValueError, in one line, if there is none."""
    return _named(name, ())


def stored_model_name(model: LeakageModel) -> str:
    """The name under which stores know a model, wherever its record has moved since."""
    return name_of(stored_path(model.path))


def model_given(given: Any, others: tuple[str, ...] = ()) -> LeakageModel:
    """The model that is named or given. Raises ValueError, in one line, if a store that names it could not be read.

    others: what else may be named where the model is asked for.
    """
    if not isinstance(given, str | LeakageModel):
        raise ValueError("needed a LeakageModel, or the name of one")
    model = _named(given, others) if isinstance(given, str) else given
    needed = f"needed a name 'module:ATTRIBUTE' that the model is found by, given {model.name!r}"
    try:
        found = _named(model.name, ())
    except ValueError as error:
        raise ValueError(f"{needed}: {error}") from None
    if found != model:
        raise ValueError(f"{needed}, which is another model's")
    return found


def _named(name: str, others: tuple[str, ...]) -> LeakageModel:
    if name.startswith("__main__:"):
        raise ValueError(f"leakage model {name!r} was defined in a script: define it in a module that can be imported")
    if len(name) > _LONGEST_NAME or not (":" in name or name.isidentifier()):
        raise _unknown(name, others)
    try:
        found = object_named(path_of(name), "leakage model")
    except ValueError:
        if ":" in name or name in model_names():
            raise
        raise _unknown(name, others) from None
    if not isinstance(found, LeakageModel):
        raise ValueError(f"{name!r} is no leakage model")
    return found


def _unknown(name: str, others: tuple[str, ...]) -> ValueError:
    known = [*model_names(), *others]
    near = get_close_matches(name, known, n=1)
    instead = f"did you mean {near[0]!r}?" if near else f"choose one of {known}, or module:ATTRIBUTE of your own"
    return ValueError(f"no leakage model of that name; {instead}")


AnyLeakageModel = Annotated[
    LeakageModel,
    PlainValidator(model_given, json_schema_input_type=str),
    PlainSerializer(stored_model_name, return_type=str),
]
"""A field that holds a leakage model, as an object or by its name; stored by its name."""
