"""From which signal-to-noise ratio on users seen through a surface are found as well as the joint bound allows.

Each user's squared error is taken over its own bound: means of bounds that differ by orders of magnitude, as those of
optimised phases do, are carried by few.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import Sweep
from jobs.evidence.record import Evidence
from scenarios.figures.comparisons import Region
from scenarios.ris import CLOSED_LOOP, NOMP, RisLocalization
from scenarios.ris.lost import LOST_BEAMS
from scenarios.ris.samples import Samples

_TAIL = 0.025
_ROWS = "errors over bounds"
SNRS_DB = (5.0, 7.5, 10.0, 15.0, 20.0)


def _measured(store: str) -> dict[str, Any]:
    """RMSE of the users found over their bound, and the share lost, with 95 % intervals, each alone."""
    from engine import open_results

    results = open_results(store).load()
    samples, found = Samples.of(results, "snr_db"), []
    for method in samples.methods:
        for field in ("near", "far"):
            for point in samples.curve("angle", field, method):
                lost = samples.lost(point, Region()).judged(_TAIL)
                kept = samples.directions[point] <= LOST_BEAMS
                squares = np.where(kept, samples.errors[point] / samples.bounds[point], np.nan)
                mean, median = float(np.nanmean(squares)), float(np.nanmedian(squares))
                error = float(np.nanstd(squares) / np.sqrt(np.isfinite(squares).sum()))
                ends = {"low": max(mean - 1.96 * error, 0) ** 0.5, "high": (mean + 1.96 * error) ** 0.5}
                shares = {"lost": lost.value, "lost_low": lost.low, "lost_high": lost.high, "median_square": median}
                found.append({**point._asdict(), "ratio": mean**0.5, **ends, **shares, "users": int(kept.size)})
    return {_ROWS: found}


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """Rows of a table: near and far users of each method."""
    for snr in SNRS_DB:
        cells = []
        for method in ("NOMP", "closed loop"):
            rows = [one for one in numbers[_ROWS] if (one["method"], one["x"]) == (method, snr)]
            cells.append(", ".join(f"{one['ratio']:.2f}" for one in rows))
            cells.append(", ".join(f"{100 * one['lost']:.1f} %" for one in rows))
        yield f"| {snr:g} dB | {' | '.join(cells)} |"


EVIDENCE = Evidence(
    "RMS of the angle errors of users found over their own joint bounds, and users lost, by signal-to-noise ratio",
    Sweep(
        RisLocalization(snr_db=SNRS_DB, methods=(NOMP, CLOSED_LOOP)),
        {},
        about="NOMP and the closed loop beside the joint bound",
        realizations=512,
        seed=20261129,
        block=16,
        chunk=64,
    ),
    _measured,
    {"docs/numbers.md": words},
)
