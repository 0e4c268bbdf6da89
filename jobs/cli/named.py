"""From the words of a command line to a sweep."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import InputError, Sweep
from engine.scenario import require_field, suggestion
from jobs.cli import own_modules, settings_file
from jobs.cli.families import families, imported, offered


def named_sweeps() -> dict[str, Sweep]:
    """Every sweep of the package `scenarios`, by its name; imports all of it."""
    return {name: sweep for family in families() for name, sweep in offered(family, Sweep).items()}


def find(name: str) -> Sweep:
    """A named sweep of a family, or the attribute of an importable module: `leakage:fig1`, `mystudy:sweep`.

    A module's sweep is called what it was asked for, unless its name begins with its own module's or it is a family's:
    `fig1.replace(…)` in a study is not Fig. 1, and must not share its results folder.
    """
    module_name, _, attribute = name.partition(":")
    sweep = _of_family(name)
    if sweep is not None:
        return sweep
    if not attribute:
        raise InputError(f"no sweep named {name!r}; {_nearest(name)} (or give module:attribute)")
    module = imported(module_name)
    if module is None:
        raise InputError(f"no sweep named {name!r} and no module {module_name!r}; {_nearest(name)}")
    sweep = vars(module).get(attribute)
    if not isinstance(sweep, Sweep):
        sweeps = [f"{module_name}:{key}" for key, value in vars(module).items() if isinstance(value, Sweep)]
        raise InputError(f"{name!r} is no sweep; {suggestion(name, sweeps) if sweeps else 'the module has none'}")
    own_modules.remember(module_name)
    keeps = sweep.name.startswith(f"{module_name}:") or module_name.startswith("scenarios.")
    return sweep if keeps and sweep.name else sweep.replace(name=name)


def _of_family(name: str) -> Sweep | None:
    family = name.partition(":")[0]
    return offered(family, Sweep).get(name) if family in families() else None


def _nearest(name: str) -> str:
    """What may have been meant: a sweep called so in some family where none is named, else the nearest of all names."""
    known = list(named_sweeps())
    meant = [other for other in known if other.partition(":")[2] == name]
    return f"did you mean {' or '.join(map(repr, meant))}?" if meant else suggestion(name, known)


def import_modules(names: list[str]) -> None:
    """Import what the user trusts, so that a store may name its classes."""
    for name in names:
        if imported(name) is None:
            raise InputError(f"--import: there is no module {name!r}")


def at_hand(name: str) -> Sweep | None:
    """The sweep that a store names, if it is a family's, or its module is the user's own or was imported already.

    Raises InputError for a module of the user's own that cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    sweep = _of_family(name)
    if sweep is None and attribute and own_modules.import_own(module_name):
        sweep = vars(sys.modules[module_name]).get(attribute)
    return sweep if isinstance(sweep, Sweep) else None


def changed(
    sweep: Sweep,
    *,
    settings: list[str],
    axes: list[str],
    realizations: int | None = None,
    seed: int | None = None,
    chunk: int | None = None,
    file: Path | None = None,
) -> Sweep:
    """A sweep with `field=value` settings, `field=a,b,c` axes, and another budget, seed or chunk.

    Setting a field that was an axis takes the axis away; an axis along one of the output's own dimensions sets that
    dimension's values. What a settings file says comes first, so that the command line wins. All is applied together
    and then validated: the order in which settings are given says nothing.
    """
    changes = {"realizations": realizations, "seed": seed, "chunk": chunk}
    wanted = _Wanted(sweep)
    if file:
        said = settings_file.read(file)
        wanted.add(said.axis, said.set)
        changes = {name: getattr(said, name) if value is None else value for name, value in changes.items()}
    pairs = dict(_split(text, "--set") for text in settings)
    fields = {name: values if len(values) > 1 else values[0] for name, values in pairs.items()}
    wanted.add(dict(_split(text, "--axis") for text in axes), fields)
    return wanted.applied().replace(**{name: value for name, value in changes.items() if value is not None})


class _Wanted:
    """Fields and axes as they are asked for, one after the other, of a sweep that is made of them in the end."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep, self._axes, self._new = sweep, dict(sweep.axes), set[str]()
        self._fields: dict[str, Any] = {}

    def add(self, axes: Mapping[str, list[Any]], settings: Mapping[str, Any]) -> None:
        scenario = self._sweep.scenario
        for name, values in axes.items():
            require_field(type(scenario), name)
            self._fields.pop(name, None)
            if name in scenario.coordinates():
                self._fields[name] = values
            else:
                self._axes[name] = tuple(values)
                self._new.add(name)
        for name, value in settings.items():
            require_field(type(scenario), name)
            several = isinstance(getattr(scenario, name), tuple)
            if isinstance(value, list) and not several:
                raise InputError(f"{name} takes one value; sweep it with --axis {name}={','.join(map(str, value[:9]))}")
            self._axes.pop(name, None)
            values = [value] if several and not isinstance(value, list) else value
            self._fields[name] = _by_name(name, getattr(scenario, name), values) if several else values

    def applied(self) -> Sweep:
        """An axis' own field is at its first value: what it was before may not fit what else is set."""
        first = {name: self._axes[name][0] for name in self._new & self._axes.keys()}
        scenario = self._sweep.scenario.replace(**self._fields | first)
        return self._sweep.replace(scenario=scenario, axes=self._axes)


def _by_name(field: str, present: tuple[Any, ...], given: list[Any]) -> list[Any]:
    """Of estimators, or what else has a name, those of the sweep that are given by theirs; other values as they are."""
    known = {_plain(one.name): one for one in present if isinstance(getattr(one, "name", None), str)}
    if not known or not all(isinstance(one, str) for one in given):
        return given
    for one in given:
        if _plain(one) not in known:
            names = ", ".join(one.name for one in present)
            raise InputError(
                f"{field}: given {one!r}, needed some of {names}; others in a sweep of your own, MODULE:ATTRIBUTE"
            )
    return [known[_plain(one)] for one in given]


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")


def budget(sweep: Sweep, realizations: int | None, full: bool) -> int | None:
    """Realizations as asked for; the sweep's fuller budget with `full`."""
    if not full:
        return realizations
    if realizations is not None:
        raise InputError("--full and --realizations both set the budget: leave one out")
    if sweep.full is None:
        raise InputError(f"{sweep.name or 'this sweep'} has one budget: leave --full out, or give --realizations")
    return sweep.full


def _split(text: str, option: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    parts = [part.strip() for part in values.split(",")]
    if not name or not equals or not all(parts):
        raise InputError(f"{option}: given {text!r}, needed field=value" + (",…" if option == "--axis" else ""))
    return name.strip(), parts


def point(texts: list[str]) -> dict[str, str]:
    """`field=value` pairs of one point."""
    pairs = {}
    for text in texts:
        name, values = _split(text, "--point")
        if len(values) != 1:
            raise InputError(f"--point: given {text!r}, needed one value")
        pairs[name] = values[0]
    return pairs


def default_store(base: Sweep, sweep: Sweep) -> str:
    """Where `reproduce` keeps a sweep: by its name, and by its fingerprint where fields were changed."""
    stem = base.name.replace(":", "-")
    if sweep.fingerprint() != base.fingerprint():
        stem += f"-{sweep.fingerprint()[:8]}"
    return str(Path("results") / f"{stem}.zarr")
