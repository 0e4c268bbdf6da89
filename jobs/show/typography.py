"""Numbers, units, times and values as people print them."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jobs.cli.progress import duration

_MOST_VALUES = 12
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Estimate(NamedTuple):
    """A number with its interval, as texts with a common power of ten."""

    value: str
    interval: str
    power: str


def estimate(value: float, low: float, high: float) -> Estimate:
    """Three significant digits of a value, and its interval at the same power of ten.

    >>> estimate(3.281e-6, 3.05e-6, 3.534e-6)
    Estimate(value='3.28', interval='[3.05, 3.53]', power='×10⁻⁶')
    >>> estimate(0.0, 0.0, math.inf), estimate(math.nan, math.nan, math.nan)
    (Estimate(value='0', interval='[0, ∞]', power=''), Estimate(value='–', interval='', power=''))
    """
    if math.isnan(value):
        return Estimate("–", "", "")
    exponent = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    plain = -2 <= exponent <= 4
    scale = 1.0 if plain else 10.0**exponent
    digits = max(0, 2 - exponent) if plain and value else 2 * (value != 0)
    texts = [_fixed(number / scale, digits) for number in (value, low, high)]
    interval = f"[{texts[1]}, {texts[2]}]" if not (math.isnan(low) or math.isnan(high)) else ""
    return Estimate(texts[0], interval, "" if plain else f"×10{str(exponent).translate(_SUPERSCRIPTS)}")


def typeset(text: str) -> str:
    """Powers of ten and minus signs as they are printed.

    >>> typeset("3.9e-05 [1e+06, 2], σ² = -65 dBm, as-is-1")
    '3.9×10⁻⁵ [1×10⁶, 2], σ² = −65 dBm, as-is-1'
    """

    def power(found: re.Match[str]) -> str:
        return "×10" + str(int(found.group(1))).translate(_SUPERSCRIPTS)

    return re.sub(r"(?<!\w)-(?=\d)", "−", re.sub(r"(?<=\d)e([+-]?\d+)\b", power, text))


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}" if math.isfinite(value) else ("∞" if value > 0 else "-∞")
    return text.replace("-", "−")


def pretty_unit(unit: str) -> str:
    """
    >>> pretty_unit("m2"), pretty_unit("m-1 rad-1"), pretty_unit("dBm")
    ('m²', 'm⁻¹ rad⁻¹', 'dBm')
    """
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda found: found.group().translate(_SUPERSCRIPTS), unit)


def listed(values: list[Any]) -> str:
    """
    >>> listed(list(range(1, 31)))
    '1, 2, 3, …, 30'
    """
    if len(values) > _MOST_VALUES:
        return ", ".join([*map(plain, values[:3]), "…", plain(values[-1])])
    return ", ".join(map(plain, values))


def plain(value: Any) -> str:
    """A setting as people write it.

    >>> plain(28e9), plain(-85.0), plain([True, None])
    ('2.8×10¹⁰', '−85', 'yes, none')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        large_or_small = value and not 1e-4 <= abs(value) < 1e7
        return typeset(np.format_float_scientific(value, trim="-") if large_or_small else f"{value:.12g}")
    if isinstance(value, list):
        return listed(value)
    if isinstance(value, Mapping):
        fields = ", ".join(f"{key} {plain(field)}" for key, field in value.items() if key != "class")
        return f"{str(value['class']).rpartition(':')[2]} ({fields})" if "class" in value else fields
    return str(value)


def task_time(seconds: float) -> str:
    """A task's time; tasks may take milliseconds or hours.

    >>> task_time(0.01234), task_time(4.26), task_time(7322)
    ('0.012 s', '4.3 s', '2 h 2 min')
    """
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """With a capital, and no break between "Fig." and its number."""
    return (text[:1].upper() + text[1:]).replace("Fig. ", "Fig.\N{NO-BREAK SPACE}")


def when(time: str) -> str:
    """
    >>> when("2026-11-21T23:25:46+00:00")
    '2026-11-21 23:25:46 UTC'
    """
    return time.replace("T", " ").replace("+00:00", " UTC")
