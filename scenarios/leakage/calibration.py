"""Whether stated posteriors are right: ranks of the truth in them, over users and noise that the scenario draws.

Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari, Gelman, arXiv 1804.06788): where a posterior is the
one that made the data, the truth's place in it, its distribution function at the truth, is uniform. Three things are
asked: the largest distance of the empirical distribution from that (Kolmogorov's), the same of each point alone, and
how often central intervals hold the truth, within a point. Of tables of right posteriors 95 % have no row that fails
any (Bonferroni's). What does not fail is called calibrated where the same draws find out what is wrong on purpose.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.intervals import binomial_interval
from engine.sweep import TextTable
from scenarios.figures.claims import UNDECIDED

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

EXACT, WIDER, SHIFTED = "exact posterior", "its widths × 1.1", "shifted by 0.1 deviation"
WRONG = (WIDER, SHIFTED)
QUANTITIES = ("log-likelihood", "range", "angle")
RANK = "rank"
WIDTH, SHIFT = 1.1, 0.1
LEVELS = (0.5, 0.8, 0.95)
CALIBRATED, UNCALIBRATED = "calibrated", "uncalibrated"
_COVERAGE_POINTS = 0.01
_ALARMS = 0.05 / 3
"""share of tables in which each of the three may fail by chance"""


@dataclass(frozen=True)
class Ranks:
    """Places of the truth in what somebody states of one quantity, at one point, (n,) between 0 and 1."""

    stated_by: str
    quantity: str
    point: str
    values: np.ndarray
    """NaN where a draw has none"""


class Judged(NamedTuple):
    """Ranks of several points together, which are independent draws."""

    stated_by: str
    quantity: str
    draws: int
    without: int
    """draws that have no rank, beside those"""
    distance: float
    """largest, of the empirical distribution from the uniform one"""
    allowed: float
    worst_point: str
    worst_excess: float
    """its distance over what is allowed to a point"""
    coverage: tuple[float, ...]
    """share of truths in the central intervals of `LEVELS`"""
    covers: bool
    """whether these shares are compatible with their levels, to a point"""
    notices: bool = False
    """whether as many draws told apart from the exact posterior those that are wrong on purpose"""

    @property
    def verdict(self) -> str:
        """Calibrated only where draws are enough to notice what is not."""
        if not self._uniform:
            return UNCALIBRATED
        return CALIBRATED if self.notices and not self.without else UNDECIDED

    @property
    def _uniform(self) -> bool:
        return self.distance <= self.allowed and self.worst_excess <= 1 and self.covers


def summary(results: "xarray.Dataset") -> list[Ranks]:
    """Ranks at every point of `PosteriorRanks`, of whoever states something there."""
    points = [name for name in results[RANK].dims if name not in ("realization", "stated_by", "quantity")]
    ranks = results[RANK].transpose("stated_by", "quantity", *points, "realization")
    names = [results[name].values.tolist() for name in ranks.dims[:-1]]
    lengths = (range(len(axis)) for axis in names)
    found = []
    for index, (stated_by, quantity, *at) in zip(itertools.product(*lengths), itertools.product(*names), strict=True):
        values = ranks.values[index]
        if np.isfinite(values).any():
            label = ", ".join(_said(str(name), value) for name, value in zip(points, at, strict=True))
            found.append(Ranks(stated_by, quantity, label or "the only point", values))
    return found


def _said(axis: str, value: Any) -> str:
    said = {"n_sensors": "K {}", "n_snapshots": "L {}", "noise_dbm": "{:g} dBm"}
    return said.get(axis, f"{axis} {{}}").format(value)


def judged(found: Sequence[Ranks]) -> list[Judged]:
    """Every quantity that somebody states, over all points."""
    keys = list(dict.fromkeys((one.stated_by, one.quantity) for one in found))
    rows = [
        _together([one for one in found if (one.stated_by, one.quantity) == key], len(found), len(keys)) for key in keys
    ]
    return [row._replace(notices=_noticed(rows, row.quantity)) for row in rows]


def _together(mine: Sequence[Ranks], points: int, rows: int) -> Judged:
    """Of one who states one quantity. points, rows: of all that is judged at once."""
    from scipy.stats import kstwo

    finite = [one.values[np.isfinite(one.values)] for one in mine]
    values = np.concatenate(finite)
    excess = [distance(one) / float(kstwo.isf(_ALARMS / points, len(one))) for one in finite]
    worst = int(np.argmax(excess))
    inside = np.array([np.count_nonzero(np.abs(2 * values - 1) < level) for level in LEVELS])
    low, high = binomial_interval(inside, np.array(len(values)), 1 - _ALARMS / (rows * len(LEVELS)))
    levels = np.array(LEVELS)
    return Judged(
        stated_by=mine[0].stated_by,
        quantity=mine[0].quantity,
        draws=len(values),
        without=sum(len(one.values) for one in mine) - len(values),
        distance=distance(values),
        allowed=float(kstwo.isf(_ALARMS / rows, len(values))),
        worst_point=mine[worst].point,
        worst_excess=excess[worst],
        coverage=tuple((inside / len(values)).tolist()),
        covers=bool(np.all((low <= levels + _COVERAGE_POINTS) & (high >= levels - _COVERAGE_POINTS))),
    )


def _noticed(rows: Sequence[Judged], quantity: str) -> bool:
    """Whether those that are wrong on purpose came out so, of a quantity; of one that has none, in every quantity."""
    wrong = [row for row in rows if row.stated_by in WRONG]
    mine = [row for row in wrong if row.quantity == quantity] or wrong
    return bool(mine) and all(row.verdict == UNCALIBRATED for row in mine)


def distance(values: np.ndarray) -> float:
    """Kolmogorov's, of values from the uniform distribution on 0 … 1."""
    ordered, n = np.sort(values), len(values)
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def report(_results: "xarray.Dataset", found: Sequence[Ranks]) -> list[TextTable]:
    return [table(judged(found))]


def table(rows: Sequence[Judged]) -> TextTable:
    """What to print."""
    title = (
        "Ranks of the truth, and how many per cent of central intervals hold it; "
        f"{UNDECIDED} where a posterior that is wrong on purpose is not found out"
    )
    headings = ("stated by", "quantity", "draws", "distance", "allowed", *(f"{100 * level:g} %" for level in LEVELS))
    lines = [
        (
            one.stated_by, one.quantity, f"{one.draws}, {one.without} without" if one.without else str(one.draws),
            f"{one.distance:.4f}", f"{one.allowed:.4f}", *(f"{100 * share:.1f}" for share in one.coverage),
            f"{one.worst_excess:.2f} at {one.worst_point}", one.verdict,
        )
        for one in rows
    ]  # fmt: skip
    return TextTable(title, (*headings, "distance / allowed, worst point", "verdict"), lines)


def drawing(_results: "xarray.Dataset", found: Sequence[Ranks]) -> "Figure":
    """Empirical distributions of the ranks less the uniform one, and the band of all points together."""
    from matplotlib.figure import Figure

    from scenarios.figures.panels import legend_below
    from scenarios.figures.style import COLOURS, FAINT, quiet

    rows = judged(found)
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    names = list(dict.fromkeys(row.stated_by for row in rows))
    figure = Figure(figsize=(4.2 * len(quantities), 4.2), layout="constrained")
    axes = figure.subplots(1, len(quantities), squeeze=False, sharey=True)[0]
    for panel, quantity in zip(axes, quantities, strict=True):
        for row in (one for one in rows if one.quantity == quantity):
            mine = [one.values for one in found if (one.stated_by, one.quantity) == (row.stated_by, quantity)]
            values = np.sort(np.concatenate(mine))
            values = values[np.isfinite(values)]
            level = np.arange(1, len(values) + 1) / len(values)
            panel.plot(values, level - values, lw=1.2, color=COLOURS[names.index(row.stated_by)], label=row.stated_by)
            if row.stated_by == EXACT:
                panel.axhspan(-row.allowed, row.allowed, color=FAINT, alpha=0.2, lw=0)
        panel.set(title=quantity, xlabel="rank of the truth")
        quiet(panel)
    axes[0].set_ylabel("empirical − uniform distribution")
    handles: dict[str, Any] = {}
    for panel in axes:  # the exact posterior alone has ranks of the likelihood
        handles |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    legend_below(figure, list(handles.values()), list(handles))
    return figure
