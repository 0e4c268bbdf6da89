"""Which column holds which quantity: as the user says, else as its heading says, and never by a guess."""

from collections.abc import Mapping
from typing import NamedTuple

from engine import InputError
from engine.scenario import suggestion
from jobs.cli.measurements.meaning import DEGREES_UNLESS_SAID, UNITLESS, Meaning, meaning, unit_in
from jobs.cli.measurements.table import Found, Table
from jobs.cli.measurements.units import Unit, unit_of, units_of_kind

POSITIONS = (("range", "angle"), ("x", "y"), ("latitude", "longitude"))
_EXAMPLES = {
    "range": "range_m", "angle": "angle_deg", "x": "x_m", "y": "y_m", "latitude": "latitude", "longitude": "longitude",
    "power": "power_dbm", "sensor": "sensor", "snapshots": "snapshots",
}  # fmt: skip


class Columns(NamedTuple):
    """The columns that are read, by quantity, and what is to be said of them and of the others."""

    found: dict[str, Found]
    remarks: tuple[str, ...]


def asked_meanings(columns: Mapping[str, str]) -> dict[str, Meaning]:
    """Quantity and unit of each key, as power_dbm. Raises InputError for a key that names none."""
    asked: dict[str, Meaning] = {}
    for key in columns:
        what = meaning(key)
        if what is None or what.unknown_unit:
            units = "; ".join(units_of_kind(kind) for kind in ("power", "length", "angle"))
            raise InputError(f"--column {key}: {suggestion(key, list(_EXAMPLES.values()))}; units: {units}")
        if any(other.quantity == what.quantity for other in asked.values()):
            raise InputError(f"--column {key}: given {what.quantity} twice, needed one column of it")
        asked[key] = what
    return asked


def located_heading(name: str, headings: tuple[str, ...]) -> list[int]:
    """The columns of this heading, exactly, else but for case and blanks, else of this number from 1."""
    for same in (str, _squeezed):
        if found := [i for i, heading in enumerate(headings) if heading and same(heading) == same(name)]:
            return found
    return [int(name) - 1] if name.isdecimal() and 1 <= int(name) <= len(headings) else []


def choose_columns(table: Table, columns: Mapping[str, str], has_place: bool) -> Columns:
    """Columns of a position, a power, and a sensor's name and count of snapshots where there are such.

    columns: quantity with unit → heading or number, as the user says. Raises InputError, naming what was found.
    """
    found, remarks = _asked(table, columns)
    offered = _offered(table, found)
    pair = _positions(table, found, offered, has_place)
    for quantity in (*pair, "power", "sensor", "snapshots"):
        if quantity in found or (quantity in UNITLESS and quantity not in offered):
            continue
        column, what = _only(table, quantity, offered.get(quantity, {}))
        found[quantity] = Found(column, _unit(table, column, what))
    return Columns(found, (*remarks, *_ignored(table, found)))


def _asked(table: Table, columns: Mapping[str, str]) -> tuple[dict[str, Found], list[str]]:
    found, remarks = {}, []
    for key, what in asked_meanings(columns).items():
        places = located_heading(columns[key], table.headings)
        if len(places) != 1:
            raise InputError(
                f"{table.source}: --column {key}: given {columns[key]!r}, which {len(places) or 'no'} columns are "
                f"called, needed one of: {_listed(table)}; or its number"
            )
        unit, said = what.unit, unit_in(table.headings[places[0]]) or unit_of(table.units[places[0]])
        if unit is None and what.kind and said and said.kind == what.kind:
            unit = said
        elif unit is None and what.kind:
            unit = _unit(table, places[0], what)
        elif unit and said and said != unit:
            remarks.append(
                f"{table.label(places[0])} is read in {unit.name}, as --column says; its heading says {said.name}"
            )
        found[what.quantity] = Found(places[0], unit)
    return found, remarks


def _offered(table: Table, asked: Mapping[str, Found]) -> dict[str, dict[int, Meaning]]:
    """Columns by what their headings say; of several, those with a unit."""
    taken = {one.column for one in asked.values()}
    offered: dict[str, dict[int, Meaning]] = {}
    for column, heading in enumerate(table.headings):
        what = None if column in taken else meaning(heading)
        if what and not (what.unit is None and table.units[column] and _foreign(what, table.units[column])):
            offered.setdefault(what.quantity, {})[column] = what
    for quantity, columns in offered.items():
        with_unit = {column: what for column, what in columns.items() if what.unit or table.units[column]}
        offered[quantity] = with_unit or columns
    return offered


def _foreign(what: Meaning, unit: str) -> bool:
    known = unit_of(unit)
    return known is not None and known.kind != what.kind


def _positions(
    table: Table, asked: Mapping[str, Found], offered: Mapping[str, dict[int, Meaning]], has_place: bool
) -> tuple[str, str]:
    present = {*asked, *offered}
    complete = [pair for pair in POSITIONS if present >= set(pair)]
    chosen = [pair for pair in complete if asked.keys() & set(pair)] or complete
    if not has_place and len(chosen) > 1:
        chosen = [pair for pair in chosen if pair != POSITIONS[2]]
    if len(chosen) != 1:
        given = f"two of them: {' and '.join(' + '.join(pair) for pair in chosen)}" if chosen else "no whole pair"
        raise InputError(
            f"{table.source}: given {given}, needed positions as range_m + angle_deg, x_m + y_m, or latitude + "
            f"longitude, one pair; columns: {_listed(table)}; say which is which, as --column range_m=HEADING"
        )
    (pair,) = chosen
    if has_place != (pair == POSITIONS[2]):
        needed = "the array's own place" if not has_place else "latitude + longitude, for which it is"
        option = "--array LATITUDE,LONGITUDE,BEARING" + (" is given" if has_place else "")
        raise InputError(f"{table.source}: given positions as {' + '.join(pair)}, needed {needed}: {option}")
    return pair


def _only(table: Table, quantity: str, offered: Mapping[int, Meaning]) -> tuple[int, Meaning]:
    exact = [column for column in offered if table.headings[column].casefold() == quantity]
    if len(offered) > 1 and len(exact) == 1 and quantity in UNITLESS:
        return exact[0], offered[exact[0]]
    if len(offered) == 1:
        return next(iter(offered.items()))
    example = _EXAMPLES[quantity]
    if not offered:
        kind = f", in {units_of_kind('power')}," if quantity == "power" else ""
        raise InputError(
            f"{table.source}: given no column that is certainly the received {quantity}, needed one{kind} as "
            f"{example}; columns: {_listed(table)}; say which, as --column {example}=HEADING"
        )
    several = " and ".join(repr(table.label(column)) for column in offered)
    raise InputError(
        f"{table.source}: given {len(offered)} columns for {quantity}: {several}, needed one: say which, as "
        f"--column {example}=HEADING or =NUMBER; several powers of a sensor belong into rows of their own"
    )


def _unit(table: Table, column: int, what: Meaning) -> Unit | None:
    """A heading's unit, or the one stated beside it; None where only cells may say it, as `require_unit` settles."""
    beside = table.units[column]
    if what.kind is None:
        return None
    if what.unknown_unit or (beside and unit_of(beside) is None):
        raise InputError(
            f"{table.source}: {table.label(column)} is in {what.unknown_unit or beside!r}, needed "
            f"{units_of_kind(what.kind)}"
        )
    stated = unit_of(beside)
    if what.unit and stated and stated != what.unit:
        raise InputError(
            f"{table.source}: {table.label(column)} is in {stated.name!r}, needed {what.unit.name}, or another heading"
        )
    return what.unit or stated


def require_unit(table: Table, quantity: str, found: Found, of_cells: Unit | None) -> Unit:
    """The unit of a column, from its heading or from every one of its cells. Raises InputError where there is none."""
    label = table.label(found.column)
    if found.unit and of_cells and found.unit != of_cells:
        raise InputError(
            f"{table.source}: {label} is in {found.unit.name}, its cells in {of_cells.name}: needed one unit"
        )
    unit = found.unit or of_cells or (unit_of("deg") if quantity in DEGREES_UNLESS_SAID else None)
    kind = Meaning(quantity, None).kind or ""
    if unit is None:
        raise InputError(
            f"{table.source}: {label!r} has no unit, needed {units_of_kind(kind)}: call it {_EXAMPLES[quantity]}, or "
            f"say --column {_EXAMPLES[quantity]}={label!r}"
        )
    if unit.kind != kind:
        raise InputError(f"{table.source}: {label} is in {unit.name}, needed {units_of_kind(kind)}")
    return unit


def _ignored(table: Table, found: Mapping[str, Found]) -> list[str]:
    used = {one.column for one in found.values()}
    others = [repr(heading) for i, heading in enumerate(table.headings) if heading and i not in used]
    nameless = [f"{i + 1} (no heading)" for i, heading in enumerate(table.headings) if not heading and i not in used]
    nameless = [name for name in nameless if any(table.pick([int(name.split()[0]) - 1])[0])]
    names = others + nameless
    return [f"ignored: column{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []


def _listed(table: Table) -> str:
    return ", ".join(table.headings[i] or f"{i + 1} (no heading)" for i in range(len(table.headings))) or "none"


def _squeezed(text: str) -> str:
    return "".join(text.casefold().split())
