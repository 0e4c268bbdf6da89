"""How far the second paper's signal-to-noise ratio lies from the mean one, and from one user to another.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI: the direct path's power with all phases of the surface zero.
"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from engine import Streams
from jobs.evidence.record import Evidence
from scenarios.ris import RisLocalization, fig4_as_printed
from scenarios.ris.zero_phases import zero_phases_power

_SEED, _REALIZATIONS, _SIDES = 20261129, 2000, (10, 15, 20, 25)
_QUANTILES = (5, 50, 95)


def _measured(_store: str) -> dict[str, Any]:
    return {"by elements a side": [_of(side) for side in _SIDES]}


def _of(side: int) -> dict[str, Any]:
    """Powers with all phases zero over the mean at random ones, of the users of a surface of side² elements."""
    scenario = cast(RisLocalization, fig4_as_printed.scenario.replace(elements_per_side=side))
    drawn = scenario.draw(Streams(_SEED, 0), _REALIZATIONS)
    power = zero_phases_power(scenario.cascade(), scenario.paths(drawn, np))
    power_db = 10 * np.log10(power)
    return {
        "elements_per_side": side,
        "users, dB": _quantiles(power_db),
        "strongest over weakest user of a realization, dB": _quantiles(np.ptp(power_db, axis=1)),
        "mean ratio over the paper's, dB": _quantiles(-10 * np.log10(power.mean(axis=1))),
        "mean power over an element's": float(power.mean()) * side**2,
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {f"{q} %": float(value) for q, value in zip(_QUANTILES, np.percentile(values, _QUANTILES), strict=True)}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    first, *_, paper = numbers["by elements a side"]
    users, apart = paper["users, dB"], paper["strongest over weakest user of a realization, dB"]
    more = paper["mean ratio over the paper's, dB"]
    yield f"90 % of users lie within {users['95 %'] - users['5 %']:.0f} dB"
    yield f"the strongest of four lies {apart['50 %']:.0f} dB above the weakest in the median"
    yield (
        f"higher by {more['50 %']:.0f} dB in the median realization, by {more['5 %']:.0f} to {more['95 %']:.0f} dB "
        f"in 90 % of them"
    )
    elements = paper["elements_per_side"] ** 2 / first["elements_per_side"] ** 2
    power = paper["mean power over an element's"] / first["mean power over an element's"]
    yield f"with {elements:.3g} times the elements the mean power is {power:.2g} times as high"


EVIDENCE = Evidence(
    "power of direct paths with all phases of the surface zero, over the mean at random phases",
    None,
    _measured,
    {"docs/ris.md": words},
    settings=f"{_REALIZATIONS} realizations of ris:fig4-as-printed at each size; seed {_SEED}",
)
