"""The families of scenarios and what their modules offer, one family found without importing the others.

A family is a module or a package directly in `scenarios`. It offers every public attribute of a kind, in any of its
modules, under the object's own `name`, which begins with the family's. The same object seen in several modules is one;
two objects of one name are refused, since one would silently stand for the other.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Protocol, TypeVar

import scenarios
from engine.errors import InputError


class Named(Protocol):
    """What a family may offer: a sweep, say."""

    @property
    def name(self) -> str: ...


Kind = TypeVar("Kind", bound=Named)


def families() -> list[str]:
    """Their names; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))


def offered(family: str, kind: type[Kind]) -> dict[str, Kind]:
    """Name → each object of this kind of a family, whose modules are imported for that.

    Raises InputError, naming where, for a nameless object, a name that is not the family's, and a name given twice.
    """
    offers: dict[str, Kind] = {}
    places: dict[str, str] = {}
    for place, found in _public(_modules(f"scenarios.{family}"), kind):
        if found.name.partition(":")[0] != family:
            _require_foreign(family, place, found)
        elif offers.setdefault(found.name, found) is not found:
            raise InputError(
                f"{_what(found)}s {places[found.name]} and {place} are both named {found.name!r}: give one another "
                f"name, or begin its attribute with an underscore"
            )
        places.setdefault(found.name, place)
    return dict(sorted(offers.items(), key=lambda item: _in_numbers(item[0])))


def _in_numbers(name: str) -> list[Any]:
    """What names are sorted by: fig9 before fig10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def imported(module_name: str) -> ModuleType | None:
    """A module that the user trusts, None where there is none; InputError if it is there and cannot be imported."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name:
            return None
        raise InputError(f"cannot import {module_name!r}: {error}") from None
    except Exception as error:
        raise InputError(f"cannot import {module_name!r}: {type(error).__name__}: {error}") from None


def _modules(name: str) -> Iterator[ModuleType]:
    """A module, or a package with all that is in it, which comes before the package that passes it on."""
    module = imported(name)
    assert module is not None, name
    for part in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not part.name.startswith("_"):
            yield from _modules(f"{name}.{part.name}")
    yield module


def _public(modules: Iterable[ModuleType], kind: type[Kind]) -> Iterator[tuple[str, Kind]]:
    """`module:attribute` and object, for every public attribute of this kind."""
    for module in modules:
        for attribute, value in vars(module).items():
            if isinstance(value, kind) and not attribute.startswith("_"):
                yield f"{module.__name__}:{attribute}", value


def _require_foreign(family: str, place: str, found: Named) -> None:
    """Refuse an object whose name is not its family's, unless it was imported from the family that its name begins
    with: `from scenarios.leakage import fig1` offers no second fig1, `fig1.replace(…)` without a name would."""
    other = found.name.partition(":")[0]
    there = [
        (theirs, value)
        for theirs, value in _public(_imported_modules(f"scenarios.{other}"), type(found))
        if value.name == found.name
    ]
    if any(value is found for _, value in there):
        return
    attribute = place.partition(":")[2].replace("_", "-")
    said = f"is named {found.name!r}" if found.name else "has no name"
    also = f" as {there[0][0]} is" if there else ""
    raise InputError(
        f'{_what(found)} {place} {said}{also}: write .replace(name="{family}:{attribute}"), or begin its attribute '
        f"with an underscore"
    )


def _imported_modules(top: str) -> list[ModuleType]:
    """What was imported already of a package, its files before itself."""
    names = [name for name in sys.modules if name == top or name.startswith(f"{top}.")]
    return [sys.modules[name] for name in sorted(names, key=lambda name: (-name.count("."), name))]


def _what(found: Named) -> str:
    return type(found).__name__.lower()
