"""What a paper says of a figure, judged from our numbers: one record for all families, and what family A's share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.sweep import TextTable
from scenarios.figures.paired import Comparisons
from scenarios.figures.rows import SQUARED_ERRORS, Row
from scenarios.figures.style import label

if TYPE_CHECKING:
    import xarray

REPRODUCED, NOT_REPRODUCED, CONTRADICTED = "reproduced", "not reproduced", "contradicted"
RowsByPoint = dict[tuple[Any, ...], Row]


class Claim(NamedTuple):
    """What the paper says, what was found, and whether the two agree."""

    claim: str
    paper: str
    ours: str
    verdict: str


def verdict(agrees: bool) -> str:
    return REPRODUCED if agrees else NOT_REPRODUCED


def claims_table(claims: Iterable[Claim]) -> TextTable:
    """The paper's claims beside ours; `nearfield report` knows it by its last heading."""
    return TextTable("The paper's claims", ("claim", "paper", "this run", "verdict"), [tuple(one) for one in claims])


def _users(found: Comparisons) -> str:
    """Of how many a point is: a number, or the least and the most."""
    counts = [one.users for one in found.values()] or [0]
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def by_point(rows: Iterable[Row]) -> RowsByPoint:
    """Family A's rows by (quantity, K, L, σ², estimator)."""
    axes = ("n_sensors", "n_snapshots", "noise_dbm")
    return {(row.quantity, *(row.point[axis] for axis in axes), row.estimator): row for row in rows}


def ordered(rows: Mapping[Any, Row], claim: str, pairs: Iterable[tuple[Any, Any]]) -> Claim:
    """Whether the first of each pair has the larger mean; a pair counts against it where intervals are apart."""
    known = {key for key, row in rows.items() if np.isfinite(row.mse.value)}
    pairs = [(above, below) for above, below in pairs if above != below and {above, below} <= known]
    holds = sum(rows[above].mse.value >= rows[below].mse.value for above, below in pairs)
    contradicts = sum(rows[above].mse.high < rows[below].mse.low for above, below in pairs)
    ours = f"at {holds} of {len(pairs)} pairs of points" if pairs else "no two points to compare"
    if contradicts:
        ours += f", contradicted beyond the intervals at {contradicts}"
    return Claim(claim, "yes", ours, verdict(bool(pairs) and contradicts == 0))


def orders(rows: Mapping[Any, Row], results: "xarray.Dataset", names: Sequence[str]) -> list[Claim]:
    """What sensors, snapshots and noise do to every error, of rows by (quantity, K, L, σ², estimator)."""
    sensors, counts, noises = (
        sorted(results[axis].values.tolist()) for axis in ("n_sensors", "n_snapshots", "noise_dbm")
    )
    both = SQUARED_ERRORS
    return [
        ordered(rows, "more sensors lower every error", [
            ((q, sensors[0], n, s, name), (q, sensors[-1], n, s, name))
            for q in both for n in counts for s in noises for name in names]),
        ordered(rows, "more snapshots lower every error", [
            ((q, k, counts[0], s, name), (q, k, counts[-1], s, name))
            for q in both for k in sensors for s in noises for name in names]),
        ordered(rows, "more noise raises every error", [
            ((q, k, n, noises[-1], name), (q, k, n, noises[0], name))
            for q in both for k in sensors for n in counts for name in names]),
    ]  # fmt: skip


def consistently(name: str, against: Mapping[str, Comparisons]) -> Claim:
    """ "DeepSets consistently outperforms the dense grid-search": no point's paired interval says otherwise.

    against: baseline → comparisons of the estimator with it. Said of Fig. 3, and "the same trend" of Fig. 4. Beside it
    how far the estimator is from the posterior mean, which none can beat that assumes the right model.
    """
    found = against["least_squares"]
    better, worse = (sum(one.sign == sign for one in found.values()) for sign in (-1, 1))
    lower = sum(one.ratio < 1 for one in found.values())
    ours = (
        f"lower at {lower} of {len(found)} points, beyond the paired interval at {better}; higher beyond it at {worse}"
        f"; on the same {_users(found)} users"
    )
    for quantity in SQUARED_ERRORS:
        ratios = [one.ratio for at, one in against.get("posterior_mean", {}).items() if at[0] == quantity]
        if ratios:
            ours += f"; {quantity} {min(ratios):.2f} to {max(ratios):.2f} times the posterior mean's"
    claim = f"{label(name)}: consistently outperforms the dense grid search"
    return Claim(claim, "yes", ours, verdict(better > 0 and worse == 0))
