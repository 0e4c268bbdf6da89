"""A grid's error in mismatch and misjudgment, cycle by cycle, and near and far told apart in our own experiment."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.figures.claims import CONTRADICTED, UNDECIDED, judged
from scenarios.ris import remark1
from scenarios.ris.remark1 import claims, parts_of
from scenarios.ris.told_apart import shares_called_near

_METHODS = ("hybrid, random", "hybrid, optimised")
_PANELS = (("far", "angle"), ("near", "angle"), ("near", "range"))


def _measured(store: str) -> dict[str, Any]:
    from engine import open_results

    results = open_results(store).load()
    found = parts_of(results)
    rows = [
        {
            "cycle": one.cycle, "method": one.method, "field": one.field, "quantity": one.quantity,
            "mismatch": one.root(one.mismatch), "misjudgment": one.root(one.misjudgment), "error": one.root(one.error),
            "misjudged": one.misjudged[0] / one.misjudged[1], "users": one.misjudged[1],
        }
        for one in found
    ]  # fmt: skip
    near = [
        {"cycle": one.x, "method": one.method, "field": one.field, "near": one.near.value, "users": one.users}
        for one in shares_called_near(results, "cycle")
    ]
    outcomes = [
        {"claim": one.claim, "outcome": one.outcome, "ours": one.ours} for one in judged(claims(results, found))
    ]
    return {"rows": rows, "called near": near, "claims": outcomes}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for field, quantity in _PANELS:
        for cycle in (8, 20, 40):
            cells = [_cell(numbers, cycle, method, field, quantity) for method in _METHODS]
            yield f"| {quantity}, {field} | {cycle} | {' | '.join(cells)} |"
    for cycle in (20, 40):
        at = {"cycle": cycle, "method": "hybrid, random"}
        near, far = (
            next(one["near"] for one in numbers["called near"] if (at | {"field": field}).items() <= one.items())
            for field in ("near", "far")
        )
        yield f"after {cycle} random cycles {100 * near:.0f} % of near and {100 * far:.0f} % of far users"
    outcomes = [one["outcome"] for one in numbers["claims"]]
    contradicted, undecided = (outcomes.count(one) for one in (CONTRADICTED, UNDECIDED))
    yield f"{contradicted} of {len(outcomes)} claims are contradicted, {undecided} undecided"


def _cell(numbers: dict[str, Any], cycle: int, method: str, field: str, quantity: str) -> str:
    at = {"cycle": cycle, "method": method, "field": field, "quantity": quantity}
    (one,) = (one for one in numbers["rows"] if at.items() <= one.items())
    parts = [f"{one[part]:.2g}" for part in ("mismatch", "misjudgment", "error")]
    return f"{', '.join(parts)}, {100 * one['misjudged']:.0f} %"


EVIDENCE = Evidence(
    "parts of the errors on a grid at the points of ris:remark1",
    remark1.replace(realizations=1024, seed=20261129),
    _measured,
    {"docs/ris.md": words},
)
