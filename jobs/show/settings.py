"""What was run, for a report: axes and dimensions, and every setting beside the named sweep's."""

import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import Scenario, Sweep
from engine.scenario import units
from jobs.show.grids import Grid
from jobs.show.typography import Estimate, listed, plain, pretty_unit

if TYPE_CHECKING:
    import xarray

_TOGETHER = "\N{NO-BREAK SPACE}"
_MOST, _LONGEST = 12, 60


class Setting(NamedTuple):
    name: str
    value: str
    unit: str
    meaning: str
    named: str
    """what the named sweep has, empty where it is the same"""


def axes_of(results: "xarray.Dataset", axes: Mapping[str, list[Any]]) -> Grid:
    """The axes of the sweep, and the dimensions that its scenario adds."""
    own = [
        str(name)
        for name in results.coords
        if name not in axes and name != "realization" and results[name].dims == (name,)
    ]
    rows: list[list[str | Estimate]] = []
    for name, kind in itertools.chain(((name, "axis") for name in axes), ((name, "dimension") for name in own)):
        attributes = results[name].attrs
        values = axes[name] if name in axes else results[name].values.tolist()
        text = str(attributes.get("long_name", ""))
        unit = pretty_unit(str(attributes.get("units", "")))
        rows.append([name, kind, str(len(values)), listed(values), unit, text])
    return Grid("Axes and dimensions", ["name", "kind", "number", "values", "unit", "meaning"], rows)


def settings_of(
    results: "xarray.Dataset", attributes: Mapping[str, Any], axes: Mapping[str, list[Any]], base: Sweep | None
) -> list[Setting]:
    """Every field of the scenario that is no axis, and the sweep's own; with the named sweep's where they differ."""
    same_class = base is not None and base.definition()["scenario"] == attributes["scenario_class"]
    kind = type(base.scenario) if base and same_class else None
    fields = {key: value for key, value in stored_fields(attributes, kind).items() if key not in axes}
    usual = base.scenario.stored_values() if base and same_class else {}
    found = [_setting(name, value, usual, kind, base.axes if base else {}) for name, value in fields.items()]
    own = {name: attributes[name] for name in ("realizations", "seed", "block")}
    meanings = {
        "realizations": "at each point",
        "seed": "of every random stream",
        "block": "realizations drawn together",
    }
    for name, value in own.items():
        before = getattr(base, name) if base else value
        found.append(Setting(name, plain(value), "", meanings[name], "" if before == value else plain(before)))
    for name in axes:
        before_axis = list(base.axes.get(name, ())) if base else axes[name]
        if before_axis != axes[name]:
            text = f"axis {listed(before_axis)}" if before_axis else plain(usual.get(name))
            found.append(Setting(name, f"axis {listed(axes[name])}", "", "", text))
    return found


def changes(attributes: Mapping[str, Any], base: Sweep | None) -> list[str]:
    """What a store has otherwise than the sweep that it is named after: "n_elements = 16", "carrier_hz = 3×10⁹ Hz".

    Without axes and what has several values, which figures show. Nothing where there is no such sweep, or of another
    scenario. No line breaks within one.
    """
    if base is None or base.definition()["scenario"] != attributes["scenario_class"]:
        return []
    stored, usual = stored_fields(attributes, type(base.scenario)), base.scenario.stored_values()
    axes = json.loads(attributes["axes"])
    single = [name for name in stored if name not in axes and not isinstance(stored[name], list)]
    other = [name for name in single if name in base.axes or usual.get(name) != stored[name]]
    said = [f"{name} = {plain(stored[name])} {pretty_unit(units(name) or '')}".strip() for name in other]
    return [_harmless(one).replace(" ", _TOGETHER) for one in said[:_MOST]]


def stored_fields(attributes: Mapping[str, Any], kind: type[Scenario] | None) -> dict[str, Any]:
    """Of a store's scenario, with those that it does not write, where the class is known and still takes the others."""
    fields: dict[str, Any] = json.loads(attributes["scenario"])
    with suppress(ValueError):
        return kind.of_store(fields).stored_values() if kind else fields
    return fields


def _harmless(text: str) -> str:
    """A text of anybody's store, for a terminal or a figure: of one line, and not long."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])


def changed_words(attributes: Mapping[str, Any], base: Sweep | None) -> str:
    """The same in words for a figure or a page; empty where nothing differs."""
    found = changes(attributes, base)
    return f"{attributes['name']}, but {', '.join(found)}" if found else ""


def _setting(
    name: str, value: Any, usual: Mapping[str, Any], kind: Any, base_axes: Mapping[str, tuple[Any, ...]]
) -> Setting:
    field = kind.model_fields.get(name) if kind else None
    meaning = (field.description if field else None) or name.replace("_", " ")
    if name in base_axes:
        before = f"axis {listed(list(base_axes[name]))}"
    else:
        before = plain(usual[name]) if name in usual and usual[name] != value else ""
    return Setting(name, plain(value), pretty_unit(units(name) or ""), meaning, before)
