"""What a column's heading says: which quantity, in which unit.

Words are matched whole, and a heading with a word that is not known of its quantity has no meaning: `tx_power_dbm` and
`noise [dBm]` are no received power, `azimuth_deg` does not say from where it counts. `--column` says what they are.
"""

import re
from typing import NamedTuple

from jobs.cli.measurements.units import Unit, unit_of


class _Words(NamedTuple):
    """One of `needed` must be there; `allowed` may be as well."""

    kind: str | None
    needed: frozenset[str]
    allowed: frozenset[str]


def _words(kind: str | None, needed: str, allowed: str = "") -> _Words:
    return _Words(kind, frozenset(needed.split()), frozenset(allowed.split()))


_WHOSE = "sensor node station receiver rx of the"
_MEAN = "mean avg average averaged"
_QUANTITIES = {
    "range": _words("length", "range distance dist r", f"{_WHOSE} from to array"),
    "angle": _words("angle", "angle theta θ ϑ", f"{_WHOSE} from to array axis"),
    "x": _words("length", "x", f"{_WHOSE} pos position coord coordinate ahead"),
    "y": _words("length", "y", f"{_WHOSE} pos position coord coordinate along"),
    "latitude": _words("angle", "latitude lat", f"{_WHOSE} pos position gps n wgs84 wgs 84"),
    "longitude": _words("angle", "longitude long lon lng", f"{_WHOSE} pos position gps e wgs84 wgs 84"),
    "power": _words(
        "power",
        "power level strength rssi rss rsrp p pr prx rxpower",
        f"{_WHOSE} at received receive measured signal {_MEAN}",
    ),
    "sensor": _words(None, "sensor sensors node station receiver anchor name", "id no nr number name label the of"),
    "snapshots": _words(None, "snapshots count", "snapshot n num number of"),
}  # fmt: skip
UNITLESS = ("sensor", "snapshots")
DEGREES_UNLESS_SAID = ("latitude", "longitude")
_NOTES = frozenset(f"{_MEAN} n e wgs84 wgs 84 rx".split())
"""words in brackets that are no unit"""
_BRACKETED = re.compile(r"[\[({<]([^\[\](){}<>]*)[\])}>]")
_GLUED_UNIT = re.compile(r"(?<=[a-zA-Z])(dBmW|dBm|dBW|mW|[µμu]W|nW|pW)$")


class Meaning(NamedTuple):
    """A quantity and its unit, None where the heading says none that is known."""

    quantity: str
    unit: Unit | None
    unknown_unit: str = ""
    is_mean: bool = False

    @property
    def kind(self) -> str | None:
        return _QUANTITIES[self.quantity].kind


def meaning(heading: str) -> Meaning | None:
    """The meaning of a heading, None where it has none that is certain.

    >>> meaning("Rx Power (dBm)")[:2] == meaning("RXPOWER_DBM")[:2] == meaning("rxPowerdBm")[:2]
    True
    >>> meaning("Power [dB]").unknown_unit, meaning("tx_power_dbm")
    ('dB', None)
    """
    return _meaning(heading) or _meaning(_apart(heading))


def unit_in(heading: str) -> Unit | None:
    """The one unit that a heading holds, whatever else it says."""
    notes, words = _BRACKETED.findall(heading), _split(_BRACKETED.sub(" ", heading))
    found = {unit for text in (*notes, *words) if (unit := unit_of(text))}
    return found.pop() if len(found) == 1 else None


def _meaning(heading: str) -> Meaning | None:
    words, unknown = _split(_BRACKETED.sub(" ", heading)), ""
    units = [unit for word in words if (unit := unit_of(word))]
    words = [word for word in words if not unit_of(word)]
    for note in _BRACKETED.findall(heading):
        if unit := unit_of(note.strip().removeprefix("in ")):
            units.append(unit)
        elif set(_split(note)) <= _NOTES:
            words += _split(note)
        else:
            unknown = note.strip()
    if len(units) > 1 or (units and unknown):
        return None
    unit = units[0] if units else None
    for quantity, known in _QUANTITIES.items():
        fits = unit is None or unit.kind == known.kind
        if fits and known.needed & set(words) and set(words) <= known.needed | known.allowed:
            return Meaning(quantity, unit, unknown, bool(set(words) & set(_MEAN.split())))
    return None


def _split(text: str) -> list[str]:
    words = re.split(r"[\s_/,:;.|=\-–—]+", re.sub(r"([°º˚]+)", r" \1 ", text.casefold()))
    return [word for word in words if word and word != "in"]


def _apart(heading: str) -> str:
    """A unit glued to a word, and words glued to each other, apart: rxPowerdBm → rx Power dBm."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])(?!(B[mW]W?|W)\b)", " ", _GLUED_UNIT.sub(r" \1", heading.strip()))
