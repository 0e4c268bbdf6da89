"""Whether stated posteriors are right at the points of Fig. 3: ranks of the truth, 800 draws a point."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence.record import Evidence
from scenarios.leakage import fig3_calibration
from scenarios.leakage.calibration import CALIBRATED, EXACT, QUANTITIES, UNCALIBRATED, judged, summary

_NETWORK = "amortised_deep_sets"


def _measured(store: str) -> dict[str, Any]:
    from engine import open_results

    rows = judged(summary(open_results(store).load()))
    return {"rows": [{**row._asdict(), "verdict": row.verdict} for row in rows]}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    rows = {(one["stated_by"], one["quantity"]): one for one in numbers["rows"]}
    exact = [rows[EXACT, quantity] for quantity in QUANTITIES]
    right = ", ".join(one["quantity"] for one in exact if one["verdict"] == CALIBRATED)
    yield f"calibrated by {exact[0]['draws']:_} draws".replace("_", " ") + f" in {right}"
    for one in exact:
        yield f"{one['quantity']} {', '.join(f'{100 * share:.1f}' for share in one['coverage'])} %"
    wrong = [q for q in ("range", "angle") if rows[_NETWORK, q]["verdict"] == UNCALIBRATED]
    yield f"stated spread is not calibrated** in {' and '.join(wrong)}"
    for quantity in wrong:
        shares = rows[_NETWORK, quantity]["coverage"]
        yield f"{quantity} lies in them {', '.join(f'{100 * share:.1f}' for share in shares)} %"


EVIDENCE = Evidence(
    "ranks of the truth in stated posteriors, and the share of truths in central intervals of 50, 80 and 95 %",
    fig3_calibration.replace(realizations=800, seed=20261129),
    _measured,
    {"docs/numbers.md": words},
)
