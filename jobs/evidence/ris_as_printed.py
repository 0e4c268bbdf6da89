"""The second paper's Fig. 4 in its own experiment: errors, users lost, near and far told apart, and its claims."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.figures.claims import CONTRADICTED, REPRODUCED, UNDECIDED, judged
from scenarios.ris import fig4_as_printed
from scenarios.ris.claims import against_snr
from scenarios.ris.paper import zero_phases_spread_db
from scenarios.ris.rows import summary
from scenarios.ris.told_apart import shares_called_near

_PANELS = (("far", "angle"), ("near", "angle"), ("near", "range"))
METHODS = ("hybrid", "nf", "ff", "AML", "ANM")


def _measured(store: str) -> dict[str, Any]:
    from engine import open_results

    results = open_results(store).load()
    rows = [
        {
            "snr_db": row.point["snr_db"], "method": row.estimator, "field": row.group, "quantity": row.quantity,
            "found": row.found.value, "low": row.found.low, "high": row.found.high, "median": row.root_median,
            "lost": row.lost.value, "lost_low": row.lost.low, "lost_high": row.lost.high, "users": row.samples,
        }
        for row in summary(results)
        if (row.group, row.quantity) in _PANELS
    ]  # fmt: skip
    near = [
        {"snr_db": one.x, "method": one.method, "field": one.field, "near": one.near.value, "low": one.near.low,
         "high": one.near.high, "users": one.users}
        for one in shares_called_near(results, "snr_db")
    ]  # fmt: skip
    low, median, high = zero_phases_spread_db(results)
    claims = [{"claim": one.claim, "outcome": one.outcome, "ours": one.ours} for one in judged(against_snr(results))]
    return {
        "mean ratio over the paper's, dB": {"low": low, "median": median, "high": high},
        "rows": rows, "called near": near, "claims": claims,
    }  # fmt: skip


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for method in METHODS:
        cells = [_cell(numbers, method, *panel) for panel in _PANELS]
        yield f"| {method} | {' | '.join(cells)} |"
    for field in ("near", "far"):
        shares = [
            100 * one["near"] for one in numbers["called near"] if (one["method"], one["field"]) == ("hybrid", field)
        ]
        yield f"calls {min(shares):.0f} to {max(shares):.0f} % of {field} users near"
    for field in ("far", "near"):
        ends = [_at(numbers, snr_db, "ANM", field, "angle")["found"] for snr_db in (5.0, 20.0, 30.0)]
        yield f"of {field} users {ends[0]:.2g}, {ends[1]:.2g} and {ends[2]:.2g} rad at 5, 20 and 30 dB"
    lost = [100 * one["lost"] for one in numbers["rows"] if (one["method"], one["quantity"]) == ("hybrid", "angle")]
    yield f"loses {min(lost):.0f} to {max(lost):.0f} % of its users"
    outcomes = [one["outcome"] for one in numbers["claims"]]
    wrong, right, open_ = (outcomes.count(one) for one in (CONTRADICTED, REPRODUCED, UNDECIDED))
    yield f"Of {len(outcomes)} claims {wrong} are contradicted, {right} reproduced, {open_} undecided"


def _cell(numbers: dict[str, Any], method: str, field: str, quantity: str) -> str:
    one = _at(numbers, 20.0, method, field, quantity)
    return f"{one['found']:.2g}" if quantity == "range" else f"{one['found']:.2g}, {100 * one['lost']:.0f} %"


def _at(numbers: dict[str, Any], snr_db: float, method: str, field: str, quantity: str) -> dict[str, Any]:
    at = {"snr_db": snr_db, "method": method, "field": field, "quantity": quantity}
    (one,) = (one for one in numbers["rows"] if at.items() <= one.items())
    return one


EVIDENCE = Evidence(
    "errors at the points of ris:fig4-as-printed, and the paper's claims about them",
    fig4_as_printed.replace(realizations=320, seed=20261129),
    _measured,
    {"docs/ris.md": words},
)
