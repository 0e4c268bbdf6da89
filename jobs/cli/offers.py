"""From a name on the command line to trainings that a family, or a module of the user's, offers."""

import sys
from collections.abc import Iterable, Iterator

from engine import InputError, Scenario, Sweep
from engine.scenario import suggestion
from jobs.cli import named
from jobs.cli.families import families, imported, offered
from scenarios.learning.offer import Offer


def find(name: str) -> tuple[Offer, Sweep]:
    """The offer of this name, or the one for the sweep of this name, and what it trains on."""
    home, _, attribute = name.partition(":")
    if home in families():
        offer = offered(home, Offer).get(name)
        if offer is None and name not in offered(home, Sweep):
            raise InputError(f"no training {name!r}; {suggestion(name, list(trainable()))}")
        return (offer, _own_sweep(name, offer)) if offer else _for_sweep(name, [])
    module = imported(home) if attribute else None
    own = vars(module).get(attribute) if module else None
    return (own, _own_sweep(name, own)) if isinstance(own, Offer) else _for_sweep(name, [home])


def trainable() -> dict[str, Offer]:
    """What can be trained in this package: offers with a sweep of their own, and named sweeps that there is one for."""
    offers = [offer for family in families() for offer in offered(family, Offer).values()]
    found = {offer.name: offer for offer in offers if offer.sweep}
    for name, sweep in named.named_sweeps().items():
        if offer := _for_kind(sweep.scenario, []):
            found[name] = offer
    return dict(sorted(found.items()))


def _own_sweep(name: str, offer: Offer) -> Sweep:
    """What an offer itself trains on, called as it was asked for."""
    if offer.sweep is None:
        assert offer.kind is not None
        raise InputError(f"{name} trains on sweeps of {offer.kind.__name__}: name one of those instead")
    return offer.sweep.replace(name=name)


def _for_sweep(name: str, homes: list[str]) -> tuple[Offer, Sweep]:
    sweep = named.find(name)
    offer = _for_kind(sweep.scenario, homes)
    if offer is None:
        raise InputError(f"nothing is trained on {name}: choose {', '.join(trainable())}, or give module:attribute")
    return offer, sweep


def _for_kind(scenario: Scenario, homes: list[str]) -> Offer | None:
    """The offer for a scenario's class, or else for the nearest one that it is derived from.

    homes: modules of the user's in which to look before the families, or modules, of these classes.
    """
    kinds = [kind for kind in type(scenario).__mro__ if issubclass(kind, Scenario) and kind is not Scenario]
    for home in dict.fromkeys([*homes, *_homes(kinds)]):
        offers = {offer.kind: offer for offer in _offers_of(home)}
        for kind in kinds:
            if kind in offers:
                return offers[kind]
    return None


def _homes(kinds: list[type[Scenario]]) -> Iterator[str]:
    """The family of each class, or its module where it is the user's."""
    for kind in kinds:
        top, *rest = kind.__module__.split(".")
        yield rest[0] if top == "scenarios" else kind.__module__


def _offers_of(home: str) -> Iterable[Offer]:
    """Of a family, or of a module of the user's."""
    if home in families():
        return offered(home, Offer).values()
    return [value for value in vars(sys.modules[home]).values() if isinstance(value, Offer)]
