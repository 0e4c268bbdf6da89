"""What rays, reflections, paths, parts of the array and diffraction change of users' powers, and what they cost."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from engine.sweep import scenario_of
from jobs.evidence.record import Evidence
from scenarios.multipath import data
from scenarios.multipath.convergence import Row, recommended, study
from scenarios.multipath.scene import MultipathScene

_ROWS, _ADVISED = "rows", "recommended"


def _measured(store: str) -> dict[str, Any]:
    from engine import open_results

    results = open_results(store)
    rows = study(scenario_of(results, MultipathScene), results.sizes["realization"])
    return {_ROWS: [row._asdict() for row in rows], _ADVISED: recommended(rows)}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """The table's rows: the finest value of a setting is what the others are held to."""
    rows = [Row(**one) for one in numbers[_ROWS]]
    for setting, group in groupby(rows, lambda row: row.setting):
        here = list(group)
        for row in here:
            value = f"{row.value}" if row.value < 10_000 else f"{row.value:,}".replace(",", " ")
            value = f"**{value}**" if numbers[_ADVISED].get(setting) == row.value else value
            errors = ("–", "–") if row is here[-1] else (_percent(row.median), _percent(row.worst))
            name = f"`{setting}`" if row is here[0] else ""
            cells = (name, value, *errors, f"{row.milliseconds:.1g}", f"{row.seconds:.2g}")
            yield f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _percent(share: float) -> str:
    """Two digits; none where there is no error."""
    return f"{float(f'{100 * share:.2g}'):g} %" if share else "–"


EVIDENCE = Evidence(
    "expected powers against those at the finest value of a setting, and processor time (users, and scene and sensors)",
    data.replace(realizations=200),
    _measured,
    {"docs/multipath.md": words},
)
