"""What a scenario is: a frozen description that can draw realizations and turn them into variables.

The contract, which the engine relies on and cannot check in full:

- `draw(streams, size)` uses no other randomness than `streams(name)`, returns a NamedTuple of NumPy arrays whose
  leading axis has length `size`, and takes one stream per random quantity, so that a new quantity shifts no old one.
- `prepare(xp)` builds what is costly (tables, dictionaries, weights, a scene) once in each worker and returns
  `simulate`, a pure function: the same realizations give the same bits, and arguments are never written into.
- `simulate` sees whole blocks; whatever it returns per realization depends on that block alone.
- what shares a realization's geometry (noise levels, snapshot counts, estimators) is a dimension of the output,
  declared in `coordinates()`; what changes the geometry or a shape is an axis of a sweep.
- `code_version` is raised whenever a change of the code changes the numbers.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import InputError
from engine.streams import Streams

Realizations = Any
"""A NamedTuple of arrays, one per random quantity, each with the realizations as its leading axis."""

Variable = tuple[tuple[str, ...], Any, Mapping[str, str]]
"""Dimensions, array, attributes (`units`, `long_name`): what `xarray.Dataset` takes."""

Variables = dict[str, Variable]

_UNITS = {
    "m": "m", "m2": "m2", "rad": "rad", "rad2": "rad2", "hz": "Hz", "db": "dB", "dbm": "dBm", "w": "W", "s": "s",
}  # fmt: skip

_LONGEST_VALUE = 200  # characters of a value in an error message


class Simulate(Protocol):
    """Turns a block of realizations into variables, each with the leading dimension `realization`.

    With `intermediates=True` it returns, beside the same variables, every draw and every intermediate worth
    checking by hand; a scenario that has none may ignore the flag.
    """

    def __call__(self, realizations: Realizations, *, intermediates: bool = False) -> Variables: ...


class Scenario(BaseModel, ABC):
    """A frozen, validated description in SI units, with the units in the field names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)
    code_version: ClassVar[int] = 1

    @abstractmethod
    def draw(self, streams: Streams, size: int) -> Realizations:
        """`size` realizations of the random quantities, on the host."""

    @abstractmethod
    def prepare(self, xp: Any) -> Simulate:
        """The pure function from realizations to variables, in the array namespace `xp`."""

    def coordinates(self) -> Variables:
        """Values along the output's own dimensions, beside `realization`."""
        return {}

    def account(self) -> str:
        """What a reader should know of it, kept with the results: what was made of files, where its assumptions end.

        It changes no number.
        """
        return ""

    def blind_guess(self) -> Mapping[str, float]:
        """Variable of squared errors, or of a bound on them → mean squared error of who has seen nothing, its unit."""
        return {}

    def stored_value(self, name: str) -> Any:
        """A field's value as stores keep it and axes have it: an object that is known by a name, by that."""
        value = getattr(self, name)
        if isinstance(value, bool | int | float | str):
            return value
        return self.model_dump(mode="json", include={name})[name]

    def stored_values(self) -> dict[str, Any]:
        """Of every field that stores keep, also where its value is not worth a word there."""
        return {name: self.stored_value(name) for name, field in type(self).model_fields.items() if not field.exclude}

    @classmethod
    def of_store(cls, fields: Mapping[str, Any]) -> Self:
        """The scenario by its fields as a store has them; what earlier code did not write is as it was then."""
        return cls.model_validate(fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed, validated as if it were new."""
        for name in changes:
            require_field(type(self), name)
        try:
            fields = {name: getattr(self, name) for name in type(self).model_fields}
            return type(self).model_validate(fields | changes)
        except ValidationError as error:
            raise InputError(one_line(error)) from None


def require_field(scenario: type[Scenario], name: str) -> None:
    """Refuse a name that is no field of the scenario, suggesting the nearest one."""
    if name not in scenario.model_fields:
        raise InputError(f"{scenario.__name__} has no field {name!r}; {suggestion(name, list(scenario.model_fields))}")


def suggestion(given: str, known: list[str]) -> str:
    """'did you mean …?' when something is near, else the list of what there is."""
    near = get_close_matches(given, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"


def one_line(error: ValidationError) -> str:
    """Pydantic's report as one line: field, what is wrong, what was given."""
    first: dict[str, str] = {}  # one complaint a field: pydantic follows a bad element with its tuple's length
    for item in error.errors(include_url=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        text = item["msg"].removeprefix("Value error, ")
        given = repr(item["input"])
        given = given if len(given) <= _LONGEST_VALUE else f"{given[:_LONGEST_VALUE]}…"
        first.setdefault(field, f"{field}: {text} (given {given})" if field else text)
    return "; ".join(first.values())


def units(name: str) -> str | None:
    """The unit that a name ends with, None without one.

    >>> units("carrier_hz"), units("n_elements")
    ('Hz', None)
    """
    return _UNITS.get(name.rpartition("_")[2]) if "_" in name else None
