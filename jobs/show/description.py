"""A sweep before it is run: its scenario's fields, its axes and dimensions, its estimators, as tables."""

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from engine import Scenario, Sweep
from engine.scenario import units
from engine.sweep import TextTable
from jobs.show.typography import listed, plain, pretty_unit

_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def tables_of(sweep: Sweep) -> list[TextTable]:
    """Axes and dimensions, then every field: value here, unit, what is allowed, meaning."""
    return [_dimensions(sweep), _fields(sweep)]


def _dimensions(sweep: Sweep) -> TextTable:
    rows: list[tuple[str, ...]] = [
        (name, "axis", str(len(values)), listed(list(values)), pretty_unit(units(name) or ""))
        for name, values in sweep.axes.items()
    ]
    for name, (dims, values, attributes) in sweep.scenario.coordinates().items():
        if dims == (name,):
            unit = pretty_unit(attributes.get("units", ""))
            rows.append((name, "own dimension", str(len(values)), listed(values.tolist()), unit))
    rows.append(("realization", "of each point", str(sweep.realizations), _budget(sweep), ""))
    return TextTable("Axes and dimensions", ("name", "kind", "number", "values", "unit"), rows)


def _budget(sweep: Sweep) -> str:
    full = f"; --full: {sweep.full}" if sweep.full else ""
    return f"seed {sweep.seed}, blocks of {sweep.block}{full}"


def _fields(sweep: Sweep) -> TextTable:
    kind = type(sweep.scenario)
    stored, defaults = sweep.scenario.stored_values(), _defaults(kind)
    rows: list[tuple[str, ...]] = [
        (
            name,
            ("axis" if name in sweep.axes else _value(stored[name])) + _otherwise(defaults, name, stored[name])
            if name in stored
            else "–",
            pretty_unit(units(name) or ""),
            "; ".join(_allowed(field)),
            field.description or name.replace("_", " "),
        )
        for name, field in kind.model_fields.items()
    ]
    title = f"Fields of {kind.__name__}: --set FIELD=VALUE, or --axis FIELD=A,B,C"
    return TextTable(title, ("field", "here", "unit", "allowed", "meaning"), rows)


def _defaults(kind: type[Scenario]) -> dict[str, Any]:
    """Of every field that has one, as plain types; nothing of a class that cannot be made of its defaults alone."""
    try:
        return kind().stored_values()
    except ValidationError:
        return {}


def _otherwise(defaults: dict[str, Any], name: str, stored: Any) -> str:
    return f" (default {_value(defaults[name])})" if name in defaults and defaults[name] != stored else ""


def _value(stored: Any) -> str:
    """Objects by their names, files by their paths."""
    if isinstance(stored, list):
        return ", ".join(map(_value, stored)) if any(isinstance(one, dict) for one in stored) else plain(stored)
    known = (stored.get(key) for key in ("name", "path")) if isinstance(stored, dict) else ()
    return next((str(text) for text in known if text), "") or plain(stored)


def _allowed(field: FieldInfo) -> Iterator[str]:
    if get_origin(field.annotation) is Literal:
        yield ", ".join(map(str, get_args(field.annotation)))
    elif field.annotation is bool:
        yield "yes, no"
    elif field.annotation is int:
        yield "whole"
    elif get_origin(field.annotation) is tuple:
        yield "one or several"
    for limit in field.metadata:
        for name, sign in _LIMITS.items():
            bound = getattr(limit, name, None)
            if bound is not None and not inspect.isroutine(bound):
                yield f"{sign} {plain(bound)}"
