"""From a name on the command line to trainings that a family, or a module of the user's, offers."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

import scenarios
from engine import InputError, Scenario, Sweep
from engine.scenario import suggestion
from jobs.cli import named
from scenarios.learning.offer import Offer

Kind = TypeVar("Kind")


def find(name: str) -> tuple[Offer, Sweep]:
    """The offer of this name, or the one for the sweep of this name, and what it trains on."""
    home, _, attribute = _home(name).partition(":")
    module = _imported(home)
    if module is None:
        return _for_sweep(name, home)
    if not home.startswith("scenarios.") and isinstance(offer := vars(module).get(attribute), Offer):
        return offer, _own_sweep(name, offer)
    for offer in found_in(home, Offer):
        if offer.name == name:
            return offer, _own_sweep(name, offer)
    return _for_sweep(name, home)


def trainable() -> dict[str, Offer]:
    """What can be trained in this package: offers with a sweep of their own, and named sweeps that there is one for."""
    offers = [offer for module in _families().values() for offer in found_in(module, Offer)]
    found = {offer.name: offer for offer in offers if offer.sweep}
    for name, sweep in named.named_sweeps().items():
        if offer := _for_kind(sweep.scenario, []):
            found[name] = offer
    return dict(sorted(found.items()))


def found_in(module_name: str, kind: type[Kind]) -> list[Kind]:
    """Objects of a class among the attributes of a module, each once; of a family's, among those of all its modules."""
    module = importlib.import_module(module_name)
    is_family = module_name.startswith("scenarios.")
    inside = [part.name for part in pkgutil.iter_modules(getattr(module, "__path__", ()))] if is_family else []
    modules = [module, *(importlib.import_module(f"{module_name}.{name}") for name in inside)]
    values = [value for part in modules for value in vars(part).values() if isinstance(value, kind)]
    return list({id(value): value for value in values}.values())


def _families() -> dict[str, str]:
    """Name of a family → its package."""
    return {part.name: f"scenarios.{part.name}" for part in pkgutil.iter_modules(scenarios.__path__)}


def _home(name: str) -> str:
    """`family:name` and `module:name` with the module in which to look."""
    prefix, colon, attribute = name.partition(":")
    return f"{_families().get(prefix, prefix)}{colon}{attribute}"


def _imported(module_name: str) -> ModuleType | None:
    """None where it cannot be: `named.find` knows what to say of that."""
    try:
        return importlib.import_module(module_name)
    except Exception:
        return None


def _own_sweep(name: str, offer: Offer) -> Sweep:
    """What an offer itself trains on, called as it was asked for."""
    if offer.sweep is None:
        assert offer.kind is not None
        raise InputError(f"{name} trains on sweeps of {offer.kind.__name__}: name one of those instead")
    return offer.sweep.replace(name=name)


def _for_sweep(name: str, home: str) -> tuple[Offer, Sweep]:
    is_ours = home.startswith("scenarios.")
    if is_ours and name not in named.named_sweeps():
        raise InputError(f"no training {name!r}; {suggestion(name, list(trainable()))}")
    sweep = named.find(name)
    offer = _for_kind(sweep.scenario, [] if is_ours else [home])
    if offer is None:
        raise InputError(f"nothing is trained on {name}: choose {', '.join(trainable())}, or give module:attribute")
    return offer, sweep


def _for_kind(scenario: Scenario, modules: list[str]) -> Offer | None:
    """The offer for a scenario's class, or else for the nearest one that it is derived from.

    modules: where to look before the families, or modules, of these classes.
    """
    kinds = [kind for kind in type(scenario).__mro__ if issubclass(kind, Scenario) and kind is not Scenario]
    for module_name in dict.fromkeys([*modules, *_homes(kinds)]):
        offers = {offer.kind: offer for offer in found_in(module_name, Offer)}
        for kind in kinds:
            if kind in offers:
                return offers[kind]
    return None


def _homes(kinds: list[type[Scenario]]) -> Iterator[str]:
    """The family of each class, or its module where it is the user's."""
    for kind in kinds:
        parts = kind.__module__.split(".")
        yield ".".join(parts[:2]) if parts[0] == "scenarios" else kind.__module__
